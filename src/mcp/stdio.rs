//! The single-user mode: the protocol over standard input and output, with nothing else on standard output.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use rmcp::ServiceExt as _;
use tokio::io::{AsyncRead, AsyncWrite};

use super::caller::Caller;
use super::handler::{Handler, Identity};
use super::server::Server;
use crate::failure::{During, Failure};

/// The client of the one local user.
pub const CLIENT: &str = "local-stdio";

/// Makes sure that the local user has linked an account, and says who they are. Called before each request that
/// needs it, so it must be quick once an account is linked.
///
/// Where nobody is linked yet, it answers with an instruction that holds the address of the login page on loopback.
#[derive(Clone)]
pub struct LocalCaller(Arc<Find>);

type Find = dyn Fn() -> BoxFuture<'static, Result<Caller, String>> + Send + Sync;

impl LocalCaller {
    /// From what finds the caller, or gives the instruction to show to the person.
    pub fn new(
        find: impl Fn() -> BoxFuture<'static, Result<Caller, String>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(find))
    }

    pub(super) async fn caller(&self) -> Result<Caller, String> {
        (self.0)().await
    }
}

/// Serves one client on standard input and output until it closes its end.
///
/// # Errors
/// Where the client's first message is not the protocol's.
pub async fn run(server: &Server, caller: LocalCaller) -> Result<(), Failure> {
    let (input, output) = rmcp::transport::io::stdio();
    serve(server, caller, input, output).await
}

/// The same over any pair of streams.
///
/// # Errors
/// Where the client's first message is not the protocol's.
pub async fn serve(
    server: &Server,
    caller: LocalCaller,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
) -> Result<(), Failure> {
    let handler = Handler { server: server.inner.clone(), identity: Identity::Local(caller) };
    let running = handler.serve((input, output)).await.during("beginning the protocol on the stream")?;
    running.waiting().await.during("serving the stream")?;
    Ok(())
}
