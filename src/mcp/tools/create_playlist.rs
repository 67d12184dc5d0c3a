//! Making a playlist, with its first tracks where wanted. Never made twice because an answer was lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::upstream::Session;
use super::add_tracks::{Added, MOST, Plan, Status, add_in_order, is_ambiguous};
use super::amount::{amount, share};
use super::arguments::{Few, ItemName, Text, parse, schema_of};
use super::changing::journal::{About, Noted};
use super::items::PlaylistItem;
use super::{ADDS, AccountName, Answer, Arguments, Context, ToolError, ToolSpec, output_of};
use crate::domain::change::{Details, PreImage};
use crate::spotify::models::Playlist;
use crate::spotify::playlists::NewPlaylist;
use crate::spotify::quota::PAGE;
use crate::spotify::uri::PlaylistId;
use crate::vault::CallError;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "create_playlist",
    title: "Create a playlist",
    description: "Makes a new playlist in the person's Spotify account, private unless public is true, and can fill it with \
                  tracks right away. Each call makes another playlist, also under a name that exists. If the status is \
                  ambiguous, look with get_user_playlists before calling again.",
    hints: ADDS,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The playlist's name.
    name: Text<1, 100>,
    /// A description in one line.
    #[serde(default)]
    description: Text<0, 300>,
    /// Show it on the person's profile.
    #[serde(default)]
    public: bool,
    /// Let others change it; only together with public false.
    #[serde(default)]
    collaborative: bool,
    /// Tracks to begin with, in order: URIs, links or track ids.
    track_uris: Option<Few<ItemName, 1, MOST>>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The new playlist.
    playlist: PlaylistItem,
    /// How many tracks were given.
    requested: usize,
    #[serde(flatten)]
    added: Added,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let new = NewPlaylist {
        name: input.name.as_str().to_owned(),
        description: input.description.as_str().to_owned(),
        public: input.public,
        collaborative: input.collaborative,
    };
    let items: Vec<_> = input.track_uris.map(|list| list.0).unwrap_or_default();
    let requested = items.len();
    let (made, mut added) = match make(&session, &new).await? {
        Made::Confirmed(playlist) => (playlist, Added::nothing(Status::Accepted)),
        Made::Perhaps(playlist) => (playlist, Added::nothing(Status::Ambiguous)),
    };
    let mut playlist = PlaylistItem::from(&made).ok_or_else(lost)?;
    let done = match requested {
        0 => "empty playlist made".to_owned(),
        some => format!("playlist made of {}", amount(some, "track")),
    };
    let noted = begin_made(context, &session, ("create_playlist", &new, &made), done).await;
    let rows: Vec<_> = items.iter().map(|name| name.0.to_string()).collect();
    if added.status == Status::Accepted && requested > 0 {
        let items = items.into_iter().map(|name| name.0).enumerate().collect();
        let plan = Plan { items, position: None, rows_before: Some(0), there: None };
        let id: PlaylistId = playlist.id.parse().map_err(|_| lost())?;
        added = add_in_order(&session, &id, &plan).await;
        // Where the last confirmation was lost, more may be there.
        playlist.total_tracks =
            (added.status != Status::Ambiguous).then(|| u64::try_from(added.added).unwrap_or(u64::MAX));
    }
    added.change_id = finish_made(noted, &made, (&added, &rows)).await;
    answer(Output { playlist, requested, added })
}

/// Writes down that a playlist was made, before anything is put into it. It is there, so that a journal that fails changes
/// nothing about that.
pub(super) async fn begin_made(
    context: Context<'_>,
    session: &Session<'_>,
    (tool, new, made): (&'static str, &NewPlaylist, &Playlist),
    done: String,
) -> Option<Noted> {
    let id: PlaylistId = made.id.as_deref()?.parse().ok()?;
    let about = About { tool, id: &id, playlist: made, done };
    let set = Details {
        name: Some(new.name.clone()),
        description: Some(new.description.clone()).filter(|text| !text.is_empty()),
        public: Some(new.public),
        collaborative: Some(new.collaborative),
    };
    Noted::begin(context, session, about, &PreImage::Created { set }).await.ok()
}

/// Writes down what was put into it; for undo_change.
pub(super) async fn finish_made(
    noted: Option<Noted>,
    made: &Playlist,
    (added, rows): (&Added, &[String]),
) -> Option<String> {
    let mut noted = noted?;
    if added.status != Status::Ambiguous {
        noted.left(&rows[..added.added.min(rows.len())]);
    }
    let change = noted.id();
    noted.finish(added.status, added.snapshot_id.clone().or_else(|| made.snapshot_id.clone())).await;
    change
}

fn answer(output: Output) -> Result<Answer, ToolError> {
    let named = format!("\"{}\" [{}]", output.playlist.name, output.playlist.id);
    let text = match (output.added.status, &output.added.resume) {
        (Status::Ambiguous, None) => format!(
            "Spotify's confirmation was lost. An empty playlist {named} of that name exists, which is probably the new \
             one; no tracks were added. Ask the person before making another."
        ),
        _ if output.requested == 0 => format!("Created the empty playlist {named}."),
        _ => format!(
            "Created the playlist {named} with {}.{}{}",
            share(output.added.added, Some(output.requested as u64), "track"),
            output.added.told(),
            how_to_go_on(&output)
        ),
    };
    let code = match output.added.status {
        Status::Ambiguous => Some("AMBIGUOUS_WRITE"),
        _ => output.added.code(),
    };
    let text = format!("{text}{}\n{}", output.added.undo_told(), output.playlist.url);
    let mut answer = Answer::of(text, &output)?;
    answer.code = code;
    Ok(answer)
}

/// Another call would make another playlist.
fn how_to_go_on(output: &Output) -> String {
    match &output.added.resume {
        Some(_) if output.added.status != Status::Ambiguous => format!(
            " To go on: add_tracks_to_playlist with playlist_id {} and the track_uris from that index on.",
            output.playlist.id
        ),
        _ => String::new(),
    }
}

impl Added {
    pub(super) const fn nothing(status: Status) -> Self {
        Self { status, added: 0, snapshot_id: None, change_id: None, resume: None, failure: None }
    }
}

pub(super) enum Made {
    Confirmed(Playlist),
    /// The confirmation was lost, and exactly one empty playlist of this name is there.
    Perhaps(Playlist),
}

pub(super) async fn make(session: &Session<'_>, new: &NewPlaylist) -> Result<Made, ToolError> {
    // From here on nobody drops it: what is made is written down.
    session.going.begin();
    let api = session.api;
    let error: CallError =
        match session.attempt(|token| async move { api.create_playlist(&token, new).await }).await {
            Ok(playlist) => return Ok(Made::Confirmed(playlist)),
            Err(error) => error,
        };
    if !is_ambiguous(&error) {
        return Err(session.told(error));
    }
    // New playlists stand at the top of the list.
    let page = session.call(|token| async move { api.my_playlists(&token, PAGE, 0).await }).await;
    let is_it = |playlist: &Playlist| {
        playlist.total() == Some(0) && playlist.name.as_ref().is_some_and(|name| name.raw() == new.name)
    };
    let mut candidates = page.map(|page| page.items).unwrap_or_default().into_iter().filter(is_it);
    match (candidates.next(), candidates.next()) {
        (Some(only), None) => Ok(Made::Perhaps(only)),
        _ => Err(lost()),
    }
}

pub(super) fn lost() -> ToolError {
    ToolError::new(
        "AMBIGUOUS_WRITE",
        "The playlist was asked for, but Spotify's confirmation was lost and the playlist cannot be told for sure. Look \
         with get_user_playlists before making another.",
    )
}
