//! The gate: judges a request, sends it over a pooled connection, reads no more of the answer than allowed.
//!
//! Never retries on its own, except on a pooled connection that was already closed when nothing had been written.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::mpsc;
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
    /// Most bytes of the answer's body.
    pub max_body: usize,
}

impl Limits {
    /// A deadline so far from now.
    pub fn within(time: Duration, max_body: usize) -> Self {
        Self { deadline: Instant::now() + time, max_body }
    }
}

/// The one way out. Cheap to clone; clones share connections, counters and refusals.
#[derive(Clone)]
pub struct Gate {
    client: legacy::Client<HttpsConnector<Connector>, Full<Bytes>>,
    policy: Arc<GatePolicy>,
    ledger: Arc<Ledger>,
}

impl Gate {
    /// A gate that resolves names by the system and trusts the web's certificate authorities (webpki-roots).
    pub fn new(policy: GatePolicy, clock: Clock) -> Self {
        Self::with_resolver(policy, clock, Resolver::system())
    }

    /// The same with names resolved by `resolver`.
    pub fn with_resolver(policy: GatePolicy, clock: Clock, resolver: Resolver) -> Self {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self::build(policy, clock, resolver, roots)
    }

    fn build(policy: GatePolicy, clock: Clock, resolver: Resolver, roots: rustls::RootCertStore) -> Self {
        let policy = Arc::new(policy);
        let ledger = Arc::new(Ledger::new(clock));
        let connector = Connector { policy: policy.clone(), ledger: ledger.clone(), resolver };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(roots))
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(policy.idle_timeout)
            .pool_max_idle_per_host(policy.idle_per_host)
            .http1_max_buf_size(64 * 1024)
            .http1_max_headers(100)
            .build(connector);
        Self { client, policy, ledger }
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
        self.ledger.requested();
        let answer = self.exchange(request, limits).await;
        match &answer {
            Ok(answer) => self.ledger.answered(answer.body().len()),
            Err(error) => self.ledger.failed(error),
        }
        answer
    }

    async fn exchange(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> Result<Response<Bytes>, EgressError> {
        let uri = request.uri();
        if let Err(reason) = self.policy.judge(uri) {
            self.ledger.refused(uri.host().unwrap_or_default(), reason);
            return Err(EgressError::HostNotAllowed(reason));
        }
        let whole = async {
            let answer =
                self.client.request(request.map(Full::new)).await.map_err(|error| diagnose(&error))?;
            let (head, body) = answer.into_parts();
            Ok(Response::from_parts(head, read(body, limits.max_body).await?))
        };
        timeout_at(limits.deadline, whole).await.unwrap_or(Err(EgressError::Timeout))
    }

    /// What was refused, to be audited. The first caller gets it, later ones `None`.
    pub fn refusals(&self) -> Option<mpsc::Receiver<Refusal>> {
        self.ledger.take_refusals()
    }

    /// What the gate has seen so far.
    pub fn counters(&self) -> Counters {
        self.ledger.counters()
    }
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
    match find::<rustls::Error>(error) {
        Some(cause) => EgressError::Tls {
            certificate: matches!(cause, rustls::Error::InvalidCertificate(_)),
            detail: cause.to_string(),
        },
        None => EgressError::Tls { certificate: false, detail: "the handshake broke off".to_owned() },
    }
}

/// Looks for an error of type `T` among the causes. `io::Error` hides what it wraps from `source()`.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
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
