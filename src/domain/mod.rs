//! Pure types and decisions: who people are, what clients may do, what becomes of a code or a token.
//!
//! Never: input/output, async, SQL, HTTP, the clock. `now` is always a parameter, and every decision returns an
//! *outcome* for the caller to save.

pub mod event;
pub mod ids;
pub mod scope;

pub use ids::{AppId, ClientId, DataKeyId, GrantId, LinkId, SessionId, UserId};
pub use scope::{Scope, ScopeSet};
