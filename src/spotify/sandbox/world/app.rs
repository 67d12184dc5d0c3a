//! Apps as a developer dashboard knows them: who they are, where they may redirect, which regime they live under.

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

use super::shards::{read, write};
use crate::crypto::token::TokenHash;
use crate::spotify::sandbox::Scopes;

/// The regime of an app (spotify.md 1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Client ids made since 2026-02-11: fewer endpoints and fields.
    #[default]
    Development,
    /// Older client ids: the old endpoints are still served.
    DevelopmentLegacy,
    /// Extended quota.
    Extended,
}

/// What the token endpoint does with refresh tokens (spotify.md 6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshMode {
    /// A new refresh token each time; the one presented is revoked.
    #[default]
    Rotate,
    /// No `refresh_token` in the answer; the one presented stays good.
    Omit,
    /// The same refresh token comes back.
    Same,
}

/// How a command to the player is confirmed; all three are seen (spotify.md 1.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirmation {
    /// 204.
    #[default]
    NoContent,
    /// 200 with a word of noise that is no JSON.
    Junk,
    /// 202 with the same.
    Accepted,
}

/// What the dashboard says about an app; the control plane may change any of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppRules {
    /// Shown on the login page.
    pub name: String,
    /// Exact redirect URIs; a loopback literal without port accepts any port.
    pub redirect_uris: Vec<String>,
    /// Accepts any `http` redirect to `127.0.0.1` or `[::1]`.
    pub any_loopback: bool,
    /// The regime.
    pub mode: Mode,
    /// What becomes of refresh tokens.
    pub refresh: RefreshMode,
    /// The developer account; its apps share one quota.
    pub developer: String,
    /// Whether the owner's Premium is active. Without it the whole app answers 403.
    pub owner_premium: bool,
    /// The ids of the people allowed in; `None` lets everybody in.
    pub allow_list: Option<BTreeSet<String>>,
    /// Whether the allow-list's 403 comes as plain text, as it sometimes does.
    pub plain_text_refusals: bool,
    /// Most calls in a rolling 30 seconds; `None`: no limit.
    pub rate_limit: Option<u32>,
    /// Most calls in a rolling 24 hours per bucket of the developer account; `None`: no limit.
    pub daily_quota: Option<u32>,
    /// Scopes that people never grant to this app, whatever it asks.
    pub withheld: Scopes,
    /// Whether a code presented twice revokes what it gave the first time.
    pub code_reuse_revokes: bool,
    /// How commands to the player are confirmed.
    pub confirmation: Confirmation,
    /// Whether `/me/library` is refused with 400, as older apps have seen it (spotify.md 1.3). Never in development mode.
    pub no_library: bool,
    /// Whether `/me/library` refuses artists, which nobody is sure of.
    pub no_artists_in_library: bool,
    /// Where `next` links point instead of here: a trap for clients that follow them with the token.
    pub links_base: Option<String>,
}

impl Default for AppRules {
    fn default() -> Self {
        Self {
            name: "An app".to_owned(),
            redirect_uris: Vec::new(),
            any_loopback: false,
            mode: Mode::default(),
            refresh: RefreshMode::default(),
            developer: "developer".to_owned(),
            owner_premium: true,
            allow_list: None,
            plain_text_refusals: false,
            rate_limit: None,
            daily_quota: None,
            withheld: Scopes::default(),
            code_reuse_revokes: false,
            confirmation: Confirmation::default(),
            no_library: false,
            no_artists_in_library: false,
            links_base: None,
        }
    }
}

/// One app.
pub struct App {
    /// Its client id.
    pub client_id: Arc<str>,
    secrets: RwLock<Secrets>,
    rules: RwLock<Arc<AppRules>>,
}

/// The hashes of an app's secrets.
#[derive(Clone, Copy, Default)]
pub struct Secrets {
    /// The one that the dashboard shows; `None` for a public app, which proves itself by PKCE alone.
    pub present: Option<TokenHash>,
    /// The one before it, where the dashboard lets it live on for a while.
    pub former: Option<TokenHash>,
}

impl App {
    /// An app under these rules.
    pub fn new(client_id: &str, secrets: Secrets, rules: AppRules) -> Self {
        let (secrets, rules) = (RwLock::new(secrets), RwLock::new(Arc::new(rules)));
        Self { client_id: client_id.into(), secrets, rules }
    }

