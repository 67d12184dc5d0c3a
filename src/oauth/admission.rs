//! Whether a Spotify account that came back may come in here, and as whom.

use crate::app::App;
use crate::config::Signup;
use crate::domain::UserId;
use crate::domain::own_app::opens_the_door;
use crate::failure::Failure;
use crate::policy::Environment;
use crate::store::Link;
use crate::vault::{LinkError, Linked, LoginAtSpotify};

use super::Visitor;
use super::departure::{PAGE, Seatless};
use super::giving_way::{gives_way, let_go};
use super::home::{Home, home_of};
use super::login::{LoginProblem, Returned, Stop};

/// Decides whether the account may come in, and lets it in. `here`: who has been here since they left for Spotify.
pub(super) async fn admit(
    app: &App,
    mut login: LoginAtSpotify,
    (back, here): (&Returned, Option<&UserId>),
    visitor: &Visitor,
) -> Result<Linked, Stop> {
    let stop = |why| Err(Stop::Problem(why));
    let (mut known, mut giving) = (app.vault.person_of(&login).await?, None);
    if let Some(link) = &known {
        match opens_or_is_here(app, link, here).await {
            Err(Stop::Further(link)) if back.kept.oneself && gives_way(app, &link).await? => {
                (known, giving) = (None, Some(link));
            }
            is_here => is_here?,
        }
    }
    // Who disconnected it comes back as who they were, to what is still theirs; disabled meanwhile, not as somebody new.
    if known.is_none()
        && let Some(former) = app.vault.former_of(&login)
        && let Some((person, is_disabled)) = app.store.who_formerly(former).await?
    {
        if is_disabled {
            return Err(Stop::Disabled(person));
        }
        if login.expected.is_none() {
            login.expected = Some(person);
        }
    }
    expect(app, &mut login, (known.as_ref(), back.login.purpose == PAGE)).await?;
    if known.is_none() && login.expected.is_none() && !may_sign_up(app, &login).await? {
        return stop(LoginProblem::SignupClosed);
    }
    let home = known.as_ref().map(|link| link.app.clone());
    // From here on it is they or nobody: deleted in this very moment, they do not come back as somebody new.
    if let Some(link) = known {
        login.expected = Some(link.user.clone());
        let (user, opens) = (link.user.clone(), link.opens);
        let as_it_is = Linked { user, link: link.id.clone(), newcomer: false, opens };
        match home_of(app, back, &login, link).await? {
            Home::Here => {}
            Home::At(place) => return Err(Stop::Home(place)),
            Home::AsItIs => return Ok(as_it_is),
        }
    }
    if let Some(link) = giving {
        let_go(app, &link, visitor).await?;
    }
    match app.vault.take_login(&login).await {
        Ok(linked) => Ok(linked),
        Err(LinkError::SomebodyElses) => stop(LoginProblem::WrongAccount),
        Err(LinkError::NoSeat) => Err(Stop::Seatless(Seatless::Known(home))),
        Err(LinkError::HasEnough) => Err(Stop::Seatless(Seatless::HasEnough(home))),
        Err(LinkError::TooMany) => stop(LoginProblem::TooManyAccounts),
        Err(LinkError::Gone) => stop(LoginProblem::Expired),
        Err(LinkError::Failure(failure)) => Err(Stop::Failure(failure)),
    }
}

/// Whether it is the person that it must be, where it must be one, or whoever takes their place. `strictly`: a one-time
/// page is opened by the very person who asked for it, or by nobody.
async fn expect(
    app: &App,
    login: &mut LoginAtSpotify,
    (known, strictly): (Option<&Link>, bool),
) -> Result<(), Stop> {
    let stop = |why| Err(Stop::Problem(why));
    let Some(expected) = login.expected.clone() else { return Ok(()) };
    match (known, app.store.user(&expected).await?) {
        (Some(link), Some(_)) if link.user != expected => return stop(LoginProblem::WrongAccount),
        (Some(_), _) => {}
        (None, None) if strictly => return stop(LoginProblem::Expired),
        // The person was deleted meanwhile: whoever comes now is new.
        (None, None) => login.expected = None,
        // Only the account that the person logged in with before may come back to them.
        (None, Some(person)) if app.vault.comes_back(login, person.former_identity) => {}
        // Adding a second account is asked for explicitly, never a side effect of logging in.
        (None, Some(_)) if !app.store.links(&expected).await?.is_empty() => {
            return stop(LoginProblem::WrongAccount);
        }
        (None, Some(_)) if strictly => return stop(LoginProblem::WrongAccount),
        (None, Some(_)) => login.expected = None,
    }
    Ok(())
}

/// Whoever can log in at Spotify with an account that was linked later is not thereby the person: to connect it again is
/// for who is here already.
async fn opens_or_is_here(app: &App, link: &Link, here: Option<&UserId>) -> Result<(), Stop> {
    if !link.opens && here != Some(&link.user) {
        return Err(Stop::Further(Box::new(link.clone())));
    }
    match app.store.user(&link.user).await? {
        Some(user) if user.disabled_at.is_some() => Err(Stop::Disabled(link.user.clone())),
        _ => Ok(()),
    }
}

async fn may_sign_up(app: &App, login: &LoginAtSpotify) -> Result<bool, Failure> {
    if !app.config.auth.multi_user && app.store.count_users().await? > 0 {
        return Ok(false);
    }
    let live = app.live();
    let in_development = app.config.security.environment == Environment::Development;
    if login.own.is_some() && !opens_the_door(live.signup_is_said, in_development) {
        return Ok(false);
    }
    Ok(match live.signup {
        Signup::Open => true,
        Signup::Allowlist => live.allowlist.iter().any(|id| {
            *id == login.spotify_user_id || login.account_id.as_ref().is_some_and(|account| account == id)
        }),
        Signup::Invite => false,
    })
}
