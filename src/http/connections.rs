//! The open connections: how many there may be, which goes for a newcomer, and which have lasted too long.
//!
//! Looks at the stamps of every [`Line`] once a second. Never ends a connection that we owe an answer, except where
//! its other end does not take it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::in_flight::InFlight;
use super::line::{Ending, Line, Waits};
use crate::telemetry::metrics::{Figure, Gauge};

/// A client that has not sent its headers (before them, its part of TLS) after this long is not served (product.md 7).
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// A connection on which nothing is asked is kept this long: longer than proxies keep theirs (60 to 75 s), so that
/// they never send a request into a connection that closes.
const IDLE_FOR: Duration = Duration::from_secs(120);

/// Who takes nothing of an answer for this long does not get the rest.
const STALLED_FOR: Duration = Duration::from_secs(30);

/// A connection that is shed may take this long to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// So much of what no request accounts for is forgiven at each look: pings and window updates of a connection that
/// lives long.
const FORGIVEN: u64 = 4 * 1024;

/// How often the stamps are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Connections that have been told to go and have not yet: so many beyond the most.
const GOING: usize = 64;

/// How many to be shed are chosen at one look at all of them.
const CHOSEN: usize = 128;

/// Wait for a place where there is nothing to shed.
const FOR_A_PLACE: Duration = Duration::from_millis(50);

/// Whoever lets us wait less long is not ended for it, however many requests are in flight: answers take their way.
const PROMPT: Duration = Duration::from_millis(500);

/// The log says at most so often that connections are shed.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Open connections of all listeners.
pub(super) static OPEN: Gauge = Gauge::new();

/// All open connections of a listener.
pub(super) struct Connections {
    most: usize,
    began: Instant,
    open: Mutex<Open>,
    /// What is in flight on all of them.
    in_flight: Arc<InFlight>,
    /// One has ended.
    left: Notify,
    shed: AtomicU64,
}

#[derive(Default)]
struct Open {
    lines: HashMap<u64, Arc<Line>>,
    next: u64,
    /// Told to go for a newcomer, and still open.
    going: usize,
    /// The longest waiting at the last look at all, the longest first: idle ones, or else those that wait for their
    /// client. Whoever was active since waits shorter than all of them.
    chosen: VecDeque<(Arc<Line>, (Waits, u64))>,
}

/// A place among the open connections, until it is dropped.
pub(super) struct Place {
    connections: Arc<Connections>,
    id: u64,
    /// What happens on the connection.
    pub(super) line: Arc<Line>,
}

