//! API keys: made by command and at `/account`, accepted at `/mcp`, and ended on a running server.

use std::process::Output;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::epoch_moves;
use crate::support::browser::Browser;
use crate::support::database::at_both;
use crate::support::listener::{Answer, Era, Listener, speak};
use crate::support::server::{Setup, TestServer, binary};

/// Runs a command with the server's environment, as its operator would.
pub async fn command(server: &TestServer, arguments: &[&str]) -> Output {
    binary().args(arguments).envs(&server.environment).output().await.unwrap()
}

/// The result of a command that worked, as JSON.
pub async fn result(server: &TestServer, arguments: &[&str]) -> Value {
    let output = command(server, &[arguments, &["--format", "json"]].concat()).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Exit status and code of a command that did not do all that was asked.
pub async fn refusal(server: &TestServer, arguments: &[&str]) -> (i32, String) {
    let output = command(server, &[arguments, &["--format", "json", "--quiet"]].concat()).await;
    let said: Value = serde_json::from_slice(&output.stderr)
        .unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
    assert!(!said["error"]["next"].as_str().unwrap().is_empty(), "{said}");
    (output.status.code().unwrap(), said["error"]["code"].as_str().unwrap().to_owned())
}

/// A key of this person, by command.
pub async fn made(server: &TestServer, user: &str, more: &[&str]) -> (String, String) {
    let arguments = [&["api-keys", "create", "--user", user, "--name", "a test"], more].concat();
    let made = result(server, &arguments).await;
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

/// A tool call with a key.
pub async fn call(server: &TestServer, key: &str, tool: &str) -> Answer {
    let request = server.http.post(format!("{}/mcp", server.origin)).bearer_auth(key);
    let params = json!({"name": tool, "arguments": {}});
    let reply = speak(request, Era::Modern, "tools/call", params).send().await.unwrap();
    let (status, headers) = (reply.status(), reply.headers().clone());
    Answer { status, headers, text: reply.text().await.unwrap() }
}

#[tokio::test]
async fn a_key_made_by_command_works_at_once_and_ends_within_a_second() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        let made = result(&server, &["api-keys", "create", "--user", "ada", "--name", "radio"]).await;
        let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
        assert!(key.starts_with("smcp_") && key.len() == 53 && id.starts_with("ak_"), "{made}");
        assert!(key.starts_with(made["prefix"].as_str().unwrap()) && made["prefix"] != made["key"]);
        assert_eq!(made["scopes"], json!(["read", "write", "player"]));
        assert!(made["expires_at"].as_str().unwrap().ends_with('Z'));
        call(&server, key, "get_current_track").await.content();
        assert_eq!(call(&server, key, "get_status").await.status, StatusCode::OK);

        let listed = result(&server, &["api-keys", "list", "--user", "ada"]).await;
        assert_eq!((&listed[0]["id"], &listed[0]["name"]), (&made["id"], &json!("radio")));
        assert!(!listed.to_string().contains(key), "never the key");
        let everyone = result(&server, &["api-keys", "list"]).await;
        assert_eq!(everyone.as_array().unwrap().len(), 1);

        assert_eq!(
            refusal(&server, &["api-keys", "revoke", id]).await,
            (2, "CONFIRMATION_NEEDED".to_owned())
        );
        let would = result(&server, &["api-keys", "revoke", id, "--dry-run"]).await;
        assert_eq!((&would["dry_run"], &would["revoked"]), (&json!(true), &json!([id])));
        assert_eq!(call(&server, key, "get_status").await.status, StatusCode::OK);
        let ended = result(&server, &["api-keys", "revoke", "--yes", id]).await;
        assert_eq!((&ended["dry_run"], &ended["revoked"]), (&json!(false), &json!([id])));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let refused = call(&server, key, "get_status").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert!(refused.headers["www-authenticate"].to_str().unwrap().contains("error=\"invalid_token\""));
        let again = result(&server, &["api-keys", "revoke", "--yes", id]).await;
        assert_eq!((&again["revoked"], &again["already_revoked"]), (&json!([]), &json!([id])));
        assert_eq!(result(&server, &["api-keys", "list"]).await, json!([]));
        assert_eq!(ada.call("get_status", json!({})).await.status, StatusCode::OK, "another thing");
    })
    .await;
}

