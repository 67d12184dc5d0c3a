//! Grants: what a person gave to a client, and the tokens of that family.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::code::TRIES;
use crate::domain::resource::Resource;
use crate::domain::{ClientId, GrantId, LinkId, ScopeSet, UserId};
use crate::failure::Failure;

use super::{Recorded, Store, corrupt, end_cached, lock_person, reading, record, transaction, writing};

/// A pair of tokens to store.
#[derive(Clone, Debug)]
pub struct NewTokens {
    /// Of the access token.
    pub access: TokenHash,
    /// When the access token dies.
    pub access_expires_at: Timestamp,
    /// Of the refresh token, for clients that refresh.
    pub refresh: Option<TokenHash>,
    /// When the refresh token dies unused.
    pub refresh_expires_at: Timestamp,
    /// What the access token allows; `None`: all that the grant holds.
    pub scopes: Option<ScopeSet>,
    /// Now.
    pub now: Timestamp,
}

/// What an access token stands for.
#[derive(Clone, Debug)]
pub struct AccessGrant {
    /// Whose.
    pub user: UserId,
    /// Which client's.
    pub client: ClientId,
    /// The family.
    pub grant: GrantId,
    /// What it allows.
    pub scopes: ScopeSet,
    /// The person's primary Spotify account, where one is linked.
    pub link: Option<LinkId>,
    /// When it dies.
    pub expires_at: Timestamp,
    /// Whether it, its grant or its person has been ended.
    pub ended: bool,
}

/// A client that a person has connected.
#[derive(Clone, Debug)]
pub struct ConnectedClient {
    /// The grant.
    pub grant: GrantId,
    /// The client.
    pub client: ClientId,
    /// The name that the client claims: untrusted text.
    pub name: String,
    /// What it may do.
    pub scopes: ScopeSet,
    /// Where its codes went.
    pub redirect_uri: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Last use of its refresh token.
    pub last_used_at: Timestamp,
}

impl Store {
    /// Marks a code as used and issues the first tokens of a new grant; `false` where another request was first.
    pub async fn redeem_code(
        &self,
        code: TokenHash,
        grant: &GrantId,
        grant_expires_at: Timestamp,
        tokens: &NewTokens,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let lock = "UPDATE users SET last_seen_at = last_seen_at
            WHERE id = (SELECT user_id FROM codes WHERE hash = $1) AND disabled_at IS NULL";
        let take = "UPDATE codes SET used_at = $2, grant_id = $3
            WHERE hash = $1 AND used_at IS NULL AND failures < $4 AND expires_at > $2";
        let found = "INSERT INTO grants
            (id, user_id, client_id, scope, resource, redirect_uri, created_at, last_used_at, expires_at)
            SELECT $2, user_id, client_id, scope, resource, redirect_uri, $3, $3, $4 FROM codes WHERE hash = $1";
        let won = transaction!(self, tx => {
            let person = sqlx::query(lock).bind(&code.as_bytes()[..]).execute(&mut *tx).await?;
            if person.rows_affected() == 0 {
                return Ok(false);
            }
            let taken = sqlx::query(take)
                .bind(&code.as_bytes()[..]).bind(tokens.now.secs()).bind(grant.as_str()).bind(TRIES)
                .execute(&mut *tx).await?;
            if taken.rows_affected() == 0 {
                return Ok(false);
            }
            sqlx::query(found)
                .bind(&code.as_bytes()[..]).bind(grant.as_str())
                .bind(tokens.now.secs()).bind(grant_expires_at.secs())
                .execute(&mut *tx).await?;
            insert_tokens!(tx, grant, tokens);
            record!(tx, events);
            true
        });
        Ok(won)
    }

    /// What an access token stands for, dead or alive; `None` where it is unknown.
    pub async fn access_grant(&self, hash: TokenHash) -> Result<Option<AccessGrant>, Failure> {
        let sql = "SELECT g.user_id, g.client_id, g.id AS grant_id, COALESCE(t.scope, g.scope) AS scope, l.id AS link_id, t.expires_at,
                COALESCE(t.revoked_at, g.revoked_at, u.disabled_at) AS ended_at
            FROM access_tokens t
            JOIN grants g ON g.id = t.grant_id
            JOIN users u ON u.id = g.user_id
            LEFT JOIN linked_accounts l ON l.user_id = g.user_id AND l.primary_since IS NOT NULL
            WHERE t.hash = $1";
        let row: Option<AccessRow> = reading!(self, pool => sqlx::query_as(sql).bind(&hash.as_bytes()[..]).fetch_optional(pool).await)?;
        row.map(AccessRow::parse).transpose()
    }

    /// Ends a grant and with it all its tokens; `false` where it had ended or is not this person's.
    pub async fn revoke_grant(
        &self,
        user: &UserId,
        grant: &GrantId,
        because: &'static str,
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let revoke = "UPDATE grants SET revoked_at = $3, revoked_because = $4
            WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL
            RETURNING client_id, redirect_uri";
        let forget = "DELETE FROM consents WHERE user_id = $1 AND client_id = $2 AND redirect_uri = $3";
        let ended = transaction!(self, tx => {
            if !lock_person!(tx, user) {
                return Ok(false);
            }
            let row: Option<(String, String)> = sqlx::query_as(revoke)
                .bind(grant.as_str()).bind(user.as_str()).bind(now.secs()).bind(because)
                .fetch_optional(&mut *tx).await?;
            if let Some((client, redirect_uri)) = &row {
                // The client has to ask again: what was withdrawn is not remembered.
                sqlx::query(forget)
                    .bind(user.as_str()).bind(client).bind(redirect_uri)
                    .execute(&mut *tx).await?;
                // A code that was issued but not redeemed yet goes with it.
                sqlx::query("DELETE FROM codes WHERE user_id = $1 AND client_id = $2 AND used_at IS NULL")
                    .bind(user.as_str())
                    .bind(client)
                    .execute(&mut *tx)
                    .await?;
                end_cached!(tx);
                record!(tx, events);
            }
            row.is_some()
        });
        Ok(ended)
    }

