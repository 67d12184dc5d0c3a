//! The fixture's tools that do more than answer the same each time.

#![allow(deprecated, reason = "logging is deprecated, and the suite tests it")]

use std::time::Duration;

use rmcp::model::{
    CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, LoggingLevel,
    LoggingMessageNotificationParam, ProgressNotificationParam, ProtocolVersion,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};

/// What a tool answers in the end.
type Answer = Result<CallToolResponse, ErrorData>;

const PAUSE: Duration = Duration::from_millis(50);

pub fn said(text: impl Into<String>) -> Answer {
    Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
}

/// Three lines of log, a pause between them.
pub async fn log_thrice(context: &RequestContext<RoleServer>) -> Answer {
    log(context, "Tool execution started").await;
    for line in ["Tool processing data", "Tool execution completed"] {
        tokio::time::sleep(PAUSE).await;
        log(context, line).await;
    }
    said("logged")
}

pub async fn log_once(context: &RequestContext<RoleServer>) -> Answer {
    log(context, "Tool was called").await;
    said("logged where it was asked for")
}

/// A request of 2026-07-28 must ask for log lines itself; a client of before set a level, and gets all.
async fn log(context: &RequestContext<RoleServer>, line: &str) {
    let modern =
        context.meta.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
    if !modern || context.meta.log_level().is_some() {
        let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, line.into());
        // Nobody may listen any more.
        let _ = context.peer.notify_logging_message(message).await;
    }
}

/// Progress in three steps, where the request has a token to report it with.
pub async fn progress(context: &RequestContext<RoleServer>) -> Answer {
    for done in [0.0, 50.0, 100.0] {
        if done > 0.0 {
            tokio::time::sleep(PAUSE).await;
        }
        if let Some(token) = context.meta.get_progress_token() {
            let mut step = ProgressNotificationParam::new(token, done);
            step.total = Some(100.0);
            let _ = context.peer.notify_progress(step).await;
        }
    }
    said("done")
}

pub fn needs_sampling(context: &RequestContext<RoleServer>) -> Answer {
    if context.client_capabilities().is_some_and(|can| can.sampling.is_some()) {
        return said("the client offers sampling");
    }
    let needed = ClientCapabilities::builder().enable_sampling().build();
    Err(ErrorData::missing_required_client_capability(needed))
}
