//! An MCP client's half: registers, sends its person away, redeems what comes back, refreshes, revokes, calls.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::server::Apart;
use super::visitor::{Page, Visitor};
use crate::check::network::web::Reply;
use crate::check::{Seen, Unseen};

/// Where codes are sent; nothing listens there.
pub(super) const REDIRECT: &str = "http://127.0.0.1:1/callback";

/// A client that has registered.
pub(super) struct Client<'a> {
    pub apart: &'a Apart,
    pub id: String,
}

/// A pair of tokens.
#[derive(Clone)]
pub(super) struct Pair {
    pub access: String,
    pub refresh: String,
    /// How long the access token works, as the server says, in seconds.
    pub life: u64,
}

/// Asks for a registration.
pub(super) async fn register(apart: &Apart, name: &str, redirect: &str) -> Seen<Reply> {
    let body = json!({
        "client_name": name,
        "redirect_uris": [redirect],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    });
    apart.wire.post_json(&format!("{}/register", apart.origin), &[], &body.to_string()).await
}

/// The JSON of an answer; `Null` where it is none.
pub(super) fn document(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).unwrap_or_default()
}

impl<'a> Client<'a> {
    /// Registers under this name.
    pub async fn new(apart: &'a Apart, name: &str) -> Seen<Self> {
        let reply = register(apart, name, REDIRECT).await?;
        match document(&reply)["client_id"].as_str() {
            Some(id) if reply.status == 201 => Ok(Self { apart, id: id.to_owned() }),
            _ => Err(Unseen::because(format!("a client's registration was answered {}", reply.status))),
        }
    }

    /// A verifier that nobody guesses.
    pub fn verifier(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.apart.dice.bytes::<32>())
    }

    /// The path that asks for an authorization, with these parameters in the place of a good client's.
    pub fn path(&self, verifier: &str, others: &[(&str, &str)]) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let resource = format!("{}/mcp", self.apart.origin);
        let good = [
            ("response_type", "code"),
            ("client_id", self.id.as_str()),
            ("redirect_uri", REDIRECT),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("state", "probe"),
            ("resource", resource.as_str()),
        ];
        let kept = good.into_iter().filter(|(name, _)| !others.iter().any(|(other, _)| other == name));
        let said = others.iter().copied().filter(|(_, value)| !value.is_empty());
        let query =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept.chain(said)).finish();
        format!("/authorize?{query}")
    }

    /// Sends a person through consent and Spotify.
    pub async fn send_away(&self, path: &str, browser: &mut Visitor, person: &str) -> Seen<Page> {
        let mut page = browser.open(path).await?;
        if page.left_for.is_none() && page.url.as_str().starts_with(&self.apart.origin) {
            page = browser.submit(&page, "/authorize", &[("decision", "approve")]).await?;
        }
        browser.agreed(page, person).await
    }

    /// A code for this person, and its verifier.
    pub async fn code(&self, browser: &mut Visitor, person: &str) -> Seen<(String, String)> {
        let verifier = self.verifier();
        let page = self.send_away(&self.path(&verifier, &[]), browser, person).await?;
        let code = page.brought().remove("code");
        code.map(|code| (code, verifier)).ok_or_else(|| Unseen::because("an authorization brought no code"))
    }

    /// Posts to the token endpoint.
    pub async fn token(&self, form: &[(&str, &str)]) -> Seen<Reply> {
        let own = [("client_id", self.id.as_str())];
        self.apart.wire.post_form(&format!("{}/token", self.apart.origin), &[&own, form].concat()).await
    }

    /// Redeems a code.
    pub async fn redeem(&self, code: &str, verifier: &str) -> Seen<Reply> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
        ];
        self.token(&form).await
    }

    /// Presents a refresh token.
    pub async fn refresh(&self, refresh: &str) -> Seen<Reply> {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await
    }

    /// Connects a person.
    pub async fn connect(&self, browser: &mut Visitor, person: &str) -> Seen<Pair> {
        let (code, verifier) = self.code(browser, person).await?;
        Pair::of(&self.redeem(&code, &verifier).await?)
    }

    /// Gives a token back.
    pub async fn revoke(&self, token: &str) -> Seen<Reply> {
        let form = [("client_id", self.id.as_str()), ("token", token)];
        self.apart.wire.post_form(&format!("{}/revoke", self.apart.origin), &form).await
    }
}

impl Apart {
    /// A browser that was never here.
    pub fn browser(&self) -> Visitor {
        Visitor::new(&self.wire, &self.origin, &self.spotify.accounts_url)
    }

    /// A request of the protocol by a holder of this token.
    pub async fn call(&self, token: &str, method: &str, mut params: Value) -> Seen<Reply> {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let bearer = format!("Bearer {token}");
        let name = params["name"].as_str().unwrap_or_default().to_owned();
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
        ];
        if !name.is_empty() {
            headers.push(("mcp-name", name.as_str()));
        }
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.wire.post_json(&format!("{}/mcp", self.origin), &headers, &body.to_string()).await
    }

    /// Whether this token still opens the protocol's door: the status of a harmless question.
    pub async fn opens(&self, token: &str) -> Seen<u16> {
        self.call(token, "tools/list", json!({})).await.map(|reply| reply.status)
    }
}

impl Pair {
    /// From the token endpoint's answer.
    pub fn of(reply: &Reply) -> Seen<Self> {
        let body = document(reply);
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        match (text("access_token"), text("refresh_token")) {
            (Some(access), Some(refresh)) if reply.status == 200 => {
                Ok(Self { access, refresh, life: body["expires_in"].as_u64().unwrap_or(u64::MAX) })
            }
            _ => Err(Unseen::because(format!("the token endpoint answered {}", reply.status))),
        }
    }
}
