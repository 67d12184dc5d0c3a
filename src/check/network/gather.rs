//! Gathers what the rules stand on; never fails: what cannot be seen says why. Offline nothing is sent but to listeners
//! that this process makes on loopback.

use std::net::IpAddr;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::time::timeout;
use url::Url;

use super::live::{self, Live};
use super::tls::{self, PATIENCE, Server, Shown, Strict, Trust};
use super::web::{Place, body};
use super::{Declared, Facts, Kind, Looked, proof, signing};
use crate::ambient::Timestamp;
use crate::app;
use crate::check::finding::{Seen, Unseen};
use crate::check::request::Request;
use crate::config::{Config, is_on_loopback};
use crate::egress::{AddressClass, classify};

/// A certificate file is a few kilobytes.
const LARGEST_CA: u64 = 1 << 20;

/// Looks at everything that may be looked at.
pub async fn gather(request: &Request) -> Facts {
    let config = request.loaded.as_far_as_valid();
    let policy = app::gate_policy(config).map_err(|error| match error {
        app::BuildError::Host(key, why) => Unseen::because(format!("{key}: {why}")),
        _ => Unseen::because("the configuration makes no gate"),
    });
    let mut facts = Facts {
        servers: Vec::new(),
        no_server: "no server is named: --live URL, --address HOST:PORT, or an https public URL in the configuration",
        upstreams: Vec::new(),
        skew: Err(offline()),
        proof: proof::run(policy, &request.clock).await,
        signing: signing::run(&request.dice, request.now),
        live: None,
        declared: declared(config),
    };
    if request.offline {
        facts.no_server = "--offline";
        return facts;
    }
    let trust = match trust(request.ca.as_deref()) {
        Ok(trust) => trust,
        Err(unseen) => return unlooked(facts, request, &unseen),
    };
    let own = own_url(request);
    for target in own_targets(request, own.as_ref()) {
        facts.servers.push(look(target, &trust, request).await);
    }
    for target in upstreams(config) {
        facts.upstreams.push(look(target, &trust, request).await);
    }
    facts.skew = skew(&facts.upstreams, &trust, request).await;
    if let Some(url) = &own {
        facts.live = Some(live(url, trust).await);
    }
    facts
}

fn offline() -> Unseen {
    Unseen::because("--offline: nothing was asked of others")
}

/// Where it is not known whom to trust, nobody is asked.
fn unlooked(mut facts: Facts, request: &Request, unseen: &Unseen) -> Facts {
    let unseen_at =
        |target: Target| Looked { name: target.name, kind: target.kind, shown: Err(unseen.clone()) };
    let own = own_url(request);
    facts.servers = own_targets(request, own.as_ref()).into_iter().map(unseen_at).collect();
    facts.upstreams = upstreams(request.loaded.as_far_as_valid()).into_iter().map(unseen_at).collect();
    facts.skew = Err(unseen.clone());
    facts.live = own.map(|_| Err(unseen.clone()));
    facts
}

/// The web's authorities, and those of a PEM file.
fn trust(own: Option<&Path>) -> Seen<Trust> {
    use std::io::Read as _;
    let Some(path) = own else { return Ok(Trust::web_and(&[])) };
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LARGEST_CA).read_to_end(&mut bytes));
    read.map_err(|error| Unseen::because(format!("{} cannot be read: {}", path.display(), error.kind())))?;
    let authorities: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&bytes).collect();
    match authorities {
        Ok(authorities) if !authorities.is_empty() => Ok(Trust::web_and(&authorities)),
        _ => Err(Unseen::because(format!("{} holds no certificate in PEM", path.display()))),
    }
}

/// Something to look at.
struct Target {
    name: String,
    host: String,
    port: u16,
    kind: Kind,
    /// Whether it may be on an inner network: what the operator names, not what the gate lets through.
    anywhere: bool,
}

impl Target {
    fn of(url: &Url, anywhere: bool) -> Option<Self> {
        let (host, port) = (url.host_str()?.to_owned(), url.port_or_known_default()?);
        let kind = match (url.scheme(), is_on_loopback(url)) {
            ("https", _) => Kind::Secured,
            (_, true) => Kind::PlainLoopback,
            (_, false) => Kind::Plain,
        };
        Some(Self { name: format!("{host}:{port}"), host, port, kind, anywhere })
    }
}

