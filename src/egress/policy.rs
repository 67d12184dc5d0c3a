//! Which hosts may be reached: exact names with their port, https, and plain http to loopback literals if allowed.
//!
//! Never a wildcard, never a suffix, and never an address that is not loopback, but for a gate whose one host the
//! operator has said to be a private one. One policy alone names no hosts: that of a gate for what strangers name, https
//! to public hosts and nothing else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use http::Uri;

use super::{AddressClass, RefusalReason, classify};

/// What the gate allows. Starts with nothing.
#[derive(Clone, Debug)]
pub struct GatePolicy {
    origins: Vec<Origin>,
    loopback: bool,
    private: bool,
    anywhere: bool,
    /// Most time to resolve a name and connect; 5 s at first.
    pub connect_timeout: Duration,
    /// Longest time that an unused connection is kept; 60 s at first.
    pub idle_timeout: Duration,
    /// Most unused connections kept per host; 64 at first.
    pub idle_per_host: usize,
    /// Most requests under way at once, which bounds connections and memory; 512 at first. Further ones wait their turn.
    pub concurrent: usize,
}

/// Why something cannot be put on the list of allowed hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAHost {
    /// Not an absolute http or https URL, or not a plain host name.
    #[error("not a host name, host:port or http(s) URL")]
    Syntax,
    /// An address other than a permitted loopback literal.
    #[error(
        "an address instead of a name (only 127.0.0.0/8 and [::1] are possible, and only outside production)"
    )]
    Literal,
    /// Plain http to something else than a permitted loopback literal.
    #[error("plain http (only possible to 127.0.0.0/8 and [::1], and only outside production)")]
    PlainHttp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Default for GatePolicy {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            loopback: false,
            private: false,
            anywhere: false,
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            idle_per_host: 64,
            concurrent: 512,
        }
    }
}

impl GatePolicy {
    /// Allows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Permits loopback literals (`127.0.0.1`, `[::1]`) on the list, over http or https. For development and the
    /// sandbox; production never calls this. Call it before [`GatePolicy::allow`].
    #[must_use]
    pub const fn with_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Permits hosts of the operator's own network over TLS: names that lead to nothing but private and shared addresses
    /// and loopback, and such addresses themselves. Never link-local ones, where clouds keep their metadata. For a gate
    /// to one host that the operator names and calls private; call it before [`GatePolicy::allow`].
    #[must_use]
    pub const fn with_private(mut self) -> Self {
        self.private = true;
        self
    }

    /// Permits every host of the public web by its name, over https alone; with [`GatePolicy::with_loopback`], loopback
    /// literals over https too. Every address behind a name is judged as always. For what strangers name; never for
    /// a gate that carries a secret.
    #[must_use]
    pub const fn with_any_public_host(mut self) -> Self {
        self.anywhere = true;
        self
    }

    /// Puts a host on the list: an http(s) URL (its path is ignored), or `name` or `name:port` meaning https.
    ///
    /// # Errors
    /// Where it can never be reached under this policy.
    pub fn allow(mut self, host: &str) -> Result<Self, NotAHost> {
        let url = if host.contains("://") { host.to_owned() } else { format!("https://{host}/") };
        let uri: Uri = url.parse().map_err(|_| NotAHost::Syntax)?;
        let origin = Origin::of(&uri).map_err(|reason| match reason {
            RefusalReason::Literal => NotAHost::Literal,
            _ => NotAHost::Syntax,
        })?;
        match literal(&origin.host) {
            Some(address) if !self.allows_literal(address) => return Err(NotAHost::Literal),
            Some(address) if !origin.https && !self.allows_plainly(address) => {
                return Err(NotAHost::PlainHttp);
            }
            None if !origin.https => return Err(NotAHost::PlainHttp),
            _ => {}
        }
        if !self.origins.contains(&origin) {
            self.origins.push(origin);
        }
        Ok(self)
    }

    /// Whether a request may go to this target.
    pub(crate) fn judge(&self, uri: &Uri) -> Result<(), RefusalReason> {
        let (https, host, port) = parts(uri)?;
        let listed = self.origins.iter().any(|origin| {
            origin.port == port && origin.https == https && origin.host.eq_ignore_ascii_case(host)
        });
        let permitted = self.anywhere && https && literal(host).is_none_or(|at| self.allows_literal(at));
        if listed || permitted {
            return Ok(());
        }
        Err(match (literal(host).is_some(), https) {
            (true, _) => RefusalReason::Literal,
            (false, false) => RefusalReason::Scheme,
            (false, true) => RefusalReason::Unlisted,
        })
    }

    /// Whether a connection may be made to this literal. The list allowed its host already; this holds the line
    /// where a list was built under another policy.
    pub(super) fn allows_literal(&self, address: IpAddr) -> bool {
        self.allows_plainly(address) || self.is_inside(classify(address))
    }

