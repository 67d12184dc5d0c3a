//! What each environment refuses and who may call what, parsed from policies/. Never: input/output.

pub mod environment;
pub mod tools;

pub use environment::Environment;
pub use tools::{ToolClass, ToolPolicies, ToolPolicy, Toolset};
