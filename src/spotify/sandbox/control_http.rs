//! The control plane over HTTP, under `/__sandbox/`. Every request must carry `x-sandbox-control: 1`, which a web
//! page cannot add to a request for another origin.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};
use axum::{Json, Router};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::control::{Control, NewApp, NewSecret, Uncontrollable};
use super::control_playlists;
use super::faults::Injection;
use super::journal::Filter;
use super::world::World;

/// All of the control plane on one screen.
pub fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/clock", get(clock).post(advance))
        .route("/apps", get(apps).post(create_app))
        .route("/apps/{id}", patch(change_app))
        .route("/apps/{id}/secret", put(rotate_secret).delete(end_former_secret))
        .route("/users", get(users).post(create_users))
        .route("/users/{id}", patch(change_user))
        .route("/users/{id}/revoke", post(revoke))
        .route("/users/{id}/playlists", post(control_playlists::create))
        .route("/playlists/{id}", get(control_playlists::look).patch(control_playlists::change))
        .route("/grants", post(grant))
        .route("/faults", get(faults).post(inject).delete(clear_faults))
        .route("/journal", get(journal).delete(clear_journal))
        .route("/counters", get(users).delete(reset_counters))
        .layer(middleware::from_fn(guard))
}

/// A page of another site can neither send this header without asking first nor, by a name rebound to our address,
/// claim our host.
async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if !["127.0.0.1", "localhost", "[::1]"].contains(&name) {
        return (StatusCode::FORBIDDEN, "The sandbox is asked by its loopback address only.\n")
            .into_response();
    }
    if request.headers().get("x-sandbox-control").is_some_and(|value| value == "1") {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "The header x-sandbox-control: 1 is missing.\n").into_response()
    }
}

impl IntoResponse for Uncontrollable {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoApp | Self::NoPerson | Self::NoPlaylist => StatusCode::NOT_FOUND,
            Self::NotAdded => StatusCode::CONFLICT,
            Self::BadChange => StatusCode::BAD_REQUEST,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}

type Hand = State<Arc<World>>;
type Done = Result<StatusCode, Uncontrollable>;

const DONE: StatusCode = StatusCode::NO_CONTENT;

#[derive(Deserialize)]
struct Advance {
    advance_secs: u64,
}

async fn clock(State(world): Hand) -> Json<Value> {
    Json(json!({ "now": world.now().rfc3339(), "now_millis": world.now().millis() }))
}

async fn advance(State(world): Hand, Json(by): Json<Advance>) -> Json<Value> {
    world.advance(Duration::from_secs(by.advance_secs.min(100 * 365 * 86_400)));
    clock(State(world)).await
}

async fn apps(State(world): Hand) -> Response {
    Json(Control(world).apps()).into_response()
}

async fn create_app(State(world): Hand, Json(app): Json<NewApp>) -> Done {
    Control(world).create_app(app).map(|()| StatusCode::CREATED)
}

async fn change_app(State(world): Hand, Path(id): Path<String>, Json(change): Json<Value>) -> Done {
    Control(world).change_app(&id, &change).map(|()| DONE)
}

async fn rotate_secret(State(world): Hand, Path(id): Path<String>, Json(secret): Json<NewSecret>) -> Done {
    Control(world).rotate_secret(&id, &secret).map(|()| DONE)
}

async fn end_former_secret(State(world): Hand, Path(id): Path<String>) -> Done {
    Control(world).end_former_secret(&id).map(|()| DONE)
}

async fn users(State(world): Hand) -> Response {
    Json(Control(world).users()).into_response()
}

/// Either many plain people or one with traits.
#[derive(Deserialize)]
#[serde(untagged)]
enum NewUsers {
    Many {
        count: usize,
        #[serde(default = "user")]
        prefix: String,
    },
    One {
        id: String,
        #[serde(flatten)]
        traits: Value,
    },
}

fn user() -> String {
    "user".to_owned()
}

async fn create_users(State(world): Hand, Json(users): Json<NewUsers>) -> Response {
    let control = Control(world);
    match users {
        NewUsers::Many { count, prefix } => {
            (StatusCode::CREATED, Json(json!({ "added": control.create_users(&prefix, count) })))
                .into_response()
        }
        NewUsers::One { id, traits } => match control.create_user(&id, &traits) {
            Ok(()) => StatusCode::CREATED.into_response(),
            Err(refusal) => refusal.into_response(),
        },
    }
}

async fn change_user(State(world): Hand, Path(id): Path<String>, Json(change): Json<Value>) -> Done {
    Control(world).change_user(&id, &change).map(|()| DONE)
}

#[derive(Deserialize)]
struct Which {
    client_id: Option<String>,
}

async fn revoke(State(world): Hand, Path(id): Path<String>, Query(which): Query<Which>) -> Json<Value> {
    Json(json!({ "ended": Control(world).revoke(&id, which.client_id.as_deref()) }))
}

#[derive(Deserialize)]
struct WantedGrant {
    client_id: String,
    user: String,
    scope: String,
}

async fn grant(State(world): Hand, Json(wanted): Json<WantedGrant>) -> Response {
    match Control(world).grant(&wanted.client_id, &wanted.user, &wanted.scope) {
        Ok(tokens) => (StatusCode::CREATED, Json(tokens)).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn faults(State(world): Hand) -> Response {
    Json(Control(world).faults()).into_response()
}

async fn inject(State(world): Hand, Json(injection): Json<Injection>) -> StatusCode {
    if Control(world).inject(injection) { StatusCode::CREATED } else { StatusCode::TOO_MANY_REQUESTS }
}

async fn clear_faults(State(world): Hand) -> StatusCode {
    Control(world).clear_faults();
    DONE
}

async fn journal(State(world): Hand, Query(filter): Query<Filter>) -> Response {
    Json(Control(world).journal(&filter)).into_response()
}

async fn clear_journal(State(world): Hand) -> StatusCode {
    Control(world).clear_journal();
    DONE
}

async fn reset_counters(State(world): Hand) -> StatusCode {
    Control(world).reset_counters();
    DONE
}
