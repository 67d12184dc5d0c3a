//! A row of a playlist, as little of it as changing and searching need: there may be thousands.

use super::models::{Entry, Track};
use super::text::clean;
use super::uri::{Base62, Kind, SpotifyUri};
use crate::ambient::Timestamp;

/// Longest title or credit that is held.
const LONGEST: usize = 100;

/// One row of a playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Empty where Spotify names nothing any more.
    pub uri: String,
    /// Cleaned title.
    pub name: Box<str>,
    /// Cleaned artists, or the show.
    pub artists: Box<str>,
    /// ISO 3901.
    pub isrc: Option<Box<str>>,
    /// Since when it is in the list, in seconds since 1970; `None` where Spotify does not say.
    pub added_at: Option<i64>,
}

impl Row {
    /// Of what Spotify answers.
    pub fn of(entry: &Entry) -> Self {
        let added_at = entry.added_at.as_deref().and_then(Timestamp::parse_rfc3339).map(Timestamp::secs);
        let Some(track) = entry.track() else { return Self { added_at, ..Self::nothing() } };
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
            added_at,
        }
    }

    fn nothing() -> Self {
        Self { uri: String::new(), name: Box::default(), artists: Box::default(), isrc: None, added_at: None }
    }

    /// The title, and what is told in its place where there is none.
    pub fn told_name(&self) -> String {
        match (&*self.name, &*self.uri) {
            ("", "") => "a track that is no longer available".to_owned(),
            ("", _) => "(untitled)".to_owned(),
            (name, _) => name.to_owned(),
        }
    }

    /// The URI as it may be shown: that of a local file is made of what somebody wrote into it.
    pub fn shown_uri(&self) -> String {
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
}
