//! Refreshing: once per link, whoever waits, on whichever server; what Spotify rotated is stored before it is used.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::crypto::SecretString;
use crate::domain::event::{Event, EventCode};
use crate::domain::{AppId, LinkId};
use crate::failure::Failure;
use crate::spotify::quota::Charge;
use crate::spotify::token::Holder;
use crate::spotify::{AccessToken, AccountsError, AppCredentials, QuotaMode, TokenSet};
use crate::store::{Link, LinkTokens};

use super::seal::Column;
use super::{APP_REMOVED, CallError, EARLY, OWN_APP_REFUSED, Opened, Vault};

/// How long one server may refresh a link before another takes over.
const LEASE: Duration = Duration::from_secs(30);

/// How often, and how far apart, a server looks whether another's refresh is done: longer than a lease together.
const LOOKS: u32 = 160;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Attempts to store a rotated token. Giving up costs the person a login, so the database gets half a minute.
const SAVES: u32 = 60;
const BETWEEN_SAVES: Duration = Duration::from_millis(500);

impl Vault {
    /// A usable access token; `refused` is the version that Spotify no longer accepts.
    pub(super) async fn refreshed(&self, link: &LinkId, refused: Option<i64>) -> Result<Opened, CallError> {
        // A task of its own: a caller that goes away must not take a rotated token with it.
        let (vault, link) = (self.clone(), link.clone());
        let task = tokio::spawn(async move { vault.refresh_once(&link, refused).await });
        task.await.unwrap_or_else(|_| Err(Failure::new("refreshing stopped").into()))
    }

