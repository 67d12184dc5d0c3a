//! Looking for a track in the person's playlists: as many as a call's budget of requests allows, and where to go on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::upstream::Session;
use super::amount::amount;
use super::arguments::{Count, Few, ItemName, PlaylistName, Text, parse, schema_of};
use super::changing::contents::{Row, known, read, requests};
use super::compare::RowItem;
use super::items::numbered;
use super::own_playlists::{my_playlists, not_among_them};
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
                  position of each find, counted from 0. Goes through a limited number of playlists per call; go on with next_offset.",
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
    /// Where to begin; take next_offset of the previous answer.
    #[serde(default = "start")]
    offset: Count<0, FARTHEST>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

const fn twenty() -> Count<1, 100> {
    Count::of(20)
}

const fn start() -> Count<0, FARTHEST> {
    Count::of(0)
}

/// Where a search goes on: at a row of a playlist. As one number, so that whoever follows next_offset alone misses nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// How many playlists are done with.
    playlists: u32,
    /// How many rows of the next one are.
    rows: u32,
}

/// What one row counts in the number: more than there can be playlists.
const ROW: u32 = LIST_OFFSET + 1;
/// Most rows that are skipped; no playlist has as many.
const MOST_ROWS: u32 = 20_000;
/// The farthest place.
const FARTHEST: u32 = MOST_ROWS * ROW + LIST_OFFSET;

impl Place {
    const fn of(offset: u32) -> Self {
        Self { playlists: offset % ROW, rows: offset / ROW }
    }

    /// `None` beyond what can be.
    fn offset(self) -> Option<u32> {
        let fits = self.playlists <= LIST_OFFSET && self.rows <= MOST_ROWS;
        fits.then(|| self.rows * ROW + self.playlists)
    }
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The finds.
    found: Vec<Find>,
    /// How many playlists were looked through.
    searched: u32,
    /// Of the playlists looked at, how many cannot be read with this account.
    unreadable: u32,
    /// Whether the last playlist has more finds than limit allowed; they come with next_offset.
    truncated: bool,
    /// Where to go on, to be given as it is (it counts playlists and rows); absent where everything was searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
    /// Without these permissions of Spotify's there may be more playlists than were looked through.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_permissions: Vec<&'static str>,
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
        place: Place::of(input.offset.get()),
        output: Output {
            found: vec![],
            searched: 0,
            unreadable: 0,
            truncated: false,
            next_offset: None,
            missing_permissions: vec![],
        },
    };
    match &input.playlist_ids {
        Some(ids) => search.these(&ids.0).await?,
        None => {
            let links = context.links().await?;
            let owner = links.into_iter().find(|link| link.id == session.link);
            let owner = owner.map(|link| link.spotify_user_id).unwrap_or_default();
            search.own(&owner).await?;
        }
    }
    let unseen = not_among_them(&session, &search.output.missing_permissions);
    Answer::of(format!("{}{unseen}", search.output.told()), &search.output)
}

impl Output {
    fn told(&self) -> String {
        let line = |find: &Find| {
            let Find { playlist, playlist_id, row } = find;
            format!("\"{playlist}\" [{playlist_id}], position {}: {}", row.position, row.line())
        };
        let list = numbered(self.found.iter().map(line), 0);
        let more = match (self.next_offset, self.truncated) {
            (None, _) => String::new(),
            (Some(next), true) => format!("\nThe last playlist has more of them. More: offset {next}."),
            (Some(next), false) => format!("\nNot all searched yet. More: offset {next}."),
        };
        let unreadable = match self.unreadable {
            0 => String::new(),
            some => format!(" {some} could not be read with this account."),
        };
        let (finds, searched) = (amount(self.found.len(), "find"), amount(self.searched, "playlist"));
        format!("{finds}; {searched} looked through.{unreadable}{list}{more}")
    }
}

struct Search<'a> {
    session: &'a Session<'a>,
    sought: Sought,
    limit: usize,
    left: u32,
    /// Where it began.
    place: Place,
    output: Output,
}

impl Search<'_> {
    /// Playlists by id; their sizes are not known beforehand.
    async fn these(&mut self, ids: &[PlaylistName]) -> Result<(), ToolError> {
        let api = self.session.api;
        for (at, name) in (0..).zip(ids).skip(self.place.playlists as usize) {
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
    async fn own(&mut self, owner: &str) -> Result<(), ToolError> {
        let mut next = Some(self.place.playlists);
        while let Some(at) = next {
            let (page, missing) = my_playlists(self.session, (PAGE, at)).await?;
            self.output.missing_permissions = missing;
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
        let done = if at == self.place.playlists { self.place.rows } else { 0 };
        let rows = contents.rows.iter().enumerate().skip(done as usize);
        for (position, row) in rows.filter(|(_, row)| self.sought.is(row)) {
            if self.output.found.len() >= self.limit {
                let rows = u32::try_from(position).unwrap_or(u32::MAX);
                self.output.next_offset = Place { playlists: at, rows }.offset();
                self.output.truncated = true;
                return Ok(false);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_number_and_the_first_are_plain_counts() {
        assert_eq!(Place::of(7), Place { playlists: 7, rows: 0 });
        for place in [
            Place { playlists: 0, rows: 5 },
            Place { playlists: LIST_OFFSET, rows: 0 },
            Place { playlists: LIST_OFFSET, rows: MOST_ROWS },
        ] {
            assert_eq!(place.offset().map(Place::of), Some(place));
        }
        assert_eq!(Place { playlists: LIST_OFFSET, rows: MOST_ROWS }.offset(), Some(FARTHEST));
        assert_eq!(Place { playlists: 0, rows: MOST_ROWS + 1 }.offset(), None);
    }
}
