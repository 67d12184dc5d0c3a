//! How an ordered list that can only be deleted from by name becomes another one: the steps, decided beforehand.
//!
//! A delete takes every copy of a name (spotify.md 6 item 11), so that one copy is kept by putting it back where it was.
//! Never decides what a person wants; never does a step that would lose a row which cannot be written again.

use std::collections::HashSet;

use super::lists::{Joined, beside, counted, matched};

/// Most names in one step.
pub const BATCH: usize = 100;
/// So many times the steps of writing the whole list anew are spent on keeping the other rows untouched: rows that are
/// written anew lose the date at which they were added, for good.
const PATIENCE: usize = 2;
/// And so many more steps in any case, because the whole of a short list is one.
const PATIENCE_AT_LEAST: usize = 20;

/// One request that changes the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Every copy of these names goes; at most [`BATCH`].
    Delete(Vec<String>),
    /// These come in, the first one at this position; at most [`BATCH`].
    Insert(usize, Vec<String>),
    /// These take the place of everything; at most [`BATCH`], none empties the list.
    Replace(Vec<String>),
}

/// What becomes of the dates at which rows were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dates {
    /// They stay.
    Kept,
    /// This many rows are written anew and count as added now.
    Lost(usize),
}

/// A way from one list to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// In their order.
    pub steps: Vec<Step>,
    /// How many rows are written anew.
    pub rewritten: usize,
}

impl Edit {
    /// What becomes of the dates.
    pub const fn dates(&self) -> Dates {
        if self.rewritten == 0 { Dates::Kept } else { Dates::Lost(self.rewritten) }
    }
}

/// Why there is no way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    /// Rows that would have to be written anew and cannot be: local files, and rows that name nothing any more.
    #[error(
        "{0} rows would have to be written again and cannot be, because they are local files or no longer named"
    )]
    Unwritable(usize),
}

/// Whether a row can be put into a list again. An empty name is a row that names nothing any more.
pub fn is_writable(name: &str) -> bool {
    name.starts_with("spotify:track:") || name.starts_with("spotify:episode:")
}

impl Step {
    /// What the list is after this step.
    pub fn done_to(&self, rows: &mut Vec<String>) {
        match self {
            Self::Delete(names) => {
                let gone: HashSet<&String> = names.iter().collect();
                rows.retain(|row| !gone.contains(row));
            }
            Self::Insert(at, names) => {
                let at = (*at).min(rows.len());
                rows.splice(at..at, names.iter().cloned());
            }
            Self::Replace(names) => rows.clone_from(names),
        }
    }

    /// The rows that it puts in.
    pub fn comes_in(&self) -> &[String] {
        match self {
            Self::Delete(_) => &[],
            Self::Insert(_, names) | Self::Replace(names) => names,
        }
    }
}

/// The way to a list without the rows that are marked in `goes` (as long as `rows`).
///
/// # Errors
/// [`NoWay::Unwritable`].
pub fn removal(rows: &[String], goes: &[bool]) -> Result<Edit, NoWay> {
    let going = |at: usize| goes.get(at).copied().unwrap_or_default();
    let target: Vec<&String> = (0..rows.len()).filter(|at| !going(*at)).map(|at| &rows[at]).collect();
    if target.len() == rows.len() {
        return Ok(Edit { steps: Vec::new(), rewritten: 0 });
    }
    let rewritten = rewriting(&target);
    let Some(names) = names_of(rows, &going) else { return rewritten };
    let affected: HashSet<&String> = names.iter().copied().collect();
    let back: Vec<bool> = target.iter().map(|row| affected.contains(row)).collect();
    let unwritable = target.iter().zip(&back).filter(|(row, back)| **back && !is_writable(row)).count();
    if unwritable > 0 {
        return rewritten.map_err(|_| NoWay::Unwritable(unwritable));
    }
    let steps = in_portions(rows, &going, &names);
    let careful = Edit { steps, rewritten: back.iter().filter(|back| **back).count() };
    match rewritten {
        Ok(whole) if is_too_long(&careful, &whole) => Ok(whole),
        _ => Ok(careful),
    }
}

/// Whether keeping the other rows untouched takes too many steps.
fn is_too_long(careful: &Edit, whole: &Edit) -> bool {
    let steps = whole.steps.len();
    careful.steps.len() > (PATIENCE * steps).max(steps + PATIENCE_AT_LEAST)
}

/// The names of the rows that go, each once, in order; `None` where one of them has none.
fn names_of<'a>(rows: &'a [String], going: &impl Fn(usize) -> bool) -> Option<Vec<&'a String>> {
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for (_, row) in rows.iter().enumerate().filter(|(at, _)| going(*at)) {
        if row.is_empty() {
            return None;
        }
        if seen.insert(row) {
            names.push(row);
        }
    }
    Some(names)
}

