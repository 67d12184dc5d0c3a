//! Playlists coming into a person's library and leaving it. What Spotify calls deleting is leaving one's own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::upstream::Session;
use super::amount::amount;
use super::arguments::{PlaylistName, Text, parse, schema_of};
use super::changing::contents::{is_own, title};
use super::changing::journal::{About, Noted};
use super::changing::outcome::{Outcome, Status, contradicted};
use super::changing::planned::Shown;
use super::changing::timing::{Sent, seen, send};
use super::changing::{REPLACES, SETS};
use super::{AccountName, Answer, Arguments, Context, ToolError, ToolSpec, agreeing, output_of};
use crate::domain::change::PreImage;
use crate::spotify::models::Playlist;
use crate::spotify::uri::PlaylistId;
use crate::vault::changes::Planned;

/// The name of the tool that takes one out.
const UNFOLLOW: &str = "unfollow_playlist";

pub(super) const FOLLOW_PLAYLIST: ToolSpec = ToolSpec {
    name: "follow_playlist",
    title: "Follow a playlist",
    description: "Puts a playlist into the person's library, somebody else's or one of their own that they left. Following it \
                  again changes nothing. undo_change takes it out again.",
    hints: SETS,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(follow(context, arguments)),
};

pub(super) const UNFOLLOW_PLAYLIST: ToolSpec = ToolSpec {
    name: "unfollow_playlist",
    title: "Unfollow or delete a playlist",
    description: "Takes a playlist out of the person's library. For a playlist that the person made this is what Spotify \
                  calls deleting: it is gone from their library, others who follow it keep it, and undo_change brings it \
                  back. Where the client cannot ask the person itself, the first call only plans: show them what it says, \
                  then call again with its plan_id.",
    hints: REPLACES,
    input: schema_of::<LeaveInput>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(unfollow(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LeaveInput {
    /// The playlist: its id, URI or link.
    playlist_id: PlaylistName,
    /// The plan to apply.
    plan_id: Option<Text<1, 64>>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The playlist: its id, URI or link.
    playlist_id: PlaylistName,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The playlist's id.
    playlist_id: String,
    /// Its name.
    playlist: String,
    /// Whether it is in the library now, as far as is known.
    followed: bool,
    /// The page at open.spotify.com.
    url: String,
    #[serde(flatten)]
    plan: Option<Shown>,
    /// How it ended; absent in a plan.
    #[serde(flatten)]
    outcome: Option<Outcome>,
}

async fn follow(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let playlist = called(&session, &input.playlist_id.0).await?;
    change(context, &session, (&input.playlist_id.0, &playlist), true).await
}

async fn unfollow(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: LeaveInput = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let id = &input.playlist_id.0;
    let playlist = called(&session, id).await?;
    if is_followed(&session, id).await? {
        let planned = Planned { tool: UNFOLLOW, asked: id.as_str(), state: "" };
        let plan_id = input.plan_id.as_ref().map(Text::as_str);
        let question = question(context, &session, &playlist);
        if let Some((plan, text)) = agreeing::leave(context, &session, planned, (plan_id, question)).await? {
            let output = Output {
                playlist_id: id.as_str().to_owned(),
                playlist: title(&playlist),
                followed: true,
                url: id.link(),
                plan: Some(plan),
                outcome: None,
            };
            return Answer::of(text, &output);
        }
    }
    change(context, &session, (id, &playlist), false).await
}

async fn called(session: &Session<'_>, id: &PlaylistId) -> Result<Playlist, ToolError> {
    let api = session.api;
    session.call(|token| async move { api.playlist(&token, id).await }).await
}

async fn change(
    context: Context<'_>,
    session: &Session<'_>,
    (id, playlist): (&PlaylistId, &Playlist),
    follow: bool,
) -> Result<Answer, ToolError> {
    let tool = if follow { "follow_playlist" } else { UNFOLLOW };
    let outcome = set_followed(context, session, (id, playlist), (tool, follow)).await?;
    let did = match (follow, outcome.change_id.is_none() && outcome.status == Status::Verified) {
        (true, true) => "It is in the library",
        (false, true) => "It is not in the library",
        (true, false) => "Put into the library",
        (false, false) => "Taken out of the library",
    };
    let text = format!("{did}: \"{}\".{}\n{}", title(playlist), outcome.told(), id.link());
    let code = outcome.code();
    let output = Output {
        playlist_id: id.as_str().to_owned(),
        playlist: title(playlist),
        followed: follow == (outcome.status != Status::Ambiguous),
        url: id.link(),
        plan: None,
        outcome: Some(outcome),
    };
    let mut answer = Answer::of(text, &output)?;
    answer.code = code;
    Ok(answer)
}

/// What the person is asked before a playlist leaves their library.
async fn question(
    context: Context<'_>,
    session: &Session<'_>,
    playlist: &Playlist,
) -> Result<String, ToolError> {
    let account = agreeing::account(context, session).await?;
    let rows = playlist.total().map(|rows| format!(" ({})", amount(rows, "track"))).unwrap_or_default();
    let deleting = match is_own(context, session, playlist).await? {
        Some(true) => " It is your own: this is what Spotify calls deleting it.",
        Some(false) => "",
        None => " Where you made it yourself, this is what Spotify calls deleting it.",
    };
    Ok(format!(
        "Take the playlist {}{rows} out of the library of the Spotify account {account}?{deleting}",
        agreeing::quoted(&title(playlist))
    ))
}

/// Puts a playlist into the library or takes it out, where it is not so already.
pub(super) async fn set_followed(
    context: Context<'_>,
    session: &Session<'_>,
    (id, playlist): (&PlaylistId, &Playlist),
    (tool, follow): (&'static str, bool),
) -> Result<Outcome, ToolError> {
    if is_followed(session, id).await? == follow {
        return Ok(Outcome::verified());
    }
    let (pre_image, done) = match follow {
        true => (PreImage::Followed, "put into the library"),
        false => (PreImage::Unfollowed, "taken out of the library"),
    };
    let about = About { tool, id, playlist, done: done.to_owned() };
    let noted = Noted::begin(context, session, about, &pre_image).await?;
    let api = session.api;
    let sent = match follow {
        true => send(session, |token| async move { api.follow_playlist(&token, id).await }).await,
        false => send(session, |token| async move { api.unfollow_playlist(&token, id).await }).await,
    };
    let lost = match sent {
        Sent::Confirmed(()) => None,
        Sent::Lost(failure) => Some(failure),
        Sent::Refused(failure) => {
            noted.forget().await;
            return Err(failure);
        }
    };
    let (status, failure) = match (seen(session, is_followed(session, id)).await, lost) {
        (Some(now), _) if now == follow => (Status::Verified, None),
        (Some(_), lost) => (Status::Ambiguous, lost.or_else(|| Some(contradicted()))),
        (None, Some(lost)) => (Status::Ambiguous, Some(lost)),
        (None, None) => (Status::Accepted, None),
    };
    let outcome = Outcome { status, change_id: noted.id(), snapshot_id: None, failure };
    noted.finish(status, None).await;
    Ok(outcome)
}

/// Whether a playlist is in the library.
pub(super) async fn is_followed(session: &Session<'_>, id: &PlaylistId) -> Result<bool, ToolError> {
    let api = session.api;
    session.call(|token| async move { api.follows_playlist(&token, id).await }).await
}
