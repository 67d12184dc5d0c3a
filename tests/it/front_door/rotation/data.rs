//! Data keys and signing keys rotated: everybody listens on, refreshes win, values that were swapped are named.

use serde_json::{Value, json};

use super::{evidence, forgets, listens, said, three};
use crate::front_door::api_keys::{command, result};
use crate::support::database::{Raw, at_both};
use crate::support::server::{Setup, TestServer};

const DATA: [&str; 5] = ["rotate-keys", "--what", "data", "--format", "json"];

#[tokio::test]
async fn every_person_gets_another_data_key_and_listens_on() {
    at_both(async |place| {
        let mut server = Setup::on(place).people(3).start().await;
        let listeners = three(&server).await;
        let made = ["api-keys", "create", "--user", "user0001", "--name", "radio"];
        result(&server, &made).await;
        let raw = server.place.raw().await;
        let before = keys(&raw).await;
        for boundary in
            ["planned", "staged", "active", "rewrapping", "batch", "verifying", "verified", "retired"]
        {
            server.environment.insert("DIE_AT".to_owned(), boundary.to_owned());
            let died = command(&server, &DATA).await;
            assert_eq!(died.status.code(), None, "{boundary}: {}", said(&died));
            server.environment.remove("DIE_AT");
            forgets(&server).await;
            for listener in &listeners {
                listens(listener).await;
            }
            // Spotify takes the access tokens no more: each is refreshed with what was sealed anew.
            server.control().advance(std::time::Duration::from_secs(3700));
            let ended = evidence(&command(&server, &DATA).await, 0);
            assert_eq!(ended["tables"]["data_keys"]["after"], json!({ "before": 0, "since": 3 }), "{ended}");
            forgets(&server).await;
            for listener in &listeners {
                listens(listener).await;
            }
        }
        let after = keys(&raw).await;
        assert_eq!(after.len(), 3);
        assert!(after.iter().all(|key| !before.contains(key)));
        assert_eq!(raw.number("SELECT COUNT(*) FROM api_keys WHERE data_key_id IS NULL").await, 0);
    })
    .await;
}

async fn keys(raw: &Raw) -> Vec<String> {
    raw.texts("SELECT id FROM data_keys ORDER BY id").await
}

#[tokio::test]
async fn tokens_swapped_between_people_columns_or_versions_are_named_and_only_they_reconnect() {
    at_both(async |place| {
        let server = Setup::on(place).people(3).start().await;
        let listeners = three(&server).await;
        let raw = server.place.raw().await;
        raw.run("CREATE TABLE aside AS SELECT * FROM linked_accounts").await;
        let of = |n: usize| format!("WHERE spotify_user_id = 'user000{n}'");
        // Another person's, and one column in the place of the other.
        let theirs = format!("(SELECT refresh_token FROM aside {})", of(2));
        raw.run(&format!("UPDATE linked_accounts SET refresh_token = {theirs} {}", of(1))).await;
        raw.run(&format!("UPDATE linked_accounts SET access_token = refresh_token {}", of(2))).await;
        let ended = evidence(&command(&server, &DATA).await, 3);
        let named: Vec<&Value> = ended["quarantined"].as_array().unwrap().iter().collect();
        assert_eq!(named.len(), 2, "{ended}");
        assert!(named.iter().all(|row| row["table"] == "linked_accounts"), "{named:?}");
        // The first is under another person's key by its own words, the second under its own at another place.
        let mut reasons: Vec<_> = named.iter().map(|row| row["reason"].as_str().unwrap()).collect();
        reasons.sort_unstable();
        assert_eq!(reasons, ["tampered", "unknown_key"]);
        server.control().advance(std::time::Duration::from_secs(3700));
        forgets(&server).await;
        listens(&listeners[2]).await;
        for listener in &listeners[..2] {
            let answer = listener.call("get_current_track", json!({})).await;
            if answer.result()["isError"] == true {
                assert_eq!(answer.error(), "RECONNECT_REQUIRED", "{answer:?}");
                reconnects(listener).await;
            }
            listens(listener).await;
        }
    })
    .await;
}

async fn reconnects(listener: &crate::support::listener::Listener) {
    let page = listener.browser.open("/auth/login?link=again").await;
    if listener.browser.is_spotify(&page.url) {
        listener.browser.agree_as(&page, &listener.person).await;
    }
}

#[tokio::test]
async fn signing_keys_are_replaced_and_the_old_one_vouches_for_the_new() {
    at_both(async |place| {
        let server: TestServer = Setup::on(place).people(3).start().await;
        let listeners = three(&server).await;
        let signing = ["rotate-keys", "--what", "signing", "--format", "json"];
        let first = evidence(&command(&server, &signing).await, 0);
        let second = evidence(&command(&server, &signing).await, 0);
        assert_eq!(first["new_key"], second["old_key"]);
        assert_eq!(first["succession"]["new_public_key"], second["succession"]["old_public_key"]);
        let bytes = |name: &str| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD
                .decode(second["succession"][name].as_str().unwrap())
                .unwrap()
        };
        let message = [spotify_mcp::vault::rotation::SUCCESSION, &bytes("new_public_key")[..]].concat();
        let vouched =
            spotify_mcp::crypto::signature::verify(&bytes("old_public_key"), &message, &bytes("signature"));
        assert!(vouched);
        listens(&listeners[0]).await;
        listens(&server.listener("user0002").await).await;
    })
    .await;
}