/// A portion of the names goes, and what stays of it comes back before the next one goes: in between no more is away.
fn in_portions(rows: &[String], going: &impl Fn(usize) -> bool, names: &[&String]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rows: Vec<(&String, bool)> = rows.iter().enumerate().map(|(at, row)| (row, going(at))).collect();
    for portion in names.chunks(BATCH) {
        steps.push(Step::Delete(portion.iter().copied().cloned().collect()));
        let portion: HashSet<&String> = portion.iter().copied().collect();
        rows.retain(|(row, goes)| !(*goes && portion.contains(row)));
        let back: Vec<bool> = rows.iter().map(|(row, _)| portion.contains(row)).collect();
        let there: Vec<&String> = rows.iter().map(|(row, _)| *row).collect();
        steps.extend(insertions(&there, &back));
    }
    steps
}

/// The way that writes everything anew.
fn rewriting(target: &[&String]) -> Result<Edit, NoWay> {
    let unwritable = target.iter().filter(|row| !is_writable(row)).count();
    if unwritable > 0 {
        return Err(NoWay::Unwritable(unwritable));
    }
    let mut steps = Vec::new();
    for (at, chunk) in target.chunks(BATCH).enumerate() {
        let names = chunk.iter().copied().cloned().collect();
        steps.push(if at == 0 { Step::Replace(names) } else { Step::Insert(at * BATCH, names) });
    }
    if steps.is_empty() {
        steps.push(Step::Replace(Vec::new()));
    }
    Ok(Edit { steps, rewritten: target.len() })
}

/// The insertions that bring in the marked rows of `target`, from the front to the back.
fn insertions(target: &[&String], coming: &[bool]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = 0;
    while at < target.len() {
        let run = coming[at..].iter().take(BATCH).take_while(|coming| **coming).count();
        if run > 0 {
            steps.push(Step::Insert(at, target[at..at + run].iter().copied().cloned().collect()));
        }
        at += run.max(1);
    }
    steps
}

/// A way back to a list as it was, as near as can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restoration {
    /// The way.
    pub edit: Edit,
    /// Rows of the target that cannot be brought back: local files, and rows that name nothing any more.
    pub lost: usize,
    /// Rows that stay although they should go: copies of what cannot be written again.
    pub stuck: usize,
    /// Whether all rows come to stand where they should.
    pub is_in_order: bool,
}

/// The way from `rows` to `target`. Where the order stands in the way, it is given up: what is there stays, and what is
/// missing comes behind its nearest neighbour.
///
/// # Errors
/// [`NoWay::Unwritable`]: rows that are there now would be lost on the way.
pub fn restoration(rows: &[String], target: &[String]) -> Result<Restoration, NoWay> {
    // What is not there and cannot be written is given up before anything is planned.
    let mut there = counted(rows);
    let mut reachable = Vec::with_capacity(target.len());
    for row in target {
        match there.get_mut(row.as_str()).filter(|copies| **copies > 0) {
            Some(copies) => *copies -= 1,
            None if !is_writable(row) => continue,
            None => {}
        }
        reachable.push(row.clone());
    }
    let lost = target.len() - reachable.len();
    let exact = |edit| Ok(Restoration { edit, lost, stuck: 0, is_in_order: true });
    if let Some(kept) = embedded(&reachable, rows) {
        let goes: Vec<bool> = kept.iter().map(|kept| !kept).collect();
        if let Ok(edit) = removal(rows, &goes) {
            return exact(edit);
        }
    }
    let whole = rewriting(&reachable.iter().collect::<Vec<_>>());
    let cheaper = |careful: Edit| match &whole {
        Ok(whole) if is_too_long(&careful, whole) => whole.clone(),
        _ => careful,
    };
    if let Some(there) = embedded(rows, &reachable) {
        let coming: Vec<bool> = there.iter().map(|there| !there).collect();
        return exact(cheaper(coming_in(&reachable, &coming)));
    }
    let (near, edit, stuck) = nearest(rows, &reachable)?;
    if near == reachable {
        return exact(cheaper(edit));
    }
    match whole {
        Ok(whole) => exact(whole),
        Err(_) => Ok(Restoration { edit, lost, stuck, is_in_order: false }),
    }
}

fn coming_in(target: &[String], coming: &[bool]) -> Edit {
    Edit {
        steps: insertions(&target.iter().collect::<Vec<_>>(), coming),
        rewritten: coming.iter().filter(|coming| **coming).count(),
    }
}

