//! Checking, saving and removing: up to 200 things in requests of 40. Saving what is saved and removing what is not
//! there come to nothing, so that all of it can be repeated.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::super::upstream::Session;
use super::super::add_tracks::{Resume, Status, is_ambiguous};
use super::super::arguments::{Few, LibraryName, parse, schema_of};
use super::super::items::page;
use super::super::{
    AccountName, Answer, Arguments, Context, Hints, LOOKS, ToolError, ToolSpec, agreeing, output_of,
};
use crate::spotify::ApiError;
use crate::spotify::library::{LIBRARY_WRITE, Library};
use crate::spotify::named::LibraryUri;
use crate::spotify::uri::Kind;
use crate::vault::CallError;
use crate::vault::changes::Planned;

/// Most things in one call.
const MOST: usize = 200;

pub(in crate::mcp) const CHECK_LIBRARY: ToolSpec = ToolSpec {
    name: "check_library",
    title: "Check the library",
    description: "Tells for up to 200 tracks, albums, shows, episodes and audiobooks whether the person saved them on \
                  Spotify, and for artists whether they follow them.",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<Checked>,
    run: |context, arguments| Box::pin(check(context, arguments)),
};

pub(in crate::mcp) const SAVE_TO_LIBRARY: ToolSpec = ToolSpec {
    name: "save_to_library",
    title: "Save to the library",
    description: "Saves up to 200 tracks (\"likes\" them), albums, shows, episodes and audiobooks in the person's Spotify \
                  library, and follows artists. What is there already stays. status tells what is certain: verified or \
                  accepted (all there), partial or ambiguous (call again with the part of uris from resume.from_index \
                  on, which repeats nothing). For playlists use follow_playlist.",
    hints: Hints { read_only: false, destructive: false, idempotent: true, open_world: true },
    input: schema_of::<Input>,
    output: output_of::<Changed>,
    run: |context, arguments| Box::pin(change(context, arguments, Library::Save)),
};

pub(in crate::mcp) const REMOVE_FROM_LIBRARY: ToolSpec = ToolSpec {
    name: "remove_from_library",
    title: "Remove from the library",
    description: "Removes up to 200 tracks, albums, shows, episodes and audiobooks from the person's Spotify library, and \
                  unfollows artists. The time at which they were saved is lost: ask the person first. status is as in \
                  save_to_library.",
    hints: Hints { read_only: false, destructive: true, idempotent: true, open_world: true },
    input: schema_of::<Input>,
    output: output_of::<Changed>,
    run: |context, arguments| Box::pin(change(context, arguments, Library::Remove)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// What is meant: URIs, links or track ids.
    uris: Few<LibraryName, 1, MOST>,
    /// Which linked Spotify account to use: its alias or id. Default: the primary one.
    account: Option<AccountName>,
}

#[derive(Serialize, JsonSchema)]
struct Checked {
    /// Each with whether it is there, in the order given.
    items: Vec<Item>,
    /// The index in uris of the first one that was not checked; absent where all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<usize>,
    /// What stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<ToolError>,
}

#[derive(Serialize, JsonSchema)]
struct Item {
    /// Its URI.
    uri: String,
    /// Whether it is saved, or followed.
    saved: bool,
    /// The page at open.spotify.com.
    url: String,
}

#[derive(Serialize, JsonSchema)]
struct Changed {
    /// How certain it is.
    status: Status,
    /// How many were given.
    requested: usize,
    /// How many are certainly done.
    done: usize,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<Resume>,
    /// What stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<ToolError>,
}

/// One account's library, by the app that it is linked through.
struct Shelf<'a> {
    session: Session<'a>,
    app: String,
}

impl<'a> Shelf<'a> {
    async fn of(context: Context<'a>, input: &Input) -> Result<Self, ToolError> {
        let session = context.session(input.account.as_ref()).await?;
        let links = context.links().await?;
        let link = links.into_iter().find(|known| known.id == session.link);
        let app = link.map(|link| link.app.as_str().to_owned());
        let app = app.ok_or_else(|| ToolError::no_account(&context.server.reconnect_url))?;
        Ok(Self { session, app })
    }

    async fn ask(&self, what: Library, uris: &[LibraryUri]) -> Result<Vec<bool>, CallError> {
        if self.session.time_left() < self.session.longest_call {
            return Err(CallError::Api(ApiError::Timeout));
        }
        let (api, app) = (self.session.api, self.app.as_str());
        self.session.attempt(|token| async move { api.ask_library(&token, app, what, uris).await }).await
    }
}

/// Requests of up to 40, in order; artists by themselves, because an app may have to ask for them elsewhere.
fn portions(uris: &[LibraryUri]) -> Vec<&[LibraryUri]> {
    let alike =
        |one: &LibraryUri, other: &LibraryUri| (one.kind() == Kind::Artist) == (other.kind() == Kind::Artist);
    uris.chunk_by(alike).flat_map(|run| run.chunks(LIBRARY_WRITE)).collect()
}

