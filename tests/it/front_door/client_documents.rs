//! Clients that introduce themselves by a metadata document: fetched from a server that lies, judged, remembered.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::fake::{Answer, Fake};
use crate::support::browser::Page;
use crate::support::client::{Pair, RegisteredClient};
use crate::support::database::{Place, at_both};
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer, folder, plain_http};

const PATH: &str = "/oauth/client.json";
const REDIRECT: &str = "http://127.0.0.1:1/callback";
const JSON: &str = "content-type: application/json\r\n";

/// What a document server answers with, changed by the test as it goes on.
type Said = Arc<Mutex<Box<dyn Fn() -> Answer + Send>>>;

struct World {
    server: TestServer,
    site: Fake,
    said: Said,
}

impl World {
    async fn new() -> Self {
        Self::on(Place::sqlite(), &[]).await
    }

    async fn on(place: Place, environment: &[(&str, &str)]) -> Self {
        let said: Said = Arc::new(Mutex::new(Box::new(|| Answer::Silence)));
        let script = said.clone();
        let (site, pem) = Fake::start_tls(move |_, _| (script.lock().unwrap())()).await;
        let ca = folder().join("ca.pem");
        std::fs::write(&ca, pem).unwrap();
        let mut setup =
            Setup::on(place).env("SPOTIFY_MCP__AUTH__CLIENT_DOCUMENT_CA", &ca.display().to_string());
        for (name, value) in environment {
            setup = setup.env(name, value);
        }
        let world = Self { server: setup.start().await, site, said };
        world.says(world.document());
        world
    }

    /// The id of the client that the document describes.
    fn id(&self) -> String {
        format!("{}{PATH}", self.site.origin)
    }

    fn document(&self) -> Value {
        json!({"client_id": self.id(), "client_name": "A site's client", "redirect_uris": [REDIRECT]})
    }

    fn answers(&self, answer: impl Fn() -> Answer + Send + 'static) {
        *self.said.lock().unwrap() = Box::new(answer);
    }

    fn says(&self, document: Value) {
        self.answers(move || {
            Answer::new(200, &format!("{JSON}cache-control: max-age=300\r\n"), &document.to_string())
        });
    }

    fn client(&self) -> RegisteredClient {
        self.client_of(&self.id())
    }

    fn client_of(&self, id: &str) -> RegisteredClient {
        RegisteredClient {
            http: plain_http(),
            origin: self.server.origin.clone(),
            id: id.to_owned(),
            redirect_uri: REDIRECT.to_owned(),
        }
    }

    /// What a browser that was never here sees.
    async fn asks(&self, client: &RegisteredClient) -> Page {
        self.server.browser().open(&client.attempt().path()).await
    }

    fn fetches(&self) -> usize {
        self.site.seen().len()
    }

    /// Makes time pass for what was fetched.
    async fn it_is_stale(&self) {
        self.server.place.raw().await.run("UPDATE clients SET fresh_until = 1 WHERE kind = 'document'").await;
    }
}

fn is_consent(page: &Page) -> bool {
    page.status == StatusCode::OK && !page.forms("/authorize").is_empty()
}

#[tokio::test]
async fn a_client_connects_by_its_document_alone() {
    at_both(async |place| {
        let world = World::on(place, &[]).await;
        let (server, client) = (&world.server, world.client());
        let metadata: Value = server
            .http
            .get(format!("{}/.well-known/oauth-authorization-server", server.origin))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(metadata["client_id_metadata_document_supported"], true);
        assert!(
            metadata["token_endpoint_auth_methods_supported"].as_array().unwrap().contains(&json!("none"))
        );

        let page = world.asks(&client).await;
        assert!(is_consent(&page), "{page:?}");
        for shown in ["A site&#39;s client", "Published by", "127.0.0.1:1", "program on this computer"] {
            assert!(page.text.contains(shown), "{shown}: {}", page.text);
        }
        let ada = Listener::connect("ada", server.browser(), client.clone()).await;
        assert_eq!(ada.call("get_current_track", json!({})).await.status, StatusCode::OK);
        assert!(ada.browser.open("/account").await.text.contains("A site&#39;s client"));

        // Another port of loopback is the same program's (RFC 8252); another path is not.
        let other = |uri: &str| RegisteredClient { redirect_uri: uri.to_owned(), ..client.clone() };
        assert!(is_consent(&world.asks(&other("http://127.0.0.1:50000/callback")).await));
        assert_eq!(world.asks(&other("http://127.0.0.1:1/other")).await.code(), "REDIRECT_MISMATCH");
        assert_eq!(world.fetches(), 1);

        // The token endpoint needs no document server.
        world.answers(|| Answer::Cut(Vec::new()));
        world.it_is_stale().await;
        ada.refresh().await;
        assert_eq!(ada.call("get_current_track", json!({})).await.status, StatusCode::OK);
        assert_eq!(world.fetches(), 1);
        let seen = &world.site.seen()[0];
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", PATH));
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
        assert_eq!((seen.header("authorization"), seen.header("cookie")), (None, None));
    })
    .await;
}

