//! Built-in TLS: handshakes with bounds, and a certificate that can change while connections live on.
//!
//! TLS 1.2 and 1.3 by rustls and ring, no client certificates, no early data. Never logs what a client sent: only
//! which kind of failure it was, and how often.

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::line::Ending;
use super::line::{Line, Watched};
use crate::ambient::Timestamp;
use crate::config::certificate;
use crate::failure::{During as _, Failure};
use crate::telemetry::metrics::Figure;

/// Handshakes at once; beyond them the longest lasting goes. Each may take ten seconds (see [`super::connections`]).
const MOST_HANDSHAKES: usize = 1024;

/// When the certificate in use ends, in Unix seconds; 0 where there is none.
static ENDS: AtomicI64 = AtomicI64::new(0);

/// When the certificate in use ends.
pub(super) fn ends() -> Option<Timestamp> {
    Some(ENDS.load(Ordering::Relaxed)).filter(|ends| *ends > 0).map(Timestamp::from_secs)
}

/// Notes when the certificate in use ends.
pub(super) fn note_end(ends: Timestamp) {
    ENDS.store(ends.secs(), Ordering::Relaxed);
}

/// What secures the connections of a listener.
pub struct Tls {
    acceptor: TlsAcceptor,
    pub(super) current: Arc<Current>,
    handshakes: Mutex<VecDeque<Weak<Handshake>>>,
    most_handshakes: usize,
    failures: AtomicU64,
}

/// The certificate that handshakes get from now on.
pub(super) struct Current(RwLock<Arc<CertifiedKey>>);

/// A handshake that has not ended.
struct Handshake(Arc<Line>);

impl Tls {
    /// With this certificate until another takes its place.
    ///
    /// # Errors
    /// Only where this program was built without the protocol versions that it wants.
    pub fn new(certified: Arc<CertifiedKey>) -> Result<Self, Failure> {
        let current = Arc::new(Current(RwLock::new(certified)));
        let versions = &[&rustls::version::TLS13, &rustls::version::TLS12];
        let config = ServerConfig::builder_with_provider(Arc::new(certificate::provider()));
        let config = config.with_protocol_versions(versions).during("preparing TLS")?;
        let mut config = config.with_no_client_auth().with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Resumption without memory for each client; the key of the tickets changes every six hours.
        config.ticketer = rustls::crypto::ring::Ticketer::new().during("preparing TLS")?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            current,
            handshakes: Mutex::default(),
            most_handshakes: MOST_HANDSHAKES,
            failures: AtomicU64::new(0),
        })
    }

    /// The secured stream, where the other end does its part before the line ends.
    pub(super) async fn accept(
        &self,
        stream: Watched<TcpStream>,
        line: &Arc<Line>,
    ) -> Option<TlsStream<Watched<TcpStream>>> {
        let _handshake = self.begin(line);
        let mut secured = pin!(self.acceptor.accept(stream));
        let done = loop {
            tokio::select! {
                done = secured.as_mut() => break done,
                () = line.woken() => if line.ending().is_some() { break Err(std::io::ErrorKind::TimedOut.into()) },
            }
        };
        done.inspect_err(|error| {
            self.failures.fetch_add(1, Ordering::Relaxed);
            Figure::TlsFailure.count();
            tracing::debug!(why = kind(error), "a TLS handshake failed");
        })
        .ok()
    }

    fn begin(&self, line: &Arc<Line>) -> Arc<Handshake> {
        let handshake = Arc::new(Handshake(line.clone()));
        let mut all = self.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        while all.front().is_some_and(|first| first.strong_count() == 0) {
            all.pop_front();
        }
        if all.len() >= self.most_handshakes {
            all.retain(|handshake| handshake.strong_count() > 0);
        }
        if all.len() >= self.most_handshakes
            && let Some(longest) = all.pop_front().and_then(|longest| longest.upgrade())
        {
            longest.0.end(Ending::Broken);
        }
        all.push_back(Arc::downgrade(&handshake));
        handshake
    }

    /// How many handshakes failed since this was asked last.
    pub(super) fn failures(&self) -> u64 {
        self.failures.swap(0, Ordering::Relaxed)
    }
}

impl Current {
    /// Serves this one from the next handshake on.
    pub(super) fn replace(&self, certified: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// rustls asks for it; there is nothing to show.
impl fmt::Debug for Current {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Current")
    }
}

/// The kind of a failure, in words of our own.
fn kind(error: &std::io::Error) -> &'static str {
    use rustls::Error;
    match error.get_ref().and_then(|cause| cause.downcast_ref::<Error>()) {
        Some(Error::PeerIncompatible(_)) => "no version, suite or protocol in common",
        Some(Error::NoApplicationProtocol) => "no application protocol in common",
        Some(Error::InvalidMessage(_) | Error::InappropriateMessage { .. }) => "not TLS, or malformed",
        Some(Error::AlertReceived(_)) => "the client refused",
        Some(_) => "the client's part was wrong",
        None if error.kind() == std::io::ErrorKind::TimedOut => "not in time",
        None => "broken off",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::http::serve::listen;

    fn certified() -> Arc<CertifiedKey> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        let chain = vec![params.self_signed(&key).unwrap().der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Arc::new(CertifiedKey::from_der(chain, key, &certificate::provider()).unwrap())
    }

    /// Whether the other end closes it soon: sooner than any handshake's ten seconds.
    async fn is_closed(stream: &mut TcpStream) -> bool {
        timeout(Duration::from_secs(2), stream.read(&mut [0; 64])).await.is_ok()
    }

    #[tokio::test]
    async fn of_too_many_handshakes_the_longest_lasting_goes() {
        let tls = Tls { most_handshakes: 2, ..Tls::new(certified()).unwrap() };
        let listening = listen(([127, 0, 0, 1], 0).into()).await.unwrap().secured(Some(Arc::new(tls)));
        let address = listening.address();
        tokio::spawn(listening.serve_with(Router::new(), 0, CancellationToken::new(), None));
        let mut open = Vec::new();
        for _ in 0..4 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&[22, 3, 1, 2]).await.unwrap();
            // One after the other, so that it is known which lasts longest.
            tokio::time::sleep(Duration::from_millis(50)).await;
            open.push(stream);
        }
        let closed = futures_util::future::join_all(open.iter_mut().map(is_closed)).await;
        assert_eq!(closed, [true, true, false, false]);
    }
}
