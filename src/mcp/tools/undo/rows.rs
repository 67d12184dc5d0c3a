//! Undoing changes of rows: what `domain::undoing` decides, told and done.

use super::super::super::upstream::Session;
use super::super::amount::amount;
use super::super::changing::contents::{Contents, requests};
use super::super::changing::journal::{About, Noted};
use super::super::changing::outcome::Outcome;
use super::super::changing::{no_way, steps};
use super::super::{Context, ToolError};
use super::{NAME, changed_since, nothing};
use crate::domain::ChangeId;
use crate::domain::change::{PreImage, Summary};
use crate::domain::edits::{Restoration, restoration};
use crate::domain::lists::{Difference, beyond};
use crate::domain::undoing::{Addition, Now, Rewriting, Since, Undone, came_and_went};
use crate::spotify::uri::PlaylistId;

/// What is known of a change of rows.
pub(super) struct Change<'a> {
    pub(super) pre_image: &'a PreImage,
    pub(super) summary: &'a Summary,
    /// Undoing it, which was broken off.
    pub(super) attempt: Option<&'a Rewriting>,
}

/// What is done to the rows.
pub(super) struct Plan {
    contents: Contents,
    way: Restoration,
    /// The rows afterwards.
    after: Vec<String>,
    /// Which rows come back.
    back: Vec<String>,
    out: usize,
    already: usize,
    unknown: usize,
}

impl Change<'_> {
    /// Plans undoing it.
    ///
    /// # Errors
    /// Where there is nothing to do, no way, or something has happened since and nobody wants it nevertheless.
    pub(super) fn plan(&self, contents: Contents, force: bool) -> Result<Plan, ToolError> {
        let rows = contents.uris();
        let dates: Vec<_> = contents.rows.iter().map(|row| row.added_at).collect();
        let is_same_state = self.summary.after.as_ref() == Some(&contents.snapshot);
        let now = Now { rows: &rows, dates: &dates, is_same_state };
        let undone = self.undone(now);
        if undone.target == rows {
            return Err(nothing("nothing of that change is left in the playlist"));
        }
        if undone.since.asks() && !force {
            return Err(changed_since(&self.told(&rows, undone.since)));
        }
        let way = restoration(&rows, &undone.target).map_err(no_way)?;
        if way.edit.steps.is_empty() {
            return Err(ToolError::new(
                "RESTRICTED",
                "It cannot be undone: what is missing are local files, or tracks that are no longer available, and Spotify \
                 lets nobody write those again.",
            ));
        }
        let mut after = rows.clone();
        way.edit.steps.iter().for_each(|step| step.done_to(&mut after));
        let (back, out) = (beyond(&after, &rows), beyond(&rows, &after).len());
        let Undone { already, unknown, .. } = undone;
        Ok(Plan { contents, way, after, back, out, already, unknown })
    }

    fn undone(&self, now: Now<'_>) -> Undone {
        if let Some(attempt) = self.attempt {
            return attempt.gone_on(now);
        }
        if let Some(addition) = self.addition() {
            return addition.undone(now);
        }
        match (rewriting(self.pre_image, self.summary), self.pre_image) {
            (Some(rewriting), _) => rewriting.undone(now, !self.summary.progress.is_whole()),
            (None, PreImage::Restored { before, .. }) => {
                let since = if now.is_same_state { Since::Nothing } else { Since::Others };
                Undone { since, ..Rewriting::of(before, &Difference::default(), None).gone_on(now) }
            }
            (None, _) => Undone { target: now.rows.to_vec(), already: 0, unknown: 0, since: Since::Nothing },
        }
    }

    fn addition(&self) -> Option<Addition<'_>> {
        let PreImage::Added { at, rows, total, there } = self.pre_image else { return None };
        let (known, is_whole) = (&self.summary.known, self.summary.progress.is_whole());
        let certain = known.added.map_or(if is_whole { rows.len() } else { 0 }, |added| added as usize);
        Some(Addition {
            at: *at as usize,
            rows,
            certain: certain.min(rows.len()),
            is_open: self.summary.progress.is_open(),
            total: total.map(|total| total as usize),
            there: there.as_ref(),
            since: known.since,
            until: known.until,
        })
    }

    /// What happened to the rows since, in words.
    fn told(&self, rows: &[String], since: Since) -> String {
        if let Since::BrokenOff(came) = since {
            let came = if came == 1 {
                "one row is there now that was"
            } else {
                &format!("{came} rows are there now that were")
            };
            return format!("it was broken off, and {came} not there before it");
        }
        if let Some(rewriting) = rewriting(self.pre_image, self.summary) {
            return match came_and_went(rewriting.after(), rows) {
                (0, 0) => "its tracks are in another order".to_owned(),
                (came, went) => format!("{} added and {went} removed", were_tracks(came)),
            };
        }
        let now = amount(rows.len(), "track");
        match self.addition().and_then(|addition| Some(addition.total? + addition.certain)) {
            Some(left) if left == rows.len() => "what it added does not stand where it was put".to_owned(),
            Some(left) => format!("it has {now} now, and had {left} after it"),
            None => format!("it has {now} now"),
        }
    }
}

