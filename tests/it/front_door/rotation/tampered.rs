//! Wrapped keys changed or swapped by SQL: named, audited, left as they are; their owners alone have to reconnect.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{evidence, forgets, listens, rotate, three};
use crate::support::database::at_both;
use crate::support::server::{Setup, TestServer};

#[tokio::test]
async fn swapped_keys_are_named_and_only_their_owners_reconnect() {
    at_both(async |place| {
        let server = Setup::on(place).people(3).start().await;
        let listeners = three(&server).await;
        let raw = server.place.raw().await;
        let ids = raw.texts("SELECT id FROM data_keys ORDER BY created_at, id").await;
        let users = raw.texts("SELECT user_id FROM linked_accounts ORDER BY spotify_user_id").await;
        let key_of =
            |user: &str| format!("(SELECT id FROM data_keys WHERE user_id = '{user}' AND state = 'active')");
        let (first, second) = (key_of(&users[0]), key_of(&users[1]));
        raw.run("CREATE TABLE aside AS SELECT id, wrapped FROM data_keys").await;
        for (to, from) in [(&first, &second), (&second, &first)] {
            let swap = format!("(SELECT wrapped FROM aside WHERE id = {from})");
            raw.run(&format!("UPDATE data_keys SET wrapped = {swap} WHERE id = {to}")).await;
        }
        assert_eq!(ids.len(), 3);

        let ended = evidence(&rotate(&server, &["--format", "json"]).await, 3);
        assert_eq!(ended["outcome"], "completed_with_exceptions");
        let named = ended["quarantined"].as_array().unwrap();
        assert_eq!(named.len(), 2, "{named:?}");
        for row in named {
            assert_eq!((&row["table"], &row["reason"]), (&json!("data_keys"), &json!("tampered")));
            assert!(users[..2].contains(&row["owner"].as_str().unwrap().to_owned()));
        }
        let keys = &ended["tables"]["data_keys"];
        assert_eq!((&keys["verified"], &keys["quarantined"]), (&json!(1), &json!(2)));

        forgets(&server).await;
        listens(&listeners[2]).await;
        for listener in &listeners[..2] {
            let answer = listener.call("get_current_track", json!({})).await;
            assert_eq!(answer.error(), "RECONNECT_REQUIRED", "{answer:?}");
            let page = listener.browser.open("/auth/login?link=again").await;
            if listener.browser.is_spotify(&page.url) {
                listener.browser.agree_as(&page, &listener.person).await;
            }
            listens(listener).await;
        }
        // What is noted reaches the trail soon, not at once.
        let until = Instant::now() + Duration::from_secs(20);
        let quarantined =
            |text: &str| text.lines().filter(|line| line.contains("key_row_quarantined")).count();
        let mut text = trail(&server);
        while (quarantined(&text) < 2 || !text.contains("crypt_decrypt_fail")) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
            text = trail(&server);
        }
        assert_eq!(quarantined(&text), 2);
        assert!(text.contains("crypt_decrypt_fail"));
    })
    .await;
}

pub(super) fn trail(server: &TestServer) -> String {
    let segments = std::fs::read_dir(server.data_dir().join("audit")).unwrap();
    segments.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok()).collect()
}