    /// Whether a connection may be made to what a name leads to: public hosts, or the operator's own ones, never both.
    pub(super) fn judge_addresses(&self, classes: &[AddressClass]) -> Result<(), AddressClass> {
        let all_inside = !classes.is_empty() && classes.iter().all(|class| self.is_inside(*class));
        match classes.iter().find(|class| **class != AddressClass::Global) {
            Some(class) if !all_inside => Err(*class),
            _ => Ok(()),
        }
    }

    const fn allows_plainly(&self, address: IpAddr) -> bool {
        self.loopback && address.is_loopback()
    }

    const fn is_inside(&self, class: AddressClass) -> bool {
        self.private
            && matches!(class, AddressClass::Loopback | AddressClass::Private | AddressClass::CarrierNat)
    }
}

impl Origin {
    fn of(uri: &Uri) -> Result<Self, RefusalReason> {
        let (https, host, port) = parts(uri)?;
        Ok(Self { https, host: host.to_ascii_lowercase(), port })
    }
}

/// Scheme, host and port of a target whose host is written as a plain name or as a canonical literal.
fn parts(uri: &Uri) -> Result<(bool, &str, u16), RefusalReason> {
    let https = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(RefusalReason::Scheme),
    };
    let authority = uri.authority().ok_or(RefusalReason::Scheme)?;
    if authority.as_str().contains('@') {
        return Err(RefusalReason::UserInfo);
    }
    let host = authority.host();
    plain(host)?;
    let port = match authority.port() {
        Some(port) => port.as_str().parse().map_err(|_| RefusalReason::Unlisted)?,
        // "host:" without digits has no port to http::Uri, and another meaning to others.
        None if authority.as_str().len() != host.len() => return Err(RefusalReason::Unlisted),
        None if https => 443,
        None => 80,
    };
    Ok((https, host, port))
}

