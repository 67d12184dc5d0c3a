//! Pages: plain view structs in, HTML out. No store, no state, no clock.
//!
//! Every text that somebody else chose is an [`Untrusted`], which escapes, shortens and bidi-isolates itself, so a
//! template cannot forget to. Pages work without scripts; nothing is loaded from another host.
//!
//! | page | render | handler's duty |
//! |---|---|---|
//! | `GET /` | [`landing()`] | |
//! | `GET /authorize` | [`consent()`] | the form posts to `/authorize`: `ticket`, `csrf`, `decision=approve` or `deny` |
//! | `GET /account` | [`account()`] | its forms post to the paths of [`routes`] with `csrf` and one id |
//! | `POST /account/api-keys` | [`key_made()`], [`no_key()`] | the answer is the key's only copy |
//! | `GET /account/link` | [`link_another()`] | posts `csrf`, `page`, `alias`, `client_id` and `client_secret`; its answer leads to Spotify |
//! | `GET /auth/own-app` | [`own_app()`] | posts `csrf`, `client_id` and `client_secret`; its answer leads to Spotify |
//! | an own app did not answer | [`own_app_again()`] | as the page that it was typed on |
//! | nobody has a place | [`no_place()`] | |
//! | `POST /account/links/disconnect` | [`disconnecting()`] | posts `csrf`, `link`, `confirm` and `heir` |
//! | `GET /account/delete` | [`delete_data`] | posts `csrf` and `confirm`, judged by [`deletion_confirmed`] |
//! | anything that failed | [`problem()`] | |
//! | ends of a road | [`notice()`] | |
//! | `GET /assets/{file}` | [`assets::serve`] | |
//! | `GET /.well-known/security.txt` | [`security_txt()`] | |

pub mod assets;
pub mod headers;
pub mod routes;

mod account;
mod api_keys;
mod approvals;
mod browser;
mod consent;
mod disconnecting;
mod landing;
mod layout;
mod linking;
mod notice;
mod own_app;
mod page;
mod problem;
mod redirect;
mod security_txt;
pub(crate) mod untrusted;

#[cfg(test)]
mod tests;

pub use account::{
    Account, ClientRow, DELETE_WORDS, Done, LinkRow, LinkState, McpSessionRow, SessionRow, account,
    delete_data, deletion_confirmed,
};
pub use api_keys::{ApiKeyRow, ApiKeys, LIVES, MadeKey, NoKey, key_made, no_key};
pub use approvals::ApprovalRow;
pub use browser::browser;
pub use consent::{Consent, consent};
pub use disconnecting::{Disconnecting, Other, disconnecting};
pub use landing::landing;
pub use layout::Site;
pub use linking::{BadName, First, LinkAnother, link_another, link_first, not_renamed};
pub use notice::{Notice, notice};
pub use own_app::{NoPlace, OwnAppAgain, OwnAppFields, no_place, own_app, own_app_again};
pub use page::Page;
pub use problem::{Problem, problem, problem_before, problem_with_way};
pub use security_txt::security_txt;
pub use untrusted::Untrusted;
