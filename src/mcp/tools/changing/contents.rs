//! A whole playlist in one piece: every row in its place, all of one state. Bounded, and never of a list that cannot be
//! read or kept changing meanwhile.

use futures_util::future::try_join_all;

use super::super::super::upstream::Session;
use super::super::ToolError;
use crate::spotify::models::{Entry, Playlist, Track};
use crate::spotify::quota::PAGE;
use crate::spotify::text::clean;
use crate::spotify::uri::{Base62, Kind, PlaylistId, SpotifyUri};

/// Most rows of a playlist (spotify.md 1.8), with some to spare.
const MOST_ROWS: u64 = 12_000;
/// Pages that are read at the same time.
const TOGETHER: usize = 4;
/// Longest title or credit that is held.
const LONGEST: usize = 100;
/// How often a list that changed meanwhile is read again.
const ATTEMPTS: u32 = 2;

/// One row. Small, because there may be thousands.
#[derive(Clone, Debug)]
pub(in crate::mcp::tools) struct Row {
    /// Empty where Spotify names nothing any more.
    pub(in crate::mcp::tools) uri: String,
    /// Cleaned title.
    pub(in crate::mcp::tools) name: Box<str>,
    /// Cleaned artists, or the show.
    pub(in crate::mcp::tools) artists: Box<str>,
    /// ISO 3901.
    pub(in crate::mcp::tools) isrc: Option<Box<str>>,
}

/// A playlist with all its rows, of one state.
#[derive(Clone, Debug)]
pub(in crate::mcp::tools) struct Contents {
    /// What it says of itself.
    pub(in crate::mcp::tools) playlist: Playlist,
    /// The name of its state.
    pub(in crate::mcp::tools) snapshot: String,
    /// In order.
    pub(in crate::mcp::tools) rows: Vec<Row>,
}

impl Contents {
    /// The URIs in order.
    pub(in crate::mcp::tools) fn uris(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.uri.clone()).collect()
    }

    /// The title as it may be shown.
    pub(in crate::mcp::tools) fn title(&self) -> String {
        title(&self.playlist)
    }
}

impl Row {
    fn of(entry: &Entry) -> Self {
        let Some(track) = entry.track() else { return Self::nothing() };
        let credits = match track.artists.is_empty() {
            true => track.show.iter().collect::<Vec<_>>(),
            false => track.artists.iter().take(10).collect(),
        };
        let names: Vec<_> =
            credits.iter().filter_map(|named| Some(named.name.as_ref()?.clean(LONGEST))).collect();
        let isrc = track.external_ids.as_ref().and_then(|ids| ids.isrc.as_deref());
        Self {
            uri: uri_of(track).unwrap_or_default(),
            name: track.name.as_ref().map(|name| name.clean(LONGEST)).unwrap_or_default().into(),
            artists: clean(&names.join(", "), LONGEST).into(),
            isrc: isrc.filter(|isrc| isrc.len() == 12).map(Into::into),
        }
    }

    fn nothing() -> Self {
        Self { uri: String::new(), name: Box::default(), artists: Box::default(), isrc: None }
    }

    /// The URI as it may be shown: that of a local file is made of what somebody wrote into it.
    pub(in crate::mcp::tools) fn shown_uri(&self) -> String {
        clean(&self.uri, 200)
    }
}

/// The URI by which a row can be removed: of a track or an episode in its one spelling, of a local file as it came.
fn uri_of(track: &Track) -> Option<String> {
    match track.uri.as_deref().and_then(SpotifyUri::parse) {
        Some(uri @ SpotifyUri::Item(Kind::Track | Kind::Episode, _)) => Some(uri.to_string()),
        Some(SpotifyUri::Local(_)) => track.uri.clone(),
        _ => {
            let kind = if track.kind.as_deref() == Some("episode") { Kind::Episode } else { Kind::Track };
            Some(SpotifyUri::Item(kind, Base62::parse(track.id.as_deref()?)?).to_string())
        }
    }
}

/// A playlist's title as it may be shown.
pub(in crate::mcp::tools) fn title(playlist: &Playlist) -> String {
    let title = playlist.name.as_ref().map(|name| name.clean(LONGEST)).unwrap_or_default();
    if title.is_empty() { "(untitled)".to_owned() } else { title }
}

