//! `/auth/login`, the callback from Spotify, `/auth/status`.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde_json::json;
use url::form_urlencoded::byte_serialize;

use crate::config::Config;
use crate::domain::LinkId;
use crate::domain::ids::LinkPageId;
use crate::domain::linking::Linking;
use crate::failure::Failure;
use crate::oauth::login::{self, Arrival, Departure, LoginProblem, NoDeparture, Purpose};
use crate::oauth::{Params, Visitor, sessions};
use crate::web::{
    Done, First, NoPlace, Notice, Problem, link_first, no_place, notice, problem_before, problem_with_way,
    routes,
};

use super::limited::no_departure;
use super::own_app;
use super::reply::{failed_json, failed_page, page, redirect};
use super::{Http, Shared};

/// Where Spotify sends browsers back: the path of the configured redirect URI.
pub(super) fn callback_path(config: &Config) -> &str {
    config.spotify.redirect_uri.path()
}

/// `GET /auth/login`: to `/account` where everything is in order, else to Spotify.
pub(super) async fn login(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = Params::parse(query.unwrap_or_default().as_bytes());
    match depart(&http, &query, &visitor).await {
        Ok(Way::Account) => redirect(&format!("{}{}", http.app.issuer(), routes::ACCOUNT), &[]),
        Ok(Way::Spotify(departure)) => redirect(&departure.url, &departure.cookies),
        Ok(Way::First(link)) => link_first(&http.site, First::Again(&link)).into_response(),
        Ok(Way::None(why)) => no_departure(&http, why, &visitor).await,
        Err(failure) => failed_page(&http, &failure, &visitor),
    }
}

enum Way {
    Account,
    Spotify(Departure),
    /// Log in with the account that opens, then connect this one again.
    First(LinkId),
    None(NoDeparture),
}

async fn depart(http: &Shared, query: &Params, visitor: &Visitor) -> Result<Way, Failure> {
    let (app, reconnect) = (&http.app, query.get("link"));
    // The page of `serve --stdio` knows whom it serves; sessions of this browser are another server's.
    let session = match &http.local {
        Some(_) => None,
        None => sessions::current(app, visitor).await?,
    };
    if let Some(session) = &session
        && reconnect.is_none()
    {
        let links = app.store.links(&session.user).await?;
        if !links.is_empty() && links.iter().all(|link| !app.is_lost(link)) {
            return Ok(Way::Account);
        }
    }
    let local = http.local.as_ref().and_then(|local| local.expected.clone());
    let user = session.map(|session| session.user).or(local);
    let link = reconnect.and_then(|id| id.parse::<LinkId>().ok());
    let known = match (&user, &link) {
        (None, Some(link)) => app.store.link(link).await?,
        _ => None,
    };
    let purpose = match (known, &link) {
        (Some(further), _) if !further.opens && query.get("login").is_none() => {
            return Ok(Way::First(further.id));
        }
        (Some(further), Some(link)) if !further.opens => Purpose::First(link),
        _ if user.is_none() && query.get("ask").is_some() => Purpose::Another,
        _ if user.is_none() && query.get("as") == Some("myself") => Purpose::Oneself,
        _ => Purpose::Browser(link.as_ref()),
    };
    let departure = login::depart(app, purpose, user.as_ref(), visitor).await?;
    Ok(departure.map_or_else(Way::None, Way::Spotify))
}

/// `GET /auth/callback`
pub(super) async fn callback(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let local = http.local.as_ref().and_then(|local| local.expected.as_ref());
    match login::arrive(&http.app, &params, (&visitor, local)).await {
        Ok(Arrival::Client { url, cookies, .. }) => redirect(&url, &cookies),
        Ok(Arrival::Onward(departure)) => redirect(&departure.url, &departure.cookies),
        Ok(Arrival::Linked { outcome, cookies }) => {
            let done = match outcome {
                Linking::Added => Done::Linked,
                Linking::Renewed => Done::LinkedBefore,
                Linking::Reconnected => Done::Reconnected,
            };
            redirect(&format!("{}{}?done={}", http.app.issuer(), routes::ACCOUNT, done.word()), &cookies)
        }
        Ok(Arrival::Account { page: Some(page), cookies, .. }) => {
            redirect(&format!("{}{}?page={page}", http.app.issuer(), routes::LINK), &cookies)
        }
        Ok(Arrival::Account { next: Some(link), cookies, .. }) if http.local.is_none() => {
            redirect(&format!("{}{}?link={link}", http.app.issuer(), routes::LOGIN), &cookies)
        }
        Ok(Arrival::Account { user, again, cookies, .. }) => match &http.local {
            Some(_) if again == Some(false) => notice(&http.site, Notice::LoopbackOther).into_response(),
            Some(local) => {
                (local.logged_in)(user);
                notice(&http.site, Notice::LoopbackDone).into_response()
            }
            None => {
                let done = again.map(|again| if again { Done::Reconnected } else { Done::OtherReturned });
                let done = done.map(|done| format!("?done={}", done.word())).unwrap_or_default();
                redirect(&format!("{}{}{done}", http.app.issuer(), routes::ACCOUNT), &cookies)
            }
        },
        Ok(Arrival::Problem(why)) => not_arrived(&http, &why, None, &visitor),
        Ok(Arrival::NotThroughOwn(why, typed)) => {
            own_app::again(&http, problem_of(&why), (&typed.client_id, None), &visitor)
                .unwrap_or_else(|failure| failed_page(&http, &failure, &visitor))
        }
        Ok(Arrival::NotFirst { why, page, link }) => not_first(&http, &why, (page, link), &visitor),
        Ok(Arrival::NotLinked { why, alias, own: Some(typed) }) => {
            let again = own_app::again(
                &http,
                problem_of(&why),
                (&typed.client_id, Some(alias.as_deref().unwrap_or_default())),
                &visitor,
            );
            again.unwrap_or_else(|failure| failed_page(&http, &failure, &visitor))
        }
        Ok(Arrival::NotLinked { why, alias, own: None }) => {
            let written = |alias: String| byte_serialize(alias.as_bytes()).collect::<String>();
            let alias = alias.map(|alias| format!("?alias={}", written(alias))).unwrap_or_default();
            not_arrived(&http, &why, Some(&format!("{}{alias}", routes::LINK)), &visitor)
        }
        Err(failure) => failed_page(&http, &failure, &visitor),
    }
}

