//! What the tools that change playlists share: reading a whole playlist, doing steps and proving them, writing a change
//! down before it is made, plans that are applied once.
//!
//! Never repeats a write whose confirmation was lost unless what is there says that it was not done, and never calls done what was not seen or confirmed.

pub(super) mod adding;
pub(super) mod contents;
pub(super) mod journal;
pub(super) mod outcome;
pub(super) mod planned;
pub(super) mod removal;
pub(super) mod steps;
pub(super) mod timing;

use super::{Hints, ToolError};
use crate::domain::edits::NoWay;

/// Changes something that is there already; doing it again changes nothing more.
pub(super) const REPLACES: Hints =
    Hints { read_only: false, destructive: true, idempotent: true, open_world: true };
/// Changes something, and doing it again changes it again.
pub(super) const MOVES: Hints =
    Hints { read_only: false, destructive: false, idempotent: false, open_world: true };
/// Puts something in its place; doing it again changes nothing more.
pub(super) const SETS: Hints =
    Hints { read_only: false, destructive: false, idempotent: true, open_world: true };

/// Why a list cannot be made what is wanted.
pub(super) fn no_way(why: NoWay) -> ToolError {
    ToolError::new(
        "RESTRICTED",
        format!(
            "Spotify cannot do that to this playlist: {why}. Nothing was changed. The person can do it in the Spotify app."
        ),
    )
}
