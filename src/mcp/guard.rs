//! The guard around tool calls, for handlers other than ours: what it does to our tools, it does to theirs.
//!
//! Never lets a call run without a [`super::Caller`].

use std::sync::Arc;

use rmcp::model::CallToolResponse;
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};

use super::dispatch::{self, Call, Outcome};
use super::going::Going;
use super::handler::caller_of;
use super::server::Inner;
use super::several::Used;
use crate::policy::ToolPolicy;

/// Guards the calls of a handler (see [`super::Server::with_handler`]).
#[derive(Clone)]
pub struct CallGuard {
    pub(super) server: Arc<Inner>,
}

/// What a foreign tool answered.
struct Foreign(Result<CallToolResponse, ErrorData>);

impl Outcome for Foreign {
    fn code(&self) -> Option<&'static str> {
        match &self.0 {
            Ok(CallToolResponse::Complete(result)) if result.is_error == Some(true) => Some("TOOL_ERROR"),
            Ok(_) => None,
            Err(_) => Some("PROTOCOL_ERROR"),
        }
    }
}

impl CallGuard {
    /// Does the work of a call as every tool call is done: admitted under `policy`, with the limits, the deadline, the
    /// trail and the counts of the server.
    ///
    /// # Errors
    /// The work's own; and where there is no caller, the work panicked, or nobody waits for it any more.
    pub async fn call(
        &self,
        tool: &'static str,
        policy: &ToolPolicy,
        context: &RequestContext<RoleServer>,
        work: impl Future<Output = Result<CallToolResponse, ErrorData>>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(caller) = caller_of(context) else {
            return Err(ErrorData::internal_error("internal error", None));
        };
        let used = Used::default();
        let call = Call { caller, tool, policy: Some(policy), used: &used, asked: false };
        let work = async { Ok(Foreign(work.await)) };
        let going = Going::until(context.ct.clone());
        match dispatch::guarded(&self.server, call, &going, |_| work).await? {
            Ok(Foreign(answered)) => answered,
            Err(refused) => Ok(dispatch::result(&self.server, Err(refused)).into()),
        }
    }
}
