//! What comes from Spotify, or names something there: URIs and links, answers, refusals.

use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::{decoded, is_deceptive};
use crate::ambient::Timestamp;
use crate::spotify::accounts;
use crate::spotify::base::BaseUrl;
use crate::spotify::models::{Devices, Entry, Me, Playback, Playlist, RawSearch, Snapshot, Track};
use crate::spotify::page::RawPage;
use crate::spotify::reply;
use crate::spotify::uri::{EpisodeId, ItemUri, Kind, Market, PlaylistId, SpotifyUri, TrackId};

/// Names of things: read back as they are printed, of Spotify's host only, and unable to leave their place in an
/// address.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(uri) = SpotifyUri::parse(&text) {
        let printed = uri.to_string();
        assert_eq!(SpotifyUri::parse(&printed), Some(uri.clone()), "{printed}");
        assert!(printed.starts_with("spotify:") && printed.bytes().all(|byte| byte.is_ascii_graphic()));
        let from_link = text.trim().strip_prefix("https://").or_else(|| text.trim().strip_prefix("http://"));
        assert!(from_link.is_none_or(|rest| rest.starts_with("open.spotify.com/")));
        if let SpotifyUri::Item(kind, id) = &uri {
            assert!(id.as_str().len() == 22 && id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert_eq!(text.parse::<PlaylistId>().is_ok(), *kind == Kind::Playlist);
            assert_eq!(text.parse::<EpisodeId>().is_ok(), *kind == Kind::Episode);
            assert_eq!(text.parse::<ItemUri>().is_ok(), matches!(kind, Kind::Track | Kind::Episode));
        }
    }
    if let Ok(track) = text.parse::<TrackId>() {
        assert_eq!(track.uri().parse::<TrackId>().as_ref(), Ok(&track));
        assert_eq!(track.link().parse::<TrackId>().as_ref(), Ok(&track));
    }
    if let Ok(market) = text.parse::<Market>() {
        assert!(market.as_str().len() == 2 && market.as_str().bytes().all(|byte| byte.is_ascii_uppercase()));
    }
    hold_address(&text);
}

fn hold_address(text: &str) {
    let address = BaseUrl::parse("https://h/v1").unwrap().at(&["users", text]).with("q", text).into_text();
    let url = Url::parse(&address).unwrap();
    assert_eq!((url.as_str(), url.host_str(), url.fragment()), (address.as_str(), Some("h"), None));
    let segments: Vec<_> = url.path_segments().unwrap().collect();
    assert_eq!(segments[..2], ["v1", "users"]);
    assert_eq!(segments.len(), 3);
    let climbs = matches!(text, "." | "..");
    assert!(climbs || decoded(segments[2].as_bytes(), false) == text.as_bytes());
    let pairs: Vec<_> = url.query_pairs().collect();
    assert_eq!(pairs, [("q".into(), text.into())]);
    if let Ok(base) = BaseUrl::parse(text) {
        assert_eq!(BaseUrl::parse(base.as_str()).as_ref(), Ok(&base));
        assert!(!base.as_str().contains(['?', '#']));
    }
}

/// Answers: any object is read, whatever its fields hold; words are words, pages advance, and what a refusal quotes is
/// short and clean.
pub fn replies(data: &[u8]) {
    if let Ok(page) = serde_json::from_slice::<RawPage<Track>>(data) {
        let (offset, limit) = (u32::try_from(data.len()).unwrap_or(0), 50);
        let page = page.asked(offset, limit);
        assert!(page.next_offset.is_none_or(|next| next > offset));
        page.items.iter().for_each(hold_track);
    }
    if let Ok(json @ Value::Object(_)) = serde_json::from_slice::<Value>(data) {
        hold_track(&read(&json));
        let entry: Entry = read(&json);
        entry.track().into_iter().for_each(hold_track);
        let playback: Playback = read(&json);
        playback.item.iter().for_each(hold_track);
        let me: Me = read(&json);
        for text in [&me.id, &me.account_id, &me.uri, &me.product] {
            hold_word(text.as_deref());
        }
        let snapshot: Snapshot = read(&json);
        hold_word(snapshot.snapshot_id.as_deref());
        let _: Playlist = read(&json);
        let _: Devices = read(&json);
        let search: RawSearch = read(&json);
        assert!(search.tracks.is_none() || json["tracks"].is_object());
    }
    hold_refusal(data);
    if let Ok(set) = accounts::understood(data) {
        let visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        assert!(visible(set.access_token.expose()));
        assert!(set.refresh_token.is_none_or(|token| visible(token.expose())));
        assert!(set.expires_in.as_secs() <= 24 * 3600);
        assert!(
            set.scope.is_none_or(|scope| !scope.chars().any(is_deceptive) && scope.chars().count() <= 1000)
        );
    }
}

/// A tree has no field twice and no damaged text, so that nothing is left that could make a lenient reader give up.
fn read<T: DeserializeOwned>(json: &Value) -> T {
    T::deserialize(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn hold_word(text: Option<&str>) {
    let is_word =
        |text: &str| (1..=2048).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(text.is_none_or(is_word), "{text:?}");
}

fn hold_track(track: &Track) {
    for text in [&track.id, &track.uri, &track.kind] {
        hold_word(text.as_deref());
    }
    let name = track.name.as_ref().map(|name| name.clean(40)).unwrap_or_default();
    assert!(name.chars().count() <= 40 && !name.chars().any(is_deceptive));
}

fn hold_refusal(data: &[u8]) {
    let now = Timestamp::from_secs(1_795_233_600);
    for status in [400, 401, 403, 404, 422, 429, 503] {
        for write in [false, true] {
            let status = StatusCode::from_u16(status).unwrap();
            let said = reply::refusal(status, &HeaderMap::new(), data, now, write).to_string();
            assert!(said.chars().count() < 300 && !said.chars().any(is_deceptive), "{said:?}");
        }
    }
}
