//! What living tokens stand for, as their own client may be told (RFC 7662). One statement finds a token and judges
//! whose it is, so that a foreign one costs what an unknown one does. Never changes anything.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::resource::Resource;
use crate::domain::{ClientId, ScopeSet, UserId};
use crate::failure::Failure;

use super::{Store, codes, corrupt, reading};

/// A living token.
#[derive(Clone, Debug)]
pub struct TokenFacts {
    /// Whose.
    pub user: UserId,
    /// Which client's.
    pub client: ClientId,
    /// What it allows.
    pub scopes: ScopeSet,
    /// For which resource.
    pub resource: Resource,
    /// Since when.
    pub issued_at: Timestamp,
    /// When it dies, unless something ends it before.
    pub expires_at: Timestamp,
}

impl Store {
    /// An access token of this client that works now.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn access_token_facts(
        &self,
        hash: TokenHash,
        client: &ClientId,
        now: Timestamp,
    ) -> Result<Option<TokenFacts>, Failure> {
        let sql = "SELECT g.user_id, g.client_id, COALESCE(t.scope, g.scope) AS scope, g.resource, t.issued_at, t.expires_at
            FROM access_tokens t JOIN grants g ON g.id = t.grant_id JOIN users u ON u.id = g.user_id
            WHERE t.hash = $1 AND g.client_id = $2 AND t.expires_at > $3 AND t.revoked_at IS NULL
            AND g.revoked_at IS NULL AND u.disabled_at IS NULL";
        self.facts(sql, hash, client, now).await
    }

    /// A refresh token of this client that was not exchanged yet.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn refresh_token_facts(
        &self,
        hash: TokenHash,
        client: &ClientId,
        now: Timestamp,
    ) -> Result<Option<TokenFacts>, Failure> {
        let sql = "SELECT g.user_id, g.client_id, g.scope, g.resource, t.issued_at, t.expires_at
            FROM refresh_tokens t JOIN grants g ON g.id = t.grant_id JOIN users u ON u.id = g.user_id
            WHERE t.hash = $1 AND g.client_id = $2 AND t.expires_at > $3 AND t.rotated_at IS NULL
            AND g.revoked_at IS NULL AND g.expires_at > $3 AND u.disabled_at IS NULL";
        self.facts(sql, hash, client, now).await
    }

    async fn facts(
        &self,
        sql: &'static str,
        hash: TokenHash,
        client: &ClientId,
        now: Timestamp,
    ) -> Result<Option<TokenFacts>, Failure> {
        let row: Option<Row> = reading!(self, pool => sqlx::query_as(sql)
            .bind(&hash.as_bytes()[..]).bind(client.as_str()).bind(now.secs())
            .fetch_optional(pool).await)?;
        row.map(Row::parse).transpose()
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    user_id: String,
    client_id: String,
    scope: String,
    resource: String,
    issued_at: i64,
    expires_at: i64,
}

impl Row {
    fn parse(self) -> Result<TokenFacts, Failure> {
        Ok(TokenFacts {
            user: self.user_id.parse().map_err(corrupt)?,
            client: ClientId::parse(&self.client_id).ok_or(()).map_err(corrupt)?,
            scopes: ScopeSet::known(&self.scope),
            resource: codes::resource(&self.resource)?,
            issued_at: Timestamp::from_secs(self.issued_at),
            expires_at: Timestamp::from_secs(self.expires_at),
        })
    }
}
