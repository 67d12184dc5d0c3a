//! What is held of a person, and what is left of them: nothing, in no file.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{HEARD, result};
use crate::front_door::api_keys::{command, made, refusal};
use crate::front_door::{contains, files};
use crate::support::database::{Place, at_both};
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

const SPOTIFY_ID: &str = "zaphodbeeblebrox42";
const NAME: &str = "Zaphod Of Betelgeuse";

async fn zaphod(server: &TestServer) -> (Listener, String, String) {
    server.control().create_user(SPOTIFY_ID, &json!({"display_name": NAME})).unwrap();
    let zaphod = server.listener(SPOTIFY_ID).await;
    let (_, key) = made(server, SPOTIFY_ID, &[]).await;
    zaphod.call("get_current_track", json!({})).await.result();
    let id = result(server, &["users", "list", "--search", SPOTIFY_ID]).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    (zaphod, key, id)
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// What tells of a person: names, and every byte that is kept of what opens something.
async fn traces(server: &TestServer, gone: &Listener, id: &str) -> Vec<(String, Vec<u8>)> {
    let raw = server.place.raw().await;
    let sealed = |column: &str, table: &str, of: &str| {
        format!("SELECT lower(hex({column})) FROM {table} WHERE {of} = '{id}' AND {column} IS NOT NULL")
    };
    let mut traces: Vec<(String, Vec<u8>)> = vec![
        ("Spotify id".to_owned(), SPOTIFY_ID.into()),
        ("name".to_owned(), NAME.into()),
        ("access token".to_owned(), gone.pair().access.into_bytes()),
    ];
    for (column, table) in [
        ("access_token", "linked_accounts"),
        ("refresh_token", "linked_accounts"),
        ("wrapped", "data_keys"),
        ("hash", "browser_sessions"),
        ("hash", "api_keys"),
        ("signing_key", "api_keys"),
    ] {
        let found = raw.texts(&sealed(column, table, "user_id")).await;
        assert_eq!(found.len(), 1, "{table}.{column}");
        traces.push((format!("{table}.{column}"), bytes(&found[0])));
    }
    traces
}

#[tokio::test]
async fn of_a_deleted_person_no_file_holds_name_spotify_id_or_a_byte_of_a_token() {
    let mut server = Setup::on(Place::sqlite()).env("LOG_LEVEL", "info").start().await;
    let ben = server.listener("ben").await;
    let (gone, key, id) = zaphod(&server).await;
    sleep(Duration::from_secs(2)).await;
    let traces = traces(&server, &gone, &id).await;
    let folder = server.place.file().parent().unwrap().to_owned();
    let holds = |trace: &[u8], server: &TestServer| -> Vec<String> {
        let all = files(&[&folder, &server.data]);
        let found = all.iter().filter(|path| contains(&std::fs::read(path).unwrap_or_default(), trace));
        found.map(|path| path.display().to_string()).collect()
    };
    for (what, trace) in traces.iter().filter(|(what, _)| what != "access token") {
        assert!(!holds(trace, &server).is_empty(), "{what}: the search does not find what is there");
    }

    let would = result(&server, &["users", "delete", SPOTIFY_ID, "--dry-run"]).await;
    assert_eq!(would["deleted"][0]["rows"]["linked_accounts"], 1, "{would}");
    let done = result(&server, &["users", "delete", SPOTIFY_ID, "--reason", "asked for it", "--yes"]).await;
    assert_eq!(done["deleted"], json!([id]));
    for (what, trace) in &traces {
        assert_eq!(holds(trace, &server), Vec::<String>::new(), "{what} is left, beside the running server");
    }
    sleep(HEARD).await;
    assert_eq!(gone.call("get_status", json!({})).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        crate::front_door::api_keys::call(&server, &key, "get_status").await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(gone.client.refresh(&gone.pair().refresh).await.1["error"], "invalid_grant");
    ben.call("get_current_track", json!({})).await.content();
    assert_eq!(refusal(&server, &["users", "show", SPOTIFY_ID]).await, (3, "USER_UNKNOWN".to_owned()));
    sleep(Duration::from_secs(2)).await;
    let trail = crate::front_door::api_keys::trail(&server);
    assert!(trail.lines().any(|line| line.contains("\"user_deleted\"")
        && line.contains("asked for it")
        && line.contains("\"by\":\"uid ")));
    // For backups that are restored, by a mark that names nobody.
    assert!(
        std::fs::read_to_string(server.data_dir().join("tombstones.ndjson")).unwrap().contains("\"mark\"")
    );
    server.stop().await;
    for (what, trace) in &traces {
        assert_eq!(holds(trace, &server), Vec::<String>::new(), "{what} is left after the stop");
    }
    // Whoever comes with that account is somebody new.
    server.start().await;
    let again = server.listener(SPOTIFY_ID).await;
    again.call("get_status", json!({})).await.content();
    assert_ne!(result(&server, &["users", "list", "--search", SPOTIFY_ID]).await[0]["id"], json!(id));
}

/// Columns that an export leaves out: what opens something, or only tells where something lies.
const LEFT_OUT: [&str; 36] = [
    "users.payer",
    "users.changing_by",
    "users.changing_until",
    "users.accounts_changed",
    "users.former_identity",
    "users.logins_void_before",
    "linked_accounts.user_id",
    "linked_accounts.data_key_id",
    "linked_accounts.token_version",
    "linked_accounts.access_token",
    "linked_accounts.refresh_token",
    "linked_accounts.lease_holder",
    "linked_accounts.lease_until",
    "codes.hash",
    "codes.challenge",
    "codes.redirect_uri",
    "codes.resource",
    "codes.failures",
    "codes.grant_id",
    "logins.state_hash",
    "logins.browser_hash",
    "logins.verifier",
    "browser_sessions.hash",
    "mcp_sessions.session_id",
    "api_keys.hash",
    "api_keys.signing_key",
    "data_keys.wrapped",
    "linked_accounts.own_client_secret",
    "linked_accounts.sealed_client_id",
    "changes.content_key",
    "changes.version",
    "changes.summary",
    "changes.pre_image",
    "changes.half_done",
    "plans.asked",
    "plans.state",
];

#[tokio::test]
async fn an_export_has_every_table_of_a_person_and_nothing_that_opens_anything() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let (zaphod, key, id) = zaphod(&server).await;
        server.listener("ben").await;
        sleep(Duration::from_secs(6)).await;
        let output = command(&server, &["users", "export", SPOTIFY_ID]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let held = &document["held"];
        assert_eq!((&held["person"]["id"], &held["person"]["display_name"]), (&json!(id), &json!(NAME)));
        assert_eq!(held["linked_accounts"][0]["spotify_user_id"], SPOTIFY_ID);
        assert_eq!(
            held["usage"][0],
            json!({"day": held["usage"][0]["day"], "tool": "get_current_track", "calls": 1, "errors": 0})
        );
        assert!(!text.contains("\"Ben\"") && text.contains("read"), "somebody else's");
        for secret in [&zaphod.pair().access, &zaphod.pair().refresh, &key] {
            assert!(!text.contains(secret.as_str()));
        }
        let raw = server.place.raw().await;
        for line in raw.dump().await {
            let Some((column, value)) = line.split_once('=') else { continue };
            let opens =
                ["hash", "access_token", "refresh_token", "wrapped", "signing_key", "verifier", "successor"]
                    .iter()
                    .any(|word| column.rsplit('.').next().unwrap().ends_with(word));
            assert!(!opens || value.len() < 20 || !text.contains(value), "{column}");
        }
        complete(&raw.columns().await, held);

        // The person's own way is the same, for a form of their own alone.
        let page = zaphod.browser.open("/account").await;
        let taken = zaphod.browser.submit(&page, "/account/export", &[]).await;
        assert_eq!(taken.headers["content-type"], "application/json");
        assert!(taken.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
        let own: Value = serde_json::from_str(&taken.text).unwrap();
        assert_eq!(own["held"]["person"], held["person"]);
        assert_eq!(zaphod.browser.post("/account/export", &[]).await.code(), "FORM_EXPIRED");

        let file = server.data.join("zaphod.json");
        let named = file.display().to_string();
        let written = result(&server, &["users", "export", &id, "-o", &named]).await;
        assert_eq!(written["written"], json!(named));
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            refusal(&server, &["users", "export", &id, "-o", &named]).await,
            (2, "FILE_EXISTS".to_owned())
        );
        let nowhere = server.data.join("no such folder/x").display().to_string();
        assert_eq!(refusal(&server, &["users", "export", &id, "-o", &nowhere]).await.1, "OUTPUT_UNWRITABLE");
        assert_eq!(refusal(&server, &["users", "export", "nobody"]).await, (3, "USER_UNKNOWN".to_owned()));
        sleep(Duration::from_secs(2)).await;
        assert!(crate::front_door::api_keys::trail(&server).contains("\"user_data_exported\""));
    })
    .await;
}

