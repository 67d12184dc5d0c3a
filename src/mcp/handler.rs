//! The protocol's methods: what we are, the lists, the status resource, the prompts, and tool calls.
//!
//! All lists are the same for every user of a server; still they are `private`, because a shared cache must never
//! answer for an authenticated endpoint (2026-07-28, caching). No method runs without a [`Caller`].

use std::borrow::Cow;
use std::pin::pin;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest, CustomResult,
    DiscoverResult, ErrorCode, GetPromptRequestParams, GetPromptResponse, InputRequiredResult,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, Resource, ResourceContents, ResourceTemplate, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::asking::{Asking, Question, offers_of};
use super::basis::StandsOn;
use super::caller::Caller;
use super::dispatch::{self, Called, Ended};
use super::going::Going;
use super::server::Inner;
use super::several::Used;
use super::stdio::{LocalAsker, LocalCaller};
use super::streamed;
use super::tools::status::Status;
use super::tools::{Arguments, Context, ToolError, ToolSpec};
use super::{message, prompts};
use crate::app::limits::{Admission, CallRefused};
use crate::domain::asking::{Offers, Reply};
use crate::policy::ToolClass;
use crate::spotify::text::clean;
use crate::spotify::uri::PlaylistId;

/// The revisions that we speak; older clients without a version header are served as the library does.
const VERSIONS: &[ProtocolVersion] =
    &[ProtocolVersion::V_2025_06_18, ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2026_07_28];
/// How long a client may keep a list: they change with the program only.
const LIST_TTL_MS: u64 = 3_600_000;
const STATUS_URI: &str = "spotify://status";
/// What comes before a playlist's id.
const PLAYLIST_URI: &str = "spotify://playlist/";
/// The tool that a playlist is read with.
const PLAYLIST_TOOL: &str = "get_playlist_tracks";
/// How many of its tracks.
const PLAYLIST_ROWS: u32 = 50;

/// What a call has beyond its time to say how it ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// One handler per request (the library's way); only a pointer.
#[derive(Clone)]
pub(super) struct Handler {
    pub(super) server: Arc<Inner>,
    pub(super) identity: Identity,
}

/// Where the caller's identity comes from.
#[derive(Clone)]
pub(super) enum Identity {
    /// From the HTTP request's extensions.
    Request,
    /// From the one local user of standard input and output.
    Local(LocalCaller),
}

/// Why there is no caller.
enum NoCaller {
    /// The HTTP layer forgot it: our mistake, and nothing runs.
    Missing,
    /// The local user has to log in first; what to tell them.
    LoginNeeded(String),
}

impl From<NoCaller> for ErrorData {
    fn from(none: NoCaller) -> Self {
        match none {
            NoCaller::Missing => Self::internal_error("internal error", None),
            NoCaller::LoginNeeded(instruction) => Self::invalid_request(instruction, None),
        }
    }
}

impl Handler {
    async fn caller(&self, context: &RequestContext<RoleServer>) -> Result<Arc<Caller>, NoCaller> {
        match &self.identity {
            Identity::Local(local) => local.caller().await.map(Arc::new).map_err(NoCaller::LoginNeeded),
            Identity::Request => caller_of(context).cloned().ok_or_else(|| {
                tracing::error!("a request reached the handler without an identity");
                NoCaller::Missing
            }),
        }
    }

    /// Counts a call in that did not come over HTTP, where the front door has done so.
    async fn admit(&self, caller: &Caller, class: ToolClass) -> Result<Option<Admission>, CallRefused> {
        match self.identity {
            Identity::Local(_) => self.server.admit(caller, class).await.map(Some),
            Identity::Request => Ok(None),
        }
    }

