//! `/account`: who I am, what is linked and connected, and the end of each.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{FromRequest, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::app::App;
use crate::crypto::token::Token;
use crate::domain::event::{Event, EventCode};
use crate::domain::{KeyPurpose, LinkId};
use crate::failure::Failure;
use crate::oauth::{Params, Visitor, cookies, sessions, tickets};
use crate::store::{BrowserSession, ConnectedClient, Link};
use crate::vault::OWN_APP_REFUSED;
use crate::vault::turns::Turn;
use crate::web::{
    Account, ClientRow, Disconnecting, Done, LinkRow, LinkState, Notice, Other, Page, Problem, SessionRow,
    Untrusted, account, delete_data, deletion_confirmed, disconnecting, notice, routes,
};

use super::pages::same_origin;
use super::reply::{failed_page, page, redirect, set_cookies};
use super::{Http, Shared, api_keys, approvals};

/// Spotify ends every permission six months after it was given (spotify.md 0.2); as `get_status`, the shortest six.
const PERMISSION: std::time::Duration = std::time::Duration::from_secs(181 * 24 * 3600);

/// `GET /account`
pub(super) async fn show(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    RawQuery(query): RawQuery,
) -> Response {
    let done = Params::parse(query.unwrap_or_default().as_bytes()).get("done").and_then(Done::parse);
    match shown(&http, done, &visitor).await {
        Ok(Some(response)) => response,
        Ok(None) => notice(&http.site, Notice::NotLoggedIn).into_response(),
        Err(failure) => failed_page(&http, &failure, &visitor),
    }
}

async fn shown(http: &Http, done: Option<Done>, visitor: &Visitor) -> Result<Option<Response>, Failure> {
    let app = &http.app;
    let Some((session, token)) = logged_in(app, visitor).await? else { return Ok(None) };
    let Some(user) = app.store.user(&session.user).await? else { return Ok(None) };
    let now = app.now();
    let (links, clients) =
        (app.store.links(&user.id).await?, app.store.connected_clients(&user.id, now).await?);
    let approvals = app.store.approvals(&user.id).await?;
    let sessions = app.store.browser_sessions(&user.id, now).await?;
    let keys = api_keys::section(app, &user.id, now).await?;
    let view = Account {
        csrf: &csrf(app, &token)?,
        user_id: &user.id,
        display_name: Untrusted::new(match user.display_name.as_str() {
            // No name from Spotify is kept of who disconnected.
            "" => "not connected to Spotify",
            name => name,
        }),
        now,
        links: links.into_iter().map(|link| link_row(app, link)).collect(),
        clients: clients.into_iter().map(client_row).collect(),
        keys,
        approvals: approvals.into_iter().map(approvals::row).collect(),
        sessions: sessions.into_iter().map(|row| session_row(row, &session)).collect(),
        mcp_sessions: super::account_sessions::rows(http, &user.id).await?,
        done,
    };
    Ok(Some(account(&http.site, &view).into_response()))
}

/// `POST /account/links/disconnect`
pub(super) async fn disconnect(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Posted { session, form }: Posted,
) -> Response {
    let Some(link) = form.get("link").and_then(|id| id.parse().ok()) else {
        return page(&http, Problem::NotFound, &visitor).into_response();
    };
    let heir = form.get("heir").filter(|id| !id.is_empty()).map(str::parse::<LinkId>);
    let Ok(heir) = heir.transpose() else {
        return page(&http, Problem::NotFound, &visitor).into_response();
    };
    if form.get("confirm").is_none() {
        match to_confirm(&http, &session, (&link, form.get("csrf").unwrap_or_default())).await {
            Ok(None) => {}
            Ok(Some(confirm)) => return confirm.into_response(),
            Err(failure) => return failed_page(&http, &failure, &visitor),
        }
    }
    // Never from under a change that is being written with it.
    let turn = match turn_of(&http, &session, &visitor).await {
        Ok(turn) => turn,
        Err(refused) => return refused,
    };
    let gone =
        http.app.unlink(&session.user, (&link, heir.as_ref()), &|code| by(code, &session, &visitor)).await;
    turn.end().await;
    finish(&http, gone, Done::Disconnected, &visitor).await
}

