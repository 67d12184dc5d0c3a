//! `rotate-keys --emergency`: asked before, nothing handed over, whatever anybody held is dead afterwards, and what was
//! tried of it stands in the evidence.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{new_key_file, said, signed, three};
use crate::front_door::api_keys::{command, result};
use crate::support::browser::Browser;
use crate::support::client::{Attempt, RegisteredClient};
use crate::support::database::{Place, at_both};
use crate::support::listener::{Era, Listener, speak};
use crate::support::server::{Setup, TestServer};

/// An emergency, as arguments.
pub(super) fn emergency(server: &TestServer) -> Vec<String> {
    let file = new_key_file(server).display().to_string();
    ["rotate-keys", "--emergency", "--yes", "--format", "json", "--new-master-key-file", &file]
        .map(str::to_owned)
        .to_vec()
}

pub(super) async fn contained(server: &TestServer, arguments: &[String]) -> Value {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = command(server, &arguments).await;
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let document: Value = serde_json::from_slice(&done.stdout).unwrap();
    for one in document["rotations"].as_array().unwrap() {
        signed(one);
    }
    signed(&document["emergency"]);
    document
}

/// What a probe of the evidence came to, and before.
fn probe<'a>(evidence: &'a Value, place: &str, name: &str) -> (&'a str, Option<&'a str>) {
    let all = evidence["probes"][place].as_array().unwrap();
    let one = all.iter().find(|one| one["probe"] == name).unwrap_or_else(|| panic!("{name}: {evidence}"));
    assert_eq!(one["found"], one["expected"], "{one}");
    (one["found"].as_str().unwrap(), one["before"].as_str())
}

async fn ping(server: &TestServer, bearer: &str) -> StatusCode {
    let request = server.http.post(format!("{}/mcp", server.origin)).bearer_auth(bearer);
    speak(request, Era::Legacy, "ping", json!({})).send().await.unwrap().status()
}

async fn all_is_dead(server: &TestServer, listeners: &[Listener], key: &str) {
    for bearer in [&listeners[0].pair().access, key] {
        assert_eq!(ping(server, bearer).await, StatusCode::UNAUTHORIZED);
    }
    let refresh = listeners[1].pair().refresh;
    let refreshed = listeners[1].client.refreshing(&refresh);
    let answer = listeners[1].client.try_token(&refreshed).await.unwrap();
    assert!(format!("{answer:?}").contains("invalid_grant"), "{answer:?}");
    assert_eq!(crate::front_door::status(&listeners[2].browser).await["authenticated"], false);
}

/// A server that has its key from a file, and that file.
pub(in crate::front_door) async fn keyed_by_file(place: Place) -> (TestServer, std::path::PathBuf) {
    let mut server = Setup::on(place).people(3).prepare().await;
    let file = server.data.join("the.key");
    let key = server.environment.remove("SPOTIFY_MCP_MASTER_KEY").unwrap();
    std::fs::write(&file, key).unwrap();
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY_FILE".to_owned(), file.display().to_string());
    server.start().await;
    (server, file)
}

