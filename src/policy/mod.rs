//! What each environment refuses and who may call what, parsed from policies/. Never: input/output.

pub mod alerts;
mod asking;
pub mod clients;
pub mod environment;
pub mod tools;

pub use alerts::{AlertRule, GroupBy, RuleChange};
pub use clients::{DocumentHosts, DocumentMode, WellKnownClients};
pub use environment::Environment;
pub use tools::{Offer, ToolClass, ToolPolicies, ToolPolicy, Toolset, UnknownToolset};
