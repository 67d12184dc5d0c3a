//! File descriptors: raises this process's soft limit to what its connections need, and says how many there may be.
//!
//! Never raises the hard limit, and never lets connections take the descriptors that the database, the upstream and
//! the audit trail need: whoever runs out of them can neither serve nor record.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything that is no connection of ours: databases, connections to Spotify, files.
const KEPT: u64 = 1024;

/// How many connections may be open: `wanted` (0: as many as come), or as many as the descriptors allow.
pub(super) fn room_for(wanted: u32) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let needed = if wanted == 0 { most } else { u64::from(wanted).saturating_add(KEPT) };
    let mut soft = limit.current.unwrap_or(u64::MAX);
    if soft < needed.min(most) {
        let raised = Rlimit { current: Some(needed.min(most)), maximum: limit.maximum };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => soft = needed.min(most),
            Err(error) => tracing::warn!(%error, "the limit on open files cannot be raised"),
        }
    }
    let room = room_within(soft);
    if wanted != 0 && room < u64::from(wanted) {
        tracing::warn!(
            wanted,
            room,
            open_files = soft,
            "limits.connections is more than the limit on open files leaves room for: raise it (ulimit -n, LimitNOFILE)"
        );
    }
    let allowed = if wanted == 0 { room } else { room.min(wanted.into()) };
    usize::try_from(allowed).unwrap_or(usize::MAX)
}

/// What so many descriptors leave for connections: all but what is kept, half where that is most of them.
const fn room_within(descriptors: u64) -> u64 {
    let kept = if KEPT < descriptors / 2 { KEPT } else { descriptors / 2 };
    descriptors - kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_always_kept() {
        for (descriptors, room) in [(0, 0), (64, 32), (1024, 512), (4096, 3072), (11_024, 10_000)] {
            assert_eq!(room_within(descriptors), room);
        }
    }

    #[test]
    fn no_more_connections_than_were_asked_for() {
        assert!((1..=100).contains(&room_for(100)));
        assert!(room_for(0) >= room_for(100));
    }
}