#[tokio::test]
async fn an_emergency_ends_everything_and_the_old_key_leads_nowhere() {
    at_both(async |place| {
        let (mut server, file) = keyed_by_file(place).await;
        let listeners = three(&server).await;
        let made = ["api-keys", "create", "--user", "user0001", "--name", "radio"];
        let key = result(&server, &made).await["key"].as_str().unwrap().to_owned();
        let asked: Vec<String> = emergency(&server).into_iter().filter(|word| word != "--yes").collect();
        let asked = command(&server, &asked.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let text = said(&asked);
        assert!(asked.status.code() == Some(2) && text.contains("CONFIRMATION_NEEDED"), "{text}");
        assert!(!new_key_file(&server).exists());

        let document = contained(&server, &emergency(&server)).await;
        let kinds: Vec<_> =
            document["rotations"].as_array().unwrap().iter().map(|one| &one["evidence"]["kind"]).collect();
        assert_eq!(kinds, [&json!("master"), &json!("signing"), &json!("data")]);
        let evidence = &document["emergency"]["evidence"];
        proven_here(evidence);
        assert!(evidence["probes"]["running_server"].as_str().unwrap().contains("503"), "{evidence}");
        let text = evidence["cannot_be_ended_here"].to_string();
        assert!(
            text.contains("developer.spotify.com/dashboard") && text.contains("spotify.com/account/apps")
        );
        let raw = server.place.raw().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM master_keys WHERE handed_over IS NOT NULL").await, 0);
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 3);
        assert_eq!(raw.number("SELECT COUNT(*) FROM clients WHERE name = 'canary'").await, 0);
        assert_eq!(
            raw.number("SELECT COUNT(*) FROM linked_accounts WHERE reconnect_since IS NOT NULL").await,
            0
        );

        without_its_key(&server, &listeners).await;
        // By file and a reload it serves again, and everything that was is dead.
        std::fs::copy(new_key_file(&server), &file).unwrap();
        let taken = result(&server, &["config", "reload"]).await;
        assert_eq!(taken["taken_over"], json!(["security.master_key"]), "{taken}");
        assert_eq!((&taken["needs_restart"], server.ready().await), (&json!([]), Some(StatusCode::OK)));
        all_is_dead(&server, &listeners, &key).await;
        super::listens(&server.listener("user0001").await).await;

        server.stop().await;
        server.start().await;
        super::listens(&server.listener("user0002").await).await;
    })
    .await;
}

fn proven_here(evidence: &Value) {
    let place = "the_servers_code_in_this_program";
    assert_eq!(probe(evidence, place, "old_access_token"), ("401", Some("200")));
    assert_eq!(probe(evidence, place, "old_refresh_token").0, "400 invalid_grant");
    assert_eq!(probe(evidence, place, "old_session"), ("404", Some("200")));
    assert_eq!(probe(evidence, place, "old_api_key"), ("401", Some("200")));
    assert_eq!(probe(evidence, place, "old_signature"), ("401", Some("200")));
    assert_eq!(probe(evidence, place, "old_cookie"), ("logged out", Some("logged in")));
    assert_eq!(probe(evidence, place, "old_form_key").0, "403");
    assert_eq!(probe(evidence, place, "new_form_key").0, "200");
    assert_eq!(probe(evidence, place, "new_access_token").0, "200");
    assert_eq!(evidence["old_master_key"]["opened_rows"], 0);
    assert!(evidence["old_master_key"]["tried_on_rows"].as_u64().unwrap() > 8);
}

/// Until it is given the key, it refuses everybody for the time being, and says why.
async fn without_its_key(server: &TestServer, listeners: &[Listener]) {
    assert_eq!(server.ready().await, Some(StatusCode::SERVICE_UNAVAILABLE));
    let called = listeners[0].call("get_current_track", json!({})).await;
    assert_eq!(called.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        called.text.contains("nothing is lost") && called.headers.contains_key("retry-after"),
        "{called:?}"
    );
    let page = listeners[1].browser.open("/account").await;
    assert_eq!((page.code(), page.status), ("SERVER_WITHOUT_KEY", StatusCode::SERVICE_UNAVAILABLE));
    let refresh = listeners[1].pair().refresh;
    let (status, answer) = listeners[1].client.token(&listeners[1].client.refreshing(&refresh)).await;
    assert_eq!((status.as_u16(), &answer["error"]), (503, &json!("temporarily_unavailable")));
    server.says("another master key is in use, and this server was not given it").await;
    // A key that does not fit is refused, and nothing changes.
    let refused = command(server, &["config", "reload"]).await;
    assert!(
        refused.status.code() == Some(2) && said(&refused).contains("MASTER_KEY_WRONG"),
        "{}",
        said(&refused)
    );
    assert_eq!(server.ready().await, Some(StatusCode::SERVICE_UNAVAILABLE));
}

