//! The rules of undoing, tried on lists with duplicates, others' changes, and steps that were not done.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::edits::{Step, is_writable};
use super::*;

const MOMENT: Moment = Moment { earliest: 1_000, latest: 1_002 };
const OLD: Option<i64> = Some(900);
const OWN: Option<i64> = Some(1_000);
const LATE: Option<i64> = Some(2_000);

fn named(letters: &str) -> Vec<String> {
    letters.chars().map(|letter| format!("spotify:track:{letter}")).collect()
}

fn letters(rows: &[String]) -> String {
    rows.iter().map(|row| row.trim_start_matches("spotify:track:")).collect()
}

fn of(counts: &HashMap<&str, usize>, row: &str) -> usize {
    counts.get(row).copied().unwrap_or_default()
}

/// Rows with the dates at which they came.
type Dated = Vec<(String, Option<i64>)>;

fn dated(rows: &[String], date: Option<i64>) -> Dated {
    rows.iter().map(|row| (row.clone(), date)).collect()
}

fn read(rows: &Dated) -> (Vec<String>, Vec<Option<i64>>) {
    rows.iter().cloned().unzip()
}

/// What the step makes of rows: those that it puts in are of now.
fn step_to(rows: &mut Dated, step: &Step) {
    match step {
        Step::Delete(names) => rows.retain(|(row, _)| !names.contains(row)),
        Step::Insert(at, names) => {
            let at = (*at).min(rows.len());
            rows.splice(at..at, dated(names, OWN));
        }
        Step::Replace(names) => *rows = dated(names, OWN),
    }
}

/// What others do: a row goes, comes, or moves to the front.
fn strangers(rows: &mut Dated, edits: &[(u8, Index, char)]) {
    for (kind, place, letter) in edits {
        match kind % 3 {
            0 if !rows.is_empty() => drop(rows.remove(place.index(rows.len()))),
            1 => rows.insert(place.index(rows.len() + 1), (format!("spotify:track:{letter}"), LATE)),
            2 if !rows.is_empty() => {
                let row = rows.remove(place.index(rows.len()));
                rows.insert(0, row);
            }
            _ => {}
        }
    }
}

fn edits() -> impl Strategy<Value = Vec<(u8, Index, char)>> {
    prop::collection::vec((any::<u8>(), any::<Index>(), prop::char::range('a', 'h')), 0..6)
}

fn marks() -> impl Strategy<Value = Vec<bool>> {
    prop::collection::vec(any::<bool>(), 24)
}

/// A removal of the marked rows, and one that puts something in as well.
fn rewritings(before: &[String], marks: &[bool], after: &[String]) -> [Rewriting; 2] {
    let out = (0..).zip(marks).take(before.len()).filter(|(_, goes)| **goes).map(|(at, _)| at).collect();
    let removal = Difference { out, put: Vec::new() };
    [removal, Difference::between(before, after)].map(|way| Rewriting::of(before, &way, Some(MOMENT)))
}

fn undone(change: &Rewriting, now: &str) -> String {
    let rows = named(now);
    let dates = vec![OLD; rows.len()];
    letters(&change.undone(Now { rows: &rows, dates: &dates, is_same_state: false }, false).target)
}

#[test]
fn what_is_missing_comes_back_behind_its_neighbour_and_nothing_twice() {
    let removal = |before: &str, out: &[u32]| {
        let way = Difference { out: out.to_vec(), put: Vec::new() };
        Rewriting::of(&named(before), &way, Some(MOMENT))
    };
    let change = removal("abcd", &[1, 3]);
    for (now, back) in [
        ("ac", "abcd"),
        ("cxy", "bcdxy"),
        ("xac", "xabcd"),
        ("ca", "cdab"),
        ("acbd", "acbd"),
        ("acb", "acdb"),
    ] {
        assert_eq!(undone(&change, now), back, "{now}");
    }
    // Of two copies one went, and the person has taken the other one too.
    assert_eq!(undone(&removal("aba", &[2]), "b"), "ba");
}

fn addition<'a>(rows: &'a [String], at: usize, total: usize) -> Addition<'a> {
    Addition {
        at,
        rows,
        certain: rows.len(),
        is_open: false,
        total: Some(total),
        there: None,
        since: Some(MOMENT),
        until: Some(MOMENT),
    }
}

fn undone_addition(change: Addition<'_>, rows: &Dated) -> (String, Since) {
    let (rows, dates) = read(rows);
    let undone = change.undone(Now { rows: &rows, dates: &dates, is_same_state: false });
    (letters(&undone.target), undone.since)
}