#[tokio::test]
async fn of_a_hundred_that_ask_at_once_one_fetches() {
    let world = World::new().await;
    let client = world.client();
    let pages = futures_util::future::join_all((0..100).map(|_| world.asks(&client))).await;
    // More than may wait for one document are told to come again.
    assert!(pages.iter().all(|page| is_consent(page) || page.code() == "UNAVAILABLE"));
    assert!(pages.iter().filter(|page| is_consent(page)).count() >= 32);
    assert_eq!(world.fetches(), 1);
}

#[tokio::test]
async fn no_more_wait_for_a_document_than_may_and_the_rest_are_told_so_at_once() {
    let world = World::new().await;
    world.answers(|| Answer::Silence);
    let client = world.client();
    let begun = Instant::now();
    let asks = (0..40).map(async |_| (world.asks(&client).await.code().to_owned(), begun.elapsed()));
    let told = futures_util::future::join_all(asks).await;
    let of = |code: &str| told.iter().filter(|(told, _)| told == code).count();
    assert_eq!((of("CLIENT_DOCUMENT_UNAVAILABLE"), of("UNAVAILABLE")), (32, 8), "{told:?}");
    assert!(told.iter().all(|(code, after)| code != "UNAVAILABLE" || *after < Duration::from_secs(8)));

    let limit = [("SPOTIFY_MCP__LIMITS__CLIENT_DOCUMENTS_PER_ADDRESS_PER_MINUTE", "20")];
    let world = World::on(Place::sqlite(), &limit).await;
    world.answers(|| Answer::Silence);
    let client = world.client();
    let told = futures_util::future::join_all((0..7).map(|_| world.asks(&client))).await;
    assert_eq!(told.iter().filter(|page| page.code() == "RATE_LIMITED").count(), 3);
}

#[tokio::test]
async fn who_waits_for_a_strangers_document_goes_for_a_newcomer() {
    let world = World::on(Place::sqlite(), &[("SPOTIFY_MCP__LIMITS__CONNECTIONS", "4")]).await;
    world.answers(|| Answer::Silence);
    let client = world.client();
    let waiting = futures_util::future::join_all(
        (0..4).map(|_| client.http.get(format!("{}{}", client.origin, client.attempt().path())).send()),
    );
    let newcomer = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let begun = Instant::now();
        assert_eq!(world.server.ready().await, Some(StatusCode::OK));
        begun.elapsed()
    };
    let (waiting, took) = tokio::join!(waiting, newcomer);
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(waiting.iter().any(Result::is_err), "none gave way");
}