/// A site that was approved, so that it is let through without a question.
async fn approved_site(server: &TestServer) -> (Browser, Attempt) {
    let site = RegisteredClient::register(&server.origin, "https://client.example/callback").await;
    let (browser, narrow) = (server.browser(), site.attempt().with("scope", Some("read")));
    site.code(&narrow, &browser, "user0001").await;
    assert!(browser.open(&narrow.path()).await.left_for.is_some());
    (browser, narrow)
}

/// Who exists only to be tried is not counted.
fn counts_people_alone(evidence: &Value, approvals: i64) {
    let counts = &evidence["ended"][0]["counts"];
    assert_eq!((&counts["grants"], &counts["api_keys"]), (&json!(3), &json!(1)), "{evidence}");
    assert!(approvals > 1);
    assert_eq!(counts["approvals"], json!(approvals), "{evidence}");
    assert_eq!(evidence["ended"][1]["counts"]["grants"], 0, "{evidence}");
}

/// Whatever a command recorded says by whom; of what the server did, nobody is named.
fn says_by_whom(trail: &str) {
    for code in [
        "issuance_frozen",
        "emergency_contained",
        "key_rotation_started",
        "key_rotation_ended",
        "api_key_created",
    ] {
        let of = format!("\"event_code\":\"{code}\"");
        let lines: Vec<&str> = trail.lines().filter(|line| line.contains(&of)).collect();
        assert!(
            !lines.is_empty() && lines.iter().all(|line| line.contains("\"by\":\"uid ")),
            "{code}: {lines:?}"
        );
    }
    let started = trail.lines().find(|line| line.contains("\"sys_startup\"")).unwrap();
    assert!(!started.contains("\"by\":"), "{started}");
}

#[tokio::test]
async fn a_server_whose_key_lies_with_the_data_takes_the_new_one_and_is_tried_itself() {
    let mut server = Setup::on(Place::sqlite()).people(3).prepare().await;
    server.environment.remove("SPOTIFY_MCP_MASTER_KEY");
    server.start().await;
    let listeners = three(&server).await;
    let made = ["api-keys", "create", "--user", "user0001", "--name", "radio"];
    let key = result(&server, &made).await["key"].as_str().unwrap().to_owned();
    let (browser, narrow) = approved_site(&server).await;
    let approvals = server.place.raw().await.number("SELECT COUNT(*) FROM consents").await;

    let arguments = ["rotate-keys", "--emergency", "--yes", "--format", "json"].map(str::to_owned);
    let document = contained(&server, &arguments).await;
    assert_eq!(document["done_now"], true);
    let evidence = &document["emergency"]["evidence"];
    counts_people_alone(evidence, approvals);
    browser.log_in("user0001").await;
    assert!(browser.open(&narrow.path()).await.left_for.is_none(), "it has to ask again");
    proven_here(evidence);
    assert_eq!(evidence["probes"]["running_server"], "tried", "{evidence}");
    for (name, found) in [
        ("old_access_token", "401"),
        ("old_refresh_token", "400 invalid_grant"),
        ("old_session", "404"),
        ("old_signature", "401"),
        ("old_cookie", "logged out"),
        ("old_form_key", "403"),
        ("new_access_token", "200"),
    ] {
        assert_eq!(probe(evidence, "the_running_server", name).0, found);
    }
    all_is_dead(&server, &listeners, &key).await;
    super::listens(&server.listener("user0001").await).await;
    let trail = super::tampered::trail(&server);
    for code in ["issuance_frozen", "issuance_resumed", "emergency_contained", "master_key_taken_over"] {
        assert!(trail.contains(&format!("\"{code}\"")), "{code}");
    }
    says_by_whom(&trail);

    // Again at once: the same evidence, and nothing is done.
    let again = contained(&server, &arguments).await;
    assert_eq!(again["emergency"], document["emergency"]);
    assert_eq!(again["done_now"], false);
    let quiet = command(&server, &["rotate-keys", "--emergency", "--yes", "--quiet"]).await;
    assert!(String::from_utf8_lossy(&quiet.stdout).starts_with("NOTHING WAS DONE NOW"), "{}", said(&quiet));
    super::listens(&server.listener("user0001").await).await;
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM rotations").await, 3);
    raw.run("UPDATE emergencies SET ended_at = ended_at - 600000").await;
    contained(&server, &arguments).await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM rotations").await, 6);
}

