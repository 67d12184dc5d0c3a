//! Every permission that Spotify may withhold against every tool: nothing is shown as if it were all, and what is missing
//! is named, and nothing else. Tools are taken from tools/list, their calls from `examples`.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use spotify_mcp::policy::{ToolClass, ToolPolicies, Toolset};
use spotify_mcp::spotify::QuotaMode;

use super::examples::{Things, listed, prepare};
use super::stage::{GRANTED, MODES, Stage};

fn permissions() -> Vec<&'static str> {
    GRANTED.split_ascii_whitespace().collect()
}

fn without(permission: &str) -> String {
    let left: Vec<_> = permissions().into_iter().filter(|other| *other != permission).collect();
    left.join(" ")
}

/// The tools of some classes that ask Spotify.
async fn tools(stage: &Stage, looks: bool) -> Vec<String> {
    let policies = ToolPolicies::embedded().unwrap();
    let names = listed(stage).await.into_iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
    let fits = |name: &String| {
        let policy = policies.of(name).unwrap();
        policy.toolset != Toolset::Accounts
            && (policy.class == ToolClass::Look) == looks
            && name != "list_changes"
    };
    names.filter(fits).collect()
}

/// What is said where a permission is missing; `None` where nothing is.
fn refusal(result: &Value) -> Option<String> {
    let content = &result["structuredContent"];
    let error = if content["error"].is_object() { &content["error"] } else { &content["failure"] };
    (error["code"] == "SCOPE_MISSING").then(|| error["message"].as_str().unwrap().to_owned())
}

/// Names this permission alone, and where it is given.
fn hold_named(said: &str, permission: &str, tool: &str) {
    let named = permissions().into_iter().filter(|other| said.contains(other));
    assert_eq!(named.collect::<Vec<_>>(), [permission], "{tool}: {said}");
    assert!(said.contains(" is missing") || said.contains("did not grant"), "{tool}: {said}");
    assert!(said.contains("/auth/login?link=l_"), "{tool}: {said}");
}

/// How many rows each list of an answer has.
fn rows(content: &Value) -> Vec<(String, usize)> {
    let lists = content.as_object().unwrap().iter();
    lists.filter_map(|(field, value)| Some((field.clone(), value.as_array()?.len()))).collect()
}

/// Whether it was told that a tool needs a permission which is missing.
fn is_told(result: &Value, whole: &Value, (tool, permission): (&str, &str)) -> bool {
    if let Some(said) = refusal(result) {
        hold_named(&said, permission, tool);
        return true;
    }
    assert_eq!(result["isError"], false, "{tool} {permission}: {result}");
    let content = &result["structuredContent"];
    let text = result["content"][0]["text"].as_str().unwrap();
    if content["missing_permissions"] == json!([permission]) {
        hold_named(text.split("Not among them: ").nth(1).unwrap(), permission, tool);
        return true;
    }
    assert!(content.get("missing_permissions").is_none(), "{tool} {permission}: {content}");
    assert_eq!(rows(content), rows(whole), "{tool} {permission}");
    false
}

/// The permissions whose lack is told by some reading tool.
async fn told(mode: QuotaMode) -> BTreeSet<&'static str> {
    let stage = Stage::of("ada", mode).await;
    let (things, tools) = (Things::of(&stage).await, tools(&stage, true).await);
    let artist = format!("spotify:artist:{:022}", 1);
    let others = [("list_library", json!({"kind": "artists"})), ("check_library", json!({"uris": [artist]}))];
    let examples = tools.iter().map(|tool| (tool.as_str(), things.example(tool)));
    let mut told = BTreeSet::new();
    for (tool, arguments) in examples.chain(others) {
        stage.grant(GRANTED);
        let whole = stage.ask(tool, arguments.clone()).await;
        for permission in permissions() {
            stage.grant(&without(permission));
            let result = stage.rig.call(tool, arguments.clone()).await;
            if is_told(&result, &whole, (tool, permission)) {
                told.insert(permission);
            }
        }
    }
    told
}

#[tokio::test]
async fn no_reading_tool_shows_less_than_all_without_saying_so() {
    let reading: BTreeSet<_> = permissions().into_iter().filter(|name| name.contains("-read")).collect();
    assert_eq!(reading.len(), 8);
    for told in join_all(MODES.map(told)).await {
        assert_eq!(told, reading, "each is missed by some tool");
    }
}

#[tokio::test]
async fn what_a_change_lacks_is_named_alone() {
    let tried =
        permissions().into_iter().filter(|name| !name.contains("-read")).map(|permission| async move {
            let stage = Stage::of("ada", QuotaMode::Development).await;
            let mut told = 0;
            for tool in tools(&stage, false).await {
                let stage = Stage::of("ada", QuotaMode::Development).await;
                let things = Things::of(&stage).await;
                prepare(&stage, &tool).await;
                stage.grant(&without(permission));
                let result = stage.rig.call(&tool, things.example(&tool)).await;
                if let Some(said) = refusal(&result) {
                    hold_named(&said, permission, &tool);
                    told += 1;
                }
            }
            (permission, told)
        });
    for (permission, told) in join_all(tried).await {
        // What saves artists is no example of a tool; what is public is not either.
        let few = ["user-follow-modify", "playlist-modify-public"].contains(&permission);
        assert!(told > 0 || few, "{permission} is missed by some tool");
    }
}

#[tokio::test]
async fn two_that_are_missing_are_both_named_and_no_third() {
    let stage = Stage::new().await;
    let left = GRANTED.replace("user-follow-modify", "").replace("user-library-modify", "");
    let (album, artist) = ("spotify:album:2nLhD10Z7Sb4RFyCX2ZCyx", format!("spotify:artist:{:022}", 1));
    stage.grant(&left.replace("user-top-read", ""));
    let result = stage.rig.call("save_to_library", json!({"uris": [album, artist]})).await;
    let said = refusal(&result).unwrap();
    assert!(!said.contains("user-top-read") && said.contains("user-library-modify is missing"), "{said}");
    stage.grant(&GRANTED.replace("user-read-currently-playing", "").replace("user-read-playback-state", ""));
    let said = refusal(&stage.rig.call("get_queue", json!({})).await).unwrap();
    assert!(
        said.contains("(user-read-currently-playing and user-read-playback-state are missing)"),
        "{said}"
    );
}

#[tokio::test]
async fn a_list_that_is_empty_for_want_of_a_permission_is_refused() {
    let stage = Stage::of("ada", QuotaMode::Development).await;
    for list in stage.ask("get_user_playlists", json!({"limit": 50})).await["playlists"].as_array().unwrap() {
        let id = list["id"].as_str().unwrap();
        let private =
            spotify_mcp::spotify::sandbox::PlaylistChange { public: Some(false), ..Default::default() };
        stage.control().change_playlist(id, private).unwrap();
    }
    let left = GRANTED.replace("playlist-read-private", "").replace("playlist-read-collaborative", "");
    stage.grant(&left);
    for (tool, arguments) in [
        ("get_user_playlists", json!({})),
        ("get_user_playlists", json!({"query": "a", "owned_only": true})),
        ("find_in_playlists", json!({"query": "a"})),
    ] {
        let said = refusal(&stage.rig.call(tool, arguments).await).unwrap();
        assert!(
            said.contains("(playlist-read-private and playlist-read-collaborative are missing)"),
            "{said}"
        );
    }
}
