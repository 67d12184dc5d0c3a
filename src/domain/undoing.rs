//! What undoing a change of rows comes to, decided from what is known of the change and what is there now.
//!
//! A row that was there before the change never goes, and what comes back is what is missing. Where the two cannot be told
//! apart, the row stays. Order gives way before rows do.

use std::collections::{BTreeMap, HashMap};

use super::change::Moment;
use super::edits::{self, BATCH, Step};
use super::lists::{Difference, Joined, beside, beyond, counted, matched};

/// No change takes longer, in seconds.
const LONGEST: i64 = 600;

/// A list as it is read now.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// In order.
    pub rows: &'a [String],
    /// Since when each of them is there, by Spotify's clock in seconds.
    pub dates: &'a [Option<i64>],
    /// The list is in the very state that the change left, as Spotify names it.
    pub is_same_state: bool,
}

/// How what is there now relates to the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Nothing else happened to the rows.
    Nothing,
    /// Other things happened since.
    Others,
    /// It was broken off; so many rows are there that it does not explain.
    BrokenOff(usize),
}

impl Since {
    /// Whether only force goes on.
    pub const fn asks(self) -> bool {
        !matches!(self, Self::Nothing | Self::BrokenOff(0))
    }
}

/// What undoing comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// The rows as they should be.
    pub target: Vec<String>,
    /// How many rows that the change took out are there already.
    pub already: usize,
    /// How many rows that it put in are not there, or cannot be told from those that were.
    pub unknown: usize,
    /// What happened meanwhile.
    pub since: Since,
}

impl Undone {
    const fn to(target: Vec<String>, since: Since) -> Self {
        Self { target, already: 0, unknown: 0, since }
    }
}

/// A change of a list that was known as a whole.
#[derive(Clone, Debug)]
pub struct Rewriting {
    before: Vec<String>,
    /// What it was to become; with the position before for what was there.
    after: Vec<String>,
    from: Vec<Option<usize>>,
    since: Option<Moment>,
}

impl Rewriting {
    /// A change that made this of that, begun then.
    pub fn of(before: &[String], difference: &Difference, since: Option<Moment>) -> Self {
        let (after, from) = difference.done_to(before).into_iter().unzip();
        Self { before: before.to_vec(), after, from, since }
    }

    /// What it was to become.
    pub fn after(&self) -> &[String] {
        &self.after
    }

    /// Undoing it.
    pub fn undone(&self, now: Now<'_>, was_broken_off: bool) -> Undone {
        if now.rows == self.after {
            return Undone::to(self.before.clone(), Since::Nothing);
        }
        if was_broken_off {
            return self.completed(&self.before, now);
        }
        let since = if now.is_same_state { Since::Nothing } else { Since::Others };
        Undone { since, ..self.merged(now.rows) }
    }

    /// Going on with one that was broken off.
    pub fn gone_on(&self, now: Now<'_>) -> Undone {
        self.completed(&self.after, now)
    }

    /// The steps by which it was made.
    fn steps(&self) -> Vec<Step> {
        if self.from.iter().all(Option::is_some) {
            let mut goes = vec![true; self.before.len()];
            self.from.iter().flatten().for_each(|at| goes[*at] = false);
            return edits::removal(&self.before, &goes).map(|edit| edit.steps).unwrap_or_default();
        }
        let way = edits::restoration(&self.before, &self.after);
        way.map(|way| way.edit.steps).unwrap_or_default()
    }

    /// From anywhere in the middle to one of the ends; what the change does not explain goes behind it.
    fn completed(&self, end: &[String], now: Now<'_>) -> Undone {
        let mut known = counted(&self.before);
        for (row, copies) in counted(&self.after) {
            let held = known.entry(row).or_default();
            *held = copies.max(*held);
        }
        // A deletion that was not done leaves its rows beside those that were put back.
        let steps = self.steps();
        let mut doubled: HashMap<&str, usize> = HashMap::new();
        for row in steps.iter().flat_map(Step::comes_in) {
            *doubled.entry(row).or_default() += 1;
        }
        let is_late = |date: &Option<i64>| matches!((date, self.since), (Some(date), Some(since)) if *date >= since.earliest);
        let mut target = end.to_vec();
        let mut late = HashMap::<&str, usize>::new();
        for (row, _) in now.rows.iter().zip(now.dates).filter(|(_, date)| is_late(date)) {
            *late.entry(row).or_default() += 1;
        }
        let take = |of: &mut HashMap<&str, usize>, row: &str| match of.get_mut(row).filter(|left| **left > 0)
        {
            Some(left) => {
                *left -= 1;
                true
            }
            None => false,
        };
        for row in now.rows {
            if take(&mut known, row)
                || (late.contains_key(row.as_str()) && take(&mut doubled, row) && take(&mut late, row))
            {
                continue;
            }
            target.push(row.clone());
        }
        let strangers = target.len() - end.len();
        Undone::to(target, Since::BrokenOff(strangers))
    }