/// Who was to log in first did not: they are led back to what it was for.
fn not_first(
    http: &Http,
    why: &LoginProblem,
    (page, link): (Option<LinkPageId>, Option<LinkId>),
    visitor: &Visitor,
) -> Response {
    if matches!(why, LoginProblem::NoSeat { .. } | LoginProblem::NotAllowlisted { .. }) {
        return not_arrived(http, why, None, visitor);
    }
    let first = page.as_ref().map(First::Page).or_else(|| link.as_ref().map(First::Again));
    let way = first.map_or_else(|| routes::LOGIN.to_owned(), First::way);
    // Here they go on as who they are.
    let problem = match problem_of(why) {
        Problem::FurtherAccountEnded => Problem::FurtherAccount,
        other => other,
    };
    problem_before(&http.site, problem, &way, &visitor.request).into_response()
}

/// `again`: where linking an account is tried once more.
fn not_arrived(http: &Http, why: &LoginProblem, again: Option<&str>, visitor: &Visitor) -> Response {
    let place = match why {
        LoginProblem::NoSeat { own, moved, unlisted, places, each } => NoPlace {
            own: *own,
            again,
            moved: *moved,
            unlisted: *unlisted,
            places: *places,
            each: *each,
            app: None,
        },
        LoginProblem::NotAllowlisted { app, own } => {
            NoPlace { app: app.as_deref(), own: *own, again, ..NoPlace::default() }
        }
        LoginProblem::Denied if again.is_some() => {
            let way = (again.unwrap_or(routes::LINK), "Try again");
            return problem_with_way(&http.site, Problem::SpotifyDenied, way, &visitor.request)
                .into_response();
        }
        why => return page(http, problem_of(why), visitor).into_response(),
    };
    no_place(&http.site, problem_of(why), place, &visitor.request).into_response()
}

/// `GET /auth/status`: who is logged in here, for scripts of the person's own.
pub(super) async fn status(State(http): State<Shared>, Extension(visitor): Extension<Visitor>) -> Response {
    let user = match sessions::current(&http.app, &visitor).await {
        Ok(Some(session)) => http.app.store.user(&session.user).await,
        Ok(None) => Ok(None),
        Err(failure) => Err(failure),
    };
    match user {
        Ok(Some(user)) => {
            Json(json!({"authenticated": true, "user_id": user.id, "display_name": user.display_name}))
                .into_response()
        }
        Ok(None) => Json(json!({"authenticated": false})).into_response(),
        Err(failure) => failed_json(&failure, &visitor),
    }
}

const fn problem_of(why: &LoginProblem) -> Problem {
    match why {
        LoginProblem::Expired => Problem::LoginExpired,
        LoginProblem::WrongBrowser => Problem::WrongBrowser,
        LoginProblem::Denied => Problem::SpotifyDenied,
        LoginProblem::WrongAccount => Problem::WrongAccount,
        LoginProblem::FurtherAccount { ended: false } => Problem::FurtherAccount,
        LoginProblem::FurtherAccount { ended: true } => Problem::FurtherAccountEnded,
        LoginProblem::SomebodyElses => Problem::AccountTaken,
        LoginProblem::TooManyAccounts => Problem::TooManyAccounts,
        LoginProblem::SessionEnded => Problem::FormExpired,
        LoginProblem::NoSeat { .. } => Problem::NoSeat,
        LoginProblem::NotAllowlisted { .. } => Problem::NotAllowlisted,
        LoginProblem::OwnAppRefused => Problem::OwnAppRefused,
        LoginProblem::NotListedAtOwn => Problem::NotListedAtOwn,
        LoginProblem::NoOwnApps => Problem::NoOwnApps,
        LoginProblem::SignupClosed => Problem::SignupClosed,
        LoginProblem::Disabled => Problem::UserDisabled,
        LoginProblem::Unavailable => Problem::SpotifyUnavailable,
        LoginProblem::Misconfigured => Problem::SpotifyMisconfigured,
    }
}
