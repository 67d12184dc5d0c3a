//! The player: what plays, where, what comes next, and telling it what to do.
//!
//! Commands look again after they were sent: Spotify confirms them before they take effect.

mod command;
mod current;
mod device;
mod play;
mod queue;
mod set;
mod state;
mod steer;

pub(in crate::mcp) use current::GET_CURRENT_TRACK;
pub(in crate::mcp) use play::{PLAY, TRANSFER_PLAYBACK};
pub(in crate::mcp) use queue::{ADD_TO_QUEUE, GET_QUEUE};
pub(in crate::mcp) use set::SET_PLAYER;
pub(in crate::mcp) use state::{GET_PLAYBACK_STATE, LIST_DEVICES};
pub(in crate::mcp) use steer::{PAUSE, SEEK, SKIP_TO_NEXT, SKIP_TO_PREVIOUS};

/// What the tools read, for the fuzz targets.
#[cfg(any(test, doc, fuzzing))]
pub(in crate::mcp) use {
    current::Input,
    play::{PlayInput, TransferInput},
    queue::AddInput,
    set::SetInput,
    steer::SeekInput,
};
