//! Logging in with Spotify: taking the browser back at `/auth/callback`; `departure.rs` sent it there.
//!
//! The state is opaque, single use, lives five minutes, and works only in the browser that began: its cookie holds
//! a second secret, set only after the person approved (mcp.md P6, P7).

use crate::app::App;
use crate::crypto::token::{Token, TokenHash, TokenKind};
use crate::domain::event::{Event, EventCode};
use crate::domain::ids::LinkPageId;
use crate::domain::linking::Linking;
use crate::domain::own_app::{Bring, OwnApp};
use crate::domain::{LinkId, UserId};
use crate::failure::Failure;
use crate::store::{FromLogin, Link, Login, NewCode};
use crate::telemetry::metrics::Figure;
use crate::vault::Linked;

use super::admission::admit;
use super::at_spotify::at_spotify;
use super::authorize::error_redirect;
use super::departure::{BROWSER, LINK, Seatless, ask_again, go_home, go_on};
pub use super::departure::{Departure, NoDeparture, Purpose, check_own, depart};
use super::giving_way::gives_way;
use super::home::Place;
pub use super::login_problem::LoginProblem;
use super::tickets::AuthorizationRequest;
use super::verifier::{Kept, open_kept};
use super::{Params, Visitor, cookies, linking, refusals, sessions};

/// The way back.
#[derive(Debug)]
pub enum Arrival {
    /// To the client, with a code or an error.
    Client {
        /// Its redirect URI with parameters.
        url: String,
        /// `Set-Cookie`s.
        cookies: Vec<String>,
    },
    /// To `/account`, or to a one-time page of the person's.
    Account {
        /// Who logged in.
        user: UserId,
        /// The page.
        page: Option<LinkPageId>,
        /// Where an account was to be connected again: whether that was it.
        again: Option<bool>,
        /// An account of theirs that is to be connected again now that they are here.
        next: Option<LinkId>,
        /// `Set-Cookie`s.
        cookies: Vec<String>,
    },
    /// To `/account` with another linked account.
    Linked {
        /// What came of it.
        outcome: Linking,
        /// `Set-Cookie`s.
        cookies: Vec<String>,
    },
    /// An account that was to be linked is not: a page that says what went wrong.
    NotLinked {
        /// What.
        why: LoginProblem,
        /// What it was to be called.
        alias: Option<String>,
        /// The person's own app, where they typed it and it did not answer for them.
        own: Option<OwnApp>,
    },
    /// The same of a login through a person's own app: why, and the app.
    NotThroughOwn(LoginProblem, OwnApp),
    /// Who was to log in first did not: a page that says what went wrong, and leads back to where they were to go on.
    NotFirst {
        /// What.
        why: LoginProblem,
        /// The one-time page that they wanted.
        page: Option<LinkPageId>,
        /// The account that they wanted to connect again.
        link: Option<LinkId>,
    },
    /// To Spotify once more: that app has no place for them, another may have.
    Onward(Departure),
    /// A page that says what went wrong.
    Problem(LoginProblem),
}

/// Takes a browser back from Spotify. `local`: who is the person here without any session.
pub async fn arrive(
    app: &App,
    params: &Params,
    (visitor, local): (&Visitor, Option<&UserId>),
) -> Result<Arrival, Failure> {
    let state = params.get("state").and_then(|state| Token::parse(TokenKind::Handle, state));
    let Some(state) = state.filter(|_| params.fault().is_none()).map(|state| state.hash()) else {
        return Ok(stranger(app, LoginProblem::Expired, visitor).await);
    };
    let Some(browser) = visitor.cookies.login(state) else {
        return Ok(stranger(app, LoginProblem::WrongBrowser, visitor).await);
    };
    let Some(login) = app.store.take_login(state, browser.hash(), app.now()).await? else {
        return Ok(stranger(app, LoginProblem::Expired, visitor).await);
    };
    let request = login.request.as_deref().and_then(AuthorizationRequest::from_json);
    let Some(kept) = open_kept(app, state, &login.verifier).await? else {
        return problem(app, (LoginProblem::Expired, None), request.as_ref(), visitor).await;
    };
    let back = Returned { login, state, kept };
    if back.login.purpose == LINK {
        app.store.drop_login(state).await?;
        return linking::arrive(app, params, &back, visitor).await;
    }
    let completed = complete(app, params, &back, (visitor, local)).await;
    if completed.is_err() {
        app.store.drop_login(state).await?;
    }
    let arrival = match completed {
        Ok(linked) => welcome(app, linked, (request, &back), visitor).await,
        Err(Stop::Problem(why)) => {
            let arrival = problem(app, (why, None), request.as_ref(), visitor).await?;
            Ok(match (arrival, back.typed()) {
                (Arrival::Problem(why), Some(own)) if why.is_of_own_app() => Arrival::NotThroughOwn(why, own),
                (arrival, _) => arrival,
            })
        }
        Err(Stop::Seatless(who)) => elsewhere(app, &back, (&who, None), visitor).await,
        Err(Stop::Home(place)) => sent_home(app, &back, *place, visitor).await,
        Err(Stop::Disabled(user)) => {
            problem(app, (LoginProblem::Disabled, Some(&user)), request.as_ref(), visitor).await
        }
        Err(Stop::Further(further)) => match ask_again(app, &back, visitor).await? {
            Some(mut departure) => {
                departure.cookies.push(cookies::clear_login(state, https(app)));
                Ok(Arrival::Onward(departure))
            }
            None => {
                let ended = gives_way(app, &further).await?;
                let why = LoginProblem::FurtherAccount { ended };
                problem(app, (why, Some(&further.user)), request.as_ref(), visitor).await
            }
        },
        Err(Stop::Failure(failure)) => Err(failure),
    }?;
    let link = was_first(&back).cloned();
    Ok(match arrival {
        Arrival::Problem(why) if back.login.page.is_some() || link.is_some() => {
            Arrival::NotFirst { why, page: back.login.page, link }
        }
        other => other,
    })
}

