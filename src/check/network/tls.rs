//! A handshake as strict as our own connections to others, and what it tells: whether the server is to be trusted, and
//! why not. Beside it the few bytes of [`super::hello`] that ask for what a server should refuse.
//!
//! Never: accepting a certificate that webpki does not, or sending anything secret.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connecting::connect;
use super::hello::{self, Answer, Offer};
use crate::ambient::Dice;
use crate::check::finding::{Seen, Unseen};
use crate::config::certificate;

/// How long each connection may take to its end.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// No answer to a first message is longer.
const LONGEST: usize = 18 * 1024;

/// A server, and how its certificate must name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where.
    pub address: SocketAddr,
    /// A host name, or an address.
    pub host: String,
}

/// What a server showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What came of a handshake as our own connections make it.
    pub strict: Strict,
    /// Its certificate; `None`: it came to none.
    pub certificate: Option<Certificate>,
    /// What it answers to TLS 1.1 and older.
    pub legacy: Seen<Answer>,
    /// What it answers where only weak suites of TLS 1.2 are offered.
    pub weak: Seen<Answer>,
    /// What it answers where only suites are offered that do not encrypt, do not authenticate, or can be broken.
    pub unprotected: Seen<Answer>,
    /// What it answers where only the suite of TLS 1.3 is offered whose tags are short.
    pub short: Seen<Answer>,
    /// What it answers where only key exchanges are offered that hold against quantum computers.
    pub hybrid: Seen<Answer>,
}

/// What came of a strict handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strict {
    /// It was trusted.
    Trusted {
        /// `TLS 1.3`.
        version: &'static str,
        /// The suite as rustls calls it.
        suite: String,
        /// The key exchange as rustls calls it.
        group: String,
    },
    /// Its certificate was not.
    Untrusted(Fault),
    /// There was no version or suite in common, or it hung up; in words.
    Refused(String),
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has ended.
    Expired,
    /// It has not begun.
    NotYetValid,
    /// It names other hosts.
    WrongName,
    /// It signs itself.
    SelfSigned,
    /// It leads to no authority that is trusted: the authority is none of ours, or certificates between are missing.
    NoPath,
    /// A key of RSA in its chain has fewer than 2048 bits.
    SmallKey,
    /// Something else.
    Other,
}

impl Fault {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Expired => "the certificate has expired",
            Self::NotYetValid => "the certificate is not valid yet",
            Self::WrongName => "the certificate is for other names",
            Self::SelfSigned => "the certificate signs itself",
            Self::NoPath => "the certificate leads to no trusted authority",
            Self::SmallKey => "the RSA key is too small",
            Self::Other => "the certificate is not in order",
        }
    }
}

/// A certificate as far as it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// When it ends, in seconds since 1970; `None`: it cannot be read.
    pub ends: Option<i64>,
    /// Whether it names the host.
    pub names_host: bool,
    /// How many certificates came, itself included.
    pub sent: usize,
    /// The kind of key, for example `P-256`.
    pub key: String,
}

/// Whom to trust: the web's authorities, and those that were named.
#[derive(Clone, Debug)]
pub struct Trust {
    roots: Arc<RootCertStore>,
}

impl Trust {
    /// The web's authorities and these.
    pub fn web_and(own: &[CertificateDer<'static>]) -> Self {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(own.iter().cloned());
        Self { roots: Arc::new(roots) }
    }
}

/// Looks at a server's TLS: one strict handshake, five first messages.
///
/// # Errors
/// Where it cannot be connected to.
pub async fn look(server: &Server, trust: &Trust, dice: &Dice) -> Seen<Shown> {
    let (strict, certificate) = match handshake(server, trust).await? {
        (Ok(stream), certificate) => (trusted(&stream), certificate),
        (Err(strict), certificate) => (strict, certificate),
    };
    let ask = |offer| ask(server, offer, dice);
    let (legacy, weak, unprotected, short, hybrid) = tokio::join!(
        ask(Offer::Legacy),
        ask(Offer::WeakSuites),
        ask(Offer::Unprotected),
        ask(Offer::ShortTags),
        ask(Offer::PostQuantum)
    );
    Ok(Shown { strict, certificate, legacy, weak, unprotected, short, hybrid })
}

/// Connects and secures the connection, or says why that is not to be done; with the certificate that was shown.
///
/// # Errors
/// Where it cannot be connected to.
pub async fn handshake(
    server: &Server,
    trust: &Trust,
) -> Seen<(Result<TlsStream<TcpStream>, Strict>, Option<Certificate>)> {
    let stream = connect(server.address).await?;
    let witness = Arc::new(Witness::new(trust)?);
    let provider = Arc::new(certificate::provider());
    let versions = &[&rustls::version::TLS13, &rustls::version::TLS12];
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
    let config = config.map_err(|error| Unseen::because(error.to_string()))?;
    // The witness asks webpki and passes its judgement on.
    let config = config.dangerous().with_custom_certificate_verifier(witness.clone()).with_no_client_auth();
    let name = named(&server.host)?;
    let secured = timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name.clone(), stream)).await;
    let chain = witness.seen.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    let certificate = (!chain.is_empty()).then(|| described(&chain, &name));
    let strict = match secured {
        Ok(Ok(stream)) => return Ok((Ok(stream), certificate)),
        Ok(Err(error)) => failed(&error, &chain),
        Err(_) => Strict::Refused("no handshake within 5 seconds".to_owned()),
    };
    Ok((Err(strict), certificate))
}