/// The nearest list to `target` that leaves what is there in its order, the way to it, and how many rows stay that should
/// go.
fn nearest(rows: &[String], target: &[String]) -> Result<(Vec<String>, Edit, usize), NoWay> {
    let stands = matched(target, rows);
    let mut goes = vec![true; rows.len()];
    stands.iter().flatten().for_each(|at| goes[*at] = false);
    let staying: HashSet<&String> =
        rows.iter().zip(&goes).filter(|(_, goes)| !**goes).map(|(row, _)| row).collect();
    let mut stuck = 0;
    for (row, goes) in rows.iter().zip(&mut goes) {
        // A local file goes by its name, with every copy.
        if *goes && (row.is_empty() || (!is_writable(row) && staying.contains(row))) {
            (*goes, stuck) = (false, stuck + 1);
        }
    }
    let mut edit = removal(rows, &goes)?;
    let mut places = vec![None; rows.len()];
    let mut kept = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate().filter(|(at, _)| !goes[*at]) {
        places[at] = Some(kept.len());
        kept.push(row.clone());
    }
    let stands: Vec<Option<usize>> = stands.into_iter().map(|at| at.and_then(|at| places[at])).collect();
    let come: Vec<bool> = stands.iter().map(Option::is_none).collect();
    let Joined { rows: near, came } = beside(&kept, target, &stands, &come);
    let coming = coming_in(&near, &came);
    edit.steps.extend(coming.steps);
    edit.rewritten += coming.rewritten;
    Ok((near, edit, stuck))
}

