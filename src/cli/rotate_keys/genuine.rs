//! Whether evidence on disk is what was signed, by the evidence key in use or by one that it leads back to: each new
//! evidence key vouches for the one before it. Evidence that is not is named, and never shown as if it were.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::runner::stalled;
use crate::cli::administer::Desk;
use crate::cli::output::{Refused, io_cause};
use crate::crypto::signature;
use crate::domain::KeyPurpose;
use crate::failure::Failure;
use crate::vault::KeyRing;
use crate::vault::rotation::{Facts, PREDECESSOR, Succession};

/// Rotations that are looked through for the keys before the present one.
const LOOKED_THROUGH: i64 = 10_000;

/// Reads and checks the evidence of `id`.
pub(super) async fn read(desk: &Desk, ring: &KeyRing, (path, id): (&Path, &str)) -> Result<Value, Refused> {
    let known = known_keys(desk, ring).await.map_err(|failure| stalled(&failure))?;
    let checked = match std::fs::read_to_string(path) {
        Err(error) => Err(format!("it cannot be read: {}", io_cause(&error))),
        Ok(text) => check(&text, id, &known).map_err(str::to_owned),
    };
    checked.map_err(|why| {
        Refused::incomplete(
            "EVIDENCE_NOT_GENUINE",
            format!("the evidence {} is not what was signed: {why}", path.display()),
            "keep it for whoever looks into it, under another name, and run the command again: it writes the evidence \
             anew from the database",
        )
    })
}

/// The document, where a known key signed exactly this evidence of this id.
fn check(text: &str, id: &str, known: &[Vec<u8>]) -> Result<Value, &'static str> {
    let document: Value = serde_json::from_str(text).map_err(|_| "it is no JSON")?;
    let bytes = |name: &str| STANDARD.decode(document["signature"][name].as_str().unwrap_or_default());
    let (Ok(key), Ok(signed)) = (bytes("public_key"), bytes("value")) else {
        return Err("it is not signed");
    };
    if key.is_empty() || signed.is_empty() {
        return Err("it is not signed");
    }
    if !signature::verify(&key, document["evidence"].to_string().as_bytes(), &signed) {
        return Err("its signature does not fit");
    }
    if !known.contains(&key) {
        return Err("an evidence key signed it that is not this server's");
    }
    let of = &document["evidence"];
    if of["rotation_id"] != id && of["emergency_id"] != id {
        return Err("it is the evidence of something else");
    }
    Ok(document)
}

/// The public key in use, and those that it leads back to.
async fn known_keys(desk: &Desk, ring: &KeyRing) -> Result<Vec<Vec<u8>>, Failure> {
    let present = signature::sign(ring.own(KeyPurpose::Evidence)?.key(), b"");
    let mut known: Vec<Vec<u8>> = present.into_iter().map(|signed| signed.public_key).collect();
    // The newest first, as each leads to the one before it.
    for row in desk.store.rotations(LOOKED_THROUGH).await? {
        let Some(succession) = Facts::parse(&row.facts).succession else { continue };
        if let Some(before) = known.last().and_then(|last| predecessor(&succession, last)) {
            known.push(before);
        }
    }
    Ok(known)
}

/// The key before `key`, where that vouches for it.
fn predecessor(succession: &Succession, key: &[u8]) -> Option<Vec<u8>> {
    let decode = |text: &str| STANDARD.decode(text).ok();
    let (old, new) = (decode(&succession.old_public_key)?, decode(&succession.new_public_key)?);
    let vouched =
        signature::verify(key, &[PREDECESSOR, &old[..]].concat(), &decode(&succession.predecessor)?);
    (new == key && vouched).then_some(old)
}