    /// Calls a tool. What changes something runs in a task of its own: where it has begun to write it goes to its end,
    /// though nobody waits for it any more, or it takes longer than a call may.
    async fn call(
        &self,
        (caller, asking): (&Arc<Caller>, Asking),
        tool: &'static ToolSpec,
        arguments: Arguments,
        context: &RequestContext<RoleServer>,
    ) -> Result<Called, ErrorData> {
        let unwanted = context.ct.child_token();
        let going = Going::until(unwanted.clone());
        if self.server.policies.of(tool.name).is_none_or(|policy| policy.class == ToolClass::Look) {
            return dispatch::call(&self.server, (caller, &asking), tool, arguments, &going).await;
        }
        let _unwanted_when_dropped = unwanted.drop_guard();
        let (server, caller) = (self.server.clone(), caller.clone());
        let (stands_on, mut stops) = (stands_on(context), self.server.stops.subscribe());
        let work = async move {
            let mut called = pin!(dispatch::call(&server, (&caller, &asking), tool, arguments, &going));
            tokio::select! {
                biased;
                called = &mut called => return called,
                () = ended(stands_on) => {}
                _ = stops.changed() => {}
            }
            going.close();
            called.await
        };
        match timeout(
            self.server.tool_deadline + LAST_WORDS,
            self.server.changes.spawn(work.in_current_span()),
        )
        .await
        {
            Ok(ended) => ended.unwrap_or_else(|_| Err(dispatch::broken(tool.name))),
            Err(_) => Ok(Called::Done(dispatch::result(&self.server, Err(ToolError::still_writing())))),
        }
    }

    /// What a call came to, on its way to the person.
    async fn told(&self, mut result: CallToolResult) -> CallToolResult {
        if let Identity::Local(local) = &self.identity {
            local.before_telling(&mut result).await;
        }
        result
    }

    async fn read_status(&self, context: &RequestContext<RoleServer>) -> Result<String, ErrorData> {
        let caller = self.caller(context).await?;
        let admitted = self.admit(&caller, ToolClass::Look).await;
        let _admitted = admitted
            .map_err(|refused| ErrorData::invalid_request(ToolError::limited(&refused).message, None))?;
        let deadline = Instant::now() + self.server.tool_deadline;
        let (used, asking, going) = (Used::default(), Asking::default(), Going::until(context.ct.clone()));
        let about = Context {
            server: &self.server,
            caller: &caller,
            deadline,
            used: &used,
            asking: &asking,
            going: &going,
        };
        let status = Status::read(about);
        let failed = || ErrorData::internal_error("the status cannot be read at the moment", None);
        match going.through(status, deadline).await {
            Ended::Done(Ok(status)) => serde_json::to_string(&status).map_err(|_| failed()),
            Ended::Panicked => Err(dispatch::broken(STATUS_URI)),
            Ended::Done(Err(_)) | Ended::TimedOut | Ended::Cancelled => Err(failed()),
        }
    }

    /// The tracks of a playlist, by the tool that lists them: counted and recorded as any call of it.
    async fn read_playlist(
        &self,
        id: &PlaylistId,
        context: &RequestContext<RoleServer>,
    ) -> Result<String, ErrorData> {
        let uri = format!("{PLAYLIST_URI}{}", id.as_str());
        let tool = self.server.tool(PLAYLIST_TOOL).ok_or_else(|| no_resource(&uri))?;
        let caller = self.caller(context).await?;
        let admitted = self.admit(&caller, ToolClass::Look).await;
        let _admitted = admitted
            .map_err(|refused| ErrorData::invalid_request(ToolError::limited(&refused).message, None))?;
        let mut arguments = Arguments::new();
        arguments.insert("playlist_id".to_owned(), id.as_str().into());
        arguments.insert("limit".to_owned(), PLAYLIST_ROWS.into());
        let (asking, going) = (Asking::default(), Going::until(context.ct.clone()));
        let called = dispatch::call(&self.server, (&caller, &asking), tool, arguments, &going).await?;
        let Called::Done(result) = called else { return Err(no_resource(&uri)) };
        let answer = result.structured_content.unwrap_or_default();
        let Some(error) = answer.get("error") else { return Ok(answer.to_string()) };
        if error["code"] == "NOT_FOUND" {
            return Err(no_resource(&uri));
        }
        let message = error["message"].as_str().unwrap_or("the playlist cannot be read").to_owned();
        Err(ErrorData::internal_error(message, Some(answer)))
    }
}