/// Which of `rows` make up `part` in its order; `None` where it is not in there so.
fn embedded(part: &[String], rows: &[String]) -> Option<Vec<bool>> {
    let mut wanted = part.iter().peekable();
    let taken = rows.iter().map(|row| wanted.next_if(|wanted| *wanted == row).is_some()).collect();
    wanted.peek().is_none().then_some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(letters: &str) -> Vec<String> {
        letters
            .chars()
            .map(|c| match c {
                '_' => String::new(),
                'L' => "spotify:local:x".to_owned(),
                c => format!("spotify:track:{c}"),
            })
            .collect()
    }

    fn marks(letters: &str) -> Vec<bool> {
        letters.chars().map(|c| c == 'x').collect()
    }

    fn after(rows: &str, edit: &Edit) -> Vec<String> {
        let mut rows = named(rows);
        edit.steps.iter().for_each(|step| step.done_to(&mut rows));
        rows
    }

    #[test]
    fn one_copy_is_kept_by_putting_it_back_where_it_was() {
        let edit = removal(&named("abcab"), &marks("...xx")).unwrap();
        assert_eq!(edit.steps, [Step::Delete(named("ab")), Step::Insert(0, named("ab"))]);
        assert_eq!((after("abcab", &edit), edit.dates()), (named("abc"), Dates::Lost(2)));
        let edit = removal(&named("abcab"), &marks(".x..x")).unwrap();
        assert_eq!((edit.steps, edit.rewritten), (vec![Step::Delete(named("b"))], 0));
    }

    #[test]
    fn what_cannot_be_written_again_stands_in_the_way_only_where_it_would_be_touched() {
        // Another copy of a local file cannot be kept.
        assert_eq!(removal(&named("LaL"), &marks("x..")), Err(NoWay::Unwritable(1)));
        assert_eq!(after("LaL", &removal(&named("LaL"), &marks("x.x")).unwrap()), named("a"));
        // A row without a name goes only where all others can be written.
        assert_eq!(after("a_b", &removal(&named("a_b"), &marks(".x.")).unwrap()), named("ab"));
        assert_eq!(removal(&named("a_L"), &marks(".x.")), Err(NoWay::Unwritable(1)));
        assert_eq!(after("a_b", &removal(&named("a_b"), &marks("x..")).unwrap()), named("_b"));
    }

    #[test]
    fn many_scattered_copies_are_cheaper_written_as_a_whole() {
        let rows: Vec<String> = (0..400).map(|n| format!("spotify:track:{}", n % 200)).collect();
        // Every other one of the second half goes: hundred names, hundred places.
        let goes: Vec<bool> = (0..400).map(|n| n >= 200 && n % 2 == 0).collect();
        let edit = removal(&rows, &goes).unwrap();
        assert_eq!((edit.steps.len(), edit.rewritten), (3, 300));
        assert!(edit.steps.iter().all(|step| match step {
            Step::Delete(names) | Step::Insert(_, names) | Step::Replace(names) => names.len() <= BATCH,
        }));
    }

    #[test]
    fn a_few_copies_of_a_short_list_leave_the_dates_of_all_others() {
        let rows: Vec<String> = (0..53).map(|n| format!("spotify:track:{}", n % 50)).collect();
        let goes: Vec<bool> = (0..53).map(|n| n >= 50).collect();
        assert_eq!(removal(&rows, &goes).unwrap().rewritten, 3);
        // Apart from each other, each comes back for itself.
        let apart: Vec<bool> = (0..53).map(|n| n == 0 || n == 2).collect();
        let edit = removal(&rows, &apart).unwrap();
        assert_eq!((edit.steps.len(), edit.rewritten), (3, 2));
        let back = restoration(&rows[..50], &rows).unwrap().edit;
        assert_eq!((back.steps.len(), back.rewritten), (1, 3));
    }

    #[test]
    fn no_more_than_one_portion_is_away_at_any_time() {
        let rows: Vec<String> = (0..600).map(|n| format!("spotify:track:{}", n % 300)).collect();
        let goes: Vec<bool> = (0..600).map(|n| n >= 300).collect();
        let edit = removal(&rows, &goes).unwrap();
        assert_eq!((edit.steps.len(), edit.rewritten), (6, 300));
        let mut now = rows.clone();
        for step in &edit.steps {
            step.done_to(&mut now);
            let there: HashSet<&String> = now.iter().collect();
            assert!(there.len() >= 300 - BATCH, "{}", there.len());
        }
        assert_eq!(now, rows[..300]);
    }

    #[test]
    fn nothing_to_do_is_no_step_and_all_gone_is_one() {
        assert!(removal(&named("ab"), &marks("..")).unwrap().steps.is_empty());
        assert_eq!(removal(&named("aa"), &marks("xx")).unwrap().steps, [Step::Delete(named("a"))]);
        assert_eq!(removal(&named("__"), &marks("xx")).unwrap().steps, [Step::Replace(vec![])]);
    }

    #[test]
    fn what_was_removed_comes_back_in_its_place_and_a_local_file_does_not() {
        let back = restoration(&named("ad"), &named("abcd")).unwrap();
        assert_eq!((back.edit.steps, back.lost), (vec![Step::Insert(1, named("bc"))], 0));
        let back = restoration(&named("ad"), &named("aLbd")).unwrap();
        assert_eq!((back.edit.steps, back.lost), (vec![Step::Insert(1, named("b"))], 1));
        // Order is given up before rows are, and what is there stays in it.
        let back = restoration(&named("aLbx"), &named("bLca")).unwrap();
        assert_eq!(after("aLbx", &back.edit), named("aLcb"));
        assert_eq!((back.is_in_order, back.lost, back.stuck), (false, 0, 0));
    }

    proptest! {
        #[test]
        fn the_steps_lead_exactly_to_what_was_wanted(rows in "[a-f]{0,30}", marks in prop::collection::vec(any::<bool>(), 30)) {
            let rows = named(&rows);
            let goes = &marks[..rows.len()];
            let wanted: Vec<_> = rows.iter().zip(goes).filter(|(_, goes)| !**goes).map(|(row, _)| row.clone()).collect();
            let edit = removal(&rows, goes).unwrap();
            let mut done = rows.clone();
            edit.steps.iter().for_each(|step| step.done_to(&mut done));
            prop_assert_eq!(&done, &wanted);
            let back = restoration(&wanted, &rows).unwrap();
            back.edit.steps.iter().for_each(|step| step.done_to(&mut done));
            prop_assert_eq!(done, rows);
        }

        #[test]
        fn any_list_is_reached_from_any_other_as_far_as_it_can_be_written(rows in "[a-eL_]{0,20}", target in "[a-eL_]{0,20}") {
            let (before, target) = (named(&rows), named(&target));
            let back = restoration(&before, &target).unwrap();
            let mut rows = before.clone();
            back.edit.steps.iter().for_each(|step| step.done_to(&mut rows));
            let (was, wanted, is) = (counted(&before), counted(&target), counted(&rows));
            let of = |counts: &std::collections::HashMap<&str, usize>, row: &str| counts.get(row).copied().unwrap_or_default();
            for row in before.iter().chain(&target) {
                if is_writable(row) {
                    prop_assert_eq!(of(&is, row), of(&wanted, row));
                } else {
                    prop_assert!(of(&is, row) >= of(&was, row).min(of(&wanted, row)));
                    prop_assert!(of(&is, row) <= of(&was, row));
                }
            }
            let lost = target.iter().collect::<HashSet<_>>().into_iter().filter(|row| !is_writable(row));
            prop_assert_eq!(back.lost, lost.map(|row| of(&wanted, row).saturating_sub(of(&was, row))).sum::<usize>());
            prop_assert_eq!(back.stuck, rows.len() + back.lost - target.len());
            if back.is_in_order && back.lost == 0 {
                prop_assert_eq!(rows, target);
            }
        }
    }
}
