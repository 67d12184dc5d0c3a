//! Who made how many calls in the last day, of one bucket of one developer account's quota, and how large the quota
//! seems to be. Kept by the hour; bounded in people. Never knows who anybody is: payers are opaque.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::ambient::Timestamp;
use crate::domain::share::{is_fair, is_fair_beyond};

/// The window of Spotify's daily quotas is rolling (spotify.md 1.6).
const HOURS: i64 = 24;
/// Most people counted apart in one hour; further ones count as one.
const PEOPLE: usize = 1_000;
/// How long it is believed that a quota is as large as it was when it ran out, and how long calls are counted with
/// other servers since it ran out.
pub const BELIEVED: Duration = Duration::from_secs(14 * 86_400);
/// How long calls must have been counted before their number says how large a quota is: the whole window.
const WINDOW: Duration = Duration::from_secs(86_400);

/// In so many parts of a share its calls become known to all servers.
const PARTS: u64 = 8;

/// What it taught that a quota ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// How many calls fit into a day; `None` where they are counted only since then: nobody knows what was used before.
    pub size: Option<u64>,
    /// When it ran out.
    pub at: Timestamp,
}

/// What is taken for granted of a quota of which nothing was learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Assumed {
    /// Nothing: nobody is held back.
    #[default]
    Nothing,
    /// So many calls fit into a day, as far as the operator knows.
    All {
        /// So many.
        size: u64,
        /// What was learned counts from this on.
        least: u64,
    },
    /// So many calls in a day leave enough to others, whoever makes them; one alone leaves nothing to anybody.
    Each(u64),
}

/// How large a quota is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// So many calls fit into a day.
    pub calls: u64,
    /// When that was learned; `None`: the operator says so.
    pub learned: Option<Timestamp>,
}

/// How one person stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// How many calls they made in the last day.
    pub made: u64,
    /// How many are theirs in a day, where others have a share as well and the size is known or assumed.
    pub share: Option<u64>,
}

/// Calls by hour and payer.
#[derive(Default)]
pub(super) struct Ledger {
    hours: VecDeque<(i64, HashMap<Arc<str>, Calls>)>,
    /// What it taught that it ran out.
    learned: Option<Lesson>,
    /// What is taken for granted where nothing was learned.
    assumed: Assumed,
    /// Until when Spotify wants no more.
    pub(super) closed_until: Option<Timestamp>,
}

/// Calls of one person in one hour.
#[derive(Clone, Copy, Default)]
struct Calls {
    /// As far as is known, other servers' too.
    all: u64,
    /// Of these, what this server counted and did not store yet.
    unstored: u64,
}

/// Calls of one person in one hour, to store or as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourOfCalls {
    /// Hours since 1970.
    pub hour: i64,
    /// Who.
    pub payer: Arc<str>,
    /// How many.
    pub calls: u64,
}

impl Ledger {
    /// One that counts from the start, where anything is taken for granted.
    pub(super) fn assuming(assumed: Assumed) -> Self {
        Self { assumed, ..Self::default() }
    }

    /// Whether so many calls of this payer are fair now, beside whoever called in the last day and these, who all have a
    /// share.
    pub(super) fn is_fair(
        &mut self,
        (payer, calls): (&str, u64),
        people: &[Arc<str>],
        now: Timestamp,
    ) -> bool {
        self.forget(now);
        let is_careful = |each| self.made_by(payer).saturating_add(calls) <= each;
        match (self.known(now), self.assumed) {
            (None, Assumed::Each(each)) if is_careful(each) => return true,
            (None, Assumed::Nothing) => return true,
            _ => {}
        }
        let (mine, others) = self.had(payer, people);
        let mine = mine.saturating_add(calls).saturating_sub(1);
        let size = self.size_for(others.len(), now);
        match size {
            // It may be larger: Spotify says when it has run out.
            Some(size) if self.all() >= size => is_fair_beyond(mine, &others, share_of(size, &others)),
            size => is_fair(mine, &others, size),
        }
    }

    /// How a payer stands beside these and whoever called in the last day.
    pub(super) fn used(&mut self, payer: &str, people: &[Arc<str>], now: Timestamp) -> Used {
        self.forget(now);
        let (made, others) = self.had(payer, people);
        let size = self.size_for(others.len(), now).filter(|_| !others.is_empty());
        Used { made, share: size.map(|size| share_of(size, &others)) }
    }

