//! `rotate-keys --emergency`: asked before, nothing handed over, and whatever anybody held is dead afterwards.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{new_key_file, said, three};
use crate::front_door::api_keys::{command, result};
use crate::support::database::at_both;
use crate::support::server::Setup;

#[tokio::test]
async fn an_emergency_ends_everything_and_the_old_key_leads_nowhere() {
    at_both(async |place| {
        let mut server = Setup::on(place).people(3).start().await;
        let listeners = three(&server).await;
        let made = ["api-keys", "create", "--user", "user0001", "--name", "radio"];
        let key = result(&server, &made).await["key"].as_str().unwrap().to_owned();
        let file = new_key_file(&server).display().to_string();
        let emergency = ["rotate-keys", "--emergency", "--new-master-key-file", &file, "--format", "json"];
        let asked = command(&server, &emergency).await;
        assert!(
            asked.status.code() == Some(2) && said(&asked).contains("CONFIRMATION_NEEDED"),
            "{}",
            said(&asked)
        );
        assert!(!new_key_file(&server).exists());

        let done = command(&server, &[&emergency[..], &["--yes"]].concat()).await;
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        let document: Value = serde_json::from_slice(&done.stdout).unwrap();
        let kinds: Vec<_> =
            document["rotations"].as_array().unwrap().iter().map(|one| &one["evidence"]["kind"]).collect();
        assert_eq!(kinds, [&json!("master"), &json!("signing"), &json!("data")]);
        let raw = server.place.raw().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM master_keys WHERE handed_over IS NOT NULL").await, 0);

        super::forgets(&server).await;
        for bearer in [&listeners[0].pair().access, &key] {
            let request = server.http.post(format!("{}/mcp", server.origin)).bearer_auth(bearer);
            let ping = crate::support::listener::speak(
                request,
                crate::support::listener::Era::Legacy,
                "ping",
                json!({}),
            );
            assert_eq!(ping.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
        }
        let refresh = listeners[1].pair().refresh;
        let refreshed = listeners[1].client.refreshing(&refresh);
        let answer = listeners[1].client.try_token(&refreshed).await.unwrap();
        assert!(format!("{answer:?}").contains("invalid_grant"), "{answer:?}");
        assert_eq!(crate::front_door::status(&listeners[2].browser).await["authenticated"], false);

        server.stop().await;
        let refused = command(&server, &["serve"]).await;
        assert!(refused.status.code() == Some(2) && said(&refused).contains("MASTER_KEY_WRONG"));
        let key = std::fs::read_to_string(new_key_file(&server)).unwrap().trim().to_owned();
        server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), key);
        server.start().await;
        super::listens(&server.listener("user0001").await).await;
    })
    .await;
}
