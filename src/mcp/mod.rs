//! The MCP server: two eras of the protocol on one endpoint, without sessions of the library's, one file per topic
//! of tools.
//!
//! A request comes authenticated: the HTTP layer puts a [`Caller`] into its extensions, and where that is missing
//! nothing runs. The way of a request: [`Server::handle`] reads the body once and refuses what is malformed or out of
//! scope; `handler` is the protocol's methods; `dispatch` guards each tool call (limits, deadline, cancellation,
//! panics, trail, usage); the tool asks Spotify through [`Upstream`].
//!
//! Never: a token in the clear beyond one call, an identity from an argument, importing `oauth`.

mod asking;
mod basis;
mod book;
mod caller;
mod cancel;
mod dispatch;
mod going;
mod guard;
mod handler;
mod http_policy;
mod limits;
pub(crate) mod measured;
mod mending;
pub(crate) mod message;
pub(crate) mod prompts;
mod refusal;
mod server;
pub(crate) mod service;
pub(crate) mod session;
mod several;
mod shape;
pub mod stdio;
mod streamed;
mod streams;
pub(crate) mod tools;
mod unique;
mod upstream;
mod usage;

pub use basis::Credential;
pub use book::{AccountBook, OfApp};
pub use caller::{Caller, ExpectedDigest};
pub use guard::CallGuard;
pub use http_policy::HttpPolicy;
pub use refusal::refusal;
pub use server::{McpDeps, Server};
pub use service::{InsufficientScope, NotServed};
pub use upstream::{Linked, Upstream, Work};
pub use usage::UsageCounters;

/// What we call ourselves in the protocol.
const NAME: &str = "spotify-mcp";
