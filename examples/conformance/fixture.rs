//! The protocol's methods over what `fixture.json` lists, each tool call between the server's own guards.

#![allow(
    deprecated,
    reason = "resources/subscribe and logging/setLevel are deprecated, and the suite tests them"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
    GetPromptRequestParams, GetPromptResponse, GetPromptResult, Implementation, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams, Prompt,
    PromptMessage, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource,
    ResourceContents, ResourceTemplate, Role, ServerCapabilities, ServerConfig, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::Deserialize;
use serde_json::Value;
use spotify_mcp::domain::Scope;
use spotify_mcp::mcp::{CallGuard, Caller};
use spotify_mcp::policy::{ToolClass, ToolPolicy, Toolset};
use tokio::sync::broadcast;

use crate::sealed::Seal;
use crate::talk::{Next, Talk, Turn};
use crate::tools;

/// The fixture's tools are admitted as those that look something up.
const POLICY: ToolPolicy =
    ToolPolicy { scope: Scope::Read, class: ToolClass::Look, toolset: Toolset::Catalog };

static LISTED: LazyLock<Listed> =
    LazyLock::new(|| serde_json::from_str(include_str!("fixture.json")).expect("the fixture is well formed"));

/// What the suite finds here.
#[derive(Deserialize)]
struct Listed {
    tools: Vec<Tool>,
    /// What tools answer that always answer the same.
    answers: BTreeMap<String, Value>,
    /// The tools and prompts that ask before they answer.
    talks: BTreeMap<String, Talk>,
    resources: Vec<Resource>,
    contents: BTreeMap<String, ResourceContents>,
    templates: Vec<ResourceTemplate>,
    prompts: Vec<Prompt>,
    /// The prompts' messages; `{argument}` stands for an argument.
    messages: BTreeMap<String, Value>,
}

/// A list that changed.
#[derive(Clone, Copy)]
enum Changed {
    Tools,
    Prompts,
}

/// The handler.
#[derive(Clone)]
pub struct Fixture {
    guard: CallGuard,
    seal: Arc<Seal>,
    changes: broadcast::Sender<Changed>,
}

impl Fixture {
    pub fn new(guard: CallGuard) -> Self {
        Self { guard, seal: Arc::new(Seal::new()), changes: broadcast::Sender::new(16) }
    }

    async fn run(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.as_ref();
        if let Some(answer) = LISTED.answers.get(name) {
            return Ok(read::<CallToolResult>(answer.clone())?.into());
        }
        if let Some(talk) = LISTED.talks.get(name) {
            let turn = turn(context, name, request.request_state.as_deref(), request.input_responses)?;
            return match talk.next(&self.seal, turn)? {
                Next::Ask(asked) => Ok(asked.into()),
                Next::Done(text) => tools::said(text),
            };
        }
        match name {
            "test_tool_with_logging" => tools::log_thrice(context).await,
            "test_logging_tool" => tools::log_once(context).await,
            "test_tool_with_progress" => tools::progress(context).await,
            "test_missing_capability" => tools::needs_sampling(context),
            "test_trigger_tool_change" => self.change(Changed::Tools),
            _ => self.change(Changed::Prompts),
        }
    }

    fn change(&self, changed: Changed) -> Result<CallToolResponse, ErrorData> {
        // Nobody may have subscribed.
        let _ = self.changes.send(changed);
        tools::said("changed")
    }
}

fn turn<'a>(
    context: &'a RequestContext<RoleServer>,
    subject: &'a str,
    state: Option<&'a str>,
    answers: Option<BTreeMap<String, Value>>,
) -> Result<Turn<'a>, ErrorData> {
    let caller = context.extensions.get::<http::request::Parts>();
    let caller = caller.and_then(|parts| parts.extensions.get::<Arc<Caller>>());
    let user = caller.ok_or_else(|| ErrorData::internal_error("internal error", None))?.user.as_str();
    let can: ClientCapabilities = context.client_capabilities().unwrap_or_default();
    Ok(Turn { subject, user, can, state, answers })
}

fn read<T: for<'de> Deserialize<'de>>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn unknown(what: &'static str) -> ErrorData {
    ErrorData::invalid_params(what, None)
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_completions()
            .enable_logging()
            .build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("conformance-fixture", "1"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(LISTED.tools.clone()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        LISTED.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = LISTED.tools.iter().find(|tool| tool.name == request.name);
        let tool = tool.ok_or_else(|| unknown("unknown tool"))?;
        self.guard.call(&tool.name, &POLICY, &context, self.run(request, &context)).await
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(LISTED.resources.clone()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(LISTED.templates.clone()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let id = request.uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
        let contents = match (LISTED.contents.get(&request.uri), id) {
            (Some(contents), _) => contents.clone(),
            (None, Some(id)) => {
                let text =
                    serde_json::json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
                ResourceContents::text(text.to_string(), &request.uri).with_mime_type("application/json")
            }
            (None, None) => {
                let uri = serde_json::json!({"uri": request.uri});
                return Err(ErrorData::resource_not_found("Resource not found", Some(uri)));
            }
        };
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    async fn subscribe(
        &self,
        _: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes.subscribe();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                changed = changes.recv() => {
                    // A kind that was not asked for is refused here.
                    let _ = match changed {
                        Ok(Changed::Tools) => context.sink().notify_tool_list_changed().await,
                        Ok(Changed::Prompts) => context.sink().notify_prompt_list_changed().await,
                        Err(_) => return Ok(()),
                    };
                }
            }
        }
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(LISTED.prompts.clone()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        if let Some(talk) = LISTED.talks.get(&request.name).filter(|_| self.get_tool(&request.name).is_none())
        {
            let turn =
                turn(&context, &request.name, request.request_state.as_deref(), request.input_responses)?;
            return match talk.next(&self.seal, turn)? {
                Next::Ask(asked) => Ok(asked.into()),
                Next::Done(text) => {
                    let message = PromptMessage::new(Role::User, ContentBlock::text(text));
                    Ok(GetPromptResult::new(vec![message]).into())
                }
            };
        }
        let messages = LISTED.messages.get(&request.name).ok_or_else(|| unknown("unknown prompt"))?;
        let messages = filled(messages.clone(), &request.arguments.unwrap_or_default());
        Ok(GetPromptResult::new(read(messages)?).into())
    }
}

/// The messages with the arguments in their places.
fn filled(messages: Value, arguments: &serde_json::Map<String, Value>) -> Value {
    match messages {
        Value::String(mut text) => {
            for (name, value) in arguments {
                text = text.replace(&format!("{{{name}}}"), value.as_str().unwrap_or_default());
            }
            Value::String(text)
        }
        Value::Array(all) => all.into_iter().map(|one| filled(one, arguments)).collect(),
        Value::Object(all) => {
            Value::Object(all.into_iter().map(|(key, one)| (key, filled(one, arguments))).collect())
        }
        other => other,
    }
}