    /// When the first calls of a payer that count now are a day old.
    pub(super) fn frees_at(&self, payer: &str, now: Timestamp) -> Timestamp {
        let first = self.hours.iter().find(|(_, people)| people.contains_key(payer));
        let hour = first.map_or_else(|| hour(now) - HOURS + 1, |(hour, _)| *hour);
        Timestamp::from_secs((hour + HOURS).saturating_mul(3_600))
    }

    /// What this payer had in the last day, and everybody else.
    fn had(&self, payer: &str, people: &[Arc<str>]) -> (u64, Vec<u64>) {
        let mut had: HashMap<&str, u64> = people.iter().take(PEOPLE).map(|who| (&**who, 0)).collect();
        for (who, calls) in self.hours.iter().flat_map(|(_, people)| people) {
            *had.entry(who).or_default() += calls.all;
        }
        let mine = had.remove(payer).unwrap_or_default();
        (mine, had.into_values().collect())
    }

    fn made_by(&self, payer: &str) -> u64 {
        self.hours.iter().filter_map(|(_, people)| people.get(payer)).map(|calls| calls.all).sum()
    }

    /// Counts a call.
    pub(super) fn count(&mut self, payer: &Arc<str>, now: Timestamp) {
        let calls = self.at(hour(now), payer);
        calls.all += 1;
        calls.unstored += 1;
    }

    /// Spotify wants no more until then: the quota is as large as what was used, where all of a day's calls were counted.
    /// Else counting begins, on every server.
    pub(super) fn ran_out(&mut self, until: Timestamp, now: Timestamp) {
        self.forget(now);
        self.learned = Some(match self.lesson(now) {
            Some(Lesson { size: None, at }) if now.since(at) < WINDOW => Lesson { size: None, at },
            Some(_) => Lesson { size: Some(self.all()), at: now },
            None => Lesson { size: None, at: now },
        });
        self.closed_until = self.closed_until.max(Some(until));
    }

    /// How large the quota is for a person beside so many others, as far as that was learned, or else is assumed.
    fn size_for(&self, others: usize, now: Timestamp) -> Option<u64> {
        match (self.known(now), self.assumed) {
            (None, Assumed::Each(each)) if others > 0 => Some(each.saturating_mul(others as u64 + 1)),
            (known, _) => known,
        }
    }

    fn known(&self, now: Timestamp) -> Option<u64> {
        self.size(now).map(|size| size.calls)
    }

    /// How large the whole quota is, as far as anybody knows.
    pub(super) fn size(&self, now: Timestamp) -> Option<Size> {
        // Less is no size: something else used the quota up that day.
        let (least, said) = match self.assumed {
            Assumed::Nothing => (0, None),
            Assumed::Each(each) => (each, None),
            Assumed::All { size, least } => (least, Some(Size { calls: size, learned: None })),
        };
        let lesson = self.lesson(now).filter(|lesson| lesson.size.is_some_and(|size| size >= least));
        let learned = lesson.and_then(|lesson| Some(Size { calls: lesson.size?, learned: Some(lesson.at) }));
        learned.or(said)
    }

    /// Whether this payer has made another part of what so many people may have since their calls were stored: then all
    /// servers should know, and this one who else is there.
    pub(super) fn is_news(&self, payer: &str, people: usize, now: Timestamp) -> bool {
        let share = match (self.known(now), self.assumed) {
            (Some(size), _) => size / people.max(1) as u64,
            (None, Assumed::Each(each)) => each,
            (None, Assumed::Nothing | Assumed::All { .. }) => return false,
        };
        let unstored =
            self.hours.back().and_then(|(_, people)| people.get(payer)).map(|calls| calls.unstored);
        unstored.is_some_and(|calls| calls.is_multiple_of((share / PARTS).max(1)))
    }

    /// How much longer Spotify wants no more.
    pub(super) fn closed_for(&self, now: Timestamp) -> Option<Duration> {
        self.closed_until.map(|until| until.since(now)).filter(|wait| !wait.is_zero())
    }

    /// Whether calls are counted together with other servers: it ran out lately, or something is taken for granted.
    pub(super) fn is_watched(&self, now: Timestamp) -> bool {
        self.assumed != Assumed::Nothing || self.lesson(now).is_some()
    }

