//! The readable line at the start of a backup: what it is, when it was made, what it needs. Authentic once the key has
//! opened it, and not a byte earlier.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Damage;
use crate::crypto::kdf::Kdf;
use crate::domain::BackupId;

/// The format's name and version.
pub const FORMAT: &str = "spotify-mcp/backup/v1";

/// No header is longer, in bytes.
pub(super) const LONGEST: usize = 65_536;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// Its id, `b_...`.
    pub id: String,
    /// When it was made: RFC 3339, UTC.
    pub made_at: String,
    /// The version of this program that made it.
    pub made_by: String,
    /// `sqlite` or `postgres`.
    pub engine: String,
    /// The newest migration of the database.
    pub schema_version: i64,
    /// The revocation epoch of the database.
    pub epoch: i64,
    /// Rows by table.
    pub counts: BTreeMap<String, i64>,
    /// The id of the master key that opens the backup.
    pub sealed_under: String,
    /// Ids of all master keys that it or something in it needs; ascending.
    pub key_ids: Vec<String>,
    /// How the master key is derived, where it is a passphrase: without it the passphrase opens nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kdf: Option<Kdf>,
    /// The configuration file in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// The dump beside it, for PostgreSQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump: Option<Dump>,
    /// What is sealed, one after the other.
    pub parts: Vec<Part>,
}

/// Which configuration is in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// The file's name.
    pub name: String,
    /// Of a sealed file: which one, in all its revisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<String>,
    /// Of a sealed file: its revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<u64>,
}

/// A dump made by PostgreSQL's own tools, which stays beside the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dump {
    /// The file's name: looked for beside the backup.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

/// One sealed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// `database` or `configuration`.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

impl Header {
    /// Reads the line without its end. The format is looked at first: a newer one may say anything.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Damage> {
        #[derive(Deserialize)]
        struct Named {
            format: String,
        }
        let named: Named = serde_json::from_slice(line).map_err(|_| Damage::Format)?;
        if named.format != FORMAT {
            return Err(match named.format.starts_with("spotify-mcp/backup/") {
                true => Damage::Newer("its format is of another version".to_owned()),
                false => Damage::Format,
            });
        }
        let header: Self =
            serde_json::from_slice(line).map_err(|_| Damage::Changed("its header cannot be read"))?;
        let known =
            header.parts.iter().all(|part| matches!(part.name.as_str(), "database" | "configuration"));
        let fits = header.payload().is_some() && known && header.backup_id().is_some();
        if fits { Ok(header) } else { Err(Damage::Changed("its header says what no backup says")) }
    }

    /// Its id; `None` where the header says another thing.
    pub fn backup_id(&self) -> Option<BackupId> {
        self.id.parse().ok()
    }

    /// Bytes of all parts together; `None` where nobody can have sealed so many.
    pub(super) fn payload(&self) -> Option<u64> {
        let most = u64::from(u32::MAX) * super::container::CHUNK_BYTES;
        self.parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.bytes)).filter(|sum| *sum <= most)
    }

    /// Size of the part with this name.
    pub fn part(&self, name: &str) -> Option<u64> {
        self.parts.iter().find(|part| part.name == name).map(|part| part.bytes)
    }
}
