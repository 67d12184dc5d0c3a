//! The sealed tokens of linked accounts: each change for the version that was read, one server refreshing at a time.

use crate::ambient::Timestamp;
use crate::domain::{AppId, DataKeyId, LinkId, UserId};
use crate::failure::Failure;

use super::{
    OwnClientId, Recorded, SealedOwnApp, Store, corrupt, count_seals, reading, record, transaction, writing,
};

/// The sealed tokens of a link.
#[derive(Clone, Debug)]
pub struct LinkTokens {
    /// Whose.
    pub user: UserId,
    /// Under which name their share of a quota is counted: of their first Spotify account, also after they were deleted
    /// and came back.
    pub payer: String,
    /// Through which app.
    pub app: AppId,
    /// The app, where it is the person's own.
    pub own: Option<SealedOwnApp>,
    /// The key that they are sealed under.
    pub data_key: DataKeyId,
    /// The version that they are sealed for.
    pub version: i64,
    /// The access token's envelope.
    pub access: Option<Vec<u8>>,
    /// When the access token dies.
    pub access_expires_at: Timestamp,
    /// The refresh token's envelope.
    pub refresh: Option<Vec<u8>>,
    /// The granted Spotify scopes.
    pub scope: String,
    /// Why it needs a new login, where it does.
    pub reconnect_reason: Option<String>,
    /// Whether Spotify said last that the list of its app does not name it.
    pub unlisted: bool,
}

impl Store {
    /// The sealed tokens of a link.
    pub async fn link_tokens(&self, id: &LinkId) -> Result<Option<LinkTokens>, Failure> {
        let sql = "SELECT l.user_id, COALESCE(u.payer, u.id) AS payer, l.app_id, l.data_key_id, l.token_version, l.access_token,
                l.access_expires_at, l.refresh_token, l.scope, l.reconnect_reason, l.own_client_id,
                l.sealed_client_id, l.own_client_secret, l.own_app_since, l.unlisted_since
            FROM linked_accounts l JOIN users u ON u.id = l.user_id WHERE l.id = $1";
        let row: Option<TokensRow> =
            reading!(self, pool => sqlx::query_as(sql).bind(id.as_str()).fetch_optional(pool).await)?;
        row.map(TokensRow::parse).transpose()
    }

    /// Whether an account is linked still.
    pub async fn is_linked(&self, id: &LinkId) -> Result<bool, Failure> {
        let sql = "SELECT COUNT(*) FROM linked_accounts WHERE id = $1";
        let count: i64 =
            reading!(self, pool => sqlx::query_scalar(sql).bind(id.as_str()).fetch_one(pool).await)?;
        Ok(count > 0)
    }

