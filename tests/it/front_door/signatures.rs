//! Signed requests (RFC 9421): accepted once, whole and in time; anything else is refused with what is needed.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use spotify_mcp::ambient::Clock;

use super::api_keys::{call, made, result};
use super::epoch_moves;
use crate::support::database::at_both;
use crate::support::listener::Answer;
use crate::support::server::{Setup, TestServer};

pub(super) const BODY: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\
    \"params\":{\"name\":\"get_status\",\"arguments\":{}}}";
const COVERED: [&str; 5] = ["@method", "@authority", "@path", "@query", "content-digest"];

/// A request to sign, written independently of the server's own code.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) key: String,
    pub(super) id: String,
    pub(super) values: BTreeMap<&'static str, String>,
    pub(super) covered: Vec<&'static str>,
    pub(super) created: i64,
    pub(super) nonce: String,
    pub(super) alg: &'static str,
}

impl Draft {
    pub(super) fn new(server: &TestServer, (id, key): &(String, String)) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let values = BTreeMap::from([
            ("@method", "POST".to_owned()),
            ("@authority", server.origin.trim_start_matches("http://").to_owned()),
            ("@path", "/mcp".to_owned()),
            ("@query", "?".to_owned()),
            ("content-digest", format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(BODY)))),
        ]);
        Self {
            key: key.clone(),
            id: id.clone(),
            values,
            covered: COVERED.to_vec(),
            created: now(),
            nonce: format!("nonce-of-a-test-{number:04}"),
            alg: "hmac-sha256",
        }
    }

    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let names: Vec<_> = self.covered.iter().map(|name| format!("\"{name}\"")).collect();
        let parameters = format!(
            "({});created={};nonce=\"{}\";keyid=\"{}\";alg=\"{}\"",
            names.join(" "),
            self.created,
            self.nonce,
            self.id,
            self.alg
        );
        let lines = self.covered.iter().map(|name| format!("\"{name}\": {}\n", self.values[name]));
        let base = format!("{}\"@signature-params\": {parameters}", lines.collect::<String>());
        let mut secret = [0; 32];
        let hkdf = Hkdf::<Sha256>::new(Some(b"spotify-mcp/v1/api-key"), self.key.as_bytes());
        hkdf.expand(b"request-signing", &mut secret).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
        mac.update(base.as_bytes());
        let mac = STANDARD.encode(mac.finalize().into_bytes());
        vec![
            ("signature-input", format!("sig={parameters}")),
            ("signature", format!("sig=:{mac}:")),
            ("content-digest", self.values["content-digest"].clone()),
        ]
    }
}

fn now() -> i64 {
    Clock::system().now().secs()
}

pub(super) fn post(
    server: &TestServer,
    target: &str,
    headers: &[(&str, String)],
    body: &str,
) -> RequestBuilder {
    let mut request = server.http.post(format!("{}{target}", server.origin));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2025-11-25")
        .body(body.to_owned())
}

async fn sent(request: RequestBuilder) -> Answer {
    let reply = request.send().await.unwrap();
    let (status, headers) = (reply.status(), reply.headers().clone());
    Answer { status, headers, text: reply.text().await.unwrap() }
}

async fn send(server: &TestServer, draft: &Draft) -> Answer {
    sent(post(server, "/mcp", &draft.headers(), BODY)).await
}

/// The challenge of a refusal: parsable, and it says how to do better.
fn advice(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    let quoted: Vec<_> = challenge.split('"').skip(1).step_by(2).collect();
    assert!(quoted.iter().all(|value| !value.contains([',', '='])), "{challenge}");
    assert!(challenge.starts_with("Bearer error=\"invalid_token\", error_description=\""), "{challenge}");
    let asked = answer.headers["accept-signature"].to_str().unwrap();
    assert!(COVERED.iter().all(|name| asked.contains(name)) && asked.contains("hmac-sha256"), "{asked}");
    quoted[1].to_owned()
}

pub(super) async fn signing(setup: Setup) -> (TestServer, (String, String)) {
    let server = setup.env("SECURITY_ENABLE_REQUEST_SIGNING", "true").start().await;
    server.listener("ada").await;
    let key = made(&server, "ada", &[]).await;
    (server, key)
}

