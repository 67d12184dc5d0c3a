//! The account page: everything this server holds about a person, each thing with the button that ends it.

use askama::Template;

use super::headers::Class;
use super::layout::{Site, day, minute};
use super::{ApiKeys, ApprovalRow, Page, Untrusted, routes};
use crate::ambient::Timestamp;
use crate::domain::permission::needed_for;
use crate::domain::{GrantId, LinkId, ScopeSet, SessionId, UserId};

/// What the page shows. Lists come bounded: the store's limits hold, and the page shows what it is given.
#[derive(Clone, Debug)]
pub struct Account<'a> {
    /// Hidden field `csrf` of every form.
    pub csrf: &'a str,
    /// Who this is.
    pub user_id: &'a UserId,
    /// The name shown, from Spotify.
    pub display_name: Untrusted,
    /// The present instant.
    pub now: Timestamp,
    /// Spotify accounts.
    pub links: Vec<LinkRow>,
    /// Clients with a living grant.
    pub clients: Vec<ClientRow>,
    /// API keys.
    pub keys: ApiKeys,
    /// What was approved, by client.
    pub approvals: Vec<ApprovalRow>,
    /// Browser sessions.
    pub sessions: Vec<SessionRow>,
    /// Sessions of 2025-era MCP clients.
    pub mcp_sessions: Vec<McpSessionRow>,
    /// What the last form did, if one did.
    pub done: Option<Done>,
}

/// A linked Spotify account.
#[derive(Clone, Debug)]
pub struct LinkRow {
    /// Posted as `link`.
    pub id: LinkId,
    /// The name by which tools choose it.
    pub alias: Untrusted,
    /// Its name at Spotify.
    pub display_name: Untrusted,
    /// Whether tools use it where none is named.
    pub primary: bool,
    /// Whether it is the one that the person logs in with.
    pub opens: bool,
    /// The person's own app that it is linked through, shortened.
    pub own_app: Option<Untrusted>,
    /// Whether Spotify still answers for it.
    pub state: LinkState,
    /// The permissions of Spotify's that it did not get and tools need.
    pub missing: Vec<&'static str>,
}

/// Whether Spotify still answers for a linked account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It does, until the permission ends, six months after the login at Spotify.
    Connected {
        /// When Spotify ends the permission.
        until: Timestamp,
    },
    /// It does not: the person must log in with Spotify again.
    ReconnectNeeded,
    /// The Spotify app that it is linked through is in use no more.
    AppGone,
    /// Spotify refuses every call: the list of the operator's app does not name it.
    NotListed,
    /// The same of the person's own app.
    NotListedAtOwn,
    /// Spotify no longer knows the person's own app by what they gave: they must bring it again.
    OwnAppRefused,
}

/// A client the person approved.
#[derive(Clone, Debug)]
pub struct ClientRow {
    /// Posted as `grant`.
    pub grant: GrantId,
    /// The name it gave itself.
    pub name: Untrusted,
    /// Where its answers go: `RedirectUri::host` of the grant.
    pub host: Option<Untrusted>,
    /// What it may do.
    pub scopes: ScopeSet,
    /// When it was approved.
    pub since: Timestamp,
    /// When it last called.
    pub last_used: Option<Timestamp>,
}

/// A browser session.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Posted as `session`.
    pub id: SessionId,
    /// What the browser calls itself: see [`super::browser()`].
    pub browser: Untrusted,
    /// When it logged in.
    pub since: Timestamp,
    /// When it was last here.
    pub last_seen: Timestamp,
    /// Whether it is the one asking.
    pub current: bool,
}

/// A session of a 2025-era MCP client.
#[derive(Clone, Debug)]
pub struct McpSessionRow {
    /// Posted as `session`.
    pub id: SessionId,
    /// The name that the client gave itself.
    pub client: Untrusted,
    /// When it began.
    pub since: Timestamp,
    /// When it was last used.
    pub last_used: Timestamp,
}

/// What the last form did: carried as `?done=` over the redirect, and nothing else is shown for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// A Spotify account was connected again.
    Reconnected,
    /// Spotify came back with another of the person's accounts than the one to be connected again.
    OtherReturned,
    /// Another Spotify account was linked.
    Linked,
    /// Spotify came back with an account that was linked already.
    LinkedBefore,
    /// Another linked account is the primary one.
    DefaultChanged,
    /// A linked account has another name.
    Renamed,
    /// A Spotify account was disconnected.
    Disconnected,
    /// A client was revoked.
    Revoked,
    /// What was approved for a client was withdrawn.
    Withdrawn,
    /// A browser session was ended.
    SessionEnded,
    /// An API key was revoked.
    KeyRevoked,
    /// An MCP client's session was ended.
    McpSessionEnded,
}

