//! The simulated Spotify over real HTTP: login, tokens, Web API, faults, restart.

mod login;
mod music;
mod regimes;
mod server;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use spotify_mcp::ambient::Clock;
use spotify_mcp::egress::{Gate, GatePolicy};
use spotify_mcp::spotify::playlists::NewPlaylist;
use spotify_mcp::spotify::sandbox::{
    CLIENT_ID, Fault, Filter, Injection, PlaylistChange, RunningSandbox, Sandbox, SandboxOptions, Scopes,
};
use spotify_mcp::spotify::{AccessToken, Api, BaseUrl, QuotaMode};

const REDIRECT: &str = "http://127.0.0.1:9/cb";
const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-one-0123456789";

struct Browser {
    sandbox: RunningSandbox,
    http: Client,
}

async fn browser() -> Browser {
    with(SandboxOptions::default()).await
}

async fn with(options: SandboxOptions) -> Browser {
    let sandbox = Sandbox::start(options).await.unwrap();
    let none = reqwest::redirect::Policy::none();
    Browser { sandbox, http: Client::builder().cookie_store(true).redirect(none).build().unwrap() }
}

impl Browser {
    fn query(&self, scope: &str, more: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        format!(
            "client_id={CLIENT_ID}&response_type=code&redirect_uri={REDIRECT}&code_challenge={challenge}\
             &code_challenge_method=S256&scope={}&{more}",
            scope.replace(' ', "%20")
        )
    }

    async fn ask(&self, query: &str) -> Response {
        self.http.get(format!("{}/authorize?{query}", self.sandbox.accounts_url)).send().await.unwrap()
    }

    async fn decide(&self, query: &str, fields: &[(&str, &str)]) -> Response {
        let form: Vec<_> = [("request", query)].into_iter().chain(fields.iter().copied()).collect();
        let url = format!("{}/authorize", self.sandbox.accounts_url);
        self.http.post(url).form(&form).send().await.unwrap()
    }

    async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let url = format!("{}/api/token", self.sandbox.accounts_url);
        let reply = self.http.post(url).form(form).send().await.unwrap();
        (reply.status(), reply.json().await.unwrap())
    }

    async fn exchange(&self, code: &str, verifier: &str) -> (StatusCode, Value) {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT_ID),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
        ])
        .await
    }

    async fn refresh(&self, token: &str) -> (StatusCode, Value) {
        self.token(&[("grant_type", "refresh_token"), ("client_id", CLIENT_ID), ("refresh_token", token)])
            .await
    }

    async fn log_in(&self, person: &str, scope: &str) -> Value {
        let reply = self.decide(&self.query(scope, ""), &[("person", person), ("decision", "approve")]).await;
        let (status, tokens) = self.exchange(&code(&reply), VERIFIER).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    fn grant(&self, person: &str) -> String {
        self.sandbox.control.grant(CLIENT_ID, person, &Scopes::ALL.to_string()).unwrap().access_token
    }

    fn get(&self, token: &str, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.sandbox.api_url)).bearer_auth(token)
    }

    async fn json(&self, token: &str, path: &str) -> Value {
        let reply = self.get(token, path).send().await.unwrap();
        assert_eq!(reply.status(), 200, "{path}");
        reply.json().await.unwrap()
    }

    async fn status(&self, token: &str, path: &str) -> StatusCode {
        self.get(token, path).send().await.unwrap().status()
    }

    fn inject(&self, route: &str, fault: Fault) {
        assert!(self.sandbox.control.inject(Injection { route: route.to_owned(), skip: 0, times: 1, fault }));
    }
}

fn location(reply: &Response) -> &str {
    assert_eq!(reply.status(), 303);
    reply.headers()["location"].to_str().unwrap()
}

fn code(reply: &Response) -> String {
    let location = location(reply);
    location.split_once("code=").unwrap().1.split('&').next().unwrap().to_owned()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}
