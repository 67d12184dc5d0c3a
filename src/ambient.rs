//! The only place that asks the system for time or randomness, and who works at its terminal.
//!
//! Everything else takes a [`Clock`] or a [`Dice`] (or better: a [`Timestamp`] and bytes), so that decisions
//! can be tested at any instant. `clippy.toml` bans the ambient functions elsewhere.

use std::cell::RefCell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

static OPERATOR: OnceLock<String> = OnceLock::new();

/// From now on what this process records says who works with it: a command, never a server. `text` is cleaned before.
pub fn is_operated_by(text: String) {
    // Said once, before anything is recorded.
    let _said_before = OPERATOR.set(text);
}

/// Who works with this process, where it is a command.
pub fn operator() -> Option<&'static str> {
    OPERATOR.get().map(String::as_str)
}

/// An instant in whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the Unix epoch, as the database keeps them.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant and `later`, saturating.
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This instant less `earlier`, saturating.
    pub fn minus(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(earlier.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How much later `self` is than `earlier`; zero where it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339, to the millisecond; `None` where it is anything else.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        use time::format_description::well_known::Rfc3339;
        let at = time::OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Self)
    }

    /// As the date of an HTTP header, for example `Sun, 06 Nov 1994 08:49:37 GMT`; `None` for what has no such date.
    pub fn http_date(self) -> Option<String> {
        use time::format_description::well_known::Rfc2822;
        let at = time::OffsetDateTime::from_unix_timestamp(self.secs()).ok()?;
        Some(at.format(&Rfc2822).ok()?.replace("+0000", "GMT"))
    }

    /// RFC 3339 in UTC with milliseconds, for example `2026-11-21T04:00:00.000Z`. By hand, because every record of the
    /// trail has one; what has no year of four digits is its number of milliseconds.
    pub fn rfc3339(self) -> String {
        let nanos = i128::from(self.0).saturating_mul(1_000_000);
        let at = time::OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
        let Some((at, year)) = at.and_then(|at| Some((at, u16::try_from(at.year()).ok()?))) else {
            return self.0.to_string();
        };
        let mut text = String::with_capacity("2026-11-21T04:00:00.000Z".len());
        let mut digits = |number: u16, count: u32, then: char| {
            for place in (0..count).rev() {
                text.push(char::from(b'0' + (number / 10_u16.pow(place) % 10) as u8));
            }
            text.push(then);
        };
        digits(year, 4, '-');
        digits(u8::from(at.month()).into(), 2, '-');
        digits(at.day().into(), 2, 'T');
        digits(at.hour().into(), 2, ':');
        digits(at.minute().into(), 2, ':');
        digits(at.second().into(), 2, '.');
        digits(at.millisecond(), 3, 'Z');
        text
    }
}

/// Where the time comes from: the system, or a hand that a test or the sandbox moves.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Moved(Arc<AtomicI64>),
    Shifted(Arc<AtomicI64>),
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `start` until its [`Hand`] moves it.
    pub fn moved_by_hand(start: Timestamp) -> (Self, Hand) {
        let at = Arc::new(AtomicI64::new(start.millis()));
        (Self(Source::Moved(at.clone())), Hand(at))
    }

    /// The system's clock plus an offset that its [`Hand`] sets (in milliseconds, zero at first).
    pub fn shifted_by_hand() -> (Self, Hand) {
        let offset = Arc::new(AtomicI64::new(0));
        (Self(Source::Shifted(offset.clone())), Hand(offset))
    }

    /// How long the machine has been up, sleep included: nobody can set it back, as they can [`Clock::now`].
    pub fn since_boot(&self) -> Duration {
        let moved = |by: &AtomicI64| {
            Duration::from_millis(u64::try_from(by.load(Ordering::SeqCst)).unwrap_or_default())
        };
        match &self.0 {
            Source::System => system_since_boot(),
            Source::Moved(at) => moved(at),
            Source::Shifted(offset) => system_since_boot().saturating_add(moved(offset)),
        }
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Moved(at) => Timestamp(at.load(Ordering::SeqCst)),
            Source::Shifted(offset) => {
                Timestamp(system_now().0.saturating_add(offset.load(Ordering::SeqCst)))
            }
        }
    }
}

