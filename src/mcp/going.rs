//! How far a call goes: until whoever called wants no more of it, or its time is up. What has begun to write goes to the
//! end of it nevertheless: a list that is left half written is worse than a change nobody waits for, which can be undone. Only
//! where its credential, its person or the server is closed does it end between two requests, as one that was broken off.
//!
//! One change of a person at a time: two that write the same list would mangle it. Here is the turn in this process; the one
//! on all servers is the vault's.

use std::collections::HashMap;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::dispatch::Ended;
use crate::spotify::Pressing;
use crate::vault::turns::{Held, May};

/// So much longer than a call may take what it has begun to write.
pub(crate) const GRACE: Duration = Duration::from_secs(180);
/// The longest of it, for what takes many requests.
const LONGEST_GRACE: Duration = Duration::from_secs(20 * 60);
/// So long before the end of that nothing waits for our own limits any more.
const LAST: Duration = Duration::from_secs(60);

/// How often it is looked whose a turn is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Nothing of it presses.
const RESTS: u8 = 0;
/// It mends what was broken off, or proves what was done.
const MENDS: u8 = 1;
/// It is in the middle of what must not be left so.
const GOES_ON: u8 = 2;

/// How far one call goes.
#[derive(Debug, Default)]
pub(crate) struct Going {
    unwanted: CancellationToken,
    /// Its credential, its person or the server is closed.
    closed: CancellationToken,
    begun: AtomicBool,
    remarks: std::sync::Mutex<Vec<String>>,
    presses: AtomicU8,
    /// What it has beyond [`GRACE`], in milliseconds.
    beyond: AtomicU64,
    /// The turn that it goes by.
    turn: OnceLock<Arc<Held>>,
}

impl Going {
    /// Until this is cancelled, where nothing has begun then.
    pub(crate) fn until(unwanted: CancellationToken) -> Self {
        Self { unwanted, ..Self::default() }
    }

    /// From now on it goes to its end.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// What whoever called has to know beside the answer: one sentence.
    pub(crate) fn remark(&self, sentence: String) {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).push(sentence);
    }

    /// What was remarked, to be told behind the answer.
    pub(crate) fn remarks(&self) -> String {
        let remarks = std::mem::take(&mut *self.remarks.lock().unwrap_or_else(PoisonError::into_inner));
        remarks.into_iter().map(|sentence| format!("\n{sentence}")).collect()
    }

    /// Whether it does.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Nothing more is asked for it, though it has begun: it ends where it is.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    /// Cancelled when it is closed.
    pub(crate) fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// Whether nothing more is to be asked of Spotify.
    pub(crate) fn is_over(&self) -> bool {
        self.closed.is_cancelled() || (!self.has_begun() && self.unwanted.is_cancelled())
    }

    /// Waits; not where it is closed meanwhile.
    pub(crate) async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = sleep(wait) => {}
            () = self.closed.cancelled() => {}
        }
    }

    /// It goes by this turn.
    pub(super) fn goes_by(&self, turn: Arc<Held>) {
        let _first = self.turn.set(turn);
    }

    /// Waits until the turn is certainly this call's, before the next of several steps: by now another server may write
    /// the same. Where the turn is another's, nothing more is asked for it.
    pub(crate) async fn has_its_turn(&self, until: Instant) {
        let Some(turn) = self.turn.get() else { return };
        while !self.is_over() && Instant::now() < until {
            match turn.may() {
                May::Begin => return,
                May::Wait => self.pause(LOOK_EVERY).await,
                May::Stop => self.close(),
            }
        }
    }

    /// From now on no share of a quota refuses what it asks of Spotify.
    pub(crate) fn mend(&self) {
        self.presses.store(MENDS, Ordering::Relaxed);
    }

    /// From now on nothing of ours refuses it, and what passes is waited out. It has all the time that its requests may
    /// take: were they quick before and are slow now, what is left of them is away until they are done.
    pub(crate) fn go_on(&self, requests: Duration) {
        let beyond = requests.min(LONGEST_GRACE).saturating_sub(GRACE).as_millis();
        self.beyond.store(u64::try_from(beyond).unwrap_or_default(), Ordering::Relaxed);
        self.presses.store(GOES_ON, Ordering::Relaxed);
    }

    /// Whether what passes is waited out.
    pub(crate) fn goes_on(&self) -> bool {
        self.presses.load(Ordering::Relaxed) == GOES_ON
    }

    /// How the requests of a call press whose time is up then.
    pub(crate) fn pressing(&self, deadline: Instant) -> Pressing {
        match self.presses.load(Ordering::Relaxed) {
            RESTS => Pressing::Not,
            MENDS => Pressing::Mends,
            _ => {
                let ends = self.ends_at(deadline);
                Pressing::GoesOn(ends.checked_sub(LAST).unwrap_or(ends))
            }
        }
    }

    /// When a call ends whose time is up then.
    pub(crate) fn ends_at(&self, deadline: Instant) -> Instant {
        let beyond = Duration::from_millis(self.beyond.load(Ordering::Relaxed));
        if self.has_begun() { deadline + GRACE + beyond } else { deadline }
    }

    /// Does work until it is done, late, unwanted or broken. A panic ends here: the library would leave the request
    /// without an answer (mcp.md 0.4).
    pub(super) async fn through<T>(&self, work: impl Future<Output = T>, deadline: Instant) -> Ended<T> {
        let mut work = pin!(AssertUnwindSafe(work).catch_unwind());
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done.map_or(Ended::Panicked, Ended::Done),
                () = self.unwanted.cancelled(), if !self.has_begun() => if !self.has_begun() {
                    return Ended::Cancelled;
                },
                () = sleep_until(self.ends_at(deadline)) => if Instant::now() >= self.ends_at(deadline) {
                    return Ended::TimedOut;
                },
            }
        }
    }
}

