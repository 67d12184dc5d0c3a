//! Negative probes of our own way out, in this process and on loopback alone: what it must refuse is tried, and beside
//! it what it must let through, so that a gate which refuses everything proves nothing.
//!
//! Never: a connection to anywhere but the listeners that are made here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::connecting::connect;
use super::hello;
use crate::ambient::Clock;
use crate::check::finding::{Seen, Unseen};
use crate::config::certificate;
use crate::egress::{Bytes, EgressError, Gate, GatePolicy, Limits, Resolver};
use crate::reading::io_cause;

/// One probe and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was tried.
    pub what: &'static str,
    /// Whether it went as it must.
    pub as_expected: bool,
    /// What the gate said.
    pub said: String,
}

/// What was tried in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Certificates and versions that must be refused.
    pub tls: Seen<Vec<Outcome>>,
    /// Targets that must be refused.
    pub targets: Seen<Vec<Outcome>>,
    /// A redirect that must not be followed.
    pub redirects: Seen<Vec<Outcome>>,
}

/// Tries all of it. `policy` is that of the configuration.
pub async fn run(policy: Seen<GatePolicy>, clock: &Clock) -> Proof {
    let targets = match policy {
        Ok(policy) => targets(policy, clock).await,
        Err(unseen) => Err(unseen),
    };
    match loopback().await {
        Ok(()) => Proof { tls: certificates(clock).await, targets, redirects: redirects(clock).await },
        Err(unseen) => Proof { tls: Err(unseen.clone()), targets, redirects: Err(unseen) },
    }
}

/// Whether this machine reaches itself: a sandbox without any network may not, which is nobody's fault.
async fn loopback() -> Seen<()> {
    let (_listener, address) = bound().await?;
    drop(connect(address).await?);
    Ok(())
}

/// How long a probe may take.
const PATIENCE: Duration = Duration::from_secs(5);

async fn get(gate: &Gate, url: &str) -> Result<u16, EgressError> {
    let request = Request::get(url).body(Bytes::new()).map_err(|_| EgressError::NoTarget)?;
    gate.send(request, Limits::within(PATIENCE, 1024)).await.map(|answer| answer.status().as_u16())
}

fn said(answer: &Result<u16, EgressError>) -> String {
    match answer {
        Ok(status) => format!("answered {status}"),
        Err(error) => error.code().to_owned(),
    }
}

/// A throw-away authority and certificates by it. They exist for the moment of the probe, and are trusted by its gate
/// alone.
pub(super) struct Certificates {
    pub(super) authority: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

pub(super) type Pair = (CertificateDer<'static>, PrivateKeyDer<'static>);

impl Certificates {
    pub(super) fn new() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key)?.der().clone();
        Ok(Self { authority, issuer: Issuer::new(params, key) })
    }

    pub(super) fn issue(&self, name: &str, expired: bool, by_itself: bool) -> Result<Pair, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([name.to_owned()])?;
        if expired {
            params.not_before = rcgen::date_time_ymd(2019, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let signed =
            if by_itself { params.self_signed(&key)? } else { params.signed_by(&key, &self.issuer)? };
        let der = key.serialize_der();
        Ok((signed.der().clone(), PrivateKeyDer::Pkcs8(der.into())))
    }
}

