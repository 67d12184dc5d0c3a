//! What a person types of a Spotify app of their own, on the page that links another account and on one for who is not
//! logged in; and where no app has a place for somebody.
//!
//! Never shows a secret, not even the one just typed.

use askama::Template;
use http::StatusCode;

use super::headers::Class;
use super::layout::Site;
use super::{Page, Problem, Untrusted, routes};
use crate::domain::ids::RequestId;
use crate::domain::own_app::BadOwnApp;

/// The fields of an own app.
#[derive(Clone, Debug)]
pub struct OwnAppFields<'a> {
    /// What the person registers at Spotify, exactly.
    pub redirect_uri: &'a str,
    /// What stands in the field of the client id.
    pub client_id: Untrusted,
    /// Why what was typed is not taken.
    pub refused: Option<BadOwnApp>,
    /// Whether nothing can be done on the page but to bring an app.
    pub alone: bool,
}

impl OwnAppFields<'_> {
    pub(super) fn id_is_refused(&self) -> bool {
        self.refused.is_some() && !self.secret_is_refused()
    }

    pub(super) fn secret_is_refused(&self) -> bool {
        matches!(self.refused, Some(BadOwnApp::SecretForm | BadOwnApp::SecretWrong))
    }

    pub(super) fn is_operators(&self) -> bool {
        matches!(self.refused, Some(BadOwnApp::Operators))
    }

    pub(super) fn said(&self) -> &'static str {
        match self.refused {
            Some(BadOwnApp::IdForm) => {
                "A client id has 32 digits and letters from a to f. Copy it from your app’s page in Spotify’s dashboard. \
                 Nothing was kept."
            }
            Some(BadOwnApp::SecretForm) => {
                "A client secret has no spaces and at most 128 characters. Copy it again from your app’s page, or leave \
                 it out. Nothing was kept."
            }
            Some(BadOwnApp::SecretAlone) => {
                "A client secret needs the client id that it belongs to. Nothing was kept."
            }
            Some(BadOwnApp::Operators) if self.alone => {
                "That app is this server’s own: log in without typing it. Nothing was kept."
            }
            Some(BadOwnApp::Operators) => {
                "That app is this server’s own: it is used without your typing it. Go on with both fields empty. Nothing \
                 was kept."
            }
            Some(BadOwnApp::IdUnknown) => {
                "Spotify knows no app with this client id. Check that it is copied whole and that the app was not deleted. \
                 Nothing was kept."
            }
            Some(BadOwnApp::SecretWrong) => {
                "Spotify knows this client id, but the client secret is not its. Copy the secret again from your app’s page, \
                 where it may have been replaced, or leave it out: it is not needed. Nothing was kept."
            }
            None => "",
        }
    }
}

/// Renders the page for somebody who is not logged in. Its form ends in a redirect to Spotify.
pub fn own_app(site: &Site, csrf: &str, fields: &OwnAppFields<'_>) -> Page {
    let status = if fields.refused.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    Page::of(&OwnAppPage { site, csrf, own: fields }, Class::Consent).with_status(status)
}

#[derive(Template)]
#[template(path = "own_app.html")]
struct OwnAppPage<'a> {
    site: &'a Site,
    csrf: &'a str,
    own: &'a OwnAppFields<'a>,
}

/// What else is said to somebody for whom no app has a place.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPlace<'a> {
    /// The operator's app that has room, by its name where there are several.
    pub app: Option<&'a str>,
    /// Whether they may bring an app of their own.
    pub own: bool,
    /// Where they do, if not where everybody who is not logged in does.
    pub again: Option<&'a str>,
    /// Whether they have an account here whose app is in use no more.
    pub moved: bool,
}

/// Renders [`Problem::NoSeat`] or [`Problem::NotAllowlisted`] with what the person can do about it.
pub fn no_place(site: &Site, problem: Problem, place: NoPlace<'_>, request: &RequestId) -> Page {
    let page = NoPlacePage { site, problem, app: place.app.map(Untrusted::new), place, request };
    Page::of(&page, Class::Page).with_status(problem.status())
}

#[derive(Template)]
#[template(path = "no_place.html")]
struct NoPlacePage<'a> {
    site: &'a Site,
    problem: Problem,
    app: Option<Untrusted>,
    place: NoPlace<'a>,
    request: &'a RequestId,
}

impl NoPlacePage<'_> {
    fn own_app(&self) -> &str {
        self.place.again.unwrap_or(routes::OWN_APP)
    }
}
