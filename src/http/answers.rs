//! The answers of an HTTP/2 connection that wait for their stream's window, and for how long it has taken none.
//!
//! Only stamps, given by [`super::line`]. Never forgets a wait because the other end has reset the stream and asked
//! anew: only an answer of which something is taken renews its patience.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Since when an answer waits, in milliseconds since the server began; 0: it does not, we have to go on with it.
pub(super) type Waiting = AtomicU64;

/// All answers under way on a connection.
#[derive(Debug, Default)]
pub(super) struct Answers {
    under_way: Mutex<UnderWay>,
    /// Milliseconds for which answers waited that were given up, since anything was taken.
    in_vain: AtomicU64,
}

#[derive(Debug, Default)]
struct UnderWay {
    stamps: Vec<Arc<Waiting>>,
    /// Up to when waiting in vain is counted: streams that waited side by side count once.
    counted: u64,
}

impl Answers {
    /// One more, which waits from now on.
    pub(super) fn begin(&self, now: u64) -> Arc<Waiting> {
        let stamp = Arc::new(Waiting::new(now));
        self.under_way().stamps.push(stamp.clone());
        stamp
    }

    /// Something of it was asked for: from now on it waits, or (`theirs` is false) it is our turn.
    pub(super) fn turn(&self, stamp: &Waiting, theirs: bool, now: u64) {
        stamp.store(if theirs { now } else { 0 }, Ordering::Relaxed);
        self.in_vain.store(0, Ordering::Relaxed);
    }

    /// It has ended, or was given up.
    pub(super) fn end(&self, stamp: &Arc<Waiting>, now: u64) {
        let mut under_way = self.under_way();
        if let Some(at) = under_way.stamps.iter().position(|known| Arc::ptr_eq(known, stamp)) {
            under_way.stamps.swap_remove(at);
        }
        let since = stamp.load(Ordering::Relaxed);
        if since > 0 {
            self.in_vain.fetch_add(now.saturating_sub(since.max(under_way.counted)), Ordering::Relaxed);
            under_way.counted = now;
        }
    }

    /// How many wait, and since when the connection takes nothing of any: earlier than the oldest of them by the
    /// time that others waited in vain. 0: none waits.
    pub(super) fn waiting(&self) -> (u32, u64) {
        let under_way = self.under_way();
        let stamps = under_way.stamps.iter().map(|stamp| stamp.load(Ordering::Relaxed));
        let waiting = stamps.filter(|since| *since > 0);
        let (count, oldest) =
            waiting.fold((0, u64::MAX), |(count, oldest), since| (count + 1, oldest.min(since)));
        match count {
            0 => (0, 0),
            _ => (count, oldest.saturating_sub(self.in_vain.load(Ordering::Relaxed)).max(1)),
        }
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_anew_does_not_renew_patience_and_taking_does() {
        let answers = Answers::default();
        for asked in [10_000, 30_000] {
            let stamp = answers.begin(asked);
            assert_eq!(answers.waiting(), (1, 10_000));
            answers.end(&stamp, asked + 20_000);
            assert_eq!(answers.waiting(), (0, 0), "nothing is kept for it");
        }
        let third = answers.begin(51_000);
        assert_eq!(answers.waiting(), (1, 11_000), "but for the second in which it asked nothing");
        answers.turn(&third, true, 52_000);
        assert_eq!(answers.waiting(), (1, 52_000), "it took something");
    }

    #[test]
    fn streams_side_by_side_count_once_and_what_is_our_turn_never() {
        let answers = Answers::default();
        let stamps: Vec<_> = (0..10).map(|_| answers.begin(1_000)).collect();
        let ours = answers.begin(1_000);
        answers.turn(&ours, false, 1_000);
        assert_eq!(answers.waiting(), (10, 1_000));
        for stamp in &stamps {
            answers.end(stamp, 3_000);
        }
        assert_eq!(answers.waiting(), (0, 0));
        answers.end(&ours, 90_000);
        let _next = answers.begin(90_000);
        assert_eq!(answers.waiting(), (1, 88_000));
    }
}
