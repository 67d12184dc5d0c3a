//! Leaving for Spotify to log in: everything that brings the browser back is made here, and nothing is believed yet.
//!
//! The state is opaque, single use, lives five minutes, and works only in the browser that began.

use crate::app::App;
use crate::app::limits::Verdict;
use crate::crypto::SecretString;
use crate::crypto::token::{Token, TokenKind};
use crate::domain::ids::LinkPageId;
use crate::domain::linking::Alias;
use crate::domain::own_app::{BadOwnApp, OwnApp};
use crate::domain::pkce::CodeVerifier;
use crate::domain::{AppId, ClientId, LinkId, Neighbourhood, UserId};
use crate::failure::Failure;
use crate::spotify::{AccountsError, AppCredentials, AuthorizeRequest};
use crate::store::{Link, NewLogin};
use crate::vault::{SpotifyApp, Wayfarer};

use super::home::Place;
use super::login::{Returned, https};
use super::tickets::AuthorizationRequest;
use super::verifier::{Kept, seal_kept};
use super::{Visitor, cookies};

/// What logins are for, as their rows say it.
const CLIENT: &str = "client";
pub(super) const BROWSER: &str = "browser";
pub(super) const PAGE: &str = "page";
pub(super) const LINK: &str = "link";

/// What a login is for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// A client waits for a code.
    Client(&'a AuthorizationRequest),
    /// The person wants to see `/account`, or to connect this account of theirs again.
    Browser(Option<&'a LinkId>),
    /// Nobody is logged in, and Spotify's own browser session is another account than the one to log in with.
    Another,
    /// Nobody is logged in, and somebody wants an account for themselves that another has linked: see
    /// `giving_way`.
    Oneself,
    /// This account is to be connected again, and its person has to be logged in for it: with the one that opens.
    First(&'a LinkId),
    /// The person wants to see `/account` by an account that stands on a Spotify app of their own.
    Own(&'a OwnApp),
    /// The person opened a one-time page of theirs, and has to be logged in for it.
    Page(&'a LinkPageId),
    /// The person who is logged in links another account, to be called so, through an app of their own where one is there.
    Link(Option<&'a Alias>, Option<&'a OwnApp>),
}

impl Purpose<'_> {
    const fn name(self) -> &'static str {
        match self {
            Self::Client(_) => CLIENT,
            Self::Browser(_) | Self::Another | Self::Oneself | Self::First(_) | Self::Own(_) => BROWSER,
            Self::Page(_) => PAGE,
            Self::Link(..) => LINK,
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

/// What a login takes along to Spotify, whichever app it goes through.
struct Errand {
    purpose: &'static str,
    request: Option<String>,
    client: Option<ClientId>,
    page: Option<LinkPageId>,
    alias: Option<String>,
    user: Option<UserId>,
    /// The linked account that is meant.
    meant: Option<LinkId>,
    tried: Vec<AppId>,
    /// Spotify asks who it is, even where its own browser session says so.
    asks: bool,
    /// Whether an account that gives way is wanted.
    oneself: bool,
}

impl Errand {
    /// The same once more, for a login that came back.
    fn again(Returned { login, kept, .. }: &Returned) -> Self {
        let request = login.request.as_deref().and_then(AuthorizationRequest::from_json);
        Self {
            purpose: [CLIENT, BROWSER, PAGE].into_iter().find(|name| *name == login.purpose).unwrap_or(LINK),
            request: login.request.clone(),
            client: request.map(|request| request.client),
            page: login.page.clone(),
            alias: login.alias.clone(),
            user: login.user.clone(),
            meant: kept.meant.clone(),
            tried: login.tried.clone(),
            asks: login.purpose == LINK || kept.asked,
            oneself: kept.oneself,
        }
    }
}

/// The app that a login goes through.
struct Through {
    app: AppId,
    client_id: String,
    own: Option<OwnApp>,
}

impl Through {
    fn operators(spotify: SpotifyApp) -> Self {
        Self { app: spotify.id, client_id: spotify.credentials.client_id, own: None }
    }

    /// By the id that it gets where nobody brought it before.
    fn own(app: &App, own: OwnApp) -> Self {
        Self { app: AppId::mint(app.dice.bytes()), client_id: own.client_id.clone(), own: Some(own) }
    }
}

/// Whether Spotify knows a person's own app by what they typed, asked before they leave: there a wrong id ends on a page
/// of Spotify's. Where Spotify does not answer, the way back tells. Whoever is not logged in learns nothing of a secret
/// here, which may be anybody's, and makes this server ask for no more than one thing.
///
/// # Errors
/// Where nobody can count how many are asked for.
pub async fn check_own(
    app: &App,
    own: &OwnApp,
    (visitor, is_logged_in): (&Visitor, bool),
) -> Result<Option<BadOwnApp>, NoDeparture> {
    match app.limits.login(visitor.address).await {
        Verdict::Fits => {}
        limited => return Err(NoDeparture::Limited(limited)),
    }
    if app.vault.apps().named(&own.client_id).is_some() {
        return Ok(Some(BadOwnApp::Operators));
    }
    let without_secret = OwnApp { client_secret: None, ..own.clone() };
    if !is_logged_in {
        let Some(_turn) = app.probes.turn(app.now()) else { return Ok(None) };
        return Ok(is_refused(app, &without_secret).await.then_some(BadOwnApp::IdUnknown));
    }
    // Both at once where they fit; which of them does not is asked only then.
    if !is_refused(app, own).await {
        return Ok(None);
    }
    Ok(Some(match own.client_secret {
        Some(_) if !is_refused(app, &without_secret).await => BadOwnApp::SecretWrong,
        _ => BadOwnApp::IdUnknown,
    }))
}

/// Whether Spotify knows no such app, or not by this secret; where it does not answer, that is not known.
pub(super) async fn is_refused(app: &App, own: &OwnApp) -> bool {
    let OwnApp { client_id, client_secret } = own.clone();
    let credentials = AppCredentials { client_id, client_secret };
    matches!(app.vault.accounts().probe(&credentials).await, Err(AccountsError::InvalidClient))
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
    let home = home(app, purpose, user).await?;
    let own = match (purpose, &home) {
        (Purpose::Own(own) | Purpose::Link(_, Some(own)), _) => Some(own.clone()),
        (_, Some(link)) if link.own_app.is_some() => app.vault.own_app(&link.id).await?,
        _ => None,
    };
    let through = match own {
        Some(own) => Through::own(app, own),
        None => {
            let of = Wayfarer { home: home.as_ref().map(|link| &link.app), tried: &[], may_sit: true };
            match app.vault.apps().next(&app.store, of).await? {
                Some(spotify) => Through::operators(spotify),
                None => return Ok(Err(NoDeparture::NoApp)),
            }
        }
    };
    let is_lost = |home: Option<&Link>| home.is_some_and(|link| app.is_lost(link));
    let errand = Errand {
        purpose: purpose.name(),
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
            Purpose::Link(alias, _) => alias.map(|alias| alias.as_str().to_owned()),
            _ => None,
        },
        user: user.cloned(),
        tried: Vec::new(),
        // Else Spotify answers at once for whoever its own browser session is: the account that is linked already.
        asks: match purpose {
            Purpose::Link(..)
            | Purpose::Page(_)
            | Purpose::Another
            | Purpose::Oneself
            | Purpose::First(_) => true,
            Purpose::Browser(named) => named.is_some() || is_lost(home.as_ref()),
            Purpose::Client(_) => is_lost(home.as_ref()),
            Purpose::Own(_) => false,
        },
        oneself: matches!(purpose, Purpose::Oneself),
        meant: match purpose {
            Purpose::First(link) => Some(link.clone()),
            _ => home.map(|link| link.id),
        },
    };
    send(app, errand, through, visitor).await.map(Ok)
}

/// The account that this login is to bring back. To log in, the one that opens; of who is here already the one that was
/// named, else one that has to be connected again.
async fn home(app: &App, purpose: Purpose<'_>, user: Option<&UserId>) -> Result<Option<Link>, Failure> {
    let (Some(user), false) = (user, matches!(purpose, Purpose::Link(..) | Purpose::Own(_))) else {
        return Ok(None);
    };
    let links = app.store.links(user).await?;
    let meant = match purpose {
        Purpose::Browser(named) => {
            let named = links.iter().find(|link| Some(&link.id) == named);
            named.or_else(|| links.iter().find(|link| app.is_lost(link)))
        }
        _ => None,
    };
    Ok(meant.or_else(|| links.iter().find(|link| link.opens)).cloned())
}

/// Who came back from Spotify, as far as that app let it be known.
pub(super) enum Seatless {
    /// Spotify does not answer for them there: they may be anybody.
    Unknown,
    /// No seat is left there; the app that an account of theirs is linked through, where one is.
    Known(Option<AppId>),
    /// They have as many seats there as one person takes; else the same.
    HasEnough(Option<AppId>),
}

/// Sends a browser that one app has no place for on to the next, with all that it came with; `None` where there is none.
pub(super) async fn go_on(
    app: &App,
    back: &Returned,
    seatless: &Seatless,
    visitor: &Visitor,
) -> Result<Option<Departure>, Failure> {
    let mut errand = Errand::again(back);
    errand.tried.push(back.login.app.clone());
    let tried = &errand.tried;
    let of = match seatless {
        Seatless::Unknown => Wayfarer { home: None, tried, may_sit: true },
        Seatless::Known(home) | Seatless::HasEnough(home) => {
            Wayfarer { home: home.as_ref(), tried, may_sit: false }
        }
    };
    let Some(spotify) = app.vault.apps().next(&app.store, of).await? else { return Ok(None) };
    send(app, errand, Through::operators(spotify), visitor).await.map(Some)
}

/// Sends a browser on to the app that the account is linked through which it came back with. The app that it came from
/// has a place for them: where theirs has none any more, this login may go through it again.
pub(super) async fn go_home(
    app: &App,
    back: &Returned,
    place: Place,
    visitor: &Visitor,
) -> Result<Departure, Failure> {
    // Spotify has just been told who it is.
    let mut errand = Errand { asks: false, ..Errand::again(back) };
    let through = match place {
        Place::Operators(spotify) => Through::operators(spotify),
        Place::Own(own, link) => {
            errand.meant.get_or_insert(link.id);
            Through::own(app, own)
        }
    };
    send(app, errand, through, visitor).await
}

/// Sends a browser to Spotify once more, which is to ask now who it is: it answered at once for an account that does not
/// log in here. `None` where it was told to ask before.
pub(super) async fn ask_again(
    app: &App,
    back: &Returned,
    visitor: &Visitor,
) -> Result<Option<Departure>, Failure> {
    let through = match (&back.kept.own, app.vault.apps().get(&back.login.app)) {
        _ if back.kept.asked => return Ok(None),
        (Some(own), _) => Through::own(app, own.clone()),
        (None, Some(spotify)) => Through::operators(spotify),
        (None, None) => return Ok(None),
    };
    send(app, Errand { asks: true, ..Errand::again(back) }, through, visitor).await.map(Some)
}

async fn send(app: &App, errand: Errand, through: Through, visitor: &Visitor) -> Result<Departure, Failure> {
    let (state, browser) = (handle(app), handle(app));
    let kept = Kept {
        verifier: CodeVerifier::mint(&app.dice.bytes()),
        meant: errand.meant,
        own: through.own,
        asked: errand.asks,
        oneself: errand.oneself,
    };
    // A link serves all of a person's clients: it has every permission that tools use, and our own scopes narrow them.
    let scopes = app.config.server.offer.permissions();
    let (now, lifetime) = (app.now(), app.config.security.login_timeout);
    let login = NewLogin {
        state: state.hash(),
        browser: browser.hash(),
        purpose: errand.purpose,
        app: through.app,
        verifier: seal_kept(app, state.hash(), &kept)?,
        request: errand.request,
        client: errand.client,
        page: errand.page,
        alias: errand.alias,
        tried: errand.tried,
        user: errand.user,
        spotify_scope: scopes.join(" "),
        now,
        expires_at: now.plus(lifetime),
        from: Neighbourhood::of(visitor.address),
        most: Some(app.limits.config().logins_in_progress).filter(|most| *most > 0),
    };
    app.store.begin_login(&login).await?;
    tracing::debug!(request = visitor.request.as_str(), purpose = login.purpose, "a login begins");
    let url = app.vault.accounts().authorize_url(&AuthorizeRequest {
        client_id: &through.client_id,
        redirect_uri: app.config.spotify.redirect_uri.as_str(),
        scopes: &scopes,
        state: &SecretString::new(state.expose()),
        verifier: &kept.verifier,
        show_dialog: errand.asks,
    });
    let cookies = cookies::set_login(state.hash(), &browser, lifetime, (&visitor.cookies, https(app)));
    Ok(Departure { url, cookies })
}

fn handle(app: &App) -> Token {
    Token::mint(TokenKind::Handle, &app.dice.bytes())
}
