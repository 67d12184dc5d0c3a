//! Undoing changes of rows: the exact list from before where nothing else happened, else only what the change itself did.

use std::collections::HashMap;
use std::time::Duration;

use super::super::super::upstream::Session;
use super::super::amount::amount;
use super::super::changing::contents::{Contents, requests};
use super::super::changing::journal::{About, Noted};
use super::super::changing::outcome::Outcome;
use super::super::changing::{no_way, steps};
use super::super::{Context, ToolError};
use super::NAME;
use crate::ambient::Timestamp;
use crate::domain::change::PreImage;
use crate::domain::edits::{Restoration, restoration};
use crate::spotify::uri::PlaylistId;

/// How much Spotify's clock and ours may differ.
const CLOCKS_APART: Duration = Duration::from_secs(60);

/// What is done to the rows.
pub(super) struct Plan {
    contents: Contents,
    way: Restoration,
    /// Which rows come back.
    back: Vec<String>,
    out: usize,
}

/// What is known of the change, beside what there was before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// It was done, and nothing happened since.
    Nothing,
    /// It was done; other things happened since.
    Others,
    /// It or its undoing was broken off: nobody knows which rows are still there.
    BrokenOff,
}

/// Plans undoing a change that was made then.
pub(super) fn plan(
    (pre_image, made_at): (&PreImage, Timestamp),
    contents: Contents,
    since: Since,
) -> Result<Plan, ToolError> {
    let rows = contents.uris();
    let target = match (pre_image, since) {
        (PreImage::Removed { before, .. } | PreImage::Restored { before }, Since::Nothing) => before.clone(),
        (PreImage::Removed { before, gone }, Since::Others) => with_these(rows.clone(), before, gone),
        (PreImage::Removed { before, .. }, Since::BrokenOff)
        | (PreImage::Restored { before }, Since::Others | Since::BrokenOff) => with_strangers(before, &rows),
        (PreImage::Added { at, rows: added }, _) => {
            // A row that was there before is nobody's to take, whatever it is called.
            let from = made_at.minus(CLOCKS_APART).secs();
            let may_go = contents.rows.iter().map(|row| match since {
                Since::Nothing => true,
                Since::Others | Since::BrokenOff => row.added_at.is_some_and(|at| at >= from),
            });
            without(&rows, &may_go.collect::<Vec<_>>(), (*at as usize, added))
        }
        _ => rows.clone(),
    };
    let way = restoration(&rows, &target).map_err(no_way)?;
    let (back, out) = (beyond(&target, &rows), surplus(&rows, &target));
    Ok(Plan { contents, way, back, out })
}

/// Whether the rows are what the change left, whatever else happened since.
pub(super) fn is_as_left(pre_image: &PreImage, contents: &Contents) -> bool {
    expected(pre_image).is_some_and(|expected| expected == contents.uris())
}

/// What a change left; `None` where that is not known.
fn expected(pre_image: &PreImage) -> Option<Vec<String>> {
    let PreImage::Removed { before, gone } = pre_image else { return None };
    let kept = (0..).zip(before).filter(|(at, _)| gone.binary_search(at).is_err());
    Some(kept.map(|(_, row)| row.clone()).collect())
}

/// Whether every row that is there was there before the change too: then nothing of anybody else's is in the way.
pub(super) fn only_of_before(pre_image: &PreImage, contents: &Contents) -> bool {
    match pre_image {
        PreImage::Removed { before, .. } | PreImage::Restored { before } => {
            surplus(&contents.uris(), before) == 0
        }
        _ => false,
    }
}

/// What happened to the rows since, in words.
pub(super) fn told(pre_image: &PreImage, contents: &Contents, since: Since) -> String {
    let rows = contents.uris();
    if let (PreImage::Removed { before, .. } | PreImage::Restored { before }, Since::BrokenOff) =
        (pre_image, since)
    {
        let came = surplus(&rows, before);
        let rows = if came == 1 {
            "one row is there now that was"
        } else {
            &format!("{came} rows are there now that were")
        };
        return format!("it was broken off, and {rows} not there before it");
    }
    match expected(pre_image) {
        Some(expected) => {
            let (came, went) = (surplus(&rows, &expected), surplus(&expected, &rows));
            match (came, went) {
                (0, 0) => "its tracks are in another order".to_owned(),
                (came, went) => format!("{came} tracks were added and {went} removed"),
            }
        }
        None => format!("it has {} now", amount(rows.len(), "track")),
    }
}

impl Plan {
    pub(super) fn effect(&self) -> String {
        let mut said = match (self.back.len(), self.out) {
            (0, 0) if self.way.edit.steps.is_empty() => "nothing is left to be done.".to_owned(),
            (0, 0) => "the rows go back into their order.".to_owned(),
            (1, 0) => "1 track comes back.".to_owned(),
            (back, 0) => format!("{back} tracks come back."),
            (0, 1) => "1 track goes.".to_owned(),
            (0, out) => format!("{out} tracks go."),
            (back, out) => format!("{back} tracks come back and {out} go."),
        };
        if self.way.lost > 0 {
            said.push_str(&format!(
                " {} cannot come back (local files, or no longer available).",
                self.way.lost
            ));
        }
        if self.way.edit.rewritten > 0 {
            said.push_str(&format!(" {} will count as added now.", amount(self.way.edit.rewritten, "row")));
        }
        said
    }

