//! Makes the connection: resolves once, judges every address, connects to a judged address itself.
//!
//! Never hands a name to the system's connect (it would resolve again: rebinding).

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::ledger::Ledger;
use super::policy::literal;
use super::{EgressError, GatePolicy, RefusalReason, classify};

/// Most addresses of one name that are looked at.
const ADDRESSES: usize = 16;

/// Where names become addresses: the system, or a function that a test or a self-check gives.
#[derive(Clone)]
pub struct Resolver(Source);

type Table = dyn Fn(&str) -> Vec<IpAddr> + Send + Sync;

#[derive(Clone)]
enum Source {
    System,
    Given(Arc<Table>),
}

impl Resolver {
    /// The system's resolver.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// Answers by `table`, so that rebinding and special addresses can be tried.
    pub fn given(table: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        Self(Source::Given(Arc::new(table)))
    }

    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, EgressError> {
        let found: Vec<_> = match &self.0 {
            Source::System => {
                let found = tokio::net::lookup_host((host, port)).await.map_err(|_| EgressError::Resolve)?;
                found.take(ADDRESSES).collect()
            }
            Source::Given(table) => {
                table(host).into_iter().take(ADDRESSES).map(|address| (address, port).into()).collect()
            }
        };
        if found.is_empty() { Err(EgressError::Resolve) } else { Ok(found) }
    }
}

/// The service below TLS; one per gate.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) policy: Arc<GatePolicy>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) resolver: Resolver,
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = EgressError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, EgressError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.connect(&uri).await.map(TokioIo::new) })
    }
}

impl Connector {
    pub(super) async fn connect(&self, uri: &Uri) -> Result<TcpStream, EgressError> {
        let until = Instant::now() + self.policy.connect_timeout;
        let host = uri.host().ok_or(EgressError::NoTarget)?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        let addresses =
            timeout_at(until, self.judged(host, port)).await.unwrap_or(Err(EgressError::Resolve))?;
        let stream = first_to_answer(&addresses, until).await?;
        let _ = stream.set_nodelay(true);
        self.ledger.connected();
        Ok(stream)
    }

    /// The addresses of the host, all of them allowed. One that is not refuses the whole host: a name that
    /// mixes public and private addresses is an attack or a mistake.
    async fn judged(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, EgressError> {
        if let Some(address) = literal(host) {
            if self.policy.allows_literal(address) {
                return Ok(vec![(address, port).into()]);
            }
            self.ledger.refused(host, RefusalReason::Literal);
            return Err(EgressError::HostNotAllowed(RefusalReason::Literal));
        }
        let addresses = self.resolver.addresses(host, port).await?;
        let classes: Vec<_> = addresses.iter().map(|address| classify(address.ip())).collect();
        if let Err(class) = self.policy.judge_addresses(&classes) {
            self.ledger.refused(host, RefusalReason::Address(class));
            return Err(EgressError::AddressNotAllowed(class));
        }
        Ok(addresses)
    }
}

/// Tries the addresses in the resolver's order (RFC 6724), each with an even share of the time that is left, so
/// that one dead address family cannot use it all up.
async fn first_to_answer(addresses: &[SocketAddr], until: Instant) -> Result<TcpStream, EgressError> {
    for (tried, address) in addresses.iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(1);
        if let Ok(Ok(stream)) = tokio::time::timeout(share, TcpStream::connect(address)).await {
            return Ok(stream);
        }
    }
    Err(EgressError::Connect)
}
