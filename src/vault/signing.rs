//! The signing keys of API keys: sealed under their person's data key, opened to check a signature.
//!
//! Functions, not the [`super::Vault`]: a command that adds a key has a database and a master key, and no upstream.

use crate::ambient::Dice;
use crate::crypto::envelope::{self, OpenError, Place};
use crate::crypto::keys::SealingKey;
use crate::crypto::token::Token;
use crate::crypto::{Key, keys};
use crate::domain::{ApiKeyId, DataKeyId, UserId};
use crate::failure::Failure;
use crate::store::{KeyGrant, SealedApiKey, Store};

use super::KeyRing;

/// Seals what the holder of `key` will sign with, for its row; `None` for a person without a data key.
///
/// # Errors
/// Where the database fails, or the data key does not open under this master key.
pub async fn seal_signing_key(
    store: &Store,
    (ring, dice): (&KeyRing, &Dice),
    (user, id): (&UserId, &ApiKeyId),
    key: &Token,
) -> Result<Option<(DataKeyId, Vec<u8>)>, Failure> {
    let Some(row) = store.active_data_key(user).await? else { return Ok(None) };
    let data_key =
        ring.unwrap(&row, user).await?.map_err(|_| Failure::new("a person's data key does not open"))?;
    let signing = keys::signing_key(key.expose());
    let place = place(user.as_str(), id.as_str());
    Ok(Some((row.id, envelope::seal(&data_key, &place, signing.expose(), &dice.bytes()))))
}

/// What signatures of this key are checked with; `None` where it cannot sign.
///
/// # Errors
/// Where the database fails, or what is stored does not open: it was changed or moved.
pub async fn open_signing_key(
    store: &Store,
    ring: &KeyRing,
    grant: &KeyGrant,
) -> Result<Option<Key>, Failure> {
    let Some((data_key, sealed)) = &grant.signing else { return Ok(None) };
    let Some(row) = store.data_key(data_key).await? else { return Err(unopened()) };
    if row.user != grant.user {
        return Err(unopened());
    }
    let place = place(grant.user.as_str(), grant.id.as_str());
    let key = ring.unwrap(&row, &grant.user).await?.map_err(|_| unopened())?;
    let opened = envelope::open(&key, &place, sealed).map_err(|_| unopened())?;
    let bytes = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| unopened())?;
    Ok(Some(Key::new(bytes)))
}

/// The signing key in a row, opened with a data key.
pub(super) fn open_sealed(key: &SealingKey, row: &SealedApiKey) -> Result<Key, OpenError> {
    let opened = envelope::open(key, &place(&row.user_id, &row.id), &row.signing_key)?;
    <[u8; 32]>::try_from(opened.as_slice()).map(Key::new).map_err(|_| OpenError::Format)
}

/// The same signing key under another data key.
pub(super) fn seal_anew(key: &SealingKey, row: &SealedApiKey, signing: &Key, dice: &Dice) -> Vec<u8> {
    envelope::seal(key, &place(&row.user_id, &row.id), signing.expose(), &dice.bytes())
}

const fn place<'a>(user: &'a str, row: &'a str) -> Place<'a> {
    Place { table: "api_keys", column: "signing_key", user, row, version: 0 }
}

fn unopened() -> Failure {
    Failure::new("an API key's signing key does not open")
}