fn were_tracks(some: usize) -> String {
    format!("{} {}", amount(some, "track"), if some == 1 { "was" } else { "were" })
}

/// How many rows came back and went out, for the journal.
fn came_and_left(back: usize, out: usize) -> String {
    match (back, out) {
        (0, 0) => ": the order".to_owned(),
        (back, 0) => format!(": {} back", amount(back, "row")),
        (0, out) => format!(": {} out", amount(out, "row")),
        (back, out) => format!(": {} back, {} out", amount(back, "row"), amount(out, "row")),
    }
}

/// A change of a list that was known as a whole.
pub(super) fn rewriting(pre_image: &PreImage, summary: &Summary) -> Option<Rewriting> {
    let since = summary.known.since;
    match pre_image {
        PreImage::Removed { before, gone } => {
            let difference = Difference { out: gone.clone(), put: Vec::new() };
            Some(Rewriting::of(before, &difference, since))
        }
        PreImage::Restored { before, difference: Some(difference) } => {
            Some(Rewriting::of(before, difference, since))
        }
        _ => None,
    }
}

impl Plan {
    pub(super) fn effect(&self) -> String {
        let mut said = match (self.back.len(), self.out) {
            (0, 0) => "the rows go back into their order.".to_owned(),
            (1, 0) => "1 track comes back.".to_owned(),
            (back, 0) => format!("{back} tracks come back."),
            (0, 1) => "1 track goes.".to_owned(),
            (0, out) => format!("{out} tracks go."),
            (back, out) => format!("{back} tracks come back and {out} go."),
        };
        if self.already > 0 {
            said.push_str(&format!(" {} of what it took out is there again already.", self.already));
        }
        if self.unknown > 0 {
            said.push_str(&format!(
                " {} of what it added is gone already, or cannot be told from what was there before, and is left alone.",
                self.unknown
            ));
        }
        if self.way.lost > 0 {
            said.push_str(&format!(
                " {} cannot come back (local files, or no longer available).",
                self.way.lost
            ));
        }
        if self.way.stuck > 0 {
            said.push_str(&format!(" {} cannot go (copies of local files).", self.way.stuck));
        }
        if !self.way.is_in_order {
            said.push_str(
                " The order is not quite what it was: local files cannot be moved so, and what comes back stands behind its \
                 nearest neighbour.",
            );
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
        let reading = 2 * requests(self.contents.rows.len().max(self.after.len()));
        reading.saturating_add(u32::try_from(self.way.edit.steps.len()).unwrap_or(u32::MAX))
    }

    pub(super) async fn act(
        self,
        context: Context<'_>,
        session: &Session<'_>,
        (id, undone): (&PlaylistId, &ChangeId),
    ) -> Result<Outcome, ToolError> {
        let before = self.contents.uris();
        let difference = Some(Difference::between(&before, &self.after));
        let pre_image = PreImage::Restored { before, difference };
        let done = format!("a change undone{}", came_and_left(self.back.len(), self.out));
        let about = About { tool: NAME, id, playlist: &self.contents.playlist, done };
        let mut noted = Noted::begin_undoing(context, session, (about, undone), &pre_image).await?;
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
        noted.misses(applied.missing);
        noted.finish(status, snapshot_id).await;
        Ok(outcome)
    }
}
