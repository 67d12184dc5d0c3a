//! The page before an account is disconnected that cannot be missed: the one that the person logs in with, or the last.
//! It says what follows, and lets them choose who logs in then.

use askama::Template;

use super::headers::Class;
use super::layout::Site;
use super::{Page, Untrusted};
use crate::domain::LinkId;

/// What the page shows.
#[derive(Clone, Debug)]
pub struct Disconnecting<'a> {
    /// Hidden field `csrf`.
    pub csrf: &'a str,
    /// Posted as `link`, with `confirm`.
    pub link: LinkId,
    /// Its name at Spotify.
    pub display_name: Untrusted,
    /// Whether it is the one that the person logs in with.
    pub opens: bool,
    /// The accounts that stay: one of them may be posted as `heir`.
    pub others: Vec<Other>,
    /// How many apps have access, API keys are good, and browsers are logged in.
    pub held: [usize; 3],
}

/// An account that stays.
#[derive(Clone, Debug)]
pub struct Other {
    /// Its id.
    pub id: LinkId,
    /// The name by which tools choose it.
    pub alias: Untrusted,
    /// Its name at Spotify.
    pub display_name: Untrusted,
}

/// Renders the page.
pub fn disconnecting(site: &Site, view: &Disconnecting<'_>) -> Page {
    Page::of(&DisconnectTemplate { site, view }, Class::Page)
}

#[derive(Template)]
#[template(path = "disconnect.html")]
struct DisconnectTemplate<'a> {
    site: &'a Site,
    view: &'a Disconnecting<'a>,
}

impl DisconnectTemplate<'_> {
    fn held(&self) -> String {
        let [apps, keys, browsers] = self.view.held;
        let some = |count: usize, one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {many}"),
        };
        format!(
            "{}, {} and {}",
            some(apps, "connected app", "connected apps"),
            some(keys, "API key", "API keys"),
            some(browsers, "browser logged in", "browsers logged in")
        )
    }
}
