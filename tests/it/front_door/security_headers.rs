//! Every class of route carries its row of security headers, with answers and with refusals alike.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;
use spotify_mcp::web::headers::{self, Class};

use crate::support::listener::{Era, speak};
use crate::support::server::{Setup, TestServer};

const FORM: &str = "application/x-www-form-urlencoded";

/// Asks one server and compares what its answers carry.
struct Asking {
    server: TestServer,
    wrong: Vec<String>,
}

impl Asking {
    fn ask(&self, method: &Method, path: &str) -> RequestBuilder {
        self.server.http.request(method.clone(), format!("{}{path}", self.server.origin))
    }

    /// The answer must have this status and exactly the headers of this row, of all that rows speak of.
    async fn expect(&mut self, class: Class, status: u16, what: &str, request: RequestBuilder) {
        let reply = request.send().await.unwrap();
        if reply.status().as_u16() != status {
            self.wrong.push(format!("{what}: {} instead of {status}", reply.status()));
        }
        for other in Class::ALL.into_iter().flat_map(headers::of) {
            let (name, wanted) = (other.0, headers::of(class).find(|row| row.0 == other.0).map(|row| row.1));
            let values: Vec<_> = reply.headers().get_all(name).iter().collect();
            let as_wanted = match wanted {
                Some(wanted) => values.len() == 1 && values[0] == wanted,
                None => values.is_empty(),
            };
            if !as_wanted {
                self.wrong.push(format!("{what}, {status}: {name} is {values:?}, wanted {wanted:?}"));
            }
        }
        for always in ["x-request-id", "date"] {
            if !reply.headers().contains_key(always) {
                self.wrong.push(format!("{what}, {status}: no {always}"));
            }
        }
        for never in ["server", "x-powered-by", "strict-transport-security"] {
            if reply.headers().contains_key(never) {
                self.wrong.push(format!("{what}, {status}: {never} over plain http"));
            }
        }
    }

    /// What is refused on every route, whatever it is.
    async fn expect_common(&mut self, class: Class, path: &str) {
        let get = || self.ask(&Method::GET, path);
        let (large, foreign) =
            (get().header("x-large", "y".repeat(17_000)), get().header("host", "evil.example"));
        let long = self.ask(&Method::GET, &format!("{path}?{}", "x".repeat(17_000)));
        self.expect(class, 431, path, large).await;
        self.expect(class, 414, path, long).await;
        self.expect(class, 403, path, foreign).await;
    }
}

#[tokio::test]
async fn pages_redirects_assets_and_texts_carry_their_rows() {
    let server = Setup::default()
        .env("SPOTIFY_MCP__SERVER__SECURITY_CONTACT", "mailto:security@music.example")
        .env("SPOTIFY_MCP__LIMITS__CLIENT_DOCUMENTS_PER_ADDRESS_PER_MINUTE", "1")
        .start()
        .await;
    let client = server.client().await;
    let consent = client.attempt().path();
    let unproven = client.attempt().with("client_id", Some("c_nobody")).path();
    let refused = client.attempt().with("response_type", Some("token")).path();
    let document = |path: &str| {
        client.attempt().with("client_id", Some(&format!("https://client.invalid/{path}.json"))).path()
    };
    let (document, another) = (document("one"), document("two"));
    let landing = server.http.get(format!("{}/", server.origin)).send().await.unwrap().text().await.unwrap();
    let asset = landing.split('"').find(|text| text.starts_with("/assets/")).unwrap().to_owned();
    let port = server.environment["SERVER_PORT"].clone();
    let mut asking = Asking { server, wrong: Vec::new() };

    let (get, post) = (Method::GET, Method::POST);
    for (class, method, path, status) in [
        (Class::Page, &get, "/", 200),
        (Class::Page, &Method::HEAD, "/", 200),
        (Class::Page, &get, "/nowhere", 404),
        (Class::Page, &Method::PUT, "/account", 405),
        (Class::Page, &get, &unproven, 400),
        (Class::Page, &get, &document, 502),
        (Class::Page, &get, &another, 429),
        (Class::Consent, &get, &consent, 200),
        (Class::Redirect, &get, "/auth/login", 303),
        (Class::Page, &get, "/account", 200),
        (Class::Redirect, &get, "/account/delete", 303),
        (Class::Redirect, &get, &refused, 303),
        (Class::Asset, &get, &asset, 200),
        // What is not there is not kept: the row of JSON, as for every refusal that is no page.
        (Class::Json, &get, "/assets/site-0000000000000000.css", 404),
        (Class::Page, &post, &asset, 405),
        (Class::Text, &get, "/.well-known/security.txt", 200),
        (Class::Json, &post, "/.well-known/security.txt", 405),
    ] {
        let request = asking.ask(method, path);
        asking.expect(class, status, &format!("{method} {path}"), request).await;
    }
    let large = asking.ask(&post, "/authorize").header("content-type", FORM).body("x".repeat(70_000));
    asking.expect(Class::Page, 413, "/authorize", large).await;
    let coded = asking.ask(&post, "/authorize").header("content-encoding", "gzip").body("x");
    asking.expect(Class::Page, 415, "/authorize", coded).await;
    let alias = asking.ask(&get, "/").header("host", format!("localhost:{port}"));
    asking.expect(Class::Redirect, 307, "by another name of ours", alias).await;
    for (class, path) in
        [(Class::Page, "/authorize"), (Class::Page, &*asset), (Class::Json, "/.well-known/security.txt")]
    {
        asking.expect_common(class, path).await;
    }
    assert!(asking.wrong.is_empty(), "{:#?}", asking.wrong);
}

