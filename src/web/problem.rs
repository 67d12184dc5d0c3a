//! Problem pages: what happened, what to do, a stable code and the request's id. Never a word of the request itself.

mod documents;
mod links;
mod servers;
mod ways;

use askama::Template;
use http::StatusCode;

use super::headers::Class;
use super::layout::Site;
use super::{Page, routes};
use crate::domain::ids::RequestId;

/// Everything a page can report. Codes are stable: the troubleshooting table of the README is by code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// `/authorize` from a client that is not registered here (any more). Never redirected.
    UnknownClient,
    /// The client describes itself by a document that breaks a rule. Never redirected.
    DocumentRefused,
    /// The client's document could not be fetched. Never redirected.
    DocumentUnavailable,
    /// The operator does not take this client's word for itself. Never redirected.
    ClientNotAllowed,
    /// `/authorize` with a redirect URI that the client did not register. Never redirected.
    RedirectMismatch,
    /// `/authorize` that is malformed before client and redirect URI are proven.
    InvalidRequest,
    /// The login took longer than it may, or its link was used before.
    LoginExpired,
    /// The callback came to another browser than the login started in.
    WrongBrowser,
    /// A form whose CSRF field does not belong to this browser's session.
    FormExpired,
    /// The person refused at Spotify.
    SpotifyDenied,
    /// Spotify returned another account than the one the session or the link belongs to.
    WrongAccount,
    /// The Spotify account is linked beside the one that its person logs in with.
    FurtherAccount,
    /// The same, and Spotify no longer answers to that person for it.
    FurtherAccountEnded,
    /// The Spotify account is linked to another person of this server.
    AccountTaken,
    /// The person has as many linked accounts as they may.
    TooManyAccounts,
    /// A one-time page that is used, dead, or never was.
    LinkExpired,
    /// A one-time page that somebody else asked for.
    LinkNotYours,
    /// A change is still being written with the account that is to go.
    ChangeUnderWay,
    /// The operator's Spotify app is full.
    NoSeat,
    /// Logged in at Spotify, but the app's dashboard does not list the person.
    NotAllowlisted,
    /// Spotify refused the person's own app.
    OwnAppRefused,
    /// The dashboard of the person's own app does not list the account.
    NotListedAtOwn,
    /// Nobody may bring an app of their own.
    NoOwnApps,
    /// The operator does not admit this person.
    SignupClosed,
    /// The operator has disabled this person.
    UserDisabled,
    /// Spotify does not answer, or not sensibly.
    SpotifyUnavailable,
    /// Spotify refused the operator's app itself.
    SpotifyMisconfigured,
    /// Too many requests from this address.
    RateLimited,
    /// No such page.
    NotFound,
    /// A page asked with the wrong method.
    MethodNotAllowed,
    /// Busy, draining, locked down, or without a database.
    Unavailable,
    /// This server was not given the master key in use.
    WithoutKey,
    /// Nothing is issued while the operator deals with an emergency.
    Frozen,
    /// The operator has locked every server down.
    LockedDown,
    /// Something that should not have happened.
    Internal,
}

/// What a problem says: stable code, status, title, what happened, what to do.
struct Said(&'static str, StatusCode, &'static str, &'static str, &'static str);

impl Problem {
    /// Every problem, for previews, documentation and tests.
    pub const ALL: [Self; 35] = [
        Self::UnknownClient,
        Self::DocumentRefused,
        Self::DocumentUnavailable,
        Self::ClientNotAllowed,
        Self::RedirectMismatch,
        Self::InvalidRequest,
        Self::LoginExpired,
        Self::WrongBrowser,
        Self::FormExpired,
        Self::SpotifyDenied,
        Self::WrongAccount,
        Self::FurtherAccount,
        Self::FurtherAccountEnded,
        Self::AccountTaken,
        Self::TooManyAccounts,
        Self::LinkExpired,
        Self::LinkNotYours,
        Self::ChangeUnderWay,
        Self::NoSeat,
        Self::NotAllowlisted,
        Self::OwnAppRefused,
        Self::NotListedAtOwn,
        Self::NoOwnApps,
        Self::SignupClosed,
        Self::UserDisabled,
        Self::SpotifyUnavailable,
        Self::SpotifyMisconfigured,
        Self::RateLimited,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Unavailable,
        Self::WithoutKey,
        Self::Frozen,
        Self::LockedDown,
        Self::Internal,
    ];

    /// Whether no other page is served meanwhile: a link would lead to this one.
    pub const fn closes_everything(self) -> bool {
        matches!(self, Self::LockedDown)
    }

