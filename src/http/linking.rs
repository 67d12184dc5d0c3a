//! `/account/link` and what a person does with the accounts that are linked: names, the primary one.
//!
//! A one-time page is shown to the very person who asked for it. Without a session, logging in as exactly them is the
//! only way to it; in anybody else's browser it ends here.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use crate::crypto::token::Token;
use crate::domain::LinkId;
use crate::domain::ids::LinkPageId;
use crate::domain::linking::{Alias, MOST_ACCOUNTS};
use crate::domain::own_app::{BadOwnApp, OwnApp};
use crate::failure::Failure;
use crate::oauth::login::{self, Departure, NoDeparture, Purpose};
use crate::oauth::{Params, Visitor, linking as linked};
use crate::store::{BrowserSession, LinkPage, Renamed};
use crate::web::{
    BadName, Done, First, LinkAnother, OwnAppFields, Problem, Untrusted, link_another, link_first,
    not_renamed,
};

use super::account::{Posted, by, csrf, finish, logged_in, to_login};
use super::limited::no_departure;
use super::own_app::fields;
use super::reply::{failed_page, page, redirect};
use super::{Http, Shared};

/// Longest name shown back in the field.
const SHOWN: usize = 40;

/// What an address of this page comes to.
enum Shown {
    Form(Box<Response>),
    Problem(Problem),
    /// Log in first, as whoever.
    LogIn,
    /// Log in first, as the one who asked.
    LogInAs(Departure),
    NotNow(NoDeparture),
}

/// `GET /account/link`
pub(super) async fn show(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = Params::parse(query.unwrap_or_default().as_bytes());
    let shown = match query.get("page") {
        Some(id) => one_time(&http, id, query.get("login").is_some(), &visitor).await,
        None => {
            let brings = query.get("own").is_some();
            own(&http, (query.get("alias"), query.get("again"), brings), &visitor).await
        }
    };
    answer(&http, shown, &visitor).await
}

async fn answer(http: &Http, shown: Result<Shown, Failure>, visitor: &Visitor) -> Response {
    match shown {
        Ok(Shown::Form(form)) => *form,
        Ok(Shown::Problem(why)) => page(http, why, visitor).into_response(),
        Ok(Shown::LogIn) => to_login(http),
        Ok(Shown::LogInAs(departure)) => redirect(&departure.url, &departure.cookies),
        Ok(Shown::NotNow(why)) => no_departure(http, why, visitor).await,
        Err(failure) => failed_page(http, &failure, visitor),
    }
}

/// From the account page; or from where an account could not be linked, with the name that it was to get.
async fn own(
    http: &Http,
    (alias, again, brings): (Option<&str>, Option<&str>, bool),
    visitor: &Visitor,
) -> Result<Shown, Failure> {
    let Some((session, token)) = logged_in(&http.app, visitor).await? else { return Ok(Shown::LogIn) };
    let (alias, again) = (alias.map(str::to_owned), again.map(str::to_owned));
    form(http, (&session, &token), Wanted { alias, again, brings, ..Wanted::default() }).await
}

/// From a tool's answer. `goes`: whoever is not logged in has read that they have to as themselves.
async fn one_time(http: &Http, id: &str, goes: bool, visitor: &Visitor) -> Result<Shown, Failure> {
    let app = &http.app;
    let waiting = match id.parse::<LinkPageId>() {
        Ok(id) => app.store.link_page(&id, app.now()).await?,
        Err(_) => None,
    };
    let Some(waiting) = waiting else { return Ok(Shown::Problem(Problem::LinkExpired)) };
    match logged_in(app, visitor).await? {
        None if !goes => {
            Ok(Shown::Form(Box::new(link_first(&http.site, First::Page(&waiting.id)).into_response())))
        }
        None => {
            let departure =
                login::depart(app, Purpose::Page(&waiting.id), Some(&waiting.user), visitor).await?;
            Ok(departure.map_or_else(Shown::NotNow, Shown::LogInAs))
        }
        Some((session, token)) if session.user == waiting.user => {
            form(http, (&session, &token), Wanted { page: Some(waiting), ..Wanted::default() }).await
        }
        Some((session, _)) => {
            linked::not_theirs(app, visitor, (&session.user, &waiting.user)).await?;
            Ok(Shown::Problem(Problem::LinkNotYours))
        }
    }
}

