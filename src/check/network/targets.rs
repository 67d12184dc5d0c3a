//! Which servers are looked at, and at which addresses: what an operator names may be anywhere, what a judged file names
//! goes through the egress gate's rules.

use std::net::{IpAddr, SocketAddr};

use tokio::time::timeout;
use url::Url;

use super::Kind;
use super::tls::{PATIENCE, Server};
use crate::check::finding::{Seen, Unseen};
use crate::check::request::Request;
use crate::config::{Config, is_on_loopback};
use crate::egress::{AddressClass, classify};
use crate::policy::Environment;

/// So many addresses of a name are looked at.
pub const MOST_ADDRESSES: usize = 12;

/// Where a server may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere: an operator names it on the command line.
    Anywhere,
    /// Where the egress gate lets the server go: a judged file names it.
    Outside {
        /// Outside of production the gate lets it go to this machine, where that is named by its address.
        loopback: bool,
    },
}

impl Reach {
    /// Of what this configuration names.
    pub fn of(config: &Config) -> Self {
        Self::Outside { loopback: config.security.environment != Environment::Production }
    }

    fn lets(self, host: &str, address: IpAddr) -> bool {
        let literal = || host.parse::<IpAddr>().is_ok_and(|literal| literal.is_loopback());
        match self {
            Self::Anywhere => true,
            Self::Outside { loopback } => {
                classify(address) == AddressClass::Global || (loopback && literal())
            }
        }
    }
}

/// Something to look at.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port`.
    pub name: String,
    /// Its host, in brackets where it is an address of IPv6.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub kind: Kind,
    /// Where it may be.
    pub reach: Reach,
}

impl Target {
    /// What a URL names.
    pub fn of(url: &Url, reach: Reach) -> Option<Self> {
        let (host, port) = (url.host_str()?.to_owned(), url.port_or_known_default()?);
        let kind = match (url.scheme(), is_on_loopback(url)) {
            ("https", _) => Kind::Secured,
            (_, true) => Kind::PlainLoopback,
            (_, false) => Kind::Plain,
        };
        Some(Self { name: format!("{host}:{port}"), host, port, kind, reach })
    }

    /// The addresses of its host, at most [`MOST_ADDRESSES`], and how many more there are.
    ///
    /// # Errors
    /// Where it has none, or one to which it may not lead.
    pub async fn resolved(&self) -> Seen<(Vec<Server>, usize)> {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        let found = timeout(PATIENCE, tokio::net::lookup_host((bare, self.port))).await;
        let mut addresses: Vec<SocketAddr> =
            found.ok().and_then(Result::ok).map(Iterator::collect).unwrap_or_default();
        addresses.sort_unstable();
        addresses.dedup();
        if let Some(address) = addresses.iter().find(|address| !self.reach.lets(bare, address.ip())) {
            let (host, class) = (&self.host, classify(address.ip()));
            return Err(Unseen::because(format!(
                "{host} leads to a {class} address, which the egress gate refuses (what --live and --address name may be anywhere)"
            )));
        }
        let more = addresses.len().saturating_sub(MOST_ADDRESSES);
        addresses.truncate(MOST_ADDRESSES);
        match addresses.is_empty() {
            true => Err(Unseen::because(format!("the name {} could not be resolved", self.host))),
            false => {
                let server = |address| Server { address, host: self.host.clone() };
                Ok((addresses.into_iter().map(server).collect(), more))
            }
        }
    }
}

/// The live server: named, or the public URL where somebody wrote it down and it is not this machine's alone.
pub fn own_url(request: &Request) -> Option<(Url, Reach)> {
    let config = request.loaded.as_far_as_valid();
    let server = &config.server;
    let is_public = server.public_url_is_explicit && !is_on_loopback(&server.public_url);
    let public = || is_public.then(|| (server.public_url.clone(), Reach::of(config)));
    request.live.clone().map(|url| (url, Reach::Anywhere)).or_else(public)
}

/// Those of ours: the addresses that were named, or else the live server.
pub fn own(request: &Request, own: Option<&(Url, Reach)>) -> Vec<Target> {
    if request.addresses.is_empty() {
        return own.and_then(|(url, reach)| Target::of(url, *reach)).into_iter().collect();
    }
    let urls = request.addresses.iter().filter_map(|address| Url::parse(&format!("https://{address}/")).ok());
    urls.filter_map(|url| Target::of(&url, Reach::Anywhere)).collect()
}

/// Those that the server calls, each once.
pub fn upstreams(config: &Config) -> Vec<Target> {
    let hosts =
        config.network.allowed_hosts.iter().filter_map(|host| Url::parse(&format!("https://{host}/")).ok());
    let urls = [&config.spotify.accounts_url, &config.spotify.api_url].into_iter().cloned();
    let all = urls.chain(hosts).chain(config.audit.anchors.webhook.clone());
    let mut targets: Vec<Target> = all.filter_map(|url| Target::of(&url, Reach::of(config))).collect();
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    targets.dedup_by(|one, other| one.name == other.name);
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolved(url: &str, reach: Reach) -> Seen<(Vec<Server>, usize)> {
        Target::of(&url.parse().unwrap(), reach).unwrap().resolved().await
    }

    #[tokio::test]
    async fn what_a_judged_file_names_goes_through_the_gate() {
        let outside = |loopback| Reach::Outside { loopback };
        for (url, word) in [
            ("https://10.0.0.1", "private"),
            ("https://169.254.169.254", "link_local"),
            ("https://[fd00::1]", "private"),
            ("https://127.0.0.1", "loopback"),
            ("https://localhost", "loopback"),
        ] {
            let why = resolved(url, outside(false)).await.unwrap_err().why;
            assert!(why.contains(word), "{url}: {why}");
            assert!(resolved(url, Reach::Anywhere).await.is_ok(), "{url}: an operator's own choice");
        }
        assert!(resolved("https://127.0.0.1", outside(true)).await.is_ok(), "a simulator in development");
        assert!(resolved("https://localhost", outside(true)).await.is_err(), "a name that leads here");
        let gone = resolved("https://no-such-name.invalid", Reach::Anywhere).await.unwrap_err();
        assert!(gone.why.contains("could not be resolved"));
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_found_once() {
        let (servers, more) = resolved("https://127.0.0.1:8443", Reach::Anywhere).await.unwrap();
        assert_eq!((servers.len(), more), (1, 0));
        assert_eq!(servers[0].address, "127.0.0.1:8443".parse().unwrap());
        let (servers, _) = resolved("https://localhost:8443", Reach::Anywhere).await.unwrap();
        assert!(servers.iter().all(|server| server.address.ip().is_loopback() && server.host == "localhost"));
        assert!(servers.windows(2).all(|pair| pair[0].address < pair[1].address));
    }
}
