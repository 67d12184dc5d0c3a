//! One good call of every tool, for the tests that go through all of them. A new tool joins by a line here.

use serde_json::{Value, json};

use super::stage::Stage;

/// What the pretend person has, to be named in calls.
pub struct Things {
    pub playlist: String,
    /// Somebody else's, for everybody to see.
    pub foreign: String,
    pub tracks: Vec<String>,
    pub album: String,
}

impl Things {
    pub async fn of(stage: &Stage) -> Self {
        let found = stage.ask("search_tracks", json!({"query": "Understory", "limit": 3})).await;
        let uri = |track: &Value| track["uri"].as_str().unwrap().to_owned();
        let albums = json!({"query": "Understory", "types": ["album"], "limit": 1});
        let albums = stage.ask("search_catalog", albums).await;
        Self {
            album: uri(&albums["results"][0]["items"][0]),
            playlist: stage.playlist(0).await,
            foreign: stage.foreign_playlist(),
            tracks: found["tracks"].as_array().unwrap().iter().map(uri).collect(),
        }
    }

    /// Arguments with which the tool works.
    pub fn example(&self, tool: &str) -> Value {
        match tool {
            "add_to_queue" => json!({"uris": self.tracks}),
            "add_tracks_to_playlist" => json!({"playlist_id": self.playlist, "track_uris": self.tracks}),
            "check_library" | "remove_from_library" | "save_to_library" => {
                json!({"uris": [self.tracks[0], self.album]})
            }
            "compare_playlists" => {
                json!({"playlist_id": self.playlist, "other_playlist_id": self.playlist})
            }
            "copy_playlist" | "deduplicate_playlist" | "get_playlist" | "unfollow_playlist" => {
                json!({"playlist_id": self.playlist})
            }
            "find_in_playlists" => json!({"track_uri": self.tracks[0]}),
            "follow_playlist" => json!({"playlist_id": self.foreign}),
            "list_changes" => json!({}),
            "remove_tracks_from_playlist" => json!({"playlist_id": self.playlist, "positions": [1]}),
            "reorder_playlist_tracks" => {
                json!({"playlist_id": self.playlist, "range_start": 0, "insert_before": 2})
            }
            "set_playlist_cover" => {
                json!({"playlist_id": self.playlist, "jpeg_base64": "/9j/wAALCAACAAMBAREA/9oAAgcH/9k="})
            }
            "undo_change" => json!({"change_id": format!("ch_{}", "0".repeat(32))}),
            "update_playlist" => json!({"playlist_id": self.playlist, "name": "Renamed"}),
            "create_playlist" => json!({"name": "Example", "track_uris": self.tracks}),
            "get_items" => json!({"uris": [self.tracks[0], self.album]}),
            "get_top_items" => json!({"kind": "tracks"}),
            "list_children" => json!({"uri": self.album}),
            "list_library" => json!({"kind": "albums"}),
            "match_tracks" => json!({"items": [{"title": "Fern", "artist": "Marble & Moss"}]}),
            "search_catalog" => json!({"query": "Fern", "types": ["track", "album"]}),
            "get_current_track"
            | "get_recently_played"
            | "get_liked_songs"
            | "get_playback_state"
            | "get_queue"
            | "get_status"
            | "get_usage"
            | "get_user_playlists"
            | "link_account"
            | "list_devices"
            | "list_my_accounts"
            | "pause"
            | "skip_to_next"
            | "skip_to_previous" => {
                json!({})
            }
            "get_playlist_tracks" => json!({"playlist_id": self.playlist}),
            "play" => json!({"uris": self.tracks, "offset": 1}),
            "search_tracks" => json!({"query": "Understory"}),
            "seek" => json!({"position_ms": 30_000}),
            "set_default_account" | "unlink_account" => json!({"account": "home"}),
            "set_player" => json!({"volume": 25, "shuffle": true, "repeat": "context"}),
            "transfer_playback" => json!({"device": "Kitchen"}),
            other => panic!("tests/it/mcp/examples.rs has no example of {other}"),
        }
    }
}

/// Brings about what a tool's example needs.
pub async fn prepare(stage: &Stage, tool: &str) {
    match tool {
        "skip_to_previous" => drop(stage.ask("skip_to_next", json!({})).await),
        "remove_from_library" => {
            let arguments = Things::of(stage).await.example("save_to_library");
            stage.ask("save_to_library", arguments).await;
        }
        _ => {}
    }
}

/// Every tool as it is listed.
pub async fn listed(stage: &Stage) -> Vec<Value> {
    let list = stage.rig.modern("tools/list", json!({})).await.result();
    list["tools"].as_array().unwrap().clone()
}
