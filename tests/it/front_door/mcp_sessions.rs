//! Sessions of 2025-era clients on the real binary: issued, checked, owned, bounded, ended, on one node and on two.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::database::at_both;
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer, folder, free_port};

const HEADER: &str = "mcp-session-id";

/// An answer: status, session id, body.
struct Told {
    status: StatusCode,
    session: Option<String>,
    text: String,
}

async fn ask(
    listener: &Listener,
    origin: &str,
    method: Method,
    session: Option<&str>,
    body: Option<Value>,
) -> Told {
    let mut request = listener.client.http.request(method, format!("{origin}/mcp"));
    request =
        request.bearer_auth(&listener.pair().access).header("accept", "application/json, text/event-stream");
    if let Some(session) = session {
        request = request.header(HEADER, session).header("mcp-protocol-version", "2025-11-25");
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let reply = request.send().await.unwrap();
    let session = reply.headers().get(HEADER).map(|value| value.to_str().unwrap().to_owned());
    Told { status: reply.status(), session, text: reply.text().await.unwrap() }
}

async fn initialize(listener: &Listener) -> String {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}});
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let told = ask(listener, &listener.client.origin, Method::POST, None, Some(body)).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    told.session.expect("a session id")
}

async fn list_at(listener: &Listener, origin: &str, session: Option<&str>) -> Told {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    ask(listener, origin, Method::POST, session, Some(body)).await
}

async fn list(listener: &Listener, session: &str) -> StatusCode {
    list_at(listener, &listener.client.origin, Some(session)).await.status
}

async fn end(listener: &Listener, session: &str) -> Told {
    ask(listener, &listener.client.origin, Method::DELETE, Some(session), None).await
}

#[tokio::test]
async fn a_session_is_issued_with_the_handshake_and_holds_until_it_is_ended() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        let session = initialize(&ada).await;
        assert!(session.len() >= 43 && session.bytes().all(|byte| byte.is_ascii_graphic()), "{session}");
        let told = list_at(&ada, &server.origin, Some(&session)).await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.text);
        assert!(told.session.is_none(), "only in the answer to initialize");
        let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let told = ask(&ada, &server.origin, Method::POST, Some(&session), Some(done)).await;
        assert_eq!((told.status, told.text.as_str()), (StatusCode::ACCEPTED, ""));
        assert_eq!(
            list_at(&ada, &server.origin, None).await.status,
            StatusCode::OK,
            "clients that never send it"
        );
        let get = ask(&ada, &server.origin, Method::GET, Some(&session), None).await;
        assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED);
        assert!(get.text.contains("\"jsonrpc\""), "{}", get.text);

        let raw = server.place.raw().await;
        let stored = raw.dump().await.join("\n");
        assert!(!stored.contains(&session), "stored hashed");
        assert_eq!(raw.texts("SELECT connection_status FROM mcp_sessions").await, ["active"]);
        assert!(raw.texts("SELECT metadata FROM mcp_sessions").await[0].contains("2025-11-25"));

        let told = end(&ada, &session).await;
        assert_eq!((told.status, told.text.as_str()), (StatusCode::NO_CONTENT, ""));
        assert_eq!(list(&ada, &session).await, StatusCode::NOT_FOUND);
        assert_eq!(end(&ada, &session).await.status, StatusCode::NOT_FOUND);
        assert_eq!(raw.number("SELECT COUNT(*) FROM mcp_sessions").await, 0);
        assert!(!server.logged().contains(&session), "never in a log");
    })
    .await;
}

#[tokio::test]
async fn everything_that_is_wrong_with_an_id_is_the_same_404() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let another_client = Listener::connect("ada", server.browser(), server.client().await).await;
    let session = initialize(&ada).await;
    assert_eq!(list(&ada, &session).await, StatusCode::OK);
    let ended = initialize(&ada).await;
    assert_eq!(end(&ada, &ended).await.status, StatusCode::NO_CONTENT);
    let mut answers = Vec::new();
    for (listener, id) in [
        (&ada, "nonsense"),
        (&ada, ""),
        (&ada, "smms_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        (&ada, ended.as_str()),
        (&ben, session.as_str()),
        (&another_client, session.as_str()),
    ] {
        let told = list_at(listener, &server.origin, Some(id)).await;
        assert_eq!(told.status, StatusCode::NOT_FOUND, "{id}: {}", told.text);
        answers.push(told.text);
        assert_eq!(end(listener, id).await.status, StatusCode::NOT_FOUND);
    }
    let error: Value = serde_json::from_str(&answers[0]).unwrap();
    assert_eq!(
        (&error["jsonrpc"], &error["error"]["code"], &error["id"]),
        (&json!("2.0"), &json!(-32600), &json!(1))
    );
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(list(&ada, &session).await, StatusCode::OK, "nobody else could end it");
    // 2026-07-28 has no sessions: whatever the header says, it is not read.
    let request = ada.client.http.post(format!("{}/mcp", server.origin)).bearer_auth(&ada.pair().access);
    let request = crate::support::listener::speak(
        request,
        crate::support::listener::Era::Modern,
        "tools/list",
        json!({}),
    );
    let reply = request.header(HEADER, "nonsense").send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    assert!(reply.headers().get(HEADER).is_none());
}