/// How one may not have what one asks for.
fn no_resource(uri: &str) -> ErrorData {
    let uri = serde_json::json!({"uri": clean(uri, 200)});
    ErrorData::resource_not_found("there is no such resource", Some(uri))
}

/// Who made a request over HTTP.
pub(super) fn caller_of(context: &RequestContext<RoleServer>) -> Option<&Arc<Caller>> {
    context.extensions.get::<http::request::Parts>()?.extensions.get()
}

/// What a request over HTTP stands on.
fn stands_on(context: &RequestContext<RoleServer>) -> Option<StandsOn> {
    context.extensions.get::<http::request::Parts>()?.extensions.get().cloned()
}

async fn ended(stands_on: Option<StandsOn>) {
    match stands_on {
        Some(stands_on) => stands_on.ended().await,
        None => std::future::pending().await,
    }
}

/// Who asks the person behind a call of a 2025-era client while it runs.
enum Asker {
    /// On the stream of events that answers the call.
    Streamed(Arc<streamed::Asker>),
    /// Over standard input and output.
    Local(LocalAsker),
}

impl Asker {
    /// For this call; `None` where its client cannot ask so.
    fn of(identity: &Identity, context: &RequestContext<RoleServer>) -> Option<Self> {
        match identity {
            Identity::Request => {
                let parts = context.extensions.get::<http::request::Parts>()?;
                parts.extensions.get().cloned().map(Self::Streamed)
            }
            Identity::Local(_) if context.meta.protocol_version().is_none() => {
                LocalAsker::of(context).map(Self::Local)
            }
            Identity::Local(_) => None,
        }
    }

    fn offers(&self) -> Offers {
        match self {
            Self::Streamed(asker) => asker.offers(),
            Self::Local(asker) => asker.offers(),
        }
    }

    async fn ask(&self, question: &Question) -> Reply {
        match self {
            Self::Streamed(asker) => asker.ask(question).await,
            Self::Local(asker) => asker.ask(question).await,
        }
    }
}

/// What the person may be asked within a call, and what they replied.
fn asking(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
    asker: Option<&Asker>,
) -> Asking {
    if context.meta.protocol_version().is_none() {
        return asker.map_or_else(Asking::default, |asker| Asking::within_the_call(asker.offers()));
    }
    let capabilities = context.meta.client_capabilities();
    let offers = offers_of(capabilities.and_then(|client| client.elicitation).as_ref());
    Asking::by_rounds(offers, (request.request_state.clone(), request.input_responses.as_ref()))
}

fn required(question: &Question) -> Result<InputRequiredResult, ErrorData> {
    question.required().map_err(|failure| unaskable(&failure.chain()))
}

fn unaskable(cause: &str) -> ErrorData {
    tracing::error!(cause, "a person could not be asked");
    ErrorData::internal_error("internal error", None)
}

/// We answer each list in one page, so no cursor is ours.
fn one_page(request: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match request.and_then(|request| request.cursor) {
        Some(_) => Err(ErrorData::invalid_params("the cursor is not one of this server", None)),
        None => Ok(()),
    }
}

