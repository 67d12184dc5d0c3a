//! What is tried of what an emergency ended: each kind of credential once, with what came of it while it was good and
//! what comes of it now. An answer that is not the expected one is a failure of the emergency.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::ask::{At, Question, Reply};
use super::canary::Canary;
use crate::cli::administer::Desk;
use crate::crypto::keys;
use crate::oauth::{cookies, tickets};

/// A call that needs a credential and nothing else.
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// One credential that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli::rotate_keys) struct Probe {
    /// Which.
    pub(in crate::cli::rotate_keys) probe: String,
    /// What came of it while it was good; `None` where that was not tried.
    pub(in crate::cli::rotate_keys) before: Option<String>,
    /// What has to come of it now.
    pub(in crate::cli::rotate_keys) expected: String,
    /// What came of it.
    pub(in crate::cli::rotate_keys) found: String,
}

impl Probe {
    /// Whether it is as it has to be.
    pub(in crate::cli::rotate_keys) fn is_good(&self) -> bool {
        self.found == self.expected
    }
}

/// The trying of credentials at one place.
pub(in crate::cli::rotate_keys) struct Trial<'a> {
    pub(in crate::cli::rotate_keys) desk: &'a Desk,
    pub(in crate::cli::rotate_keys) at: &'a At,
}

