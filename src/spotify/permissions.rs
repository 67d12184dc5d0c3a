//! Which permissions a request needs that Spotify refused for want of one: the column "Scope" of spotify.md 1.11. Pure.
//!
//! Never decides whether a request is sent: Spotify does, and what a private playlist needs is not known before.

use http::Method;

/// What an account's list of playlists leaves out, without a word, where these were not granted (spotify.md 1.10).
pub const SHORTENS_PLAYLISTS: [&str; 2] = ["playlist-read-private", "playlist-read-collaborative"];

const CHANGES_PLAYLISTS: [&str; 2] = ["playlist-modify-public", "playlist-modify-private"];

/// The permissions of which a request needs all, or those that fit what it is about. `target` is its path below the base
/// address, with the query.
pub(super) fn needed(method: &Method, target: &str, body: &[u8]) -> Vec<&'static str> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let looks = method == Method::GET;
    match segments.as_slice() {
        ["me", "playlists"] if looks => SHORTENS_PLAYLISTS.to_vec(),
        ["me", "playlists"] | ["users", _, "playlists"] => of_a_new_playlist(body),
        ["playlists", ..] if looks => vec!["playlist-read-private"],
        ["playlists", _, "images"] => [&["ugc-image-upload"][..], &CHANGES_PLAYLISTS].concat(),
        ["playlists", ..] => CHANGES_PLAYLISTS.to_vec(),
        ["me", "library", ..] => of_the_library(looks, query),
        ["me", "following", ..] if looks => vec!["user-follow-read"],
        ["me", "following", ..] => vec!["user-follow-modify"],
        ["me", "top", ..] => vec!["user-top-read"],
        ["me", "player", ..] => of_the_player(looks, segments.get(2).copied()),
        ["me", _, ..] if looks => vec!["user-library-read"],
        ["me", _, ..] => vec!["user-library-modify"],
        _ => Vec::new(),
    }
}

fn of_a_new_playlist(body: &[u8]) -> Vec<&'static str> {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    // Public unless told otherwise.
    let private = body["public"] == false;
    vec![if private { "playlist-modify-private" } else { "playlist-modify-public" }]
}

/// By the kinds of what is looked at, saved or removed.
fn of_the_library(looks: bool, query: &str) -> Vec<&'static str> {
    let (mut artists, mut playlists, mut others) = (false, false, false);
    for uri in query.split("spotify%3A").skip(1) {
        match uri.split("%3A").next() {
            Some("artist" | "user") => artists = true,
            Some("playlist") => playlists = true,
            _ => others = true,
        }
    }
    let of = |is: bool, look: &'static [&'static str], change: &'static [&'static str]| match (is, looks) {
        (false, _) => &[],
        (true, true) => look,
        (true, false) => change,
    };
    [
        of(others, &["user-library-read"], &["user-library-modify"]),
        of(artists, &["user-follow-read"], &["user-follow-modify"]),
        of(playlists, &["playlist-read-private"], &CHANGES_PLAYLISTS),
    ]
    .concat()
}

fn of_the_player(looks: bool, what: Option<&str>) -> Vec<&'static str> {
    match (looks, what) {
        (true, None | Some("devices")) => vec!["user-read-playback-state"],
        (true, Some("recently-played")) => vec!["user-read-recently-played"],
        (true, Some("queue")) => vec!["user-read-currently-playing", "user-read-playback-state"],
        (true, Some(_)) => vec!["user-read-currently-playing"],
        (false, _) => vec!["user-modify-playback-state"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Scope;

    #[test]
    fn each_request_needs_what_the_table_says() {
        let get = |target: &str| needed(&Method::GET, target, b"").join(" ");
        let put = |target: &str| needed(&Method::PUT, target, b"").join(" ");
        for (found, expected) in [
            (get("/me/playlists?limit=50"), "playlist-read-private playlist-read-collaborative"),
            (get("/playlists/x/items?limit=50"), "playlist-read-private"),
            (put("/playlists/x/items"), "playlist-modify-public playlist-modify-private"),
            (put("/playlists/x/images"), "ugc-image-upload playlist-modify-public playlist-modify-private"),
            (get("/me/tracks"), "user-library-read"),
            (get("/me/albums/contains?ids=a"), "user-library-read"),
            (put("/me/tracks"), "user-library-modify"),
            (get("/me/following?type=artist"), "user-follow-read"),
            (put("/me/following"), "user-follow-modify"),
            (get("/me/top/artists"), "user-top-read"),
            (get("/me/player"), "user-read-playback-state"),
            (get("/me/player/devices"), "user-read-playback-state"),
            (get("/me/player/currently-playing"), "user-read-currently-playing"),
            (get("/me/player/queue"), "user-read-currently-playing user-read-playback-state"),
            (get("/me/player/recently-played"), "user-read-recently-played"),
            (put("/me/player/play"), "user-modify-playback-state"),
            (
                put("/me/library?uris=spotify%3Atrack%3Aa%2Cspotify%3Aartist%3Ab"),
                "user-library-modify user-follow-modify",
            ),
            (get("/me/library/contains?uris=spotify%3Aplaylist%3Aa"), "playlist-read-private"),
            (get("/search?q=spotify%3Aartist%3A"), ""),
        ] {
            assert_eq!(found, expected);
        }
        let made = |body: &[u8]| needed(&Method::POST, "/me/playlists", body);
        assert_eq!(made(br#"{"name":"a","public":false}"#), ["playlist-modify-private"]);
        assert_eq!(made(br#"{"name":"a"}"#), ["playlist-modify-public"]);
        assert_eq!(made(b"x"), ["playlist-modify-public"]);
    }

    #[test]
    fn whatever_is_needed_is_asked_for() {
        let asked: Vec<_> = Scope::ALL.into_iter().flat_map(Scope::spotify).collect();
        let uris = "uris=spotify%3Atrack%3Aa%2Cspotify%3Aartist%3Ab%2Cspotify%3Aplaylist%3Ac";
        for method in [Method::GET, Method::PUT] {
            for path in
                ["playlists", "playlists/x", "playlists/x/images", "me/playlists", "me/library", "me/shows"]
            {
                for permission in needed(&method, &format!("/{path}?{uris}"), b"") {
                    assert!(asked.contains(&&permission), "{permission}");
                }
            }
        }
    }
}
