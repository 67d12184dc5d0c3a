//! The listener and what surrounds every request: faults, the wait for the state file, the journal. Serves
//! connections itself, because a fault may be to end one without an answer.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt as _, stream};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::faults::Fault;
use super::world::World;
use super::{accounts, api, control_http};

const MOST_CONNECTIONS: usize = 8192;
const LONGEST_DELAY: Duration = Duration::from_secs(600);
const BLOCK: usize = 64 * 1024;
const MEBIBYTE: usize = 1 << 20;
/// Most mebibytes in a packed answer.
const MOST_PACKED: usize = 4096;

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("dropped on purpose")]
pub struct Dropped;

/// In the extensions of a request whose change is to be confirmed and not made.
#[derive(Clone, Copy)]
pub struct Unapplied;

/// Everything the sandbox serves.
pub fn router(world: &Arc<World>) -> Router {
    accounts::router()
        .nest("/v1", api::router(world))
        .nest("/__sandbox", control_http::router())
        .with_state(world.clone())
}

/// Accepts connections for ever. Ends all of them when dropped.
pub async fn run(listener: TcpListener, world: Arc<World>) {
    let router = router(&world);
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (world, router) = (world.clone(), router.clone());
        connections.spawn(async move {
            serve(socket, world, router).await;
            drop(permit);
        });
    }
}

async fn serve(socket: TcpStream, world: Arc<World>, router: Router) {
    let _ = socket.set_nodelay(true);
    let service = hyper::service::service_fn(move |request| answer(world.clone(), router.clone(), request));
    // Connections end in errors by design here; there is nothing to report.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn answer(
    world: Arc<World>,
    router: Router,
    request: Request<Incoming>,
) -> Result<Response<Body>, Dropped> {
    let path = request.uri().path();
    if path.starts_with("/__sandbox") {
        let reply = carry_out(router, request).await;
        world.saver.settled().await;
        return Ok(reply);
    }
    let fault = world.faults.take(request.method().as_str(), path);
    let entry = world.journal.begin(&request, world.now());
    let name = fault.as_ref().map(Fault::name);
    let reply = match &fault {
        None => Some(carry_out(router, request).await),
        Some(Fault::Drop) => None,
        Some(Fault::Status { status, body, headers }) => Some(canned(*status, body, headers)),
        Some(Fault::Unapplied) => {
            let mut request = request;
            request.extensions_mut().insert(Unapplied);
            Some(carry_out(router, request).await)
        }
        Some(Fault::Delay { millis }) => {
            tokio::time::sleep(Duration::from_millis(*millis).min(LONGEST_DELAY)).await;
            Some(carry_out(router, request).await)
        }
        Some(_) => Some(carry_out(router, request).await),
    };
    let reply = reply.map(|reply| dated(reply, &world));
    world.saver.settled().await;
    world.journal.end(entry, reply.as_ref(), name);
    match (fault, reply) {
        (Some(Fault::LoseReply), _) | (_, None) => Err(Dropped),
        (Some(fault), Some(reply)) => Ok(spoil(fault, reply).await),
        (None, Some(reply)) => Ok(reply),
    }
}

/// With the time by the sandbox's clock.
fn dated(mut reply: Response<Body>, world: &World) -> Response<Body> {
    if let Some(date) = world.now().http_date().and_then(|date| HeaderValue::from_str(&date).ok()) {
        reply.headers_mut().entry(header::DATE).or_insert(date);
    }
    reply
}

async fn carry_out(router: Router, request: Request<Incoming>) -> Response<Body> {
    let answered: Result<_, Infallible> = router.oneshot(request.map(Body::new)).await;
    answered.unwrap_or_else(|never| match never {})
}

fn canned(status: u16, body: &str, headers: &std::collections::BTreeMap<String, String>) -> Response<Body> {
    let mut reply = Response::new(Body::from(body.to_owned()));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = body.starts_with('{');
    let kind = if json { "application/json; charset=utf-8" } else { "text/plain; charset=utf-8" };
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            reply.headers_mut().insert(name, value);
        }
    }
    reply
}

/// Spoils the body of an answer that was really computed.
async fn spoil(fault: Fault, reply: Response<Body>) -> Response<Body> {
    let (mut parts, body) = reply.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let body = match fault {
        Fault::Truncate => {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len().max(2)));
            let half = bytes.slice(..bytes.len() / 2);
            // The pause lets the first half leave before the connection ends.
            let end = stream::once(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(Dropped)
            });
            Body::from_stream(stream::once(async { Ok(half) }).chain(end))
        }
        Fault::Garbage => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Body::from(&b"<\xff\xfe{\"error\": not json \x00\x9f"[..])
        }
        Fault::Oversize { bytes } => {
            parts.headers.remove(header::CONTENT_LENGTH);
            blanks(bytes)
        }
        Fault::Compressed { bytes } => {
            parts.headers.remove(header::CONTENT_LENGTH);
            parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Body::from(packed_blanks(bytes))
        }
        Fault::Drip { millis } => {
            parts.headers.remove(header::CONTENT_LENGTH);
            drip(bytes, Duration::from_millis(millis).min(LONGEST_DELAY))
        }
        Fault::Status { .. } | Fault::Delay { .. } | Fault::Drop | Fault::LoseReply | Fault::Unapplied => {
            Body::from(bytes)
        }
    };
    Response::from_parts(parts, body)
}

fn blanks(bytes: u64) -> Body {
    let block = Bytes::from(vec![b' '; BLOCK]);
    Body::from_stream(stream::unfold(bytes, move |left| {
        let size = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        let piece = block.slice(..size);
        async move { (size > 0).then(|| (Ok::<_, Infallible>(piece), left - size as u64)) }
    }))
}

/// One packed mebibyte, as often as needed: such files may follow one another (RFC 1952, 2.2).
fn packed_blanks(bytes: u64) -> Vec<u8> {
    let mut member = GzEncoder::new(Vec::new(), Compression::best());
    let packed = member.write_all(&vec![b' '; MEBIBYTE]).and_then(|()| member.finish()).unwrap_or_default();
    let times = usize::try_from(bytes).unwrap_or(usize::MAX).div_ceil(MEBIBYTE);
    packed.repeat(times.min(MOST_PACKED))
}

fn drip(bytes: Bytes, pause: Duration) -> Body {
    Body::from_stream(stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let drop = rest.split_to(rest.len().min(16));
        Some((Ok::<_, Infallible>(drop), rest))
    }))
}
