//! One account's library as the tools change it: in requests of 40, written down before, looked at after.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::super::upstream::Session;
use super::super::add_tracks::{Resume, Status, is_ambiguous};
use super::super::amount::{amount, are, were};
use super::super::changing::journal::Noted;
use super::super::{AccountName, Context, ToolError};
use crate::domain::change::PreImage;
use crate::domain::permission::enumerated;
use crate::spotify::ApiError;
use crate::spotify::library::{LIBRARY_WRITE, Library};
use crate::spotify::named::LibraryUri;
use crate::spotify::uri::Kind;
use crate::vault::CallError;

#[derive(Serialize, JsonSchema)]
pub(in crate::mcp::tools) struct Changed {
    /// How certain it is.
    pub(in crate::mcp::tools) status: Status,
    /// How many were given.
    requested: usize,
    /// How many are certainly done.
    done: usize,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<Resume>,
    /// For undo_change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::mcp::tools) change_id: Option<String>,
    /// What stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::mcp::tools) failure: Option<ToolError>,
    /// How many were so before.
    #[serde(skip)]
    already: usize,
}

/// One account's library, by the app that it is linked through.
pub(in crate::mcp::tools) struct Shelf<'a> {
    pub(in crate::mcp::tools) session: Session<'a>,
    app: String,
}

impl<'a> Shelf<'a> {
    pub(in crate::mcp::tools) async fn of(
        context: Context<'a>,
        account: Option<&AccountName>,
    ) -> Result<Self, ToolError> {
        let session = context.session(account).await?;
        let links = context.links().await?;
        let link = links.into_iter().find(|known| known.id == session.link);
        let app = link.map(|link| link.app.as_str().to_owned());
        let app = app.ok_or_else(|| ToolError::no_account(&context.server.reconnect_url))?;
        Ok(Self { session, app })
    }

    pub(super) async fn ask(&self, what: Library, uris: &[LibraryUri]) -> Result<Vec<bool>, CallError> {
        if self.session.time_left() < self.session.longest_call {
            return Err(CallError::Api(ApiError::Timeout));
        }
        let (api, app) = (self.session.api, self.app.as_str());
        self.session.attempt(|token| async move { api.ask_library(&token, app, what, uris).await }).await
    }

    /// Which of these are there.
    pub(in crate::mcp::tools) async fn look(&self, uris: &[LibraryUri]) -> Result<Vec<bool>, CallError> {
        let mut there = Vec::with_capacity(uris.len());
        for portion in portions(uris) {
            there.extend(self.ask(Library::Check, portion).await?);
        }
        Ok(there)
    }

