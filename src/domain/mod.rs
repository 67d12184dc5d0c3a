//! Pure types and decisions: who people are, what clients may do, what becomes of a code or a token.
//!
//! Never: input/output, async, SQL, HTTP, the clock. `now` is always a parameter, and every decision returns an
//! *outcome* for the caller to save.

pub mod api_key;
pub mod asking;
pub mod change;
pub mod client;
pub mod client_document;
pub mod code;
pub mod edits;
pub mod event;
mod event_code;
pub mod freshness;
pub mod ids;
mod key_purpose;
pub mod limit;
pub mod linking;
pub mod lists;
pub mod mcp_session;
mod neighbourhood;
pub mod own_app;
pub mod permission;
pub mod pkce;
pub mod placement;
pub mod probing;
pub mod redirect;
pub mod refresh;
mod registration_mode;
pub mod resource;
pub mod rotation;
pub mod scope;
pub mod selection;
pub mod share;
pub mod signature;
mod signature_fields;
pub mod strict_json;
mod syslog;
pub mod undoing;

pub use ids::{
    AlertId, ApiKeyId, AppId, BackupId, ChangeId, ClientId, DataKeyId, DynamicClientId, EmergencyId, GrantId,
    IncidentId, LinkId, PlanId, QuestionId, RotationId, SessionId, UserId,
};
pub use key_purpose::KeyPurpose;
pub use neighbourhood::{Neighbourhood, district_share, region_share};
pub use scope::{Scope, ScopeSet};
pub use syslog::SyslogPlace;
