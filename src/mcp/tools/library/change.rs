//! Checking, saving and removing: up to 200 things. Saving what is saved and removing what is not there come to nothing,
//! so that all of it can be repeated.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::amount::are;
use super::super::arguments::{Few, LibraryName, Text, parse, schema_of};
use super::super::changing::planned::Shown;
use super::super::items::page;
use super::super::{
    AccountName, Answer, Arguments, Context, Hints, LOOKS, ToolError, ToolSpec, agreeing, output_of,
};
use super::shelf::{Changed, Shelf, counted, portions};
use crate::spotify::library::Library;
use crate::spotify::named::LibraryUri;
use crate::vault::changes::Planned;

/// The name of the tool that removes.
const REMOVE: &str = "remove_from_library";
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
    run: |context, arguments| Box::pin(save(context, arguments)),
};

pub(in crate::mcp) const REMOVE_FROM_LIBRARY: ToolSpec = ToolSpec {
    name: "remove_from_library",
    title: "Remove from the library",
    description: "Removes up to 200 tracks, albums, shows, episodes and audiobooks from the person's Spotify library, and \
                  unfollows artists. The time at which they were saved is lost; undo_change saves them again. Where the \
                  client cannot ask the person itself, the first call only plans: show them what it says, then call again with \
                  its plan_id. status is as in save_to_library.",
    hints: Hints { read_only: false, destructive: true, idempotent: true, open_world: true },
    input: schema_of::<RemoveInput>,
    output: output_of::<Removed>,
    run: |context, arguments| Box::pin(remove(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct RemoveInput {
    /// What is meant: URIs, links or track ids.
    uris: Few<LibraryName, 1, MOST>,
    /// The plan to apply.
    plan_id: Option<Text<1, 64>>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

/// A plan, or what was done.
#[derive(Serialize, JsonSchema)]
struct Removed {
    #[serde(flatten)]
    plan: Option<Shown>,
    #[serde(flatten)]
    changed: Option<Changed>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// What is meant: URIs, links or track ids.
    uris: Few<LibraryName, 1, MOST>,
    /// Alias or id of a linked account; else the default one.
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

async fn save(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let shelf = Shelf::of(context, input.account.as_ref()).await?;
    let uris: Vec<_> = input.uris.0.into_iter().map(|name| name.0).collect();
    let changed = shelf.set(context, ("save_to_library", Library::Save), &uris).await?;
    let mut answer = Answer::of(format!("Saved {}", changed.told()), &changed)?;
    answer.code = changed.failure.as_ref().map(|failure| failure.code);
    Ok(answer)
}

async fn remove(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: RemoveInput = parse(arguments)?;
    let shelf = Shelf::of(context, input.account.as_ref()).await?;
    let uris: Vec<_> = input.uris.0.into_iter().map(|name| name.0).collect();
    let names: Vec<_> = uris.iter().map(ToString::to_string).collect();
    let asked = names.join(" ");
    let planned = Planned { tool: REMOVE, asked: &asked, state: "" };
    let question = async {
        let account = agreeing::account(context, &shelf.session).await?;
        let (what, names) = (counted(&uris), agreeing::names(&shelf.session, &names).await);
        Ok::<_, ToolError>(format!(
            "Remove {what} from the library of the Spotify account {account}{names}? When they were saved is lost."
        ))
    };
    let plan_id = input.plan_id.as_ref().map(Text::as_str);
    let leave = agreeing::leave(context, &shelf.session, planned, (plan_id, question)).await?;
    if let Some((plan, text)) = leave {
        return Answer::of(text, &Removed { plan: Some(plan), changed: None });
    }
    let changed = shelf.set(context, (REMOVE, Library::Remove), &uris).await?;
    let (text, code) =
        (format!("Removed {}", changed.told()), changed.failure.as_ref().map(|failure| failure.code));
    let mut answer = Answer::of(text, &Removed { plan: None, changed: Some(changed) })?;
    answer.code = code;
    Ok(answer)
}