/// A listener of the moment; gone with it.
pub(super) struct Local {
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Local {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn bound() -> Seen<(TcpListener, SocketAddr)> {
    let unseen = |error: std::io::Error| {
        Unseen::because(format!("no listener on loopback for the probe: {}", io_cause(&error)))
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(unseen)?;
    let address = listener.local_addr().map_err(unseen)?;
    Ok((listener, address))
}

async fn certificates(clock: &Clock) -> Seen<Vec<Outcome>> {
    let unmade = |error: rcgen::Error| Unseen::because(format!("no certificate for the probe: {error}"));
    let certificates = Certificates::new().map_err(unmade)?;
    let mut outcomes = Vec::new();
    for (what, name, expired, by_itself) in [
        ("a sound certificate is accepted", "127.0.0.1", false, false),
        ("a self-signed certificate", "127.0.0.1", false, true),
        ("a certificate for another name", "other.invalid", false, false),
        ("an expired certificate", "127.0.0.1", true, false),
    ] {
        let server = secured(certificates.issue(name, expired, by_itself).map_err(unmade)?).await?;
        let answer = get(&trusting(&certificates, server.address, clock)?, &url(server.address)).await;
        let expected = match what {
            "a sound certificate is accepted" => matches!(answer, Ok(204)),
            _ => matches!(answer, Err(EgressError::Tls { certificate: true, .. })),
        };
        outcomes.push(Outcome { what, as_expected: expected, said: said(&answer) });
    }
    let old = answering(old_server_hello(hello::TLS11, 0xc013), Arc::default()).await?;
    let answer = get(&trusting(&certificates, old.address, clock)?, &url(old.address)).await;
    let expected = matches!(answer, Err(EgressError::Tls { certificate: false, .. }));
    outcomes.push(Outcome {
        what: "a server that speaks TLS 1.1",
        as_expected: expected,
        said: said(&answer),
    });
    Ok(outcomes)
}

fn url(address: SocketAddr) -> String {
    format!("https://{address}/")
}

fn trusting(certificates: &Certificates, address: SocketAddr, clock: &Clock) -> Seen<Gate> {
    let unseen = |why: String| Unseen::because(format!("no gate for the probe: {why}"));
    let policy =
        GatePolicy::new().with_loopback().allow(&url(address)).map_err(|why| unseen(why.to_string()))?;
    Gate::trusting(policy, clock.clone(), std::slice::from_ref(&certificates.authority))
        .map_err(|error| unseen(error.to_string()))
}

pub(super) async fn secured((certificate, key): Pair) -> Seen<Local> {
    let unseen = |error: rustls::Error| Unseen::because(format!("no TLS server for the probe: {error}"));
    let config = ServerConfig::builder_with_provider(Arc::new(certificate::provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key))
        .map_err(unseen)?;
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (listener, address) = bound().await?;
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    Ok(Local { address, task })
}

/// Answers each connection with these bytes, and counts them.
pub(super) async fn answering(bytes: Vec<u8>, asked: Arc<AtomicUsize>) -> Seen<Local> {
    let (listener, address) = bound().await?;
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            asked.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
    });
    Ok(Local { address, task })
}

/// A server's first message in an old version: it picked this suite.
pub fn old_server_hello(version: u16, suite: u16) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(suite.to_be_bytes());
    body.push(0);
    let mut message = vec![22, 3, 1, 0, 4 + 38, 2, 0, 0, 38];
    message.extend(body);
    message
}

/// What stands for a host that is allowed: `.invalid` leads nowhere (RFC 2606).
const LISTED: &str = "listed.invalid";

async fn targets(policy: GatePolicy, clock: &Clock) -> Seen<Vec<Outcome>> {
    let policy =
        policy.allow(LISTED).map_err(|why| Unseen::because(format!("no policy for the probe: {why}")))?;
    let uri = http::Uri::from_static("https://listed.invalid/");
    let lets_through = policy.judge(&uri).is_ok();
    let control = Outcome {
        what: "a listed host is let through",
        as_expected: lets_through,
        said: if lets_through { "allowed" } else { "refused" }.to_owned(),
    };
    let mut outcomes = vec![control];
    for (what, url) in [
        ("a host that is not listed", "https://unlisted.invalid/"),
        ("a name that ends like a listed one", "https://not-listed.invalid/"),
        ("another port of a listed host", "https://listed.invalid:8443/"),
        ("plain http to a listed host", "http://listed.invalid/"),
        ("a trailing dot", "https://listed.invalid./"),
        ("a user name before the host", "https://listed.invalid@127.0.0.2/"),
        ("an IPv4 address", "https://192.0.2.1/"),
        ("an IPv6 address", "https://[2001:db8::1]/"),
        ("a mapped address", "https://[::ffff:127.0.0.2]/"),
        ("an address as one number", "https://2130706434/"),
        ("an address in hexadecimal", "https://0x7f000002/"),
        ("the address of a cloud's metadata", "http://169.254.169.254/latest/meta-data/"),
    ] {
        let gate = Gate::with_resolver(policy.clone(), clock.clone(), Resolver::given(|_| Vec::new()));
        let answer = get(&gate, url).await;
        let expected =
            matches!(answer, Err(EgressError::HostNotAllowed(_))) && gate.counters().connections == 0;
        outcomes.push(Outcome { what, as_expected: expected, said: said(&answer) });
    }
    for (what, addresses) in REBINDING {
        let resolver =
            Resolver::given(|_| addresses.iter().filter_map(|text| text.parse::<IpAddr>().ok()).collect());
        let gate = Gate::with_resolver(policy.clone(), clock.clone(), resolver);
        let answer = get(&gate, "https://listed.invalid/").await;
        let expected =
            matches!(answer, Err(EgressError::AddressNotAllowed(_))) && gate.counters().connections == 0;
        outcomes.push(Outcome { what, as_expected: expected, said: said(&answer) });
    }
    Ok(outcomes)
}

