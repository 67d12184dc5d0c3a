//! What is accepted over HTTP at the protocol's door: hosts, origins, and how much at once. Decides nothing by itself.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use http::{HeaderMap, HeaderValue, header};
use tokio_util::sync::CancellationToken;

use crate::config::{LimitsConfig, ServerConfig};

/// Longest body that is read where the configuration sets no limit of its own.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// What is accepted over HTTP.
#[derive(Clone, Debug)]
pub struct HttpPolicy {
    /// Values of `Host` that are ours: a name, or a name and a port. The public URL's and the listener's.
    pub hosts: Vec<String>,
    /// Browser origins that may call, each with its port unless it is the scheme's own. The public URL's among them.
    pub origins: Vec<String>,
    /// Most bytes of a request's body; 0 means the transport's own bound of 4 MiB.
    pub body_bytes: usize,
    /// Most streamed answers of one person at once; 0: any number. May change while the server runs.
    pub streams_per_user: Arc<AtomicU32>,
    /// Ends everything under way when cancelled. Cancel it after the drain.
    pub shutdown: CancellationToken,
}

impl HttpPolicy {
    /// What the configuration says: the public URL's host and the listener's, the public URL's origin and the listed
    /// ones.
    pub fn of(server: &ServerConfig, limits: &LimitsConfig, shutdown: CancellationToken) -> Self {
        let mut hosts: Vec<_> = server.public_url.host_str().map(str::to_owned).into_iter().collect();
        if server.host.is_loopback() {
            hosts.extend(["127.0.0.1", "[::1]", "localhost"].map(str::to_owned));
        } else if !server.host.is_unspecified() {
            hosts.push(bracketed(server.host));
        }
        let mut origins = vec![server.public_url.origin().ascii_serialization()];
        origins.extend(server.allowed_origins.iter().cloned());
        let body_bytes = usize::try_from(limits.mcp_body_bytes).unwrap_or(LARGEST_BODY).min(LARGEST_BODY);
        let streams_per_user = Arc::new(limits.mcp_connections_per_user.into());
        Self { hosts, origins, body_bytes, streams_per_user, shutdown }
    }

    /// Most bytes of a request's body, which are never without a bound.
    pub(super) const fn most_body_bytes(&self) -> usize {
        if self.body_bytes == 0 { LARGEST_BODY } else { self.body_bytes }
    }

    /// The origins as browsers write them.
    pub(super) fn to_compare(&self) -> Origins {
        Origins(self.origins.clone().into())
    }

    /// The origins as the library compares them.
    pub(super) fn origins_with_ports(&self) -> impl Iterator<Item = String> {
        self.origins.iter().map(|origin| with_port(origin))
    }
}

/// Origins that may call, as browsers write them. Cheap to clone.
#[derive(Clone)]
pub(super) struct Origins(Arc<[String]>);

impl Origins {
    /// Whether these headers name no origin, or only such as may call.
    pub(super) fn let_in(&self, headers: &HeaderMap) -> bool {
        let is_ours = |origin: &HeaderValue| self.0.iter().any(|ours| ours.as_bytes() == origin.as_bytes());
        headers.get_all(header::ORIGIN).into_iter().all(is_ours)
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// A browser writes no default port; the library then wants it written out.
fn with_port(origin: &str) -> String {
    let port = match origin.split_once("://") {
        Some((_, authority)) if authority.rsplit_once(':').is_some_and(|(_, port)| is_number(port)) => "",
        Some(("https", _)) => ":443",
        Some(("http", _)) => ":80",
        _ => "",
    };
    format!("{}{port}", origin.trim_end_matches('/'))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_origin_of_a_request_must_be_one_that_may_call() {
        let ours = Origins(["https://music.example".to_owned()].into());
        let let_in = |origins: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for origin in origins {
                headers.append(header::ORIGIN, HeaderValue::from_static(origin));
            }
            ours.let_in(&headers)
        };
        assert!(let_in(&[]) && let_in(&["https://music.example"]));
        for foreign in
            ["null", "", "http://music.example", "https://music.example.evil", "https://music.example:8443"]
        {
            assert!(!let_in(&[foreign]) && !let_in(&["https://music.example", foreign]), "{foreign}");
        }
    }

    #[test]
    fn origins_are_compared_with_their_port_written_out() {
        assert_eq!(with_port("https://music.example"), "https://music.example:443");
        assert_eq!(with_port("http://[::1]:8000"), "http://[::1]:8000");
        assert_eq!(with_port("http://[::1]"), "http://[::1]:80");
        assert_eq!(with_port("http://127.0.0.1/"), "http://127.0.0.1:80");
        assert_eq!(with_port("null"), "null");
    }

    fn policy(host: &str, public_url: &str) -> HttpPolicy {
        let server = ServerConfig {
            offer: crate::policy::Offer::default(),
            host: host.parse().unwrap(),
            port: 8000,
            public_url: public_url.parse().unwrap(),
            public_url_is_explicit: true,
            allowed_origins: vec!["https://inspector.example".to_owned()],
            trusted_proxies: vec![],
            tls: None,
            drain: std::time::Duration::ZERO,
            security_contact: None,
        };
        let limits = LimitsConfig {
            calls_per_user_per_minute: 600,
            reads_per_user_per_minute: 0,
            writes_per_user_per_minute: 120,
            player_calls_per_user_per_minute: 120,
            calls_per_client_per_minute: 0,
            concurrent_calls_per_user: 32,
            concurrent_calls: 1024,
            registrations_per_address_per_hour: 30,
            unused_clients_per_address_per_day: 50,
            unused_clients: 10_000,
            client_documents_per_address_per_minute: 0,
            failed_attempts_per_address_per_minute: 100,
            api_keys_per_user: 20,
            logins_per_address_per_minute: 60,
            logins_in_progress: 20_000,
            connections: 10_000,
            mcp_body_bytes: u64::MAX,
            body_bytes: 65_536,
            mcp_session_idle: std::time::Duration::ZERO,
            mcp_connections_per_user: 20,
            undo_for: std::time::Duration::ZERO,
        };
        HttpPolicy::of(&server, &limits, CancellationToken::new())
    }

    #[test]
    fn the_configuration_says_which_hosts_and_origins_are_ours() {
        let public = policy("0.0.0.0", "https://music.example/");
        assert_eq!(public.hosts, ["music.example"]);
        assert_eq!(public.body_bytes, LARGEST_BODY);
        assert_eq!(public.origins, ["https://music.example", "https://inspector.example"]);
        let local = policy("127.0.0.1", "http://127.0.0.1:8000/");
        assert!(local.hosts.contains(&"localhost".to_owned()));
        assert!(policy("2001:db8::1", "https://music.example").hosts.contains(&"[2001:db8::1]".to_owned()));
    }
}