    /// The hashes of its secrets.
    pub fn secrets(&self) -> Secrets {
        *read(&self.secrets)
    }

    /// Whether it has no secret.
    pub fn is_public(&self) -> bool {
        self.secrets().present.is_none()
    }

    /// Gives it another secret; the one before dies at once unless it is kept.
    pub fn rotate_secret(&self, secret: TokenHash, keep_former: bool) {
        let mut secrets = write(&self.secrets);
        *secrets = Secrets { present: Some(secret), former: secrets.present.filter(|_| keep_former) };
    }

    /// Lets the secret before the present one die.
    pub fn end_former_secret(&self) {
        write(&self.secrets).former = None;
    }

    /// The rules at this moment.
    pub fn rules(&self) -> Arc<AppRules> {
        read(&self.rules).clone()
    }

    /// Puts other rules in force.
    pub fn set_rules(&self, rules: AppRules) {
        *write(&self.rules) = Arc::new(rules);
    }
}

impl AppRules {
    /// Whether this redirect URI is registered (spotify.md 1.5): byte for byte, except that a loopback literal
    /// without port stands for all ports. `localhost` and plain http elsewhere never match.
    pub fn accepts_redirect(&self, uri: &str) -> bool {
        let Some(shape) = Redirect::parse(uri) else { return false };
        if self.any_loopback && shape.loopback {
            return true;
        }
        self.redirect_uris.iter().any(|registered| {
            let portless = Redirect::parse(registered).filter(|known| known.loopback && known.port.is_none());
            registered == uri
                || portless.is_some_and(|known| {
                    shape.loopback && (known.host, known.rest) == (shape.host, shape.rest)
                })
        })
    }
}

/// A redirect URI in the parts that matter, compared as text: no normalisation may make two of them equal.
struct Redirect<'a> {
    loopback: bool,
    host: &'a str,
    port: Option<&'a str>,
    rest: &'a str,
}

impl<'a> Redirect<'a> {
    fn parse(uri: &'a str) -> Option<Self> {
        if uri.contains(['#', '\r', '\n', ' ']) || url::Url::parse(uri).is_err() {
            return None;
        }
        if uri.starts_with("https://") {
            return Some(Self { loopback: false, host: "", port: None, rest: uri });
        }
        let tail = uri.strip_prefix("http://")?;
        let host = ["127.0.0.1", "[::1]"].into_iter().find(|host| tail.starts_with(host))?;
        let tail = &tail[host.len()..];
        let (port, rest) = match tail.strip_prefix(':') {
            Some(tail) => tail.split_at(tail.find(['/', '?']).unwrap_or(tail.len())),
            None => ("", tail),
        };
        let plain = port.bytes().all(|byte| byte.is_ascii_digit())
            && (rest.is_empty() || rest.starts_with(['/', '?']));
        plain.then(|| Self { loopback: true, host, port: (!port.is_empty()).then_some(port), rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_match_exactly_except_for_a_loopback_port() {
        let rules = AppRules {
            redirect_uris: vec!["https://a.example/cb".to_owned(), "http://127.0.0.1/cb".to_owned()],
            ..AppRules::default()
        };
        for good in ["https://a.example/cb", "http://127.0.0.1/cb", "http://127.0.0.1:8000/cb"] {
            assert!(rules.accepts_redirect(good), "{good}");
        }
        for bad in [
            "https://a.example/cb/",
            "https://A.example/cb",
            "https://a.example/cb?x=1",
            "http://localhost:8000/cb",
            "http://[::1]:8000/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.1:80@evil.example/cb",
            "http://192.168.1.2/cb",
            "javascript:alert(1)",
        ] {
            assert!(!rules.accepts_redirect(bad), "{bad}");
        }
    }

    #[test]
    fn any_loopback_means_the_literals_only() {
        let rules = AppRules { any_loopback: true, ..AppRules::default() };
        assert!(rules.accepts_redirect("http://[::1]:9/x?y=1"));
        assert!(!rules.accepts_redirect("http://localhost:9/x"));
        assert!(!rules.accepts_redirect("https://a.example/"));
    }
}
