//! The single-user mode: the protocol over standard input and output, with nothing else on standard output.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use rmcp::model::{CallToolResult, ClientResult, ContentBlock, ServerRequest};
use rmcp::service::{Peer, PeerRequestOptions, RequestContext, ServiceError};
use rmcp::{RoleServer, ServiceExt as _};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::asking::{Question, offers_of, reply_of};
use super::caller::Caller;
use super::handler::{Handler, Identity};
use super::server::Server;
use crate::app::REPLY_WAIT;
use crate::domain::asking::{Offers, Reply};
use crate::failure::{During, Failure};

/// The client of the one local user.
pub const CLIENT: &str = "local-stdio";

/// Makes sure that the local user has linked an account, and says who they are. Called before each request that
/// needs it, so it must be quick once an account is linked.
///
/// Where nobody is linked yet, it answers with an instruction that holds the address of the login page on loopback.
#[derive(Clone)]
pub struct LocalCaller {
    find: Arc<Find>,
    page: Option<LoginPage>,
}

/// The page on loopback on which the local user logs in.
#[derive(Clone)]
struct LoginPage {
    /// How its addresses begin.
    address: String,
    open: Arc<Open>,
}

type Open = dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync;

type Find = dyn Fn() -> BoxFuture<'static, Result<Caller, String>> + Send + Sync;

impl LocalCaller {
    /// From what finds the caller, or gives the instruction to show to the person.
    pub fn new(
        find: impl Fn() -> BoxFuture<'static, Result<Caller, String>> + Send + Sync + 'static,
    ) -> Self {
        Self { find: Arc::new(find), page: None }
    }

    /// `open` sees to it that the login page listens, or says why it does not: called before an answer goes out that
    /// names an address which begins so.
    #[must_use]
    pub fn with_page(
        self,
        address: String,
        open: impl Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    ) -> Self {
        Self { page: Some(LoginPage { address, open: Arc::new(open) }), ..self }
    }

    pub(super) async fn caller(&self) -> Result<Caller, String> {
        (self.find)().await
    }

    /// An answer is about to go out: what it tells the person to open listens.
    pub(super) async fn before_telling(&self, result: &mut CallToolResult) {
        let text = serde_json::to_string(&result).unwrap_or_default();
        if let Err(why) = self.before_naming(&text).await {
            result.content.push(ContentBlock::text(why));
        }
    }

    /// The same for a text.
    pub(super) async fn before_naming(&self, text: &str) -> Result<(), String> {
        match self.page.as_ref().filter(|page| text.contains(&page.address)) {
            Some(page) => (page.open)().await,
            None => Ok(()),
        }
    }
}

/// Asks the local person within one call of a client of 2025, which said at the start what it can show.
pub(super) struct LocalAsker {
    client: Peer<RoleServer>,
    cancelled: CancellationToken,
    offers: Offers,
}

impl LocalAsker {
    /// For this call; `None` where the client cannot ask.
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Option<Self> {
        let offers = offers_of(context.peer.peer_info()?.capabilities.elicitation.as_ref());
        let asker = Self { client: context.peer.clone(), cancelled: context.ct.clone(), offers };
        (offers != Offers::default()).then_some(asker)
    }

    /// What the client can show.
    pub(super) const fn offers(&self) -> Offers {
        self.offers
    }

    /// Asks, and waits for the reply. Where none comes, the question was closed.
    pub(super) async fn ask(&self, question: &Question) -> Reply {
        let reply = tokio::select! {
            result = self.asked(question) => result.map(|result| reply_of(&result)),
            () = self.cancelled.cancelled() => Ok(None),
        };
        reply
            .unwrap_or_else(|failure| {
                tracing::warn!(cause = failure.chain(), "the person could not be asked");
                None
            })
            .unwrap_or(Reply::Closed)
    }

    async fn asked(&self, question: &Question) -> Result<Value, Failure> {
        const ASKING: &str = "asking the person";
        let request: ServerRequest = serde_json::from_value(question.request()).during(ASKING)?;
        let within = PeerRequestOptions::with_timeout(REPLY_WAIT);
        let sent = self.client.send_request_with_option(request, within).await.during(ASKING)?;
        match sent.await_response().await {
            Ok(ClientResult::ElicitResult(result)) => serde_json::to_value(result).during(ASKING),
            // What is no reply, an error or silence among it, closes the question.
            Ok(_) | Err(ServiceError::McpError(_) | ServiceError::Timeout { .. }) => Ok(Value::Null),
            Err(error) => Err(error).during(ASKING),
        }
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