/// Where a listed name could be made to lead.
const REBINDING: [(&str, &[&str]); 6] = [
    ("a listed name that leads to loopback", &["127.0.0.1"]),
    ("a listed name that leads to an inner network", &["10.0.0.1"]),
    ("a listed name that leads to a cloud's metadata", &["169.254.169.254"]),
    ("a listed name that leads to a mapped address", &["::ffff:127.0.0.1"]),
    ("a listed name that leads to IPv6 loopback", &["::1"]),
    ("a listed name with one inner address among public ones", &["35.186.224.24", "192.168.0.1"]),
];

async fn redirects(clock: &Clock) -> Seen<Vec<Outcome>> {
    let reached = Arc::new(AtomicUsize::new(0));
    let trap = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(), reached.clone()).await?;
    let mut outcomes = Vec::new();
    for (what, status) in [
        ("301 to elsewhere", 301_u16),
        ("302 to elsewhere", 302),
        ("303 to elsewhere", 303),
        ("307 to elsewhere", 307),
        ("308 to elsewhere", 308),
    ] {
        let head = format!(
            "HTTP/1.1 {status} Moved\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
            trap.address
        );
        let server = answering(head.into_bytes(), Arc::default()).await?;
        let policy = [server.address, trap.address]
            .iter()
            .try_fold(GatePolicy::new().with_loopback(), |policy, address| {
                policy.allow(&format!("http://{address}"))
            });
        let policy = policy.map_err(|why| Unseen::because(format!("no policy for the probe: {why}")))?;
        let gate = Gate::new(policy, clock.clone());
        let answer = get(&gate, &format!("http://{}/", server.address)).await;
        let expected = answer == Ok(status) && reached.load(Ordering::SeqCst) == 0;
        outcomes.push(Outcome { what, as_expected: expected, said: said(&answer) });
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn our_own_gate_refuses_all_of_it_and_lets_the_sound_through() {
        for policy in [GatePolicy::new(), GatePolicy::new().with_loopback()] {
            let proof = run(Ok(policy), &Clock::system()).await;
            for (outcomes, count) in [(proof.tls, 5), (proof.targets, 19), (proof.redirects, 5)] {
                let outcomes = outcomes.unwrap();
                assert_eq!(outcomes.len(), count);
                let wrong: Vec<_> = outcomes.iter().filter(|outcome| !outcome.as_expected).collect();
                assert!(wrong.is_empty(), "{wrong:#?}");
            }
        }
    }

    #[tokio::test]
    async fn a_gate_that_would_let_anybody_through_is_found_out() {
        let open = GatePolicy::new().with_any_public_host();
        let outcomes = run(Ok(open), &Clock::system()).await.targets.unwrap();
        let wrong: Vec<_> =
            outcomes.iter().filter(|outcome| !outcome.as_expected).map(|outcome| outcome.what).collect();
        assert!(
            wrong.contains(&"a host that is not listed") && wrong.contains(&"another port of a listed host"),
            "{wrong:?}"
        );
        assert!(!wrong.contains(&"an IPv4 address"));
    }
}