    /// What is there now without what the change put in, and with what it took out and is still missing.
    fn merged(&self, now: &[String]) -> Undone {
        let (was, became, is) = (counted(&self.before), counted(&self.after), counted(now));
        let of = |counts: &HashMap<&str, usize>, row: &str| counts.get(row).copied().unwrap_or_default();
        let stands = matched(&self.after, now);
        let mut goes = vec![false; now.len()];
        let mut out: HashMap<&str, usize> = HashMap::new();
        let (mut already, mut unknown) = (0, 0);
        for (row, copies) in &became {
            let put = copies.saturating_sub(of(&was, row));
            let goes = put.min(of(&is, row).saturating_sub(of(&was, row)));
            out.insert(row, goes);
            unknown += put - goes;
        }
        // First those that stand for what was put in, then the last ones.
        let put = self.from.iter().zip(&stands).filter(|(from, _)| from.is_none()).filter_map(|(_, at)| *at);
        for at in put.chain((0..now.len()).rev()) {
            if let Some(left) = out.get_mut(now[at].as_str()).filter(|left| **left > 0 && !goes[at]) {
                *left -= 1;
                goes[at] = true;
            }
        }
        let mut places = Vec::with_capacity(now.len());
        let mut kept = Vec::with_capacity(now.len());
        for (row, goes) in now.iter().zip(&goes) {
            places.push((!goes).then_some(kept.len()));
            if !goes {
                kept.push(row.clone());
            }
        }
        let mut there = vec![None; self.before.len()];
        let mut gone = vec![true; self.before.len()];
        for (from, at) in self.from.iter().zip(&stands) {
            if let Some(from) = from {
                there[*from] = at.and_then(|at| places[at]);
                gone[*from] = false;
            }
        }
        let mut back: HashMap<&str, usize> = HashMap::new();
        for (row, copies) in &was {
            let taken = copies.saturating_sub(of(&became, row));
            let comes = taken.min(copies.saturating_sub(of(&is, row)));
            back.insert(row, comes);
            already += taken - comes;
        }
        let mut come = vec![false; self.before.len()];
        for (at, row) in self.before.iter().enumerate().filter(|(at, _)| gone[*at]) {
            if let Some(left) = back.get_mut(row.as_str()).filter(|left| **left > 0) {
                *left -= 1;
                come[at] = true;
            }
        }
        let Joined { rows, .. } = beside(&kept, &self.before, &there, &come);
        Undone { already, unknown, ..Undone::to(rows, Since::Others) }
    }
}

/// Rows that were put into a list which was not known as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Addition<'a> {
    /// From this position on.
    pub at: usize,
    /// What was to be added, in order.
    pub rows: &'a [String],
    /// How many of them certainly were.
    pub certain: usize,
    /// Whether more of them may be there.
    pub is_open: bool,
    /// How many rows there were before.
    pub total: Option<usize>,
    /// Which of them were there before, and how often; `None` where that is not known.
    pub there: Option<&'a BTreeMap<String, u32>>,
    /// When it was begun.
    pub since: Option<Moment>,
    /// When it was completed.
    pub until: Option<Moment>,
}