#[tokio::test]
async fn a_signed_request_is_answered_once_and_the_key_alone_is_not() {
    at_both(async |place| {
        let (server, key) = signing(Setup::on(place)).await;
        let draft = Draft::new(&server, &key);
        let answer = send(&server, &draft).await;
        assert_eq!(answer.result()["isError"], false, "{answer:?}");
        assert!(advice(&send(&server, &draft).await).contains("nonce"), "replayed");
        let headers = draft.headers();
        assert!(advice(&sent(post(&server, "/mcp", &headers, BODY)).await).contains("nonce"));
        let another = Draft { nonce: "another nonce of a test".to_owned(), ..draft };
        assert_eq!(send(&server, &another).await.status, StatusCode::OK);

        let alone = call(&server, &key.1, "get_status").await;
        assert!(advice(&alone).contains("never the key"));
        // With the key beside it a signature proves nothing that whoever saw the request could not make himself.
        let mut both = Draft::new(&server, &key).headers();
        both.push(("authorization", format!("Bearer {}", key.1)));
        assert!(advice(&sent(post(&server, "/mcp", &both, BODY)).await).contains("never the key"));
        // Nobody else has to sign.
        let ada = server.listener("ada").await;
        assert_eq!(ada.call("get_status", json!({})).await.status, StatusCode::OK);
        let nothing = server.http.post(format!("{}/mcp", server.origin)).send().await.unwrap();
        assert!(!nothing.headers()["www-authenticate"].to_str().unwrap().contains("error"));

        result(&server, &["api-keys", "revoke", "--yes", &key.0]).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert!(advice(&send(&server, &Draft::new(&server, &key)).await).contains("unknown"));
    })
    .await;
}

#[tokio::test]
async fn a_changed_request_is_refused_and_runs_nothing() {
    let (server, key) = signing(Setup::default()).await;
    let fresh = || Draft::new(&server, &key);
    let other = BODY.replace("get_status", "get_current_track");
    let changed = sent(post(&server, "/mcp", &fresh().headers(), &other)).await;
    assert!(advice(&changed).contains("not the one that was signed"));
    // With a digest that fits the changed body it is the signature that does not fit.
    let mut headers = fresh().headers();
    headers[2].1 = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&other)));
    assert!(advice(&sent(post(&server, "/mcp", &headers, &other)).await).contains("does not fit"));
    for (target, headers) in
        [("/mcp?x=1", fresh().headers()), ("/mcp?", fresh().headers()), ("/claude-mcp", fresh().headers())]
    {
        let answer = sent(post(&server, target, &headers, BODY)).await;
        if target == "/mcp?" {
            // An empty query and none have the same value (RFC 9421 section 2.2.7).
            assert_eq!(answer.status, StatusCode::OK);
        } else {
            assert!(advice(&answer).contains("does not fit"), "{target}");
        }
    }
    let put = server.http.put(format!("{}/mcp", server.origin)).body(BODY);
    let put = fresh().headers().into_iter().fold(put, |request, (name, value)| request.header(name, value));
    assert!(advice(&sent(put).await).contains("does not fit"), "another method");
    let mut elsewhere = fresh();
    elsewhere.values.insert("@authority", "other.example".to_owned());
    assert!(advice(&send(&server, &elsewhere).await).contains("does not fit"));
    assert_eq!(send(&server, &fresh()).await.status, StatusCode::OK);
    assert_eq!(server.asked("/v1/me/player/currently-playing", 200), 0, "nothing ran");
}

#[tokio::test]
async fn what_is_missing_late_or_ambiguous_is_named() {
    let (server, key) = signing(Setup::default()).await;
    let fresh = || Draft::new(&server, &key);
    for without in ["@method", "@authority", "@path", "content-digest"] {
        let mut draft = fresh();
        draft.covered.retain(|name| *name != without);
        assert!(advice(&send(&server, &draft).await).contains("must cover"), "{without}");
    }
    let old = Draft { created: now() - 310, ..fresh() };
    assert!(advice(&send(&server, &old).await).contains("too old"));
    let early = Draft { created: now() + 90, ..fresh() };
    assert!(advice(&send(&server, &early).await).contains("future"));
    let ahead = Draft { created: now() + 15, ..fresh() };
    assert_eq!(send(&server, &ahead).await.status, StatusCode::OK, "clocks differ a little");
    let algorithm = Draft { alg: "hmac-sha1", ..fresh() };
    assert!(advice(&send(&server, &algorithm).await).contains("hmac-sha256"));
    let short = Draft { nonce: "short".to_owned(), ..fresh() };
    assert!(advice(&send(&server, &short).await).contains("nonce"));

    let mut twice = fresh().headers();
    twice.push(twice[0].clone());
    assert!(advice(&sent(post(&server, "/mcp", &twice, BODY)).await).contains("twice"));
    let mut unsigned = fresh().headers();
    unsigned.remove(1);
    assert!(advice(&sent(post(&server, "/mcp", &unsigned, BODY)).await).contains("cannot be read"));
    let mut digest = fresh().headers();
    digest.remove(2);
    let advice_on_digest = advice(&sent(post(&server, "/mcp", &digest, BODY)).await);
    assert!(advice_on_digest.contains("content-digest"), "{advice_on_digest}");
    let unknown = Draft { id: format!("ak_{}", "0".repeat(32)), ..fresh() };
    let wrong = Draft { key: format!("{}x", key.1), ..fresh() };
    let answers = [send(&server, &unknown).await, send(&server, &wrong).await];
    assert_eq!(advice(&answers[0]), advice(&answers[1]), "an unknown key and a wrong one look alike");

    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    let files = super::files(&[&server.data_dir().join("audit")]);
    let trail: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect();
    for reason in [
        "signature_components",
        "signature_expired",
        "signature_from_the_future",
        "signature_parameters",
        "signature_malformed",
        "signature_wrong",
    ] {
        assert!(trail.contains(reason), "{reason} is not in the trail");
    }
}

