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
/// How long it is believed that a quota is as large as it was when it ran out.
pub const BELIEVED: Duration = Duration::from_secs(14 * 86_400);

/// Calls by hour and payer.
#[derive(Default)]
pub(super) struct Ledger {
    hours: VecDeque<(i64, HashMap<Arc<str>, Calls>)>,
    /// How many calls were made in a day when Spotify said that no more are, and when it said so.
    learned: Option<(u64, Timestamp)>,
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
    /// Whether a call of this payer is fair now.
    pub(super) fn is_fair(&mut self, payer: &str, now: Timestamp) -> bool {
        self.forget(now);
        let Some(size) = self.size(now) else { return true };
        let mut had: HashMap<&str, u64> = HashMap::new();
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

    /// Spotify wants no more until then: the quota is as large as what was used.
    pub(super) fn ran_out(&mut self, until: Timestamp, now: Timestamp) {
        self.forget(now);
        self.learned = Some((self.all(), now));
        self.closed_until = self.closed_until.max(Some(until));
    }

    /// How large the quota is, as far as that was learned. More than that has been had since: it is larger.
    pub(super) fn size(&self, now: Timestamp) -> Option<u64> {
        let (size, _) = self.learned.filter(|(_, at)| now.since(*at) < BELIEVED)?;
        Some(size.max(self.all() + 1))
    }

    /// What was learned, to be stored.
    pub(super) const fn learned(&self) -> Option<(u64, Timestamp)> {
        self.learned
    }

    /// What was stored.
    pub(super) fn recall(&mut self, closed_until: Option<Timestamp>, learned: Option<(u64, Timestamp)>) {
        self.closed_until = self.closed_until.max(closed_until);
        if self.learned.map(|(_, at)| at) < learned.map(|(_, at)| at) {
            self.learned = learned;
        }
    }

    /// The calls that are to be stored, which count as stored from now on. Where nothing has run out yet, none are.
    pub(super) fn take_unstored(&mut self, now: Timestamp) -> Vec<HourOfCalls> {
        self.forget(now);
        if self.size(now).is_none() {
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

    #[test]
    fn nothing_is_unfair_until_a_quota_ran_out_and_then_shares_are_equal() {
        let (ada, ben): (Arc<str>, Arc<str>) = ("ada".into(), "ben".into());
        let mut ledger = Ledger::default();
        for _ in 0..90 {
            assert!(ledger.is_fair("ada", NOON));
            ledger.count(&ada, NOON);
        }
        (0..10).for_each(|_| ledger.count(&ben, NOON));
        ledger.ran_out(later(24), NOON);
        assert_eq!(ledger.size(NOON), Some(101));
        // A day later everything has been forgotten but the size.
        let next = later(24);
        (0..50).for_each(|_| ledger.count(&ada, next));
        ledger.count(&ben, next);
        assert!(!ledger.is_fair("ada", next) && ledger.is_fair("ben", next));
        assert!(ledger.is_fair("eve", next), "whoever comes now has a share too");
        // It was not that small after all.
        (0..200).for_each(|_| ledger.count(&ben, next));
        assert_eq!(ledger.size(next), Some(252));
        assert_eq!(ledger.size(later(24 * 15)), None, "what was learned is not believed for ever");
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