    /// Saves or removes, written down before: what is so already is left alone, and not undone later.
    ///
    /// # Errors
    /// Where nothing was done.
    pub(in crate::mcp::tools) async fn set(
        &self,
        context: Context<'_>,
        (tool, what): (&'static str, Library),
        uris: &[LibraryUri],
    ) -> Result<Changed, ToolError> {
        if !Noted::is_kept(context) {
            return in_order(self, what, uris).await;
        }
        let there = match self.look(uris).await {
            Ok(there) => there,
            // Who may change and not look changes what cannot be undone.
            Err(error @ CallError::Api(ApiError::ScopeMissing(_))) => {
                context.going.remark(format!(
                    "It cannot be undone, because nobody could look at what was there before. {}",
                    self.session.told(error).message
                ));
                return in_order(self, what, uris).await;
            }
            Err(error) => return Err(self.session.told(error)),
        };
        let saves = what == Library::Save;
        let is_new = |at: &usize| there[*at] != saves && !uris[..*at].contains(&uris[*at]);
        let places: Vec<_> = (0..uris.len()).filter(is_new).collect();
        let changing: Vec<_> = places.iter().map(|at| uris[*at].clone()).collect();
        if changing.is_empty() {
            return Ok(Changed { already: uris.len(), ..Changed::nothing(uris.len()) });
        }
        let names = changing.iter().map(ToString::to_string).collect();
        let (pre_image, did) = match saves {
            true => (PreImage::Saved { uris: names }, "saved"),
            false => (PreImage::Unsaved { uris: names }, "removed from the library"),
        };
        let done = format!("{} {did}", counted(&changing));
        let noted = Noted::of_the_library(context, &self.session, (tool, done), &pre_image).await?;
        let mut changed = match in_order(self, what, &changing).await {
            Ok(changed) => changed,
            Err(failure) => {
                noted.forget().await;
                return Err(failure);
            }
        };
        changed.among(uris.len(), &places);
        changed.change_id = noted.id();
        noted.finish(changed.status, None).await;
        Ok(changed)
    }
}

/// How many of what, in words.
pub(in crate::mcp::tools) fn counted(uris: &[LibraryUri]) -> String {
    let kinds = [Kind::Track, Kind::Album, Kind::Show, Kind::Episode, Kind::Audiobook, Kind::Artist];
    let of = |kind: Kind| match uris.iter().filter(|uri| uri.kind() == kind).count() {
        0 => None,
        some => Some(amount(some, kind.name())),
    };
    let counts: Vec<_> = kinds.into_iter().filter_map(of).collect();
    enumerated(&counts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Requests of up to 40, in order; artists by themselves, because an app may have to ask for them elsewhere.
pub(super) fn portions(uris: &[LibraryUri]) -> Vec<&[LibraryUri]> {
    let alike =
        |one: &LibraryUri, other: &LibraryUri| (one.kind() == Kind::Artist) == (other.kind() == Kind::Artist);
    uris.chunk_by(alike).flat_map(|run| run.chunks(LIBRARY_WRITE)).collect()
}

/// One request after the other; what is lost is looked at again, and so is all of it in the end.
///
/// # Errors
/// Where nothing was done.
async fn in_order(shelf: &Shelf<'_>, what: Library, uris: &[LibraryUri]) -> Result<Changed, ToolError> {
    let mut changed = Changed { status: Status::Accepted, done: 0, ..Changed::nothing(uris.len()) };
    let mut seen = 0;
    for portion in portions(uris) {
        let sent = shelf.ask(what, portion).await;
        // A check costs one request for forty, and tells what a confirmation does not.
        let there = match &sent {
            Ok(_) => holds(shelf, what, portion).await,
            Err(error) if is_ambiguous(error) => holds(shelf, what, portion).await,
            Err(_) => false,
        };
        seen += usize::from(there) * portion.len();
        match sent {
            Err(error) if !there => {
                let status = if is_ambiguous(&error) { Status::Ambiguous } else { Status::Partial };
                let failure = shelf.session.told(error);
                if changed.done == 0 && status == Status::Partial {
                    return Err(failure);
                }
                changed.stop(status, failure);
                return Ok(changed);
            }
            _ => changed.done += portion.len(),
        }
    }
    if seen == uris.len() {
        changed.status = Status::Verified;
    }
    Ok(changed)
}

/// Whether all of these are as they were to be.
async fn holds(shelf: &Shelf<'_>, what: Library, portion: &[LibraryUri]) -> bool {
    let wanted = what == Library::Save;
    shelf.ask(Library::Check, portion).await.is_ok_and(|found| found.iter().all(|kept| *kept == wanted))
}

impl Changed {
    /// All of it is so already.
    const fn nothing(requested: usize) -> Self {
        Self {
            status: Status::Verified,
            requested,
            done: requested,
            resume: None,
            change_id: None,
            failure: None,
            already: 0,
        }
    }

    /// Counted among all that were asked for, of which these were changed and the others left alone.
    fn among(&mut self, requested: usize, places: &[usize]) {
        let from = places.get(self.done).copied().filter(|_| self.resume.is_some());
        self.already = requested - places.len();
        self.requested = requested;
        self.done = from.unwrap_or(requested);
        self.resume =
            from.map(|from| Resume { from_index: from, remaining: requested - from, position: None });
    }

    /// The end of a sentence about it.
    pub(in crate::mcp::tools) fn told(&self) -> String {
        let why = self.failure.as_ref().map(|failure| format!(" {}", failure.told())).unwrap_or_default();
        let rest = match &self.resume {
            Some(resume) => format!(
                " {} not certain; go on from index {}, which repeats nothing.{why}",
                are(resume.remaining),
                resume.from_index
            ),
            None => String::new(),
        };
        let undo = self.change_id.as_ref();
        let undo =
            undo.map(|id| format!(" To undo it: undo_change with change_id {id}.")).unwrap_or_default();
        let already = match self.already {
            0 => String::new(),
            some => format!(" ({} so before)", were(some)),
        };
        format!("{} of {}{already}.{rest}{undo}", self.done, self.requested)
    }

    fn stop(&mut self, status: Status, failure: ToolError) {
        self.status = status;
        self.failure = Some(failure);
        self.resume =
            Some(Resume { from_index: self.done, remaining: self.requested - self.done, position: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_alone_counts_as_done_and_going_on_begins_at_what_was_not() {
        let mut changed = Changed { status: Status::Partial, done: 2, ..Changed::nothing(5) };
        changed.resume = Some(Resume { from_index: 2, remaining: 3, position: None });
        changed.among(9, &[0, 3, 4, 7, 8]);
        assert_eq!((changed.requested, changed.done), (9, 4));
        let resume = changed.resume.unwrap();
        assert_eq!((resume.from_index, resume.remaining), (4, 5));
        let mut whole = Changed::nothing(5);
        whole.among(9, &[0, 3, 4, 7, 8]);
        assert_eq!((whole.done, whole.resume.is_none()), (9, true));
    }

    #[test]
    fn requests_keep_the_order_and_artists_go_by_themselves() {
        let uri = |kind: &str, n: usize| format!("spotify:{kind}:{n:022}").parse::<LibraryUri>().unwrap();
        let mut uris: Vec<_> = (0..85).map(|n| uri("track", n)).collect();
        uris.extend([uri("artist", 1), uri("artist", 2), uri("album", 3)]);
        let sizes: Vec<_> = portions(&uris).iter().map(|portion| portion.len()).collect();
        assert_eq!(sizes, [40, 40, 5, 2, 1]);
        assert_eq!(portions(&uris).concat(), uris);
    }
}