impl Done {
    const ALL: [Self; 12] = [
        Self::Reconnected,
        Self::OtherReturned,
        Self::Linked,
        Self::LinkedBefore,
        Self::DefaultChanged,
        Self::Renamed,
        Self::Disconnected,
        Self::Revoked,
        Self::Withdrawn,
        Self::SessionEnded,
        Self::KeyRevoked,
        Self::McpSessionEnded,
    ];

    /// The value of `?done=`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reconnected => "reconnected",
            Self::OtherReturned => "other-returned",
            Self::Linked => "linked",
            Self::LinkedBefore => "linked-before",
            Self::DefaultChanged => "default-changed",
            Self::Renamed => "renamed",
            Self::Disconnected => "disconnected",
            Self::Revoked => "revoked",
            Self::Withdrawn => "withdrawn",
            Self::SessionEnded => "session-ended",
            Self::KeyRevoked => "key-revoked",
            Self::McpSessionEnded => "mcp-session-ended",
        }
    }

    /// Reads the value of `?done=`; anything else is nothing.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|done| done.word() == word)
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Reconnected => "Spotify is connected again.",
            Self::OtherReturned => {
                "Spotify came back with another of your accounts than the one that was to be connected again, which is as it \
                 was. Try again, and choose “Not you?” on Spotify’s page, or log out at spotify.com first."
            }
            Self::Linked => "The Spotify account is linked. Your apps can use it by its name at once.",
            Self::LinkedBefore => {
                "Spotify came back with an account that was linked already, so only its permission was renewed. To add \
                 another one, log out at spotify.com (or choose “Not you?” on Spotify’s page), then try again."
            }
            Self::DefaultChanged => "Tools use that account now where none is named.",
            Self::Renamed => "The account has its new name.",
            Self::Disconnected => {
                "The Spotify account is disconnected, and its tokens and data are deleted from this server."
            }
            Self::Revoked => "The app’s access has ended. It must ask you again before it can do anything.",
            Self::Withdrawn => {
                "Your approval is withdrawn and the app’s access has ended. It must ask you again."
            }
            Self::SessionEnded => "That browser is logged out.",
            Self::KeyRevoked => "The API key is revoked. It works nowhere any more.",
            Self::McpSessionEnded => "That session has ended. The app stays connected and may begin another.",
        }
    }
}

/// Renders `/account`.
pub fn account(site: &Site, view: &Account<'_>) -> Page {
    Page::of(&AccountPage { site, view }, Class::Page)
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    site: &'a Site,
    view: &'a Account<'a>,
}

/// A permission that ends within this time is pointed out.
const SOON_SECS: i64 = 30 * 86_400;

impl AccountPage<'_> {
    fn ends_soon(&self, until: &Timestamp) -> bool {
        until.secs() - self.view.now.secs() < SOON_SECS
    }

    /// What cannot be done for want of permissions.
    fn lacks(&self, link: &LinkRow) -> String {
        let lacks: Vec<_> = link.missing.iter().map(|permission| needed_for(permission)).collect();
        lacks.join("; ")
    }

    fn is_open(&self) -> bool {
        self.view.links.iter().any(|link| link.opens)
    }

    fn reconnect(&self, link: &LinkRow) -> String {
        format!("{}?link={}", routes::LOGIN, link.id)
    }

    fn day(&self, at: &Timestamp) -> String {
        day(*at)
    }

    fn minute(&self, at: &Timestamp) -> String {
        minute(*at)
    }
}

/// What must be typed to delete everything.
pub const DELETE_WORDS: &str = "delete my data";

/// Whether the typed confirmation is meant: case and space around it do not matter.
pub fn deletion_confirmed(typed: &str) -> bool {
    typed.trim().eq_ignore_ascii_case(DELETE_WORDS)
}

/// Renders `/account/delete`; `mistyped` after a confirmation that did not match.
pub fn delete_data(site: &Site, csrf: &str, mistyped: bool) -> Page {
    Page::of(&DeletePage { site, csrf, mistyped }, Class::Page)
}

#[derive(Template)]
#[template(path = "delete.html")]
struct DeletePage<'a> {
    site: &'a Site,
    csrf: &'a str,
    mistyped: bool,
}
