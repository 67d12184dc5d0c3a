//! Linking another Spotify account to the person who is logged in here: the way back from Spotify.
//!
//! Only the very person who asked, still logged in in the very browser that left, gets the account; never one that is
//! somebody else's here. No session begins and none ends.

use crate::app::App;
use crate::domain::event::{Event, EventCode};
use crate::domain::linking::{Linking, NotLinked, linking};
use crate::domain::{AppId, UserId};
use crate::failure::Failure;
use crate::store::Link;
use crate::vault::{LinkError, LoginAtSpotify};

use super::at_spotify::at_spotify;
use super::departure::Seatless;
use super::giving_way::{gives_way, let_go};
use super::home::{Home, home_of};
use super::login::{Arrival, LoginProblem, Returned, Stop, elsewhere, https, problem, sent_home};
use super::{Params, Visitor, cookies, sessions};

/// Takes a browser back that went to Spotify to link another account.
pub(super) async fn arrive(
    app: &App,
    params: &Params,
    back: &Returned,
    visitor: &Visitor,
) -> Result<Arrival, Failure> {
    let login = &back.login;
    let session = sessions::current(app, visitor).await?;
    let Some(person) = session.map(|session| session.user).filter(|user| login.user.as_ref() == Some(user))
    else {
        return problem(app, (LoginProblem::SessionEnded, login.user.as_ref()), None, visitor).await;
    };
    let arrival = match linked(app, params, back, (&person, visitor)).await {
        Ok(outcome) => {
            app.notice_revocations().await;
            Ok(Arrival::Linked { outcome, cookies: vec![cookies::clear_login(back.state, https(app))] })
        }
        Err(Stop::Problem(why)) => problem(app, (why, Some(&person)), None, visitor).await,
        Err(Stop::Seatless(who)) => elsewhere(app, back, (&who, Some(&person)), visitor).await,
        Err(Stop::Home(home)) => sent_home(app, back, *home, visitor).await,
        Err(Stop::Disabled(_) | Stop::Further(_)) => {
            problem(app, (LoginProblem::Disabled, Some(&person)), None, visitor).await
        }
        Err(Stop::Failure(failure)) => Err(failure),
    };
    // The page that it began on is spent: they go on from one with the same name.
    Ok(match arrival? {
        Arrival::Problem(why) => {
            let own = back.typed().filter(|_| why.is_of_own_app());
            Arrival::NotLinked { why, alias: login.alias.clone(), own }
        }
        other => other,
    })
}

async fn linked(
    app: &App,
    params: &Params,
    back: &Returned,
    (person, visitor): (&UserId, &Visitor),
) -> Result<Linking, Stop> {
    let at_spotify = at_spotify(app, params, back).await?;
    let (outcome, known, giving) = decided(app, &at_spotify, person).await?;
    let outcome = match &known {
        Some(known) if app.is_lost(known) => Linking::Reconnected,
        _ => outcome,
    };
    let home: Option<AppId> = known.as_ref().map(|link| link.app.clone());
    // Who asks for it on this page without an app of their own gives up one that Spotify refuses.
    if let Some(known) = known
        && let Home::At(home) = home_of(app, back, &at_spotify, known).await?
    {
        return Err(Stop::Home(home));
    }
    if let Some(link) = giving {
        let_go(app, &link, visitor).await?;
    }
    match app.vault.take_login(&at_spotify).await {
        Ok(_) => Ok(outcome),
        Err(LinkError::SomebodyElses) => Err(Stop::Problem(LoginProblem::SomebodyElses)),
        Err(LinkError::NoSeat) => Err(Stop::Seatless(Seatless::Known(home))),
        Err(LinkError::HasEnough) => Err(Stop::Seatless(Seatless::HasEnough(home))),
        Err(LinkError::TooMany) => Err(Stop::Problem(LoginProblem::TooManyAccounts)),
        Err(LinkError::Gone) => Err(Stop::Problem(LoginProblem::SessionEnded)),
        Err(LinkError::Failure(failure)) => Err(Stop::Failure(failure)),
    }
}

/// What it comes to, the account as it is linked to them now, and as it is to somebody whom it is taken from.
async fn decided(
    app: &App,
    login: &LoginAtSpotify,
    person: &UserId,
) -> Result<(Linking, Option<Link>, Option<Link>), Stop> {
    let (mut known, mut giving) = (app.vault.person_of(login).await?, None);
    if let Some(link) = known.take_if(|link| link.user != *person) {
        match gives_way(app, &link).await? {
            true => giving = Some(link),
            false => known = Some(link),
        }
    }
    let has = app.store.links(person).await?.len();
    let outcome = linking(person, known.as_ref().map(|link| &link.user), has).map_err(|why| {
        Stop::Problem(match why {
            NotLinked::SomebodyElses => LoginProblem::SomebodyElses,
            NotLinked::TooMany => LoginProblem::TooManyAccounts,
        })
    })?;
    // Whom the operator keeps out does not come in by another person's door.
    if known.is_none()
        && let Some(former) = app.vault.former_of(login)
        && let Some((whose, true)) = app.store.who_formerly(former).await?
    {
        return Err(Stop::Disabled(whose));
    }
    Ok((outcome, known, giving))
}

/// Somebody opened a one-time page that another person asked for: refused, and told to the trail.
///
/// # Errors
/// Where that cannot be recorded.
pub async fn not_theirs(
    app: &App,
    visitor: &Visitor,
    (who, whose): (&UserId, &UserId),
) -> Result<(), Failure> {
    let event = Event::new(EventCode::AccountMismatch).refused().by(who).from(visitor.address);
    let event =
        event.request(&visitor.request).because("link_page_of_another").detail("whose", whose.as_str());
    app.audit.record(event).await
}