/// As after a step-up: the client holds another grant in the middle of its session.
#[tokio::test]
async fn a_client_that_logs_in_again_keeps_its_session_until_what_opened_it_ends() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let session = initialize(&ada).await;
    let again = Listener::connect("ada", server.browser(), ada.client.clone()).await;
    for _ in 0..2 {
        assert_eq!(list(&again, &session).await, StatusCode::OK);
        assert_eq!(list(&ada, &session).await, StatusCode::OK);
    }
    assert_eq!(ada.client.revoke(&ada.pair().refresh).await, StatusCode::OK);
    assert_eq!(list(&again, &session).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_least_recently_used_session_goes_and_unused_ones_do_not_count() {
    at_both(async |place| {
        let server = Setup::on(place).env("MCP_MAX_CONNECTIONS_PER_USER", "2").start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        let his = initialize(&ben).await;
        assert_eq!(list(&ben, &his).await, StatusCode::OK);
        let (first, second, third) = (initialize(&ada).await, initialize(&ada).await, initialize(&ada).await);
        for _ in 0..5 {
            initialize(&ada).await;
        }
        for used in [&first, &second, &first] {
            assert_eq!(list(&ada, used).await, StatusCode::OK, "sessions that were never used do not count");
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(list(&ada, &third).await, StatusCode::OK);
        assert_eq!(list(&ada, &second).await, StatusCode::NOT_FOUND, "the least recently used");
        for kept in [(&ada, &first), (&ada, &third), (&ben, &his)] {
            assert_eq!(list(kept.0, kept.1).await, StatusCode::OK);
        }
        for _ in 0..5 {
            assert_eq!(
                list_at(&ada, &server.origin, None).await.status,
                StatusCode::OK,
                "stateless calls do not count"
            );
        }
        sleep(Duration::from_millis(600)).await;
        let trail = trail(&server);
        assert_eq!(trail.matches("\"event_code\":\"excess_sessions_exceeded\"").count(), 1, "{trail}");
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_idle_and_at_its_age() {
    let server = Setup::default()
        .env("MCP_SESSION_TIMEOUT", "2")
        .env("SPOTIFY_MCP__AUTH__LIFETIMES__MCP_SESSION", "60s")
        .start()
        .await;
    let ada = server.listener("ada").await;
    let (idle, busy) = (initialize(&ada).await, initialize(&ada).await);
    assert_eq!(list(&ada, &idle).await, StatusCode::OK);
    for _ in 0..8 {
        assert_eq!(list(&ada, &busy).await, StatusCode::OK);
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(list(&ada, &idle).await, StatusCode::NOT_FOUND);
    assert_eq!(list(&ada, &busy).await, StatusCode::OK);
    // As if it had been opened a minute ago.
    let raw = server.place.raw().await;
    raw.run("UPDATE mcp_sessions SET created_at = created_at - 60").await;
    super::epoch_moves(&raw).await;
    assert_eq!(list(&ada, &busy).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_ends_a_client_ends_its_sessions_and_its_owner_ends_one_at_account() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let (one, other) = (initialize(&ada).await, initialize(&ada).await);
    for session in [&one, &other] {
        assert_eq!(list(&ada, session).await, StatusCode::OK);
    }
    let page = ada.browser.open("/account").await;
    let forms = page.forms("/account/mcp-sessions/end");
    assert_eq!(forms.len(), 2, "{}", page.text);
    assert!(page.text.contains("Open sessions of apps (2)"));
    let fields = [("csrf", forms[0].get("csrf")), ("session", forms[0].get("session"))];
    let done = ada.browser.post("/account/mcp-sessions/end", &fields).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    let mut alive = [list(&ada, &one).await, list(&ada, &other).await];
    alive.sort_unstable();
    assert_eq!(alive, [StatusCode::OK, StatusCode::NOT_FOUND]);

    let ben = server.listener("ben").await;
    let csrf = ben.browser.open("/account").await.form("/auth/logout").get("csrf").to_owned();
    let left = ada.browser.open("/account").await.form("/account/mcp-sessions/end").get("session").to_owned();
    let refused = ben.browser.post("/account/mcp-sessions/end", &[("csrf", &csrf), ("session", &left)]).await;
    assert_eq!((refused.code(), refused.status), ("NOT_FOUND", StatusCode::NOT_FOUND));

    let page = ada.browser.open("/account").await;
    ada.browser.submit(&page, "/account/clients/revoke", &[]).await;
    assert_eq!(list(&ada, &one).await, StatusCode::UNAUTHORIZED);
    assert!(ada.browser.open("/account").await.forms("/account/mcp-sessions/end").is_empty());
    // The same client, connected again: what was opened before is not its session any more.
    let again = Listener::connect("ada", server.browser(), ada.client.clone()).await;
    for session in [&one, &other] {
        assert_eq!(list(&again, session).await, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn every_node_serves_a_session_and_knows_within_a_second_that_it_ended() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        // A second process on the same database; the first one's issuer stays the public URL of both.
        let (port, data) = (free_port(), folder());
        let mut command = server.command();
        command.env("SERVER_PORT", port.to_string()).env("PUBLIC_URL", &server.origin);
        command.env("SPOTIFY_MCP__AUDIT__DIR", data.join("audit").display().to_string());
        let _second = command.spawn().unwrap();
        let origin = format!("http://127.0.0.1:{port}");
        for _ in 0..600 {
            if server
                .http
                .get(format!("{origin}/readyz"))
                .send()
                .await
                .is_ok_and(|reply| reply.status() == 200)
            {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        let session = initialize(&ada).await;
        for _ in 0..2 {
            let told = list_at(&ada, &origin, Some(&session)).await;
            assert_eq!(told.status, StatusCode::OK, "{}", told.text);
        }
        assert_eq!(end(&ada, &session).await.status, StatusCode::NO_CONTENT);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(list_at(&ada, &origin, Some(&session)).await.status, StatusCode::NOT_FOUND);
        std::fs::remove_dir_all(data).unwrap();
    })
    .await;
}

/// The audit trail's files.
fn trail(server: &TestServer) -> String {
    let folder = server.data_dir().join("audit");
    super::files(&[&folder]).iter().map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect()
}
