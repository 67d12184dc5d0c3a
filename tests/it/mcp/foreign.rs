//! Another handler behind the stack (`Server::with_handler`): the guards hold its calls as they hold ours.

use std::time::Duration;

use rmcp::model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;
use spotify_mcp::app::CallLimits;
use spotify_mcp::domain::Scope;
use spotify_mcp::mcp::{CallGuard, Server};
use spotify_mcp::policy::{ToolClass, ToolPolicy, Toolset};

use super::rig::Rig;

const POLICY: ToolPolicy =
    ToolPolicy { scope: Scope::Read, class: ToolClass::Look, toolset: Toolset::Catalog };

#[derive(Clone)]
struct Foreign(CallGuard);

impl ServerHandler for Foreign {
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let work = async {
            match request.name.as_ref() {
                "panics" => panic!("as this test wants"),
                "hangs" => std::future::pending().await,
                "fails" => Err(ErrorData::invalid_params("as this test wants", None)),
                _ => Ok(CallToolResult::success(vec![ContentBlock::text("answered")]).into()),
            }
        };
        self.0.call("foreign", &POLICY, &context, work).await
    }
}

async fn rig(per_minute: u32) -> Rig {
    let limits = CallLimits { per_minute, concurrent: 32, ..CallLimits::default() };
    let quiet = |_, seen: &crate::fake::Seen| panic!("Spotify was asked for {}", seen.target);
    Rig::made(limits, Duration::from_millis(200), quiet, |deps| Server::with_handler(deps, Foreign)).await
}

#[tokio::test]
async fn its_calls_are_guarded_against_panics_and_time_and_are_recorded() {
    let rig = rig(600).await;
    let reply = async |tool| rig.modern("tools/call", json!({"name": tool, "arguments": {}})).await;
    assert_eq!(reply("answers").await.result()["content"][0]["text"], "answered");
    assert_eq!(reply("fails").await.error_code(), -32602);
    assert_eq!(reply("panics").await.error_code(), -32603);
    let late = reply("hangs").await.result();
    assert_eq!(late["structuredContent"]["error"]["code"], "UPSTREAM_TIMEOUT");
    let trail = rig.trail().await;
    assert_eq!(trail.matches("tools/call foreign").count(), 4, "{trail}");
    for status in ["PROTOCOL_ERROR", "panic", "UPSTREAM_TIMEOUT"] {
        assert!(trail.contains(status), "{status}: {trail}");
    }
}

#[tokio::test]
async fn its_calls_are_counted_against_the_callers_limit() {
    let rig = rig(1).await;
    assert_eq!(rig.call("answers", json!({})).await["content"][0]["text"], "answered");
    let limited = rig.modern("tools/call", json!({"name": "answers", "arguments": {}})).await;
    assert_eq!((limited.status, limited.error_code()), (http::StatusCode::TOO_MANY_REQUESTS, 429));
}
