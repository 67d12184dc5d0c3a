//! Metrics while the database is away: the answer comes, soon, and says so.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::{Instant, sleep};

use crate::front_door::elsewhere::Cable;
use crate::support::database::Place;
use crate::support::prometheus::Scrape;
use crate::support::server::{Setup, TestServer, free_port};

const TOKEN: &str = "0123456789abcdef-of-the-tests";

/// What only the database knows.
const ITS: [&str; 5] = [
    "spotify_mcp_sessions",
    "spotify_mcp_audit_outbox_records",
    "spotify_mcp_audit_outbox_oldest_seconds",
    "spotify_mcp_key_age_seconds",
    "spotify_mcp_alert_deliveries",
];

/// What this says now, which must come within the time that a monitor waits.
async fn scrape(server: &TestServer, url: &str) -> Scrape {
    let asked = Instant::now();
    let reply = server.http.get(url).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
    let text = reply.text().await.unwrap();
    Scrape::read(&text).unwrap_or_else(|why| panic!("{why}\n{text}"))
}

#[tokio::test]
async fn without_the_database_metrics_come_and_say_that_it_is_away() {
    let Some(place) = Place::postgres().await else { return };
    let mut url = url::Url::parse(&place.url).unwrap();
    let cable = Cable::to(format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432))).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(cable.port)).unwrap();
    let port = free_port();
    let server = Setup::on(place)
        .env("DATABASE_URL", url.as_str())
        .env("SPOTIFY_MCP__TELEMETRY__METRICS_LISTEN", &format!("127.0.0.1:{port}"))
        .env("SPOTIFY_MCP__TELEMETRY__METRICS_TOKEN", TOKEN)
        .start()
        .await;
    let places = [format!("http://127.0.0.1:{port}/metrics"), format!("{}/metrics", server.origin)];
    for place in &places {
        let seen = scrape(&server, place).await;
        assert_eq!(seen.get("spotify_mcp_database_up", &[]), 1.0);
        assert!(ITS.iter().all(|name| seen.types.contains_key(*name)), "{:?}", seen.types);
    }
    cable.whole.send(false).unwrap();
    // What it said holds for a second.
    sleep(Duration::from_millis(1_100)).await;
    for place in &places {
        let seen = scrape(&server, place).await;
        assert_eq!(seen.get("spotify_mcp_database_up", &[]), 0.0, "{place}");
        for name in ITS {
            assert!(!seen.types.contains_key(name), "{name} is said, and nobody knows it");
        }
        assert_eq!(seen.get("spotify_mcp_audit_writable", &[]), 1.0, "the trail is on this machine's disk");
        let other = server.http.get(place).bearer_auth("another-token-of-somebody").send().await.unwrap();
        assert_ne!(other.status(), StatusCode::OK, "{place}");
    }
    cable.whole.send(true).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while scrape(&server, &places[0]).await.get("spotify_mcp_database_up", &[]) < 1.0 {
        assert!(Instant::now() < until, "it is back, and nobody says so");
        sleep(Duration::from_millis(200)).await;
    }
}
