//! Whether what the vault sealed opens: for who checks a copy of a database. The values themselves go nowhere.

use crate::crypto::envelope::{self, OpenError, Place};
use crate::crypto::keys::SealingKey;
use crate::store::{SealedApiKey, SealedLink, WholeChange};

use super::seal::{place, sealed_columns, version_of};
use super::{changes, signing};

/// Whether the access token, the refresh token, and secret and client id of the person's own app open with a data key;
/// `None` for one that is not there.
pub fn link_opens(key: &SealingKey, link: &SealedLink) -> [Option<Result<(), OpenError>>; 4] {
    sealed_columns(link).map(|(column, sealed)| {
        let place = place(column, &link.user_id, &link.id, version_of(column, link));
        sealed.map(|sealed| envelope::open(key, &place, sealed).map(drop))
    })
}

/// Whether the signing key of an API key opens with a data key.
///
/// # Errors
/// Why it does not.
pub fn api_key_opens(key: &SealingKey, row: &SealedApiKey) -> Result<(), OpenError> {
    signing::open_sealed(key, row).map(drop)
}

/// Whether a change opens with a data key: its own key, and with that its summary and its pre-image. The latter two are
/// as the first, where that does not.
pub fn change_opens(key: &SealingKey, row: &WholeChange) -> [Result<(), OpenError>; 3] {
    changes::opens(key, row)
}

/// Whether the verifier of a login in progress opens; `state` is the hash of its state.
///
/// # Errors
/// Why it does not.
pub fn login_opens(key: &SealingKey, state: &[u8], verifier: &[u8]) -> Result<(), OpenError> {
    envelope::open(key, &login_place(&login_row(state)), verifier).map(drop)
}

/// Where the verifier of a login in progress is sealed.
pub const fn login_place(row: &str) -> Place<'_> {
    Place { table: "logins", column: "verifier", user: "", row, version: 0 }
}

/// How a login's row is named there: the hash of its state in hexadecimal.
pub fn login_row(state: &[u8]) -> String {
    state.iter().map(|byte| format!("{byte:02x}")).collect()
}