impl Addition<'_> {
    /// Undoing it.
    pub fn undone(&self, now: Now<'_>) -> Undone {
        let (goes, since) = match self.left(now) {
            Some(added) => {
                ((0..now.rows.len()).map(|at| self.is_within(at, added)).collect(), Since::Nothing)
            }
            None => (self.own(now), Since::Others),
        };
        let goes: Vec<bool> = goes;
        let stay =
            now.rows.iter().zip(&goes).filter(|(_, goes)| !**goes).map(|(row, _)| row.clone()).collect();
        let gone = goes.iter().filter(|goes| **goes).count();
        Undone { unknown: self.certain.saturating_sub(gone), ..Undone::to(stay, since) }
    }

    const fn is_within(&self, at: usize, added: usize) -> bool {
        at >= self.at && at - self.at < added
    }

    /// How many rows are there exactly as the change left them, where the list has no row more or less than it left.
    fn left(&self, now: Now<'_>) -> Option<usize> {
        let before = match self.total {
            Some(total) => total,
            None if now.is_same_state => now.rows.len().checked_sub(self.certain)?,
            None => return None,
        };
        let added = now.rows.len().checked_sub(before)?;
        let possible = added == self.certain
            // A write is done as a whole.
            || (self.is_open && added > self.certain && (added.is_multiple_of(BATCH) || added == self.rows.len()));
        let rows = self.rows.get(..added).filter(|_| possible)?;
        let there = self.at..self.at.checked_add(added)?;
        let are_own = now.dates.get(there.clone())?.iter().all(|date| self.may_be_own(*date));
        let counts = counted(now.rows);
        let enough = |row: &String, copies: &usize| {
            let before = self.before(row).unwrap_or_default();
            counts.get(row.as_str()).is_some_and(|is| *is >= before + copies)
        };
        let all = counted(rows).iter().all(|(row, copies)| enough(&(*row).to_owned(), copies));
        (now.rows.get(there) == Some(rows) && are_own && all).then_some(added)
    }

    /// How often a row was there before, where that is known.
    fn before(&self, row: &str) -> Option<usize> {
        self.there.map(|there| there.get(row).map_or(0, |copies| *copies as usize))
    }

    /// Whether a row may have come by the change: what it has put in keeps its date, and what was put in again by another
    /// change has a later one.
    fn may_be_own(&self, date: Option<i64>) -> bool {
        let (Some(date), Some(since)) = (date, self.since) else { return true };
        date >= since.earliest && (self.there.is_some() || date <= self.ended(since))
    }

    /// Whether a row certainly was not there before, as far as dates tell.
    fn is_own(&self, date: Option<i64>) -> bool {
        matches!((date, self.since), (Some(date), Some(since)) if date > since.latest && date <= self.ended(since))
    }

    const fn ended(&self, since: Moment) -> i64 {
        match self.until {
            Some(until) => until.latest,
            None => since.latest + LONGEST,
        }
    }

    /// The rows that are certain to be its own: at most as many as were certainly added, and none that may have been
    /// there before. Of those that may have been added only what stands in its place.
    fn own(&self, now: Now<'_>) -> Vec<bool> {
        let mut goes = vec![false; now.rows.len()];
        let is = counted(now.rows);
        // So many copies are more than there were before.
        let more = |row: &str| match self.before(row) {
            Some(before) => is.get(row).map_or(0, |is| is.saturating_sub(before)),
            None => usize::MAX,
        };
        let mut spare: HashMap<&str, usize> = self.rows.iter().map(|row| (row.as_str(), more(row))).collect();
        let mut certain = counted(&self.rows[..self.certain]);
        let stands = |at: usize| {
            let place = at.checked_sub(self.at)?;
            (self.rows.get(place) == Some(&now.rows[at])).then_some(place)
        };
        let dated = |at: usize| match (now.dates[at], self.since) {
            (Some(_), Some(_)) => self.may_be_own(now.dates[at]),
            _ => self.there.is_some(),
        };
        let in_place = |at: &usize| stands(*at).is_some_and(|place| place < self.certain) && dated(*at);
        // Then where it was put, and behind it; then whatever was moved in front of it.
        let from = self.at.min(now.rows.len());
        let elsewhere = |at: &usize| {
            let date = now.dates[*at];
            if self.there.is_some() { self.may_be_own(date) } else { self.is_own(date) }
        };
        let places = (0..now.rows.len()).filter(in_place);
        let places = places.chain((from..now.rows.len()).chain(0..from).filter(elsewhere));
        for at in places {
            let row = now.rows[at].as_str();
            if let (Some(certain), Some(spare)) = (certain.get_mut(row), spare.get_mut(row))
                && *certain > 0
                && *spare > 0
                && !goes[at]
            {
                (*certain, *spare, goes[at]) = (*certain - 1, *spare - 1, true);
            }
        }
        if self.is_open {
            let rest = from.saturating_add(self.certain)..now.rows.len();
            for at in rest.take_while(|at| stands(*at).is_some()).filter(elsewhere) {
                if let Some(spare) = spare.get_mut(now.rows[at].as_str()).filter(|spare| **spare > 0)
                    && !goes[at]
                {
                    (*spare, goes[at]) = (*spare - 1, true);
                }
            }
        }
        goes
    }
}

/// Rows that were moved.
#[derive(Clone, Copy, Debug)]
pub struct Moving<'a> {
    /// Those rows, in order.
    pub rows: &'a [String],
    /// Where they came to stand.
    pub at: usize,
    /// Where they stood.
    pub from: usize,
    /// What stood before them, the nearest first; not all of it.
    pub neighbours: &'a [String],
}

/// A range that moves to before a row, as Spotify wants it told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub start: usize,
    /// Before which row it goes.
    pub before: usize,
}

impl Moving<'_> {
    /// Moving them back in a list that has changed since: to behind the nearest neighbour that they had. `None` where it is
    /// not known which rows they are.
    pub fn back(&self, now: &[String]) -> Option<Range> {
        let length = self.rows.len();
        let stand_at = |at: &usize| now.get(*at..*at + length) == Some(self.rows);
        let start = match Some(self.at).filter(stand_at) {
            Some(at) => at,
            None => {
                let mut places = (0..now.len()).filter(stand_at);
                places.next().filter(|_| places.next().is_none())?
            }
        };
        let outside = |at: &usize| !(start..start + length).contains(at);
        let place = |row: &String| (0..now.len()).rev().filter(outside).find(|at| now[*at] == *row);
        let before = match self.neighbours.iter().find_map(place) {
            Some(at) => at + 1,
            None if self.from == 0 => 0,
            None => self.from.min(now.len()),
        };
        Some(Range { start, before })
    }
}

impl Range {
    /// Whether so many rows come to stand elsewhere.
    pub const fn moves(self, length: usize) -> bool {
        self.before < self.start || self.before > self.start + length
    }
}

/// What came and what went between two lists.
pub fn came_and_went(left: &[String], now: &[String]) -> (usize, usize) {
    (beyond(now, left).len(), beyond(left, now).len())
}

#[cfg(test)]
mod tests;