/// The live server: named, or the public URL where somebody wrote it down and it is not this machine's alone.
fn own_url(request: &Request) -> Option<Url> {
    let server = &request.loaded.as_far_as_valid().server;
    let public = || server.public_url_is_explicit && !is_on_loopback(&server.public_url);
    request.live.clone().or_else(|| public().then(|| server.public_url.clone()))
}

fn own_targets(request: &Request, own: Option<&Url>) -> Vec<Target> {
    if request.addresses.is_empty() {
        return own.and_then(|url| Target::of(url, true)).into_iter().collect();
    }
    let urls = request.addresses.iter().filter_map(|address| Url::parse(&format!("https://{address}/")).ok());
    urls.filter_map(|url| Target::of(&url, true)).collect()
}

fn upstreams(config: &Config) -> Vec<Target> {
    let hosts =
        config.network.allowed_hosts.iter().filter_map(|host| Url::parse(&format!("https://{host}/")).ok());
    let urls = [&config.spotify.accounts_url, &config.spotify.api_url].into_iter().cloned();
    let all = urls.chain(hosts).chain(config.audit.anchors.webhook.clone());
    let mut targets: Vec<Target> = all.filter_map(|url| Target::of(&url, false)).collect();
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    targets.dedup_by(|one, other| one.name == other.name);
    targets
}

async fn look(target: Target, trust: &Trust, request: &Request) -> Looked {
    let shown = match target.kind {
        Kind::Secured => secured(&target, trust, request).await,
        Kind::PlainLoopback | Kind::Plain => Err(Unseen::because("it speaks plain HTTP")),
    };
    Looked { name: target.name, kind: target.kind, shown }
}

async fn secured(target: &Target, trust: &Trust, request: &Request) -> Seen<Shown> {
    let server = resolved(&target.host, target.port, target.anywhere).await?;
    tls::look(&server, trust, &request.dice).await
}

/// The first address of a host. What our own connections would refuse is refused here too, unless an operator named it.
async fn resolved(host: &str, port: u16, anywhere: bool) -> Seen<Server> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let literal = bare.parse::<IpAddr>().ok();
    let found = timeout(PATIENCE, tokio::net::lookup_host((bare, port))).await;
    let unresolved = || Unseen::because(format!("the name {host} could not be resolved"));
    let address =
        found.ok().and_then(Result::ok).and_then(|mut found| found.next()).ok_or_else(unresolved)?;
    let class = classify(address.ip());
    let own_choice = anywhere || literal.is_some_and(|ip| ip.is_loopback());
    if class != AddressClass::Global && !own_choice {
        return Err(Unseen::because(format!(
            "{host} leads to a {class} address, which the egress gate refuses"
        )));
    }
    Ok(Server { address, host: host.to_owned() })
}

async fn live(url: &Url, trust: Trust) -> Seen<Live> {
    let target = Target::of(url, true).ok_or_else(|| Unseen::because("the URL names no host"))?;
    let server = resolved(&target.host, target.port, true).await?;
    let authority = match url.port() {
        Some(port) => format!("{}:{port}", target.host),
        None => target.host.clone(),
    };
    // Where nobody answers at all, that is said once and for all.
    drop(tls::connect(server.address).await?);
    let place = Place { server, secured: target.kind == Kind::Secured, authority, trust };
    Ok(live::look(url, &place).await)
}

