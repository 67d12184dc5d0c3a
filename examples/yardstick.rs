//! The yardstick of `scripts/bench`: as little as a server can be that does the same work. rmcp and axum, one tool,
//! one upstream call for each, a table of tokens in memory; no database, encryption, limits, audit or checks.
//! Never a server for people.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use clap::Parser;
use http::{HeaderValue, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ProtocolVersion,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A bare rmcp and axum server on 127.0.0.1.
#[derive(Parser)]
struct Args {
    /// Where to listen; 0 takes any port that is free.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The upstream's Web API, as the simulator prints it.
    #[arg(long)]
    api: String,
    /// Lines of `person`, `our token` and `token at the upstream`, between tabs (`load grant` writes it).
    #[arg(long)]
    people: PathBuf,
}

/// Our tokens and what they stand for.
type Table = Arc<HashMap<String, Upstream>>;

/// The value of `Authorization` at the upstream.
#[derive(Clone)]
struct Upstream(HeaderValue);

#[tokio::main]
#[allow(clippy::print_stdout, reason = "an example for scripts to read")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let table: Table = Arc::new(read_table(&std::fs::read_to_string(&args.people)?)?);
    let mut client = HttpConnector::new();
    client.set_nodelay(true);
    let handler = Handler {
        client: Client::builder(TokioExecutor::new()).build(client),
        address: format!("{}/me/player/currently-playing?additional_types=track%2Cepisode", args.api)
            .parse()?,
    };
    let config =
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let service = StreamableHttpService::new(
        move || Ok(handler.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let router = Router::new().route_service("/mcp", service).layer(from_fn_with_state(table, authenticate));
    let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))).await?;
    println!("http://{}/mcp", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Ok(())
}

fn read_table(text: &str) -> Result<HashMap<String, Upstream>, Box<dyn Error>> {
    let mut table = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split('\t').skip(1);
        let (Some(ours), Some(upstream)) = (fields.next(), fields.next()) else {
            return Err("each line needs three fields".into());
        };
        table.insert(ours.to_owned(), Upstream(HeaderValue::try_from(format!("Bearer {upstream}"))?));
    }
    Ok(table)
}

async fn authenticate(State(table): State<Table>, mut request: Request, next: Next) -> Response {
    let token = request.headers().get(header::AUTHORIZATION);
    let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(upstream) = token.and_then(|token| table.get(token)).cloned() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    request.extensions_mut().insert(upstream);
    next.run(request).await
}

#[derive(Clone)]
struct Handler {
    client: Client<HttpConnector, Empty<Bytes>>,
    address: Uri,
}

/// Of the upstream's answer what our own tool reads too.
#[derive(Deserialize)]
struct Playing {
    is_playing: bool,
    progress_ms: Option<u64>,
    item: Option<Track>,
}

#[derive(Deserialize, Serialize)]
struct Track {
    uri: String,
    name: String,
    duration_ms: u64,
    artists: Vec<Named>,
    album: Named,
}

#[derive(Deserialize, Serialize)]
struct Named {
    uri: String,
    name: String,
}

impl Handler {
    async fn ask(&self, upstream: Upstream) -> Result<Playing, Box<dyn Error + Send + Sync>> {
        let request = http::Request::get(self.address.clone())
            .header(header::AUTHORIZATION, upstream.0)
            .body(Empty::new())?;
        let answer = self.client.request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(answer.status().to_string().into());
        }
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(&[
            ProtocolVersion::V_2025_06_18,
            ProtocolVersion::V_2025_11_25,
            ProtocolVersion::V_2026_07_28,
        ])
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if request.name != "get_current_track" {
            return Err(ErrorData::invalid_params("unknown tool", None));
        }
        let upstream =
            context.extensions.get::<http::request::Parts>().and_then(|parts| parts.extensions.get());
        let Some(upstream) = upstream.cloned() else {
            return Err(ErrorData::internal_error("nobody", None));
        };
        let playing = self.ask(upstream).await;
        let playing = playing.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let Playing { is_playing, progress_ms, item } = playing;
        let title = item.as_ref().map_or("nothing", |track| &track.name);
        let mut result = CallToolResult::success(vec![ContentBlock::text(format!("Playing: {title}"))]);
        result.structured_content =
            Some(json!({"playing": is_playing, "progress_ms": progress_ms, "track": item}));
        Ok(result.into())
    }
}
