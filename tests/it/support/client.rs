//! An MCP client's OAuth half: registers, sends its user away, redeems what comes back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::browser::{Browser, Page};
use super::server::plain_http;

/// A client that has registered.
#[derive(Clone)]
pub struct RegisteredClient {
    pub http: Client,
    pub origin: String,
    pub id: String,
    pub redirect_uri: String,
}

/// One authorization that a client asks for.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub verifier: String,
    pub state: String,
    pub parameters: BTreeMap<String, String>,
}

/// A pair of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub access: String,
    pub refresh: String,
}

impl Attempt {
    /// This attempt with one parameter changed, or without it.
    pub fn with(mut self, name: &str, value: Option<&str>) -> Self {
        self.parameters.remove(name);
        self.parameters.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        self
    }

    /// The address to open.
    pub fn path(&self) -> String {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.parameters).finish();
        format!("/authorize?{query}")
    }
}

impl RegisteredClient {
    /// Registers a public client.
    pub async fn register(origin: &str, redirect_uri: &str) -> Self {
        Self::try_register(origin, redirect_uri).await.unwrap()
    }

    /// The same where the server may die meanwhile.
    pub async fn try_register(origin: &str, redirect_uri: &str) -> reqwest::Result<Self> {
        let http = plain_http();
        // A name of its own: two that are alike in everything are one client.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let body = json!({
            "client_name": format!("A test's client {number}"),
            "redirect_uris": [redirect_uri],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
        });
        let reply = http.post(format!("{origin}/register")).json(&body).send().await?;
        let (status, answer) = (reply.status(), reply.json::<Value>().await?);
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let id = answer["client_id"].as_str().unwrap().to_owned();
        Ok(Self { http, origin: origin.to_owned(), id, redirect_uri: redirect_uri.to_owned() })
    }

    /// A fresh attempt with everything that a good client sends.
    pub fn attempt(&self) -> Attempt {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let verifier = format!("verifier-{number:08}-{}", "v".repeat(40));
        let state = format!("state {number}/&=é");
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let resource = format!("{}/mcp", self.origin);
        let parameters = [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect_uri),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", &state),
            ("resource", &resource),
        ];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Attempt { verifier, state, parameters }
    }

    /// Sends a person through consent and Spotify; the page is where they ended.
    pub async fn send_away(&self, attempt: &Attempt, browser: &Browser, person: &str) -> Page {
        let mut page = browser.open(&attempt.path()).await;
        if page.left_for.is_none() && !browser.is_spotify(&page.url) {
            page = browser.submit(&page, "/authorize", &[("decision", "approve")]).await;
        }
        if page.left_for.is_none() && browser.is_spotify(&page.url) {
            page = browser.agree_as(&page, person).await;
        }
        page
    }

    /// The same, and takes the code that came back.
    pub async fn code(&self, attempt: &Attempt, browser: &Browser, person: &str) -> String {
        let brought = self.send_away(attempt, browser, person).await.brought();
        assert_eq!(brought.get("state"), Some(&attempt.state));
        assert_eq!(brought.get("iss"), Some(&self.origin));
        brought.get("code").unwrap_or_else(|| panic!("no code: {brought:?}")).clone()
    }

    /// Posts to the token endpoint.
    pub async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        self.try_token(form).await.unwrap()
    }

    /// The same where the server may die meanwhile.
    pub async fn try_token(&self, form: &[(&str, &str)]) -> reqwest::Result<(StatusCode, Value)> {
        let reply = self.http.post(format!("{}/token", self.origin)).form(form).send().await?;
        Ok((reply.status(), reply.json().await?))
    }

    /// Redeems a code with this verifier.
    pub async fn redeem(&self, code: &str, verifier: &str) -> (StatusCode, Value) {
        self.token(&self.redemption(code, verifier)).await
    }

    /// The form that redeems a code.
    pub fn redemption<'a>(&'a self, code: &'a str, verifier: &'a str) -> [(&'a str, &'a str); 5] {
        [
            ("grant_type", "authorization_code"),
            ("client_id", &self.id),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", verifier),
        ]
    }

    /// The form that refreshes.
    pub fn refreshing<'a>(&'a self, refresh: &'a str) -> [(&'a str, &'a str); 3] {
        [("grant_type", "refresh_token"), ("client_id", &self.id), ("refresh_token", refresh)]
    }

    /// Presents a refresh token.
    pub async fn refresh(&self, refresh: &str) -> (StatusCode, Value) {
        self.token(&self.refreshing(refresh)).await
    }

    /// Gives a token back.
    pub async fn revoke(&self, token: &str) -> StatusCode {
        let form = [("client_id", self.id.as_str()), ("token", token)];
        self.http.post(format!("{}/revoke", self.origin)).form(&form).send().await.unwrap().status()
    }
}

impl Pair {
    /// From the token endpoint's answer.
    pub fn of(answer: &(StatusCode, Value)) -> Self {
        let (status, body) = answer;
        assert_eq!(*status, StatusCode::OK, "{body}");
        assert_eq!(body["token_type"], "Bearer");
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}