    /// Whether Spotify still honours what was granted for a link; where it does not answer, that is taken for granted.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn is_honoured(&self, link: &Link) -> Result<bool, Failure> {
        match self.refreshed(&link.id, Some(link.token_version)).await {
            Err(CallError::ReconnectRequired(_) | CallError::Unlinked) => Ok(false),
            Err(CallError::Failure(failure)) => Err(failure),
            _ => Ok(true),
        }
    }

    async fn refresh_once(&self, link: &LinkId, refused: Option<i64>) -> Result<Opened, CallError> {
        let _turn = self.stripe(link).lock().await;
        for _ in 0..LOOKS {
            let Some(tokens) = self.0.store.link_tokens(link).await? else { return Err(CallError::Unlinked) };
            if let Some(reason) = tokens.reconnect_reason {
                return Err(CallError::ReconnectRequired(reason));
            }
            // Not kept: the operator may put it back.
            if !self.0.apps.in_use(&tokens.app, tokens.own.is_some()) {
                return Err(CallError::ReconnectRequired(APP_REMOVED.to_owned()));
            }
            if let Some(opened) = self.still_good(link, &tokens, refused).await? {
                return Ok(opened);
            }
            let now = self.0.clock.now();
            let leased = self
                .0
                .store
                .lease_refresh(link, tokens.version, &self.0.holder, now, now.plus(LEASE))
                .await?;
            if leased && let Some(opened) = self.refresh_at_spotify(link, &tokens).await? {
                return Ok(opened);
            }
            // Another server is at it, or changed the link meanwhile.
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Err(CallError::AccountsUnavailable { retry_after: None })
    }

    fn stripe(&self, link: &LinkId) -> &Mutex<()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(link);
        let at = usize::try_from(hash).unwrap_or_default() % self.0.stripes.len();
        &self.0.stripes[at]
    }

    /// The stored token, where it lives long enough and is not the refused one.
    async fn still_good(
        &self,
        link: &LinkId,
        tokens: &LinkTokens,
        refused: Option<i64>,
    ) -> Result<Option<Opened>, CallError> {
        let alive = tokens.access_expires_at > self.0.clock.now().plus(EARLY);
        let Some(sealed) = tokens.access.as_deref().filter(|_| alive && refused != Some(tokens.version))
        else {
            return Ok(None);
        };
        let Some(text) = self.opened_column(link, tokens, Column::Access, sealed).await? else {
            return Ok(None);
        };
        let Some(token) = AccessToken::parse(text.expose()) else {
            return Err(self.unreadable(link, "the stored access token is not a token").await);
        };
        let token = self.of_app(token, tokens).held_by(holder(link, tokens));
        let (person, expires_at) = (tokens.user.clone(), tokens.access_expires_at);
        let opened = Opened { person, token, version: tokens.version, expires_at, unlisted: tokens.unlisted };
        self.0.open.insert(link.clone(), opened.clone());
        Ok(Some(opened))
    }

    /// What a column holds; `None` where it was sealed anew since it was read, so that it has to be read again.
    pub(super) async fn opened_column(
        &self,
        link: &LinkId,
        tokens: &LinkTokens,
        column: Column,
        sealed: &[u8],
    ) -> Result<Option<SecretString>, CallError> {
        let version = match (column, &tokens.own) {
            (Column::ClientSecret | Column::ClientId, Some(own)) => own.since,
            _ => tokens.version,
        };
        let opened = match self.data_key(&tokens.data_key, &tokens.user).await? {
            Ok(key) => self.open(&key, (column, &tokens.user, link, version), sealed),
            Err(error) => Err(error),
        };
        match opened {
            Ok(text) => Ok(Some(text)),
            Err(error) => match self.0.store.link_tokens(link).await? {
                Some(now) if now.data_key == tokens.data_key && now.version == tokens.version => {
                    Err(self.unreadable(link, &error.to_string()).await)
                }
                _ => Ok(None),
            },
        }
    }

    /// An access token with what is known of its app.
    fn of_app(&self, token: AccessToken, tokens: &LinkTokens) -> AccessToken {
        let mode = self.0.apps.get(&tokens.app).map_or(QuotaMode::Development, |app| app.quota);
        token.charged_to(self.charge(tokens)).in_mode(mode)
    }

    /// Whose quota the calls of a link use: that of the developer account of the operator's app; a person's own app
    /// counts for itself. With extended quota there is none by the day.
    fn charge(&self, tokens: &LinkTokens) -> Option<Charge> {
        let pool = self.pool_of(&tokens.app)?;
        Some(Charge { pool, payer: tokens.payer.as_str().into() })
    }

    /// The developer account of an app, as quotas are counted; `None`: they are not.
    pub fn pool_of(&self, app: &AppId) -> Option<Arc<str>> {
        match self.0.apps.get(app) {
            Some(app) if app.quota == QuotaMode::Extended => None,
            Some(app) => Some(app.developer),
            None => Some(app.as_str().into()),
        }
    }

    /// With the lease held: asks Spotify. `None` where the link changed meanwhile.
    async fn refresh_at_spotify(
        &self,
        link: &LinkId,
        tokens: &LinkTokens,
    ) -> Result<Option<Opened>, CallError> {
        let Some(sealed) = tokens.refresh.as_deref() else {
            return self.needs_reconnect(link, tokens, "no_refresh_token").await;
        };
        let credentials = match (self.0.apps.get(&tokens.app), &tokens.own) {
            (Some(app), _) => app.credentials,
            (None, Some(own)) if self.0.apps.own_ones_may_come() => {
                let Some(own) = self.own_credentials(link, tokens, own).await? else { return Ok(None) };
                own
            }
            _ => return self.needs_reconnect(link, tokens, APP_REMOVED).await,
        };
        let Some(old) = self.opened_column(link, tokens, Column::Refresh, sealed).await? else {
            return Ok(None);
        };
        match self.asked(&tokens.app, &credentials, &old).await {
            Ok(set) => self.keep(link, tokens, &set, &old).await,
            Err(AccountsError::InvalidGrant(fault)) => {
                self.needs_reconnect(link, tokens, &fault.to_string()).await
            }
            // Nobody but its owner can mend their app; the operator's is mended, and the grant stands.
            Err(AccountsError::InvalidClient)
                if tokens.own.is_some() && self.0.apps.get(&tokens.app).is_none() =>
            {
                self.needs_reconnect(link, tokens, OWN_APP_REFUSED).await
            }
            Err(error) => {
                self.0.store.release_refresh(link, &self.0.holder).await?;
                tracing::warn!(link = link.as_str(), error = %error, "Spotify did not refresh a token");
                let retry_after = match error {
                    AccountsError::Temporary { retry_after, .. } => retry_after,
                    _ => None,
                };
                Err(CallError::AccountsUnavailable { retry_after })
            }
        }
    }

    /// Asks with the app's credentials, and once more with those that took their place meanwhile.
    async fn asked(
        &self,
        app: &AppId,
        credentials: &AppCredentials,
        old: &SecretString,
    ) -> Result<TokenSet, AccountsError> {
        let answer = self.0.accounts.refresh(credentials, old).await;
        match self.0.apps.get(app) {
            Some(now)
                if matches!(answer, Err(AccountsError::InvalidClient))
                    && now.credentials.client_secret != credentials.client_secret =>
            {
                self.0.accounts.refresh(&now.credentials, old).await
            }
            _ => answer,
        }
    }

    /// Stores what Spotify answered, before anything uses it.
    async fn keep(
        &self,
        link: &LinkId,
        tokens: &LinkTokens,
        set: &TokenSet,
        old: &SecretString,
    ) -> Result<Option<Opened>, CallError> {
        let mut tokens = tokens.clone();
        loop {
            if let Some(opened) = self.keep_under(link, &tokens, set, old).await? {
                return Ok(Some(opened));
            }
            // A rotation gave the link another data key, and nothing else: what Spotify answered still counts.
            match self.0.store.link_tokens(link).await? {
                Some(now) if now.version == tokens.version && now.data_key != tokens.data_key => tokens = now,
                _ => return Ok(None),
            }
        }
    }

    async fn keep_under(
        &self,
        link: &LinkId,
        tokens: &LinkTokens,
        set: &TokenSet,
        old: &SecretString,
    ) -> Result<Option<Opened>, CallError> {
        let version = tokens.version + 1;
        let (key, refresh) = match self.data_key(&tokens.data_key, &tokens.user).await? {
            Ok(key) => (key, set.refresh_token.as_ref().unwrap_or(old)),
            Err(error) => return Err(self.unreadable(link, &error.to_string()).await),
        };
        let now = self.0.clock.now();
        let fresh = LinkTokens {
            version,
            access: Some(self.seal(
                &key,
                (Column::Access, &tokens.user, link, version),
                set.access_token.expose(),
            )),
            access_expires_at: now.plus(set.expires_in),
            refresh: Some(self.seal(&key, (Column::Refresh, &tokens.user, link, version), refresh.expose())),
            scope: set.scope.clone().unwrap_or_else(|| tokens.scope.clone()),
            ..tokens.clone()
        };
        let event = Event::new(EventCode::TokenRefreshedUpstream)
            .by(&tokens.user)
            .link(link)
            .detail("rotated", if set.refresh_token.is_some() { "yes" } else { "no" });
        if !self.save_patiently(link, tokens.version, &fresh, event).await? {
            return Ok(None);
        }
        let token = self.of_app(set.access_token.clone(), tokens).held_by(holder(link, tokens));
        let (person, expires_at) = (fresh.user, fresh.access_expires_at);
        let opened = Opened { person, token, version, expires_at, unlisted: tokens.unlisted };
        self.0.open.insert(link.clone(), opened.clone());
        Ok(Some(opened))
    }

    async fn save_patiently(
        &self,
        link: &LinkId,
        version: i64,
        fresh: &LinkTokens,
        event: Event,
    ) -> Result<bool, Failure> {
        let events = [self.event(event)];
        let mut attempt = 1;
        loop {
            match self.0.store.save_refreshed(link, version, fresh, &events).await {
                Err(failure) if attempt < SAVES => {
                    tracing::error!(
                        link = link.as_str(),
                        attempt,
                        cause = failure.chain(),
                        "saving a refreshed token failed"
                    );
                    attempt += 1;
                    tokio::time::sleep(BETWEEN_SAVES).await;
                }
                // An attempt whose answer was lost may have been saved: then the version has moved to ours.
                Ok(false) if attempt > 1 => {
                    let stored = self.0.store.link_tokens(link).await?;
                    return Ok(stored.is_some_and(|stored| stored.access == fresh.access));
                }
                other => return other,
            }
        }
    }

    async fn needs_reconnect(
        &self,
        link: &LinkId,
        tokens: &LinkTokens,
        reason: &str,
    ) -> Result<Option<Opened>, CallError> {
        let event =
            Event::new(EventCode::ReconnectRequired).by(&tokens.user).link(link).detail("reason", reason);
        let now = self.0.clock.now();
        let marked =
            self.0.store.mark_reconnect(link, tokens.version, reason, now, &[self.event(event)]).await?;
        self.0.open.remove(link);
        if marked { Err(CallError::ReconnectRequired(reason.to_owned())) } else { Ok(None) }
    }
}

fn holder(link: &LinkId, tokens: &LinkTokens) -> Holder {
    Holder {
        account: link.as_str().into(),
        app: tokens.app.as_str().into(),
        person: tokens.user.as_str().into(),
    }
}
