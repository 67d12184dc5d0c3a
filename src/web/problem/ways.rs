//! Where problem pages lead on.

use super::Problem;
use crate::domain::linking::ONESELF;
use crate::web::layout::Site;
use crate::web::routes;

/// [`routes::LOGIN`], where Spotify asks who it is.
const ANOTHER: &str = "/auth/login?ask=yes";

impl Problem {
    /// Path and label of the way on; where the remedy lies in the app, there is none but the start page.
    pub(in crate::web) const fn way_on(self) -> (&'static str, &'static str) {
        match self {
            Self::LoginExpired
            | Self::WrongBrowser
            | Self::SpotifyDenied
            | Self::NotAllowlisted
            | Self::SpotifyUnavailable => (routes::LOGIN, "Log in with Spotify"),
            Self::FormExpired
            | Self::WrongAccount
            | Self::AccountTaken
            | Self::TooManyAccounts
            | Self::LinkExpired
            | Self::LinkNotYours
            | Self::ChangeUnderWay
            | Self::NoOwnApps => (routes::ACCOUNT, "To your account"),
            // Spotify would answer for the same account again.
            Self::FurtherAccount => (ANOTHER, "Log in with the other account"),
            Self::FurtherAccountEnded => (ONESELF, "Use it here for yourself"),
            Self::OwnAppRefused | Self::NotListedAtOwn => (routes::OWN_APP, "Try again"),
            // The start page is as closed.
            Self::LockedDown => (routes::HOME, "Try again"),
            _ => (routes::HOME, "To the start page"),
        }
    }

    /// The way on from a page of this site: where there is nothing but logging in, that.
    pub(in crate::web) fn way_on_at(self, site: &Site) -> (&'static str, &'static str) {
        match self.way_on() {
            (path, _) if site.only_logins() && ![routes::OWN_APP, ANOTHER].contains(&path) => {
                (routes::LOGIN, "Log in with Spotify")
            }
            way => way,
        }
    }
}
