//! What each tool says of itself, and what it answers.

use serde_json::{Value, json};

use super::examples::{self, Things};
use super::rig::{Mood, Rig};
use super::schema::breaks;
use super::stage::Stage;
use crate::fake::{Answer, Seen};

const TRACK: &str = "4uLU6hMCjMI75M1A2tKUQC";
/// Bytes of a tool in the list, on average.
const MOST_OF_EACH: usize = 2_000;
const LIST: &str = "37i9dQZF1DXcBWIGoYBM5M";

fn track(n: u64) -> Value {
    json!({"id": TRACK, "uri": format!("spotify:track:{TRACK}"), "type": "track",
        "name": format!("Track\u{202e} {n}"), "duration_ms": 1000 * n, "is_local": false,
        "artists": [{"name": "Artist"}], "album": {"name": "Album"}, "external_ids": {"isrc": "XX0000000001"}})
}

fn playlist(n: u64, owner: &str) -> Value {
    json!({"id": LIST, "name": format!("List {n}"), "owner": {"id": owner, "display_name": "O"},
        "public": false, "collaborative": false, "items": {"total": n}, "snapshot_id": "s"})
}

fn number(seen: &Seen, name: &str) -> u64 {
    let (_, rest) = seen.target.split_once(&format!("{name}=")).unwrap();
    rest.split('&').next().unwrap().parse().unwrap()
}

/// A Spotify in which everything is there, 40 of each.
fn plenty(_: usize, seen: &Seen) -> Answer {
    let path = seen.target.split('?').next().unwrap();
    let page = |row: &dyn Fn(u64) -> Value| {
        let (limit, offset) = (number(seen, "limit"), number(seen, "offset"));
        let rows: Vec<_> = (offset..(offset + limit).min(40)).map(row).collect();
        json!({"items": rows, "total": 40, "limit": limit, "offset": offset, "next": null})
    };
    let owner = |n: u64| if n.is_multiple_of(4) { "listener" } else { "somebody" };
    let body = match (seen.method.as_str(), path) {
        ("GET", "/v1/search") => json!({"tracks": page(&track)}),
        ("GET", "/v1/me/player/currently-playing") => json!({"is_playing": true, "progress_ms": 5,
            "currently_playing_type": "track", "item": track(1), "context": null}),
        ("GET", "/v1/me/library/contains") => json!([true]),
        ("GET", "/v1/playlists/37i9dQZF1DXcBWIGoYBM5M") => playlist(40, "listener"),
        ("PUT", "/v1/playlists/37i9dQZF1DXcBWIGoYBM5M" | "/v1/playlists/37i9dQZF1DXcBWIGoYBM5M/images")
        | ("DELETE", "/v1/me/library") => Value::Null,
        ("GET", "/v1/me/playlists") => page(&|n| playlist(n, owner(n))),
        ("GET", "/v1/me/tracks") => page(&|n| json!({"added_at": "2026-01-01T00:00:00Z", "track": track(n)})),
        ("GET", _) => page(&|n| match n {
            3 => json!({"item": null}),
            n => json!({"added_at": null, "item": track(n)}),
        }),
        ("POST", "/v1/me/playlists") => playlist(0, "listener"),
        ("POST", _) => json!({"snapshot_id": "next"}),
        _ => panic!("{} {}", seen.method, seen.target),
    };
    Answer::json(if seen.method == "POST" { 201 } else { 200 }, &body.to_string())
}

