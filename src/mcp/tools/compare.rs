//! Two playlists side by side: what only one of them has. No figures about taste (spotify.md 1.9, III.13).

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arguments::{Count, PlaylistName, parse, schema_of};
use super::changing::contents::{Contents, Row, read};
use super::items::by_position;
use super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use crate::spotify::quota::LIST_OFFSET;
use crate::spotify::uri::PlaylistId;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "compare_playlists",
    title: "Compare two playlists",
    description: "Tells which tracks only the one and only the other of two playlists has, and how many both have, by track \
                  URI. The second playlist may be of another linked account (other_account). Both must be playlists that \
                  these accounts own or collaborate on.",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The one playlist: its id, its URI (spotify:playlist:...) or its link.
    playlist_id: PlaylistName,
    /// The other playlist.
    other_playlist_id: PlaylistName,
    /// How many tracks to name at most of each.
    #[serde(default = "twenty")]
    limit: Count<1, 100>,
    /// How many of each to skip; take next_offset of the previous answer.
    #[serde(default = "start")]
    offset: Count<0, LIST_OFFSET>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
    /// Which linked Spotify account to use for the other playlist. Default: the same.
    other_account: Option<AccountName>,
}

const fn twenty() -> Count<1, 100> {
    Count::of(20)
}

const fn start() -> Count<0, LIST_OFFSET> {
    Count::of(0)
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The one playlist.
    playlist: Side,
    /// The other.
    other: Side,
    /// How many tracks both have.
    in_both: usize,
    /// Whether they have the same tracks in the same order.
    identical: bool,
    /// Where to go on; absent where all were named.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
}

/// One of the two.
#[derive(Serialize, JsonSchema)]
struct Side {
    /// Its id.
    playlist_id: String,
    /// Its name.
    name: String,
    /// How many rows it has.
    rows: usize,
    /// How many tracks only it has, copies counted once.
    only_here: usize,
    /// Those of them that were asked for.
    tracks: Vec<RowItem>,
    /// Whether there are more than are named.
    truncated: bool,
}

/// A row as it is answered.
#[derive(Serialize, JsonSchema)]
pub(super) struct RowItem {
    /// Its position, counted from 0.
    pub(super) position: usize,
    /// spotify:track:..., spotify:episode:... or spotify:local:...
    pub(super) uri: String,
    /// Title.
    pub(super) name: String,
    /// Artists.
    pub(super) artists: String,
    /// The page at open.spotify.com.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
}

impl RowItem {
    pub(super) fn of(position: usize, row: &Row) -> Self {
        Self {
            position,
            uri: row.shown_uri(),
            name: row.name.to_string(),
            artists: row.artists.to_string(),
            url: page(&row.uri),
        }
    }

    /// `Title - Artists [uri]`
    pub(super) fn line(&self) -> String {
        format!("{} - {} [{}]", self.name, self.artists, self.uri)
    }
}

/// The page of a track or an episode; its URI was written by us.
fn page(uri: &str) -> Option<String> {
    let (kind, id) = uri.strip_prefix("spotify:")?.split_once(':')?;
    ["track", "episode"].contains(&kind).then(|| format!("https://open.spotify.com/{kind}/{id}"))
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let other_session = match &input.other_account {
        Some(account) => context.session(Some(account)).await?,
        None => context.session(input.account.as_ref()).await?,
    };
    let (id, other_id) = (&input.playlist_id.0, &input.other_playlist_id.0);
    let one = read(&session, id).await?;
    let other = read(&other_session, other_id).await?;
    let (here, there) = (uris(&one), uris(&other));
    let page = (input.offset.get() as usize, input.limit.get() as usize);
    let (side, other_side) = (Side::of(id, &one, &there, page), Side::of(other_id, &other, &here, page));
    let goes_on = side.truncated || other_side.truncated;
    let output = Output {
        next_offset: goes_on.then(|| input.offset.get().saturating_add(input.limit.get())),
        in_both: here.intersection(&there).count(),
        identical: one.uris() == other.uris(),
        playlist: side,
        other: other_side,
    };
    let text = format!(
        "{} in both.{}{}{}{}",
        match output.in_both {
            1 => "1 track is".to_owned(),
            many => format!("{many} tracks are"),
        },
        if output.identical { " They are the same, in the same order." } else { "" },
        output.playlist.told(),
        output.other.told(),
        output.next_offset.map(|next| format!("\nMore: offset {next}.")).unwrap_or_default()
    );
    Answer::of(text, &output)
}

fn uris(contents: &Contents) -> HashSet<&str> {
    contents.rows.iter().map(|row| row.uri.as_str()).filter(|uri| !uri.is_empty()).collect()
}

impl Side {
    fn of(
        id: &PlaylistId,
        contents: &Contents,
        elsewhere: &HashSet<&str>,
        (offset, limit): (usize, usize),
    ) -> Self {
        let mut seen = HashSet::new();
        let only: Vec<_> = contents
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| !row.uri.is_empty() && !elsewhere.contains(row.uri.as_str()))
            .filter(|(_, row)| seen.insert(row.uri.as_str()))
            .collect();
        Self {
            playlist_id: id.as_str().to_owned(),
            name: contents.title(),
            rows: contents.rows.len(),
            only_here: only.len(),
            truncated: only.len() > offset.saturating_add(limit),
            tracks: only.into_iter().skip(offset).take(limit).map(|(at, row)| RowItem::of(at, row)).collect(),
        }
    }

    fn told(&self) -> String {
        let list = by_position(self.tracks.iter().map(|row| (row.position as u64, row.line())));
        let how = if self.tracks.is_empty() { "" } else { ", by position, counted from 0:" };
        format!("\nOnly in \"{}\" [{}]: {}{how}{list}", self.name, self.playlist_id, self.only_here)
    }
}