/// Where an emergency can die; the master key's rotation stands for all three.
const BOUNDARIES: [&str; 14] = [
    "begun",
    "frozen",
    "planned",
    "staged",
    "active",
    "rewrapping",
    "batch",
    "verified",
    "retired",
    "rotated-master",
    "rotated-signing",
    "proved",
    "lifted",
    "contained",
];

#[tokio::test]
async fn an_emergency_that_dies_at_any_boundary_stays_frozen_until_the_next_run_ends_it() {
    let (mut server, file) = keyed_by_file(Place::sqlite()).await;
    three(&server).await;
    let raw = server.place.raw().await;
    for (round, boundary) in BOUNDARIES.into_iter().enumerate() {
        server.environment.insert("DIE_AT".to_owned(), boundary.to_owned());
        let arguments = emergency(&server);
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let died = command(&server, &words).await;
        assert_eq!(died.status.code(), None, "{boundary}: {}", said(&died));
        server.environment.remove("DIE_AT");
        let frozen = !["begun", "lifted", "contained"].contains(&boundary);
        is_frozen(&server, frozen, boundary).await;

        let document = contained(&server, &arguments).await;
        let evidence = &document["emergency"]["evidence"];
        assert_eq!(evidence["rotations"].as_array().unwrap().len(), 3, "{boundary}");
        assert_eq!(evidence["old_master_key"]["opened_rows"], 0);
        assert_eq!(evidence["probes"]["the_servers_code_in_this_program"][1]["found"], "401", "{boundary}");
        assert_eq!(raw.number("SELECT COUNT(*) FROM revocation WHERE frozen_by IS NOT NULL").await, 0);
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 3, "{boundary}");
        let rotations = "SELECT COUNT(*) FROM rotations WHERE emergency = 1 AND state = 'retired'";
        assert_eq!(raw.number(rotations).await, 3 * (i64::try_from(round).unwrap() + 1), "{boundary}");
        std::fs::rename(new_key_file(&server), &file).unwrap();
        result(&server, &["config", "reload"]).await;
        raw.run("UPDATE emergencies SET ended_at = ended_at - 600000").await;
    }
    super::listens(&server.listener("user0001").await).await;
    super::listens(&server.listener("user0002").await).await;
}

async fn is_frozen(server: &TestServer, frozen: bool, boundary: &str) {
    let status = command(server, &["rotate-keys", "--status"]).await;
    let open = boundary != "contained";
    assert_eq!(said(&status).contains("IS NOT OVER"), open, "{boundary}: {}", said(&status));
    if open {
        assert_eq!(status.status.code(), Some(1), "{boundary}");
        let other = command(server, &["rotate-keys", "--what", "data"]).await;
        assert!(said(&other).contains("EMERGENCY_IN_PROGRESS"), "{boundary}: {}", said(&other));
    }
    if boundary != "frozen" {
        return;
    }
    assert!(frozen);
    // Heard by a running server within a second and a half.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let registered = server.http.post(format!("{}/register", server.origin)).json(&json!({}));
    let registered = registered.send().await.unwrap();
    assert_eq!(registered.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(registered.headers().contains_key("retry-after"));
    let text = registered.text().await.unwrap();
    assert!(text.contains("temporarily_unavailable") && text.contains("emergency"), "{text}");
    for path in ["/token", "/authorize", "/auth/login", "/auth/callback"] {
        let url = format!("{}{path}", server.origin);
        let asked = if path == "/token" { server.http.post(url) } else { server.http.get(url) };
        assert_eq!(asked.send().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    let page = server.browser().open("/auth/login").await;
    assert_eq!(page.code(), "ISSUANCE_FROZEN");
    let key = command(server, &["api-keys", "create", "--user", "user0001", "--name", "radio"]).await;
    assert!(key.status.code() == Some(3) && said(&key).contains("ISSUANCE_FROZEN"), "{}", said(&key));
}
