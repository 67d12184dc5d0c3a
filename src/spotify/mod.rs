//! The upstream: accounts service, Web API, and the simulator behind the same seam.
//!
//! Tolerant in what it reads, strict in what it sends. Never knows our users, never keeps a token, never follows
//! an address that came from upstream.

pub mod accounts;
mod accounts_error;
mod admission;
pub mod api;
pub(crate) mod base;
mod catalog;
mod clock;
pub mod error;
mod flights;
mod following;
mod ids;
pub mod kept;
mod lenient;
pub mod library;
pub(crate) mod measured;
mod memory;
pub mod models;
pub mod named;
mod older;
pub mod page;
pub mod permissions;
pub mod player;
pub mod playlist_edits;
pub mod playlists;
pub mod quota;
pub(crate) mod reply;
pub mod rest;
pub mod rows;
pub mod sandbox;
pub mod text;
pub mod things;
pub mod token;
mod turns;
pub mod uri;
mod writing;

pub use accounts::{Accounts, AppCredentials, AuthorizeRequest};
pub use accounts_error::{AccountsError, GrantFault};
pub use api::Api;
pub use base::{BaseUrl, NotABaseUrl};
pub use error::ApiError;
pub use page::Page;
pub use quota::QuotaMode;
pub use text::Foreign;
pub use token::{AccessToken, Pressing, TokenSet};