/// This machine's clock against the first upstream that was trusted and says what time it has.
async fn skew(upstreams: &[Looked], trust: &Trust, request: &Request) -> Seen<i64> {
    let trusted =
        |looked: &&Looked| matches!(&looked.shown, Ok(Shown { strict: Strict::Trusted { .. }, .. }));
    let Some(upstream) = upstreams.iter().find(trusted) else {
        return Err(Unseen::because(
            "no upstream could be reached and trusted, whose clock would be compared",
        ));
    };
    let (host, port) = upstream.name.rsplit_once(':').unwrap_or((&upstream.name, "443"));
    let server = resolved(host, port.parse().unwrap_or(443), false).await?;
    let place = Place { server, secured: true, authority: upstream.name.clone(), trust: trust.clone() };
    let question = place.about("HEAD", "/").body(body(""));
    let question = question.map_err(|error| Unseen::because(error.to_string()))?;
    let reply = place.ask(question).await?;
    let here = request.clock.now();
    let there = reply.header("date").and_then(http_date);
    let there =
        there.ok_or_else(|| Unseen::because(format!("{} does not say what time it has", upstream.name)))?;
    Ok(here.secs() - there.secs())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    use time::macros::format_description;
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let at = time::PrimitiveDateTime::parse(text, &format).ok()?;
    Some(Timestamp::from_secs(at.assume_utc().unix_timestamp()))
}

fn declared(config: &Config) -> Declared {
    let limits = &config.limits;
    let counted = [
        ("limits.calls_per_user_per_minute", limits.calls_per_user_per_minute),
        ("limits.concurrent_calls_per_user", limits.concurrent_calls_per_user),
        ("limits.concurrent_calls", limits.concurrent_calls),
        ("limits.registrations_per_address_per_hour", limits.registrations_per_address_per_hour),
        ("limits.failed_attempts_per_address_per_minute", limits.failed_attempts_per_address_per_minute),
        ("limits.logins_per_address_per_minute", limits.logins_per_address_per_minute),
        ("limits.connections", limits.connections),
        ("limits.mcp_connections_per_user", limits.mcp_connections_per_user),
        ("limits.mcp_body_bytes", u32::from(limits.mcp_body_bytes > 0)),
        ("limits.body_bytes", u32::from(limits.body_bytes > 0)),
    ];
    let server = &config.server;
    Declared {
        own_tls: server.tls.is_some(),
        public_tls: server.public_url.scheme() == "https",
        listens_on_loopback: server.host.is_loopback(),
        proxies: server.trusted_proxies.clone(),
        unlimited: counted.iter().filter(|(_, limit)| *limit == 0).map(|(key, _)| *key).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::network::fixtures::{Authority, BOTH, secured as serve};

    #[test]
    fn the_date_of_an_answer_is_read_strictly() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp::from_secs(784_111_777)));
        for other in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 40 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(http_date(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn what_the_gate_refuses_is_not_looked_at_unless_an_operator_names_it() {
        assert!(resolved("10.0.0.1", 443, false).await.unwrap_err().why.contains("private"));
        assert!(resolved("localhost", 443, false).await.unwrap_err().why.contains("loopback"));
        assert_eq!(resolved("10.0.0.1", 443, true).await.unwrap().address.port(), 443);
        assert!(resolved("127.0.0.1", 443, false).await.is_ok(), "a simulator in development");
        assert!(
            resolved("no-such-name.invalid", 443, true)
                .await
                .unwrap_err()
                .why
                .contains("could not be resolved")
        );
    }

    #[tokio::test]
    async fn a_live_server_is_asked_over_tls_only_where_it_is_trusted() {
        let authority = Authority::new();
        let address = serve(authority.issue("127.0.0.1", 2100), BOTH).await;
        let url: Url = format!("https://{address}/").parse().unwrap();
        let live_by = async |trust| live(&url, trust).await.unwrap();
        let live = live_by(Trust::web_and(std::slice::from_ref(&authority.root))).await;
        assert_eq!(live.page.as_ref().map(|reply| reply.status), Ok(204));
        assert!(live.plain.unwrap_err().why.contains("usual port"));
        let untrusted = live_by(Trust::web_and(&[])).await;
        assert!(untrusted.page.unwrap_err().why.contains("leads to no trusted authority"));
    }

    #[test]
    fn a_file_of_authorities_must_hold_some() {
        assert!(trust(Some(Path::new("/nowhere/ca.pem"))).unwrap_err().why.contains("cannot be read"));
        assert!(trust(Some(Path::new("/dev/null"))).unwrap_err().why.contains("no certificate"));
    }
}
