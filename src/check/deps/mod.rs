//! Facts and rules of the area `deps`: what this program was built from, and what is known against it.
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
