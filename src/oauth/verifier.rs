//! The PKCE verifier of a login in progress: sealed in its row, opened when Spotify sends the browser back.

use crate::app::App;
use crate::crypto::envelope;
use crate::crypto::token::TokenHash;
use crate::domain::KeyPurpose;
use crate::domain::pkce::CodeVerifier;
use crate::failure::Failure;
use crate::vault::{login_place, login_row};

pub(super) fn seal_verifier(
    app: &App,
    state: TokenHash,
    verifier: &CodeVerifier,
) -> Result<Vec<u8>, Failure> {
    let row = login_row(state.as_bytes());
    let key = app.keys.own(KeyPurpose::PendingLogins)?;
    Ok(envelope::seal(&key, &login_place(&row), verifier.expose().as_bytes(), &app.dice.bytes()))
}

pub(super) async fn open_verifier(
    app: &App,
    state: TokenHash,
    sealed: &[u8],
) -> Result<Option<CodeVerifier>, Failure> {
    let row = login_row(state.as_bytes());
    let Ok(id) = envelope::key_id(sealed) else { return Ok(None) };
    let known = || app.keys.taken(KeyPurpose::PendingLogins).into_iter().find(|key| *key.id() == id);
    let mut key = known();
    if key.is_none() {
        // Another server began this login with a key that has just come.
        app.keys.learn().await?;
        key = known();
    }
    let Some(key) = key else { return Ok(None) };
    let Ok(plain) = envelope::open(&key, &login_place(&row), sealed) else { return Ok(None) };
    Ok(std::str::from_utf8(&plain).ok().and_then(CodeVerifier::parse))
}
