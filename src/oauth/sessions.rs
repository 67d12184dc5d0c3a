//! Browser sessions: who is logged in here, and the end of it.

use std::time::Duration;

use crate::app::App;
use crate::crypto::token::{Token, TokenKind};
use crate::domain::event::{Event, EventCode};
use crate::domain::{SessionId, UserId};
use crate::failure::Failure;
use crate::store::{BrowserSession, FromLogin, NewBrowserSession};

use super::{Visitor, cookies};

/// How exactly the last use is kept.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// The live session of the visitor's cookie.
pub async fn current(app: &App, visitor: &Visitor) -> Result<Option<BrowserSession>, Failure> {
    let Some(token) = &visitor.cookies.session else { return Ok(None) };
    let now = app.now();
    let session = app.store.browser_session(token.hash(), now).await?;
    if let Some(session) = &session
        && now.since(session.last_seen_at) >= TOUCH_EVERY
    {
        app.store.touch_browser_session(&session.id, now).await?;
    }
    Ok(session)
}

/// Begins a session for somebody who has just logged in: always a fresh token (ASVS v5.0.0-7.2.4). The session that
/// the browser had before ends. Returns the `Set-Cookie`; `None` where the login was ended meanwhile.
pub async fn begin(
    app: &App,
    user: &UserId,
    login: FromLogin,
    visitor: &Visitor,
) -> Result<Option<String>, Failure> {
    if let Some(before) = current(app, visitor).await? {
        end(app, &before.user, &before.id, visitor).await?;
    }
    let (now, lifetime) = (app.now(), app.config.auth.lifetimes.browser_session);
    let token = Token::mint(TokenKind::BrowserSession, &app.dice.bytes());
    let session = NewBrowserSession {
        id: SessionId::mint(app.dice.bytes()),
        hash: token.hash(),
        user: user.clone(),
        agent: visitor.agent.clone(),
        now,
        expires_at: now.plus(lifetime),
        most: i64::from(app.config.security.max_sessions_per_user),
        login: Some(login),
    };
    let event = event(EventCode::SessionCreated, user, &session.id, visitor);
    let begun = app.store.begin_browser_session(&session, &[app.stamp(event)]).await?;
    let Some(evicted) = begun else { return Ok(None) };
    for id in evicted {
        app.audit.record(self::event(EventCode::ExcessSessionsExceeded, user, &id, visitor)).await?;
    }
    Ok(Some(cookies::set_session(&token, lifetime, app.issuer().starts_with("https:"))))
}

/// Ends one session of a person.
pub async fn end(app: &App, user: &UserId, id: &SessionId, visitor: &Visitor) -> Result<bool, Failure> {
    let event = event(EventCode::SessionRevoked, user, id, visitor);
    app.store.end_browser_session(user, id, app.now(), &[app.stamp(event)]).await
}

fn event(code: EventCode, user: &UserId, id: &SessionId, visitor: &Visitor) -> Event {
    Event::new(code).by(user).subject(id.as_str()).from(visitor.address).request(&visitor.request)
}
