//! What an operator offers: groups of tools, or only those that look, the same list for everybody.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::support::browser::Page;
use crate::support::client::Pair;
use crate::support::listener::{Era, Listener};
use crate::support::server::{Setup, TestServer, binary, folder};

async fn names(listener: &Listener) -> Vec<String> {
    let list = listener.request(Era::Modern, "tools/list", json!({})).await.result();
    let tools = list["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

async fn with(toolsets: &str, read_only: &str) -> TestServer {
    let setup = Setup::default().env("SPOTIFY_MCP__SERVER__TOOLSETS", toolsets);
    setup.env("SPOTIFY_MCP__SERVER__READ_ONLY", read_only).start().await
}

#[tokio::test]
async fn only_what_is_offered_is_listed_and_can_be_called() {
    let server = with("playlists, accounts", "true").await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let listed = names(&ada).await;
    assert!(listed.contains(&"get_user_playlists".to_owned()) && listed.contains(&"get_status".to_owned()));
    for missing in ["search_tracks", "create_playlist", "get_current_track"] {
        assert!(!listed.contains(&missing.to_owned()), "{missing}");
    }
    assert_eq!(listed, names(&ben).await, "one list for everybody");

    let answer = ada.call("create_playlist", json!({"name": "Not offered"})).await.body();
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("create_playlist"));
    assert_eq!(ada.call("get_user_playlists", json!({})).await.result()["isError"], false);
    assert_eq!(server.asked("/v1/me/playlists", 201), 0, "nothing was made");
}

#[tokio::test]
async fn the_front_page_says_for_how_long_changes_are_kept() {
    for (days, said) in [("30", Some("for 30 days at most")), ("1", Some("for 1 day at most")), ("0", None)] {
        let server = Setup::default().env("SPOTIFY_MCP__LIMITS__UNDO_DAYS", days).start().await;
        let page = server.browser().open("/").await;
        assert!(page.text.contains(said.unwrap_or("Never")), "{days}: {}", page.text);
        assert_eq!(page.text.contains("so that you can undo it"), said.is_some(), "{days}");
    }
}

#[tokio::test]
async fn what_a_person_played_is_a_group_of_its_own() {
    let server = with("history", "true").await;
    let ada = server.listener("ada").await;
    assert_eq!(names(&ada).await, ["get_recently_played", "get_top_items"]);
    assert_eq!(ada.call("get_top_items", json!({"kind": "tracks"})).await.result()["isError"], false);
    let without = with("library", "false").await;
    let listed = names(&without.listener("ada").await).await;
    assert!(!listed.contains(&"get_top_items".to_owned()), "{listed:?}");
}

#[tokio::test]
async fn prompts_and_instructions_speak_of_what_is_offered_alone() {
    let whole = Setup::default().start().await;
    let (_, told) = prompts_and_instructions(&whole).await;
    assert!(told.contains("search_tracks") && told.contains("undo_change"), "{told}");
    for (toolsets, read_only) in [("player,catalog", "false"), ("playlists,catalog", "true")] {
        let server = with(toolsets, read_only).await;
        let (prompts, told) = prompts_and_instructions(&server).await;
        assert_eq!(prompts, json!([]), "{toolsets}");
        assert!(told.contains("search_tracks") && !told.contains("undo_change"), "{told}");
    }
    let server = with("playlists", "false").await;
    let (prompts, told) = prompts_and_instructions(&server).await;
    assert_eq!(prompts[0]["name"], "clean_playlist");
    assert_eq!(prompts.as_array().unwrap().len(), 1, "building one takes a search");
    assert!(!told.contains("search_tracks"), "{told}");
    let ada = server.listener("ada").await;
    let wanted = json!({"name": "build_playlist", "arguments": {"theme": "rain"}});
    let answer = ada.request(Era::Modern, "prompts/get", wanted).await.body();
    assert!(answer["error"]["message"].as_str().unwrap().contains("unknown prompt"), "{answer}");
}

async fn prompts_and_instructions(server: &TestServer) -> (Value, String) {
    let ada = server.listener("ada").await;
    let prompts = ada.request(Era::Modern, "prompts/list", json!({})).await.result()["prompts"].clone();
    let about = ada.request(Era::Modern, "server/discover", json!({})).await.result();
    (prompts, about["instructions"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_playlist_is_a_resource_of_whoever_may_read_it() {
    let server = Setup::default().start().await;
    let ada = server.listener("ada").await;
    let templates = ada.request(Era::Modern, "resources/templates/list", json!({})).await.result();
    assert_eq!(templates["resourceTemplates"][0]["uriTemplate"], "spotify://playlist/{id}");
    let made = ada.call("create_playlist", json!({"name": "Read me"})).await.result();
    let id = made["structuredContent"]["playlist"]["id"].as_str().unwrap().to_owned();
    let uri = format!("spotify://playlist/{id}");
    let read = ada.request(Era::Modern, "resources/read", json!({"uri": uri})).await.result();
    assert_eq!(read["contents"][0]["uri"], uri.as_str());
    let rows: Value = serde_json::from_str(read["contents"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(rows["tracks"], json!([]));

    for nowhere in
        ["spotify://playlist/", "spotify://playlist/..", "spotify://playlist/0000000000000000000000"]
    {
        let answer = ada.request(Era::Modern, "resources/read", json!({"uri": nowhere})).await.body();
        assert_eq!(answer["error"]["message"], "there is no such resource", "{nowhere}: {answer}");
    }
    let ben = server.listener("ben").await;
    let answer = ben.request(Era::Modern, "resources/read", json!({"uri": uri})).await.body();
    assert!(answer["error"].is_object() && !answer.to_string().contains("Read me"), "{answer}");
}

#[tokio::test]
async fn without_their_toolset_playlists_are_no_resources() {
    let server = with("catalog", "false").await;
    let ada = server.listener("ada").await;
    let templates = ada.request(Era::Modern, "resources/templates/list", json!({})).await.result();
    assert_eq!(templates["resourceTemplates"], json!([]));
    let uri = "spotify://playlist/37i9dQZF1DXcBWIGoYBM5M";
    let answer = ada.request(Era::Modern, "resources/read", json!({"uri": uri})).await.body();
    assert_eq!(answer["error"]["message"], "there is no such resource", "{answer}");
}

#[tokio::test]
async fn a_group_of_tools_that_is_none_is_refused() {
    for (list, why) in [("playlists,music", "music"), ("", "toolsets")] {
        let mut started = binary();
        started.args(["serve", "--sandbox", "--listen", "127.0.0.1:0", "--toolsets", list]);
        let output = started.output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("server.toolsets") && told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn a_local_server_offers_what_its_flags_say() {
    let data = folder();
    let mut command = binary();
    command.args(["serve", "--stdio", "--sandbox", "--read-only", "--toolsets", "playlists"]);
    command.env("DATA_DIR", data.join("data")).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}});
    let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
    input.write_all(format!("{ask}\n").as_bytes()).await.unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await.unwrap().unwrap();
    let answer: Value = serde_json::from_str(&line.unwrap()).unwrap();
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"get_playlist_tracks"), "{names:?}");
    for missing in ["create_playlist", "search_tracks", "get_status"] {
        assert!(!names.contains(&missing), "{names:?}");
    }
    drop(input);
    let _ = child.wait().await;
    let _ = std::fs::remove_dir_all(data);
}

/// The scopes that a page of Spotify's was asked for.
fn asked(page: &Page) -> Vec<String> {
    let scope = page.url.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned();
    scope.split(' ').map(str::to_owned).collect()
}

#[tokio::test]
async fn no_more_is_asked_for_than_the_tools_that_are_offered_need() {
    let server = with("playlists,accounts,history", "true").await;
    let get = async |path: &str| -> Value {
        let reply = server.http.get(format!("{}{path}", server.origin)).send().await.unwrap();
        reply.json().await.unwrap()
    };
    let resource = get("/.well-known/oauth-protected-resource/mcp").await;
    assert_eq!(resource["scopes_supported"], json!(["read"]));
    let issuer = get("/.well-known/oauth-authorization-server").await;
    assert_eq!(issuer["scopes_supported"], json!(["read", "offline_access"]));
    let (client, browser) = (server.client().await, server.browser());
    let attempt = client.attempt();
    let consent = browser.open(&attempt.path()).await;
    assert!(consent.text.contains("See your music"), "{}", consent.text);
    for no in ["Change your music", "Control playback", "modify", "user-read-playback-state"] {
        assert!(!consent.text.contains(no), "{no}: {}", consent.text);
    }
    let spotify = browser.submit(&consent, "/authorize", &[("decision", "approve")]).await;
    let permissions = asked(&spotify);
    assert!(permissions.contains(&"playlist-read-private".to_owned()), "{permissions:?}");
    assert!(
        permissions.iter().all(|name| !name.contains("modify") && !name.contains("playback")),
        "{permissions:?}"
    );
    let code = browser.agree_as(&spotify, "ada").await.brought()["code"].clone();
    let granted = client.redeem(&code, &attempt.verifier).await;
    assert_eq!(granted.1["scope"], "read", "{granted:?}");
    let ada = Listener::with(&client, Pair::of(&granted), "ada", browser);
    for tool in ["get_user_playlists", "get_recently_played"] {
        assert_eq!(ada.call(tool, json!({})).await.result()["isError"], false, "{tool}");
    }
    let status = ada.call("get_status", json!({})).await.content();
    assert!(status["accounts"][0].get("missing_permissions").is_none(), "{status}");
    assert_eq!(status["accounts"][0]["granted"], json!(["read"]), "{status}");

    let narrow = client.attempt().with("scope", Some("player"));
    let refused = server.browser().open(&narrow.path()).await.brought();
    assert_eq!(refused["error"], "invalid_scope", "{refused:?}");
    let front = server.browser().open("/").await.text;
    assert!(!front.contains("Make a playlist") && front.contains("Which artists"), "{front}");
}

#[tokio::test]
async fn each_group_of_tools_works_with_what_is_asked_for_it() {
    for (toolset, permissions, calls) in [
        ("history", 2, [("get_top_items", json!({"kind": "tracks"})), ("get_recently_played", json!({}))]),
        ("player", 3, [("get_playback_state", json!({})), ("get_queue", json!({}))]),
        (
            "catalog",
            1,
            [
                ("search_tracks", json!({"query": "rain"})),
                ("match_tracks", json!({"items": [{"title": "rain"}]})),
            ],
        ),
        ("library", 9, [("get_liked_songs", json!({})), ("list_library", json!({"kind": "artists"}))]),
        ("playlists", 9, [("get_user_playlists", json!({})), ("create_playlist", json!({"name": "New"}))]),
    ] {
        let server = with(toolset, "false").await;
        let spotify = server.browser().open("/auth/login").await;
        assert_eq!(asked(&spotify).len(), permissions, "{toolset}: {:?}", asked(&spotify));
        let ada = server.listener("ada").await;
        for (tool, arguments) in calls {
            let result = ada.call(tool, arguments).await.result();
            assert_eq!(result["isError"], false, "{toolset} {tool}: {result}");
        }
    }
}
