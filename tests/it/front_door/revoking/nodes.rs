//! Two servers on one PostgreSQL, one of them cut off from it: whatever was revoked is dead at both within a second of the
//! command's return, and nobody else notices.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::{HEARD, Holder, revoke};
use crate::front_door::elsewhere::Cable;
use crate::front_door::signatures::{BODY, Draft};
use crate::support::database::Place;
use crate::support::listener::{Era, speak};
use crate::support::server::{Setup, TestServer, free_port};

/// A second server on the database of the first, perhaps over a way of its own.
pub(in crate::front_door) async fn beside(
    server: &TestServer,
    database: Option<&str>,
) -> (tokio::process::Child, String) {
    started(server, server.command(), database).await
}

/// The same, whose clock is so far ahead.
pub(in crate::front_door) async fn ahead(
    server: &TestServer,
    seconds: u32,
) -> (tokio::process::Child, String) {
    let mut command = server.command();
    command.args(["--while-stdin", "--clock-ahead", &seconds.to_string()]);
    command.stdin(std::process::Stdio::piped());
    started(server, command, None).await
}

async fn started(
    server: &TestServer,
    mut command: tokio::process::Command,
    database: Option<&str>,
) -> (tokio::process::Child, String) {
    let port = free_port();
    command.env("SERVER_PORT", port.to_string()).env("PUBLIC_URL", &server.origin);
    command.env("SPOTIFY_MCP__AUDIT__DIR", server.data.join("second-audit").display().to_string());
    if let Some(url) = database {
        command.env("DATABASE_URL", url);
    }
    let child = command.spawn().unwrap();
    let origin = format!("http://127.0.0.1:{port}");
    for _ in 0..3_000 {
        if server.http.get(format!("{origin}/readyz")).send().await.is_ok_and(|reply| reply.status() == 200) {
            return (child, origin);
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("the second server is not ready:\n{}", server.logged());
}

/// Somebody who tries one credential at one server, over and over.
struct Trier {
    name: String,
    origin: String,
    /// The public address of both, by which browsers ask.
    host: String,
    how: How,
    /// When the last request began that was let in.
    last: Mutex<Option<Instant>>,
    tried: AtomicUsize,
    refused: AtomicUsize,
}

#[derive(Clone)]
enum How {
    Bearer(String, Option<String>),
    Cookie(String),
    /// A fresh signature each time, by the key of this id.
    Signature(Draft),
}

impl Trier {
    fn all(server: &TestServer, holder: &Holder, name: &str, origin: &str) -> Vec<Self> {
        let access = holder.listener.pair().access;
        let cookie = holder.listener.browser.cookies();
        let cookie =
            cookie.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let of = |kind: &str, how: How| Self {
            name: format!("{name}: {kind} at {origin}"),
            origin: origin.to_owned(),
            host: holder.listener.client.origin.trim_start_matches("http://").to_owned(),
            how,
            last: Mutex::default(),
            tried: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        };
        vec![
            of("access token", How::Bearer(access.clone(), None)),
            of("session", How::Bearer(access, Some(holder.session.clone()))),
            of("API key", How::Bearer(holder.key.clone(), None)),
            of("browser", How::Cookie(cookie)),
            of("signature", How::Signature(Draft::new(server, &(holder.key_id.clone(), holder.key.clone())))),
        ]
    }

    async fn try_on(&self, http: &Client, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            let began = Instant::now();
            let good = self.once(http).await;
            self.tried.fetch_add(1, Ordering::SeqCst);
            if good {
                *self.last.lock().await = Some(began);
            } else {
                self.refused.fetch_add(1, Ordering::SeqCst);
            }
            sleep(Duration::from_millis(40)).await;
        }
    }

    async fn once(&self, http: &Client) -> bool {
        match &self.how {
            How::Bearer(bearer, session) => {
                let request = http.post(format!("{}/mcp", self.origin)).bearer_auth(bearer);
                let request = match session {
                    Some(session) => request.header("mcp-session-id", session),
                    None => request,
                };
                let params = json!({"name": "get_status", "arguments": {}});
                let reply = speak(request, Era::Legacy, "tools/call", params).send().await.unwrap();
                reply.status() == StatusCode::OK
            }
            How::Signature(draft) => {
                static COUNT: AtomicUsize = AtomicUsize::new(0);
                let nonce = format!("nonce-of-a-node-{:08}", COUNT.fetch_add(1, Ordering::SeqCst));
                let created = spotify_mcp::ambient::Clock::system().now().secs();
                let signed = Draft { nonce, created, ..draft.clone() };
                let request = http.post(format!("{}/mcp", self.origin)).header("host", &self.host);
                let request = signed
                    .headers()
                    .into_iter()
                    .fold(request, |request, (name, value)| request.header(name, value));
                let request = request
                    .header("accept", "application/json, text/event-stream")
                    .header("content-type", "application/json")
                    .header("mcp-protocol-version", "2025-11-25");
                request.body(BODY).send().await.unwrap().status() == StatusCode::OK
            }
            How::Cookie(cookie) => {
                let request = http
                    .get(format!("{}/auth/status", self.origin))
                    .header("cookie", cookie)
                    .header("host", &self.host);
                let reply = request.send().await.unwrap();
                reply.status() == StatusCode::OK
                    && reply.text().await.unwrap().contains("\"authenticated\":true")
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_is_dead_on_every_node_within_a_second_and_nobody_else_notices() {
    let Some(place) = Place::postgres().await else { return };
    let calls = "SPOTIFY_MCP__LIMITS__CALLS_PER_USER_PER_MINUTE";
    let server = Setup::on(place).env("LOG_LEVEL", "info").env(calls, "0").start().await;
    let (_child, second) = beside(&server, None).await;
    let (ada, ben) = (Holder::new(&server, "ada").await, Holder::new(&server, "ben").await);
    let origins = [&server.origin, &second];
    let adas: Vec<_> = origins.iter().flat_map(|origin| Trier::all(&server, &ada, "ada", origin)).collect();
    let bens: Vec<_> = origins.iter().flat_map(|origin| Trier::all(&server, &ben, "ben", origin)).collect();
    let stop = AtomicBool::new(false);
    let trying = join_all(adas.iter().chain(&bens).map(|trier| trier.try_on(&server.http, &stop)));
    let revoking = async {
        sleep(Duration::from_secs(2)).await;
        revoke(&server, &["--user", "ada", "--api-keys", "--yes"]).await;
        let returned = Instant::now();
        sleep(Duration::from_secs(3)).await;
        stop.store(true, Ordering::SeqCst);
        returned
    };
    let (_, returned) = tokio::join!(trying, revoking);
    for trier in &adas {
        let last = trier.last.lock().await.unwrap_or_else(|| panic!("{} never worked", trier.name));
        assert!(last < returned + HEARD, "{}: {:?} too late", trier.name, last - returned);
        assert!(trier.refused.load(Ordering::SeqCst) > 5, "{}", trier.name);
    }
    for trier in &bens {
        assert!(trier.tried.load(Ordering::SeqCst) > 10, "{}", trier.name);
        assert_eq!(trier.refused.load(Ordering::SeqCst), 0, "{}", trier.name);
    }
    for origin in origins {
        let form = ada
            .listener
            .client
            .refreshing(&ada.listener.pair().refresh)
            .map(|(k, v)| (k.to_owned(), v.to_owned()));
        let reply = server.http.post(format!("{origin}/token")).form(&form).send().await.unwrap();
        assert!(reply.text().await.unwrap().contains("invalid_grant"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_hear_lets_nobody_in_who_was_revoked() {
    let Some(place) = Place::postgres().await else { return };
    let mut url = url::Url::parse(&place.url).unwrap();
    let cable = Cable::to(format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432))).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(cable.port)).unwrap();
    let server = Setup::on(place).env("LOG_LEVEL", "info").start().await;
    let (_child, second) = beside(&server, Some(url.as_str())).await;
    let (ada, ben) = (Holder::new(&server, "ada").await, Holder::new(&server, "ben").await);
    let adas = Trier::all(&server, &ada, "ada", &second);
    let bens_here = Trier::all(&server, &ben, "ben", &server.origin);
    for trier in adas.iter().chain(&bens_here) {
        assert!(trier.once(&server.http).await, "{}", trier.name);
    }
    cable.whole.send(false).unwrap();
    revoke(&server, &["--user", "ada", "--api-keys", "--yes"]).await;
    sleep(HEARD).await;
    for trier in &adas {
        assert!(!trier.once(&server.http).await, "{}", trier.name);
    }
    for trier in &bens_here {
        assert!(trier.once(&server.http).await, "{}", trier.name);
    }
    // And when it hears again, it has not forgotten.
    cable.whole.send(true).unwrap();
    let bens = Trier::all(&server, &ben, "ben", &second);
    let end = Instant::now() + Duration::from_secs(30);
    while !bens[0].once(&server.http).await {
        assert!(Instant::now() < end, "it does not come back");
        sleep(Duration::from_millis(50)).await;
    }
    for trier in &adas {
        assert!(!trier.once(&server.http).await, "{}", trier.name);
    }
}
