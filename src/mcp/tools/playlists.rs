//! Looking at playlists: the person's list, and the tracks of one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::upstream::Session;
use super::amount::{amount, share};
use super::arguments::{Count, PlaylistName, Text, parse, schema_of};
use super::items::{PlaylistItem, numbered};
use super::library::TrackPage;
use super::own_playlists::{my_playlists, not_among_them};
use super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use crate::spotify::models::Playlist;
use crate::spotify::quota::{LIST_OFFSET, PAGE};

/// Most pages that one filtered call looks through.
const PAGES: u32 = 10;

type Limit = Count<1, PAGE>;
type Offset = Count<0, LIST_OFFSET>;

const fn ten() -> Limit {
    Count::of(10)
}

const fn twenty() -> Limit {
    Count::of(20)
}

const fn start() -> Offset {
    Count::of(0)
}

pub(super) const GET_USER_PLAYLISTS: ToolSpec = ToolSpec {
    name: "get_user_playlists",
    title: "Get the person's playlists",
    description: "Lists the playlists in the person's Spotify library, own and followed ones, with the ids that the other \
                  playlist tools take. Use query to find a playlist by its name, and owned_only to leave out those that \
                  others made.",
    hints: LOOKS,
    input: schema_of::<ListInput>,
    output: output_of::<ListOutput>,
    run: |context, arguments| Box::pin(list(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListInput {
    /// How many playlists to return at most.
    #[serde(default = "ten")]
    limit: Limit,
    /// How many to skip; take next_offset of the previous answer.
    #[serde(default = "start")]
    offset: Offset,
    /// Only playlists whose name contains this, upper and lower case alike.
    query: Option<Text<1, 100>>,
    /// Only playlists that the person made.
    #[serde(default)]
    owned_only: bool,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

#[derive(Serialize, JsonSchema)]
struct ListOutput {
    /// The playlists, in the library's order.
    playlists: Vec<PlaylistItem>,
    /// How many playlists the library has, whatever was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Where this page began.
    offset: u32,
    /// Where to go on; absent at the end. With a filter there may be more even where this answer is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
    /// Without these permissions of Spotify's there may be more playlists than told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_permissions: Vec<&'static str>,
}

/// What of the list is wanted.
struct Filter {
    /// In lower case.
    query: Option<String>,
    /// The Spotify user id of the person.
    owner: Option<String>,
}

impl Filter {
    const fn is_empty(&self) -> bool {
        self.query.is_none() && self.owner.is_none()
    }

    fn takes(&self, playlist: &Playlist) -> bool {
        let named = |query: &String| {
            playlist.name.as_ref().is_some_and(|name| name.raw().to_lowercase().contains(query))
        };
        let owned =
            |owner: &String| playlist.owner.as_ref().is_some_and(|who| who.id.as_ref() == Some(owner));
        self.query.as_ref().is_none_or(named) && self.owner.as_ref().is_none_or(owned)
    }
}

async fn list(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: ListInput = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let found = gather(context, &session, &input).await?;
    let unseen = not_among_them(&session, &found.missing_permissions);
    if found.playlists.is_empty() {
        let more =
            found.next_offset.map(|next| format!(" so far; go on at offset {next}")).unwrap_or_default();
        return Answer::of(format!("No such playlists{more}.{unseen}"), &found);
    }
    let list = numbered(found.playlists.iter().map(PlaylistItem::line), 0);
    let more = found.next_offset.map(|next| format!("\nMore: offset {next}.")).unwrap_or_default();
    let count = found.playlists.len();
    let told = match (input.query.is_some() || input.owned_only, found.total) {
        (false, total) => share(count, total, "playlist"),
        (true, None) => format!("{} found", amount(count, "playlist")),
        (true, Some(total)) => format!("{} found (the library has {total})", amount(count, "playlist")),
    };
    Answer::of(format!("{told}:{list}{more}{unseen}"), &found)
}

async fn gather(
    context: Context<'_>,
    session: &Session<'_>,
    input: &ListInput,
) -> Result<ListOutput, ToolError> {
    let owner = match input.owned_only {
        true => Some(owner_of(context, &session.link).await?),
        false => None,
    };
    let filter = Filter { query: input.query.as_ref().map(|query| query.as_str().to_lowercase()), owner };
    let (limit, offset) = (input.limit.get(), input.offset.get());
    let size = if filter.is_empty() { limit } else { PAGE };
    let mut found = ListOutput {
        playlists: vec![],
        total: None,
        offset,
        next_offset: Some(offset),
        missing_permissions: vec![],
    };
    for _ in 0..PAGES {
        let Some(at) = found.next_offset else { break };
        let (page, missing) = my_playlists(session, (size, at)).await?;
        found.missing_permissions = missing;
        found.total = page.total.or(found.total);
        found.next_offset = page.next_offset;
        for (row, playlist) in (1..).zip(&page.items) {
            if filter.takes(playlist) {
                found.playlists.extend(PlaylistItem::from(playlist));
            }
            if found.playlists.len() >= limit as usize && row < page.items.len() {
                // Rows that came as null are not counted here: the next page may repeat a row, never skip one.
                found.next_offset = Some(at.saturating_add(u32::try_from(row).unwrap_or(size)));
                break;
            }
        }
        if filter.is_empty() || found.playlists.len() >= limit as usize {
            break;
        }
    }
    Ok(found)
}

async fn owner_of(context: Context<'_>, link: &crate::domain::LinkId) -> Result<String, ToolError> {
    let links = context.links().await?;
    let found = links.into_iter().find(|known| known.id == *link).map(|known| known.spotify_user_id);
    found.ok_or_else(|| ToolError::no_account(&context.server.reconnect_url))
}

/// Whose contents Spotify keeps from an account is not empty for that.
fn unreadable(mut error: ToolError) -> ToolError {
    if error.code == "FORBIDDEN" {
        error.message.push_str(" That does not mean that it is empty.");
    }
    error
}

pub(super) const GET_PLAYLIST_TRACKS: ToolSpec = ToolSpec {
    name: "get_playlist_tracks",
    title: "Get the tracks of a playlist",
    description: "Lists the tracks of one playlist in their order, a page at a time, each with its position (counted from 0). Spotify lets an account read only \
                  playlists that it owns or collaborates on; for others the answer is the error FORBIDDEN.",
    hints: LOOKS,
    input: schema_of::<TracksInput>,
    output: output_of::<TrackPage>,
    run: |context, arguments| Box::pin(tracks(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TracksInput {
    /// The playlist: its id, its URI (spotify:playlist:...) or its link (https://open.spotify.com/playlist/...).
    playlist_id: PlaylistName,
    /// How many tracks to return at most.
    #[serde(default = "twenty")]
    limit: Limit,
    /// How many to skip; take next_offset of the previous answer.
    #[serde(default = "start")]
    offset: Offset,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

async fn tracks(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: TracksInput = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let (api, id, limit, offset) = (session.api, &input.playlist_id.0, input.limit.get(), input.offset.get());
    let page = session
        .call(|token| async move { api.playlist_items(&token, id, limit, offset, None).await })
        .await
        .map_err(unreadable)?;
    TrackPage::in_place(&page).answer("track", " of the playlist")
}
