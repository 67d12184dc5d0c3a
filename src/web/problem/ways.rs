//! Where problem pages lead on.

use super::Problem;
use crate::web::routes;

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
            Self::OwnAppRefused | Self::NotListedAtOwn => (routes::OWN_APP, "Try again"),
            // The start page is as closed.
            Self::LockedDown => (routes::HOME, "Try again"),
            _ => (routes::HOME, "To the start page"),
        }
    }
}