#[tokio::test]
async fn of_parallel_replays_on_two_nodes_one_is_answered() {
    at_both(async |place| {
        let (first, key) = signing(Setup::on(place)).await;
        // Another server on the same database, as the public URL's other node.
        let port = crate::support::server::free_port();
        let mut second = first.command();
        second.env("SERVER_PORT", port.to_string()).env("PUBLIC_URL", &first.origin);
        second.env("SPOTIFY_MCP__AUDIT__DIR", first.data.join("second-audit"));
        let mut second = second.spawn().unwrap();
        let there = format!("http://127.0.0.1:{port}");
        while first.http.get(format!("{there}/readyz")).send().await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        for _ in 0..3 {
            let headers = Draft::new(&first, &key).headers();
            let sending: Vec<_> = (0..8)
                .map(|n| {
                    post(&first, "/mcp", &headers, BODY).build().map(|request| (request, n % 2 == 0)).unwrap()
                })
                .map(|(request, here)| if here { request } else { to_another_node(request, &there) })
                .map(|request| tokio::spawn(first.http.execute(request)))
                .collect();
            let mut answered = Vec::new();
            for sending in sending {
                answered.push(sending.await.unwrap().unwrap().status());
            }
            let ok = answered.iter().filter(|status| **status == StatusCode::OK).count();
            let refused = answered.iter().filter(|status| **status == StatusCode::UNAUTHORIZED).count();
            assert_eq!((ok, refused), (1, 7), "{answered:?}");
        }
        second.kill().await.unwrap();
    })
    .await;
}

/// The same request as a load balancer would hand it to this node: for the same host.
fn to_another_node(mut request: reqwest::Request, node: &str) -> reqwest::Request {
    let authority = request.url().authority().to_owned();
    request.headers_mut().insert("host", authority.parse().unwrap());
    *request.url_mut() = format!("{node}/mcp").parse().unwrap();
    request
}

#[tokio::test]
async fn signing_is_there_for_those_who_want_it_and_a_stolen_hash_signs_nothing() {
    let server = Setup::default().start().await;
    server.listener("ada").await;
    let key = made(&server, "ada", &["--scope", "read"]).await;
    assert_eq!(call(&server, &key.1, "get_status").await.status, StatusCode::OK, "not required here");
    assert_eq!(send(&server, &Draft::new(&server, &key)).await.status, StatusCode::OK);
    let raw = server.place.raw().await;
    let hash = raw.texts("SELECT lower(hex(hash)) FROM api_keys").await.remove(0);
    let stolen = Draft { key: hash, ..Draft::new(&server, &key) };
    assert!(advice(&send(&server, &stolen).await).contains("does not fit"));
    // A browser's agent that signs for its own reasons is asked to log in as everybody is.
    let bot = [
        ("signature-input", "bot=(\"@authority\");created=1;keyid=\"x\";tag=\"web-bot-auth\"".to_owned()),
        ("signature", "bot=:AAAA:".to_owned()),
    ];
    let answer = sent(post(&server, "/mcp", &bot, BODY)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(!answer.headers["www-authenticate"].to_str().unwrap().contains("error"), "{answer:?}");
    // Another key's sealed signing key in this one's row does not open, and nothing is answered.
    let other = made(&server, "ada", &[]).await;
    raw.run(&format!(
        "UPDATE api_keys SET signing_key = (SELECT signing_key FROM api_keys WHERE id = '{}') WHERE id = '{}'",
        other.0, key.0
    ))
    .await;
    epoch_moves(&raw).await;
    let moved = send(&server, &Draft::new(&server, &key)).await;
    assert_eq!(moved.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn the_example_in_python_works() {
    let (server, (id, key)) = signing(Setup::default()).await;
    let file = server.data.join("key.txt");
    std::fs::write(&file, format!("{key}\n")).unwrap();
    let mut python = tokio::process::Command::new("python3");
    python.arg("-B").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/signed_request.py"));
    python.args([&format!("{}/mcp", server.origin), &id]).arg(&file).args(["get_status", "{}"]);
    let output = match python.output().await {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: examples/signed_request.py needs python3 ({error})");
            return;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["result"]["isError"], false, "{answer}");
}
