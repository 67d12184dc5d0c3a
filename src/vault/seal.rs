//! Sealing and opening at the right place: table, column, person, row and version.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::crypto::envelope::{self, OpenError, Place};
use crate::crypto::keys::SealingKey;
use crate::crypto::{Key, SecretString};
use crate::domain::{DataKeyId, LinkId, UserId};
use crate::failure::Failure;
use crate::store::{DataKeyRow, SealedLink};

use super::Vault;

/// The sealed columns of a link.
#[derive(Clone, Copy)]
pub(super) enum Column {
    Access,
    Refresh,
    /// Of an app that is the person's own.
    ClientSecret,
    /// Of the same.
    ClientId,
}

/// Each sealed column of a link, with what is in it.
pub(super) fn sealed_columns(link: &SealedLink) -> [(Column, Option<&[u8]>); 4] {
    [
        (Column::Access, link.access_token.as_deref()),
        (Column::Refresh, link.refresh_token.as_deref()),
        (Column::ClientSecret, link.own_client_secret.as_deref()),
        (Column::ClientId, link.sealed_client_id.as_deref()),
    ]
}

/// What a column is sealed for: tokens for their version, an app's id and secret for the time at which it came.
pub(super) fn version_of(column: Column, link: &SealedLink) -> i64 {
    match column {
        Column::Access | Column::Refresh => link.token_version,
        Column::ClientSecret | Column::ClientId => link.own_app_since.unwrap_or_default(),
    }
}

pub(super) const fn place<'a>(
    column: Column,
    user: &'a UserIdText,
    link: &'a str,
    version: i64,
) -> Place<'a> {
    let column = match column {
        Column::Access => "access_token",
        Column::Refresh => "refresh_token",
        Column::ClientSecret => "own_client_secret",
        Column::ClientId => "sealed_client_id",
    };
    Place { table: "linked_accounts", column, user, row: link, version }
}

type UserIdText = str;

impl Vault {
    pub(super) fn seal(
        &self,
        key: &SealingKey,
        (column, user, link, version): (Column, &UserId, &LinkId, i64),
        secret: &str,
    ) -> Vec<u8> {
        let place = place(column, user.as_str(), link.as_str(), version);
        envelope::seal(key, &place, secret.as_bytes(), &self.0.dice.bytes())
    }

    pub(super) fn open(
        &self,
        key: &SealingKey,
        (column, user, link, version): (Column, &UserId, &LinkId, i64),
        sealed: &[u8],
    ) -> Result<SecretString, OpenError> {
        let plain = envelope::open(key, &place(column, user.as_str(), link.as_str(), version), sealed)?;
        std::str::from_utf8(&plain).map(SecretString::new).map_err(|_| OpenError::Format)
    }

    /// A person's data key, unwrapped. `Ok(Err(_))` where the wrapped key does not open.
    pub(super) async fn data_key(
        &self,
        id: &DataKeyId,
        user: &UserId,
    ) -> Result<Result<Arc<SealingKey>, OpenError>, Failure> {
        if let Some(key) = self.0.keys.get(id) {
            return Ok(Ok(key));
        }
        let unwrapped = self.0.ring.data_key(id, user).await?.map(Arc::new);
        if let Ok(key) = &unwrapped {
            self.0.keys.insert(id.clone(), key.clone());
        }
        Ok(unwrapped)
    }

    /// A fresh data key for a person, with the row to store it by.
    pub(super) fn mint_data_key(&self, user: &UserId) -> (Arc<SealingKey>, DataKeyRow) {
        let id = DataKeyId::mint(self.0.dice.bytes());
        let bytes = Zeroizing::new(self.0.dice.bytes::<32>());
        let key = SealingKey::new(id.key_id(), Key::new(*bytes));
        let root = self.0.ring.active();
        let wrapped = root.wrap(&key, user.as_str(), &self.0.dice.bytes());
        let master_key_id = root.id().to_string();
        (Arc::new(key), DataKeyRow { id, user: user.clone(), master_key_id, wrapped })
    }
}