#[tokio::test]
async fn what_breaks_a_rule_of_the_document_is_refused_and_kept_by_nobody() {
    let world = World::new().await;
    let with = |name: &str, value: Value| {
        let mut document = world.document();
        document[name] = value;
        document.to_string()
    };
    let twice = world.document().to_string().replacen('{', "{\"client_name\":\"Another\",", 1);
    let bodies = [
        with("client_id", json!("https://client.example/other.json")),
        with("client_id", json!(world.id().replace("client.json", "client.json?"))),
        with("client_secret", json!("published")),
        with("client_secret_expires_at", json!(0)),
        with("client_name", json!(null)),
        with("redirect_uris", json!([])),
        with("redirect_uris", json!(["javascript:alert(1)"])),
        with("token_endpoint_auth_method", json!("client_secret_basic")),
        with("token_endpoint_auth_method", json!("private_key_jwt")),
        with("grant_types", json!(["client_credentials"])),
        with("jwks", json!([[[[[[[[[1]]]]]]]]])),
        twice,
        "[]".to_owned(),
        "<html>".to_owned(),
        String::new(),
    ];
    for (number, body) in bodies.into_iter().enumerate() {
        // A document that was refused is not fetched again for ten seconds: each has an id of its own.
        let id = format!("{}?{number}", world.id());
        let body = body.replace(&format!("\"{}\"", world.id()), &format!("\"{id}\""));
        let sent = body.clone();
        world.answers(move || Answer::new(200, JSON, &sent));
        let page = world.asks(&world.client_of(&id)).await;
        assert_eq!(
            (page.code(), page.status),
            ("CLIENT_DOCUMENT_REFUSED", StatusCode::BAD_REQUEST),
            "{body}"
        );
    }
    let kept = world.server.place.raw().await.number("SELECT COUNT(*) FROM clients").await;
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn an_answer_that_is_not_the_document_itself_is_none() {
    let world = World::new().await;
    let trap = Fake::always(|| Answer::json(200, "{}")).await;
    let location = format!("{JSON}location: {}/stolen\r\n", trap.origin);
    let good = world.document().to_string();
    let answers = [
        ("redirect", Answer::new(302, &location, &good)),
        ("redirect for good", Answer::new(308, &location, &good)),
        ("not found", Answer::json(404, &good)),
        ("broken", Answer::json(500, &good)),
        ("created", Answer::json(201, &good)),
        ("a page", Answer::new(200, "content-type: text/html\r\n", &good)),
        ("no type", Answer::new(200, "", &good)),
        ("two types", Answer::new(200, &format!("{JSON}content-type: text/html\r\n"), &good)),
        ("gzip", Answer::new(200, &format!("{JSON}content-encoding: gzip\r\n"), &good)),
        ("too large", Answer::json(200, &format!("{good}{}", " ".repeat(6_000)))),
        ("endless", Answer::Flood(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".to_vec())),
        ("cut", Answer::Cut(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec())),
        ("no HTTP", Answer::Cut(b"SSH-2.0-OpenSSH_9\r\n".to_vec())),
    ];
    for (number, (what, answer)) in answers.into_iter().enumerate() {
        world.answers(move || answer.clone());
        let page = world.asks(&world.client_of(&format!("{}?{number}", world.id()))).await;
        assert_eq!(
            (page.code(), page.status),
            ("CLIENT_DOCUMENT_UNAVAILABLE", StatusCode::BAD_GATEWAY),
            "{what}"
        );
        assert!(!page.text.contains(&world.site.origin), "{what}: {}", page.text);
    }
    assert!(trap.seen().is_empty());
}

#[tokio::test]
async fn nobody_and_a_stranger_with_another_certificate_describe_no_client() {
    let world = World::new().await;
    let nobody = world.client_of("https://127.0.0.1:2345/c");
    assert_eq!(world.asks(&nobody).await.code(), "CLIENT_DOCUMENT_UNAVAILABLE");
    let (stranger, _) = Fake::start_tls(|_, _| Answer::json(200, "{}")).await;
    let page = world.asks(&world.client_of(&format!("{}{PATH}", stranger.origin))).await;
    assert_eq!(page.code(), "CLIENT_DOCUMENT_UNAVAILABLE");
    assert!(stranger.seen().is_empty());
}

#[tokio::test]
async fn a_document_that_drips_is_given_up_in_time() {
    let world = World::new().await;
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n";
    world.answers(|| Answer::Drip(head.to_vec(), Duration::from_millis(50)));
    let begun = Instant::now();
    let client = world.client();
    assert_eq!(world.asks(&client).await.code(), "CLIENT_DOCUMENT_UNAVAILABLE");
    assert!(
        (Duration::from_secs(9)..Duration::from_secs(20)).contains(&begun.elapsed()),
        "{:?}",
        begun.elapsed()
    );
    // Not asked again at once, and answered at once.
    let begun = Instant::now();
    assert_eq!(world.asks(&client).await.code(), "CLIENT_DOCUMENT_UNAVAILABLE");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(world.fetches(), 1);
}

#[tokio::test]
async fn an_id_that_is_no_documents_url_is_refused_without_a_fetch() {
    let world = World::new().await;
    let site = &world.site.origin;
    let host = site.strip_prefix("https://").unwrap();
    let port = host.rsplit(':').next().unwrap();
    for id in [
        site.clone(),
        format!("{site}/"),
        format!("{site}/c#x"),
        format!("{site}/./c"),
        format!("{site}/a/../c"),
        format!("{site}/a/%2e%2e/c"),
        format!("{site}/a%2fc"),
        format!("{site}\\c"),
        format!("https://me@{host}/c"),
        format!("https://me:pw@{host}/c"),
        format!("HTTPS://{host}/c"),
        format!("http://{host}/c"),
        format!("https://localhost:{port}/c"),
        format!("https://2130706433:{port}/c"),
        format!("https://0x7f.1:{port}/c"),
        format!("https://127.1:{port}/c"),
        format!("https://[::ffff:127.0.0.1]:{port}/c"),
        format!("https://[64:ff9b::7f00:1]:{port}/c"),
        "https://10.0.0.1/c".to_owned(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://127.0.0.1:25/c".to_owned(),
        "ftp://client.example/c".to_owned(),
    ] {
        let page = world.asks(&world.client_of(&id)).await;
        assert_eq!(page.code(), "CLIENT_DOCUMENT_REFUSED", "{id}");
        let (status, answer) = world.client_of(&id).redeem("smac_x", &"v".repeat(43)).await;
        assert_eq!((status, &answer["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")), "{id}");
    }
    let long = format!("{site}/{}", "x".repeat(600));
    assert_eq!(world.asks(&world.client_of(&long)).await.code(), "UNKNOWN_CLIENT");
    assert_eq!(world.fetches(), 0);
}

#[tokio::test]
async fn without_its_authorities_loopback_is_no_place_for_a_document() {
    let server = Setup::default().start().await;
    let (site, _) = Fake::start_tls(|_, _| Answer::json(200, "{}")).await;
    for id in [format!("{}{PATH}", site.origin), "https://[::1]:4000/c".to_owned()] {
        let client = RegisteredClient {
            http: plain_http(),
            origin: server.origin.clone(),
            id,
            redirect_uri: REDIRECT.to_owned(),
        };
        let page = server.browser().open(&client.attempt().path()).await;
        assert_eq!(page.code(), "CLIENT_DOCUMENT_REFUSED");
    }
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn a_changed_document_counts_when_the_old_one_is_no_longer_fresh() {
    let world = World::new().await;
    let (old, client) =
        (Listener::connect("ada", world.server.browser(), world.client()).await, world.client());
    let moved = RegisteredClient { redirect_uri: "http://127.0.0.1:1/moved".to_owned(), ..client.clone() };
    let mut document = world.document();
    document["redirect_uris"] = json!([moved.redirect_uri]);
    world.says(document);

    assert!(is_consent(&world.asks(&client).await));
    assert_eq!(world.asks(&moved).await.code(), "REDIRECT_MISMATCH");
    assert_eq!(world.fetches(), 1);
    world.it_is_stale().await;
    assert_eq!(world.asks(&client).await.code(), "REDIRECT_MISMATCH");
    assert!(is_consent(&world.asks(&moved).await));
    assert_eq!(world.fetches(), 2);

    // Stale and gone: no authorization, but those who have tokens go on.
    world.it_is_stale().await;
    world.answers(|| Answer::json(404, "{}"));
    assert_eq!(world.asks(&moved).await.code(), "CLIENT_DOCUMENT_UNAVAILABLE");
    old.refresh().await;
    assert_eq!(old.call("get_current_track", json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_form_that_waited_is_judged_by_what_the_document_says_now() {
    let world = World::new().await;
    let (browser, client) = (world.server.browser(), world.client());
    let waiting = browser.open(&client.attempt().path()).await;
    let mut document = world.document();
    document["redirect_uris"] = json!(["http://127.0.0.1:1/moved"]);
    world.says(document);
    world.it_is_stale().await;
    assert_eq!(world.asks(&client).await.code(), "REDIRECT_MISMATCH");
    let page = browser.submit(&waiting, "/authorize", &[("decision", "approve")]).await;
    assert_eq!(page.code(), "REDIRECT_MISMATCH");
}

#[tokio::test]
async fn a_document_is_believed_for_as_long_as_it_says_within_bounds() {
    let world = World::new().await;
    let raw = world.server.place.raw().await;
    for (number, (headers, expected)) in [
        ("cache-control: max-age=300\r\n", 300),
        ("cache-control: no-store\r\n", 60),
        ("cache-control: max-age=1\r\n", 60),
        ("cache-control: max-age=31536000\r\n", 86_400),
        ("cache-control: public\r\ncache-control: max-age=300\r\n", 300),
        ("expires: 0\r\n", 60),
        ("", 3_600),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("{}?{number}", world.id());
        let mut document = world.document();
        document["client_id"] = json!(id);
        world.answers(move || Answer::new(200, &format!("{JSON}{headers}"), &document.to_string()));
        assert!(is_consent(&world.asks(&world.client_of(&id)).await), "{headers}");
        let fresh = format!("SELECT fresh_until - fetched_at FROM clients WHERE id = '{id}'");
        assert_eq!(raw.number(&fresh).await, expected, "{headers}");
    }
}

#[tokio::test]
async fn one_address_makes_us_fetch_so_much_and_others_are_not_kept_from_it() {
    let limit = [("SPOTIFY_MCP__LIMITS__CLIENT_DOCUMENTS_PER_ADDRESS_PER_MINUTE", "3")];
    let world = World::on(Place::sqlite(), &limit).await;
    world.answers(|| Answer::json(404, "{}"));
    let mut codes = Vec::new();
    for number in 0..8 {
        let page = world.asks(&world.client_of(&format!("{}?{number}", world.id()))).await;
        codes.push(page.code().to_owned());
    }
    let refused = codes.iter().filter(|code| *code == "RATE_LIMITED").count();
    // A minute may have ended meanwhile.
    assert!(refused >= 2 && world.fetches() == 8 - refused, "{codes:?}");
}

#[tokio::test]
async fn the_operator_says_whose_documents_are_believed() {
    let claude = "https://claude.ai/oauth/mcp-oauth-client-metadata";
    let asks = async |world: &World, id: &str, redirect: &str| {
        let client = RegisteredClient { redirect_uri: redirect.to_owned(), ..world.client_of(id) };
        world.asks(&client).await
    };
    let home = "https://claude.ai/api/mcp/auth_callback";

    let world = World::on(Place::sqlite(), &[("SPOTIFY_MCP__AUTH__CLIENT_DOCUMENTS", "builtin_only")]).await;
    let page = asks(&world, claude, home).await;
    assert!(is_consent(&page) && page.text.contains("claude.ai"), "{page:?}");
    assert_eq!(asks(&world, claude, "https://claude.ai/other").await.code(), "REDIRECT_MISMATCH");
    assert_eq!(asks(&world, &world.id(), REDIRECT).await.code(), "CLIENT_NOT_ALLOWED");
    assert_eq!(world.fetches(), 0);

    for (key, hosts, allowed) in [
        ("CLIENT_DOCUMENT_HOSTS", "claude.ai,*.example.org", false),
        ("CLIENT_DOCUMENT_HOSTS", "127.0.0.1", true),
        ("CLIENT_DOCUMENT_HOSTS_DENIED", "127.0.0.1", false),
    ] {
        let world = World::on(Place::sqlite(), &[(&format!("SPOTIFY_MCP__AUTH__{key}"), hosts)]).await;
        let page = asks(&world, &world.id(), REDIRECT).await;
        assert_eq!(is_consent(&page), allowed, "{key}={hosts}");
        assert_eq!(world.fetches(), usize::from(allowed));
    }
}

#[tokio::test]
async fn switched_off_nobody_introduces_themselves_so_and_tokens_of_before_end() {
    let mut world = World::new().await;
    let ada = Listener::connect("ada", world.server.browser(), world.client()).await;
    world.server.stop().await;
    world.server.environment.insert("SPOTIFY_MCP__AUTH__CLIENT_DOCUMENTS".to_owned(), "off".to_owned());
    world.server.start().await;
    let url = format!("{}/.well-known/oauth-authorization-server", world.server.origin);
    let metadata: Value = world.server.http.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["client_id_metadata_document_supported"], false);
    assert_eq!(world.asks(&world.client()).await.code(), "CLIENT_NOT_ALLOWED");
    let refused = ada.client.refresh(&ada.pair().refresh).await;
    assert_eq!(refused.1["error"], "invalid_client");
    world.server.stop().await;
    world.server.environment.remove("SPOTIFY_MCP__AUTH__CLIENT_DOCUMENTS");
    world.server.start().await;
    Pair::of(&ada.client.refresh(&ada.pair().refresh).await);
}
