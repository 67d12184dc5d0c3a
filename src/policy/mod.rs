//! What each environment refuses and who may call what, parsed from policies/. Never: input/output.

pub mod environment;

pub use environment::Environment;