/// The account that whoever logs in wanted to connect again, which takes being logged in.
fn was_first(Returned { login, kept, .. }: &Returned) -> Option<&LinkId> {
    kept.meant.as_ref().filter(|_| login.purpose == BROWSER && login.user.is_none())
}

/// A login that Spotify has answered, with what was sealed for its way back.
pub(super) struct Returned {
    pub(super) login: Login,
    pub(super) state: TokenHash,
    pub(super) kept: Kept,
}

impl Returned {
    /// The person's own app, where they typed it for this login; never its secret.
    pub(super) fn typed(&self) -> Option<OwnApp> {
        let own = self.kept.own.as_ref().filter(|_| self.kept.meant.is_none());
        own.map(|own| OwnApp { client_id: own.client_id.clone(), client_secret: None })
    }
}

pub(super) enum Stop {
    Problem(LoginProblem),
    /// The account is linked through another app, and stays there.
    Home(Box<Place>),
    /// The app has no place for whoever came.
    Seatless(Seatless),
    /// The operator has disabled this person.
    Disabled(UserId),
    /// The account is one that this person has linked beside the one that they log in with.
    Further(Box<Link>),
    Failure(Failure),
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(cause: E) -> Self {
        Self::Failure(cause.into())
    }
}

async fn complete(
    app: &App,
    params: &Params,
    back: &Returned,
    (visitor, local): (&Visitor, Option<&UserId>),
) -> Result<Linked, Stop> {
    let at_spotify = at_spotify(app, params, back).await?;
    let here = match (back.login.purpose == BROWSER, local) {
        (false, _) => None,
        (true, Some(local)) => Some(local.clone()),
        (true, None) => sessions::current(app, visitor).await?.map(|session| session.user),
    };
    let here = here.filter(|user| back.login.user.as_ref() == Some(user));
    let linked = admit(app, at_spotify, (back, here.as_ref()), visitor).await?;
    if !linked.opens {
        return match here.as_ref() == Some(&linked.user) {
            true => Ok(linked),
            false => Err(Stop::Problem(LoginProblem::WrongAccount)),
        };
    }
    let event = Event::new(EventCode::AuthnLoginSuccess)
        .by(&linked.user)
        .link(&linked.link)
        .from(visitor.address)
        .request(&visitor.request);
    app.audit.record(event).await?;
    Ok(linked)
}

async fn welcome(
    app: &App,
    linked: Linked,
    (request, back): (Option<AuthorizationRequest>, &Returned),
    visitor: &Visitor,
) -> Result<Arrival, Failure> {
    let (Returned { login, kept, .. }, state) = (back, back.state);
    // Only who is logged in connects an account again.
    let again = kept.meant.as_ref().filter(|_| login.purpose == BROWSER && login.user.is_some());
    let again = again.map(|meant| *meant == linked.link);
    let page = login.page.clone();
    // What the login replaced (an older scope, a dead link) must not be remembered on this server.
    app.notice_revocations().await;
    if !linked.opens {
        app.store.drop_login(state).await?;
        let cookies = vec![cookies::clear_login(state, https(app))];
        return Ok(Arrival::Account { user: linked.user, page: None, again, next: None, cookies });
    }
    let next = match was_first(back).filter(|meant| **meant != linked.link) {
        Some(meant) => app.store.link(meant).await?.filter(|link| link.user == linked.user),
        None => None,
    };
    let from = FromLogin { state, last: request.is_none() };
    let Some(session) = sessions::begin(app, &linked.user, from, visitor).await? else {
        return problem(app, (LoginProblem::Expired, None), request.as_ref(), visitor).await;
    };
    let set = vec![cookies::clear_login(state, https(app)), session];
    let Some(request) = request else {
        let next = next.map(|link| link.id);
        return Ok(Arrival::Account { user: linked.user, page, again, next, cookies: set });
    };

    let code = Token::mint(TokenKind::Code, &app.dice.bytes());
    let now = app.now();
    let new = NewCode {
        hash: code.hash(),
        user: linked.user.clone(),
        client: request.client.clone(),
        redirect_uri: request.redirect_uri.clone(),
        challenge: request.challenge.clone(),
        resource: request.resource,
        scopes: request.scopes,
        now,
        expires_at: now.plus(app.config.auth.lifetimes.code),
        login: Some(FromLogin { state, last: true }),
    };
    let event = Event::new(EventCode::ConsentGranted)
        .by(&linked.user)
        .client(&request.client)
        .from(visitor.address)
        .request(&visitor.request)
        .detail("scope", request.scopes.to_string())
        .detail("redirect_uri", request.redirect_uri.as_str());
    if !app.store.issue_code(&new, &[app.stamp(event)]).await? {
        return problem(app, (LoginProblem::Expired, None), Some(&request), visitor).await;
    }
    let issuer = app.issuer();
    let mut parameters = vec![("code", code.expose())];
    parameters.extend(request.state.as_deref().map(|state| ("state", state)));
    parameters.push(("iss", &issuer));
    Ok(Arrival::Client { url: request.redirect_uri.with_query(&parameters), cookies: set })
}