async fn check(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let shelf = Shelf::of(context, &input).await?;
    let uris: Vec<_> = input.uris.0.into_iter().map(|name| name.0).collect();
    let mut checked = Checked { items: Vec::with_capacity(uris.len()), next_offset: None, failure: None };
    for portion in portions(&uris) {
        match shelf.ask(Library::Check, portion).await {
            Ok(found) => {
                checked.items.extend(portion.iter().zip(found).map(|(uri, saved)| Item::of(uri, saved)))
            }
            Err(error) => {
                let failure = ToolError::upstream(error, shelf.session.reconnect_url);
                if checked.items.is_empty() {
                    return Err(failure);
                }
                checked.next_offset = Some(checked.items.len());
                checked.failure = Some(failure);
                break;
            }
        }
    }
    checked.answer()
}

impl Item {
    fn of(uri: &LibraryUri, saved: bool) -> Self {
        Self { uri: uri.to_string(), saved, url: page(uri.kind(), uri.base62()) }
    }
}

impl Checked {
    fn answer(&self) -> Result<Answer, ToolError> {
        let saved = self.items.iter().filter(|item| item.saved).count();
        let lines = self
            .items
            .iter()
            .map(|item| format!("\n{} [{}]", if item.saved { "saved" } else { "not saved" }, item.uri));
        let mut text = format!("{saved} of {} are saved:{}", self.items.len(), lines.collect::<String>());
        if let (Some(next), Some(failure)) = (self.next_offset, &self.failure) {
            text.push_str(&format!("\nNot checked from index {next} on: {}", failure.message));
        }
        let mut answer = Answer::of(text, self)?;
        answer.code = self.failure.as_ref().map(|failure| failure.code);
        Ok(answer)
    }
}

async fn change(context: Context<'_>, arguments: Arguments, what: Library) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let shelf = Shelf::of(context, &input).await?;
    let uris: Vec<_> = input.uris.0.into_iter().map(|name| name.0).collect();
    if what == Library::Remove && agreeing::is_due(context) {
        ask(context, &shelf.session, &uris).await?;
    }
    let changed = in_order(&shelf, what, &uris).await?;
    let why = changed.failure.as_ref().map(|failure| format!(" {}", failure.message)).unwrap_or_default();
    let rest = match &changed.resume {
        Some(resume) => format!(
            " {} are not certain; go on from index {}, which repeats nothing.{why}",
            resume.remaining, resume.from_index
        ),
        None => String::new(),
    };
    let did = if what == Library::Save { "Saved" } else { "Removed" };
    let text = format!("{did} {} of {}.{rest}", changed.done, changed.requested);
    let mut answer = Answer::of(text, &changed)?;
    answer.code = changed.failure.as_ref().map(|failure| failure.code);
    Ok(answer)
}

/// Asks the person before anything leaves the library.
async fn ask(context: Context<'_>, session: &Session<'_>, uris: &[LibraryUri]) -> Result<(), ToolError> {
    let account = agreeing::account(context, session).await?;
    let kinds = [Kind::Track, Kind::Album, Kind::Show, Kind::Episode, Kind::Audiobook, Kind::Artist];
    let counted =
        kinds.into_iter().filter_map(|kind| match uris.iter().filter(|uri| uri.kind() == kind).count() {
            0 => None,
            1 => Some(format!("1 {}", kind.name())),
            many => Some(format!("{many} {}", kind.plural())),
        });
    let question = format!(
        "Remove {} from the library of the Spotify account {account}? When they were saved is lost.",
        counted.collect::<Vec<_>>().join(", ")
    );
    let asked: Vec<_> = uris.iter().map(ToString::to_string).collect();
    let planned = Planned { tool: REMOVE_FROM_LIBRARY.name, asked: &asked.join(" "), state: "" };
    agreeing::agreed(context, &session.link, planned, question).await
}

/// One request after the other; what is lost is looked at again, and so is all of it in the end.
///
/// # Errors
/// Where nothing was done.
async fn in_order(shelf: &Shelf<'_>, what: Library, uris: &[LibraryUri]) -> Result<Changed, ToolError> {
    let mut changed =
        Changed { status: Status::Accepted, requested: uris.len(), done: 0, resume: None, failure: None };
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
                let failure = ToolError::upstream(error, shelf.session.reconnect_url);
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
    fn requests_keep_the_order_and_artists_go_by_themselves() {
        let uri = |kind: &str, n: usize| format!("spotify:{kind}:{n:022}").parse::<LibraryUri>().unwrap();
        let mut uris: Vec<_> = (0..85).map(|n| uri("track", n)).collect();
        uris.extend([uri("artist", 1), uri("artist", 2), uri("album", 3)]);
        let sizes: Vec<_> = portions(&uris).iter().map(|portion| portion.len()).collect();
        assert_eq!(sizes, [40, 40, 5, 2, 1]);
        assert_eq!(portions(&uris).concat(), uris);
    }
}
