//! Lists in which the same may stand more than once: what one has beyond another, how one differs from another, and
//! putting rows back beside the neighbours that they had.

use std::collections::{HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How often each row is there.
pub fn counted(rows: &[String]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for row in rows {
        *counts.entry(row.as_str()).or_default() += 1;
    }
    counts
}

/// The rows of one list that the other one does not have, each copy by itself; of several the last.
pub fn beyond(of: &[String], than: &[String]) -> Vec<String> {
    let stands = matched(of, than);
    let missing = of.iter().zip(stands).filter(|(_, there)| there.is_none());
    missing.map(|(row, _)| row.clone()).collect()
}

/// A short name for exactly this list.
pub fn print(rows: &[String]) -> String {
    let mut hash = Sha256::new();
    for row in rows {
        hash.update((row.len() as u64).to_be_bytes());
        hash.update(row);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the rows of one list stand in another: the first copy where the first one stands, and so on.
pub fn matched(of: &[String], among: &[String]) -> Vec<Option<usize>> {
    let mut places: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (at, row) in among.iter().enumerate() {
        places.entry(row).or_default().push_back(at);
    }
    of.iter().map(|row| places.get_mut(row.as_str())?.pop_front()).collect()
}

/// How a list became another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Which of its rows went, ascending.
    pub out: Vec<u32>,
    /// What came, with the position at which it stands then, ascending.
    pub put: Vec<(u32, String)>,
}

impl Difference {
    /// Between two lists. Rows that changed places both went and came.
    pub fn between(before: &[String], after: &[String]) -> Self {
        let alike = |(one, other): &(&String, &String)| one == other;
        let head = before.iter().zip(after).take_while(alike).count();
        let (mut old, mut new) = (&before[head..], &after[head..]);
        let tail = old.iter().rev().zip(new.iter().rev()).take_while(alike).count();
        (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
        let kept = common(old, new);
        let (stay, there): (HashSet<usize>, HashSet<usize>) = kept.into_iter().unzip();
        let at = |at: usize| u32::try_from(head + at).unwrap_or(u32::MAX);
        Self {
            out: (0..old.len()).filter(|place| !stay.contains(place)).map(at).collect(),
            put: (0..new.len())
                .filter(|place| !there.contains(place))
                .map(|place| (at(place), new[place].clone()))
                .collect(),
        }
    }

    /// What became of the list, with the position before for each row that was there.
    pub fn done_to(&self, before: &[String]) -> Vec<(String, Option<usize>)> {
        let gone: HashSet<usize> = self.out.iter().map(|at| *at as usize).collect();
        let mut kept = before.iter().enumerate().filter(|(at, _)| !gone.contains(at));
        let mut put = self.put.iter().peekable();
        let mut after = Vec::with_capacity(before.len() + self.put.len());
        loop {
            if let Some((_, row)) = put.next_if(|(at, _)| *at as usize == after.len()) {
                after.push((row.clone(), None));
            } else if let Some((at, row)) = kept.next() {
                after.push((row.clone(), Some(at)));
            } else {
                return after;
            }
        }
    }
}

/// Rows of both lists in the same order, as pairs of places.
fn common(old: &[String], new: &[String]) -> Vec<(usize, usize)> {
    let all_of = |part: &[String], whole: &[String]| {
        let mut places = whole.iter().enumerate();
        part.iter()
            .map(|row| places.find(|(_, other)| *other == row).map(|(at, _)| at))
            .collect::<Option<Vec<_>>>()
    };
    if let Some(places) = all_of(new, old) {
        return places.into_iter().enumerate().map(|(new, old)| (old, new)).collect();
    }
    if let Some(places) = all_of(old, new) {
        return places.into_iter().enumerate().collect();
    }
    let mut least = 0;
    let mut pairs = Vec::new();
    for (at, place) in matched(old, new).into_iter().enumerate() {
        if let Some(place) = place.filter(|place| *place >= least) {
            pairs.push((at, place));
            least = place + 1;
        }
    }
    pairs
}

/// A list into which rows came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// All rows.
    pub rows: Vec<String>,
    /// Which of them came.
    pub came: Vec<bool>,
}

/// Puts those rows of `wanted` that `come` into `kept`, each behind its nearest neighbour before it, else before the
/// nearest one behind it, else to the end. `stands` tells where the others of `wanted` stand in `kept`.
pub fn beside(kept: &[String], wanted: &[String], stands: &[Option<usize>], come: &[bool]) -> Joined {
    let mut behind: HashMap<usize, Vec<&String>> = HashMap::new();
    let mut ahead: HashMap<usize, Vec<&String>> = HashMap::new();
    let mut waiting = Vec::new();
    let mut neighbour = None;
    for ((row, place), comes) in wanted.iter().zip(stands).zip(come) {
        match (place, neighbour) {
            (Some(place), _) => {
                if neighbour.is_none() {
                    ahead.insert(*place, std::mem::take(&mut waiting));
                }
                neighbour = Some(*place);
            }
            (None, Some(place)) if *comes => behind.entry(place).or_default().push(row),
            (None, None) if *comes => waiting.push(row),
            _ => {}
        }
    }
    let mut joined = Joined { rows: Vec::with_capacity(kept.len()), came: Vec::with_capacity(kept.len()) };
    for (at, row) in kept.iter().enumerate() {
        ahead.get(&at).into_iter().flatten().for_each(|row| joined.push(row, true));
        joined.push(row, false);
        behind.get(&at).into_iter().flatten().for_each(|row| joined.push(row, true));
    }
    waiting.iter().for_each(|row| joined.push(row, true));
    joined
}

impl Joined {
    fn push(&mut self, row: &str, came: bool) {
        self.rows.push(row.to_owned());
        self.came.push(came);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(letters: &str) -> Vec<String> {
        letters.chars().map(String::from).collect()
    }

    #[test]
    fn copies_are_counted() {
        assert_eq!(
            (beyond(&named("aab"), &named("ab")), beyond(&named("ab"), &named("aab"))),
            (named("a"), vec![])
        );
        assert_eq!(matched(&named("aba"), &named("baab")), [Some(1), Some(0), Some(2)]);
        assert_ne!(print(&named("ab")), print(&["ab".to_owned()]));
    }

    #[test]
    fn rows_come_back_beside_their_neighbours() {
        // abcd lost b and d; since then x came and a went.
        let back = |kept: &str, wanted: &str, come: &str| {
            let (kept, wanted) = (named(kept), named(wanted));
            let come: Vec<_> = come.chars().map(|mark| mark == 'x').collect();
            let stands: Vec<_> = matched(&wanted, &kept);
            let stands: Vec<_> = stands.iter().zip(&come).map(|(at, comes)| at.filter(|_| !comes)).collect();
            beside(&kept, &wanted, &stands, &come).rows.concat()
        };
        assert_eq!(back("xc", "abcd", ".x.x"), "xbcd");
        assert_eq!(back("cay", "abcd", ".x.x"), "cdaby");
        assert_eq!(back("xy", "ab", "xx"), "xyab");
    }

    proptest! {
        #[test]
        fn a_difference_leads_from_one_list_to_the_other(before in "[a-e]{0,20}", after in "[a-e]{0,20}") {
            let (before, after) = (named(&before), named(&after));
            let difference = Difference::between(&before, &after);
            let done: Vec<_> = difference.done_to(&before).into_iter().map(|(row, _)| row).collect();
            prop_assert_eq!(done, after);
        }

        #[test]
        fn what_is_taken_out_is_the_whole_difference(before in "[a-e]{0,20}", marks in prop::collection::vec(any::<bool>(), 20)) {
            let before = named(&before);
            let after: Vec<_> = before.iter().zip(&marks).filter(|(_, goes)| !**goes).map(|(row, _)| row.clone()).collect();
            let difference = Difference::between(&before, &after);
            prop_assert!(difference.put.is_empty());
            prop_assert_eq!(difference.out.len(), before.len() - after.len());
        }
    }
}
