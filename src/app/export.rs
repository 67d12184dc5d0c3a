//! All that is held of a person, as they are given it: every row of theirs, and what the audit trail says of them under
//! their pseudonym. Never: what opens anything, or somebody else's address.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::ambient::Timestamp;
use crate::audit::people;
use crate::audit::personal::{Bounds, Found, records_of};
use crate::crypto::keys::SealingKey;
use crate::domain::{KeyPurpose, UserId};
use crate::failure::{During as _, Failure};
use crate::store::{AuditKeyOwner, AuditKeyRow, Store};
use crate::vault::KeyRing;

/// Most records that are given; `audit query --user` gives the others.
const RECORDS: usize = 10_000;
/// So many exports read the trail at once; the others wait.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Where records of people are looked for.
pub struct Trail {
    /// The folder of the audit trail.
    pub dir: PathBuf,
    /// What opens addresses; without it they stay sealed.
    pub ring: Option<Arc<KeyRing>>,
    /// Most bytes of the trail that are read, the newest.
    pub bytes: u64,
}

/// All that is held of a person; `None` where there is nobody.
///
/// # Errors
/// Where the database does not answer, or the trail cannot be read.
pub async fn export_of(
    store: &Store,
    user: &UserId,
    now: Timestamp,
    trail: Trail,
) -> Result<Option<Value>, Failure> {
    let Some(held) = store.holdings(user).await? else { return Ok(None) };
    let audit = audit_of(store, user, trail).await?;
    Ok(Some(json!({
        "schema": "spotify-mcp/person/v1", "exported_at": now.rfc3339(), "held": held, "audit": audit,
    })))
}

/// What the trail calls the person, and says of them.
async fn audit_of(store: &Store, user: &UserId, trail: Trail) -> Result<Value, Failure> {
    let row = store.audit_key_of(&AuditKeyOwner::Person(user.clone())).await?;
    let pseudonym = row.as_ref().map(|row| row.id.clone());
    // Records of before there were pseudonyms have the id itself.
    let names: Vec<String> = pseudonym.iter().cloned().chain([user.to_string()]).collect();
    let key = row.and_then(|row| opened(&row, trail.ring.as_deref()));
    let bounds = Bounds { records: RECORDS, bytes: trail.bytes };
    let turn = TURNS.acquire().await;
    let dir = trail.dir;
    let found = tokio::task::spawn_blocking(move || records_of(&dir, &names, bounds)).await?;
    drop(turn);
    let Found { lines, chains, more } = found.during("reading the audit trail")?;
    let records: Vec<Value> = lines.iter().map(|line| record(line, key.as_ref())).collect();
    let known = store.audit_chains().await?;
    let elsewhere: Vec<String> =
        known.into_iter().map(|mark| mark.chain_uid).filter(|chain| !chains.contains(chain)).collect();
    Ok(json!({
        "pseudonym": pseudonym,
        "addresses": if key.is_some() { "open" } else { "sealed" },
        "records": records,
        "older_records_left_out": more,
        "trails": { "read": chains, "elsewhere": elsewhere },
    }))
}

fn opened(row: &AuditKeyRow, ring: Option<&KeyRing>) -> Option<SealingKey> {
    let wrapping = ring?.own(KeyPurpose::AuditPeople).ok()?;
    people::open(row, &wrapping).ok()
}

/// A record as it stands in the trail, and beside it the address that it came from, where that is the person's.
fn record(line: &[u8], key: Option<&SealingKey>) -> Value {
    let record: Value = serde_json::from_slice(line).unwrap_or_default();
    let places = ["/src_endpoint/uid", "/unmapped/src_endpoint/uid"];
    let sealed = places.iter().find_map(|place| record.pointer(place)?.as_str());
    let address = sealed.zip(key).and_then(|(sealed, key)| people::open_address(sealed, key));
    json!({ "address": address.map(|address| address.to_string()), "record": record })
}
