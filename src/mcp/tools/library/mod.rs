//! The library: what a person saved and follows, what they play most and played last.

mod change;
mod history;
mod liked;
mod saved;
mod shelf;

pub(in crate::mcp) use change::{CHECK_LIBRARY, REMOVE_FROM_LIBRARY, SAVE_TO_LIBRARY};
pub(in crate::mcp) use history::{GET_RECENTLY_PLAYED, GET_TOP_ITEMS};
pub(in crate::mcp) use liked::{GET_LIKED_SONGS, TrackPage};
pub(in crate::mcp) use saved::LIST_LIBRARY;
pub(in crate::mcp::tools) use shelf::{Changed, Shelf, counted};

/// What the tools read, for the fuzz targets.
#[cfg(any(test, doc, fuzzing))]
pub(in crate::mcp) use {
    change::{Input as ChangeInput, RemoveInput},
    history::{RecentInput, TopInput},
    liked::Input,
    saved::Input as ListInput,
};