    /// The stable code.
    pub const fn code(self) -> &'static str {
        self.said().0
    }

    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        self.said().1
    }

    pub(super) const fn title(self) -> &'static str {
        self.said().2
    }

    pub(super) const fn happened(self) -> &'static str {
        self.said().3
    }

    pub(super) const fn remedy(self) -> &'static str {
        self.said().4
    }

    const fn said(self) -> Said {
        match self {
            Self::DocumentRefused | Self::DocumentUnavailable | Self::ClientNotAllowed => {
                self.said_of_documents()
            }
            Self::UnknownClient
            | Self::RedirectMismatch
            | Self::InvalidRequest
            | Self::LoginExpired
            | Self::WrongBrowser
            | Self::FormExpired => self.said_of_requests(),
            Self::FurtherAccount
            | Self::FurtherAccountEnded
            | Self::AccountTaken
            | Self::TooManyAccounts
            | Self::LinkExpired
            | Self::LinkNotYours
            | Self::ChangeUnderWay => self.said_of_links(),
            Self::SpotifyDenied
            | Self::WrongAccount
            | Self::NoSeat
            | Self::NotAllowlisted
            | Self::SignupClosed
            | Self::UserDisabled => self.said_of_people(),
            Self::OwnAppRefused | Self::NotListedAtOwn | Self::NoOwnApps => self.said_of_own_apps(),
            Self::Unavailable | Self::WithoutKey | Self::Frozen | Self::LockedDown => self.said_of_pauses(),
            _ => self.said_of_servers(),
        }
    }

    const fn said_of_requests(self) -> Said {
        match self {
            Self::UnknownClient => Said(
                "UNKNOWN_CLIENT",
                StatusCode::BAD_REQUEST,
                "This app is not known here",
                "The app that sent you here is not registered with this server, or its registration has expired.",
                "In the app, remove this server and add it again: it will register afresh. Nothing was sent back to the app.",
            ),
            Self::RedirectMismatch => Said(
                "REDIRECT_MISMATCH",
                StatusCode::BAD_REQUEST,
                "The app’s return address does not match",
                "The address that your login should be sent to is not one that the app registered. To protect you, \
                 nothing was sent to it.",
                "In the app, remove this server and add it again. If you did not start this in an app just now, close \
                 this tab.",
            ),
            Self::LoginExpired => Said(
                "LOGIN_EXPIRED",
                StatusCode::BAD_REQUEST,
                "This login has expired",
                "A login must be finished within a few minutes, and its links work once.",
                "Go back to the app and connect again, or log in here.",
            ),
            Self::WrongBrowser => Said(
                "WRONG_BROWSER",
                StatusCode::BAD_REQUEST,
                "This login began in another browser",
                "A login must end in the browser in which it began, and that browser must accept this site’s cookies.",
                "Start again in one browser, with cookies allowed for this site. If somebody sent you this link, close \
                 this tab.",
            ),
            Self::FormExpired => Said(
                "FORM_EXPIRED",
                StatusCode::FORBIDDEN,
                "This form is no longer valid",
                "The form was opened in a session that has since ended. Nothing was changed.",
                "Open the page again and repeat what you wanted to do.",
            ),
            _ => Said(
                "INVALID_REQUEST",
                StatusCode::BAD_REQUEST,
                "This request could not be understood",
                "Something that is needed is missing, appears twice, or has a form that is not accepted.",
                "Go back to the app and connect again. If it happens again, tell the app’s makers the code below.",
            ),
        }
    }

    const fn said_of_people(self) -> Said {
        match self {
            Self::SpotifyDenied => Said(
                "SPOTIFY_DENIED",
                StatusCode::FORBIDDEN,
                "You did not agree at Spotify",
                "Spotify reports that the request was declined, so nothing was connected.",
                "If that was not what you wanted, log in again and choose Agree on Spotify’s page.",
            ),
            Self::WrongAccount => Said(
                "WRONG_ACCOUNT",
                StatusCode::CONFLICT,
                "Spotify returned another account",
                "Spotify answered for a different Spotify account than the one that was expected, so nothing was \
                 connected. This happens when your browser is logged in to Spotify as somebody else.",
                "Try again and choose “Not you?” on Spotify’s page, or log out at spotify.com first. To use that other account for \
                 itself, log out here.",
            ),
            Self::NoSeat => Said(
                "NO_SEAT",
                StatusCode::FORBIDDEN,
                "No place is left for you",
                "Spotify lets an app in development mode serve a few listeners alone, and none of this server’s places is left for \
                 this account. No permission of yours was kept.",
                "Ask the operator whether a place can be freed.",
            ),
            Self::NotAllowlisted => Said(
                "NOT_ALLOWLISTED",
                StatusCode::FORBIDDEN,
                "The operator must add you at Spotify first",
                "You logged in, but Spotify refuses to answer for people who are not on the app’s list.",
                "Ask the operator to add the name and e-mail address of your Spotify account in the Spotify dashboard, \
                 under Settings, Users Management. It takes some minutes to act; then log in again.",
            ),
            Self::SignupClosed => Said(
                "SIGNUP_CLOSED",
                StatusCode::FORBIDDEN,
                "This server is not open to you yet",
                "The operator decides who may use this server, and by which Spotify app; this Spotify account is not let in \
                 this way. No permission of yours was kept.",
                "Ask the operator to let you in, then log in again.",
            ),
            _ => Said(
                "USER_DISABLED",
                StatusCode::FORBIDDEN,
                "Your access is switched off",
                "The operator has disabled your account on this server.",
                "Ask the operator about it and give the request id below.",
            ),
        }
    }
}

/// Renders a problem page with its status.
pub fn problem(site: &Site, problem: Problem, request: &RequestId) -> Page {
    match problem {
        // Nobody is logged in there whom they could log out.
        Problem::WrongAccount if site.only_logins() => problem_before(site, problem, routes::LOGIN, request),
        _ => problem_with_way(site, problem, problem.way_on_at(site), request),
    }
}

/// The same with another path and label of the way on.
pub fn problem_with_way(site: &Site, problem: Problem, way: (&str, &str), request: &RequestId) -> Page {
    let page = ProblemPage { site, problem, remedy: problem.remedy(), way, request };
    Page::of(&page, Class::Page).with_status(problem.status())
}

/// The same for who was to log in first, for what they do next.
pub fn problem_before(site: &Site, problem: Problem, way: &str, request: &RequestId) -> Page {
    let remedy = match problem {
        Problem::WrongAccount => {
            "Try again and choose “Not you?” on Spotify’s page, or log out at spotify.com first: the one to log in \
             with is the one that you began with here."
        }
        _ => problem.remedy(),
    };
    let page = ProblemPage { site, problem, remedy, way: (way, "Try again"), request };
    Page::of(&page, Class::Page).with_status(problem.status())
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    site: &'a Site,
    problem: Problem,
    remedy: &'a str,
    way: (&'a str, &'a str),
    request: &'a RequestId,
}
