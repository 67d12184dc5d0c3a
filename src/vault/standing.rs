//! How roots stand to the database: which one leads to which, and whether one of them is the root in use. Pure.

use std::sync::Arc;

use crate::ambient::Timestamp;
use crate::crypto::keys::RootKey;
use crate::crypto::succession::Passage;
use crate::store::{MasterKeyMismatch, MasterKeyRow};

/// How the root that was given stands to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the one in use.
    InUse,
    /// Another has taken its place, and was handed over.
    Succeeded {
        /// The id of the root that was given.
        given: String,
        /// The id of the one in use.
        active: String,
        /// Until when the given one still leads to it.
        until: Timestamp,
    },
}

/// Every root that these lead to, through what was handed over (not after its time) or back.
pub(super) fn reachable(
    mut roots: Vec<Arc<RootKey>>,
    rows: &[MasterKeyRow],
    now: Timestamp,
) -> Vec<Arc<RootKey>> {
    let mut at = 0;
    while let Some(root) = roots.get(at).cloned() {
        let own = root.id().to_string();
        for row in rows {
            let over = row.handed_over.as_ref().filter(|_| {
                row.handed_over_by.as_ref() == Some(&own)
                    && row.handed_over_until.is_some_and(|until| now.secs() < until)
            });
            let back = row.handed_back.as_ref().filter(|_| row.handed_back_to.as_ref() == Some(&own));
            let ways = over.map(|sealed| (Passage::Over, sealed)).into_iter();
            for (way, sealed) in ways.chain(back.map(|sealed| (Passage::Back, sealed))) {
                let known = roots.iter().any(|root| root.id().to_string() == row.id);
                if !known && let Ok(found) = root.receive(&row.id, way, sealed) {
                    roots.push(Arc::new(found));
                }
            }
        }
        at += 1;
    }
    roots
}

pub(super) fn active_of(roots: &[Arc<RootKey>], rows: &[MasterKeyRow]) -> Option<Arc<RootKey>> {
    let active = rows.iter().find(|row| row.state == "active")?;
    roots.iter().find(|root| root.id().to_string() == active.id).cloned()
}

/// The root in use and how the given one stands to it, where one of these is it.
pub(super) fn weighed(
    given: &str,
    roots: &[Arc<RootKey>],
    rows: &[MasterKeyRow],
) -> Result<(Arc<RootKey>, Standing), MasterKeyMismatch> {
    match active_of(roots, rows) {
        Some(active) => {
            let standing = standing(given, &active, rows);
            Ok((active, standing))
        }
        None => {
            let expected = rows.iter().find(|row| row.state == "active").map(|row| row.id.clone());
            let given_is_retired = rows.iter().any(|row| row.id == given);
            Err(MasterKeyMismatch { expected: expected.unwrap_or_default(), given_is_retired })
        }
    }
}

fn standing(given: &str, active: &RootKey, rows: &[MasterKeyRow]) -> Standing {
    let id = active.id().to_string();
    if given == id {
        return Standing::InUse;
    }
    let until = rows.iter().find(|row| row.id == id).and_then(|row| row.handed_over_until);
    Standing::Succeeded {
        given: given.to_owned(),
        active: id,
        until: Timestamp::from_secs(until.unwrap_or_default()),
    }
}