/// Every column of a table with a person in it is in the export, or is known to be left out.
fn complete(columns: &[(String, String, String)], held: &Value) {
    let of = |table: &str| match table {
        "users" => Some("person"),
        "grants" => Some("connected_clients"),
        "consents" => Some("approvals"),
        "logins" => Some("logins_on_their_way"),
        "link_pages" => Some("link_pages"),
        "linked_accounts" => Some("linked_accounts"),
        "codes" => Some("codes"),
        "browser_sessions" => Some("browser_sessions"),
        "mcp_sessions" => Some("mcp_sessions"),
        "api_keys" => Some("api_keys"),
        "usage" => Some("usage"),
        "data_keys" => Some("data_keys"),
        "changes" => Some("changes"),
        "plans" => Some("plans"),
        "questions" => Some("questions"),
        "quota_calls" => Some("quota_calls"),
        // What could not be opened of whose: ids alone, and no foreign key.
        "rotation_exceptions" | "audit_keys" => None,
        other => panic!("{other} holds rows of people and stands in no export"),
    };
    let personal: BTreeSet<&str> = columns
        .iter()
        .filter(|(table, column, _)| column == "user_id" || table == "users")
        .map(|(table, ..)| table.as_str())
        .collect();
    for table in personal {
        let Some(section) = of(table) else { continue };
        assert!(!held[section].is_null(), "{table}");
        let row = if held[section].is_array() { &held[section][0] } else { &held[section] };
        let Some(row) = row.as_object() else { continue };
        for (_, column, _) in columns.iter().filter(|(named, ..)| named == table) {
            let is_there = row.contains_key(column);
            let left_out = LEFT_OUT.contains(&format!("{table}.{column}").as_str());
            assert!(
                is_there
                    || left_out
                    || [
                        "user_id",
                        "data_key_id",
                        "master_key_id",
                        "revoked_because",
                        "seal_count",
                        "district",
                        "epoch",
                        "browser_hash",
                        "request",
                        "app_id",
                        "used_at",
                        "rotation_id"
                    ]
                    .contains(&column.as_str()),
                "{table}.{column} is not exported"
            );
        }
    }
}