/// How many requests reading so many rows takes at most, where nothing changes meanwhile.
pub(in crate::mcp::tools) fn requests(rows: usize) -> u32 {
    let pages = u32::try_from(rows.div_ceil(PAGE as usize)).unwrap_or(u32::MAX);
    // Twice the playlist itself: before the rows and after them.
    pages.saturating_add(2)
}

/// What a playlist says of itself, and the name of its state.
pub(in crate::mcp::tools) async fn head(
    session: &Session<'_>,
    id: &PlaylistId,
) -> Result<(Playlist, String), ToolError> {
    let api = session.api;
    let playlist = session.call(|token| async move { api.playlist(&token, id).await }).await?;
    let snapshot = playlist.snapshot_id.clone().filter(|snapshot| super::super::items::is_snapshot(snapshot));
    let snapshot = snapshot.ok_or_else(|| {
        ToolError::new(
            "UPSTREAM_ERROR",
            "Spotify did not say in which state the playlist is. Try again in a moment.",
        )
    })?;
    Ok((playlist, snapshot))
}

/// Reads a whole playlist.
///
/// # Errors
/// Where it cannot be read with this account, is too long, or keeps changing.
pub(in crate::mcp::tools) async fn read(
    session: &Session<'_>,
    id: &PlaylistId,
) -> Result<Contents, ToolError> {
    for _ in 0..ATTEMPTS {
        let (playlist, snapshot) = head(session, id).await?;
        let total = playlist.total().ok_or_else(forbidden)?;
        if total > MOST_ROWS {
            return Err(ToolError::invalid(format!("The playlist has more than {MOST_ROWS} tracks.")));
        }
        let rows = rows(session, id, total).await?;
        let same = match u64::try_from(rows.len()) {
            Ok(read) if read == total => head(session, id).await?.1 == snapshot,
            _ => false,
        };
        if same {
            return Ok(Contents { playlist, snapshot, rows });
        }
    }
    Err(ToolError::new(
        "UPSTREAM_ERROR",
        "The playlist kept changing while it was read. Nothing was done. Try again in a moment.",
    ))
}

fn forbidden() -> ToolError {
    ToolError::new(
        "FORBIDDEN",
        "Spotify does not let this account read the tracks of that playlist, because it is somebody else's. That does not \
         mean that it is empty. Choose a playlist that the person owns or collaborates on.",
    )
}

async fn rows(session: &Session<'_>, id: &PlaylistId, total: u64) -> Result<Vec<Row>, ToolError> {
    let total = u32::try_from(total).unwrap_or(u32::MAX);
    let offsets: Vec<u32> = (0..total).step_by(PAGE as usize).collect();
    let mut rows = Vec::with_capacity(total as usize);
    let api = session.api;
    for group in offsets.chunks(TOGETHER) {
        let page = |at: u32| {
            session.call(move |token| async move { api.playlist_items(&token, id, PAGE, at, None).await })
        };
        for page in try_join_all(group.iter().map(|at| page(*at))).await? {
            rows.extend(page.items.iter().map(Row::of));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_what_removing_needs_and_show_no_more_than_they_should() {
        let entry: Entry = serde_json::from_str(
            r#"{"item":{"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC","name":"a\u202eb","artists":[{"name":"X"},{"name":"Y"}],
                "external_ids":{"isrc":"GBAYE6800011"}}}"#,
        )
        .unwrap();
        let row = Row::of(&entry);
        assert_eq!((&*row.name, &*row.artists), ("ab", "X, Y"));
        assert_eq!(row.uri, "spotify:track:4uLU6hMCjMI75M1A2tKUQC");
        assert_eq!(row.isrc.as_deref(), Some("GBAYE6800011"));
        let local = format!("spotify:local:{}", "x".repeat(900));
        let entry: Entry = serde_json::from_str(&format!(r#"{{"track":{{"uri":"{local}"}}}}"#)).unwrap();
        let row = Row::of(&entry);
        assert_eq!((row.uri.as_str(), row.shown_uri().chars().count()), (local.as_str(), 200));
        let gone: Entry = serde_json::from_str(r#"{"item":null}"#).unwrap();
        assert!(Row::of(&gone).uri.is_empty());
    }

    #[test]
    fn the_requests_of_reading_are_counted_beforehand() {
        assert_eq!([0, 1, 50, 51, 11_000].map(requests), [2, 3, 3, 4, 222]);
    }
}
