//! People's own Spotify apps: client id and secret sealed with the account that is linked through one. The client id is a
//! security code by Spotify's terms: the database finds such an app by a keyed name, of which the last digits are shown.

use super::seal::Column;
use super::{CallError, KeyRing, Vault};
use crate::ambient::Timestamp;
use crate::crypto::SecretString;
use crate::crypto::keys::SealingKey;
use crate::domain::own_app::{OwnApp, shortened};
use crate::domain::{DataKeyId, KeyPurpose, LinkId, UserId};
use crate::failure::Failure;
use crate::spotify::AppCredentials;
use crate::store::{BroughtApp, LinkTokens, OWN_NAME, OwnClientId, SealedOwnApp, UnsealedLink};

/// What an app that is a person's own is found by: 128 bits of an HMAC under a key of the server's own, and the digits that
/// may be shown.
///
/// # Errors
/// Never with a ring that was opened.
pub(super) fn own_name(ring: &KeyRing, client_id: &str) -> Result<String, Failure> {
    let key = ring.own(KeyPurpose::ClientSecrets)?;
    let hash = key.authenticate(&[b"own app", client_id.as_bytes(), b""]);
    let hash: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{OWN_NAME}{hash}:{}", shortened(client_id).trim_start_matches('…')))
}

impl Vault {
    /// A person's own app as it is stored with an account.
    pub(super) fn brought(
        &self,
        own: &OwnApp,
        (user, link, key): (&UserId, &LinkId, &SealingKey),
        now: Timestamp,
    ) -> Result<BroughtApp, Failure> {
        let since = now.secs();
        let at = |column| (column, user, link, since);
        let secret = own.client_secret.as_ref();
        Ok(BroughtApp {
            name: own_name(&self.0.ring, &own.client_id)?,
            client_id: own.client_id.clone(),
            sealed_id: self.seal(key, at(Column::ClientId), &own.client_id),
            client_secret: secret.map(|secret| self.seal(key, at(Column::ClientSecret), secret.expose())),
            since,
        })
    }

    /// `None` where the link changed meanwhile.
    pub(super) async fn own_credentials(
        &self,
        link: &LinkId,
        tokens: &LinkTokens,
        own: &SealedOwnApp,
    ) -> Result<Option<AppCredentials>, CallError> {
        let Some(client_id) = self.own_client_id(link, tokens, own).await? else { return Ok(None) };
        let client_secret = match own.client_secret.as_deref() {
            Some(sealed) => match self.opened_column(link, tokens, Column::ClientSecret, sealed).await? {
                Some(secret) => Some(secret),
                None => return Ok(None),
            },
            None => None,
        };
        Ok(Some(AppCredentials { client_id: client_id.expose().to_owned(), client_secret }))
    }

    async fn own_client_id(
        &self,
        link: &LinkId,
        tokens: &LinkTokens,
        own: &SealedOwnApp,
    ) -> Result<Option<SecretString>, CallError> {
        match &own.client_id {
            OwnClientId::Sealed(sealed) => self.opened_column(link, tokens, Column::ClientId, sealed).await,
            OwnClientId::Unsealed(id) => Ok(Some(SecretString::new(id))),
        }
    }

    /// The person's own app that an account is linked through; `None` where it is not through one that may be used, or
    /// its client id does not open any more.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn own_app(&self, link: &LinkId) -> Result<Option<OwnApp>, Failure> {
        let Some(tokens) = self.0.store.link_tokens(link).await? else { return Ok(None) };
        let Some(own) = tokens.own.as_ref().filter(|_| self.0.apps.own_ones_may_come()) else {
            return Ok(None);
        };
        match self.own_credentials(link, &tokens, own).await {
            Ok(Some(AppCredentials { client_id, client_secret })) => {
                return Ok(Some(OwnApp { client_id, client_secret }));
            }
            Err(CallError::Failure(failure)) => return Err(failure),
            // What does not open was told to the trail; PKCE does without a secret.
            _ => {}
        }
        match self.own_client_id(link, &tokens, own).await {
            Ok(Some(id)) => Ok(Some(OwnApp { client_id: id.expose().to_owned(), client_secret: None })),
            Err(CallError::Failure(failure)) => Err(failure),
            _ => Ok(None),
        }
    }

    /// Seals what a version before this one wrote of people's own apps in the clear: all of it at once, so that a start
    /// which is killed leaves the next one nothing half done. Where a person's data key does not open, that one stays as
    /// it is until they connect the account again.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn seal_own_apps(&self) -> Result<(), Failure> {
        let (links, apps) = self.0.store.unsealed_own_apps().await?;
        if links.is_empty() && apps.is_empty() {
            return Ok(());
        }
        let mut sealed = Vec::with_capacity(links.len());
        for link in links {
            match self.sealed_anew(&link).await? {
                Some(envelope) => sealed.push((link, envelope)),
                None => {
                    tracing::warn!(link = link.id, "the client id of a person's own app cannot be sealed")
                }
            }
        }
        let named = |app: crate::store::UnnamedApp| {
            let name = own_name(&self.0.ring, &app.client_id)?;
            Ok((app, name))
        };
        let named = apps.into_iter().map(named).collect::<Result<Vec<_>, Failure>>()?;
        self.0.store.seal_own_apps(&sealed, &named).await?;
        tracing::info!(accounts = sealed.len(), "the client ids of people's own apps are sealed");
        Ok(())
    }

    async fn sealed_anew(&self, link: &UnsealedLink) -> Result<Option<Vec<u8>>, Failure> {
        let ids = (
            link.id.parse::<LinkId>(),
            link.user_id.parse::<UserId>(),
            link.data_key_id.parse::<DataKeyId>(),
        );
        let (Ok(id), Ok(user), Ok(data_key)) = ids else { return Ok(None) };
        let Ok(key) = self.data_key(&data_key, &user).await? else { return Ok(None) };
        let at = (Column::ClientId, &user, &id, link.own_app_since);
        Ok(Some(self.seal(&key, at, &link.own_client_id)))
    }
}
