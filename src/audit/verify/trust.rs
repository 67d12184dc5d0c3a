//! Which keys are trusted: those that were given from outside, and those that they lead to. A key vouches for the one
//! after it, and the one after it for it. Never: trusting a key because the trail names it.

use crate::audit::line::KeyChange;
use crate::audit::note::Verifier;
use crate::crypto::signature;
use crate::vault::rotation::{PREDECESSOR, SUCCESSION};

/// The given keys, and every key that one of them vouches for.
pub fn trusted(given: &[Verifier], changes: &[KeyChange]) -> Vec<Verifier> {
    let mut known = given.to_vec();
    // Each round adds one key at least; there are no more keys than changes.
    for _ in changes {
        let before = known.len();
        for change in changes {
            let (has_old, has_new) = (known.contains(&change.old), known.contains(&change.new));
            if has_old && !has_new && vouches(change, true) {
                known.push(change.new.clone());
            } else if has_new && !has_old && vouches(change, false) {
                known.push(change.old.clone());
            }
        }
        if known.len() == before {
            break;
        }
    }
    known
}

/// Whether the old key signed the new one, or (not `forward`) the new one the old.
fn vouches(change: &KeyChange, forward: bool) -> bool {
    let (by, of, label, signed) = if forward {
        (&change.old, &change.new, SUCCESSION, &change.succession)
    } else {
        (&change.new, &change.old, PREDECESSOR, &change.predecessor)
    };
    let text = [label, of.public_key()].concat();
    by.name() == of.name()
        && signed.as_ref().is_some_and(|signed| signature::verify(by.public_key(), &text, signed))
}
