//! What the audit trail says of a person is theirs to have, and nobody else's; once they are deleted, nobody's.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use spotify_mcp::domain::UserId;
use tokio::time::{Instant, sleep};

use super::result;
use crate::front_door::api_keys::{command, refusal};
use crate::support::database::{Place, at_both};
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};
use crate::support::trail::{Reader, records};

async fn exported(server: &TestServer, person: &str) -> Value {
    let output = command(server, &["users", "export", person]).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn codes(document: &Value) -> Vec<&str> {
    let all = document["audit"]["records"].as_array().unwrap().iter();
    all.map(|one| one["record"]["metadata"]["event_code"].as_str().unwrap()).collect()
}

fn sequences(document: &Value) -> BTreeSet<u64> {
    let all = document["audit"]["records"].as_array().unwrap().iter();
    all.map(|one| one["record"]["metadata"]["sequence"].as_u64().unwrap()).collect()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A server that ada and ben have used, and what the trail says of that.
async fn used(place: Place) -> (TestServer, Listener) {
    let server = Setup::on(place).start().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    ada.call("get_current_track", json!({})).await.content();
    ben.call("get_current_track", json!({})).await.content();
    until("the calls are not on record", async || told(&server, "tool_called") == 2).await;
    until("the links are not on record", async || told(&server, "account_linked") == 2).await;
    (server, ada)
}

fn folder(server: &TestServer) -> PathBuf {
    server.data_dir().join("audit")
}

fn told(server: &TestServer, code: &str) -> usize {
    records(&folder(server)).iter().filter(|record| record["metadata"]["event_code"] == code).count()
}

/// Our id of a person, and what the trail calls them.
async fn names(server: &TestServer, person: &str) -> (UserId, String) {
    let reader = Reader::of(server).await;
    let user = reader.store.people_called(person).await.unwrap().remove(0).0;
    let pseudonym = reader.pseudonym(&user).await.unwrap();
    (user, pseudonym)
}

#[tokio::test]
async fn an_export_has_what_the_trail_says_of_the_person_and_of_nobody_else() {
    at_both(async |place| {
        let (server, _ada) = used(place).await;
        let (_, pseudonym) = names(&server, "ada").await;
        let document = exported(&server, "ada").await;
        let audit = &document["audit"];
        assert_eq!((&audit["pseudonym"], &audit["addresses"]), (&json!(pseudonym), &json!("open")));
        assert_eq!(audit["older_records_left_out"], false);
        for code in ["authn_login_success", "account_linked", "tool_called"] {
            assert_eq!(
                codes(&document).iter().filter(|one| **one == code).count(),
                1,
                "{code}: {document:#}"
            );
        }
        // Every record that names them, as it stands there, and none besides.
        let all = records(&folder(&server));
        let is_theirs = |one: &&Value| {
            // The export itself came after it.
            one.to_string().contains(&pseudonym) && one["metadata"]["event_code"] != "user_data_exported"
        };
        let theirs: Vec<&Value> = all.iter().filter(is_theirs).collect();
        let given = audit["records"].as_array().unwrap();
        assert_eq!(given.iter().map(|one| &one["record"]).collect::<Vec<_>>(), theirs);
        let is_login = |one: &&Value| one["record"]["metadata"]["event_code"] == "authn_login_success";
        assert_eq!(given.iter().find(is_login).unwrap()["address"], "127.0.0.1");
        let chain = all[0]["unmapped"]["chain_uid"].clone();
        assert_eq!(audit["trails"], json!({ "read": [chain], "elsewhere": [] }));
        let (_, other) = names(&server, "ben").await;
        assert!(!document.to_string().contains(&other), "somebody else's");
    })
    .await;
}

#[tokio::test]
async fn a_person_takes_the_same_with_them_and_after_their_deletion_it_is_nobodys() {
    at_both(async |place| {
        let (mut server, ada) = used(place).await;
        let (user, pseudonym) = names(&server, "ada").await;
        let document = exported(&server, "ada").await;
        until("the export is not on record", async || told(&server, "user_data_exported") == 1).await;
        let page = ada.browser.open("/account").await;
        let taken = ada.browser.submit(&page, "/account/export", &[]).await;
        let own: Value = serde_json::from_str(&taken.text).unwrap();
        assert_eq!(own["audit"]["pseudonym"], json!(pseudonym));
        assert!(sequences(&own).is_superset(&sequences(&document)), "{own:#}");
        assert_eq!(own["audit"]["records"][0], document["audit"]["records"][0]);
        assert!(codes(&own).contains(&"user_data_exported"), "{own:#}");

        // Without the master key the addresses stay sealed.
        let key = server.environment.remove("SPOTIFY_MCP_MASTER_KEY").unwrap();
        let sealed = exported(&server, "ada").await;
        assert_eq!(sealed["audit"]["addresses"], "sealed");
        assert!(!sealed["audit"]["records"].to_string().contains("127.0.0.1\""), "{sealed:#}");
        assert_eq!(codes(&sealed)[..3], codes(&document)[..3]);
        server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), key);

        result(&server, &["users", "delete", "ada", "--yes"]).await;
        for name in ["ada", user.as_str()] {
            assert_eq!(refusal(&server, &["users", "export", name]).await, (3, "USER_UNKNOWN".to_owned()));
        }
        // The trail has them still, and nobody can tell of whom they are.
        until("the deletion is not on record", async || told(&server, "user_deleted") == 1).await;
        let query = command(&server, &["audit", "query", "--user", &pseudonym, "--personal"]).await;
        let shown = String::from_utf8_lossy(&query.stdout).into_owned();
        assert!(shown.contains("tool_called") && !shown.contains("from 127.0.0.1"), "{shown}");
        assert!(!shown.contains(user.as_str()), "{shown}");
        assert_eq!(server.stop().await.code(), Some(0));
    })
    .await;
}