/// On to the next app; where there is none, why and what to ask for.
pub(super) async fn elsewhere(
    app: &App,
    back: &Returned,
    (who, person): (&Seatless, Option<&UserId>),
    visitor: &Visitor,
) -> Result<Arrival, Failure> {
    if let Some(mut departure) = go_on(app, back, who, visitor).await? {
        departure.cookies.push(cookies::clear_login(back.state, https(app)));
        return Ok(Arrival::Onward(departure));
    }
    // Where nobody else fits, to be listed at Spotify would not help.
    let is_here = match who {
        _ if person.is_some() => Some(true),
        Seatless::Known(home) | Seatless::HasEnough(home) => Some(home.is_some()),
        Seatless::Unknown => None,
    };
    let may = app.vault.apps().own_ones_may_come();
    let own = Bring::offered(may, app.newcomers_may_bring(), is_here);
    let places = app.vault.apps().places();
    let roomiest = app.vault.apps().roomiest(&app.store).await?;
    let why = match roomiest {
        _ if matches!(who, Seatless::HasEnough(_)) => {
            let each = u64::try_from(app.vault.apps().places_each()).ok();
            LoginProblem::NoSeat { own, moved: false, unlisted: false, places, each }
        }
        Some(_) if app.vault.apps().all().len() == 1 => LoginProblem::NotAllowlisted { app: None, own },
        Some(roomy) => LoginProblem::NotAllowlisted { app: Some(roomy.name), own },
        None => {
            let apps = app.vault.apps();
            let moved = matches!(who, Seatless::Known(Some(home)) if !apps.in_use(home, false));
            LoginProblem::NoSeat { own, moved, unlisted: is_here.is_none(), places, each: None }
        }
    };
    let request = back.login.request.as_deref().and_then(AuthorizationRequest::from_json);
    problem(app, (why, person), request.as_ref(), visitor).await
}

/// On to the app that the account is linked through.
pub(super) async fn sent_home(
    app: &App,
    back: &Returned,
    place: Place,
    visitor: &Visitor,
) -> Result<Arrival, Failure> {
    let mut departure = go_home(app, back, place, visitor).await?;
    departure.cookies.push(cookies::clear_login(back.state, https(app)));
    Ok(Arrival::Onward(departure))
}

/// Nobody began a login here, or in another browser: anybody can come with that, as often as they like.
async fn stranger(app: &App, why: LoginProblem, visitor: &Visitor) -> Arrival {
    Figure::FailedLogin.count();
    refusals::note(app, visitor, Event::new(EventCode::AuthnLoginFail).because(why.word())).await;
    Arrival::Problem(why)
}

/// A login that did begin has failed; how many begin is limited.
pub(super) async fn problem(
    app: &App,
    (why, person): (LoginProblem, Option<&UserId>),
    request: Option<&AuthorizationRequest>,
    visitor: &Visitor,
) -> Result<Arrival, Failure> {
    Figure::FailedLogin.count();
    let is_further = matches!(&why, LoginProblem::FurtherAccount { .. });
    let code = if is_further || matches!(&why, LoginProblem::WrongAccount | LoginProblem::SomebodyElses) {
        EventCode::AccountMismatch
    } else {
        EventCode::AuthnLoginFail
    };
    let mut event =
        Event::new(code).refused().from(visitor.address).request(&visitor.request).because(why.word());
    if let Some(request) = request {
        event = event.client(&request.client);
    }
    if let Some(person) = person {
        // Whose account it is did not do this.
        event = if is_further { event.detail("whose", person.as_str()) } else { event.by(person) };
    }
    app.audit.record(event).await?;
    Ok(match request {
        None => Arrival::Problem(why),
        Some(request) => {
            let (error, text) = why.oauth(&app.issuer());
            let url = error_redirect(app, &request.redirect_uri, request.state.as_deref(), error, &text);
            Arrival::Client { url, cookies: Vec::new() }
        }
    })
}

pub(super) fn https(app: &App) -> bool {
    app.issuer().starts_with("https:")
}
