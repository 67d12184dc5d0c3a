//! The leak test (architecture.md 5): the whole flow with secrets that are known or known by their looks, at the
//! most talkative log level, and then a search for them in everything that the server wrote, said or shows.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use spotify_mcp::crypto::SecretString;
use spotify_mcp::spotify::sandbox::{CLIENT_ID, Fault, NewApp};

use super::{contains, files};
use crate::support::client::Pair;
use crate::support::database::{Place, at_both};
use crate::support::listener::{Era, Listener};
use crate::support::server::{Setup, TestServer, binary, master_key};

const CLIENT_SECRET: &str = "sentinel-of-the-client-secret-5f3759df";
const SEARCHED: &str = "sentinelofwhatwassearched";

#[tokio::test]
async fn no_secret_is_anywhere_it_does_not_belong() {
    at_both(async |place| {
        let mut server = start(place).await;
        let mut shown = Vec::new();
        let (ada, mut secrets) = whole_flow(&server, &mut shown).await;
        secrets.insert("client secret".to_owned(), CLIENT_SECRET.to_owned());
        secrets.insert("master key".to_owned(), master_key("sentinel"));

        server.says("a login begins").await;
        let process = format!("/proc/{}/cmdline", server.pid());
        clean("the command line", &std::fs::read(process).unwrap(), &secrets);
        for page in &shown {
            clean("a page or answer", page.as_bytes(), &secrets);
        }
        at_rest(&server, &secrets).await;
        for arguments in
            [["config", "show"].as_slice(), &["--help"], &["serve", "--nonsense"], &["healthcheck"]]
        {
            let output = binary().args(arguments).envs(&server.environment).output().await.unwrap();
            clean(&format!("{arguments:?}"), &[output.stdout, output.stderr].concat(), &secrets);
        }
        server.kill().await;
        at_rest(&server, &secrets).await;
        server.start().await;
        ada.call("get_current_track", json!({})).await.content();
        assert_eq!(server.stop().await.code(), Some(0));
        at_rest(&server, &secrets).await;
    })
    .await;
}

/// With a Spotify app that has a secret, at the most talkative level.
async fn start(place: Place) -> TestServer {
    let setup = Setup::on(place).env("LOG_LEVEL", "trace").env("SPOTIFY_CLIENT_SECRET", CLIENT_SECRET);
    let setup = setup.env("SPOTIFY_MCP_MASTER_KEY", &master_key("sentinel"));
    let mut server = setup.env("SPOTIFY_CLIENT_ID", "confidential").prepare().await;
    let rules = json!({"any_loopback": true, "name": "Confidential"});
    let app = NewApp {
        client_id: "confidential".to_owned(),
        client_secret: Some(SecretString::new(CLIENT_SECRET)),
        rules,
    };
    server.control().create_app(app).unwrap();
    server.start().await;
    server
}

/// Logging in, tools, refreshes on both sides, mistakes; collects what was shown and what must stay secret.
async fn whole_flow(server: &TestServer, shown: &mut Vec<String>) -> (Listener, BTreeMap<String, String>) {
    let mut secrets = BTreeMap::new();
    let (client, browser) = (server.client().await, server.browser());
    let attempt = client.attempt();
    shown.push(browser.open(&attempt.path()).await.text);
    secrets.insert("verifier".to_owned(), attempt.verifier.clone());
    let code = client.code(&attempt, &browser, "ada").await;
    secrets.insert("code".to_owned(), code.clone());
    client.redeem(&code, &"w".repeat(43)).await;
    let pair = Pair::of(&client.redeem(&code, &attempt.verifier).await);
    let ada = Listener::with(&client, pair, "ada", browser);
    for round in 0..3 {
        secrets.insert(format!("access {round}"), ada.pair().access);
        secrets.insert(format!("refresh {round}"), ada.pair().refresh);
        for era in [Era::Modern, Era::Legacy] {
            shown.push(
                ada.call_in(era, "search_tracks", json!({"query": SEARCHED}))
                    .await
                    .text
                    .replace(SEARCHED, ""),
            );
        }
        shown.push(ada.call("get_current_track", json!({})).await.text);
        shown.push(ada.call("get_status", json!({})).await.text);
        ada.refresh().await;
        server.control().advance(std::time::Duration::from_secs(3700));
    }
    let (id, key) = super::api_keys::made(server, "ada", &[]).await;
    shown.push(super::api_keys::call(server, &key, "get_status").await.text);
    shown.push(super::api_keys::result(server, &["api-keys", "list"]).await.to_string());
    shown.push(super::api_keys::result(server, &["api-keys", "revoke", "--yes", &id]).await.to_string());
    shown.push(super::api_keys::call(server, &key, "get_status").await.text);
    let signing = spotify_mcp::crypto::keys::signing_key(&key);
    secrets.insert("signing key".to_owned(), STANDARD.encode(signing.expose()));
    secrets.insert("API key".to_owned(), key);
    mistakes(server, &ada, shown).await;
    // Known to be stolen from now on; a secret even so.
    client.redeem(&code, &attempt.verifier).await;
    let again = server.listener("ada").await;
    again.call("get_current_track", json!({})).await.content();
    shown.push(again.browser.open("/account").await.text);
    for (whose, listener) in [("first", &ada), ("second", &again)] {
        secrets.insert(format!("{whose} access"), listener.pair().access);
        secrets.insert(format!("{whose} refresh"), listener.pair().refresh);
        let cookies = listener.browser.cookies().into_iter().filter(|(name, _)| name.starts_with("smcp"));
        secrets.extend(cookies.map(|(name, value)| (format!("{whose} cookie {name}"), value)));
    }
    assert!(secrets.len() > 12 && secrets.values().all(|secret| secret.len() > 20), "{secrets:?}");
    (again, secrets)
}

