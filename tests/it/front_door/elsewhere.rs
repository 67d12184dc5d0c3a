//! What comes from elsewhere and must not count: headers that name another server, tokens that others signed, and a
//! database that is away for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::support::client::Pair;
use crate::support::database::Place;
use crate::support::listener::{Era, speak};
use crate::support::server::{Setup, TestServer};

/// Headers by which proxies name the outside of a server; nobody is a trusted proxy here.
const NAMES: [(&str, &str); 7] = [
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-port", "6666"),
    ("x-forwarded-prefix", "/evil"),
    ("forwarded", "host=evil.example;proto=https"),
    ("x-original-url", "/evil"),
    ("x-rewrite-url", "/evil"),
];

#[tokio::test]
async fn no_header_of_a_request_names_us() {
    let server = TestServer::new().await;
    let asked = async |path: &str, named: bool| {
        let mut request = server.http.get(format!("{}{path}", server.origin));
        if named {
            request = NAMES.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        }
        let reply = request.send().await.unwrap();
        let headers: Vec<_> = ["location", "www-authenticate"]
            .iter()
            .filter_map(|name| reply.headers().get(*name))
            // State is drawn anew for every answer and cannot be compared.
            .map(|value| value.to_str().unwrap().split("&state=").next().unwrap().to_owned())
            .collect();
        (reply.status(), headers, reply.text().await.unwrap())
    };
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource/claude-mcp",
        "/mcp",
        "/auth/login",
        "/evil",
    ] {
        let (plain, named) = (asked(path, false).await, asked(path, true).await);
        assert_eq!((plain.0, &plain.1), (named.0, &named.1), "{path}");
        assert!(!named.2.contains("evil.example") && !named.2.contains("6666"), "{path}: {}", named.2);
        if path.starts_with("/.well-known") {
            assert_eq!(plain.2, named.2, "{path}");
        }
    }
}

/// Tokens in the form of other servers, signed by nobody: whatever they claim, they are nobody's here.
fn foreign_tokens(server: &TestServer) -> Vec<String> {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": server.origin, "aud": format!("{}/mcp", server.origin), "sub": "ada",
        "exp": 4_102_444_800_u64, "iat": 0, "scope": "read write player", "role": "service_role"});
    let heads = [
        json!({"alg": "none"}),
        json!({"alg": "HS256", "typ": "JWT"}),
        json!({"alg": "HS256", "typ": "at+jwt", "kid": "../../../dev/null"}),
        json!({"alg": "RS256", "kid": "1", "jku": format!("{}/keys", server.origin)}),
        json!({"alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}),
        json!({"alg": "RS256", "x5u": format!("{}/keys", server.origin), "crit": ["x"], "x": 1}),
    ];
    let mut tokens: Vec<_> = heads
        .iter()
        .flat_map(|head| {
            ["", "AAAA"].map(|signature| format!("{}.{}.{signature}", encode(head), encode(&claims)))
        })
        .collect();
    tokens.push(format!("{}.{}", encode(&claims), encode(&claims)));
    tokens.push(format!("{}..AA.AA.AA", encode(&json!({"alg": "dir", "enc": "A256GCM"}))));
    tokens
}

#[tokio::test]
async fn a_token_that_somebody_else_made_is_nobodys() {
    let server = TestServer::new().await;
    server.control().clear_journal();
    let ask = async |token: &str| {
        let request = server.http.post(format!("{}/mcp", server.origin)).bearer_auth(token);
        let reply = speak(request, Era::Modern, "tools/list", json!({})).send().await.unwrap();
        let challenge = reply.headers()["www-authenticate"].to_str().unwrap().to_owned();
        (reply.status(), challenge, reply.text().await.unwrap())
    };
    let nobodys = ask("smat_nobodys").await;
    assert_eq!(nobodys.0, StatusCode::UNAUTHORIZED);
    for token in foreign_tokens(&server) {
        assert_eq!(ask(&token).await, nobodys, "{token}");
    }
    assert_eq!(server.control().journal(&Default::default()).len(), 0, "nothing was fetched for it");
}

/// A way to a database that can be cut.
pub struct Cable {
    pub port: u16,
    pub whole: watch::Sender<bool>,
    carried: Arc<AtomicU32>,
}

impl Cable {
    pub async fn to(host: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (whole, state) = watch::channel(true);
        let carried = Arc::new(AtomicU32::new(0));
        let count = carried.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *state.borrow() {
                    tokio::spawn(carry(near, host.clone(), state.clone(), count.clone()));
                }
            }
        });
        Self { port, whole, carried }
    }
}

async fn carry(mut near: TcpStream, host: String, mut state: watch::Receiver<bool>, count: Arc<AtomicU32>) {
    let Ok(mut far) = TcpStream::connect(host).await else { return };
    count.fetch_add(1, Ordering::SeqCst);
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => (),
        _ = state.wait_for(|whole| !whole) => (),
    }
}

/// Waits until this is so, half a minute at most.
async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !so().await {
        assert!(Instant::now() < end, "never: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A request whose credential is looked at, and whose body ends after `"t`.
async fn half_a_call(server: &TestServer, token: &str) -> TcpStream {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let host = server.origin.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let (first, rest) = body.split_at(body.find("ools/list").unwrap());
    assert_eq!(rest, "ools/list\"}");
    stream.write_all(format!("{head}{first}").as_bytes()).await.unwrap();
    // Until it has been read and the credential has been accepted.
    sleep(Duration::from_millis(300)).await;
    stream
}

#[tokio::test]
async fn a_database_that_goes_is_said_and_one_that_comes_back_is_used() {
    let Some(place) = Place::postgres().await else { return };
    let mut url = url::Url::parse(&place.url).unwrap();
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let cable = Cable::to(host).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(cable.port)).unwrap();
    let server = Setup::on(place).env("DATABASE_URL", url.as_str()).start().await;
    let ada = server.listener("ada").await;
    assert!(cable.carried.load(Ordering::SeqCst) > 0);

    let mut slow = half_a_call(&server, &ada.pair().access).await;
    cable.whole.send(false).unwrap();
    until("unready", async || server.ready().await == Some(StatusCode::SERVICE_UNAVAILABLE)).await;
    assert_eq!(server.http.get(format!("{}/livez", server.origin)).send().await.unwrap().status(), 200);
    // What is remembered counts for a second.
    sleep(Duration::from_millis(1500)).await;
    slow.write_all(b"ools/list\"}").await.unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503", "not that the credential is no good");
    let called = ada.call("get_current_track", json!({})).await;
    assert_eq!(called.status, StatusCode::SERVICE_UNAVAILABLE, "{called:?}");
    let (status, refused) = ada.client.refresh(&ada.pair().refresh).await;
    assert_eq!((status.as_u16(), &refused["error"]), (503, &json!("temporarily_unavailable")), "{refused}");
    let page = ada.browser.open("/account").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{}", page.text);
    assert!(page.text.contains("UNAVAILABLE"), "{}", page.text);

    cable.whole.send(true).unwrap();
    until("ready again", async || server.ready().await == Some(StatusCode::OK)).await;
    until("calls", async || ada.call("get_current_track", json!({})).await.status == StatusCode::OK).await;
    let pair = Pair::of(&ada.client.refresh(&ada.pair().refresh).await);
    ada.keep(pair);
    ada.call("get_current_track", json!({})).await.content();
    let password = url.password().unwrap_or("no password at all");
    assert!(!server.logged().contains(password) && !server.logged().contains("panicked"));
}
