//! API keys on the account page, and the one page that shows a key: once, never kept, never in an address.

use askama::Template;
use http::StatusCode;

use super::headers::Class;
use super::layout::{Site, day};
use super::{Page, Untrusted};
use crate::ambient::Timestamp;
use crate::domain::api_key::LONGEST_NAME;
use crate::domain::{ApiKeyId, ScopeSet};

/// The account page's section.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    /// Whether keys are accepted and can be made here.
    pub on: bool,
    /// Whether keys must sign requests here, so that a plain client has no use for one.
    pub signing: bool,
    /// The person's keys, newest first.
    pub rows: Vec<ApiKeyRow>,
}

/// A key as its owner sees it.
#[derive(Clone, Debug)]
pub struct ApiKeyRow {
    /// Posted as `key`.
    pub id: ApiKeyId,
    /// What it is called.
    pub name: Untrusted,
    /// How it begins.
    pub prefix: Untrusted,
    /// What it may do.
    pub scopes: ScopeSet,
    /// Since when.
    pub since: Timestamp,
    /// When it ends; `None`: when it is revoked.
    pub until: Option<Timestamp>,
    /// Whether that has passed.
    pub expired: bool,
    /// Last use, to some minutes.
    pub last_used: Option<Timestamp>,
}

/// What a person may choose for a key's life: value and words, the second one chosen already.
pub const LIVES: [(&str, &str); 4] = [
    ("30d", "after 30 days"),
    ("90d", "after 90 days"),
    ("365d", "after a year"),
    ("never", "never by itself"),
];

/// A key that has just been made.
pub struct MadeKey<'a> {
    /// The key: the page is its only copy.
    pub key: &'a str,
    /// Its id.
    pub id: &'a ApiKeyId,
    /// What it is called.
    pub name: Untrusted,
    /// What it may do.
    pub scopes: ScopeSet,
    /// When it ends.
    pub until: Option<Timestamp>,
    /// Whether it must sign requests here.
    pub signing: bool,
}

/// Renders the answer that shows a new key.
pub fn key_made(site: &Site, made: &MadeKey<'_>) -> Page {
    Page::of(&MadePage { site, made }, Class::Page)
}

#[derive(Template)]
#[template(path = "api_key_made.html")]
struct MadePage<'a> {
    site: &'a Site,
    made: &'a MadeKey<'a>,
}

impl MadePage<'_> {
    fn day(&self, at: &Timestamp) -> String {
        day(*at)
    }

    fn header(&self) -> String {
        format!("Authorization: Bearer {}", self.made.key)
    }
}

/// Why no key was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// The name does not fit.
    Name,
    /// Nothing was chosen that it may do.
    Scope,
    /// The lifetime is none of those offered.
    Life,
    /// There are as many as allowed.
    TooMany,
    /// Keys are switched off here.
    Off,
}

impl NoKey {
    /// Every reason, for tests.
    pub const ALL: [Self; 5] = [Self::Name, Self::Scope, Self::Life, Self::TooMany, Self::Off];

    fn why(self) -> String {
        match self {
            Self::Name => format!("A name has 1 to {LONGEST_NAME} visible characters."),
            Self::Scope => "Choose at least one thing that the key may do.".to_owned(),
            Self::Life => "Choose one of the lifetimes that are offered.".to_owned(),
            Self::TooMany => {
                "You have as many keys as this server allows. Revoke one that you do not use any more."
                    .to_owned()
            }
            Self::Off => "This server does not accept API keys.".to_owned(),
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::TooMany => StatusCode::CONFLICT,
            Self::Off => StatusCode::FORBIDDEN,
            Self::Name | Self::Scope | Self::Life => StatusCode::BAD_REQUEST,
        }
    }
}

/// Renders the answer that says why no key was made.
pub fn no_key(site: &Site, why: NoKey) -> Page {
    Page::of(&NoKeyPage { site, why }, Class::Page).with_status(why.status())
}

#[derive(Template)]
#[template(path = "api_key_refused.html")]
struct NoKeyPage<'a> {
    site: &'a Site,
    why: NoKey,
}