/// What the form is about.
#[derive(Default)]
struct Wanted {
    page: Option<LinkPage>,
    /// The name that was typed.
    alias: Option<String>,
    /// Of which account of theirs it is said that it has to be linked again.
    again: Option<String>,
    /// Why it is not taken.
    refused: Option<BadName>,
    /// The client id that was typed, and why the app is not taken.
    own: (String, Option<BadOwnApp>),
    /// Whether they came to bring one.
    brings: bool,
}

async fn form(
    http: &Http,
    (session, token): (&BrowserSession, &Token),
    wanted: Wanted,
) -> Result<Shown, Failure> {
    let app = &http.app;
    let Some(user) = app.store.user(&session.user).await? else { return Ok(Shown::LogIn) };
    let links = app.store.links(&user.id).await?;
    let again = links.iter().find(|link| wanted.again.as_deref() == Some(link.id.as_str()));
    if links.len() >= MOST_ACCOUNTS && again.is_none() {
        return Ok(Shown::Problem(Problem::TooManyAccounts));
    }
    let asked = wanted.page.as_ref().and_then(|page| page.alias.as_deref());
    let alias = wanted.alias.as_deref().or(asked).unwrap_or_default();
    let (typed, refused) = &wanted.own;
    let lacks = match again {
        Some(_) => None,
        None => app.room_for_further(&links).await?.lacks(),
    };
    let view = LinkAnother {
        csrf: &csrf(app, token)?,
        page: wanted.page.as_ref().map(|page| &page.id),
        again: again.map(|link| (link.id.clone(), Untrusted::new(&link.alias))),
        display_name: Untrusted::new(&user.display_name),
        linked: links.iter().map(|link| Untrusted::new(&link.alias)).collect(),
        alias: Untrusted::field(alias, SHOWN),
        lacks: lacks.clone(),
        refused: wanted.refused,
        own: app.vault.apps().own_ones_may_come().then(|| {
            let open = wanted.brings || lacks.is_some();
            OwnAppFields { open, ..fields(http, typed, *refused) }
        }),
    };
    let status =
        if view.refused.is_some() || refused.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    Ok(Shown::Form(Box::new(link_another(&http.site, &view).with_status(status).into_response())))
}

/// `POST /account/link`: to Spotify.
pub(super) async fn leave(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Posted { session, form }: Posted,
) -> Response {
    answer(&http, left(&http, &visitor, &session, &form).await, &visitor).await
}

async fn left(
    http: &Http,
    visitor: &Visitor,
    session: &BrowserSession,
    posted: &Params,
) -> Result<Shown, Failure> {
    let (app, now) = (&http.app, http.app.now());
    let id = match posted.get("page").map(str::parse::<LinkPageId>).transpose() {
        Ok(id) => id,
        Err(_) => return Ok(Shown::Problem(Problem::LinkExpired)),
    };
    let waiting = match &id {
        Some(id) => app.store.link_page(id, now).await?.filter(|page| page.user == session.user),
        None => None,
    };
    if id.is_some() && waiting.is_none() {
        return Ok(Shown::Problem(Problem::LinkExpired));
    }
    let links = app.store.links(&session.user).await?;
    let again = posted.get("again").filter(|again| links.iter().any(|link| link.id.as_str() == *again));
    if links.len() >= MOST_ACCOUNTS && again.is_none() {
        return Ok(Shown::Problem(Problem::TooManyAccounts));
    }
    let again = again.map(str::to_owned);
    let typed = posted.get("alias").map(str::trim).filter(|typed| !typed.is_empty());
    let alias = match typed.map(Alias::parse).transpose() {
        Ok(alias) if alias.as_ref().is_none_or(|alias| is_free(alias, &links)) => alias,
        refused => {
            let why = if refused.is_ok() { BadName::Taken } else { BadName::Form };
            let Some(token) = visitor.cookies.session.clone() else { return Ok(Shown::LogIn) };
            let typed = posted.get("client_id").unwrap_or_default();
            let wanted = Wanted {
                page: waiting,
                alias: posted.get("alias").map(str::to_owned),
                refused: Some(why),
                again,
                own: (typed.to_owned(), None),
                brings: false,
            };
            return form(http, (session, &token), wanted).await;
        }
    };
    let own = match own_app(http, visitor, posted).await {
        Own::Taken(own) => own,
        Own::Refused(why) => {
            let Some(token) = visitor.cookies.session.clone() else { return Ok(Shown::LogIn) };
            let typed = posted.get("client_id").unwrap_or_default().to_owned();
            let alias = posted.get("alias").map(str::to_owned);
            let own = (typed, Some(why));
            let wanted = Wanted { page: waiting, alias, again, refused: None, own, brings: true };
            return form(http, (session, &token), wanted).await;
        }
        Own::NotTaken(shown) => return Ok(shown),
    };
    // Once, by compare-and-set: of two that post the same page, one goes on.
    if let Some(page) = &waiting
        && !app.store.take_link_page(&page.id, &session.user, now).await?
    {
        return Ok(Shown::Problem(Problem::LinkExpired));
    }
    let purpose = Purpose::Link(alias.as_ref(), own.as_ref());
    let departure = login::depart(app, purpose, Some(&session.user), visitor).await?;
    Ok(departure.map_or_else(Shown::NotNow, Shown::LogInAs))
}