/// The page that stands before disconnecting the account that the person logs in with, or their last one.
async fn to_confirm(
    http: &Http,
    session: &BrowserSession,
    (link, csrf): (&LinkId, &str),
) -> Result<Option<Page>, Failure> {
    let (app, user, now) = (&http.app, &session.user, http.app.now());
    let mut links = app.store.links(user).await?;
    let Some(at) = links.iter().position(|known| known.id == *link) else { return Ok(None) };
    let gone = links.remove(at);
    if !gone.opens && !links.is_empty() {
        return Ok(None);
    }
    let keys = app.store.api_keys(Some(user)).await?;
    let other = |link: Link| Other {
        alias: Untrusted::new(&link.alias),
        display_name: Untrusted::new(&link.display_name),
        id: link.id,
    };
    let view = Disconnecting {
        csrf,
        link: gone.id,
        display_name: Untrusted::new(&gone.display_name),
        opens: gone.opens,
        others: links.into_iter().map(other).collect(),
        held: [
            app.store.connected_clients(user, now).await?.len(),
            keys.iter().filter(|key| key.expires_at.is_none_or(|end| now < end)).count(),
            app.store.browser_sessions(user, now).await?.len(),
        ],
    };
    Ok(Some(disconnecting(&http.site, &view)))
}

/// `POST /account/clients/revoke`
pub(super) async fn revoke(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Posted { session, form }: Posted,
) -> Response {
    let Some(grant) = form.get("grant").and_then(|id| id.parse::<crate::domain::GrantId>().ok()) else {
        return page(&http, Problem::NotFound, &visitor).into_response();
    };
    let event = by(EventCode::ConsentWithdrawn, &session, &visitor).subject(grant.as_str());
    let app = &http.app;
    let events = [app.stamp(event)];
    let gone = app.store.revoke_grant(&session.user, &grant, "revoked_by_user", app.now(), &events).await;
    finish(&http, gone, Done::Revoked, &visitor).await
}

/// `POST /account/sessions/end`
pub(super) async fn end_session(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Posted { session, form }: Posted,
) -> Response {
    let Some(id) = form.get("session").and_then(|id| id.parse().ok()) else {
        return page(&http, Problem::NotFound, &visitor).into_response();
    };
    let ended = sessions::end(&http.app, &session.user, &id, &visitor).await;
    finish(&http, ended, Done::SessionEnded, &visitor).await
}

/// `POST /auth/logout`
pub(super) async fn log_out(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Posted { session, .. }: Posted,
) -> Response {
    let app = &http.app;
    let event = by(EventCode::AuthnLogout, &session, &visitor).subject(session.id.as_str());
    match app.store.end_browser_session(&session.user, &session.id, app.now(), &[app.stamp(event)]).await {
        Ok(_) => goodbye(&http, Notice::LoggedOut),
        Err(failure) => failed_page(&http, &failure, &visitor),
    }
}

pub(super) fn csrf(app: &App, session: &Token) -> Result<String, Failure> {
    Ok(tickets::csrf(&*app.keys.own(KeyPurpose::BrowserTickets)?, session))
}

/// `GET /account/delete`
pub(super) async fn confirm_deletion(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    match logged_in(&http.app, &visitor).await {
        Ok(Some((_, token))) => match csrf(&http.app, &token) {
            Ok(csrf) => delete_data(&http.site, &csrf, false).into_response(),
            Err(failure) => failed_page(&http, &failure, &visitor),
        },
        Ok(None) => to_login(&http),
        Err(failure) => failed_page(&http, &failure, &visitor),
    }
}

/// `POST /account/delete`
pub(super) async fn delete(
    State(http): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Posted { session, form }: Posted,
) -> Response {
    if !deletion_confirmed(form.get("confirm").unwrap_or_default()) {
        let csrf = form.get("csrf").unwrap_or_default();
        return delete_data(&http.site, csrf, true).into_response();
    }
    let _turn = match turn_of(&http, &session, &visitor).await {
        Ok(turn) => turn,
        Err(refused) => return refused,
    };
    let app = &http.app;
    let event = by(EventCode::UserDeleted, &session, &visitor);
    match app.store.delete_user(&session.user, app.now(), &[app.stamp(event)]).await {
        Ok(_) => {
            app.notice_revocations().await;
            goodbye(&http, Notice::Deleted)
        }
        Err(failure) => failed_page(&http, &failure, &visitor),
    }
}

/// Waits for a change of this person's that is being written.
async fn turn_of(http: &Http, session: &BrowserSession, visitor: &Visitor) -> Result<Turn, Response> {
    match http.app.turn_of(&session.user).await {
        Ok(Some(turn)) => Ok(turn),
        Ok(None) => Err(page(http, Problem::ChangeUnderWay, visitor).into_response()),
        Err(failure) => Err(failed_page(http, &failure, visitor)),
    }
}