#[test]
fn of_an_addition_only_what_is_certain_goes() {
    let rows = named("ab");
    let there = |old: &str, new: &str| [dated(&named(old), OLD), dated(&named(new), OWN)].concat();
    // As it was left, whatever else is called so.
    assert_eq!(undone_addition(addition(&rows, 3, 3), &there("abc", "ab")), ("abc".into(), Since::Nothing));
    // Only the first is certain, and the second was there before.
    let part = Addition { certain: 1, ..addition(&rows, 3, 3) };
    assert_eq!(undone_addition(part, &there("bac", "a")), ("bac".into(), Since::Nothing));
    // Confirmed and not done.
    assert_eq!(undone_addition(addition(&rows, 3, 3), &there("abc", "")), ("abc".into(), Since::Others));
    // Lost on the way, and done; and not done, where the rows before were put in a moment ago.
    let lost = Addition { certain: 0, is_open: true, ..addition(&rows, 3, 3) };
    assert_eq!(undone_addition(lost, &there("abc", "ab")), ("abc".into(), Since::Nothing));
    assert_eq!(undone_addition(lost, &dated(&named("abc"), OWN)), ("abc".into(), Since::Nothing));
    // Moved in front by somebody: by the date, where that is certain, or where it is known what the list had.
    let mut moved = there("xbc", "");
    let wide = Moment { earliest: 1_000, latest: 1_010 };
    moved.insert(0, ("spotify:track:a".into(), Some(1_005)));
    assert_eq!(undone_addition(Addition { until: Some(wide), ..addition(&rows, 3, 3) }, &moved).0, "xbc");
    for date in [OWN, LATE] {
        // In the second in which it began, or put in again since.
        moved[0].1 = date;
        assert_eq!(undone_addition(addition(&rows, 3, 3), &moved).0, "axbc");
        let (new, known) = (BTreeMap::new(), BTreeMap::from([(named("a").remove(0), 1)]));
        assert_eq!(undone_addition(Addition { there: Some(&new), ..addition(&rows, 3, 3) }, &moved).0, "xbc");
        assert_eq!(
            undone_addition(Addition { there: Some(&known), ..addition(&rows, 3, 3) }, &moved).0,
            "axbc"
        );
    }
    // Without any clock nothing is certain but what is exactly as it was left.
    let clockless = Addition { since: None, ..addition(&rows, 1, 1) };
    assert_eq!(undone_addition(clockless, &there("c", "ab")), ("c".into(), Since::Nothing));
    assert_eq!(undone_addition(clockless, &there("c", "abx")), ("cabx".into(), Since::Others));
}

#[test]
fn what_was_moved_goes_back_to_its_neighbour_where_it_can_be_told() {
    let (rows, neighbours) = (named("cd"), named("ba"));
    let moving = Moving { rows: &rows, at: 0, from: 2, neighbours: &neighbours };
    for (now, way) in
        [("cdabe", Some((0, 4))), ("xcdabe", Some((1, 5))), ("cdae", Some((0, 3))), ("cde", Some((0, 2)))]
    {
        let back = moving.back(&named(now)).map(|range| (range.start, range.before));
        assert_eq!(back, way, "{now}");
    }
    assert_eq!(moving.back(&named("caebd")), None, "no longer together");
    assert_eq!(moving.back(&named("xcdcd")), None, "which of them?");
    assert_eq!(moving.back(&named("c")), None);
    let there = moving.back(&named("abcde")).unwrap();
    assert!(!there.moves(2));
}

