//! The answers of an HTTP/2 connection that wait to be taken, and for how long the connection has taken nothing.
//!
//! Only counts and stamps, given by [`super::pieces`]. Never forgets a wait because the other end has reset the stream
//! and asked anew: only bytes of an answer that are taken renew its patience.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All answers under way on a connection. Moments are milliseconds since the server began.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<UnderWay>);

#[derive(Debug, Default)]
struct UnderWay {
    open: HashMap<u64, Owed>,
    next: u64,
    /// Milliseconds for which answers waited that were given up, since anything was taken.
    in_vain: u64,
    /// Up to when waiting in vain is counted: streams that waited side by side count once.
    counted: u64,
}

/// What of an answer was handed out and waits to be taken.
#[derive(Debug, Default)]
struct Owed {
    bytes: usize,
    /// Since when nothing of it was taken. Says nothing where there is none.
    since: u64,
}

impl Answers {
    /// One more, of which nothing waits yet: its number.
    pub(super) fn begin(&self) -> u64 {
        let mut under_way = self.under_way();
        let id = under_way.next;
        under_way.next += 1;
        under_way.open.insert(id, Owed::default());
        id
    }

    /// So many bytes of it wait from now on for their stream's window.
    pub(super) fn hand_out(&self, id: u64, bytes: usize, now: u64) {
        if let Some(owed) = self.under_way().open.get_mut(&id) {
            if owed.bytes == 0 {
                owed.since = now;
            }
            owed.bytes += bytes;
        }
    }

    /// So many of them were taken.
    pub(super) fn taken(&self, id: u64, bytes: usize, now: u64) {
        let mut under_way = self.under_way();
        if let Some(owed) = under_way.open.get_mut(&id) {
            owed.bytes = owed.bytes.saturating_sub(bytes);
            owed.since = now;
            under_way.in_vain = 0;
        }
    }

    /// It was taken to its end, or was given up.
    pub(super) fn end(&self, id: u64, now: u64) {
        let mut under_way = self.under_way();
        if let Some(owed) = under_way.open.remove(&id)
            && owed.bytes > 0
        {
            let in_vain = now.saturating_sub(owed.since.max(under_way.counted));
            under_way.in_vain = under_way.in_vain.saturating_add(in_vain);
            under_way.counted = now;
        }
    }

    /// How many wait, and since when the connection takes nothing of any: earlier than the oldest of them by the
    /// time that others waited in vain. 0: none waits.
    pub(super) fn waiting(&self) -> (u32, u64) {
        let under_way = self.under_way();
        let waiting = under_way.open.values().filter(|owed| owed.bytes > 0);
        let (count, oldest) =
            waiting.fold((0, u64::MAX), |(count, oldest), owed| (count + 1, oldest.min(owed.since)));
        match count {
            0 => (0, 0),
            _ => (count, oldest.saturating_sub(under_way.in_vain).max(1)),
        }
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_anew_does_not_renew_patience_and_taking_does() {
        let answers = Answers::default();
        for asked in [10_000, 30_000] {
            let answer = answers.begin();
            assert_eq!(answers.waiting(), (0, 0), "it is our turn");
            answers.hand_out(answer, 100, asked);
            assert_eq!(answers.waiting(), (1, 10_000));
            answers.end(answer, asked + 20_000);
            assert_eq!(answers.waiting(), (0, 0), "nothing is kept for it");
        }
        let third = answers.begin();
        answers.hand_out(third, 100, 51_000);
        assert_eq!(answers.waiting(), (1, 11_000), "but for the second in which it asked nothing");
        answers.taken(third, 40, 52_000);
        assert_eq!(answers.waiting(), (1, 52_000), "it took something");
        answers.taken(third, 60, 53_000);
        assert_eq!(answers.waiting(), (0, 0), "it took all");
    }

    #[test]
    fn streams_side_by_side_count_once_and_what_is_our_turn_never() {
        let answers = Answers::default();
        let begun: Vec<_> = (0..10).map(|_| answers.begin()).collect();
        begun.iter().for_each(|answer| answers.hand_out(*answer, 1, 1_000));
        let ours = answers.begin();
        assert_eq!(answers.waiting(), (10, 1_000));
        begun.iter().for_each(|answer| answers.end(*answer, 3_000));
        assert_eq!(answers.waiting(), (0, 0));
        answers.end(ours, 90_000);
        answers.hand_out(answers.begin(), 1, 90_000);
        assert_eq!(answers.waiting(), (1, 88_000));
    }

    #[test]
    fn who_takes_every_answer_never_uses_its_patience_up() {
        let answers = Answers::default();
        for at in (0..100_000).step_by(100) {
            let answer = answers.begin();
            answers.hand_out(answer, 10, at);
            answers.hand_out(answer, 10, at + 20);
            answers.taken(answer, 20, at + 90);
            answers.end(answer, at + 99);
        }
        answers.hand_out(answers.begin(), 1, 100_000);
        assert_eq!(answers.waiting(), (1, 100_000));
    }
}