/// What goes wrong is told to somebody, too.
async fn mistakes(server: &TestServer, ada: &Listener, shown: &mut Vec<String>) {
    for fault in [Fault::Garbage, Fault::Truncate, Fault::Drop] {
        server.inject("GET /v1/me/player*", 1, fault);
        shown.push(ada.call("get_current_track", json!({})).await.text);
    }
    for path in
        ["/", "/account", "/account/delete", "/auth/status", "/auth/callback?code=x&state=y", "/nowhere"]
    {
        shown.push(ada.browser.open(path).await.text);
    }
    server
        .http
        .get(format!("{}/mcp?access_token={}", server.origin, ada.pair().access))
        .send()
        .await
        .unwrap();
    server
        .http
        .get(format!("{}/nowhere", server.origin))
        .bearer_auth(ada.pair().access)
        .send()
        .await
        .unwrap();
}

/// Every file of the server, and every value of its database.
async fn at_rest(server: &TestServer, secrets: &BTreeMap<String, String>) {
    let mut secrets = secrets.clone();
    secrets.insert("what was searched".to_owned(), SEARCHED.to_owned());
    let mut folders: Vec<&Path> = vec![&server.data];
    let file = (!server.place.is_postgres()).then(|| server.place.file());
    folders.extend(file.as_deref().and_then(Path::parent));
    let files = files(&folders);
    assert!(files.iter().any(|path| path.extension().is_some_and(|kind| kind == "ndjson")), "{files:?}");
    for path in files {
        clean(&path.display().to_string(), &std::fs::read(&path).unwrap_or_default(), &secrets);
    }
    let dump = server.place.raw().await.dump().await.join("\n");
    assert!(dump.contains("linked_accounts.spotify_user_id=ada"));
    clean("the database", dump.as_bytes(), &secrets);
}

/// None of the secrets as it is, in base64 or in hexadecimal; nothing that looks like a token of Spotify's.
fn clean(place: &str, bytes: &[u8], secrets: &BTreeMap<String, String>) {
    for (name, secret) in secrets {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let plain =
            matches!(name.as_str(), "master key" | "signing key").then(|| STANDARD.decode(secret).unwrap());
        let forms = [secret.clone().into_bytes(), hex.into_bytes(), STANDARD.encode(secret).into_bytes()];
        for form in forms.into_iter().chain(plain) {
            assert!(!contains(bytes, &form), "{place} holds the {name}");
        }
    }
    assert!(!holds_a_token_of_spotifys(bytes), "{place} holds a token of Spotify's");
}

/// Runs of at least 150 letters, digits, `-` and `_` from `AQ` or `BQ` on, as Spotify's tokens are.
fn holds_a_token_of_spotifys(bytes: &[u8]) -> bool {
    let runs = bytes.split(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
    let mut long = runs.filter(|run| run.len() >= 150);
    long.any(|run| {
        // A token stands at the start of its run, or is glued to what was before it. Our consent tickets begin
        // with the base64 of `{"`.
        let start = run.windows(2).position(|two| two == b"AQ" || two == b"BQ");
        start.is_some_and(|at| run.len() - at >= 150) && !run.starts_with(b"eyJ")
    })
}

#[tokio::test]
async fn the_search_finds_what_is_there() {
    let server = TestServer::new().await;
    let tokens = server.control().grant(CLIENT_ID, "ada", "user-read-private").unwrap();
    assert!(holds_a_token_of_spotifys(format!("authorization: Bearer {}\n", tokens.access_token).as_bytes()));
    let refresh = tokens.refresh_token.unwrap();
    assert!(holds_a_token_of_spotifys(format!("x=1&refresh_token={refresh}&y").as_bytes()));
    let secrets = BTreeMap::from([("code".to_owned(), "a code that leaks".to_owned())]);
    for leak in
        ["a code that leaks".to_owned(), STANDARD.encode("a code that leaks"), URL_SAFE_NO_PAD.encode([1; 9])]
    {
        let found =
            std::panic::catch_unwind(|| clean("x", format!("<{leak}>").as_bytes(), &secrets)).is_err();
        assert_eq!(found, leak != URL_SAFE_NO_PAD.encode([1; 9]));
    }
}