async fn listed(rig: &Rig) -> Vec<Value> {
    let list = rig.modern("tools/list", json!({})).await.result();
    list["tools"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_tool_explains_itself_fully() {
    for tool in listed(&Rig::quiet().await).await {
        let name = tool["name"].as_str().unwrap();
        assert!(tool["title"].as_str().unwrap().len() > 3, "{name}");
        assert!(tool["description"].as_str().unwrap().len() > 80, "{name}");
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(tool["annotations"][hint].is_boolean(), "{name} {hint}");
        }
        let input = &tool["inputSchema"];
        assert_eq!(
            (&input["type"], &input["additionalProperties"]),
            (&json!("object"), &json!(false)),
            "{name}"
        );
        let about_accounts = ["get_usage", "link_account", "list_my_accounts"].contains(&name);
        let account = if name == "copy_playlist" { "from_account" } else { "account" };
        assert!(input["properties"][account].is_object() != about_accounts, "{name}");
        for (field, schema) in input["properties"].as_object().unwrap() {
            assert!(schema["description"].is_string(), "{name}.{field}");
            // One account, or several.
            let schema = if schema.get("anyOf").is_some() { &schema["anyOf"][0] } else { schema };
            let bounded = match schema["type"].as_str().unwrap() {
                "integer" => schema["minimum"].is_number() && schema["maximum"].is_number(),
                "string" => ["maxLength", "pattern", "enum"].iter().any(|rule| schema.get(rule).is_some()),
                "array" => schema["maxItems"].is_number(),
                "boolean" => true,
                other => panic!("{name}.{field} is {other}"),
            };
            assert!(bounded, "{name}.{field}");
        }
        assert_eq!(tool["outputSchema"]["type"], "object", "{name}");
        // Formats of Rust's numbers, which validators do not know and warn of.
        assert!(!tool.to_string().contains(r#""format":"#), "{name}");
    }
}

#[tokio::test]
async fn answers_and_errors_conform_to_the_output_schema_and_carry_the_mark() {
    for tool in examples::listed(&Stage::new().await).await {
        let name = tool["name"].as_str().unwrap();
        let stage = Stage::new().await;
        stage.change(&json!({"hostile_names": true}));
        examples::prepare(&stage, name).await;
        let arguments = Things::of(&stage).await.example(name);
        let good = stage.rig.call(name, arguments).await;
        let bad = stage.rig.call(name, json!({"colour": "red"})).await;
        // Nothing is written down here, so that nothing can be undone.
        for (result, is_error) in [(&good, name == "undo_change"), (&bad, true)] {
            assert_eq!(result["isError"], is_error, "{name}: {result}");
            let breaks = breaks(&tool["outputSchema"], &result["structuredContent"]);
            assert!(breaks.is_empty(), "{name}: {breaks:#?}");
            assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "spotify-mcp");
            for hidden in ['\u{202e}', '\u{1b}', '\u{7}'] {
                assert!(!result.to_string().contains(hidden), "{name}");
            }
        }
        let text = good["content"][0]["text"].as_str().unwrap();
        let about_accounts =
            ["get_usage", "link_account", "list_my_accounts", "set_default_account", "unlink_account"];
        let ours = ["get_status", "undo_change"].contains(&name) || about_accounts.contains(&name);
        assert_eq!(text.ends_with("Data from Spotify"), !ours, "{name}");
        assert_eq!(bad["structuredContent"]["error"]["code"], "INVALID_ARGUMENT");
        assert!(bad["content"][0]["text"].as_str().unwrap().contains("`colour`"), "{bad}");
    }
}

#[tokio::test]
async fn the_list_of_tools_stays_small() {
    let list = Rig::quiet().await.modern("tools/list", json!({})).await.result();
    let (size, tools) = (list.to_string().len(), list["tools"].as_array().unwrap().len());
    println!("{tools} tools in {size} bytes");
    assert!(size < MOST_OF_EACH * tools, "{tools} tools take {size} bytes");
}

#[tokio::test]
async fn an_apostrophe_is_a_search_and_pages_are_fetched_as_the_mode_allows() {
    let rig = Rig::new(plenty).await;
    let query = "Don't \"Stop\"; DROP TABLE \\ --";
    let found = rig.call("search_tracks", json!({"query": query, "limit": 25, "offset": 2})).await;
    let output = &found["structuredContent"];
    assert_eq!(output["tracks"].as_array().unwrap().len(), 25);
    assert_eq!((&output["total"], &output["next_offset"]), (&json!(40), &json!(27)));
    let seen = rig.fake.seen();
    let pages: Vec<_> = seen.iter().map(|seen| (number(seen, "limit"), number(seen, "offset"))).collect();
    assert_eq!(pages, [(10, 2), (10, 12), (5, 22)]);
    let (_, asked) = url::form_urlencoded::parse(seen[0].target.split_once('?').unwrap().1.as_bytes())
        .find(|(name, _)| name == "q")
        .unwrap();
    assert_eq!(asked, query);
    let item = &output["tracks"][0];
    assert_eq!(item["name"], "Track 2");
    assert_eq!(item["url"], format!("https://open.spotify.com/track/{TRACK}"));
    assert_eq!(item["isrc"], "XX0000000001");
}

#[tokio::test]
async fn a_search_that_is_stopped_half_way_keeps_what_it_found() {
    let rig = Rig::new(|n, seen| match n {
        0 => plenty(n, seen),
        _ => Answer::new(429, "retry-after: 3600\r\n", r#"{"error":{"status":429,"message":"x"}}"#),
    })
    .await;
    let output =
        rig.call("search_tracks", json!({"query": "x", "limit": 20})).await["structuredContent"].clone();
    assert_eq!(output["tracks"].as_array().unwrap().len(), 10);
    assert_eq!((&output["truncated"], &output["next_offset"]), (&json!(true), &json!(10)));
}

#[tokio::test]
async fn playlists_are_filtered_and_the_next_offset_neither_skips_nor_repeats() {
    let rig = Rig::new(plenty).await;
    let mut names = Vec::new();
    let mut offset = Some(0);
    while let Some(at) = offset {
        let arguments = json!({"owned_only": true, "query": "lIsT", "limit": 4, "offset": at});
        let output = rig.call("get_user_playlists", arguments).await["structuredContent"].clone();
        let page = output["playlists"].as_array().unwrap();
        assert!(page.len() <= 4);
        names.extend(page.iter().map(|list| list["name"].as_str().unwrap().to_owned()));
        offset = output["next_offset"].as_u64();
    }
    let expected: Vec<_> = (0..40).step_by(4).map(|n| format!("List {n}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn rows_without_a_track_are_counted_and_the_page_is_bounded() {
    let rig = Rig::new(plenty).await;
    let output = rig.call("get_playlist_tracks", json!({"playlist_id": LIST, "limit": 5})).await;
    let output = &output["structuredContent"];
    assert_eq!(output["tracks"].as_array().unwrap().len(), 4);
    assert_eq!((&output["unavailable"], &output["next_offset"]), (&json!(1), &json!(5)));
}

#[tokio::test]
async fn nothing_playing_is_an_answer() {
    let rig = Rig::new(|_, _| Answer::new(204, "", "")).await;
    let result = rig.call("get_current_track", json!({})).await;
    assert_eq!(
        (&result["isError"], &result["structuredContent"]),
        (&json!(false), &json!({"state": "nothing"}))
    );
}

#[tokio::test]
async fn upstream_refusals_become_codes_with_an_instruction() {
    for (status, body, code) in [
        (403, "User not approved for app", "NOT_ALLOWLISTED"),
        (403, r#"{"error":{"status":403,"message":"Insufficient client scope"}}"#, "SCOPE_MISSING"),
        (404, r#"{"error":{"status":404,"message":"Not found."}}"#, "NOT_FOUND"),
        (429, r#"{"error":{"status":429,"message":"x","reason":"QUOTA_EXCEEDED"}}"#, "QUOTA_EXCEEDED"),
        (503, "<html>", "UPSTREAM_ERROR"),
    ] {
        let rig = Rig::new(move |_, _| Answer::new(status, "retry-after: 86207\r\n", body)).await;
        let result = rig.call("get_liked_songs", json!({})).await;
        let error = &result["structuredContent"]["error"];
        assert_eq!((&result["isError"], &error["code"]), (&json!(true), &json!(code)), "{result}");
        if status == 429 {
            assert_eq!(error["retry_after_seconds"], 86_207);
        }
    }
    let rig = Rig::quiet().await;
    rig.mood(Mood::WantsReconnect);
    let result = rig.call("get_liked_songs", json!({})).await;
    assert_eq!(result["structuredContent"]["error"]["code"], "RECONNECT_REQUIRED");
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("https://music.example/auth/login"), "{text}");
}

#[tokio::test]
async fn accounts_are_found_by_alias_and_id_and_only_the_persons_own() {
    let mut rig = Rig::new(plenty).await;
    for account in ["home", "HOME", "account-id-1", "listener"] {
        let result = rig.call("get_current_track", json!({"account": account})).await;
        assert_eq!(result["isError"], false, "{account}");
    }
    for tool in ["get_current_track", "get_status"] {
        let result = rig.call(tool, json!({"account": "neighbour"})).await;
        assert_eq!(result["structuredContent"]["error"]["code"], "ACCOUNT_UNKNOWN");
        assert!(result["content"][0]["text"].as_str().unwrap().contains("home"));
    }
    rig.caller.link = None;
    let result = rig.call("get_current_track", json!({})).await;
    assert_eq!(result["structuredContent"]["error"]["code"], "RECONNECT_REQUIRED");
}

#[tokio::test]
async fn the_status_counts_the_days_and_is_a_resource_too() {
    let rig = Rig::quiet().await;
    let status = rig.call("get_status", json!({})).await["structuredContent"].clone();
    let account = &status["accounts"][0];
    assert_eq!(account["account_id"], "account-id-1");
    assert_eq!(account["display_name"], "Listener");
    // Approved 81 days ago, for 181 at least; a moment of the 100th day is over.
    assert_eq!(account["days_until_reconnect"], 99);
    assert_eq!(account["granted"], json!(["read", "write", "player"]));
    assert_eq!(status["quota_mode"], "development");
    let read = rig.modern("resources/read", json!({"uri": "spotify://status"})).await.result();
    assert_eq!((&read["cacheScope"], &read["ttlMs"]), (&json!("private"), &json!(0)));
    let text = read["contents"][0]["text"].as_str().unwrap();
    let resource: Value = serde_json::from_str(text).unwrap();
    assert_eq!(resource["accounts"], status["accounts"]);
}

#[tokio::test]
async fn the_prompt_words_a_request() {
    let rig = Rig::quiet().await;
    let arguments = json!({"theme": "rain", "length": "7"});
    let result =
        rig.modern("prompts/get", json!({"name": "build_playlist", "arguments": arguments})).await.result();
    let text = result["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(text.contains("7 tracks") && text.contains("rain"));
}
