//! The Spotify app that an account stays on: whoever is linked already is not moved to another one by logging in.

use crate::app::App;
use crate::domain::own_app::OwnApp;
use crate::domain::placement::{Settled, Stay, stay};
use crate::failure::Failure;
use crate::store::Link;
use crate::vault::{LoginAtSpotify, OWN_APP_REFUSED, SpotifyApp};

use super::departure::is_refused;
use super::login::Returned;

/// Where an account that came back belongs.
pub(super) enum Home {
    /// To the app that the login came through.
    Here,
    /// To the app that it is linked through: the login goes on to it.
    At(Box<Place>),
    /// Spotify refuses the app that it is linked through: the link stays as it is.
    AsItIs,
}

/// The app that an account is linked through.
pub(super) enum Place {
    Operators(SpotifyApp),
    Own(OwnApp, Link),
}

/// Where this account belongs, which is linked already.
///
/// # Errors
/// Where the database fails.
pub(super) async fn home_of(
    app: &App,
    back: &Returned,
    login: &LoginAtSpotify,
    known: Link,
) -> Result<Home, Failure> {
    let apps = app.vault.apps();
    let operators = apps.get(&known.app);
    let own = match (&operators, &known.own_app) {
        (None, Some(_)) => app.vault.own_app(&known.id).await?,
        _ => None,
    };
    let here = match &login.own {
        // One that was just typed is what they want; else it may be that of another account of theirs.
        Some(typed) => {
            back.kept.meant.is_none() || own.as_ref().is_some_and(|own| own.client_id == typed.client_id)
        }
        None => known.app == login.app,
    };
    let mut account = Settled {
        here,
        in_use: operators.is_some() || own.is_some(),
        refused: matches!(&known.reconnect, Some((_, why)) if own.is_some() && why == OWN_APP_REFUSED),
        tried: back.login.tried.contains(&known.app),
    };
    if let (Stay::SentOn, Some(own)) = (stay(account), &own) {
        // There, the way would end on a page of Spotify's.
        account.refused = is_refused(app, own).await;
    }
    Ok(match (stay(account), operators, own) {
        (Stay::SentOn, Some(spotify), _) => Home::At(Box::new(Place::Operators(spotify))),
        (Stay::SentOn, None, Some(own)) => Home::At(Box::new(Place::Own(own, known))),
        (Stay::AsItIs, ..) => Home::AsItIs,
        _ => Home::Here,
    })
}
