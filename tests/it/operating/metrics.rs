//! Metrics through the front door: who may read them, what each figure counts, and that nobody outside makes series.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;
use spotify_mcp::spotify::sandbox::Fault;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::trail;
use crate::support::listener::{Era, speak};
use crate::support::prometheus::Scrape;
use crate::support::server::{Setup, TestServer, binary, free_port};

const TOKEN: &str = "0123456789abcdef-of-the-tests";

/// A server with a listener of its own for metrics.
pub(super) async fn watched() -> (TestServer, u16) {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let setup = Setup::default().env("SPOTIFY_MCP__TELEMETRY__METRICS_LISTEN", &listen);
    (setup.start().await, port)
}

async fn text(server: &TestServer, port: u16) -> String {
    // What the database says holds for a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let reply = server.http.get(format!("http://127.0.0.1:{port}/metrics")).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!(reply.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    reply.text().await.unwrap()
}

pub(super) async fn scrape(server: &TestServer, port: u16) -> Scrape {
    let text = text(server, port).await;
    Scrape::read(&text).unwrap_or_else(|why| panic!("{why}\n{text}"))
}

/// What Prometheus' own tool says, where it is installed.
pub(super) fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        println!("skipped: promtool is not installed");
        return;
    };
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

#[tokio::test]
async fn whoever_has_the_token_reads_metrics_and_nobody_else() {
    let server = Setup::default()
        .env("SPOTIFY_MCP__TELEMETRY__METRICS_TOKEN", TOKEN)
        .env("SPOTIFY_MCP__LIMITS__FAILED_ATTEMPTS_PER_ADDRESS_PER_MINUTE", "5")
        .start()
        .await;
    let ask = || server.http.get(format!("{}/metrics", server.origin));
    let nothing = ask().send().await.unwrap();
    assert_eq!(nothing.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(nothing.headers()["www-authenticate"], "Bearer realm=\"metrics\"");
    let right = || ask().bearer_auth(TOKEN);
    let reply = right().send().await.unwrap();
    assert_eq!(
        (reply.status(), reply.headers()["cache-control"].to_str().unwrap()),
        (StatusCode::OK, "no-store")
    );
    Scrape::read(&reply.text().await.unwrap()).unwrap();
    let head =
        server.http.head(format!("{}/metrics", server.origin)).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    let posted =
        server.http.post(format!("{}/metrics", server.origin)).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    let by_query = server.http.get(format!("{}/metrics?token={TOKEN}", server.origin)).send().await.unwrap();
    assert_eq!(by_query.status(), StatusCode::UNAUTHORIZED);
    let wrong = [&TOKEN[1..], "", "x", &format!("{TOKEN}x")].map(|token| ask().bearer_auth(token));
    for reply in join_all(wrong.into_iter().map(RequestBuilder::send)).await {
        let reply = reply.unwrap();
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(reply.text().await.unwrap(), "{\"error\":\"unauthorized\"}");
    }
    // Guessing is limited as with every credential; who has the token still reads.
    let guesses = join_all((0..6).map(|_| ask().bearer_auth("guessed-again-and-again").send())).await;
    let last = guesses.into_iter().map(|reply| reply.unwrap().status()).collect::<Vec<_>>();
    assert!(last.contains(&StatusCode::TOO_MANY_REQUESTS), "{last:?}");
    assert_eq!(right().send().await.unwrap().status(), StatusCode::OK);
    // The trail is written behind the answers.
    let told = || trail(&server).iter().any(|record| record.to_string().contains("metrics_token"));
    let until = Instant::now() + Duration::from_secs(10);
    while !told() {
        assert!(Instant::now() < until, "a wrong token is in the trail");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!server.logged().contains(TOKEN));
}

#[tokio::test]
async fn a_listener_of_its_own_serves_metrics_alone() {
    let (server, port) = watched().await;
    let here = format!("http://127.0.0.1:{port}");
    let status = async |request: RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(status(server.http.get(format!("{here}/metrics"))).await, 200);
    for path in ["/", "/mcp", "/account", "/livez", "/metrics/", "/metrics/x", "//metrics"] {
        assert_eq!(status(server.http.get(format!("{here}{path}"))).await, 404, "{path}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        assert_eq!(status(server.http.request(method, format!("{here}/metrics"))).await, 405);
    }
    let rebound = server.http.get(format!("{here}/metrics")).header("host", "evil.example");
    assert_eq!(status(rebound).await, 403);
    let large = server.http.get(format!("{here}/metrics")).header("x-large", "y".repeat(17_000));
    assert_eq!(status(large).await, 431);
    // On the server's own address it is as if it were not there.
    let own = server.http.get(format!("{}/metrics", server.origin)).send().await.unwrap();
    assert_eq!(
        (own.status(), own.text().await.unwrap().as_str()),
        (StatusCode::NOT_FOUND, "{\"error\":\"not_found\"}")
    );
}

#[tokio::test]
async fn where_anybody_could_read_along_the_start_is_refused() {
    let server = Setup::default().prepare().await;
    let start = async |listen: &str, token: Option<&str>| {
        let mut command = binary();
        command.arg("serve").envs(&server.environment).env("SPOTIFY_MCP__TELEMETRY__METRICS_LISTEN", listen);
        command.envs(token.map(|token| ("SPOTIFY_MCP__TELEMETRY__METRICS_TOKEN", token)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (listen, token, status, code) in [
        ("0.0.0.0:0", None, 2, "METRICS_UNGUARDED"),
        ("[::]:0", None, 2, "METRICS_UNGUARDED"),
        ("localhost", None, 2, "CONFIG_VALUE"),
        ("127.0.0.1:0", Some("short"), 2, "CONFIG_VALUE"),
        (taken.as_str(), None, 3, "PORT_TAKEN"),
    ] {
        let (ended, said) = start(listen, token).await;
        assert_eq!(ended, Some(status), "{listen}: {said}");
        assert!(said.contains(code) && said.contains("metrics"), "{listen}: {said}");
    }
}

#[tokio::test]
async fn every_figure_counts_what_it_names() {
    let (server, port) = watched().await;
    let before = scrape(&server, port).await;
    let ada = server.listener("ada").await;
    // A login that nobody began here, and a wrong credential.
    let callback = format!("{}/auth/callback?code=x&state=y", server.origin);
    server.http.get(callback).send().await.unwrap();
    let mcp = format!("{}/mcp", server.origin);
    let guessed =
        speak(server.http.post(&mcp).bearer_auth("smat_nobody"), Era::Modern, "tools/list", json!({}));
    assert_eq!(guessed.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    // Bytes that are no message, a path that leads elsewhere, a form with a wrong value.
    let broken =
        server.http.post(&mcp).bearer_auth(&ada.pair().access).header("content-type", "application/json");
    let broken = broken.header("accept", "application/json, text/event-stream").body("{\"jsonrpc\":");
    assert_eq!(broken.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    server.http.get(format!("{}/account?x=%3Cscript%3E", server.origin)).send().await.unwrap();
    let form = [("grant_type", "password"), ("client_id", ada.client.id.as_str())];
    let reply = server.http.post(format!("{}/token", server.origin)).form(&form).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
    // Calls: one that works, one with a wrong argument, one that Spotify fails.
    ada.call("search_tracks", json!({"query": "rain"})).await.content();
    ada.call("search_tracks", json!({"query": "rain", "limit": 0})).await;
    server.inject(
        "GET /v1/me/player/currently-playing",
        1,
        Fault::Status { status: 503, body: String::new(), headers: Default::default() },
    );
    ada.call("get_current_track", json!({})).await;

    let after = scrape(&server, port).await;
    let grew = |name: &str, labels: &[(&str, &str)]| after.get(name, labels) - before.get(name, labels);
    for (name, least) in [
        ("spotify_mcp_failed_logins_total", 1.0),
        ("spotify_mcp_invalid_tokens_total", 1.0),
        ("spotify_mcp_malformed_requests_total", 1.0),
        ("spotify_mcp_injection_attempts_total", 1.0),
        ("spotify_mcp_validation_errors_total", 1.0),
    ] {
        assert!(grew(name, &[]) >= least, "{name}: {}", grew(name, &[]));
    }
    let calls = |tool, outcome| grew("spotify_mcp_tool_calls_total", &[("tool", tool), ("outcome", outcome)]);
    assert_eq!(calls("search_tracks", "success"), 1.0);
    assert_eq!(calls("search_tracks", "success") + calls("search_tracks", "refused"), 2.0);
    assert_eq!(calls("get_current_track", "failed"), 1.0);
    assert_eq!(grew("spotify_mcp_tool_call_duration_seconds_count", &[("tool", "search_tracks")]), 2.0);
    let asked =
        |outcome| grew("spotify_mcp_upstream_requests_total", &[("service", "api"), ("outcome", outcome)]);
    assert!(asked("success") >= 1.0 && asked("server_error") >= 1.0);
    let routes =
        |route, status| grew("spotify_mcp_http_requests_total", &[("route", route), ("status", status)]);
    assert_eq!((routes("/mcp", "2xx"), routes("/mcp", "4xx")), (3.0, 2.0));
    assert_eq!(grew("spotify_mcp_http_request_duration_seconds_count", &[("route", "/mcp")]), 5.0);
    assert_eq!(routes("/token", "4xx"), 1.0);
    let event = |code| grew("spotify_mcp_security_events_total", &[("event", code)]);
    assert_eq!((event("tool_called"), event("authentication_failure")), (3.0, 1.0));
    assert!(after.get("spotify_mcp_sessions", &[("kind", "browser")]) >= 1.0);
    assert!(after.get("spotify_mcp_open_connections", &[]) >= 1.0);
}

#[tokio::test]
async fn what_the_egress_gate_refuses_is_counted() {
    let port = free_port();
    let server = Setup::default()
        .env("SPOTIFY_MCP__TELEMETRY__METRICS_LISTEN", &format!("127.0.0.1:{port}"))
        // On the list by its name, and no address that it leads to may be reached.
        .env("SPOTIFY_MCP__AUDIT__ANCHORS__WEBHOOK", "https://localhost:9/checkpoints")
        .start()
        .await;
    let until = Instant::now() + Duration::from_secs(10);
    while scrape(&server, port).await.get("spotify_mcp_blocked_hosts_total", &[]) < 1.0 {
        assert!(Instant::now() < until, "a refused connection is counted");
    }
    let told =
        || trail(&server).into_iter().find(|record| record["metadata"]["event_code"] == "blocked_host");
    while told().is_none() {
        assert!(Instant::now() < until, "a refused connection is on record");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_stands_is_told_with_ages_queues_and_the_build() {
    let (mut server, port) = watched().await;
    let raw = server.place.raw().await;
    server.browser().open("/auth/login").await;
    raw.run("UPDATE logins SET expires_at = 1").await;
    raw.run("UPDATE master_keys SET created_at = created_at - 864000").await;
    server.stop().await;
    // The purge looks at each start.
    server.start().await;
    let seen = scrape(&server, port).await;
    assert!(seen.get("spotify_mcp_session_timeouts_total", &[]) >= 1.0);
    let age = |kind| seen.get("spotify_mcp_key_age_seconds", &[("kind", kind)]);
    assert!((864_000.0..864_600.0).contains(&age("master")), "{}", age("master"));
    assert!(age("evidence") < 600.0);
    assert_eq!(seen.get("spotify_mcp_key_due_age_seconds", &[("kind", "master")]), 30.0 * 86_400.0);
    assert_eq!(seen.value("spotify_mcp_key_due_age_seconds", &[("kind", "tombstones")]), None);
    assert_eq!(seen.get("spotify_mcp_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert_eq!(seen.get("spotify_mcp_audit_writable", &[]), 1.0);
    assert_eq!(seen.get("spotify_mcp_database_up", &[]), 1.0);
    assert_eq!(seen.get("spotify_mcp_audit_outbox_records", &[]), 0.0);
    assert!(seen.get("process_start_time_seconds", &[]) > 1.7e9);
    // What nothing has found out is not said to be nothing.
    for absent in ["scan", "outdated", "licence", "certificate_expiry"] {
        assert!(!seen.types.keys().any(|name| name.contains(absent)), "{absent}");
    }
}

#[tokio::test]
async fn hostile_paths_agents_hosts_and_tools_make_no_series() {
    let (server, port) = watched().await;
    let ada = server.listener("ada").await;
    let before = scrape(&server, port).await;
    let evil = |n: usize| format!("{n}\"}} 1\\nevil{{x=\"");
    let mut asked = Vec::new();
    for n in 0..60 {
        let path: String = url::form_urlencoded::byte_serialize(evil(n).as_bytes()).collect();
        for prefix in ["", "assets/", ".well-known/", "mcp/", "account/"] {
            asked.push(server.http.get(format!("{}/{prefix}{path}?{path}", server.origin)));
        }
        let method = Method::from_bytes(format!("EVIL{n}").as_bytes()).unwrap();
        asked.push(server.http.request(method, format!("{}/mcp", server.origin)));
        asked.push(server.http.get(format!("{}/", server.origin)).header("user-agent", format!("evil{n}")));
        asked.push(server.http.get(format!("{}/", server.origin)).header("host", format!("evil{n}.example")));
        let call = server.http.post(format!("{}/mcp", server.origin)).bearer_auth(&ada.pair().access);
        let name = format!("evil_{n}");
        asked.push(speak(call, Era::Modern, "tools/call", json!({"name": name, "arguments": {}})));
        let call = server.http.post(format!("{}/mcp", server.origin)).bearer_auth(&ada.pair().access);
        asked.push(speak(call, Era::Modern, &format!("evil/{n}"), json!({})));
    }
    for request in asked {
        assert!(request.send().await.unwrap().status().as_u16() < 500);
    }
    let said = text(&server, port).await;
    let after = Scrape::read(&said).unwrap();
    let new: Vec<_> = after.names().difference(&before.names()).cloned().collect();
    assert!(new.is_empty(), "{new:?}");
    assert!(!said.contains("evil"), "{said}");
    let requests =
        |status| after.get("spotify_mcp_http_requests_total", &[("route", "other"), ("status", status)]);
    assert!(requests("4xx") >= 100.0, "{}", requests("4xx"));
}

#[tokio::test]
async fn metrics_name_nobody_and_hold_no_secret() {
    let (server, port) = watched().await;
    let ada = server.listener("ada").await;
    ada.call("get_user_playlists", json!({})).await.content();
    let said = text(&server, port).await;
    let pair = ada.pair();
    let raw = server.place.raw().await;
    let users = raw.texts("SELECT id FROM users").await;
    let links = raw.texts("SELECT id FROM linked_accounts").await;
    assert_eq!((users.len(), links.len()), (1, 1));
    for secret in [&pair.access, &pair.refresh, &ada.client.id, "ada", "127.0.0.1"]
        .into_iter()
        .map(|text: &str| text.to_owned())
        .chain(users)
        .chain(links)
    {
        assert!(!said.contains(&secret), "{secret}");
    }
    promtool(&["check", "metrics"], &said);
}

/// Raw bytes on the port of a listener that speaks TLS.
async fn speak_plainly(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let _ = stream.read(&mut [0; 64]).await;
}

#[tokio::test]
async fn failed_handshakes_and_the_certificates_end_are_told() {
    let metrics = free_port();
    let mut server = Setup::default()
        .env("SPOTIFY_MCP__TELEMETRY__METRICS_LISTEN", &format!("127.0.0.1:{metrics}"))
        .prepare()
        .await;
    let (certificate, key) = (server.data.join("cert.pem"), server.data.join("key.pem"));
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    write(&certificate, "CERTIFICATE", pair.cert.der());
    write(&key, "PRIVATE KEY", &pair.signing_key.serialize_der());
    server.environment.insert("SERVER_TLS_CERTIFICATE".to_owned(), certificate.display().to_string());
    server.environment.insert("SERVER_TLS_KEY".to_owned(), key.display().to_string());
    let _child = server.command().spawn().unwrap();
    let port: u16 = server.environment["SERVER_PORT"].parse().unwrap();
    let url = format!("http://127.0.0.1:{metrics}/metrics");
    while server.http.get(&url).send().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    speak_plainly(port).await;
    let seen = scrape(&server, metrics).await;
    assert!(seen.get("spotify_mcp_tls_failures_total", &[("side", "inbound")]) >= 1.0);
    assert!(seen.get("spotify_mcp_certificate_expiry_timestamp_seconds", &[]) > 1.7e9);
}

fn write(path: &PathBuf, label: &str, der: &[u8]) {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    std::fs::write(path, format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")))
        .unwrap();
}