    /// Takes the right to refresh a link's tokens until `until`; `false` where another holder has it or the tokens
    /// have changed since `version`.
    pub async fn lease_refresh(
        &self,
        id: &LinkId,
        version: i64,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Failure> {
        let sql = "UPDATE linked_accounts SET lease_holder = $3, lease_until = $5
            WHERE id = $1 AND token_version = $2 AND (lease_until IS NULL OR lease_until <= $4 OR lease_holder = $3)";
        let taken = writing!(self, pool => sqlx::query(sql)
            .bind(id.as_str()).bind(version).bind(holder).bind(now.secs()).bind(until.secs())
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(taken == 1)
    }

    /// Gives the right back where nothing changed.
    pub async fn release_refresh(&self, id: &LinkId, holder: &str) -> Result<(), Failure> {
        let sql = "UPDATE linked_accounts SET lease_holder = NULL, lease_until = NULL WHERE id = $1 AND lease_holder = $2";
        writing!(self, pool =>
            sqlx::query(sql).bind(id.as_str()).bind(holder).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Saves refreshed tokens, sealed for `version + 1` under the data key that was read; `false` where the link
    /// changed, went, or has got another data key meanwhile.
    pub async fn save_refreshed(
        &self,
        id: &LinkId,
        version: i64,
        tokens: &LinkTokens,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let sql = "UPDATE linked_accounts SET token_version = token_version + 1, access_token = $3,
                access_expires_at = $4, refresh_token = $5, scope = $6, lease_holder = NULL, lease_until = NULL
            WHERE id = $1 AND token_version = $2 AND data_key_id = $7";
        let saved = transaction!(self, tx => {
            // The key before the link: the order in which a rotation locks them.
            count_seals!(tx, tokens.data_key, 1 + i64::from(tokens.refresh.is_some()));
            let saved = sqlx::query(sql)
                .bind(id.as_str()).bind(version).bind(tokens.access.as_deref())
                .bind(tokens.access_expires_at.secs()).bind(tokens.refresh.as_deref()).bind(&tokens.scope)
                .bind(tokens.data_key.as_str())
                .execute(&mut *tx).await?.rows_affected() == 1;
            if !saved {
                return Ok(false);
            }
            record!(tx, events);
            true
        });
        Ok(saved)
    }

    /// Keeps since when Spotify says that the list of its app does not name an account, or that it answers for it again.
    pub async fn mark_unlisted(&self, id: &LinkId, since: Option<Timestamp>) -> Result<(), Failure> {
        let sql = "UPDATE linked_accounts SET unlisted_since = $2 WHERE id = $1";
        let since = since.map(Timestamp::secs);
        writing!(self, pool =>
            sqlx::query(sql).bind(id.as_str()).bind(since).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Marks a link as needing a new login, and forgets its dead tokens.
    pub async fn mark_reconnect(
        &self,
        id: &LinkId,
        version: i64,
        reason: &str,
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let sql = "UPDATE linked_accounts SET reconnect_since = $3, reconnect_reason = $4,
                access_token = NULL, refresh_token = NULL, token_version = token_version + 1,
                lease_holder = NULL, lease_until = NULL
            WHERE id = $1 AND token_version = $2";
        let marked = transaction!(self, tx => {
            let marked = sqlx::query(sql)
                .bind(id.as_str()).bind(version).bind(now.secs()).bind(reason)
                .execute(&mut *tx).await?.rows_affected() == 1;
            if marked {
                record!(tx, events);
            }
            marked
        });
        Ok(marked)
    }
}

#[derive(sqlx::FromRow)]
struct TokensRow {
    user_id: String,
    payer: String,
    app_id: String,
    data_key_id: String,
    token_version: i64,
    access_token: Option<Vec<u8>>,
    access_expires_at: i64,
    refresh_token: Option<Vec<u8>>,
    scope: String,
    reconnect_reason: Option<String>,
    own_client_id: Option<String>,
    sealed_client_id: Option<Vec<u8>>,
    own_client_secret: Option<Vec<u8>>,
    own_app_since: Option<i64>,
    unlisted_since: Option<i64>,
}

impl TokensRow {
    fn parse(self) -> Result<LinkTokens, Failure> {
        let sealed = self.sealed_client_id.map(OwnClientId::Sealed);
        let own_client_id = sealed.or(self.own_client_id.map(OwnClientId::Unsealed));
        Ok(LinkTokens {
            user: self.user_id.parse().map_err(corrupt)?,
            payer: self.payer,
            app: self.app_id.parse().map_err(corrupt)?,
            own: own_client_id.map(|client_id| SealedOwnApp {
                client_id,
                client_secret: self.own_client_secret,
                since: self.own_app_since.unwrap_or_default(),
            }),
            data_key: self.data_key_id.parse().map_err(corrupt)?,
            version: self.token_version,
            access: self.access_token,
            access_expires_at: Timestamp::from_secs(self.access_expires_at),
            refresh: self.refresh_token,
            scope: self.scope,
            reconnect_reason: self.reconnect_reason,
            unlisted: self.unlisted_since.is_some(),
        })
    }
}
