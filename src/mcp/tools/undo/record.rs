//! Changes as they are on record: which of them can be undone, and what became of undoing them.

use super::super::super::upstream::Session;
use super::super::{Context, ToolError};
use super::{Input, named, rows, unknown};
use crate::domain::ChangeId;
use crate::domain::change::{MOST, PreImage, Summary};
use crate::domain::undoing::Rewriting;
use crate::vault::changes::Changes;

/// A change as it is on record.
pub(super) struct Found<'a> {
    pub(super) session: Session<'a>,
    pub(super) summary: Summary,
    pub(super) pre_image: PreImage,
    pub(super) undoing_broken_off: bool,
}

/// An undoing that was broken off.
struct Attempt {
    rewriting: Rewriting,
    is_half_written: bool,
}

impl Found<'_> {
    /// Undoing it, where that was broken off. What is half written is brought back whatever was asked for since; looking
    /// at it alone brings nothing back.
    pub(super) async fn attempt(
        &self,
        context: Context<'_>,
        of: (&Changes, &ChangeId),
        only_looks: bool,
    ) -> Result<Option<Rewriting>, ToolError> {
        let attempt = match self.undoing_broken_off {
            true => broken_off(context, of, &self.session).await?,
            false => None,
        };
        let is_of_rows = matches!(self.pre_image, PreImage::Removed { .. } | PreImage::Restored { .. });
        let is_half_written = is_of_rows && self.summary.is_half_written()
            || attempt.as_ref().is_some_and(|attempt| attempt.is_half_written);
        let (server, user) = (context.server, &context.caller.user);
        if is_half_written && !only_looks && server.mending.may_be(user, server.clock.now()) {
            context.going.mend();
        }
        Ok(attempt.map(|attempt| attempt.rewriting))
    }
}

/// The change, where it is the caller's own and can be undone.
pub(super) async fn found<'a>(
    context: Context<'a>,
    (journal, id): (&Changes, &ChangeId),
    input: &Input,
) -> Result<Found<'a>, ToolError> {
    let found = journal.find((&context.caller.user, id)).await;
    let found = found.map_err(|failure| ToolError::internal(&failure))?;
    let (change, pre_image) = found.ok_or_else(unknown)?;
    let session = context.session(Some(&named(change.link.as_str())?)).await?;
    if let Some(account) = &input.account
        && context.session(Some(account)).await?.link != session.link
    {
        return Err(unknown());
    }
    let (Some(summary), Some(pre_image)) = (change.summary, pre_image) else {
        return Err(ToolError::new(
            "RESTRICTED",
            "What was there before that change cannot be read any more, so that it cannot be undone.",
        ));
    };
    if change.undone_at.is_some() {
        return Err(ToolError::invalid(
            "That change was undone before. The undoing is a change of its own in list_changes.",
        ));
    }
    Ok(Found { session, summary, pre_image, undoing_broken_off: change.undoing_broken_off })
}

/// The first undoing of this change that was broken off and is not undone itself: going on with it is what undoing again
/// comes to.
async fn broken_off(
    context: Context<'_>,
    (journal, id): (&Changes, &ChangeId),
    session: &Session<'_>,
) -> Result<Option<Attempt>, ToolError> {
    let user = &context.caller.user;
    let most = u32::try_from(MOST).unwrap_or(u32::MAX);
    let listed = journal.list((user, Some(&session.link)), (0, most)).await;
    let (changes, _) = listed.map_err(|failure| ToolError::internal(&failure))?;
    let is_one = |summary: &Summary| {
        summary.known.undoes.as_deref() == Some(id.as_str()) && !summary.progress.is_whole()
    };
    let first = changes
        .iter()
        .rev()
        .find(|change| change.undone_at.is_none() && change.summary.as_ref().is_some_and(is_one));
    let Some(first) = first else { return Ok(None) };
    let found = journal.find((user, &first.id)).await.map_err(|failure| ToolError::internal(&failure))?;
    Ok(found.and_then(|(change, pre_image)| {
        let summary = change.summary?;
        let is_half_written = summary.is_half_written();
        Some(Attempt { rewriting: rows::rewriting(&pre_image?, &summary)?, is_half_written })
    }))
}