    fn lesson(&self, now: Timestamp) -> Option<Lesson> {
        self.learned.filter(|lesson| now.since(lesson.at) < BELIEVED)
    }

    /// What was learned, to be stored.
    pub(super) const fn learned(&self) -> Option<Lesson> {
        self.learned
    }

    /// What was stored.
    pub(super) fn recall(&mut self, closed_until: Option<Timestamp>, learned: Option<Lesson>) {
        self.closed_until = match closed_until {
            Some(REOPENED) => None,
            stored => self.closed_until.max(stored),
        };
        if self.learned.map(|lesson| lesson.at) < learned.map(|lesson| lesson.at) {
            self.learned = learned;
        }
    }

    /// The calls that are to be stored, which count as stored from now on. Where nothing has run out lately and nothing is
    /// taken for granted, none are.
    pub(super) fn take_unstored(&mut self, now: Timestamp) -> Vec<HourOfCalls> {
        self.forget(now);
        if !self.is_watched(now) {
            return Vec::new();
        }
        let mut taken = Vec::new();
        for (hour, people) in &mut self.hours {
            for (payer, calls) in people.iter_mut().filter(|(_, calls)| calls.unstored > 0) {
                let calls = std::mem::take(&mut calls.unstored);
                taken.push(HourOfCalls { hour: *hour, payer: payer.clone(), calls });
            }
        }
        taken
    }

    /// What all servers have stored, in place of what this one knew.
    pub(super) fn recall_calls(&mut self, stored: &[HourOfCalls]) {
        for (_, people) in &mut self.hours {
            people.values_mut().for_each(|calls| calls.all = calls.unstored);
        }
        for known in stored {
            self.at(known.hour, &known.payer).all += known.calls;
        }
    }

    fn at(&mut self, hour: i64, payer: &Arc<str>) -> &mut Calls {
        let at = self.hours.partition_point(|(known, _)| *known < hour);
        if self.hours.get(at).is_none_or(|(known, _)| *known != hour) {
            self.hours.insert(at, (hour, HashMap::new()));
        }
        let people = &mut self.hours[at].1;
        let payer =
            if people.len() < PEOPLE || people.contains_key(payer) { payer.clone() } else { "".into() };
        people.entry(payer).or_default()
    }

    fn all(&self) -> u64 {
        self.hours.iter().flat_map(|(_, people)| people.values()).map(|calls| calls.all).sum()
    }

    fn forget(&mut self, now: Timestamp) {
        let first = hour(now) - HOURS + 1;
        while self.hours.front().is_some_and(|(hour, _)| *hour < first) {
            self.hours.pop_front();
        }
    }
}

fn share_of(size: u64, others: &[u64]) -> u64 {
    size / (others.len() as u64 + 1)
}

/// Until when a quota is stored as closed that an operator has opened again.
const REOPENED: Timestamp = Timestamp::from_secs(0);

