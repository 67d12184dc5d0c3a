//! What can go wrong between here and Spotify, as a waiting client and the trail are told of it. Pages say it in
//! [`crate::web`].

use std::borrow::Cow;

use crate::domain::linking::ONESELF;
use crate::domain::own_app::{Bring, PAGE};

/// What can go wrong between here and Spotify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginProblem {
    /// The state is unknown, used, or out of time.
    Expired,
    /// The browser does not hold the login's cookie.
    WrongBrowser,
    /// The person refused at Spotify.
    Denied,
    /// Another account came back than the one that is logged in here.
    WrongAccount,
    /// The account is one that its person has linked beside the one that they log in with.
    FurtherAccount {
        /// Whether Spotify no longer answers to that person for it: then it may be had for oneself.
        ended: bool,
    },
    /// The account is linked to another person of this server.
    SomebodyElses,
    /// The person has as many linked accounts as they may.
    TooManyAccounts,
    /// Whoever asked to link an account is not logged in any more.
    SessionEnded,
    /// No Spotify app of the operator's has a seat left.
    NoSeat {
        /// What they may do with an app of their own.
        own: Bring,
        /// Whether the app that they came through does not list them, though they may have sat there.
        unlisted: bool,
        /// Whether they have an account here whose app is in use no more.
        moved: bool,
        /// How many places there are.
        places: Option<u64>,
        /// How many one person takes, where they have as many.
        each: Option<u64>,
    },
    /// Spotify's dashboard does not list the person.
    NotAllowlisted {
        /// The app with room, by its name where there are several.
        app: Option<String>,
        /// What they may do with an app of their own.
        own: Bring,
    },
    /// Spotify refuses the person's own app.
    OwnAppRefused,
    /// The dashboard of the person's own app does not list the account.
    NotListedAtOwn,
    /// Nobody may bring an app of their own.
    NoOwnApps,
    /// The operator does not admit this account.
    SignupClosed,
    /// The operator has disabled the person.
    Disabled,
    /// Spotify does not answer.
    Unavailable,
    /// Spotify refuses the operator's app.
    Misconfigured,
}

impl LoginProblem {
    /// As an OAuth error for a waiting client. The texts are what most clients show to the person.
    pub(super) fn oauth(&self, issuer: &str) -> (&'static str, Cow<'static, str>) {
        let (error, text) = match self {
            // The last five never come with a waiting client.
            Self::Expired
            | Self::WrongBrowser
            | Self::SomebodyElses
            | Self::TooManyAccounts
            | Self::SessionEnded
            | Self::NotListedAtOwn
            | Self::NoOwnApps => ("access_denied", "The login took too long. Please try again"),
            Self::Denied => ("access_denied", "The person refused at Spotify"),
            Self::WrongAccount => (
                "access_denied",
                "Another Spotify account came back than the one logged in here. Log out at /account or choose the right account",
            ),
            Self::FurtherAccount { ended: true } => {
                let text = format!(
                    "FURTHER_ACCOUNT: this Spotify account was linked here as a further account, which Spotify no longer honours. Log in with the account that you began with here, or use this one for yourself: {issuer}{ONESELF}"
                );
                return ("access_denied", text.into());
            }
            Self::FurtherAccount { ended: false } => (
                "access_denied",
                "FURTHER_ACCOUNT: this Spotify account is linked here as a further account, which does not log in. Log in with the account that you began with here; or have this one unlinked there, or remove the app at spotify.com/account/apps, and come as yourself",
            ),
            Self::NoSeat { own, .. } => {
                let text = "NO_SEAT: Spotify allows this server only a few listeners and all seats are taken. Ask the operator";
                return ("access_denied", and_own(text.to_owned(), *own, issuer));
            }
            Self::NotAllowlisted { app, own } => {
                let app = app.as_ref().map(|app| format!(" to the app '{app}'")).unwrap_or_default();
                let text = format!(
                    "NOT_ALLOWLISTED: ask the operator to add your Spotify account{app} in the Spotify developer dashboard under Users Management"
                );
                return ("access_denied", and_own(text, *own, issuer));
            }
            // Of an account that is to be connected again.
            Self::OwnAppRefused => (
                "access_denied",
                "OWN_APP_REFUSED: Spotify refuses your own Spotify app. Log in at /account and link the account again with its present client id",
            ),
            Self::SignupClosed => (
                "access_denied",
                "SIGNUP_CLOSED: the operator of this server has to admit your account first",
            ),
            Self::Disabled => ("access_denied", "USER_DISABLED: the operator has disabled your account"),
            Self::Unavailable => {
                ("temporarily_unavailable", "Spotify does not answer. Please try again in a moment")
            }
            Self::Misconfigured => {
                ("server_error", "Spotify does not accept this server's app. Please tell the operator")
            }
        };
        (error, text.into())
    }

    /// Whether the person's own app is what did not answer for them.
    pub(super) const fn is_of_own_app(&self) -> bool {
        matches!(self, Self::OwnAppRefused | Self::NotListedAtOwn)
    }

    /// As the trail records it.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::WrongBrowser => "wrong_browser",
            Self::Denied => "denied_at_spotify",
            Self::WrongAccount => "wrong_account",
            Self::FurtherAccount { .. } => "further_account",
            Self::SomebodyElses => "somebody_elses_account",
            Self::TooManyAccounts => "too_many_accounts",
            Self::SessionEnded => "session_ended",
            Self::NoSeat { .. } => "no_seat",
            Self::NotAllowlisted { .. } => "not_allowlisted",
            Self::OwnAppRefused => "own_app_refused",
            Self::NotListedAtOwn => "not_listed_at_own_app",
            Self::NoOwnApps => "no_own_apps",
            Self::SignupClosed => "signup_closed",
            Self::Disabled => "user_disabled",
            Self::Unavailable => "spotify_unavailable",
            Self::Misconfigured => "spotify_misconfigured",
        }
    }
}

fn and_own(text: String, own: Bring, issuer: &str) -> Cow<'static, str> {
    match own {
        Bring::One => format!("{text}, or bring your own Spotify client id at {issuer}{PAGE}").into(),
        Bring::LogInBy => format!(
            "{text}. If your account here stands on a Spotify app of your own, log in at {issuer}{PAGE}"
        )
        .into(),
        Bring::Nothing => text.into(),
    }
}
