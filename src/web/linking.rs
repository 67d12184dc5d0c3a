//! The page on which a person links another Spotify account: what it will be called, and on to Spotify.
//!
//! It says whose it becomes; whoever is not that person never sees it.

use askama::Template;

use super::headers::Class;
use super::layout::Site;
use super::{OwnAppFields, Page, Untrusted, routes};
use crate::domain::LinkId;
use crate::domain::ids::LinkPageId;

/// What the page shows.
#[derive(Clone, Debug)]
pub struct LinkAnother<'a> {
    /// Hidden field `csrf`.
    pub csrf: &'a str,
    /// Hidden field `page`, where a tool asked for it.
    pub page: Option<&'a LinkPageId>,
    /// The account that is to be linked again, with another app of the person's own or without.
    pub again: Option<(LinkId, Untrusted)>,
    /// Whose the account becomes.
    pub display_name: Untrusted,
    /// What is linked already, by name.
    pub linked: Vec<Untrusted>,
    /// Why none of the operator's apps takes one more account, where none does.
    pub lacks: Option<String>,
    /// What stands in the field.
    pub alias: Untrusted,
    /// Why the name that was sent is not taken.
    pub refused: Option<BadName>,
    /// The fields of an app of their own, where people may bring one.
    pub own: Option<OwnAppFields<'a>>,
}

/// Why a name is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadName {
    /// It does not have the form of one.
    Form,
    /// Another account of theirs is called so.
    Taken,
}

impl BadName {
    /// Each of them, for previews and tests.
    pub const ALL: [Self; 2] = [Self::Form, Self::Taken];

    const fn said(self) -> &'static str {
        match self {
            Self::Form => {
                "A name has 1 to 40 letters, digits, spaces or any of - _ . ' & +, and is not “all”. Nothing was changed."
            }
            Self::Taken => "Another account of yours is called so. Nothing was changed.",
        }
    }
}

/// Renders the page. Its form ends in a redirect to Spotify.
pub fn link_another(site: &Site, view: &LinkAnother<'_>) -> Page {
    Page::of(&LinkTemplate { site, view }, Class::Consent)
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkTemplate<'a> {
    site: &'a Site,
    view: &'a LinkAnother<'a>,
}

/// For what somebody has to log in first, with the account that opens them.
#[derive(Clone, Copy, Debug)]
pub enum First<'a> {
    /// For this one-time page: the new account is not the one to log in with.
    Page(&'a LinkPageId),
    /// To connect this account again, which was linked later.
    Again(&'a LinkId),
}

impl First<'_> {
    /// Where they log in for it.
    pub fn way(self) -> String {
        match self {
            Self::Page(page) => format!("{}?page={page}&login=yes", routes::LINK),
            Self::Again(link) => format!("{}?link={link}&login=yes", routes::LOGIN),
        }
    }

    const fn said(self) -> &'static str {
        match self {
            Self::Page(_) => {
                "This page links another Spotify account to the person who asked for it. Log in with the Spotify account that \
                 you began with here; the new one comes after."
            }
            Self::Again(_) => {
                "This connects a Spotify account again that was linked beside another one. Log in with the Spotify account that \
                 you began with here; the one to be connected again comes after, on a second page of Spotify’s."
            }
        }
    }
}

/// Renders what comes first where nobody is logged in.
pub fn link_first(site: &Site, first: First<'_>) -> Page {
    Page::of(&LinkFirst { site, first }, Class::Page)
}

#[derive(Template)]
#[template(path = "link_first.html")]
struct LinkFirst<'a> {
    site: &'a Site,
    first: First<'a>,
}

/// Renders why a linked account was not renamed.
pub fn not_renamed(site: &Site, why: BadName) -> Page {
    Page::of(&NotRenamed { site, why }, Class::Page).with_status(http::StatusCode::BAD_REQUEST)
}

#[derive(Template)]
#[template(path = "not_renamed.html")]
struct NotRenamed<'a> {
    site: &'a Site,
    why: BadName,
}
