//! Checking, saving and removing: up to 200 things. Saving what is saved and removing what is not there come to nothing,
//! so that all of it can be repeated.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::super::upstream::Session;
use super::super::amount::are;
use super::super::arguments::{Few, LibraryName, parse, schema_of};
use super::super::items::page;
use super::super::{
    AccountName, Answer, Arguments, Context, Hints, LOOKS, ToolError, ToolSpec, agreeing, output_of,
};
use super::shelf::{Changed, Shelf, counted, portions};
use crate::spotify::library::Library;
use crate::spotify::named::LibraryUri;
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
                  on, which repeats nothing). undo_change takes out again what was not there before. For playlists use \
                  follow_playlist.",
    hints: Hints { read_only: false, destructive: false, idempotent: true, open_world: true },
    input: schema_of::<Input>,
    output: output_of::<Changed>,
    run: |context, arguments| Box::pin(change(context, arguments, Library::Save)),
};

pub(in crate::mcp) const REMOVE_FROM_LIBRARY: ToolSpec = ToolSpec {
    name: "remove_from_library",
    title: "Remove from the library",
    description: "Removes up to 200 tracks, albums, shows, episodes and audiobooks from the person's Spotify library, and \
                  unfollows artists. The time at which they were saved is lost: ask the person first. undo_change \
                  saves them again. status is as in save_to_library.",
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

async fn check(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let shelf = Shelf::of(context, input.account.as_ref()).await?;
    let uris: Vec<_> = input.uris.0.into_iter().map(|name| name.0).collect();
    let mut checked = Checked { items: Vec::with_capacity(uris.len()), next_offset: None, failure: None };
    for portion in portions(&uris) {
        match shelf.ask(Library::Check, portion).await {
            Ok(found) => {
                checked.items.extend(portion.iter().zip(found).map(|(uri, saved)| Item::of(uri, saved)))
            }
            Err(error) => {
                let failure = shelf.session.told(error);
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
        let lines = self.items.iter().map(|item| {
            let word = if item.uri.starts_with("spotify:artist:") { "followed" } else { "saved" };
            format!("\n{}{word} [{}]", if item.saved { "" } else { "not " }, item.uri)
        });
        let mut text = format!("{saved} of {} there:{}", are(self.items.len()), lines.collect::<String>());
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
    let shelf = Shelf::of(context, input.account.as_ref()).await?;
    let uris: Vec<_> = input.uris.0.into_iter().map(|name| name.0).collect();
    let tool = match what {
        Library::Remove => "remove_from_library",
        Library::Save | Library::Check => "save_to_library",
    };
    if what == Library::Remove && agreeing::is_due(context) {
        ask(context, &shelf.session, &uris).await?;
    }
    let changed = shelf.set(context, (tool, what), &uris).await?;
    let did = if what == Library::Save { "Saved" } else { "Removed" };
    let mut answer = Answer::of(format!("{did} {}", changed.told()), &changed)?;
    answer.code = changed.failure.as_ref().map(|failure| failure.code);
    Ok(answer)
}

/// Asks the person before anything leaves the library.
async fn ask(context: Context<'_>, session: &Session<'_>, uris: &[LibraryUri]) -> Result<(), ToolError> {
    let account = agreeing::account(context, session).await?;
    let question = format!(
        "Remove {} from the library of the Spotify account {account}? When they were saved is lost.",
        counted(uris)
    );
    let asked: Vec<_> = uris.iter().map(ToString::to_string).collect();
    let planned = Planned { tool: "remove_from_library", asked: &asked.join(" "), state: "" };
    agreeing::agreed(context, &session.link, planned, question).await
}