/// Refuses hosts that other software could read differently: dots at the ends, odd characters, and numbers that
/// some resolvers take for addresses (`2130706433`, `0x7f.1`, `0177.0.0.1`; WHATWG URL "ends in a number").
fn plain(host: &str) -> Result<(), RefusalReason> {
    if literal(host).is_some() {
        return Ok(());
    }
    if host.starts_with('[') {
        return Err(RefusalReason::Literal);
    }
    if host.is_empty() || host.len() > 253 || host.split('.').any(str::is_empty) {
        return Err(RefusalReason::Dots);
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(RefusalReason::Literal);
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.bytes().all(known) { Ok(()) } else { Err(RefusalReason::Unlisted) }
}

/// The address, where the host is one in canonical notation (`127.0.0.1`, `[::1]`).
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    if let Some(inside) = host.strip_prefix('[') {
        return inside.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ways to write addresses that nobody may be sent to, most of them 127.0.0.1.
    const NOTATIONS: [&str; 12] = [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "169.254.169.254",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
    ];

    fn judge(policy: &GatePolicy, url: &str) -> Result<(), RefusalReason> {
        policy.judge(&url.parse().unwrap())
    }

    #[test]
    fn only_the_listed_origin_passes() {
        let policy = GatePolicy::new().allow("https://api.spotify.com/v1").unwrap();
        assert_eq!(judge(&policy, "https://api.spotify.com/v1/me?q=1"), Ok(()));
        assert_eq!(judge(&policy, "https://API.spotify.com:443/"), Ok(()));
        let refused = [
            ("https://api.spotify.com:8443/", RefusalReason::Unlisted),
            ("https://api.spotify.com.evil.example/", RefusalReason::Unlisted),
            ("https://evil-api.spotify.com/", RefusalReason::Unlisted),
            ("http://api.spotify.com/", RefusalReason::Scheme),
            ("http://api.spotify.com:443/", RefusalReason::Scheme),
            ("ftp://api.spotify.com/", RefusalReason::Scheme),
            ("/v1/me", RefusalReason::Scheme),
            ("https://api.spotify.com./", RefusalReason::Dots),
            ("https://api..spotify.com/", RefusalReason::Dots),
            ("https://me:pw@api.spotify.com/", RefusalReason::UserInfo),
            ("https://api.spotify.com@evil.example/", RefusalReason::UserInfo),
        ];
        for (url, reason) in refused {
            assert_eq!(judge(&policy, url), Err(reason), "{url}");
        }
    }

    #[test]
    fn addresses_are_refused_in_every_notation() {
        let policy = GatePolicy::new().with_loopback().allow("http://127.0.0.1:4010").unwrap();
        assert_eq!(judge(&policy, "http://127.0.0.1:4010/x"), Ok(()));
        let others = ["127.0.0.01", "127.0.0.2", "[::1]", "[0:0:0:0:0:0:0:1]"];
        for host in NOTATIONS.into_iter().chain(others) {
            let refused = judge(&policy, &format!("http://{host}:4010/"));
            assert_eq!(refused, Err(RefusalReason::Literal), "{host}");
        }
    }

    #[test]
    fn any_public_host_means_names_over_https() {
        let public = GatePolicy::new().with_any_public_host();
        assert_eq!(judge(&public, "https://client.example/c?x=1"), Ok(()));
        assert_eq!(judge(&public, "https://client.example:8443/c"), Ok(()));
        let refused = [
            ("http://client.example/", RefusalReason::Scheme),
            ("http://client.example:443/", RefusalReason::Scheme),
            ("https://me@client.example/", RefusalReason::UserInfo),
            ("https://client.example./", RefusalReason::Dots),
            ("https://client.example:/", RefusalReason::Unlisted),
        ];
        for (url, reason) in refused {
            assert_eq!(judge(&public, url), Err(reason), "{url}");
        }
        let others = [
            "127.0.0.1",
            "8.8.8.8",
            "10.0.0.1",
            "0.0.0.0",
            "[::1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "[fe80::1]",
            "[fd00::1]",
            "[2606:4700::1111]",
        ];
        for host in NOTATIONS.into_iter().chain(others) {
            let url = format!("https://{host}/c");
            assert_eq!(judge(&public, &url), Err(RefusalReason::Literal), "{host}");
            let local = public.clone().with_loopback();
            let loopback = matches!(host, "127.0.0.1" | "[::1]");
            assert_eq!(judge(&local, &url).is_ok(), loopback, "{host}");
        }
        assert_eq!(judge(&public.with_loopback(), "http://127.0.0.1/"), Err(RefusalReason::Literal));
    }

    #[test]
    fn what_a_name_leads_to_is_public_or_inside_and_never_both() {
        use AddressClass::{CarrierNat, CloudMetadata, Global, LinkLocal, Loopback, Private};
        let (public, private) = (GatePolicy::new(), GatePolicy::new().with_private());
        for policy in [&public, &private] {
            assert_eq!(policy.judge_addresses(&[Global, Global]), Ok(()));
            assert_eq!(policy.judge_addresses(&[Global, Private]), Err(Private));
            assert_eq!(policy.judge_addresses(&[Private, LinkLocal]), Err(Private));
            assert_eq!(policy.judge_addresses(&[CloudMetadata]), Err(CloudMetadata));
        }
        assert_eq!(public.judge_addresses(&[Loopback]), Err(Loopback));
        assert_eq!(public.clone().with_loopback().judge_addresses(&[Loopback]), Err(Loopback));
        assert_eq!(private.judge_addresses(&[Loopback, Private, CarrierNat]), Ok(()));
    }

    #[test]
    fn the_list_itself_takes_no_address_and_no_plain_http() {
        let production = GatePolicy::new();
        assert_eq!(production.clone().allow("http://127.0.0.1:1").unwrap_err(), NotAHost::Literal);
        assert_eq!(production.clone().allow("8.8.8.8").unwrap_err(), NotAHost::Literal);
        assert_eq!(production.clone().allow("http://example.org").unwrap_err(), NotAHost::PlainHttp);
        assert_eq!(production.clone().allow("*.example.org").unwrap_err(), NotAHost::Syntax);
        assert_eq!(production.clone().allow("").unwrap_err(), NotAHost::Syntax);
        let development = production.with_loopback();
        assert_eq!(development.clone().allow("http://10.0.0.1").unwrap_err(), NotAHost::Literal);
        assert_eq!(development.clone().allow("http://localhost:1").unwrap_err(), NotAHost::PlainHttp);
        assert!(development.clone().allow("http://[::1]:1").is_ok());
        let private = GatePolicy::new().with_private();
        for good in
            ["https://10.0.0.1:8443", "192.168.1.2:465", "[fd00::1]:465", "127.0.0.1:465", "100.64.0.1"]
        {
            assert!(private.clone().allow(good).is_ok(), "{good}");
        }
        for bad in
            ["8.8.8.8", "169.254.169.254", "[fe80::1]", "[::ffff:10.0.0.1]", "0.0.0.0", "[64:ff9b::a00:1]"]
        {
            assert_eq!(private.clone().allow(bad).unwrap_err(), NotAHost::Literal, "{bad}");
        }
        for plain in ["http://10.0.0.1", "http://127.0.0.1", "http://alerts.internal"] {
            assert_eq!(private.clone().allow(plain).unwrap_err(), NotAHost::PlainHttp, "{plain}");
        }
        assert!(development.allow("keys.example.org:8443").is_ok());
    }
}
