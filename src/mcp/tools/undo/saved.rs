//! Undoing changes of the library: what was put in goes out again, what was taken out comes back. What was so before the
//! change is left alone, and so is what somebody has changed since, unless it is forced.

use super::super::super::upstream::Session;
use super::super::changing::outcome::{Outcome, Status};
use super::super::library::{Changed, Shelf, counted};
use super::super::{Answer, Context, ToolError, agreeing};
use super::{Input, NAME, Output, begun_or_done, changed_since, named, once, unknown};
use crate::domain::ChangeId;
use crate::domain::change::{PreImage, Summary};
use crate::spotify::library::Library;
use crate::spotify::named::LibraryUri;
use crate::vault::changes::{Changes, Planned};

/// What undoing does, and to what.
pub(super) struct Change {
    what: Library,
    uris: Vec<String>,
}

/// A change of the library that is to be undone.
pub(super) struct Case<'a> {
    pub(super) context: Context<'a>,
    pub(super) session: Session<'a>,
    pub(super) id: &'a ChangeId,
    pub(super) summary: &'a Summary,
    pub(super) undoing_broken_off: bool,
    pub(super) input: &'a Input,
}

impl Change {
    /// `None` for changes of playlists.
    pub(super) fn of(pre_image: &PreImage) -> Option<Self> {
        let (what, uris) = match pre_image {
            PreImage::Saved { uris } => (Library::Remove, uris),
            PreImage::Unsaved { uris } => (Library::Save, uris),
            _ => return None,
        };
        Some(Self { what, uris: uris.clone() })
    }
}

impl Case<'_> {
    pub(super) async fn run(self, journal: &Changes, change: Change) -> Result<Answer, ToolError> {
        let context = self.context;
        let uris: Result<Vec<LibraryUri>, _> = change.uris.iter().map(|uri| uri.parse()).collect();
        let uris = uris.map_err(|_| unknown())?;
        let shelf = Shelf::of(context, Some(&named(self.session.link.as_str())?)).await?;
        let effect = self.effect(&shelf, (change.what, &uris)).await?;
        let requests = u32::try_from(uris.len().div_ceil(40) * 4).unwrap_or(u32::MAX);
        let mut output = Output {
            undoes: self.id.as_str().to_owned(),
            playlist_id: None,
            playlist: None,
            dry_run: self.input.dry_run,
            effect: effect.clone(),
            requests: self.input.dry_run.then_some(requests),
            outcome: None,
        };
        let names = match self.input.dry_run || agreeing::is_due(context) {
            true => agreeing::names(&self.session, &change.uris).await,
            false => String::new(),
        };
        if self.input.dry_run {
            let forced = if self.input.force { " and force true" } else { "" };
            let text = format!(
                "Nothing changed yet. Undoing would do this to the library{names}: {effect} About {requests} requests to Spotify. \
                 To do it: dry_run false{forced}, after the person agreed."
            );
            return Answer::of(text, &output);
        }
        if agreeing::is_due(context) {
            let account = agreeing::account(context, &self.session).await?;
            let question = format!(
                "Undo a change of the library of the Spotify account {account}{names}? This happens: {effect}"
            );
            let asked = format!("{} {}", self.id.as_str(), self.input.force);
            let planned = Planned { tool: NAME, asked: &asked, state: "" };
            agreeing::agreed(context, &self.session.link, planned, question).await?;
        }
        let act = async {
            let changed = shelf.set(context, (NAME, change.what), &uris).await?;
            Ok((changed.status, changed))
        };
        let changed = once(context, (journal, self.id, self.undoing_broken_off), act).await?;
        let undone = begun_or_done(changed.status);
        let text = format!("{undone} in the library: {effect} Done: {}", changed.told());
        let outcome = outcome_of(changed);
        let code = outcome.code();
        output.outcome = Some(outcome);
        let mut answer = Answer::of(text, &output)?;
        answer.code = code;
        Ok(answer)
    }

    /// What undoing does, in words.
    ///
    /// # Errors
    /// Where things are not as the change left them, and nobody wants it nevertheless.
    async fn effect(
        &self,
        shelf: &Shelf<'_>,
        (what, uris): (Library, &[LibraryUri]),
    ) -> Result<String, ToolError> {
        let there = shelf.look(uris).await;
        let there = there.map_err(|error| self.session.told(error))?;
        let removes = what == Library::Remove;
        let still = uris.iter().zip(&there).filter(|(_, there)| **there == removes);
        let still: Vec<_> = still.map(|(uri, _)| uri.clone()).collect();
        let (gone, whole) = (uris.len() - still.len(), self.is_whole());
        if gone > 0 && whole && !self.input.force {
            let how = if removes { "not in the library any more" } else { "in the library again already" };
            let verb = if gone == 1 { "is" } else { "are" };
            return Err(changed_since(&format!("{gone} of {} {verb} {how}", uris.len())));
        }
        if still.is_empty() {
            return Err(ToolError::invalid(
                "There is nothing to undo: the library is as it was before the change.",
            ));
        }
        let how = match (removes, still.len()) {
            (true, 1) => "leaves the library",
            (true, _) => "leave the library",
            (false, 1) => "comes back into the library, as saved now",
            (false, _) => "come back into the library, as saved now",
        };
        Ok(format!("{} {how}.", counted(&still)))
    }

    /// Whether all of the change was done.
    fn is_whole(&self) -> bool {
        self.summary.progress.is_whole() && !self.undoing_broken_off
    }
}

fn outcome_of(changed: Changed) -> Outcome {
    let status = changed.status;
    let failure = changed.failure.filter(|_| status != Status::Verified);
    Outcome { status, change_id: changed.change_id, snapshot_id: None, failure }
}
