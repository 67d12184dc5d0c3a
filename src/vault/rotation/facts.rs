//! What a rotation remembers beside its state, for its evidence: counts and ids, never a key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::store::{Store, WrappedTable};

/// Rows by table, and in each by the id of the key that they are under.
pub type Counts = BTreeMap<String, BTreeMap<String, i64>>;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Rows by key when it began.
    pub before: Counts,
    /// The same when it ended.
    pub after: Counts,
    /// Rows of each table that were opened with the new key alone.
    pub verified: BTreeMap<String, u64>,
    /// What the old key was tried on at the end.
    pub probe: Probe,
    /// The ids of its events in the audit trail.
    pub events: Vec<String>,
    /// How often it was begun again from the first row, because servers that did not know yet had added some.
    pub again: u32,
    /// Where the evidence key was replaced: the old one's word for the new one.
    pub succession: Option<Succession>,
    /// Where a Spotify app got other credentials.
    pub client: Option<Client>,
}

/// Other credentials of a Spotify app. Never: a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Client {
    /// Our id for the app that had the old ones.
    pub app: String,
    /// Where the configuration has them; empty where somebody had put them there before.
    pub places: Vec<String>,
    /// Linked accounts that end, because another app takes the place of theirs.
    pub links_ended: i64,
    /// How many people's they are.
    pub people_concerned: i64,
    /// What the running server says of the new ones.
    pub server: String,
    /// What Spotify said to the old ones, when they were last presented.
    pub old_credentials: String,
}

/// Ed25519 by the old evidence key over `spotify-mcp/evidence-key-succession/v1` and the new public key; all in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succession {
    /// 32 bytes.
    pub old_public_key: String,
    /// 32 bytes.
    pub new_public_key: String,
    /// 64 bytes.
    pub signature: String,
    /// The new one's word for the old one, by which what the old one signed is still believed: 64 bytes, over
    /// `spotify-mcp/evidence-key-predecessor/v1` and the old public key.
    #[serde(default)]
    pub predecessor: String,
}

/// What the old keys can still do at the end. An old master key is tried on every row, under its own name and under the
/// new key's; of other keys, which are deleted, it is looked whether they are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Rows that it was tried on; old keys that were looked for.
    pub tried: u64,
    /// Rows that opened, old keys that are still there: any but 0 is a failure.
    pub opened: u64,
}

impl Facts {
    /// From the stored form; one that cannot be read counts as empty, because nothing is decided by it.
    pub fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The stored form.
    pub fn text(&self) -> String {
        // Maps of strings and numbers cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The wrapped keys by master key.
pub(super) async fn count_wrapped(store: &Store) -> Result<Counts, Failure> {
    let mut counts = Counts::new();
    for table in WrappedTable::ALL {
        let by_key = store.count_wrapped(table).await?.into_iter().collect();
        counts.insert(table.name().to_owned(), by_key);
    }
    Ok(counts)
}