/// Whose change is under way, or of what.
#[derive(Debug)]
pub(crate) struct Turns<K>(std::sync::Mutex<HashMap<K, Arc<Mutex<()>>>>);

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self(std::sync::Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Turns<K> {
    /// Waits for the turn of the next change of this one, in the order of asking.
    pub(super) async fn of(&self, key: &K) -> OwnedMutexGuard<()> {
        self.turn(key).lock_owned().await
    }

    /// The turn, where nobody has it.
    pub(crate) fn free(&self, key: &K) -> Option<OwnedMutexGuard<()>> {
        self.turn(key).try_lock_owned().ok()
    }

    fn turn(&self, key: &K) -> Arc<Mutex<()>> {
        // Nothing panics while it is held.
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(key.clone()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UserId;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[tokio::test]
    async fn work_ends_by_itself_late_unwanted_or_broken() {
        let going = Going::default();
        assert!(matches!(going.through(async { 1 }, soon()).await, Ended::Done(1)));
        let broken = going.through(async { panic!("as tests do") }, soon()).await;
        assert!(matches!(broken, Ended::<()>::Panicked));
        assert!(matches!(going.through(std::future::pending::<()>(), soon()).await, Ended::TimedOut));
        going.unwanted.cancel();
        assert!(matches!(going.through(std::future::pending::<()>(), soon()).await, Ended::Cancelled));
        assert!(going.is_over());
    }

    #[tokio::test]
    async fn what_has_begun_goes_to_its_end_though_late_and_unwanted_but_not_for_ever() {
        let going = Going::default();
        let work = async {
            going.begin();
            sleep(Duration::from_millis(100)).await;
            2
        };
        going.unwanted.cancel();
        assert!(matches!(going.through(work, soon()).await, Ended::Done(2)) && !going.is_over());
        let now = Instant::now();
        assert_eq!((going.ends_at(now), Going::default().ends_at(now)), (now + GRACE, now));
    }

    #[test]
    fn what_must_not_be_left_half_written_has_the_time_of_all_its_requests() {
        let now = Instant::now();
        let ends_after = |requests: u64| {
            let going = Going::default();
            going.begin();
            going.go_on(Duration::from_secs(requests));
            (going.ends_at(now) - now).as_secs()
        };
        assert_eq!([10, 180, 252, 100_000].map(ends_after), [180, 180, 252, 1_200]);
    }

    #[tokio::test]
    async fn slow_writes_are_waited_for_beyond_what_a_change_has_otherwise() {
        let ended = async |requests: Duration| {
            let going = Going::default();
            let writes = async {
                going.begin();
                going.go_on(requests);
                sleep(Duration::from_millis(100)).await;
            };
            going.through(writes, Instant::now().checked_sub(GRACE).unwrap()).await
        };
        assert!(matches!(ended(GRACE).await, Ended::TimedOut));
        assert!(matches!(ended(GRACE + Duration::from_secs(60)).await, Ended::Done(())));
    }

    #[tokio::test]
    async fn one_change_of_a_person_at_a_time_and_nothing_is_kept_of_those_who_have_ended() {
        let (turns, [ada, ben]) = (Turns::default(), [1, 2].map(|n| UserId::mint([n; 16])));
        let first = turns.of(&ada).await;
        assert!(turns.of(&ada).now_or_never().is_none());
        assert!(turns.of(&ben).now_or_never().is_some());
        drop(first);
        assert!(turns.of(&ada).now_or_never().is_some());
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }
}
