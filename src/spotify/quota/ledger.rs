//! Who made how many calls in the last day, of one bucket of one developer account's quota, and how large the quota
//! seems to be. Kept by the hour; bounded in people. Never knows who anybody is: payers are opaque.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::ambient::Timestamp;
use crate::domain::share::is_fair;

/// The window of Spotify's daily quotas is rolling (spotify.md 1.6).
const HOURS: i64 = 24;
/// Most people counted apart in one hour; further ones count as one.
const PEOPLE: usize = 1_000;
/// How long it is believed that a quota is as large as it was when it ran out, and how long calls are counted with
/// other servers since it ran out.
pub const BELIEVED: Duration = Duration::from_secs(14 * 86_400);
/// How long calls must have been counted before their number says how large a quota is: the whole window.
const WINDOW: Duration = Duration::from_secs(86_400);

/// What it taught that a quota ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// How many calls fit into a day; `None` where they are counted only since then: nobody knows what was used before.
    pub size: Option<u64>,
    /// When it ran out.
    pub at: Timestamp,
}

/// Calls by hour and payer.
#[derive(Default)]
pub(super) struct Ledger {
    hours: VecDeque<(i64, HashMap<Arc<str>, Calls>)>,
    /// What it taught that it ran out.
    learned: Option<Lesson>,
    /// How many calls fit into a day as far as the operator knows, where nothing was learned.
    assumed: Option<u64>,
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
    /// One that counts from the start, where the operator says how many calls fit into a day.
    pub(super) fn assuming(assumed: Option<u64>) -> Self {
        Self { assumed, ..Self::default() }
    }

    /// Whether a call of this payer is fair now, beside whoever called in the last day and these, who all have a share.
    pub(super) fn is_fair(&mut self, payer: &str, people: &[Arc<str>], now: Timestamp) -> bool {
        self.forget(now);
        let Some(size) = self.size(now) else { return true };
        let mut had: HashMap<&str, u64> = people.iter().take(PEOPLE).map(|who| (&**who, 0)).collect();
        for (who, calls) in self.hours.iter().flat_map(|(_, people)| people) {
            *had.entry(who).or_default() += calls.all;
        }
        let mine = had.remove(payer).unwrap_or_default();
        let others: Vec<u64> = had.into_values().collect();
        is_fair(mine, &others, Some(size))
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

    /// How large the quota is, as far as that was learned, or else is assumed. Where as much has been had, it may be larger: nothing is held
    /// back any more, and Spotify says when it has run out.
    pub(super) fn size(&self, now: Timestamp) -> Option<u64> {
        let size = self.lesson(now).and_then(|lesson| lesson.size).or(self.assumed);
        size.filter(|size| self.all() < *size)
    }

    /// Whether calls are counted together with other servers: it ran out lately, or the operator says what fits.
    pub(super) fn is_watched(&self, now: Timestamp) -> bool {
        self.assumed.is_some() || self.lesson(now).is_some()
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
        self.closed_until = self.closed_until.max(closed_until);
        if self.learned.map(|lesson| lesson.at) < learned.map(|lesson| lesson.at) {
            self.learned = learned;
        }
    }

    /// The calls that are to be stored, which count as stored from now on. Where nothing has run out lately, none are.
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
        assert_eq!(ledger.size(next), Some(100));
        (0..50).for_each(|_| ledger.count(&ada, next));
        ledger.count(&ben, next);
        assert!(!ledger.is_fair("ada", &[], next) && ledger.is_fair("ben", &[], next));
        assert!(ledger.is_fair("eve", &[], next), "whoever comes now has a share too");
        // It was not that small after all.
        (0..49).for_each(|_| ledger.count(&ben, next));
        assert_eq!(ledger.size(next), None);
        assert!(ledger.is_fair("ada", &[], next), "as much was had, and Spotify says no more when it does");
        assert_eq!(ledger.size(later(24 * 16)), None, "what was learned is not believed for ever");
    }

    #[test]
    fn whoever_is_there_has_a_share_before_the_first_call() {
        let ada: Arc<str> = "ada".into();
        let mut ledger = learned();
        let next = later(49);
        let people: Vec<Arc<str>> = ["ada", "ben", "eve", "kim"].map(Arc::from).into();
        while ledger.is_fair("ada", &people, next) {
            ledger.count(&ada, next);
        }
        assert_eq!(ledger.all(), 25);
        assert!(people[1..].iter().all(|who| ledger.is_fair(who, &people, next)));
        while ledger.is_fair("ada", &[], next) {
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
        let mut ledger = Ledger::assuming(Some(40));
        let people: Vec<Arc<str>> = ["ada", "ben"].map(Arc::from).into();
        while ledger.is_fair("ada", &people, NOON) {
            ledger.count(&ada, NOON);
        }
        assert_eq!(ledger.all(), 20);
        assert_eq!(ledger.take_unstored(NOON).len(), 1, "counted from the start");
        ledger.ran_out(later(1), NOON);
        assert_eq!(ledger.size(NOON), Some(40), "nobody knows what was used before");
        ledger.ran_out(later(48), later(24));
        ledger.forget(later(48));
        assert_eq!(ledger.learned().and_then(|lesson| lesson.size), Some(0));
        assert_eq!(ledger.size(later(48)), None, "less than nothing is no size");
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
                assert!(ledger.is_fair("ada", &[], later(hours)));
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