fn named(host: &str) -> Seen<ServerName<'static>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned())
        .map_err(|_| Unseen::because("its host is no name that a certificate can have"))
}

/// Sends a first message and reads the first record of the answer.
async fn ask(server: &Server, offer: Offer, dice: &Dice) -> Seen<Answer> {
    let mut stream = connect(server.address).await?;
    let is_name = server.host.parse::<std::net::IpAddr>().is_err() && !server.host.starts_with('[');
    let message = hello::hello(offer, is_name.then_some(server.host.as_str()), &dice.bytes::<32>());
    let exchange = async {
        stream.write_all(&message).await?;
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        while answer.len() < hello::answer_length(&answer).unwrap_or(LONGEST).min(LONGEST) {
            match stream.read(&mut part).await? {
                0 => break,
                read => answer.extend_from_slice(&part[..read]),
            }
        }
        Ok::<_, std::io::Error>(answer)
    };
    match timeout(PATIENCE, exchange).await {
        Ok(Ok(answer)) => Ok(hello::answer(&answer)),
        // Hanging up is an answer too.
        Ok(Err(_)) => Ok(Answer::Other),
        Err(_) => Err(Unseen::because("no answer to a first message within 5 seconds")),
    }
}

fn trusted(stream: &TlsStream<TcpStream>) -> Strict {
    let connection = &stream.get_ref().1;
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "an unknown version",
    };
    let suite = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
    let group = connection.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
    Strict::Trusted { version, suite: suite.unwrap_or_default(), group: group.unwrap_or_default() }
}

fn failed(error: &std::io::Error, chain: &[CertificateDer<'static>]) -> Strict {
    match error.get_ref().and_then(|cause| cause.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(why)) => Strict::Untrusted(fault(why, chain)),
        Some(other) => Strict::Refused(other.to_string()),
        None => Strict::Refused(format!("the handshake broke off ({})", error.kind())),
    }
}

fn fault(why: &CertificateError, chain: &[CertificateDer<'static>]) -> Fault {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Fault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Fault::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Fault::WrongName
        }
        _ if chain.iter().any(has_small_key) => Fault::SmallKey,
        _ if chain.first().is_some_and(signs_itself) => Fault::SelfSigned,
        // An authority of the same name as one of ours, with another key, is none of ours.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Fault::NoPath,
        _ => Fault::Other,
    }
}

fn has_small_key(der: &CertificateDer<'static>) -> bool {
    let parsed = ParsedCertificate::try_from(der).ok();
    parsed.and_then(|parsed| rsa_bits(&parsed.subject_public_key_info())).is_some_and(|bits| bits < 2048)
}

/// Whether a certificate is its own authority.
fn signs_itself(der: &CertificateDer<'static>) -> bool {
    let mut own = RootCertStore::empty();
    if own.add(der.clone()).is_err() {
        return false;
    }
    let (Ok(parsed), Some((begins, _))) = (ParsedCertificate::try_from(der), certificate::validity(der))
    else {
        return false;
    };
    // Times are judged before the path: so it is asked about a moment at which the certificate is valid.
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(begins.secs()).unwrap_or(0)));
    let algorithms = certificate::provider().signature_verification_algorithms.all;
    let judged =
        rustls::client::verify_server_cert_signed_by_trust_anchor(&parsed, &own, &[], at, algorithms);
    !matches!(judged, Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)))
}

fn described(chain: &[CertificateDer<'static>], name: &ServerName<'_>) -> Certificate {
    let parsed = chain.first().and_then(|first| ParsedCertificate::try_from(first).ok());
    let key = parsed.as_ref().map(|parsed| key_name(&parsed.subject_public_key_info()));
    Certificate {
        ends: chain.first().and_then(certificate::validity).map(|(_, ends)| ends.secs()),
        names_host: parsed.is_some_and(|parsed| verify_server_name(&parsed, name).is_ok()),
        sent: chain.len(),
        key: key.unwrap_or_default(),
    }
}

/// The kind of a public key by its algorithm and size (RFC 5280 section 4.1.2.7: both are fixed per kind but for RSA).
fn key_name(info: &[u8]) -> String {
    match (info.len(), rsa_bits(info)) {
        (_, Some(bits)) => format!("RSA {bits}"),
        (44, _) => "Ed25519".to_owned(),
        (91, _) => "P-256".to_owned(),
        (120, _) => "P-384".to_owned(),
        (158, _) => "P-521".to_owned(),
        (length, _) => format!("a key of {length} bytes"),
    }
}

/// The size of a public key of RSA, by its length: head, algorithm and exponent take 30 to 38 bytes.
fn rsa_bits(info: &[u8]) -> Option<usize> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let is_rsa = info.windows(RSA.len()).any(|part| part == RSA);
    is_rsa.then(|| info.len().saturating_sub(30) / 32 * 256)
}

/// Asks webpki, passes its judgement on, and remembers what was shown.
struct Witness {
    webpki: Arc<WebPkiServerVerifier>,
    seen: Mutex<Option<Vec<CertificateDer<'static>>>>,
}

impl Witness {
    fn new(trust: &Trust) -> Seen<Self> {
        let provider = Arc::new(certificate::provider());
        let webpki = WebPkiServerVerifier::builder_with_provider(trust.roots.clone(), provider).build();
        let webpki = webpki.map_err(|error| Unseen::because(error.to_string()))?;
        Ok(Self { webpki, seen: Mutex::default() })
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Witness")
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        first: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(first).chain(others).map(|one| one.clone().into_owned()).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(all);
        self.webpki.verify_server_cert(first, others, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