pub(super) async fn logged_in(
    app: &App,
    visitor: &Visitor,
) -> Result<Option<(BrowserSession, Token)>, Failure> {
    let session = sessions::current(app, visitor).await?;
    Ok(session.zip(visitor.cookies.session.clone()))
}

/// A genuine form of ours, posted by somebody who is logged in.
pub(super) struct Posted {
    pub(super) session: BrowserSession,
    pub(super) form: Params,
}

impl FromRequest<Shared> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, http: &Shared) -> Result<Self, Response> {
        let Some(visitor) = request.extensions().get::<Visitor>().cloned() else {
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        let own = same_origin(request.headers(), &http.app.issuer());
        let body = Bytes::from_request(request, http).await.map_err(IntoResponse::into_response)?;
        let form = Params::parse(&body);
        match logged_in(&http.app, &visitor).await {
            Ok(Some((session, token))) => {
                let csrf = form.get("csrf").unwrap_or_default();
                let keys = http.app.keys.taken(KeyPurpose::BrowserTickets);
                if own && form.fault().is_none() && tickets::csrf_holds(&keys, &token, csrf) {
                    return Ok(Self { session, form });
                }
                Err(page(http, Problem::FormExpired, &visitor).into_response())
            }
            Ok(None) => Err(to_login(http)),
            Err(failure) => Err(failed_page(http, &failure, &visitor)),
        }
    }
}

/// Back to the page, which says what was done; what is not this person's is not found, whosever it is.
pub(super) async fn finish(
    http: &Http,
    ended: Result<bool, Failure>,
    done: Done,
    visitor: &Visitor,
) -> Response {
    match ended {
        Ok(true) => {
            http.app.notice_revocations().await;
            redirect(&format!("{}{}?done={}", http.app.issuer(), routes::ACCOUNT, done.word()), &[])
        }
        Ok(false) => page(http, Problem::NotFound, visitor).into_response(),
        Err(failure) => failed_page(http, &failure, visitor),
    }
}

fn goodbye(http: &Http, said: Notice) -> Response {
    let mut response = notice(&http.site, said).into_response();
    set_cookies(response.headers_mut(), &[cookies::clear_session(http.site.https())]);
    response
}

pub(super) fn to_login(http: &Http) -> Response {
    redirect(&format!("{}{}", http.app.issuer(), routes::LOGIN), &[])
}

pub(super) fn by(code: EventCode, session: &BrowserSession, visitor: &Visitor) -> Event {
    Event::new(code).by(&session.user).from(visitor.address).request(&visitor.request)
}

fn link_row(app: &App, link: Link) -> LinkRow {
    let is_in_use = app.vault.apps().in_use(&link.app, link.own_app.is_some());
    LinkRow {
        id: link.id,
        alias: Untrusted::new(&link.alias),
        display_name: Untrusted::new(&link.display_name),
        primary: link.primary,
        opens: link.opens,
        missing: app.config.server.offer.missing(&link.scope),
        own_app: link.own_app.as_deref().map(Untrusted::new),
        state: match link.reconnect {
            _ if !is_in_use => LinkState::AppGone,
            Some((_, why)) if why == OWN_APP_REFUSED => LinkState::OwnAppRefused,
            Some(_) => LinkState::ReconnectNeeded,
            None if link.unlisted.is_some() && link.own_app.is_some() => LinkState::NotListedAtOwn,
            None if link.unlisted.is_some() => LinkState::NotListed,
            None => LinkState::Connected { until: link.authorized_at.plus(PERMISSION) },
        },
    }
}

fn client_row(client: ConnectedClient) -> ClientRow {
    let host = crate::domain::redirect::RedirectUri::parse(&client.redirect_uri).ok().map(|uri| uri.host());
    ClientRow {
        grant: client.grant,
        name: Untrusted::new(&client.name),
        host: host.map(|host| Untrusted::new(&host)),
        scopes: client.scopes,
        since: client.created_at,
        last_used: Some(client.last_used_at),
    }
}

fn session_row(row: BrowserSession, current: &BrowserSession) -> SessionRow {
    SessionRow {
        current: row.id == current.id,
        id: row.id,
        browser: crate::web::browser(&row.agent),
        since: row.created_at,
        last_seen: row.last_seen_at,
    }
}
