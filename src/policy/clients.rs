//! Which clients may be described by a metadata document: the built-in descriptions of `policies/clients.toml`, and
//! the operator's word on hosts. Pure data; never fetches.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::client::{AuthMethod, ClientMetadata};
use crate::domain::client_document::DocumentUrl;
use crate::domain::redirect::RedirectUri;
use crate::domain::{ClientId, ScopeSet};

const SOURCE: &str = include_str!("../../policies/clients.toml");

/// Whether clients may introduce themselves by a metadata document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DocumentMode {
    /// Any client whose document can be fetched and is good.
    #[default]
    On,
    /// Only the well-known ones; nothing is fetched.
    BuiltinOnly,
    /// None.
    Off,
}

/// The operator's word on the hosts of documents (section 6.4). Denying outranks allowing.
#[derive(Clone, Debug, Default)]
pub struct DocumentHosts {
    /// Where not empty, only these.
    pub allowed: Vec<String>,
    /// Never these.
    pub denied: Vec<String>,
}

impl DocumentHosts {
    /// Whether documents of this host are believed. An entry is a host, or `*.host` for everything below it.
    pub fn trusts(&self, host: &str) -> bool {
        let listed = |entries: &[String]| entries.iter().any(|entry| covers(entry, host));
        !listed(&self.denied) && (self.allowed.is_empty() || listed(&self.allowed))
    }
}

fn covers(entry: &str, host: &str) -> bool {
    match entry.strip_prefix("*.") {
        Some(parent) => host
            .strip_suffix(parent)
            .and_then(|below| below.strip_suffix('.'))
            .is_some_and(|below| !below.is_empty()),
        None => entry == host,
    }
}

/// The built-in descriptions.
#[derive(Clone, Debug, Default)]
pub struct WellKnownClients(BTreeMap<ClientId, ClientMetadata>);

/// Why the policy file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadClientPolicy {
    /// Not TOML of the right shape.
    #[error("the client policy cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// An entry that would not be accepted from its own host.
    #[error("the client policy's entry {0} is not a usable client")]
    Entry(usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    client: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    name: String,
    redirect_uris: Vec<String>,
    #[expect(dead_code, reason = "for readers of the policy; required so that nobody leaves it out")]
    source: Source,
}

/// Who says so.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// Not the publisher.
    ThirdParty,
    /// Read from the publisher's own document.
    Publisher,
}

impl WellKnownClients {
    /// The descriptions that come with the program.
    ///
    /// # Errors
    /// Only where the file in the source tree is wrong, which a test rules out.
    pub fn embedded() -> Result<Self, BadClientPolicy> {
        Self::parse(SOURCE)
    }

    fn parse(source: &str) -> Result<Self, BadClientPolicy> {
        let file: File = toml::from_str(source)?;
        let mut known = BTreeMap::new();
        for (at, entry) in file.client.into_iter().enumerate() {
            let (id, metadata) = entry.judge().ok_or(BadClientPolicy::Entry(at + 1))?;
            if known.insert(id, metadata).is_some() {
                return Err(BadClientPolicy::Entry(at + 1));
            }
        }
        Ok(Self(known))
    }

    /// The description of this client.
    pub fn of(&self, id: &ClientId) -> Option<&ClientMetadata> {
        self.0.get(id)
    }

    /// Every client described.
    pub fn ids(&self) -> impl Iterator<Item = &ClientId> {
        self.0.keys()
    }
}

impl Entry {
    fn judge(self) -> Option<(ClientId, ClientMetadata)> {
        let id = ClientId::parse(&self.id)?;
        DocumentUrl::parse(&id).ok().filter(|url| !url.is_on_loopback())?;
        let uris: Vec<_> =
            self.redirect_uris.iter().map(|uri| RedirectUri::parse(uri)).collect::<Result<_, _>>().ok()?;
        let metadata = ClientMetadata {
            name: self.name,
            redirect_uris: uris,
            auth_method: AuthMethod::None,
            scopes: ScopeSet::ALL,
            grant_types: vec!["authorization_code", "refresh_token"],
        };
        (!metadata.redirect_uris.is_empty() && !metadata.name.is_empty()).then_some((id, metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::redirect::RedirectKind;

    fn admits(known: &WellKnownClients, id: &str, redirect: &str) -> bool {
        let presented = RedirectUri::parse(redirect).unwrap();
        let metadata = known.of(&ClientId::parse(id).unwrap()).unwrap();
        metadata.redirect_uris.iter().any(|registered| registered.admits(&presented))
    }

    #[test]
    fn the_embedded_clients_are_usable_and_send_codes_home_or_to_loopback() {
        let known = WellKnownClients::embedded().unwrap();
        assert!(known.ids().count() >= 5);
        for id in known.ids() {
            let url = DocumentUrl::parse(id).unwrap();
            for uri in &known.of(id).unwrap().redirect_uris {
                let home = uri.host() == url.host()
                    || uri.host().ends_with(&format!(".{}", url.host()))
                    || (url.host() == "claude.ai" && uri.host() == "claude.com");
                assert!(home || uri.kind() == RedirectKind::Loopback, "{id}: {}", uri.as_str());
            }
        }
        let code = "https://claude.ai/oauth/claude-code-client-metadata";
        assert!(admits(&known, code, "http://localhost:3118/callback"));
        assert!(admits(&known, "https://vscode.dev/oauth/client-metadata.json", "http://127.0.0.1:33418/"));
        assert!(!admits(&known, code, "http://localhost:3118/other"));
    }

    #[test]
    fn mistakes_are_named() {
        let entry = |id: &str, uri: &str| {
            format!(
                "[[client]]\nid = \"{id}\"\nname = \"n\"\nredirect_uris = [\"{uri}\"]\nsource = \"publisher\"\n"
            )
        };
        let good = entry("https://a.example/c", "https://a.example/cb");
        assert!(WellKnownClients::parse(&good).is_ok());
        for bad in [
            entry("https://a.example/", "https://a.example/cb"),
            entry("https://127.0.0.1/c", "https://a.example/cb"),
            entry("https://a.example/c", "javascript:alert(1)"),
            good.replace("source = \"publisher\"", ""),
            good.replace("publisher", "hearsay"),
            good.clone() + &good,
            good + "more = 1\n",
        ] {
            assert!(WellKnownClients::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_match_whole_or_below_a_star() {
        let hosts = |allowed: &[&str], denied: &[&str]| DocumentHosts {
            allowed: allowed.iter().map(|host| (*host).to_owned()).collect(),
            denied: denied.iter().map(|host| (*host).to_owned()).collect(),
        };
        assert!(hosts(&[], &[]).trusts("a.example"));
        let one = hosts(&["a.example"], &[]);
        assert!(one.trusts("a.example"));
        for host in ["b.a.example", "xa.example", "a.example.evil.example", "example"] {
            assert!(!one.trusts(host), "{host}");
        }
        let below = hosts(&["*.a.example"], &["c.a.example", "*.b.a.example"]);
        assert!(below.trusts("x.a.example") && below.trusts("b.a.example"));
        for host in ["a.example", "xa.example", ".a.example", "c.a.example", "x.b.a.example"] {
            assert!(!below.trusts(host), "{host}");
        }
        assert!(!hosts(&["a.example"], &["a.example"]).trusts("a.example"));
    }
}