impl Trial<'_> {
    /// What comes of a good access token: `200` where a server of this database serves.
    pub(in crate::cli::rotate_keys) async fn serves(&self, canary: &Canary) -> String {
        self.tried(self.ping(bearer(canary.access.expose()))).await
    }

    /// What comes of a canary's credentials while they are good, in the order of [`Trial::after`].
    pub(in crate::cli::rotate_keys) async fn before(&self, old: &Canary) -> Vec<(&'static str, String)> {
        let access = self.serves(old).await;
        let session = [bearer(old.access.expose()), vec![session(old)]].concat();
        let session = self.tried(self.ping(session)).await;
        let api_key = self.tried(self.ping(bearer(old.api_key.expose()))).await;
        let signature = self.tried(self.ping(self.signature(old))).await;
        let cookie = self.cookie(old).await;
        vec![
            ("old_access_token", access),
            ("old_session", session),
            ("old_api_key", api_key),
            ("old_signature", signature),
            ("old_cookie", cookie),
        ]
    }

    /// What comes of them now. `fresh` was issued after they ended: what is tried beside another credential is tried
    /// beside a good one.
    pub(in crate::cli::rotate_keys) async fn after(
        &self,
        old: &Canary,
        fresh: &Canary,
        before: &[(&'static str, String)],
    ) -> Vec<Probe> {
        let old_session = [bearer(fresh.access.expose()), vec![session(old)]].concat();
        let mut found = vec![
            ("new_access_token", "200", self.serves(fresh).await),
            ("old_access_token", "401", self.serves(old).await),
            ("old_refresh_token", "400 invalid_grant", self.refresh(old).await),
            ("old_session", "404", self.tried(self.ping(old_session)).await),
            ("old_api_key", "401", self.tried(self.ping(bearer(old.api_key.expose()))).await),
            ("old_signature", "401", self.tried(self.ping(self.signature(old))).await),
            ("new_cookie", "logged in", self.cookie(fresh).await),
            ("old_cookie", "logged out", self.cookie(old).await),
        ];
        // Where the keys of forms were replaced by a run before this one, the old one is not at hand.
        if old.forms.id() != fresh.forms.id() {
            found.push(("old_form_key", "403", self.form(fresh, &old.forms).await));
            found.push(("new_form_key", "200", self.form(fresh, &fresh.forms).await));
        }
        let one = |(probe, expected, found): (&str, &str, String)| Probe {
            probe: probe.to_owned(),
            before: before.iter().find(|(name, _)| *name == probe).map(|(_, came)| came.clone()),
            expected: expected.to_owned(),
            found,
        };
        found.into_iter().map(one).collect()
    }

    async fn tried(&self, question: Question) -> String {
        self.replied(question).await.map_or_else(|none| none, |reply| reply.status.to_string())
    }

    async fn replied(&self, question: Question) -> Result<Reply, String> {
        self.at.ask(&self.host(), question).await.map_err(|failure| format!("no answer ({failure})"))
    }

    fn ping(&self, headers: Vec<(&'static str, String)>) -> Question {
        let mut all = vec![
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
            ("mcp-protocol-version", "2025-11-25".to_owned()),
        ];
        all.extend(headers);
        Question { method: "POST", path: "/mcp", headers: all, body: PING.to_owned() }
    }

    async fn refresh(&self, old: &Canary) -> String {
        let pairs = [
            ("grant_type", "refresh_token"),
            ("refresh_token", old.refresh.expose()),
            ("client_id", old.client.as_str()),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        match self.replied(Question { method: "POST", path: "/token", headers, body }).await {
            Ok(reply) if reply.body.contains("invalid_grant") => format!("{} invalid_grant", reply.status),
            Ok(reply) => reply.status.to_string(),
            Err(none) => none,
        }
    }

    async fn cookie(&self, canary: &Canary) -> String {
        let headers = vec![("cookie", self.session_cookie(canary))];
        let question = Question { method: "GET", path: "/auth/status", headers, body: String::new() };
        match self.replied(question).await {
            Ok(reply) if reply.body.contains("\"authenticated\":true") => "logged in".to_owned(),
            Ok(reply) if reply.body.contains("\"authenticated\":false") => "logged out".to_owned(),
            Ok(reply) => reply.status.to_string(),
            Err(none) => none,
        }
    }

    /// A form of a good session, authenticated under a key: logging out.
    async fn form(&self, canary: &Canary, key: &keys::SealingKey) -> String {
        let csrf = tickets::csrf(key, &canary.browser);
        let headers = vec![
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ("cookie", self.session_cookie(canary)),
            ("origin", self.desk.config.server.issuer()),
            ("sec-fetch-site", "same-origin".to_owned()),
        ];
        let body = format!("csrf={csrf}");
        self.tried(Question { method: "POST", path: "/auth/logout", headers, body }).await
    }

    fn session_cookie(&self, canary: &Canary) -> String {
        let https = self.desk.config.server.issuer().starts_with("https:");
        let set = cookies::set_session(&canary.browser, std::time::Duration::from_secs(60), https);
        set.split(';').next().unwrap_or_default().to_owned()
    }

    /// The headers of a call that is signed as RFC 9421 says.
    fn signature(&self, canary: &Canary) -> Vec<(&'static str, String)> {
        let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(PING)));
        let nonce: String = self.desk.dice.bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        let parameters = format!(
            "(\"@method\" \"@authority\" \"@path\" \"content-digest\");created={};nonce=\"{nonce}\";keyid=\"{}\";alg=\"hmac-sha256\"",
            self.desk.clock.now().secs(),
            canary.api_key_id,
        );
        let base = format!(
            "\"@method\": POST\n\"@authority\": {}\n\"@path\": /mcp\n\"content-digest\": {digest}\n\"@signature-params\": {parameters}",
            self.host(),
        );
        let mac = keys::mac(&keys::signing_key(canary.api_key.expose()), base.as_bytes());
        vec![
            ("content-digest", digest),
            ("signature-input", format!("sig={parameters}")),
            ("signature", format!("sig=:{}:", STANDARD.encode(mac))),
        ]
    }

    /// The public host, as a client would send it.
    fn host(&self) -> String {
        let url = &self.desk.config.server.public_url;
        let name = url.host_str().unwrap_or_default();
        url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
    }
}

fn bearer(token: &str) -> Vec<(&'static str, String)> {
    vec![("authorization", format!("Bearer {token}"))]
}

fn session(of: &Canary) -> (&'static str, String) {
    ("mcp-session-id", of.session.expose().to_owned())
}
