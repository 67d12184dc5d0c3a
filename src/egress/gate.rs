//! The gate: judges a request, sends it over a pooled connection, reads no more of the answer than allowed.
//!
//! Never retries on its own, except on a pooled connection that was already closed when nothing had been written.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};

use super::connect::Connector;
use super::ledger::Ledger;
use super::{Counters, EgressError, GatePolicy, Refusal, Resolver};
use crate::ambient::Clock;

/// What one request may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When the complete answer must be there, connecting included.
    pub deadline: Instant,
    /// When its turn must have come, where many requests are under way; no later than the deadline.
    pub turn: Instant,
    /// Most bytes of the answer's body.
    pub max_body: usize,
}

impl Limits {
    /// A deadline so far from now. All of it may go by before the request has its turn.
    pub fn within(time: Duration, max_body: usize) -> Self {
        let deadline = Instant::now() + time;
        Self { deadline, turn: deadline, max_body }
    }

    /// The same for a request that has its turn within this time or not at all: what is left is its own.
    #[must_use]
    pub fn with_turn_within(self, time: Duration) -> Self {
        Self { turn: self.deadline.min(Instant::now() + time), ..self }
    }
}

/// The one way out. Cheap to clone; clones share connections, counters and refusals.
#[derive(Clone)]
pub struct Gate {
    client: legacy::Client<HttpsConnector<Connector>, Full<Bytes>>,
    pub(super) connector: Connector,
    pub(super) tls: Arc<rustls::ClientConfig>,
    places: Arc<Semaphore>,
}

impl Gate {
    /// A gate that resolves names by the system and trusts the web's certificate authorities (webpki-roots).
    pub fn new(policy: GatePolicy, clock: Clock) -> Self {
        Self::with_resolver(policy, clock, Resolver::system())
    }

    /// The same with names resolved by `resolver`.
    pub fn with_resolver(policy: GatePolicy, clock: Clock, resolver: Resolver) -> Self {
        Self::build(policy, clock, resolver, web_roots())
    }

    /// A gate that trusts these certificate authorities (DER) and not the web's. For loopback outside production.
    ///
    /// # Errors
    /// Where one of them is no certificate.
    pub fn trusting(
        policy: GatePolicy,
        clock: Clock,
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, rustls::Error> {
        let roots = with(rustls::RootCertStore::empty(), authorities)?;
        Ok(Self::build(policy, clock, Resolver::system(), roots))
    }

    /// A gate that trusts these certificate authorities (DER) beside the web's. For the operator's own hosts.
    ///
    /// # Errors
    /// Where one of them is no certificate.
    pub fn trusting_also(
        policy: GatePolicy,
        clock: Clock,
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, rustls::Error> {
        Ok(Self::build(policy, clock, Resolver::system(), with(web_roots(), authorities)?))
    }

    fn build(policy: GatePolicy, clock: Clock, resolver: Resolver, roots: rustls::RootCertStore) -> Self {
        let policy = Arc::new(policy);
        let ledger = Arc::new(Ledger::new(clock));
        let tls = tls(roots);
        let connector = Connector { policy: policy.clone(), ledger, resolver };
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector.clone());
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(policy.idle_timeout)
            .pool_max_idle_per_host(policy.idle_per_host)
            .http1_max_buf_size(64 * 1024)
            .http1_max_headers(100)
            .build(https);
        let places = Arc::new(Semaphore::new(policy.concurrent));
        Self { client, connector, tls: Arc::new(tls), places }
    }

    /// Sends a request to an absolute http(s) URI and reads the whole answer. Any status is an answer,
    /// redirects included.
    ///
    /// # Errors
    /// [`EgressError`]; nothing was sent where [`EgressError::may_have_arrived`] is false.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> Result<Response<Bytes>, EgressError> {
        self.connector.ledger.requested();
        let answer = self.exchange(request, limits).await;
        match &answer {
            Ok(answer) => self.connector.ledger.answered(answer.body().len()),
            Err(error) => self.connector.ledger.failed(error),
        }
        answer
    }

