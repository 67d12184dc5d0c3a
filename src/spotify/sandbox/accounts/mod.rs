//! The simulated accounts service: the login page and the token endpoint (spotify.md 1.5 and 6.1 to 6.4).

mod authorize;
mod pages;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

pub use self::token::{Tokens, issue};
use super::world::World;

/// Largest form.
const MOST_BODY: usize = 64 * 1024;

/// All of the accounts service on one screen.
pub fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/authorize", get(authorize::ask).post(authorize::decide))
        .route("/api/token", post(token::endpoint))
        .route("/sandbox.css", get(pages::style))
        .route("/", get(pages::front))
        .layer(DefaultBodyLimit::max(MOST_BODY))
}
