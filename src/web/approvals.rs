//! What a person approved, on the account page: each client once, with the button that takes it back.

use super::Untrusted;
use crate::ambient::Timestamp;
use crate::domain::{ClientId, ScopeSet};

/// What a person approved for one client.
#[derive(Clone, Debug)]
pub struct ApprovalRow {
    /// Posted as `client`.
    pub client: ClientId,
    /// The name it gave itself.
    pub name: Untrusted,
    /// Where its answers may go, each host once.
    pub hosts: Vec<Untrusted>,
    /// What was approved.
    pub scopes: ScopeSet,
    /// When last.
    pub approved: Timestamp,
}
