//! Starting to play, and moving what plays to another device.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::arguments::{ContextName, Count, Few, ItemName, parse, schema_of};
use super::super::{AccountName, Answer, Arguments, Context, ToolError, ToolSpec, output_of};
use super::command::{COMMANDS, Commanded, SETTLES, look_after, playing};
use super::device::{DeviceName, find};
use crate::spotify::models::Playback;
use crate::spotify::player::{MOST_PLAYED, Start, What};
use crate::spotify::uri::Kind;

pub(super) type Millis = Count<0, 86_400_000>;

pub(in crate::mcp) const PLAY: ToolSpec = ToolSpec {
    name: "play",
    title: "Play",
    description: "Plays on the person's Spotify: the tracks or episodes in uris; or an album, artist, playlist, show or \
                  audiobook in context_uri; or, with neither, what was paused. Plays on the active device unless one is \
                  given. Needs Spotify Premium. Replaces what plays now; to only line something up, use add_to_queue.",
    hints: COMMANDS,
    input: schema_of::<PlayInput>,
    output: output_of::<Commanded>,
    run: |context, arguments| Box::pin(play(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct PlayInput {
    /// Tracks or episodes to play in this order: URIs, links or track ids.
    uris: Option<Few<ItemName, 1, MOST_PLAYED>>,
    /// What to play as a whole instead: URI or link.
    context_uri: Option<ContextName>,
    /// Which item of uris or context_uri to begin with, counted from 0.
    offset: Option<Count<0, 11_000>>,
    /// Where in that item to begin, in milliseconds.
    position_ms: Option<Millis>,
    /// The device to play on, by name or id.
    device: Option<DeviceName>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

async fn play(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: PlayInput = parse(arguments)?;
    let start = input.start()?;
    let session = context.session(input.account.as_ref()).await?;
    let device = match &input.device {
        Some(name) => Some(find(&session, name).await?),
        None => None,
    };
    let (api, device, start) = (session.api, device.as_deref(), &start);
    let sent = session.attempt(|token| async move { api.play(&token, device, start).await }).await;
    let commanded = look_after(&session, sent, |playback| fits(playback, start, device)).await;
    commanded.map_err(|refused| past_the_end(refused, start))?.answer("Playing.")
}

impl PlayInput {
    fn start(&self) -> Result<Start, ToolError> {
        let what = match (&self.uris, &self.context_uri) {
            (Some(_), Some(_)) => {
                return Err(ToolError::invalid("Give uris or context_uri, not both."));
            }
            (Some(uris), None) => What::Items(uris.0.iter().map(|name| name.0.clone()).collect()),
            (None, Some(context)) => What::Context(context.0.clone()),
            (None, None) => What::Resume,
        };
        let offset = self.offset.map(Count::get);
        match (&what, offset) {
            (What::Resume, Some(_)) => {
                Err(ToolError::invalid("The argument 'offset' needs uris or context_uri."))
            }
            (What::Context(context), Some(_)) if context.kind() == Kind::Artist => Err(ToolError::invalid(
                "The argument 'offset' does not go with an artist, whose tracks have no order. Leave it out.",
            )),
            (What::Items(items), Some(at)) if at as usize >= items.len() => Err(ToolError::invalid(format!(
                "The argument 'offset' is past the end: uris has {}.",
                items.len()
            ))),
            _ => Ok(Start { what, offset, position_ms: self.position_ms.map(Count::get) }),
        }
    }
}

/// Spotify says of a place that is not there only that it is not valid.
fn past_the_end(refused: ToolError, start: &Start) -> ToolError {
    match (&start.what, start.offset) {
        (What::Context(_), Some(offset)) if refused.code == "INVALID_ARGUMENT" => {
            ToolError::invalid(format!(
                "Nothing was started: Spotify does not take the argument 'offset' ({offset}, counted from 0), probably because \
             context_uri has no more than so many items. list_children and get_playlist_tracks tell how many."
            ))
        }
        _ => refused,
    }
}

/// Whether the player does what it was told.
fn fits(playback: &Playback, start: &Start, device: Option<&str>) -> bool {
    let there = match &start.what {
        What::Resume => true,
        What::Items(items) => {
            let first = items.get(start.offset.unwrap_or(0) as usize).map(ToString::to_string);
            playing(playback) == first.as_deref()
        }
        What::Context(context) => {
            let uri = playback.context.as_ref().and_then(|context| context.uri.as_deref());
            uri == Some(&context.to_string())
        }
    };
    playback.is_playing == Some(true) && there && device.is_none_or(|device| is_on(playback, device))
}

fn is_on(playback: &Playback, device: &str) -> bool {
    playback.device.as_ref().is_some_and(|active| active.id.as_deref() == Some(device))
}

pub(in crate::mcp) const TRANSFER_PLAYBACK: ToolSpec = ToolSpec {
    name: "transfer_playback",
    title: "Move playback to another device",
    description: "Moves what plays on Spotify to another device, for example to the speaker in the kitchen. Stays paused \
                  if it was, unless play is true. Needs Spotify Premium.",
    hints: SETTLES,
    input: schema_of::<TransferInput>,
    output: output_of::<Commanded>,
    run: |context, arguments| Box::pin(transfer(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct TransferInput {
    /// The device, by name or id.
    device: DeviceName,
    /// Play there even if it is paused now.
    #[serde(default)]
    play: bool,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

async fn transfer(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: TransferInput = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let device = find(&session, &input.device).await?;
    let (api, device, play) = (session.api, device.as_str(), input.play);
    let sent = session.attempt(|token| async move { api.transfer(&token, device, play).await }).await;
    let there = |playback: &Playback| is_on(playback, device) && (!play || playback.is_playing == Some(true));
    look_after(&session, sent, there).await?.answer("Moved.")
}
