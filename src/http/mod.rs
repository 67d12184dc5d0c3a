//! The whole router on one screen, and the layers in the order in which a request meets them.
//!
//! Handlers here only parse, ask [`crate::oauth`] and reply with [`crate::web`] pages or JSON.

mod account;
mod account_export;
mod account_sessions;
mod answers;
mod api_keys;
mod approvals;
mod authorize;
mod closed;
mod connections;
mod cors;
mod descriptors;
mod discovery;
mod exposed;
mod front;
mod heads;
mod health;
mod in_flight;
pub(crate) mod layers;
mod leftover;
mod limited;
mod line;
mod linking;
mod login;
mod measured;
mod metrics;
mod own_app;
mod pages;
mod pieces;
pub(crate) mod posted;
mod protocol;
mod renewal;
mod reply;
mod serve;
mod signed;
mod speak;
mod tls;
mod token;
pub(crate) mod visitor;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, options, post};

use crate::ambient::Timestamp;
use crate::app::App;
use crate::domain::UserId;
use crate::mcp;
use crate::web::{Site, assets, routes};

pub use front::Front;
pub use renewal::Renewal;
pub use serve::{FINISH_WITHIN, Listening, ServeError, listen};
pub use tls::Tls;
pub use visitor::Peer;

/// What every handler shares.
pub struct Http {
    /// The composition root.
    pub app: Arc<App>,
    /// The server as its pages speak of it.
    pub site: Site,
    /// The protocol server; `None` where this listener only logs people in (`serve --stdio`).
    pub mcp: Option<mcp::Server>,
    /// The one person of `serve --stdio`, whose page this listener serves.
    pub local: Option<LocalLogin>,
    hosts: layers::Hosts,
    /// Whether it issues nothing while an emergency is dealt with.
    heeds_freeze: bool,
    draining: AtomicBool,
    started: Timestamp,
    /// What metrics say of the database.
    known: exposed::Known,
}

/// The loopback page of `serve --stdio`.
pub struct LocalLogin {
    /// Who must log in; `None` where nobody has yet.
    pub expected: Option<UserId>,
    /// Told who logged in.
    pub logged_in: Box<dyn Fn(UserId) + Send + Sync>,
}

impl Http {
    /// Joins the parts.
    pub fn new(app: Arc<App>, mcp: Option<mcp::Server>, local: Option<LocalLogin>) -> Self {
        let server = &app.config.server;
        let site = Site::new(&server.public_url, app.sandbox, server.security_contact.as_deref());
        let site = if local.is_some() { site.with_only_logins() } else { site };
        Self {
            hosts: layers::Hosts::of(server),
            site,
            mcp,
            local,
            heeds_freeze: true,
            draining: AtomicBool::new(false),
            started: app.now(),
            known: exposed::Known::default(),
            app,
        }
    }

    /// The same for the command that deals with an emergency: it tries what servers would answer without the freeze.
    pub fn despite_freeze(self) -> Self {
        Self { heeds_freeze: false, ..self }
    }

    /// From now on not ready: load balancers look elsewhere while calls in flight finish.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

type Shared = Arc<Http>;

/// What the loopback page of `serve --stdio` needs, and nothing else.
pub fn login_front(http: &Shared) -> Front {
    let routes = Router::new()
        .route(routes::LOGIN, get(login::login))
        .route(routes::OWN_APP, get(own_app::show).post(own_app::leave))
        .route(login::callback_path(&http.app.config), get(login::callback))
        .route("/assets/{file}", get(assets::serve))
        .fallback(pages::not_found)
        .layer(from_fn_with_state(http.clone(), layers::to_public_origin))
        .with_state(http.clone());
    Front::new(http.clone(), routes)
}

/// Every route of the server, and what surrounds them.
pub fn front(http: &Shared) -> Front {
    let body_bytes = usize::try_from(posted::most_bytes(&http.app.config.limits)).unwrap_or(usize::MAX);

    let pages = Router::new()
        .route(routes::HOME, get(pages::landing))
        .route(routes::AUTHORIZE, get(authorize::ask).post(authorize::decide))
        .route(routes::LOGIN, get(login::login))
        .route(routes::OWN_APP, get(own_app::show).post(own_app::leave))
        .route("/auth/status", get(login::status))
        .route(routes::LOGOUT, post(account::log_out))
        .route(routes::ACCOUNT, get(account::show))
        .route(routes::LINK, get(linking::show).post(linking::leave))
        .route(routes::RENAME, post(linking::rename))
        .route(routes::MAKE_PRIMARY, post(linking::make_primary))
        .route(routes::DISCONNECT, post(account::disconnect))
        .route(routes::REVOKE, post(account::revoke))
        .route(routes::WITHDRAW, post(approvals::withdraw))
        .route(routes::END_SESSION, post(account::end_session))
        .route(routes::API_KEYS, post(api_keys::create))
        .route(routes::REVOKE_KEY, post(api_keys::revoke))
        .route(routes::END_MCP_SESSION, post(account_sessions::end))
        .route(routes::EXPORT, post(account_export::export))
        .route(routes::DELETE, get(account::confirm_deletion).post(account::delete))
        .route(login::callback_path(&http.app.config), get(login::callback))
        .layer(from_fn_with_state(http.clone(), layers::to_public_origin));

    let programs = Router::new()
        .route("/token", post(token::token))
        .route("/register", post(token::register))
        .route("/revoke", post(token::revoke))
        .route("/introspect", post(token::introspect))
        .merge(discovery::routes())
        // Inside CORS, or preflights would get this answer.
        .method_not_allowed_fallback(pages::method_not_allowed)
        .layer(cors::layer());

    // Calls come here from the front without the router; only preflights pass a layer, for the protocol marks its own
    // answers.
    let endpoint = || any(protocol::other).merge(options(protocol::other).layer(cors::layer()));
    let protocol = Router::new()
        .route("/mcp", endpoint())
        .route("/mcp/", endpoint())
        .route("/claude-mcp", endpoint())
        .route("/claude-mcp/", endpoint());

    let routes = Router::new()
        .merge(pages.merge(programs).layer(DefaultBodyLimit::max(body_bytes)))
        .merge(protocol)
        .route("/assets/{file}", get(assets::serve))
        .route(routes::SECURITY_TXT, get(pages::security_txt))
        .merge(health::routes())
        .merge(metrics::routes())
        .fallback(pages::not_found)
        .method_not_allowed_fallback(pages::method_not_allowed)
        .with_state(http.clone());
    Front::new(http.clone(), routes)
}