/// Moves a clock made by [`Clock::moved_by_hand`] or [`Clock::shifted_by_hand`].
#[derive(Clone)]
pub struct Hand(Arc<AtomicI64>);

impl Hand {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that may")]
fn system_now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

fn system_since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let up = rustix::time::clock_gettime(CLOCK);
    // Neither is ever negative.
    let nanos = u32::try_from(up.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(up.tv_sec).unwrap_or_default(), nanos)
}

/// Where randomness comes from: the operating system's generator.
#[derive(Clone, Default)]
pub struct Dice(());

impl Dice {
    /// The operating system's generator.
    pub fn system() -> Self {
        Self(())
    }

    /// `N` unpredictable bytes. A system without randomness cannot serve: the process ends at once.
    #[allow(clippy::disallowed_methods, reason = "the one place that may")]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        if getrandom::fill(&mut bytes).is_err() {
            std::process::abort();
        }
        bytes
    }

    /// A number from 0 up to, and without, this one. For spreading in time, never for a secret.
    pub fn below(&self, bound: u64) -> u64 {
        u64::from_be_bytes(self.bytes()) % bound.max(1)
    }

    /// 16 unpredictable bytes to name something by: a request, an event. Read from the system for many names at once,
    /// because every call takes two; each byte is given out once. Never for what must stay secret: what is read
    /// ahead waits in memory.
    pub fn name(&self) -> [u8; 16] {
        AHEAD.with(|ahead| {
            let next = ahead.borrow_mut().pop();
            next.unwrap_or_else(|| {
                let mut fresh = ahead.borrow_mut();
                *fresh = self.bytes::<{ 16 * NAMES_AHEAD }>().as_chunks().0.to_vec();
                fresh.pop().unwrap_or_else(|| self.bytes())
            })
        })
    }
}

/// So many names are read from the system at once.
const NAMES_AHEAD: usize = 32;

thread_local! {
    /// Names that nobody has had yet.
    static AHEAD: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_is_set_back_does_not_set_back_the_time_since_boot() {
        let (clock, hand) = Clock::shifted_by_hand();
        let (wall, up) = (clock.now(), clock.since_boot());
        assert!(up > Duration::ZERO);
        hand.0.store(-3_600_000, Ordering::SeqCst);
        assert!(clock.now() < wall && clock.since_boot() >= up);
        hand.advance(Duration::from_secs(7_200));
        assert!(clock.now() > wall && clock.since_boot() >= up + Duration::from_secs(3_600));
    }

    #[test]
    fn timestamps_round_down_and_print_in_utc() {
        assert_eq!(Timestamp::from_millis(1_999).secs(), 1);
        assert_eq!(Timestamp::from_millis(-1).secs(), -1);
        for (millis, text) in [
            (1_795_233_600_000, "2026-11-21T04:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (-62_167_219_200_001, "-62167219200001"),
            (i64::MAX, "9223372036854775807"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).rfc3339(), text);
        }
        let back = Timestamp::parse_rfc3339("2026-11-21T05:00:00.007+01:00");
        assert_eq!(back, Some(Timestamp::from_millis(1_795_233_600_007)));
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
        let date = Timestamp::from_secs(784_111_777).http_date();
        assert_eq!(date.as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    }

    #[test]
    fn a_hand_moves_its_clock() {
        let (clock, hand) = Clock::moved_by_hand(Timestamp::from_secs(10));
        hand.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), Timestamp::from_secs(15));
    }

    #[test]
    fn no_name_comes_twice_whoever_asks() {
        let many = || (0..10 * NAMES_AHEAD).map(|_| Dice::system().name()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(many)).collect();
        let mut all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        all.extend(many());
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!((count, all.len()), (50 * NAMES_AHEAD, 50 * NAMES_AHEAD));
        // Unpredictable, as far as can be seen: every bit is set about every other time.
        for bit in 0..128 {
            let set = all.iter().filter(|name| name[bit / 8] >> (bit % 8) & 1 == 1).count();
            assert!((count / 4..count * 3 / 4).contains(&set), "bit {bit}: {set} of {count}");
        }
    }
}
