//! A rotation that dies at each boundary of its steps: the server answers on, nothing is lost, and the next run ends it.

use super::{evidence, forgets, listens, rotate, three};
use crate::support::database::at_both;
use crate::support::server::Setup;

/// Every boundary of a rotation of the master key, in order.
const BOUNDARIES: [&str; 9] =
    ["planned", "staged", "active", "rewrapping", "batch", "batch:2", "verifying", "verified", "retired"];

#[tokio::test]
async fn a_rotation_that_dies_at_any_boundary_is_ended_by_the_next_run() {
    at_both(async |place| {
        let mut server = Setup::on(place).people(3).start().await;
        let listeners = three(&server).await;
        for (round, boundary) in BOUNDARIES.into_iter().enumerate() {
            server.environment.insert("DIE_AT".to_owned(), boundary.to_owned());
            let died = rotate(&server, &["--quiet"]).await;
            assert_eq!(died.status.code(), None, "{boundary}: {}", super::said(&died));
            server.environment.remove("DIE_AT");
            forgets(&server).await;
            for listener in &listeners {
                listens(listener).await;
            }
            let ended = evidence(&rotate(&server, &["--format", "json"]).await, 0);
            let new = ended["new_key"].as_str().unwrap();
            let under = serde_json::json!({ new: 3 });
            assert_eq!(ended["tables"]["data_keys"]["after"], under, "{boundary}");
            forgets(&server).await;
            for listener in &listeners {
                listens(listener).await;
            }
            // With the new key, the next rotation takes another.
            let file = super::new_key_file(&server);
            let key = std::fs::read_to_string(&file).unwrap().trim().to_owned();
            server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), key);
            std::fs::rename(&file, server.data.join(format!("{round}.key"))).unwrap();
        }
        let raw = server.place.raw().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM rotations WHERE state = 'retired'").await, 9);
        server.stop().await;
        server.start().await;
        for listener in &listeners {
            listens(listener).await;
        }
    })
    .await;
}
