//! The store's contract, on both engines: every function's happy and refusing path, and every race that it decides.

mod alerts;
mod api_keys;
mod audit;
mod changes;
mod client_documents;
mod clients;
mod codes;
mod erasure;
pub mod fixtures;
mod keys;
mod limits;
mod links;
mod logins;
mod mcp_sessions;
mod opening;
mod outbox;
mod posture;
mod purge;
mod races;
mod refresh_tokens;
mod revoking;
mod sealed_configurations;
mod sessions;
mod usage;
mod vanished;
