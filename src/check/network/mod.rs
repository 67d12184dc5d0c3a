//! Facts and rules of the area `network`: TLS to upstreams and to our own public URL, the egress gate, a live server's answers.
//!
//! Never: changing anything; a rule that does input or output.

use super::{Request, Rule};

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Facts {}

/// Looks. Never fails: what cannot be seen is said in the facts.
pub async fn gather(_request: &Request) -> Facts {
    Facts {}
}

/// Every rule of this area.
pub const RULES: &[Rule<Facts>] = &[];
