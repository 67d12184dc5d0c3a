//! Pausing, skipping and seeking.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::arguments::{Count, parse, schema_of};
use super::super::{AccountName, Answer, Arguments, Context, ToolError, ToolSpec, output_of};
use super::command::{COMMANDS, Commanded, SETTLES, look_after, playing};
use super::current::{Input, clock};
use super::play::Millis;
use crate::spotify::models::Playback;
use crate::spotify::player::Skip;

/// How far a position may have moved on until it is seen, in milliseconds.
const MOVED_ON: u64 = 10_000;

pub(in crate::mcp) const PAUSE: ToolSpec = ToolSpec {
    name: "pause",
    title: "Pause",
    description: "Pauses what plays on the person's Spotify. play without uris goes on. Needs Spotify Premium.",
    hints: SETTLES,
    input: schema_of::<Input>,
    output: output_of::<Commanded>,
    run: |context, arguments| Box::pin(pause(context, arguments)),
};

async fn pause(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let api = session.api;
    let sent = session.attempt(|token| async move { api.pause(&token).await }).await;
    let paused = |playback: &Playback| playback.is_playing == Some(false);
    look_after(&session, sent, paused).await?.answer("Paused.")
}

pub(in crate::mcp) const SKIP_TO_NEXT: ToolSpec = ToolSpec {
    name: "skip_to_next",
    title: "Skip to the next track",
    description: "Skips to the next track or episode on the person's Spotify and tells what plays then. Needs Spotify \
                  Premium.",
    hints: COMMANDS,
    input: schema_of::<Input>,
    output: output_of::<Commanded>,
    run: |context, arguments| Box::pin(skip(context, arguments, Skip::Next)),
};

pub(in crate::mcp) const SKIP_TO_PREVIOUS: ToolSpec = ToolSpec {
    name: "skip_to_previous",
    title: "Skip to the previous track",
    description: "Goes back to the track or episode before on the person's Spotify and tells what plays then. Answers \
                  RESTRICTED where there is none. Needs Spotify Premium.",
    hints: COMMANDS,
    input: schema_of::<Input>,
    output: output_of::<Commanded>,
    run: |context, arguments| Box::pin(skip(context, arguments, Skip::Previous)),
};

async fn skip(context: Context<'_>, arguments: Arguments, way: Skip) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let api = session.api;
    // Only a comparison tells whether it skipped; without one, Spotify's word has to do.
    let before =
        session.attempt(|token| async move { api.playback_state(&token).await }).await.ok().flatten();
    let before = before.as_ref().and_then(playing);
    let sent = session.attempt(|token| async move { api.skip(&token, way).await }).await;
    let moved = |playback: &Playback| {
        let now = playing(playback);
        before.is_some() && now.is_some() && now != before
    };
    let done = match way {
        Skip::Next => "Skipped to the next one.",
        Skip::Previous => "Went back to the one before.",
    };
    look_after(&session, sent, moved).await?.answer(done)
}

pub(in crate::mcp) const SEEK: ToolSpec = ToolSpec {
    name: "seek",
    title: "Go to a position",
    description: "Goes to a position in the track or episode that plays on the person's Spotify. A position past its end \
                  skips to the next one. Needs Spotify Premium.",
    hints: SETTLES,
    input: schema_of::<SeekInput>,
    output: output_of::<Commanded>,
    run: |context, arguments| Box::pin(seek(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct SeekInput {
    /// The position in milliseconds from the beginning.
    position_ms: Millis,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

async fn seek(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: SeekInput = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let (api, position) = (session.api, Count::get(input.position_ms));
    let sent = session.attempt(|token| async move { api.seek(&token, position).await }).await;
    let position = u64::from(position);
    let there = |playback: &Playback| {
        playback.progress_ms.is_some_and(|at| (position..=position + MOVED_ON).contains(&at))
    };
    let commanded = look_after(&session, sent, there).await?;
    let done = match commanded.is_shorter_than(position) {
        true => format!("{} is past its end, so that Spotify goes to the next one.", clock(position)),
        false => format!("Went to {}.", clock(position)),
    };
    commanded.answer(&done)
}