    /// Ends one access token of a client's own (RFC 7009); its grant lives on. Nothing happens, and nothing is
    /// recorded, where it is unknown or has ended.
    pub async fn revoke_access_token(
        &self,
        hash: TokenHash,
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<(), Failure> {
        let sql = "UPDATE access_tokens SET revoked_at = $2 WHERE hash = $1 AND revoked_at IS NULL";
        transaction!(self, tx => {
            let ended = sqlx::query(sql).bind(&hash.as_bytes()[..]).bind(now.secs()).execute(&mut *tx).await?;
            if ended.rows_affected() == 1 {
                end_cached!(tx);
                record!(tx, events);
            }
        });
        Ok(())
    }

    /// Notes that a grant was used.
    pub async fn touch_grant(&self, grant: &GrantId, now: Timestamp) -> Result<(), Failure> {
        let sql = "UPDATE grants SET last_used_at = $2 WHERE id = $1";
        writing!(self, pool =>
            sqlx::query(sql).bind(grant.as_str()).bind(now.secs()).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// The clients that a person has connected, last used first; at most 200.
    pub async fn connected_clients(
        &self,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Vec<ConnectedClient>, Failure> {
        let sql = "SELECT g.id, g.client_id, c.name, g.scope, g.redirect_uri, g.created_at, g.last_used_at
            FROM grants g LEFT JOIN clients c ON c.id = g.client_id
            WHERE g.user_id = $1 AND g.revoked_at IS NULL AND g.expires_at > $2
            ORDER BY g.last_used_at DESC, g.id LIMIT 200";
        let rows: Vec<ConnectedRow> = reading!(self, pool =>
            sqlx::query_as(sql).bind(user.as_str()).bind(now.secs()).fetch_all(pool).await)?;
        rows.into_iter()
            .map(|(grant, client, name, scope, redirect_uri, created_at, last_used_at)| {
                Ok(ConnectedClient {
                    grant: grant.parse().map_err(corrupt)?,
                    name: name.unwrap_or_else(|| client.clone()),
                    client: ClientId::parse(&client).ok_or(()).map_err(corrupt)?,
                    scopes: ScopeSet::known(&scope),
                    redirect_uri,
                    created_at: Timestamp::from_secs(created_at),
                    last_used_at: Timestamp::from_secs(last_used_at),
                })
            })
            .collect()
    }

    /// The resource of a grant.
    pub async fn grant_resource(&self, grant: &GrantId) -> Result<Option<Resource>, Failure> {
        let sql = "SELECT resource FROM grants WHERE id = $1";
        let path: Option<String> =
            reading!(self, pool => sqlx::query_scalar(sql).bind(grant.as_str()).fetch_optional(pool).await)?;
        path.map(|path| super::codes::resource(&path)).transpose()
    }
}

/// Grant, client, its name, scope, redirect URI, since, last use.
type ConnectedRow = (String, String, Option<String>, String, String, i64, i64);

/// Inserts a pair of tokens into the running transaction.
macro_rules! insert_tokens {
    ($tx:ident, $grant:expr, $tokens:expr) => {
        sqlx::query(
            "INSERT INTO access_tokens (hash, grant_id, issued_at, expires_at, scope) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&$tokens.access.as_bytes()[..])
        .bind($grant.as_str())
        .bind($tokens.now.secs())
        .bind($tokens.access_expires_at.secs())
        .bind($tokens.scopes.map(|scopes| scopes.to_string()))
        .execute(&mut *$tx)
        .await?;
        if let Some(refresh) = &$tokens.refresh {
            sqlx::query(
                "INSERT INTO refresh_tokens (hash, grant_id, issued_at, expires_at, grace_uses)
                VALUES ($1, $2, $3, $4, 0)",
            )
            .bind(&refresh.as_bytes()[..])
            .bind($grant.as_str())
            .bind($tokens.now.secs())
            .bind($tokens.refresh_expires_at.secs())
            .execute(&mut *$tx)
            .await?;
        }
    };
}

pub(super) use insert_tokens;

#[derive(sqlx::FromRow)]
struct AccessRow {
    user_id: String,
    client_id: String,
    grant_id: String,
    scope: String,
    link_id: Option<String>,
    expires_at: i64,
    ended_at: Option<i64>,
}

impl AccessRow {
    fn parse(self) -> Result<AccessGrant, Failure> {
        Ok(AccessGrant {
            user: self.user_id.parse().map_err(corrupt)?,
            client: ClientId::parse(&self.client_id).ok_or(()).map_err(corrupt)?,
            grant: self.grant_id.parse().map_err(corrupt)?,
            scopes: ScopeSet::known(&self.scope),
            link: self.link_id.map(|id| id.parse().map_err(corrupt)).transpose()?,
            expires_at: Timestamp::from_secs(self.expires_at),
            ended: self.ended_at.is_some(),
        })
    }
}