#[tokio::test]
async fn json_and_the_protocol_carry_their_rows() {
    let server =
        Setup::default().env("SPOTIFY_MCP__LIMITS__UNUSED_CLIENTS_PER_ADDRESS_PER_DAY", "1").start().await;
    let ada = server.listener("ada").await;
    let mut asking = Asking { server, wrong: Vec::new() };
    let (get, post) = (Method::GET, Method::POST);
    for (class, method, path, status) in [
        (Class::Json, &get, "/livez", 200),
        (Class::Json, &get, "/health", 200),
        (Class::Json, &get, "/auth/status", 200),
        (Class::Json, &get, "/.well-known/oauth-authorization-server", 200),
        (Class::Json, &get, "/.well-known/oauth-protected-resource/mcp", 200),
        (Class::Json, &get, "/.well-known/openid-configuration", 404),
        (Class::Json, &get, "/token", 405),
        (Class::Json, &post, "/livez", 405),
        (Class::Json, &post, "/token", 400),
        (Class::Json, &Method::OPTIONS, "/token", 200),
        (Class::Protocol, &post, "/mcp", 401),
        (Class::Protocol, &get, "/claude-mcp/", 401),
    ] {
        let request = asking.ask(method, path);
        asking.expect(class, status, &format!("{method} {path}"), request).await;
    }
    let guessing = asking.ask(&post, "/token").basic_auth("c_nobody", Some("x"));
    let guessing = guessing.form(&[("grant_type", "refresh_token"), ("refresh_token", "x")]);
    asking.expect(Class::Json, 401, "/token", guessing).await;
    for (name, status) in [("first", 201), ("second", 429)] {
        let metadata = json!({"client_name": name, "redirect_uris": ["http://127.0.0.1:2/callback"]});
        let registering = asking.ask(&post, "/register").json(&metadata);
        asking.expect(Class::Json, status, "/register", registering).await;
    }
    let large = asking.ask(&post, "/token").header("content-type", FORM).body("x".repeat(70_000));
    asking.expect(Class::Json, 413, "/token", large).await;
    let coded = asking.ask(&post, "/token").header("content-encoding", "gzip").body("x");
    asking.expect(Class::Json, 415, "/token", coded).await;

    let call = |asking: &Asking| asking.ask(&post, "/mcp").bearer_auth(&ada.pair().access);
    let listed = speak(call(&asking), Era::Modern, "tools/list", json!({}));
    asking.expect(Class::Protocol, 200, "tools/list", listed).await;
    let foreign =
        speak(call(&asking).header("origin", "https://evil.example"), Era::Modern, "tools/list", json!({}));
    asking.expect(Class::Protocol, 403, "a foreign origin", foreign).await;
    let large = call(&asking).header("content-type", "application/json").body("x".repeat(1_100_000));
    let large = large.header("accept", "application/json, text/event-stream");
    asking.expect(Class::Protocol, 413, "/mcp", large).await;
    let odd = call(&asking).header("content-encoding", "gzip");
    let odd = speak(odd, Era::Modern, "tools/list", json!({}));
    asking.expect(Class::Protocol, 415, "/mcp", odd).await;
    let put = asking.ask(&Method::PUT, "/mcp").bearer_auth(&ada.pair().access);
    asking.expect(Class::Protocol, 405, "PUT /mcp", put).await;
    for (class, path) in [(Class::Json, "/token"), (Class::Protocol, "/mcp")] {
        asking.expect_common(class, path).await;
    }
    assert!(asking.wrong.is_empty(), "{:#?}", asking.wrong);
    assert_eq!(asking.server.ready().await, Some(StatusCode::OK));
}
