//! What Spotify says when it sends a browser back: tokens for the code, and whose they are. Nothing is decided here, and
//! nothing stored.

use crate::app::App;
use crate::crypto::SecretString;
use crate::domain::AppId;
use crate::domain::own_app::OwnApp;
use crate::domain::pkce::CodeVerifier;
use crate::spotify::{AccountsError, ApiError, AppCredentials, TokenSet};
use crate::store::Login;
use crate::vault::LoginAtSpotify;

use super::Params;
use super::departure::Seatless;
use super::login::{LoginProblem, Returned, Stop};

/// Who came back from Spotify, with which tokens; nothing is decided yet.
pub(super) async fn at_spotify(
    app: &App,
    params: &Params,
    Returned { login, kept, .. }: &Returned,
) -> Result<LoginAtSpotify, Stop> {
    let stop = |why| Err(Stop::Problem(why));
    match (params.get("error"), params.get("code")) {
        (None, Some(code)) => {
            let through = through(app, login, kept.own.clone())?;
            let tokens = exchange(app, &through, &kept.verifier, code).await?;
            who(app, through, login, tokens).await
        }
        (Some("access_denied"), _) => stop(LoginProblem::Denied),
        (Some("server_error" | "temporarily_unavailable"), _) => stop(LoginProblem::Unavailable),
        (Some(_), _) => stop(LoginProblem::Misconfigured),
        (None, None) => stop(LoginProblem::Expired),
    }
}

/// The app that a login went through.
struct Through {
    app: AppId,
    credentials: AppCredentials,
    /// Where it is the person's own.
    own: Option<OwnApp>,
}

/// The app as it stands now: what a person brought may have become the operator's, the operator's may have gone.
fn through(app: &App, login: &Login, own: Option<OwnApp>) -> Result<Through, Stop> {
    let apps = app.vault.apps();
    let operators = match &own {
        Some(own) => apps.named(&own.client_id),
        None => apps.get(&login.app),
    };
    match (operators, own) {
        (Some(spotify), _) => Ok(Through { app: spotify.id, credentials: spotify.credentials, own: None }),
        (None, Some(_)) if !apps.own_ones_may_come() => Err(Stop::Problem(LoginProblem::NoOwnApps)),
        (None, Some(own)) => {
            let OwnApp { client_id, client_secret } = own.clone();
            let credentials = AppCredentials { client_id, client_secret };
            Ok(Through { app: login.app.clone(), credentials, own: Some(own) })
        }
        // Another app may have a place.
        (None, None) => Err(Stop::Seatless(Seatless::Unknown)),
    }
}

async fn exchange(
    app: &App,
    through: &Through,
    verifier: &CodeVerifier,
    code: &str,
) -> Result<TokenSet, Stop> {
    let redirect = app.config.spotify.redirect_uri.as_str();
    let code = SecretString::new(code);
    let ask = async |credentials| app.vault.accounts().exchange(credentials, &code, verifier, redirect).await;
    let mut exchanged = ask(&through.credentials).await;
    // The app's secret may have been replaced meanwhile; a code is not spent on a client that Spotify does not know.
    if matches!(exchanged, Err(AccountsError::InvalidClient))
        && let Some(now) = app.vault.apps().get(&through.app)
        && now.credentials.client_secret != through.credentials.client_secret
    {
        exchanged = ask(&now.credentials).await;
    }
    exchanged.map_err(|error| {
        tracing::warn!(%error, "Spotify did not exchange a code");
        Stop::Problem(match error {
            AccountsError::InvalidGrant(_) => LoginProblem::Expired,
            AccountsError::InvalidClient | AccountsError::Refused(_) if through.own.is_some() => {
                LoginProblem::OwnAppRefused
            }
            AccountsError::InvalidClient | AccountsError::Refused(_) => LoginProblem::Misconfigured,
            AccountsError::Temporary { .. } | AccountsError::Malformed => LoginProblem::Unavailable,
        })
    })
}

async fn who(app: &App, through: Through, login: &Login, tokens: TokenSet) -> Result<LoginAtSpotify, Stop> {
    let me = app.api.me(&tokens.access_token).await.map_err(|error| {
        tracing::warn!(%error, "Spotify did not say who logged in");
        match error {
            ApiError::NotAllowlisted if through.own.is_some() => Stop::Problem(LoginProblem::NotListedAtOwn),
            ApiError::OwnerNotPremium if through.own.is_some() => Stop::Problem(LoginProblem::OwnAppRefused),
            ApiError::NotAllowlisted => Stop::Seatless(Seatless::Unknown),
            ApiError::OwnerNotPremium => Stop::Problem(LoginProblem::Misconfigured),
            _ => Stop::Problem(LoginProblem::Unavailable),
        }
    })?;
    let Some(spotify_user_id) = me.id.filter(|id| !id.is_empty()) else {
        return Err(Stop::Problem(LoginProblem::Unavailable));
    };
    Ok(LoginAtSpotify {
        app: through.app,
        own: through.own,
        scope: tokens.scope.clone().unwrap_or_else(|| login.spotify_scope.clone()),
        tokens,
        account_id: me.account_id.filter(|id| !id.is_empty()),
        display_name: me.display_name.map_or_else(|| spotify_user_id.clone(), |name| name.clean(100)),
        spotify_user_id,
        expected: login.user.clone(),
        alias: login.alias.clone(),
    })
}