    async fn exchange(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> Result<Response<Bytes>, EgressError> {
        let uri = request.uri();
        self.judge(uri)?;
        let place = timeout_at(limits.turn, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(EgressError::Busy) };
        let whole = async {
            let answer =
                self.client.request(request.map(Full::new)).await.map_err(|error| diagnose(&error))?;
            let (head, body) = answer.into_parts();
            Ok(Response::from_parts(head, read(body, limits.max_body).await?))
        };
        timeout_at(limits.deadline, whole).await.unwrap_or(Err(EgressError::Timeout))
    }

    /// Whether the list allows this target; a refusal is told to who audits.
    pub(super) fn judge(&self, uri: &Uri) -> Result<(), EgressError> {
        self.connector.policy.judge(uri).map_err(|reason| {
            self.connector.ledger.refused(uri.host().unwrap_or_default(), reason);
            EgressError::HostNotAllowed(reason)
        })
    }

    /// What was refused, to be audited. The first caller gets it, later ones `None`.
    pub fn refusals(&self) -> Option<mpsc::Receiver<Refusal>> {
        self.connector.ledger.take_refusals()
    }

    /// What the gate has seen so far.
    pub fn counters(&self) -> Counters {
        self.connector.ledger.counters()
    }
}

fn web_roots() -> rustls::RootCertStore {
    rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn with(
    mut roots: rustls::RootCertStore,
    authorities: &[CertificateDer<'static>],
) -> Result<rustls::RootCertStore, rustls::Error> {
    authorities.iter().try_for_each(|authority| roots.add(authority.clone()))?;
    Ok(roots)
}

/// TLS 1.2 and 1.3 by rustls and ring, certificates judged by webpki alone, no client certificate.
fn tls(roots: rustls::RootCertStore) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = &[&rustls::version::TLS13, &rustls::version::TLS12];
    match rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(versions) {
        Ok(builder) => builder.with_root_certificates(roots).with_no_client_auth(),
        // ring's provider has suites for both versions; without them there is no safe way to go on.
        Err(_) => std::process::abort(),
    }
}

/// Reads the body up to `max` bytes; of a larger one nothing more is read and the connection is dropped.
async fn read(mut body: Incoming, max: usize) -> Result<Bytes, EgressError> {
    let too_large = EgressError::TooLarge { limit: max };
    let told = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if told > max {
        return Err(too_large);
    }
    let mut whole: Option<Bytes> = None;
    let mut joined = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(part) = frame.map_err(|_| EgressError::Broken)?.into_data() else { continue };
        let so_far = whole.as_ref().map_or(joined.len(), Bytes::len);
        if so_far + part.len() > max {
            return Err(too_large);
        }
        // The usual answer comes in one part and is not copied.
        match whole.take() {
            None if joined.is_empty() => whole = Some(part),
            None => joined.extend_from_slice(&part),
            Some(first) => {
                joined.reserve(told.max(first.len() + part.len()));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&part);
            }
        }
    }
    Ok(whole.unwrap_or_else(|| joined.into()))
}

fn diagnose(error: &legacy::Error) -> EgressError {
    if let Some(refused) = find::<EgressError>(error) {
        return refused.clone();
    }
    if !error.is_connect() {
        return EgressError::Broken;
    }
    // Our connector's own errors are dealt with: what else fails while connecting is the handshake.
    handshake(error)
}

/// Why a handshake failed.
pub(super) fn handshake(error: &(dyn Error + 'static)) -> EgressError {
    match find::<rustls::Error>(error) {
        Some(cause) => EgressError::Tls {
            certificate: matches!(cause, rustls::Error::InvalidCertificate(_)),
            detail: cause.to_string(),
        },
        None => EgressError::Tls { certificate: false, detail: "the handshake broke off".to_owned() },
    }
}

/// Looks for an error of type `T` among the causes. `io::Error` hides what it wraps from `source()`.
pub(super) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A certificate that signs itself, and its key.
    fn certificate(name: &str, expired: bool) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        if expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let der = params.self_signed(&key).unwrap().der().clone();
        (der, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    /// A TLS server that answers one request with 204; its address.
    async fn server(cert: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> String {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![cert], key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            }
        });
        url
    }

    async fn get(url: &str, roots: RootCertStore) -> (Result<u16, EgressError>, Counters) {
        let policy = GatePolicy::new().with_loopback().allow(url).unwrap();
        let gate = Gate::build(policy, Clock::system(), Resolver::system(), roots);
        let request = Request::get(url).body(Bytes::new()).unwrap();
        let answer = gate.send(request, Limits::within(Duration::from_secs(5), 100)).await;
        (answer.map(|answer| answer.status().as_u16()), gate.counters())
    }

    fn trusting(cert: &CertificateDer<'static>) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(cert.clone()).unwrap();
        roots
    }

    #[tokio::test]
    async fn a_trusted_certificate_for_the_right_host_passes() {
        let (cert, key) = certificate("127.0.0.1", false);
        let url = server(cert.clone(), key).await;
        assert_eq!(get(&url, trusting(&cert)).await.0, Ok(204));
    }

    #[tokio::test]
    async fn an_unknown_wrong_or_expired_certificate_is_refused_and_counted() {
        let web = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for (name, expired, known) in
            [("127.0.0.1", false, false), ("other.example", false, true), ("127.0.0.1", true, true)]
        {
            let (cert, key) = certificate(name, expired);
            let url = server(cert.clone(), key).await;
            let (answer, counters) = get(&url, if known { trusting(&cert) } else { web.clone() }).await;
            let error = answer.unwrap_err();
            assert_eq!(error.code(), "certificate_not_trusted", "{name} {error:?}");
            assert!(!error.may_have_arrived());
            assert_eq!(counters.certificate_failures, 1);
        }
    }

    #[tokio::test]
    async fn a_server_without_tls_gets_no_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        });
        let (answer, counters) = get(&url, RootCertStore::empty()).await;
        assert_eq!(answer.unwrap_err().code(), "tls_failed");
        assert_eq!(counters.tls_failures, 1);
    }
}