#[tokio::test]
async fn a_key_is_its_owners_and_allows_what_it_was_given() {
    let server = Setup::default().start().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let (_, adas) = made(&server, "ada", &["--scope", "read"]).await;
    let (id, bens) = made(&server, "ben", &["--scope", "player", "--expires", "never"]).await;
    let search = async |key: &str| {
        let request = server.http.post(format!("{}/claude-mcp", server.origin)).bearer_auth(key);
        let params = json!({"name": "get_user_playlists", "arguments": {}});
        speak(request, Era::Legacy, "tools/call", params).send().await.unwrap()
    };
    let text = search(&adas).await.text().await.unwrap();
    assert!(text.contains(&ada.marker()) && !text.contains(&ben.marker()), "{text}");
    let refused = search(&bens).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.contains("insufficient_scope") && challenge.contains("scope=\"read\""), "{challenge}");
    let told = refused.text().await.unwrap();
    assert!(told.contains("SCOPE_MISSING: this needs the scope 'read', which"), "{told}");
    // In the trail the key stands where a client would.
    assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM api_keys").await, 2);
    tokio::time::sleep(Duration::from_millis(400)).await;
    let trail = trail(&server);
    let refusal = trail.lines().find(|line| line.contains("insufficient_scope")).unwrap();
    assert!(refusal.contains(&id), "{refusal}");
    assert!(!trail.contains(&adas) && !trail.contains(&bens));
    let created = trail.lines().find(|line| line.contains("api_key_created") && line.contains(&id));
    assert!(created.is_some(), "{trail}");
}

pub fn trail(server: &TestServer) -> String {
    let files = super::files(&[&server.data_dir().join("audit")]);
    let text = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    files.iter().filter(|path| path.extension().is_some_and(|kind| kind == "ndjson")).map(text).collect()
}

#[tokio::test]
async fn unknown_expired_revoked_and_malformed_keys_look_alike() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let _ada = server.listener("ada").await;
        let (_, alive) = made(&server, "ada", &[]).await;
        let (expired_id, expired) = made(&server, "ada", &["--expires", "1m"]).await;
        let (revoked_id, revoked) = made(&server, "ada", &[]).await;
        for key in [&alive, &expired, &revoked] {
            assert_eq!(call(&server, key, "get_status").await.status, StatusCode::OK);
        }
        result(&server, &["api-keys", "revoke", "-y", &revoked_id]).await;
        let raw = server.place.raw().await;
        raw.run(&format!("UPDATE api_keys SET expires_at = 1 WHERE id = '{expired_id}'")).await;
        epoch_moves(&raw).await;
        let unknown =
            spotify_mcp::crypto::token::Token::mint(spotify_mcp::crypto::token::TokenKind::ApiKey, &[9; 32]);
        let other = if alive.ends_with('x') { 'y' } else { 'x' };
        let typo = format!("{}{other}", &alive[..alive.len() - 1]);
        let mut answers = Vec::new();
        for key in
            [expired.as_str(), &revoked, unknown.expose(), &typo, "smcp_", "smcp_é", &"smcp_x".repeat(900)]
        {
            let answer = call(&server, key, "get_status").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{key}");
            answers.push((answer.headers["www-authenticate"].clone(), answer.text));
        }
        assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
        assert_eq!(call(&server, &alive, "get_status").await.status, StatusCode::OK);
        let listed = result(&server, &["api-keys", "list"]).await;
        let marked: Vec<_> = listed.as_array().unwrap().iter().map(|key| &key["expired"]).collect();
        assert!(marked.contains(&&json!(true)) && marked.contains(&&json!(false)), "{listed}");

        raw.run("UPDATE users SET disabled_at = 1").await;
        epoch_moves(&raw).await;
        assert_eq!(call(&server, &alive, "get_status").await.status, StatusCode::UNAUTHORIZED, "disabled");
    })
    .await;
}

