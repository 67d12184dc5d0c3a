//! Writing a change down: before it is made, so that whatever happens in between it can be found; completed after.
//!
//! Where it cannot be written down, nothing is changed.

use super::super::super::upstream::Session;
use super::super::add_tracks::Status;
use super::super::{Context, ToolError};
use crate::domain::ChangeId;
use crate::domain::change::{Known, MOST, PreImage, Progress, Summary};
use crate::domain::lists::print;
use crate::spotify::Api;
use crate::spotify::models::Playlist;
use crate::spotify::uri::PlaylistId;
use crate::vault::changes::{Changes, Noting, OpenChange};

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

/// What was there before is more than is kept.
fn too_large() -> ToolError {
    ToolError::new(
        "RESTRICTED",
        "Nothing was changed: what is there now is too large to be written down before, so that the change could not be \
         undone. The person can make it in the Spotify app, or in a copy that is divided into smaller playlists.",
    )
}

/// A change under way; without a journal, or where nothing is kept, it is not written down.
pub(in crate::mcp::tools) struct Noted {
    kept: Option<(Changes, OpenChange)>,
    summary: Summary,
    api: Api,
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
        Self::of_a_playlist(context, session, (about, None), pre_image).await
    }

    /// Writes down that a change is about to be undone, by putting all rows in order.
    ///
    /// # Errors
    /// Where that fails: then nothing may be done.
    pub(in crate::mcp::tools) async fn begin_undoing(
        context: Context<'_>,
        session: &Session<'_>,
        (about, undone): (About<'_>, &ChangeId),
        pre_image: &PreImage,
    ) -> Result<Self, ToolError> {
        Self::of_a_playlist(context, session, (about, Some(undone.as_str().to_owned())), pre_image).await
    }

    async fn of_a_playlist(
        context: Context<'_>,
        session: &Session<'_>,
        (about, undoes): (About<'_>, Option<String>),
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
            known: Known { undoes, ..Known::default() },
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
            known: Known::default(),
        };
        Self::written(context, session, (tool, summary), pre_image).await
    }

    async fn written(
        context: Context<'_>,
        session: &Session<'_>,
        (tool, mut summary): (&'static str, Summary),
        pre_image: &PreImage,
    ) -> Result<Self, ToolError> {
        // From here on nobody drops it: its end is written down too.
        context.going.begin();
        let api = session.api.clone();
        let Some(changes) = context.server.upstream.changes() else {
            return Ok(Self { kept: None, summary, held: None, api });
        };
        let of = (&context.caller.user, &session.link);
        summary.known.since = api.spotify_time();
        let begun = changes.begin(of, tool, (&summary, pre_image)).await;
        let kept = match begun.map_err(|failure| ToolError::internal(&failure))? {
            Noting::Noted(open) => {
                if let Some(sentence) = forgotten(open.forgotten()) {
                    context.going.remark(sentence);
                }
                Some((changes, open))
            }
            Noting::NotKept => None,
            Noting::TooLarge => return Err(too_large()),
        };
        Ok(Self { kept, summary, held: None, api })
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

    /// Says how many rows were certainly put in.
    pub(in crate::mcp::tools) fn added(&mut self, rows: usize) {
        self.summary.known.added = u32::try_from(rows).ok();
    }

    /// Says how many rows are away that should be there.
    pub(in crate::mcp::tools) fn misses(&mut self, rows: usize) {
        self.summary.known.missing = u32::try_from(rows).ok();
    }

    /// Says which rows it left.
    pub(in crate::mcp::tools) fn left(&mut self, rows: &[String]) {
        self.summary.known.left = Some(print(rows));
    }

    /// Completes it. Where that fails it stays as one that was begun: the change itself has been made.
    pub(in crate::mcp::tools) async fn finish(mut self, status: Status, after: Option<String>) {
        self.summary.progress = status.into();
        self.summary.after = after;
        self.summary.known.until = self.api.spotify_time();
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
