//! Leaving for Spotify to log in: everything that brings the browser back is made here, and nothing is believed yet.
//!
//! The state is opaque, single use, lives five minutes, and works only in the browser that began.

use crate::app::App;
use crate::app::limits::Verdict;
use crate::crypto::SecretString;
use crate::crypto::token::{Token, TokenKind};
use crate::domain::ids::LinkPageId;
use crate::domain::linking::Alias;
use crate::domain::pkce::CodeVerifier;
use crate::domain::{Neighbourhood, Scope, UserId};
use crate::failure::Failure;
use crate::spotify::AuthorizeRequest;
use crate::store::NewLogin;

use super::login::https;
use super::tickets::AuthorizationRequest;
use super::verifier::seal_verifier;
use super::{Visitor, cookies};

/// What a login is for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// A client waits for a code.
    Client(&'a AuthorizationRequest),
    /// The person wants to see `/account`.
    Browser,
    /// The person opened a one-time page of theirs, and has to be logged in for it.
    Page(&'a LinkPageId),
    /// The person who is logged in links another account, to be called so.
    Link(Option<&'a Alias>),
}

impl Purpose<'_> {
    const fn name(self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::Browser => "browser",
            Self::Page(_) => "page",
            Self::Link(_) => "link",
        }
    }
}

/// The way to Spotify.
#[derive(Debug)]
pub struct Departure {
    /// Where to.
    pub url: String,
    /// `Set-Cookie`s: of this login, and those that end the oldest of too many.
    pub cookies: Vec<String>,
}

/// Why a login cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDeparture {
    /// No Spotify app is configured.
    NoApp,
    /// Too many began at this address, or nobody can count them.
    Limited(Verdict),
}

/// Sends a browser to Spotify.
pub async fn depart(
    app: &App,
    purpose: Purpose<'_>,
    user: Option<&UserId>,
    visitor: &Visitor,
) -> Result<Result<Departure, NoDeparture>, Failure> {
    match app.limits.login(visitor.address).await {
        Verdict::Fits => {}
        limited => return Ok(Err(NoDeparture::Limited(limited))),
    }
    let Some(spotify) = app.vault.apps().for_newcomer(&app.store).await? else {
        return Ok(Err(NoDeparture::NoApp));
    };
    let (state, browser) = (handle(app), handle(app));
    let verifier = CodeVerifier::mint(&app.dice.bytes());
    // A link serves all of a person's clients: it always has every permission, and our own scopes narrow them.
    let scopes: Vec<_> = Scope::ALL.into_iter().flat_map(|scope| scope.spotify().iter().copied()).collect();
    let (now, lifetime) = (app.now(), app.config.security.login_timeout);
    let login = NewLogin {
        state: state.hash(),
        browser: browser.hash(),
        purpose: purpose.name(),
        app: spotify.id.clone(),
        verifier: seal_verifier(app, state.hash(), &verifier)?,
        request: match purpose {
            Purpose::Client(request) => Some(request.to_json()),
            _ => None,
        },
        client: match purpose {
            Purpose::Client(request) => Some(request.client.clone()),
            _ => None,
        },
        page: match purpose {
            Purpose::Page(page) => Some(page.clone()),
            _ => None,
        },
        alias: match purpose {
            Purpose::Link(alias) => alias.map(|alias| alias.as_str().to_owned()),
            _ => None,
        },
        user: user.cloned(),
        spotify_scope: scopes.join(" "),
        now,
        expires_at: now.plus(lifetime),
        from: Neighbourhood::of(visitor.address),
        most: Some(app.limits.config().logins_in_progress).filter(|most| *most > 0),
    };
    app.store.begin_login(&login).await?;
    tracing::debug!(request = visitor.request.as_str(), purpose = login.purpose, "a login begins");
    let url = app.vault.accounts().authorize_url(&AuthorizeRequest {
        client_id: &spotify.credentials.client_id,
        redirect_uri: app.config.spotify.redirect_uri.as_str(),
        scopes: &scopes,
        state: &SecretString::new(state.expose()),
        verifier: &verifier,
        // Else Spotify answers at once for whoever its own browser session is: the account that is linked already.
        show_dialog: matches!(purpose, Purpose::Link(_)),
    });
    let cookies = cookies::set_login(state.hash(), &browser, lifetime, (&visitor.cookies, https(app)));
    Ok(Ok(Departure { url, cookies }))
}

fn handle(app: &App) -> Token {
    Token::mint(TokenKind::Handle, &app.dice.bytes())
}