/// Hours since 1970.
pub(super) fn hour(now: Timestamp) -> i64 {
    now.secs().div_euclid(3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_795_262_400);

    fn later(hours: u64) -> Timestamp {
        NOON.plus(Duration::from_secs(hours * 3600))
    }

    fn is_fair(ledger: &mut Ledger, payer: &str, people: &[Arc<str>], now: Timestamp) -> bool {
        ledger.is_fair((payer, 1), people, now)
    }

    fn size(ledger: &Ledger, now: Timestamp) -> Option<u64> {
        ledger.size_for(1, now)
    }

    const fn said(size: u64) -> Assumed {
        Assumed::All { size, least: size / 4 }
    }

    /// That ran out at noon for the first time, and of which 100 calls of a day later were had when it did again.
    fn learned() -> Ledger {
        let (ada, ben): (Arc<str>, Arc<str>) = ("ada".into(), "ben".into());
        let mut ledger = Ledger::default();
        (0..7).for_each(|_| ledger.count(&ada, NOON));
        ledger.ran_out(later(24), NOON);
        (0..90).for_each(|_| ledger.count(&ada, later(24)));
        (0..10).for_each(|_| ledger.count(&ben, later(24)));
        ledger.ran_out(later(48), later(25));
        ledger
    }

    #[test]
    fn nothing_is_unfair_until_the_size_is_known_and_then_shares_are_equal() {
        let (ada, ben): (Arc<str>, Arc<str>) = ("ada".into(), "ben".into());
        let mut ledger = learned();
        // A day later everything has been forgotten but the size.
        let next = later(49);
        ledger.forget(next);
        assert_eq!(size(&ledger, next), Some(100));
        (0..50).for_each(|_| ledger.count(&ada, next));
        ledger.count(&ben, next);
        assert!(!is_fair(&mut ledger, "ada", &[], next) && is_fair(&mut ledger, "ben", &[], next));
        assert!(is_fair(&mut ledger, "eve", &[], next), "whoever comes now has a share too");
        // It was not that small after all.
        (0..49).for_each(|_| ledger.count(&ben, next));
        assert!(
            is_fair(&mut ledger, "ada", &[], next),
            "as much was had, and Spotify says no more when it does"
        );
        while is_fair(&mut ledger, "ada", &[], next) {
            ledger.count(&ada, next);
        }
        assert_eq!(
            ledger.used("ada", &[], next),
            Used { made: 100, share: Some(50) },
            "a share ahead of ben"
        );
        assert!(is_fair(&mut ledger, "ben", &[], next), "who stopped goes on");
        assert_eq!(size(&ledger, later(24 * 16)), None, "what was learned is not believed for ever");
    }

    #[test]
    fn whoever_is_there_has_a_share_before_the_first_call() {
        let ada: Arc<str> = "ada".into();
        let mut ledger = learned();
        let next = later(49);
        let people: Vec<Arc<str>> = ["ada", "ben", "eve", "kim"].map(Arc::from).into();
        while is_fair(&mut ledger, "ada", &people, next) {
            ledger.count(&ada, next);
        }
        assert_eq!(ledger.all(), 25);
        assert!(people[1..].iter().all(|who| is_fair(&mut ledger, who, &people, next)));
        while is_fair(&mut ledger, "ada", &[], next) {
            ledger.count(&ada, next);
            assert!(ledger.all() <= 100, "alone she may have all of it, and then Spotify is asked");
            if ledger.all() == 100 {
                break;
            }
        }
        assert_eq!(ledger.all(), 100);
    }

    #[test]
    fn what_the_operator_knows_counts_until_it_is_known_better() {
        let ada: Arc<str> = "ada".into();
        let mut ledger = Ledger::assuming(said(40));
        let people: Vec<Arc<str>> = ["ada", "ben"].map(Arc::from).into();
        while is_fair(&mut ledger, "ada", &people, NOON) {
            ledger.count(&ada, NOON);
        }
        assert_eq!(ledger.all(), 20);
        assert_eq!(ledger.take_unstored(NOON).len(), 1, "counted from the start");
        ledger.ran_out(later(1), NOON);
        assert_eq!(size(&ledger, NOON), Some(40), "nobody knows what was used before");
        ledger.ran_out(later(48), later(24));
        ledger.forget(later(48));
        assert_eq!(ledger.learned().and_then(|lesson| lesson.size), Some(0));
        assert_eq!(size(&ledger, later(48)), Some(40), "so few is no size: something else used it up");
        ledger.learned = Some(Lesson { size: Some(10), at: later(24) });
        assert_eq!(size(&ledger, later(48)), Some(10), "a fourth of it is");
        ledger.recall(Some(REOPENED), Some(Lesson { size: None, at: later(47) }));
        assert_eq!(size(&ledger, later(48)), Some(40), "the operator has had it forgotten");
    }

    #[test]
    fn until_a_size_is_known_one_of_several_has_a_careful_budget_and_one_alone_has_none() {
        let (ada, ben): (Arc<str>, Arc<str>) = ("ada".into(), "ben".into());
        let mut ledger = Ledger::assuming(Assumed::Each(10));
        let both = [ada.clone(), ben.clone()];
        (0..30).for_each(|_| {
            assert!(is_fair(&mut ledger, "ada", &[], NOON), "nobody else is there");
            ledger.count(&ada, NOON);
        });
        assert_eq!(ledger.used("ada", &[], NOON), Used { made: 30, share: None });
        assert!(is_fair(&mut ledger, "ada", &both, NOON), "so much was had that there may be more");

        let mut ledger = Ledger::assuming(Assumed::Each(10));
        assert!(ledger.is_fair(("ada", 10), &both, NOON) && !ledger.is_fair(("ada", 11), &both, NOON));
        assert!(ledger.is_fair(("ada", 500), &[], NOON));
        while is_fair(&mut ledger, "ada", &both, NOON) {
            ledger.count(&ada, NOON);
        }
        assert_eq!(ledger.used("ada", &both, NOON), Used { made: 10, share: Some(10) });
        assert_eq!(ledger.frees_at("ada", later(3)), later(24));
        assert!(is_fair(&mut ledger, "ben", &both, NOON));
        ledger.recall(None, Some(Lesson { size: Some(100), at: NOON }));
        assert!(is_fair(&mut ledger, "ada", &both, NOON), "what was learned is better");
        assert_eq!(ledger.used("ada", &both, NOON), Used { made: 10, share: Some(50) });
        ledger.learned = Some(Lesson { size: Some(9), at: NOON });
        assert_eq!(ledger.used("ada", &both, NOON).share, Some(10), "so few is no size of a quota");
    }

    #[test]
    fn what_a_part_of_a_day_counted_is_no_size() {
        let (ada, ben): (Arc<str>, Arc<str>) = ("ada".into(), "ben".into());
        let mut ledger = Ledger::default();
        // The server has just been started, and the quota went before.
        ledger.count(&ada, NOON);
        for hours in [0, 1, 23] {
            ledger.ran_out(later(hours), later(hours));
            assert_eq!(ledger.learned(), Some(Lesson { size: None, at: NOON }));
            ledger.count(&ben, later(hours));
            (0..50).for_each(|_| {
                assert!(is_fair(&mut ledger, "ada", &[], later(hours)));
                ledger.count(&ada, later(hours));
            });
        }
        ledger.ran_out(later(48), later(24));
        let size = Some(102);
        assert_eq!(ledger.learned(), Some(Lesson { size, at: later(24) }), "those of the last 24 hours");
        // So long after that nobody counted any more.
        ledger.ran_out(later(24 * 16), later(24 * 16));
        assert_eq!(ledger.learned(), Some(Lesson { size: None, at: later(24 * 16) }));
    }

    #[test]
    fn several_servers_count_together_through_what_they_store() {
        let (ada, ben): (Arc<str>, Arc<str>) = ("ada".into(), "ben".into());
        let (mut one, mut two) = (Ledger::default(), Ledger::default());
        (0..6).for_each(|_| one.count(&ada, NOON));
        assert!(one.take_unstored(NOON).is_empty(), "where nothing ran out, nothing is stored");
        one.ran_out(later(1), NOON);
        two.recall(one.closed_until, one.learned());
        (0..3).for_each(|_| two.count(&ben, NOON));
        let mut stored = one.take_unstored(NOON);
        stored.extend(two.take_unstored(NOON));
        assert_eq!(stored.iter().map(|hour| hour.calls).sum::<u64>(), 9);
        assert!(one.take_unstored(NOON).is_empty());
        two.count(&ben, NOON);
        for ledger in [&mut one, &mut two] {
            ledger.recall_calls(&stored);
        }
        assert_eq!((one.all(), two.all()), (9, 10), "and what is not stored yet stays");
    }

    #[test]
    fn each_part_of_a_share_is_news() {
        let ada: Arc<str> = "ada".into();
        let mut ledger = Ledger::assuming(said(64));
        let mut news = 0;
        for _ in 0..32 {
            ledger.count(&ada, NOON);
            news += usize::from(ledger.is_news("ada", 2, NOON));
        }
        assert_eq!(news, 8);
        ledger.take_unstored(NOON);
        (0..4).for_each(|_| ledger.count(&ada, NOON));
        assert!(ledger.is_news("ada", 2, NOON) && !ledger.is_news("ben", 2, NOON));
        assert!(!Ledger::default().is_news("ada", 2, NOON));
    }

    #[test]
    fn people_are_bounded_and_hours_too() {
        let mut ledger = Ledger::default();
        for number in 0..3 * PEOPLE {
            ledger.count(&format!("u{number}").into(), NOON);
        }
        assert_eq!(ledger.hours[0].1.len(), PEOPLE + 1);
        for hours in 0..100 {
            ledger.count(&"ada".into(), later(hours));
            ledger.forget(later(hours));
        }
        assert_eq!(ledger.hours.len(), 24);
    }
}