proptest! {
    #[test]
    fn what_is_as_it_was_left_becomes_exactly_what_it_was(before in "[a-e]{0,20}", marks in marks(), after in "[a-e]{0,20}") {
        let (before, after) = (named(&before), named(&after));
        for change in rewritings(&before, &marks, &after) {
            let dates = vec![OLD; change.after().len()];
            let now = Now { rows: change.after(), dates: &dates, is_same_state: false };
            for was_broken_off in [false, true] {
                let undone = change.undone(now, was_broken_off);
                prop_assert_eq!(&undone.target, &before);
                prop_assert!(!undone.since.asks());
            }
            // Merging comes to the same, where only rows were taken out.
            let merged = change.merged(change.after());
            if change.from.iter().all(Option::is_some) {
                prop_assert_eq!(merged.target, before.clone());
            }
        }
    }

    #[test]
    fn what_others_did_stays_and_nothing_comes_twice(
        before in "[a-e]{0,16}", marks in marks(), after in "[a-e]{0,16}", edits in edits(),
    ) {
        let (before, after) = (named(&before), named(&after));
        for change in rewritings(&before, &marks, &after) {
            let mut now = dated(change.after(), OLD);
            strangers(&mut now, &edits);
            let (rows, dates) = read(&now);
            let undone = change.undone(Now { rows: &rows, dates: &dates, is_same_state: false }, false);
            let [was, became, is, target] = [&before, &change.after, &rows, &undone.target].map(|rows| counted(rows));
            if rows == change.after {
                continue;
            }
            for row in before.iter().chain(&rows).chain(&after) {
                let (was, became, is, target) = (of(&was, row), of(&became, row), of(&is, row), of(&target, row));
                let wanted = if became < was {
                    (is + was - became).min(was).max(is)
                } else {
                    is.saturating_sub(became - was).max(was).min(is)
                };
                prop_assert_eq!(target, wanted, "{}", row);
            }
            if change.from.iter().all(Option::is_some) {
                let mut there = undone.target.iter();
                prop_assert!(rows.iter().all(|row| there.any(|other| other == row)), "the order of the others stays");
            }
        }
    }

    #[test]
    fn from_anywhere_in_the_middle_both_ends_are_reached_and_only_strangers_ask(
        before in "[a-e]{0,16}", marks in marks(), after in "[a-e]{0,16}",
        done in 0..8_usize, not_done in 0..8_usize, others in "[x-z]{0,3}", place in any::<Index>(),
    ) {
        let (before, after) = (named(&before), named(&after));
        for change in rewritings(&before, &marks, &after) {
            let steps = change.steps();
            let mut now = dated(&before, OLD);
            for (at, step) in steps.iter().enumerate().take(done) {
                // One of them is confirmed, and not done.
                if at != not_done {
                    step_to(&mut now, step);
                }
            }
            let others = named(&others);
            let at = place.index(now.len() + 1);
            now.splice(at..at, dated(&others, LATE));
            let (rows, dates) = read(&now);
            let now = Now { rows: &rows, dates: &dates, is_same_state: false };
            for (undone, end) in [(change.undone(now, true), &before), (change.gone_on(now), &change.after)] {
                if rows == change.after && undone.target == before {
                    continue;
                }
                prop_assert_eq!(&undone.target, &[&end[..], &others].concat());
                prop_assert_eq!(undone.since, Since::BrokenOff(others.len()));
            }
        }
    }

    #[test]
    fn undoing_an_addition_never_takes_what_was_there_before(
        before in "[a-e]{0,12}", added in "[a-e]{1,12}", place in any::<Index>(), certain in any::<Index>(),
        really in any::<Index>(), is_open in any::<bool>(), edits in edits(), is_dated in any::<bool>(), is_known in any::<bool>(),
    ) {
        let (before, added) = (named(&before), named(&added));
        let at = place.index(before.len() + 1);
        let certain = certain.index(added.len() + 1);
        // What is open may have been done; what is certain may have been confirmed and not done.
        let really = if is_open && really.index(2) == 1 { added.len() } else { really.index(certain + 1) };
        let mut now: Vec<((String, Option<i64>), bool)> =
            before.iter().map(|row| ((row.clone(), if is_dated { OLD } else { None }), true)).collect();
        let own = added[..really].iter().map(|row| ((row.clone(), if is_dated { OWN } else { None }), false));
        now.splice(at..at, own);
        for (kind, place, letter) in &edits {
            match kind % 3 {
                0 if !now.is_empty() => drop(now.remove(place.index(now.len()))),
                1 => now.insert(place.index(now.len() + 1), ((format!("spotify:track:{letter}"), if is_dated { LATE } else { None }), false)),
                2 if !now.is_empty() => {
                    let row = now.remove(place.index(now.len()));
                    now.insert(0, row);
                }
                _ => {}
            }
        }
        let (rows, dates) = read(&now.iter().map(|(row, _)| row.clone()).collect());
        let copies = counted(&before);
        let there = added.iter().filter_map(|row| Some((row.clone(), u32::try_from(*copies.get(row.as_str())?).ok()?))).collect();
        let change = Addition { certain, is_open, at, there: is_known.then_some(&there), ..addition(&added, at, before.len()) };
        let undone = change.undone(Now { rows: &rows, dates: &dates, is_same_state: false });
        // Of what is neither dated nor counted, only what has just the shape that the change left can be taken for its own.
        if is_dated || is_known || undone.since == Since::Others {
            let old: Vec<_> = now.iter().filter(|(_, is_old)| *is_old).map(|((row, _), _)| row.clone()).collect();
            let (old, target, is) = (counted(&old), counted(&undone.target), counted(&rows));
            for row in &rows {
                prop_assert!(of(&target, row) >= of(&old, row), "{}", row);
                if is_known {
                    prop_assert!(of(&target, row) >= of(&copies, row).min(of(&is, row)), "{}", row);
                }
            }
        }
        let gone = rows.len() - undone.target.len();
        let most = if is_open { added.len() } else { certain };
        prop_assert!(gone <= most);
        if edits.is_empty() && (really == certain || (is_open && really == added.len())) {
            prop_assert_eq!(undone.since, Since::Nothing);
            prop_assert_eq!(undone.target, before);
        }
    }

    #[test]
    fn a_range_that_goes_back_is_the_one_that_was_moved(before in "[a-f]{1,10}", start in any::<Index>(), length in any::<Index>(), to in any::<Index>()) {
        let before = named(&before);
        let start = start.index(before.len());
        let length = 1 + length.index(before.len() - start);
        let mut now = before.clone();
        let rows: Vec<_> = now.drain(start..start + length).collect();
        let at = to.index(now.len() + 1);
        now.splice(at..at, rows.clone());
        let neighbours: Vec<_> = before[..start].iter().rev().cloned().collect();
        let moving = Moving { rows: &rows, at, from: start, neighbours: &neighbours };
        let back = moving.back(&now).unwrap();
        prop_assert_eq!(&now[back.start..back.start + length], &rows[..]);
        prop_assert!(back.before <= back.start || back.before >= back.start + length);
        prop_assert!(rows.iter().all(|row| is_writable(row)));
    }
}
