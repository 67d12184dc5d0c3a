//! Ends of a road: pages that say one thing and offer one way on.

use askama::Template;

use super::headers::Class;
use super::layout::Site;
use super::{Page, routes};

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// `/account` in a browser without a session: no visit of a page begins a login, or makes an account anew.
    NotLoggedIn,
    /// After logging out.
    LoggedOut,
    /// After deleting everything.
    Deleted,
    /// Spotify's permission has ended; offers the way to renew it.
    ReconnectNeeded,
    /// `serve --stdio`: the loopback page's login is done, the tab has served.
    LoopbackDone,
    /// `serve --stdio`: another account of the person's came back than the one that was meant.
    LoopbackOther,
}

impl Notice {
    /// Every notice, for previews and tests.
    pub const ALL: [Self; 6] = [
        Self::NotLoggedIn,
        Self::LoggedOut,
        Self::Deleted,
        Self::ReconnectNeeded,
        Self::LoopbackDone,
        Self::LoopbackOther,
    ];

    const fn title(self) -> &'static str {
        match self {
            Self::NotLoggedIn => "You are not logged in",
            Self::LoggedOut => "You are logged out",
            Self::Deleted => "Your data is deleted",
            Self::ReconnectNeeded => "Connect Spotify again",
            Self::LoopbackDone => "You are logged in",
            Self::LoopbackOther => "Spotify returned another account",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::NotLoggedIn => {
                "Log in with Spotify to see what this server holds about you, and to change or delete it. Who has no \
                 account here gets one by logging in."
            }
            Self::LoggedOut => {
                "This browser’s session has ended. Apps you connected keep working; end their access on your account page."
            }
            Self::Deleted => {
                "Your account, Spotify tokens, connected apps and sessions are gone from this server. Its security log keeps \
                 what happened under a name that leads to nobody any more. To end the permission at Spotify’s side too, remove \
                 the app at spotify.com/account/apps."
            }
            Self::ReconnectNeeded => {
                "Spotify ends every permission six months after you gave it, or when you withdraw it there. Your \
                 connected apps stay connected: log in with Spotify once more and they work again."
            }
            Self::LoopbackDone => "Spotify is connected. You may close this tab and go back to your app.",
            Self::LoopbackOther => {
                "Spotify came back with another of your accounts than the one that was to be connected again, which is as it \
                 was. Log out at spotify.com, or choose “Not you?” on Spotify’s page, and open the address once more."
            }
        }
    }

    /// Path and label of the way on. The loopback pages live only as long as the login: they link nowhere.
    const fn way_on(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::NotLoggedIn => Some((routes::LOGIN, "Log in with Spotify")),
            Self::LoggedOut => Some((routes::LOGIN, "Log in again")),
            Self::Deleted => Some((routes::HOME, "To the start page")),
            Self::ReconnectNeeded => Some((routes::LOGIN, "Log in with Spotify")),
            Self::LoopbackDone | Self::LoopbackOther => None,
        }
    }
}

/// Renders a notice. A loopback listener that shows one must also mount `/assets/{file}`.
pub fn notice(site: &Site, notice: Notice) -> Page {
    Page::of(&NoticePage { site, notice }, Class::Page)
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage<'a> {
    site: &'a Site,
    notice: Notice,
}
