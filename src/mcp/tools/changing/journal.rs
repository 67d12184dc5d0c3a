//! Writing a change down: before it is made, so that whatever happens in between it can be found; completed after.
//!
//! Where it cannot be written down, nothing is changed.

use super::super::super::upstream::Session;
use super::super::add_tracks::Status;
use super::super::{Context, ToolError};
use crate::domain::ChangeId;
use crate::domain::change::{MOST, PreImage, Progress, Summary};
use crate::spotify::models::Playlist;
use crate::spotify::uri::PlaylistId;
use crate::vault::changes::{Changes, OpenChange};

/// Longest title that is kept.
const TITLE: usize = 200;

/// What is said of changes that were forgotten for this one.
fn forgotten(changes: usize) -> Option<String> {
    let which = match changes {
        0 => return None,
        1 => "An older change was forgotten for this one and can".to_owned(),
        some => format!("{some} older changes were forgotten for this one and can"),
    };
    Some(format!("{which} no longer be undone: of one person {MOST} are kept, and 4 MB."))
}

/// A change under way; without a journal, or where nothing is kept, it is not written down.
pub(in crate::mcp::tools) struct Noted {
    kept: Option<(Changes, OpenChange)>,
    summary: Summary,
    /// The change that this one holds as well.
    held: Option<ChangeId>,
}

/// What a change is about to do.
pub(in crate::mcp::tools) struct About<'a> {
    /// By which tool.
    pub(in crate::mcp::tools) tool: &'static str,
    /// To which playlist.
    pub(in crate::mcp::tools) id: &'a PlaylistId,
    /// What that says of itself, as far as it is known.
    pub(in crate::mcp::tools) playlist: &'a Playlist,
    /// In our words.
    pub(in crate::mcp::tools) done: String,
}

impl Noted {
    /// Writes down what is about to be done.
    ///
    /// # Errors
    /// Where that fails: then nothing may be done.
    pub(in crate::mcp::tools) async fn begin(
        context: Context<'_>,
        session: &Session<'_>,
        about: About<'_>,
        pre_image: &PreImage,
    ) -> Result<Self, ToolError> {
        let name = about.playlist.name.as_ref().map(|name| name.clean(TITLE)).unwrap_or_default();
        let summary = Summary {
            playlist: about.id.as_str().to_owned(),
            name,
            done: about.done,
            progress: Progress::Begun,
            before: about.playlist.snapshot_id.clone(),
            after: None,
        };
        Self::written(context, session, (about.tool, summary), pre_image).await
    }

    /// Whether anything is written down at all.
    pub(in crate::mcp::tools) fn is_kept(context: Context<'_>) -> bool {
        context.server.upstream.changes().is_some_and(|changes| changes.keeps())
    }

    /// Writes down what is about to be done to the library: by which tool, and in our words.
    ///
    /// # Errors
    /// Where that fails: then nothing may be done.
    pub(in crate::mcp::tools) async fn of_the_library(
        context: Context<'_>,
        session: &Session<'_>,
        (tool, done): (&'static str, String),
        pre_image: &PreImage,
    ) -> Result<Self, ToolError> {
        let summary = Summary {
            playlist: String::new(),
            name: String::new(),
            done,
            progress: Progress::Begun,
            before: None,
            after: None,
        };
        Self::written(context, session, (tool, summary), pre_image).await
    }

    async fn written(
        context: Context<'_>,
        session: &Session<'_>,
        (tool, summary): (&'static str, Summary),
        pre_image: &PreImage,
    ) -> Result<Self, ToolError> {
        // From here on nobody drops it: its end is written down too.
        context.going.begin();
        let Some(changes) = context.server.upstream.changes() else {
            return Ok(Self { kept: None, summary, held: None });
        };
        let of = (&context.caller.user, &session.link);
        let begun = changes.begin(of, tool, (&summary, pre_image)).await;
        let open = begun.map_err(|failure| ToolError::internal(&failure))?;
        if let Some(sentence) = open.as_ref().and_then(|open| forgotten(open.forgotten())) {
            context.going.remark(sentence);
        }
        Ok(Self { kept: open.map(|open| (changes, open)), summary, held: None })
    }

    /// It undoes that change as well, which is forgotten once this one is made.
    pub(in crate::mcp::tools) fn holds(&mut self, earlier: Option<ChangeId>) {
        self.held = earlier;
    }

    /// Its id, where it was written down.
    pub(in crate::mcp::tools) fn id(&self) -> Option<String> {
        self.kept.as_ref().map(|(_, open)| open.id().as_str().to_owned())
    }

    /// Says what was done, where that is something else than what was about to be.
    pub(in crate::mcp::tools) fn did(&mut self, done: String) {
        self.summary.done = done;
    }

    /// Completes it. Where that fails it stays as one that was begun: the change itself has been made.
    pub(in crate::mcp::tools) async fn finish(mut self, status: Status, after: Option<String>) {
        self.summary.progress = status.into();
        self.summary.after = after;
        if let Some((changes, open)) = &self.kept
            && let Err(failure) = changes.finish(open, &self.summary).await
        {
            tracing::error!(cause = failure.chain(), "a change could not be completed in the journal");
            return;
        }
        if self.summary.progress.is_whole()
            && let (Some((changes, open)), Some(held)) = (&self.kept, &self.held)
            && let Err(failure) = changes.forget_of((held, open.user())).await
        {
            tracing::error!(cause = failure.chain(), "a change that another one holds stays in the journal");
        }
    }

    /// Nothing was done.
    pub(in crate::mcp::tools) async fn forget(self) {
        if let Some((changes, open)) = &self.kept
            && let Err(failure) = changes.forget(open).await
        {
            tracing::error!(cause = failure.chain(), "a change that was not made stays in the journal");
        }
    }
}
