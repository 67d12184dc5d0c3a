//! How many calls each person made with each tool on each day: counted in memory, taken and stored by the app.
//!
//! Never what was asked.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ambient::Timestamp;
use crate::domain::UserId;
use crate::store::UsageRow;

/// The counts since they were last taken.
#[derive(Debug, Default)]
pub struct UsageCounters(Mutex<HashMap<UserId, Vec<Count>>>);

#[derive(Debug)]
struct Count {
    tool: &'static str,
    day: i64,
    calls: i64,
    errors: i64,
}

impl UsageCounters {
    /// Counts one call.
    pub(crate) fn count(&self, user: &UserId, tool: &'static str, failed: bool, now: Timestamp) {
        let day = now.secs().div_euclid(86_400);
        let mut people = self.lock();
        let counts = match people.get_mut(user) {
            Some(counts) => counts,
            None => people.entry(user.clone()).or_default(),
        };
        let at =
            counts.iter().position(|count| count.tool == tool && count.day == day).unwrap_or_else(|| {
                counts.push(Count { tool, day, calls: 0, errors: 0 });
                counts.len() - 1
            });
        counts[at].calls += 1;
        counts[at].errors += i64::from(failed);
    }

    /// Takes the counts out, for `Store::add_usage`.
    pub fn take(&self) -> Vec<UsageRow> {
        let people = std::mem::take(&mut *self.lock());
        people
            .into_iter()
            .flat_map(|(user, counts)| {
                counts.into_iter().map(move |count| UsageRow {
                    user: user.clone(),
                    day: date(count.day),
                    tool: count.tool.to_owned(),
                    calls: count.calls,
                    errors: count.errors,
                })
            })
            .collect()
    }

    /// One person's counts that were not taken yet.
    pub(crate) fn of(&self, user: &UserId) -> Vec<UsageRow> {
        let people = self.lock();
        let row = |count: &Count| UsageRow {
            user: user.clone(),
            day: date(count.day),
            tool: count.tool.to_owned(),
            calls: count.calls,
            errors: count.errors,
        };
        people.get(user).into_iter().flatten().map(row).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Vec<Count>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `YYYY-MM-DD` of a day counted since 1970-01-01.
fn date(day: i64) -> String {
    let mut text = Timestamp::from_secs(day.saturating_mul(86_400)).rfc3339();
    text.truncate("YYYY-MM-DD".len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_per_person_tool_and_day_and_gives_them_away_once() {
        let counters = UsageCounters::default();
        let (alice, bob) = (UserId::mint([1; 16]), UserId::mint([2; 16]));
        let evening = Timestamp::from_secs(1_795_305_599);
        counters.count(&alice, "search_tracks", false, evening);
        counters.count(&alice, "search_tracks", true, evening);
        counters.count(&alice, "search_tracks", false, Timestamp::from_secs(1_795_305_600));
        counters.count(&bob, "get_status", false, evening);
        let mut rows: Vec<_> = counters
            .take()
            .into_iter()
            .map(|row| (row.user == alice, row.day, row.tool, row.calls, row.errors))
            .collect();
        rows.sort();
        let day = "2026-11-21".to_owned();
        assert_eq!(
            rows,
            [
                (false, day.clone(), "get_status".to_owned(), 1, 0),
                (true, day, "search_tracks".to_owned(), 2, 1),
                (true, "2026-11-22".to_owned(), "search_tracks".to_owned(), 1, 0),
            ]
        );
        assert!(counters.take().is_empty());
    }
}