macro_rules! private_list {
    ($self:ident, $result:ident, $items:expr) => {{
        let mut list =
            $result::with_all_items($items).with_ttl_ms(LIST_TTL_MS).with_cache_scope(CacheScope::Private);
        list.meta = Some($self.server.stamp.clone());
        Ok(list)
    }};
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        self.server.about.clone()
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(VERSIONS)
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        Ok(DiscoverResult::from_server_info(VERSIONS.to_vec(), self.get_info())
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        one_page(request)?;
        private_list!(self, ListToolsResult, self.server.listed.clone())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = self.server.tool(&request.name) else {
            let message = format!("unknown tool '{}'", clean(&request.name, 100));
            return Err(ErrorData::invalid_params(message, None));
        };
        let caller = match self.caller(&context).await {
            Ok(caller) => caller,
            Err(NoCaller::LoginNeeded(instruction)) => {
                // As a tool's answer, because a model sees those and not the protocol's errors.
                let error = ToolError::new("RECONNECT_REQUIRED", instruction);
                return Ok(dispatch::result(&self.server, Err(error)).into());
            }
            Err(missing) => return Err(missing.into()),
        };
        let class = self.server.policies.of(tool.name).map_or(ToolClass::Look, |policy| policy.class);
        let _admitted = match self.admit(&caller, class).await {
            Ok(admitted) => admitted,
            Err(refused) => {
                return Ok(dispatch::result(&self.server, Err(ToolError::limited(&refused))).into());
            }
        };
        let asker = Asker::of(&self.identity, &context);
        let asking = asking(&request, &context, asker.as_ref());
        let arguments = request.arguments.unwrap_or_default();
        let again = asker.as_ref().map(|_| arguments.clone());
        match self.call((&caller, asking), tool, arguments, &context).await? {
            Called::Done(result) => Ok(self.told(result).await.into()),
            Called::Asks(question) => match asker.zip(again) {
                Some((asker, arguments)) => {
                    let asking = Asking::replied(&question, asker.ask(&question).await);
                    let called = self.call((&caller, asking), tool, arguments, &context).await?;
                    let Called::Done(result) = called else { return Err(unaskable("asked twice")) };
                    Ok(self.told(result).await.into())
                }
                None => Ok(required(&question)?.with_meta(self.server.stamp.clone()).into()),
            },
        }
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        one_page(request)?;
        let status = Resource::new(STATUS_URI, "status")
            .with_title("Status")
            .with_description("Linked Spotify accounts, what this client may do, days until an account must be connected again")
            .with_mime_type("application/json");
        private_list!(self, ListResourcesResult, vec![status])
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        one_page(request)?;
        let playlist = ResourceTemplate::new(format!("{PLAYLIST_URI}{{id}}"), "playlist")
            .with_title("Playlist")
            .with_description("The first 50 tracks of a playlist of the person's own, by the playlist's id")
            .with_mime_type("application/json");
        let offered = self.server.tool(PLAYLIST_TOOL).map(|_| playlist);
        private_list!(self, ListResourceTemplatesResult, offered.into_iter().collect())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let text = match request.uri.strip_prefix(PLAYLIST_URI).map(PlaylistId::from_str) {
            Some(Ok(id)) => self.read_playlist(&id, &context).await?,
            None if request.uri == STATUS_URI => self.read_status(&context).await?,
            _ => return Err(no_resource(&request.uri)),
        };
        if let Identity::Local(local) = &self.identity
            && let Err(why) = local.before_naming(&text).await
        {
            tracing::warn!(why, "the login page does not listen");
        }
        let contents = ResourceContents::text(text, request.uri);
        let mut result = ReadResourceResult::new(vec![contents.with_mime_type("application/json")])
            .with_ttl_ms(0)
            .with_cache_scope(CacheScope::Private);
        result.meta = Some(self.server.stamp.clone());
        Ok(result.into())
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        one_page(request)?;
        private_list!(self, ListPromptsResult, prompts::all(|tool| self.server.tool(tool).is_some()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let mut result =
            prompts::get(&request.name, request.arguments.as_ref(), |tool| self.server.tool(tool).is_some())?;
        result.meta = Some(self.server.stamp.clone());
        Ok(result.into())
    }

    /// Also where a known method's parameters have the wrong shape: the library then takes it for an unknown method.
    /// With the metadata of 2026, `initialize` has no shape that would fit: that revision does not know it.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let gone = request.method == "initialize" && context.meta.protocol_version().is_some();
        if !gone && message::METHODS.contains(&request.method.as_str()) {
            return Err(ErrorData::invalid_params(
                "the parameters do not have the shape of this method",
                None,
            ));
        }
        let unknown = format!("unknown method {}", clean(&request.method, 100));
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, unknown, None))
    }
}