    /// Which rows come back, by their URIs.
    pub(super) fn back(&self) -> &[String] {
        &self.back
    }

    pub(super) fn requests(&self) -> u32 {
        let reading = 2 * requests(self.contents.rows.len().saturating_add(self.back.len()));
        reading.saturating_add(u32::try_from(self.way.edit.steps.len()).unwrap_or(u32::MAX))
    }

    pub(super) async fn act(
        self,
        context: Context<'_>,
        session: &Session<'_>,
        id: &PlaylistId,
    ) -> Result<Outcome, ToolError> {
        if self.way.edit.steps.is_empty() {
            return Ok(Outcome::verified());
        }
        let pre_image = PreImage::Restored { before: self.contents.uris() };
        let done = format!(
            "a change undone: {} back, {} out",
            amount(self.back.len(), "row"),
            amount(self.out, "row")
        );
        let about = About { tool: NAME, id, playlist: &self.contents.playlist, done };
        let noted = Noted::begin(context, session, about, &pre_image).await?;
        let applied = steps::apply(session, id, (&self.contents, &self.way.edit.steps)).await;
        if applied.is_nothing()
            && let Some(failure) = applied.failure
        {
            noted.forget().await;
            return Err(failure);
        }
        let (status, snapshot_id) = (applied.status, applied.snapshot);
        let outcome = Outcome {
            status,
            change_id: noted.id(),
            snapshot_id: snapshot_id.clone(),
            failure: applied.failure,
        };
        noted.finish(status, snapshot_id).await;
        Ok(outcome)
    }
}

/// The list as it is, with what was taken out put back where it was, as near as can be told.
fn with_these(mut rows: Vec<String>, before: &[String], gone: &[u32]) -> Vec<String> {
    for at in gone {
        if let Some(row) = before.get(*at as usize) {
            let at = (*at as usize).min(rows.len());
            rows.insert(at, row.clone());
        }
    }
    rows
}

/// The list from before, and behind it what is there now and was not there then.
fn with_strangers(before: &[String], rows: &[String]) -> Vec<String> {
    let mut known = counted(before);
    let mut target = before.to_vec();
    for row in rows {
        match known.get_mut(row).filter(|copies| **copies > 0) {
            Some(copies) => *copies -= 1,
            None => target.push(row.clone()),
        }
    }
    target
}

/// The list without what was put in: from its position on, each row once, where it is still there and may go.
fn without(rows: &[String], may_go: &[bool], (at, added): (usize, &[String])) -> Vec<String> {
    let mut wanted = counted(added);
    let at = at.min(rows.len());
    // In place first, then whatever was moved in front of it.
    let order = (at..rows.len()).chain(0..at);
    let mut goes = vec![false; rows.len()];
    for place in order.filter(|place| may_go[*place]) {
        if let Some(copies) = wanted.get_mut(&rows[place]).filter(|copies| **copies > 0) {
            *copies -= 1;
            goes[place] = true;
        }
    }
    rows.iter().zip(goes).filter(|(_, goes)| !goes).map(|(row, _)| row.clone()).collect()
}

/// How many rows of `of` are not in `than`, copies counted.
fn surplus(of: &[String], than: &[String]) -> usize {
    beyond(of, than).len()
}

/// The rows of one list that the other one does not have, each copy by itself.
fn beyond(of: &[String], than: &[String]) -> Vec<String> {
    let mut known = counted(than);
    let is_beyond = |row: &&String| match known.get_mut(*row).filter(|copies| **copies > 0) {
        Some(copies) => {
            *copies -= 1;
            false
        }
        None => true,
    };
    of.iter().filter(is_beyond).cloned().collect()
}

fn counted(rows: &[String]) -> HashMap<&String, usize> {
    let mut counts = HashMap::new();
    for row in rows {
        *counts.entry(row).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(letters: &str) -> Vec<String> {
        letters.chars().map(String::from).collect()
    }

    #[test]
    fn forced_undoing_leaves_what_others_did() {
        // abcd lost b and d; since then x came and a went.
        assert_eq!(with_these(named("xc"), &named("abcd"), &[1, 3]), named("xbcd"));
        assert_eq!(with_strangers(&named("abb"), &named("bxa")), named("abbx"));
        // bc was put behind a; since then c was moved to the front.
        assert_eq!(without(&named("cabz"), &[true; 4], (1, &named("bc"))), named("az"));
        // Of two copies the one in the place where it was put goes.
        assert_eq!(without(&named("aba"), &[true; 3], (2, &named("a"))), named("ab"));
        // The copy that was put in has gone already: that which was there before stays.
        assert_eq!(without(&named("ab"), &[false; 2], (2, &named("a"))), named("ab"));
    }

    #[test]
    fn surplus_counts_copies() {
        assert_eq!((surplus(&named("aab"), &named("ab")), surplus(&named("ab"), &named("aab"))), (1, 0));
    }
}