/// What becomes of an app of the person's own that they typed.
enum Own {
    /// It is used, where there is one.
    Taken(Option<OwnApp>),
    Refused(BadOwnApp),
    NotTaken(Shown),
}

async fn own_app(http: &Http, visitor: &Visitor, posted: &Params) -> Own {
    let [id, secret] = ["client_id", "client_secret"].map(|field| posted.get(field).unwrap_or_default());
    let own = match OwnApp::parse(id, secret) {
        Ok(Some(own)) => own,
        Ok(None) => return Own::Taken(None),
        Err(why) => return Own::Refused(why),
    };
    if !http.app.vault.apps().own_ones_may_come() {
        return Own::NotTaken(Shown::Problem(Problem::NoOwnApps));
    }
    match login::check_own(&http.app, &own, (visitor, true)).await {
        Ok(None) => Own::Taken(Some(own)),
        Ok(Some(why)) => Own::Refused(why),
        Err(why) => Own::NotTaken(Shown::NotNow(why)),
    }
}

fn is_free(alias: &Alias, links: &[crate::store::Link]) -> bool {
    let alias = alias.as_str();
    links.iter().all(|link| {
        !link.alias.eq_ignore_ascii_case(alias)
            && ![link.identity.as_str(), &link.spotify_user_id].contains(&alias)
    })
}

/// `POST /account/links/rename`
pub(super) async fn rename(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Posted { session, form }: Posted,
) -> Response {
    let Some(link) = form.get("link").and_then(|id| id.parse::<LinkId>().ok()) else {
        return page(&http, Problem::NotFound, &visitor).into_response();
    };
    let Ok(alias) = Alias::parse(form.get("alias").unwrap_or_default()) else {
        return not_renamed(&http.site, BadName::Form).into_response();
    };
    let told = |code| by(code, &session, &visitor);
    let renamed = http.app.rename(&session.user, &link, &alias, &told).await;
    match renamed {
        Ok(Renamed::Taken) => not_renamed(&http.site, BadName::Taken).into_response(),
        Ok(renamed) => finish(&http, Ok(renamed == Renamed::Done), Done::Renamed, &visitor).await,
        Err(failure) => failed_page(&http, &failure, &visitor),
    }
}

/// `POST /account/links/default`
pub(super) async fn make_primary(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Posted { session, form }: Posted,
) -> Response {
    let Some(link) = form.get("link").and_then(|id| id.parse::<LinkId>().ok()) else {
        return page(&http, Problem::NotFound, &visitor).into_response();
    };
    let made = http.app.make_primary(&session.user, &link, &|code| by(code, &session, &visitor)).await;
    finish(&http, made, Done::DefaultChanged, &visitor).await
}
