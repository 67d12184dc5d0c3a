//! `/auth/own-app`: a login through a Spotify app of the person's own, for who is not logged in here. Whoever is links one
//! more account with it.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;

use crate::domain::own_app::{BadOwnApp, OwnApp};
use crate::failure::Failure;
use crate::oauth::login::{self, Departure, NoDeparture, Purpose};
use crate::oauth::{Params, Visitor, forms, sessions};
use crate::web::{OwnAppAgain, OwnAppFields, Problem, Untrusted, own_app, own_app_again, routes};

use super::account::csrf;
use super::limited::no_departure;
use super::pages::same_origin;
use super::reply::{failed_page, page, redirect, set_cookies};
use super::{Http, Shared};

/// Longest client id shown back in the field.
const SHOWN: usize = 64;

enum Way {
    /// The form, with what is refused of what was typed.
    Form(String, Option<BadOwnApp>),
    Spotify(Departure),
    NotNow(NoDeparture),
    Problem(Problem),
    /// For who is logged in.
    Link,
}

/// `GET /auth/own-app`
pub(super) async fn show(State(http): State<Shared>, Extension(visitor): Extension<Visitor>) -> Response {
    let way = match sessions::current(&http.app, &visitor).await {
        Ok(Some(_)) if http.local.is_none() => Ok(Way::Link),
        Ok(_) if !http.app.vault.apps().own_ones_may_come() => Ok(Way::Problem(Problem::NoOwnApps)),
        Ok(_) => Ok(Way::Form(String::new(), None)),
        Err(failure) => Err(failure),
    };
    answer(&http, way, &visitor).await
}

/// `POST /auth/own-app`: to Spotify.
pub(super) async fn leave(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = Params::parse(&body);
    let genuine = same_origin(&headers, &http.app.issuer()) && forms::is_own(&http.app, &visitor, &form);
    let way =
        if genuine { left(&http, &form, &visitor).await } else { Ok(Way::Problem(Problem::FormExpired)) };
    answer(&http, way, &visitor).await
}

async fn left(http: &Http, form: &Params, visitor: &Visitor) -> Result<Way, Failure> {
    if !http.app.vault.apps().own_ones_may_come() {
        return Ok(Way::Problem(Problem::NoOwnApps));
    }
    let typed = form.get("client_id").unwrap_or_default();
    let refused = |why| Ok(Way::Form(typed.to_owned(), Some(why)));
    let own = match OwnApp::parse(typed, form.get("client_secret").unwrap_or_default()) {
        Ok(Some(own)) => own,
        Ok(None) => return refused(BadOwnApp::IdForm),
        Err(why) => return refused(why),
    };
    match login::check_own(&http.app, &own, (visitor, false)).await {
        Ok(None) => {}
        Ok(Some(why)) => return refused(why),
        Err(why) => return Ok(Way::NotNow(why)),
    }
    let user = http.local.as_ref().and_then(|local| local.expected.as_ref());
    let departure = login::depart(&http.app, Purpose::Own(&own), user, visitor).await?;
    Ok(departure.map_or_else(Way::NotNow, Way::Spotify))
}

async fn answer(http: &Http, way: Result<Way, Failure>, visitor: &Visitor) -> Response {
    match way {
        Ok(Way::Form(typed, refused)) => match shown(http, &typed, refused, visitor) {
            Ok(form) => form,
            Err(failure) => failed_page(http, &failure, visitor),
        },
        Ok(Way::Spotify(departure)) => redirect(&departure.url, &departure.cookies),
        Ok(Way::NotNow(why)) => no_departure(http, why, visitor).await,
        Ok(Way::Problem(why)) => page(http, why, visitor).into_response(),
        Ok(Way::Link) => redirect(&format!("{}{}", http.app.issuer(), routes::LINK), &[]),
        Err(failure) => failed_page(http, &failure, visitor),
    }
}

fn shown(
    http: &Http,
    typed: &str,
    refused: Option<BadOwnApp>,
    visitor: &Visitor,
) -> Result<Response, Failure> {
    let form = forms::begin(&http.app, visitor)?;
    let fields = OwnAppFields { alone: true, ..fields(http, typed, refused) };
    let mut response =
        own_app(&http.site, &form.csrf, (&fields, http.app.newcomers_may_bring())).into_response();
    set_cookies(response.headers_mut(), form.set_cookie.as_slice());
    Ok(response)
}

/// Why an app did not answer for whoever typed it, with the way to try it again; `alias` where an account was to be linked.
pub(super) fn again(
    http: &Http,
    why: Problem,
    (typed, alias): (&str, Option<&str>),
    visitor: &Visitor,
) -> Result<Response, Failure> {
    let of_session = match (alias, &visitor.cookies.session) {
        (Some(_), Some(token)) => Some(csrf(&http.app, token)?),
        _ => None,
    };
    let (csrf, action, set_cookie) = match of_session {
        Some(csrf) => (csrf, routes::LINK, None),
        None => {
            let form = forms::begin(&http.app, visitor)?;
            (form.csrf, routes::OWN_APP, form.set_cookie)
        }
    };
    let view = OwnAppAgain {
        csrf: &csrf,
        action,
        alias: alias.map(|alias| Untrusted::field(alias, SHOWN)),
        client_id: Untrusted::field(typed, SHOWN),
    };
    let mut response = own_app_again(&http.site, why, &view, &visitor.request).into_response();
    set_cookies(response.headers_mut(), set_cookie.as_slice());
    Ok(response)
}

/// What was typed comes back, except where it is of no use.
pub(super) fn fields<'a>(http: &'a Http, typed: &str, refused: Option<BadOwnApp>) -> OwnAppFields<'a> {
    let typed = if refused == Some(BadOwnApp::Operators) { "" } else { typed };
    OwnAppFields {
        redirect_uri: http.app.config.spotify.redirect_uri.as_str(),
        client_id: Untrusted::field(typed, SHOWN),
        refused,
        alone: false,
        open: false,
    }
}