#[tokio::test]
async fn keys_are_not_accepted_where_they_do_not_belong_or_are_switched_off() {
    let mut server = Setup::default().start().await;
    let _ada = server.listener("ada").await;
    let (_, key) = made(&server, "ada", &[]).await;
    let url = format!("{}/mcp", server.origin);
    let call_as = async |headers: &[(&str, &str)], query: &str| {
        let mut request = server.http.post(format!("{url}{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        speak(request, Era::Modern, "tools/list", json!({})).send().await.unwrap().status()
    };
    let bearer = format!("Bearer {key}");
    assert_eq!(call_as(&[("authorization", &bearer)], "").await, StatusCode::OK);
    assert_eq!(call_as(&[("x-api-key", &key)], "").await, StatusCode::UNAUTHORIZED);
    assert_eq!(call_as(&[("cookie", &format!("smcp-session={key}"))], "").await, StatusCode::UNAUTHORIZED);
    assert_eq!(call_as(&[], &format!("?api_key={key}")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(call_as(&[("authorization", &format!("Basic {key}"))], "").await, StatusCode::UNAUTHORIZED);
    let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    assert_eq!(call_as(&twice, "").await, StatusCode::UNAUTHORIZED);
    // It is no token of the authorization server's either.
    let form = [("grant_type", "refresh_token"), ("refresh_token", &key), ("client_id", "x")];
    let reply = server.http.post(format!("{}/token", server.origin)).form(&form).send().await.unwrap();
    assert!(reply.status().is_client_error());

    server.stop().await;
    server.environment.insert("SPOTIFY_MCP__AUTH__API_KEYS".to_owned(), "false".to_owned());
    server.start().await;
    assert_eq!(call(&server, &key, "get_status").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_last_use_is_written_down_behind_the_calls() {
    let mut server = Setup::default().start().await;
    let _ada = server.listener("ada").await;
    let (_, key) = made(&server, "ada", &[]).await;
    let last =
        async |server: &TestServer| result(server, &["api-keys", "list"]).await[0]["last_used_at"].clone();
    assert_eq!(last(&server).await, Value::Null);
    call(&server, &key, "get_status").await.content();
    server.stop().await;
    assert!(last(&server).await.is_string(), "at the latest when the server ends");
}

#[tokio::test]
async fn wrong_commands_say_what_is_wrong_and_do_nothing() {
    let server = Setup::on(crate::support::database::Place::sqlite()).prepare().await;
    let create = ["api-keys", "create", "--name", "x", "--user"];
    let made = async |server: &TestServer, more: &[&str]| refusal(server, &[&create, more].concat()).await;
    assert_eq!(made(&server, &["ada"]).await, (3, "DATABASE_MISSING".to_owned()));
    assert!(!server.place.file().exists(), "no command makes a database");

    let server = Setup::default().env("SPOTIFY_MCP__LIMITS__API_KEYS_PER_USER", "2").start().await;
    let ada = server.listener("ada").await;
    for (arguments, code) in [
        (["ada", "--scope", "reed"].as_slice(), "USAGE"),
        (&["ada", "--expires", "soon"], "USAGE"),
        (&["ada", "--expires", "0d"], "USAGE"),
    ] {
        assert_eq!(made(&server, arguments).await, (2, code.to_owned()), "{arguments:?}");
    }
    let unnamed = ["api-keys", "create", "--user", "ada", "--name", " "];
    assert_eq!(refusal(&server, &unnamed).await, (2, "USAGE".to_owned()));
    assert_eq!(made(&server, &["nobody"]).await, (3, "USER_UNKNOWN".to_owned()));
    assert_eq!(refusal(&server, &["api-keys", "revoke", "--yes"]).await.0, 2, "no selector is never all");
    let absent = format!("ak_{}", "0".repeat(32));
    let refused = refusal(&server, &["api-keys", "revoke", "--yes", &absent]).await;
    assert_eq!(refused, (3, "KEY_UNKNOWN".to_owned()));
    let would = result(&server, &["api-keys", "create", "--user", "ada", "--name", "x", "--dry-run"]).await;
    assert_eq!((&would["dry_run"], would.get("key")), (&json!(true), None));
    assert_eq!(result(&server, &["api-keys", "list"]).await, json!([]), "nothing was made");

    let (first, key) = self::made(&server, "ada", &["--scope", "read,player"]).await;
    let pasted = command(&server, &["api-keys", "revoke", "--yes", &key]).await;
    assert_eq!(pasted.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&pasted.stderr).contains("SECRET_INSTEAD_OF_ID"));
    assert!(!String::from_utf8_lossy(&pasted.stderr).contains(&key), "not echoed");
    self::made(&server, "ada", &[]).await;
    assert_eq!(made(&server, &["ada"]).await, (3, "TOO_MANY_KEYS".to_owned()));
    // What is there ends even where another id is wrong.
    let mixed = refusal(&server, &["api-keys", "revoke", "--yes", &first, &absent]).await;
    assert_eq!(mixed, (3, "KEY_UNKNOWN".to_owned()));
    assert_eq!(result(&server, &["api-keys", "list"]).await.as_array().unwrap().len(), 1);

    // Ben's Spotify user id is Ada's id here.
    let _ben = server.listener("ben").await;
    let raw = server.place.raw().await;
    let id = raw.texts("SELECT user_id FROM linked_accounts WHERE spotify_user_id = 'ada'").await.remove(0);
    raw.run(&format!("UPDATE linked_accounts SET spotify_user_id = '{id}' WHERE spotify_user_id = 'ben'"))
        .await;
    assert_eq!(made(&server, &[&id]).await, (2, "USER_AMBIGUOUS".to_owned()));
    drop(ada);
}

#[tokio::test]
async fn listing_and_revoking_need_no_master_key_and_a_wrong_one_makes_no_key() {
    let mut server = Setup::default().start().await;
    let _ada = server.listener("ada").await;
    let (id, key) = made(&server, "ada", &[]).await;
    let right = server.environment.remove("SPOTIFY_MCP_MASTER_KEY").unwrap();
    let (unsigned, other) = made(&server, "ada", &[]).await;
    assert_eq!(call(&server, &other, "get_status").await.status, StatusCode::OK);
    let listed = result(&server, &["api-keys", "list"]).await;
    let can_sign =
        |id: &str| listed.as_array().unwrap().iter().find(|key| key["id"] == id).unwrap()["can_sign"].clone();
    assert_eq!((can_sign(&id), can_sign(&unsigned)), (json!(true), json!(false)));
    assert!(!server.data_dir().join("master.key").exists(), "none is made");
    server.environment.insert("SECURITY_ENABLE_REQUEST_SIGNING".to_owned(), "true".to_owned());
    let create = ["api-keys", "create", "--user", "ada", "--name", "x"];
    assert_eq!(refusal(&server, &create).await, (2, "MASTER_KEY_MISSING".to_owned()));
    server.environment.remove("SECURITY_ENABLE_REQUEST_SIGNING");
    result(&server, &["api-keys", "revoke", "--yes", &id]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(call(&server, &key, "get_status").await.status, StatusCode::UNAUTHORIZED);
    let wrong = crate::support::server::master_key("another");
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), wrong);
    assert_eq!(refusal(&server, &create).await, (2, "MASTER_KEY_WRONG".to_owned()));
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), right);
}

#[tokio::test]
async fn the_sandbox_has_keys_of_its_own() {
    let mut server = Setup::default().prepare().await;
    server.environment.remove("DATABASE_URL");
    let mut command = server.command();
    let _running = command.arg("--sandbox").spawn().unwrap();
    let serving = async {
        while server.ready().await != Some(StatusCode::OK) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), serving)
        .await
        .unwrap_or_else(|_| panic!("{}", server.logged()));
    server.says("by a simulator at ").await;
    let log = server.logged();
    let accounts = log.split("by a simulator at ").nth(1).unwrap().split_whitespace().next().unwrap();
    let browser = Browser::new(&server.origin, accounts.trim_end_matches('.'));
    Listener::connect("ada", browser, server.client().await).await;

    assert_eq!(refusal(&server, &["api-keys", "list"]).await, (3, "DATABASE_MISSING".to_owned()));
    let (id, key) = made(&server, "ada", &["--sandbox"]).await;
    call(&server, &key, "get_current_track").await.content();
    let listed = result(&server, &["api-keys", "--sandbox", "list"]).await;
    assert_eq!(listed[0]["id"], json!(id));
    result(&server, &["api-keys", "revoke", "--yes", "--sandbox", &id]).await;
    assert!(server.data_dir().join("sandbox/spotify-mcp.sqlite").exists());
    assert!(!server.data_dir().join("spotify-mcp.db").exists());
}
