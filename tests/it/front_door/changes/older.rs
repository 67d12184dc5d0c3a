//! Apps of the older regimes whose playlists do not answer at the newer path: the older one is found by trying, once.

use spotify_mcp::spotify::sandbox::{Fault, Filter};

use super::*;

fn refusal(status: u16) -> Fault {
    let body = json!({"error": {"status": status, "message": "m"}}).to_string();
    Fault::Status { status, body, headers: std::collections::BTreeMap::default() }
}

fn asked(server: &TestServer, list: &str, word: &str) -> usize {
    let path = Some(format!("/v1/playlists/{list}/{word}"));
    server.control().journal(&Filter { path, limit: Some(usize::MAX), ..Filter::default() }).len()
}

#[tokio::test]
async fn the_older_path_is_found_once_and_does_all_that_the_newer_one_does() {
    for (mode, status) in
        [("development_legacy", 400), ("development_legacy", 404), ("extended", 405), ("extended", 410)]
    {
        let server = in_mode(mode).await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        server.inject("* /v1/playlists/*/items", 100_000, refusal(status));
        let list = filled(&server, "ada", uris(&[1, 2, 3]));
        let bens = filled(&server, "ben", uris(&[1]));
        let page = done(&ada, "get_playlist_tracks", json!({"playlist_id": list})).await;
        assert_eq!(page["total"], 3, "{mode} {status}: {page}");
        let add = json!({"playlist_id": list, "track_uris": uris(&[4])});
        assert_eq!(done(&ada, "add_tracks_to_playlist", add).await["added"], 1);
        let remove = json!({"playlist_id": list, "positions": [0]});
        planned_and_done(&ada, "remove_tracks_from_playlist", &remove).await;
        let order = json!({"playlist_id": list, "range_start": 2, "insert_before": 0});
        done(&ada, "reorder_playlist_tracks", order).await;
        assert_eq!(held(&server, &list), uris(&[4, 2, 3]), "{mode} {status}");
        // The same app for everybody here: it is known by now.
        let add = json!({"playlist_id": bens, "track_uris": uris(&[9])});
        done(&ben, "add_tracks_to_playlist", add).await;
        assert_eq!((asked(&server, &list, "items"), asked(&server, &bens, "items")), (1, 0));
    }
}

#[tokio::test]
async fn nothing_is_learned_where_both_refuse_and_development_mode_has_only_the_newer_path() {
    let server = in_mode("extended").await;
    let ada = server.listener("ada").await;
    let nowhere = "0".repeat(22);
    let look = json!({"playlist_id": nowhere});
    assert_eq!(ada.call("get_playlist_tracks", look.clone()).await.error(), "NOT_FOUND");
    let list = filled(&server, "ada", uris(&[1]));
    done(&ada, "get_playlist_tracks", json!({"playlist_id": list})).await;
    assert_eq!((asked(&server, &list, "items"), asked(&server, &list, "tracks")), (1, 0));

    let server = in_mode("development").await;
    let ada = server.listener("ada").await;
    server.inject("* /v1/playlists/*/items", 100_000, refusal(404));
    let list = filled(&server, "ada", uris(&[1]));
    assert_eq!(ada.call("get_playlist_tracks", json!({"playlist_id": list})).await.error(), "NOT_FOUND");
    assert_eq!(asked(&server, &list, "tracks"), 0);
}
