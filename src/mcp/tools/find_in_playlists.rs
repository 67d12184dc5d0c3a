//! Looking for a track in the person's playlists: as many as a call's budget of requests allows, and where to go on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::upstream::Session;
use super::arguments::{Count, Few, ItemName, PlaylistName, Text, parse, schema_of};
use super::changing::contents::{Row, known, read, requests};
use super::compare::RowItem;
use super::items::numbered;
use super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use crate::spotify::models::Playlist;
use crate::spotify::quota::{LIST_OFFSET, PAGE};
use crate::spotify::uri::PlaylistId;

/// Requests that one call spends at most, except where a single playlist needs more.
const BUDGET: u32 = 60;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "find_in_playlists",
    title: "Find a track in playlists",
    description: "Looks for a track in the person's playlists, by a part of its title or artists (query) or by its URI \
                  (track_uri): in the given playlist_ids, or else in all that the person made. Tells the playlist and the \
                  position of each find. Goes through a limited number of playlists per call; go on with next_offset.",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// A part of the title or of the artists, upper and lower case alike. Give this or track_uri.
    query: Option<Text<1, 100>>,
    /// The track: its URI, link or id.
    track_uri: Option<ItemName>,
    /// Where to look: ids, URIs or links. Default: all playlists that the person made.
    playlist_ids: Option<Few<PlaylistName, 1, 50>>,
    /// How many finds to return at most.
    #[serde(default = "twenty")]
    limit: Count<1, 100>,
    /// How many playlists to skip; take next_offset of the previous answer.
    #[serde(default = "start")]
    offset: Count<0, LIST_OFFSET>,
    /// Which linked Spotify account to use: its alias or id. Default: the primary one.
    account: Option<AccountName>,
}

const fn twenty() -> Count<1, 100> {
    Count::of(20)
}

const fn start() -> Count<0, LIST_OFFSET> {
    Count::of(0)
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The finds.
    found: Vec<Find>,
    /// How many playlists were looked through.
    searched: u32,
    /// Of the playlists looked at, how many cannot be read with this account.
    unreadable: u32,
    /// Whether there are more finds in what was searched than limit allows.
    truncated: bool,
    /// Where to go on; absent where everything was searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
}

/// One find.
#[derive(Serialize, JsonSchema)]
struct Find {
    /// The playlist's id.
    playlist_id: String,
    /// Its name.
    playlist: String,
    #[serde(flatten)]
    row: RowItem,
}

/// What is looked for.
enum Sought {
    Words(String),
    Uri(String),
}

impl Sought {
    fn is(&self, row: &Row) -> bool {
        match self {
            Self::Uri(uri) => row.uri == *uri,
            Self::Words(words) => {
                row.name.to_lowercase().contains(words) || row.artists.to_lowercase().contains(words)
            }
        }
    }
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let sought = match (&input.query, &input.track_uri) {
        (Some(query), None) => Sought::Words(query.as_str().to_lowercase()),
        (None, Some(uri)) => Sought::Uri(uri.0.to_string()),
        _ => return Err(ToolError::invalid("Give either query or track_uri, and not both.")),
    };
    let session = context.session(input.account.as_ref()).await?;
    let mut search = Search {
        session: &session,
        sought,
        limit: input.limit.get() as usize,
        left: BUDGET,
        output: Output { found: vec![], searched: 0, unreadable: 0, truncated: false, next_offset: None },
    };
    let offset = input.offset.get();
    match &input.playlist_ids {
        Some(ids) => search.these(&ids.0, offset).await?,
        None => {
            let links = context.links().await?;
            let owner = links.into_iter().find(|link| link.id == session.link);
            let owner = owner.map(|link| link.spotify_user_id).unwrap_or_default();
            search.own(&owner, offset).await?;
        }
    }
    let output = search.output;
    let list = numbered(
        output.found.iter().map(|find| {
            format!(
                "\"{}\" [{}], position {}: {}",
                find.playlist,
                find.playlist_id,
                find.row.position,
                find.row.line()
            )
        }),
        0,
    );
    let more =
        output.next_offset.map(|next| format!("\nNot searched yet: offset {next} on.")).unwrap_or_default();
    let unreadable = match output.unreadable {
        0 => String::new(),
        some => format!(" {some} could not be read with this account."),
    };
    let text =
        format!("{} finds in {} playlists.{unreadable}{list}{more}", output.found.len(), output.searched);
    Answer::of(text, &output)
}

struct Search<'a> {
    session: &'a Session<'a>,
    sought: Sought,
    limit: usize,
    left: u32,
    output: Output,
}

impl Search<'_> {
    /// Playlists by id; their sizes are not known beforehand.
    async fn these(&mut self, ids: &[PlaylistName], offset: u32) -> Result<(), ToolError> {
        let api = self.session.api;
        for (at, name) in (0..).zip(ids).skip(offset as usize) {
            let id = &name.0;
            let playlist = self.session.call(|token| async move { api.playlist(&token, id).await }).await?;
            self.left = self.left.saturating_sub(1);
            if !self.look_into(&playlist, at).await? {
                break;
            }
        }
        Ok(())
    }

    /// The person's own playlists, in the library's order.
    async fn own(&mut self, owner: &str, offset: u32) -> Result<(), ToolError> {
        let api = self.session.api;
        let mut next = Some(offset);
        while let Some(at) = next {
            let page =
                self.session.call(|token| async move { api.my_playlists(&token, PAGE, at).await }).await?;
            self.left = self.left.saturating_sub(1);
            next = page.next_offset;
            for (place, playlist) in (at..).zip(&page.items) {
                let mine = playlist.owner.as_ref().and_then(|who| who.id.as_deref()) == Some(owner);
                if mine && !self.look_into(playlist, place).await? {
                    return Ok(());
                }
            }
            if self.left == 0 && next.is_some() {
                self.output.next_offset = next;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Searches one playlist; `false` where the budget, the time or the room for finds does not allow it: then it is
    /// where to go on.
    async fn look_into(&mut self, playlist: &Playlist, at: u32) -> Result<bool, ToolError> {
        let id: Option<PlaylistId> = playlist.id.as_deref().and_then(|id| id.parse().ok());
        let (Some(id), Some(total)) = (id, playlist.total()) else {
            self.output.unreadable += 1;
            return Ok(true);
        };
        let cost = requests(usize::try_from(total).unwrap_or(usize::MAX));
        let is_first = self.output.searched == 0;
        let no_room = self.output.found.len() >= self.limit;
        if no_room || !is_first && (cost > self.left || self.session.time_left() < self.session.longest_call)
        {
            self.output.next_offset = Some(at);
            return Ok(false);
        }
        let contents = match known(self.session, &id, playlist) {
            Some(contents) => Ok(contents),
            None => {
                self.left = self.left.saturating_sub(cost);
                read(self.session, &id).await
            }
        };
        let contents = match contents {
            Ok(contents) => contents,
            Err(error) if error.code == "FORBIDDEN" => {
                self.output.unreadable += 1;
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        self.output.searched += 1;
        for (position, row) in contents.rows.iter().enumerate().filter(|(_, row)| self.sought.is(row)) {
            if self.output.found.len() >= self.limit {
                self.output.truncated = true;
                break;
            }
            self.output.found.push(Find {
                playlist_id: id.as_str().to_owned(),
                playlist: contents.title(),
                row: RowItem::of(position, row),
            });
        }
        Ok(true)
    }
}