impl Connections {
    /// Room for so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            began: Instant::now(),
            open: Mutex::default(),
            in_flight: Arc::default(),
            left: Notify::new(),
            shed: AtomicU64::new(0),
        }
    }

    /// A place for a newcomer: where all are taken, of the longest idle; where none is idle, of whoever has let us
    /// wait longest; else the next that comes free.
    pub(super) async fn place(self: &Arc<Self>) -> Place {
        while !self.has_room() {
            let _ = tokio::time::timeout(FOR_A_PLACE, self.left.notified()).await;
        }
        let line = Arc::new(Line::new(self.began, self.in_flight.clone()));
        let mut open = self.open();
        let id = open.next;
        open.next += 1;
        open.lines.insert(id, line.clone());
        OPEN.enter();
        Place { connections: self.clone(), id, line }
    }

    fn has_room(&self) -> bool {
        let mut open = self.open();
        if open.lines.len() < self.most.saturating_add(open.going) {
            return true;
        }
        open.going < GOING && self.shed_one(&mut open)
    }

    /// Sheds the longest idle, to have its file descriptor back.
    pub(super) fn shed(&self) {
        self.shed_one(&mut self.open());
    }

    fn shed_one(&self, open: &mut Open) -> bool {
        if open.chosen.is_empty() {
            open.choose();
        }
        while let Some((line, waited)) = open.chosen.pop_front() {
            if line.ending().is_none() && line.waits() == waited {
                line.give_way(if waited.0 == Waits::Idle { Ending::Shed } else { Ending::Broken });
                open.going += 1;
                self.shed.fetch_add(1, Ordering::Relaxed);
                Figure::ConnectionShed.count();
                return true;
            }
        }
        false
    }

    /// Ends what has lasted too long, once a second, for ever.
    pub(super) async fn watch(&self) {
        let mut said = Instant::now().checked_sub(SAID_EVERY);
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {
                    self.look();
                    self.relieve(PROMPT);
                }
                () = self.in_flight.too_many() => {
                    self.relieve(PROMPT);
                    // Those that were told to go do so meanwhile.
                    tokio::time::sleep(FOR_A_PLACE).await;
                    continue;
                }
            }
            if said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
                let shed = self.shed.swap(0, Ordering::Relaxed);
                if shed > 0 {
                    said = Some(Instant::now());
                    tracing::warn!(
                        shed,
                        most = self.most,
                        "every connection is taken: the longest idle were closed"
                    );
                }
            }
        }
    }

    fn look(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let over = |lasted: u64, most: Duration| u128::from(lasted) > most.as_millis();
        for line in self.open().lines.values() {
            line.account_for(FORGIVEN);
            let lasted = line.lasted(now);
            let (how, why) = if over(lasted.stall, STALLED_FOR) {
                (Ending::Broken, "nothing was taken of an answer")
            } else if over(lasted.head, HEADERS_WITHIN) {
                (Ending::Broken, "no request came to the end of its head")
            } else if over(lasted.shedding, GOODBYE) {
                (Ending::Broken, "it was told to go")
            } else if over(lasted.idle, IDLE_FOR) {
                (Ending::Shed, "nothing was asked")
            } else {
                continue;
            };
            if line.end(how) {
                tracing::debug!(why, "a connection was ended");
            }
        }
    }

    /// Where too many requests on streams are in flight: ends those connections that keep theirs waiting, by a window
    /// that stays shut or a body that does not come, the longest waiting first. Never one that waits for us, or whom we
    /// wait for less than `least`.
    fn relieve(&self, least: Duration) {
        let long_ago = self.began.elapsed().saturating_sub(least).as_millis();
        let open = self.open();
        let lines = open.lines.values().filter(|line| line.ending() != Some(Ending::Broken));
        let mut busy: Vec<_> = lines.map(|line| (line.streams(), line.waits(), line)).collect();
        let mut beyond = InFlight::beyond(busy.iter().map(|(streams, ..)| streams).sum());
        busy.retain(|(streams, (waits, since), _)| {
            *streams > 0 && *waits == Waits::ForClient && u128::from(*since) <= long_ago.saturating_add(1)
        });
        busy.sort_unstable_by_key(|(_, waited, _)| *waited);
        for (streams, _, line) in busy {
            if beyond == 0 {
                break;
            }
            line.end(Ending::Broken);
            beyond = beyond.saturating_sub(streams);
        }
    }

    /// Ends every connection, in this way.
    pub(super) fn end_all(&self, how: Ending) {
        for line in self.open().lines.values() {
            line.end(how);
        }
    }

    /// Comes back when none is open.
    pub(super) async fn all_left(&self) {
        while !self.open().lines.is_empty() {
            let _ = tokio::time::timeout(FOR_A_PLACE, self.left.notified()).await;
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Looks at all and chooses the longest waiting: one look for many newcomers.
    fn choose(&mut self) {
        let waiting = self.lines.iter().filter(|(_, line)| line.ending().is_none());
        // Of those that have waited equally long, the oldest.
        let mut waiting: Vec<_> = waiting.map(|(id, line)| ((line.waits(), id), line)).collect();
        let idle = waiting.iter().any(|(((waits, _), _), _)| *waits == Waits::Idle);
        let wanted = if idle { Waits::Idle } else { Waits::ForClient };
        waiting.retain(|(((waits, _), _), _)| *waits == wanted);
        // Where none is idle now, one may be soon: looked at again earlier.
        let chosen = if idle { CHOSEN } else { CHOSEN / 16 };
        if waiting.len() > chosen {
            waiting.select_nth_unstable_by_key(chosen, |(waited, _)| *waited);
            waiting.truncate(chosen);
        }
        waiting.sort_unstable_by_key(|(waited, _)| *waited);
        self.chosen = waiting.into_iter().map(|((waited, _), line)| (line.clone(), waited)).collect();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.lines.remove(&self.id);
        OPEN.leave();
        if self.line.gives_way() {
            open.going = open.going.saturating_sub(1);
        }
        drop(open);
        self.connections.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough for another stamp.
    async fn a_moment() {
        tokio::time::sleep(Duration::from_millis(3)).await;
    }

    fn shed(places: &[Place]) -> Vec<usize> {
        let going = |(at, place): (usize, &Place)| place.line.ending().is_some().then_some(at);
        places.iter().enumerate().filter_map(going).collect()
    }

    #[tokio::test]
    async fn the_longest_idle_goes_first_and_the_busy_stay() {
        let connections = Arc::new(Connections::new(4));
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(connections.place().await);
            a_moment().await;
        }
        let busy = places[0].line.begin(false);
        drop(places[1].line.begin(false));
        a_moment().await;
        for expected in [vec![2], vec![2, 3], vec![1, 2, 3]] {
            let newcomer = connections.place().await;
            std::mem::forget(newcomer.line.begin(false));
            places.push(newcomer);
            assert_eq!(shed(&places), expected);
        }
        drop(busy);
        places.push(connections.place().await);
        assert_eq!(shed(&places), [0, 1, 2, 3]);
    }

    #[tokio::test]
    async fn where_none_is_idle_whoever_lets_us_wait_goes_and_never_one_we_owe_an_answer() {
        let connections = Arc::new(Connections::new(2));
        let places = [connections.place().await, connections.place().await];
        let _requests = [places[0].line.begin(false), places[1].line.begin(false)];
        let none = tokio::time::timeout(Duration::from_millis(150), connections.place()).await;
        assert!(none.is_err() && shed(&places).is_empty());
        places[1].line.await_body(true);
        let _newcomer = connections.place().await;
        assert_eq!(shed(&places), [1]);
    }

    #[tokio::test]
    async fn a_place_that_comes_free_is_taken_without_shedding() {
        let connections = Arc::new(Connections::new(1));
        drop(connections.place().await);
        let place = connections.place().await;
        assert_eq!(place.line.ending(), None);
        let _newcomer = connections.place().await;
        assert_eq!(place.line.ending(), Some(Ending::Shed));
        drop(place);
        assert_eq!(connections.open().going, 0);
    }

    #[tokio::test]
    async fn of_too_many_streams_those_go_that_wait_longest_for_their_client() {
        let connections = Arc::new(Connections::new(1_000));
        let mut places = Vec::new();
        for at in 0..50 {
            let place = connections.place().await;
            (0..100).for_each(|_| std::mem::forget(place.line.begin(true)));
            // At the first it is our turn.
            (0..100).filter(|_| at > 0).for_each(|_| place.line.await_body(true));
            places.push(place);
            a_moment().await;
        }
        connections.relieve(PROMPT);
        assert!(shed(&places).is_empty(), "answers take their way");
        connections.relieve(Duration::ZERO);
        assert_eq!(shed(&places), (1..21).collect::<Vec<_>>());
        connections.relieve(Duration::ZERO);
        assert_eq!(shed(&places).len(), 20, "enough have gone");
    }

    #[test]
    fn what_lasts_too_long_ends() {
        let connections = Connections::new(1);
        let past = |by: Duration| Instant::now().checked_sub(by).unwrap();
        let ends = |line: Line, began: Instant| {
            let connections = Connections { began, ..Connections::new(1) };
            let line = Arc::new(line);
            connections.open().lines.insert(0, line.clone());
            connections.look();
            line.ending()
        };
        // Fresh for its own clock, long ago for the one that looks.
        let aged = |by: u64| (Line::new(Instant::now(), Arc::default()), past(Duration::from_secs(by)));
        let (line, began) = aged(5);
        assert_eq!(ends(line, began), None);
        let (line, began) = aged(11);
        assert_eq!(ends(line, began), Some(Ending::Broken), "no head in time");
        let answered = |by: u64| {
            let (line, began) = aged(by);
            let line = Arc::new(line);
            drop(line.begin(false));
            (Arc::into_inner(line).unwrap(), began)
        };
        let (line, began) = answered(100);
        assert_eq!(ends(line, began), None, "kept for the next request");
        let (line, began) = answered(121);
        assert_eq!(ends(line, began), Some(Ending::Shed), "idle too long");
        let (line, began) = aged(31);
        let line = Arc::new(line);
        std::mem::forget(line.begin(true));
        let answer = line.answers.begin();
        connections.open().lines.insert(0, line.clone());
        connections.look();
        assert_eq!(line.ending(), None, "our turn");
        line.answers.hand_out(answer, 1, line.now());
        let late = Connections { began, ..Connections::new(1) };
        late.open().lines.insert(0, line.clone());
        late.look();
        assert_eq!(line.ending(), Some(Ending::Broken), "its window stays shut");
    }
}
