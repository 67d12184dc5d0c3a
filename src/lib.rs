//! spotify-mcp: one server that lets a group of people use their own Spotify from any MCP client, and its
//! operator's security toolkit.
//!
//! # The map
//!
//! One order governs imports: a module may import only from those above it in this table (a test walks `src/`
//! and holds it). The security core, [`crypto`], [`domain`] and [`policy`], has no input/output and no async.
//!
//! | module | room for | never |
//! |---|---|---|
//! | [`ambient`] | the only place that asks the system for time or randomness | |
//! | [`failure`] | an unexpected error: opaque outside, the whole chain in the log | |
//! | [`reading`] | files that somebody names: regular, bounded, without waiting; what went wrong, in words | knowing what a content means |
//! | [`crypto`] | secrets as types, the key hierarchy, the envelope, tokens | input/output, async, other modules |
//! | [`domain`] | pure types and decisions: ids, scopes, redirect URIs, PKCE, grants, events | tokio, axum, sqlx |
//! | [`policy`] | who may call what, what each environment refuses; parsed from `policies/` | the same |
//! | [`config`] | raw to validated configuration, every problem at once | the store |
//! | [`telemetry`] | the operational log | deciding anything |
//! | [`store`] | every SQL statement, SQLite and PostgreSQL | business decisions |
//! | [`egress`] | the one gate for outbound connections | knowing why one is made |
//! | [`spotify`] | the upstream and its simulator behind the same seam | knowing our users |
//! | [`vault`] | the only door to upstream tokens: open, refresh once, reseal | |
//! | [`audit`] | the only door to the trail | |
//! | [`alerts`] | rules over the trail, and whom to tell | deciding anything about a request |
//! | [`backup`] | sealed copies of the database, and what restoring one takes | the network |
//! | [`app`] | the composition root: one plain struct | |
//! | [`check`] | facts, rules, findings, reports | printing |
//! | [`oauth`] | our authorization server, one file per endpoint | importing [`mcp`] |
//! | [`mcp`] | the protocol server, one tools file per topic | importing [`oauth`] |
//! | [`web`] | pages and their templates | |
//! | [`http`] | the whole router on one screen, the layers in order | |
//! | [`cli`] | one file per command; `cli/output.rs` alone prints | |
//! | [`fuzzing`] | what must hold of every parser of outside bytes | being part of the product: only tests and fuzz targets build it |
//!
//! Everything flows one way: parse, load, decide (pure), save, reply.

pub mod ambient;
pub mod failure;
pub mod reading;

pub mod crypto;
pub mod domain;
pub mod policy;

pub mod config;
pub mod telemetry;

pub mod store;

pub mod egress;
pub mod spotify;

pub mod vault;

pub mod audit;

pub mod alerts;

pub mod backup;

pub mod app;

pub mod check;

pub mod oauth;

pub mod mcp;

pub mod web;

pub mod http;

pub mod cli;

#[cfg(any(test, doc, fuzzing))]
pub mod fuzzing;
