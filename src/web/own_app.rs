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
use crate::domain::own_app::{BadOwnApp, Bring, shortened};

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
    /// Whether they are shown at once on a page where more can be done: somebody came to bring one.
    pub open: bool,
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
/// Whether `newcomers` come in by one is said.
pub fn own_app(site: &Site, csrf: &str, (fields, newcomers): (&OwnAppFields<'_>, bool)) -> Page {
    let status = if fields.refused.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    Page::of(&OwnAppPage { site, csrf, own: fields, newcomers }, Class::Consent).with_status(status)
}

#[derive(Template)]
#[template(path = "own_app.html")]
struct OwnAppPage<'a> {
    site: &'a Site,
    csrf: &'a str,
    own: &'a OwnAppFields<'a>,
    newcomers: bool,
}

/// How somebody whose own app did not answer for them goes on with it, without typing it again.
#[derive(Clone, Debug)]
pub struct OwnAppAgain<'a> {
    /// Hidden field `csrf`.
    pub csrf: &'a str,
    /// Where it is posted.
    pub action: &'a str,
    /// What the account was to be called, where one was to be linked.
    pub alias: Option<Untrusted>,
    /// The client id that was typed.
    pub client_id: Untrusted,
}

/// Renders [`Problem::OwnAppRefused`] or [`Problem::NotListedAtOwn`]. Its form ends in a redirect to Spotify.
pub fn own_app_again(site: &Site, problem: Problem, again: &OwnAppAgain<'_>, request: &RequestId) -> Page {
    let page = OwnAppAgainPage { site, problem, again, request };
    Page::of(&page, Class::Consent).with_status(problem.status())
}

#[derive(Template)]
#[template(path = "own_app_again.html")]
struct OwnAppAgainPage<'a> {
    site: &'a Site,
    problem: Problem,
    again: &'a OwnAppAgain<'a>,
    request: &'a RequestId,
}

impl OwnAppAgainPage<'_> {
    fn shown(&self) -> String {
        shortened(self.again.client_id.text())
    }
}

/// What else is said to somebody for whom no app has a place.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPlace<'a> {
    /// The operator's app that has room, by its name where there are several.
    pub app: Option<&'a str>,
    /// What they may do with an app of their own.
    pub own: Bring,
    /// Where they do, if not where everybody who is not logged in does.
    pub again: Option<&'a str>,
    /// Whether they have an account here whose app is in use no more.
    pub moved: bool,
    /// How many places the operator's apps have.
    pub places: Option<u64>,
    /// How many of an app's one person takes, where they have as many.
    pub each: Option<u64>,
    /// Whether the app that they came through does not list them, though an account of theirs may sit there.
    pub unlisted: bool,
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
    fn may_bring_one(&self) -> bool {
        self.place.own == Bring::One
    }

    fn may_log_in_by_one(&self) -> bool {
        self.place.own == Bring::LogInBy
    }

    fn places(&self) -> Option<String> {
        match (self.place.places?, self.place.each) {
            (_, Some(1)) => Some("One person has one place of an app here, and you have it.".to_owned()),
            (_, Some(each)) => Some(format!(
                "One person has {each} places of an app here, and you have them: others need the rest."
            )),
            (1, None) => Some("This server has one place for a Spotify account.".to_owned()),
            (places, None) => Some(format!("This server has {places} places for Spotify accounts.")),
        }
    }

    fn own_app(&self) -> String {
        let Some(again) = self.place.again else { return routes::OWN_APP.to_owned() };
        let more = if again.contains('?') { '&' } else { '?' };
        format!("{again}{more}own=yes")
    }
}
