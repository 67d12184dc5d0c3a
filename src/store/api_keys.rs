//! API keys, by hash of the key or by its public id.

use crate::ambient::Timestamp;
use crate::crypto::token::{Token, TokenHash};
use crate::domain::api_key::{SHOWN, Wanted};
use crate::domain::{ApiKeyId, DataKeyId, LinkId, ScopeSet, UserId};
use crate::failure::Failure;

use super::{
    Recorded, Store, corrupt, count_seals, data_key_is_active, end_cached, reading, record, transaction,
};

/// A key to add.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Its public id.
    pub id: ApiKeyId,
    /// Whose.
    pub user: UserId,
    /// What it is called.
    pub name: String,
    /// How it begins, for lists.
    pub prefix: String,
    /// Of the whole key.
    pub hash: TokenHash,
    /// What it allows.
    pub scopes: ScopeSet,
    /// The signing key's envelope and the data key that it is sealed under; without it the key cannot sign.
    pub signing: Option<(DataKeyId, Vec<u8>)>,
    /// Now.
    pub now: Timestamp,
    /// When it dies; `None`: never by itself.
    pub expires_at: Option<Timestamp>,
    /// How many living keys the person may have.
    pub most: i64,
}

impl NewApiKey {
    /// What is kept of `token`, which only its holder has. It cannot sign, and counts no others, until that is said.
    pub fn of(token: &Token, wanted: &Wanted, (id, user): (ApiKeyId, UserId), now: Timestamp) -> Self {
        Self {
            id,
            user,
            name: wanted.name.as_str().to_owned(),
            prefix: token.expose().chars().take(SHOWN).collect(),
            hash: token.hash(),
            scopes: wanted.scopes,
            signing: None,
            now,
            expires_at: wanted.life.map(|life| now.plus(life)),
            most: i64::MAX,
        }
    }
}

/// How adding a key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is there.
    Done,
    /// The person has as many as allowed.
    TooMany,
    /// There is no such person, or they are disabled.
    Nobody,
    /// The data key that its signing key is sealed under has been replaced: seal it again.
    KeyReplaced,
}

/// How ending a key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEnd {
    /// It ended now.
    Done,
    /// It had been revoked before.
    Before,
    /// There is none, or it is somebody else's.
    Unknown,
}

/// A key as lists show it.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its public id.
    pub id: ApiKeyId,
    /// Whose.
    pub user: UserId,
    /// What it is called: untrusted text.
    pub name: String,
    /// How it begins.
    pub prefix: String,
    /// What it allows.
    pub scopes: ScopeSet,
    /// Whether its holder can sign requests.
    pub can_sign: bool,
    /// Since when.
    pub created_at: Timestamp,
    /// When it dies; `None`: never by itself.
    pub expires_at: Option<Timestamp>,
    /// Last use, to some minutes.
    pub last_used_at: Option<Timestamp>,
}

/// What a key stands for.
#[derive(Clone, Debug)]
pub struct KeyGrant {
    /// Its public id.
    pub id: ApiKeyId,
    /// Whose.
    pub user: UserId,
    /// What it allows.
    pub scopes: ScopeSet,
    /// The person's primary Spotify account, where one is linked.
    pub link: Option<LinkId>,
    /// When it dies; `None`: never by itself.
    pub expires_at: Option<Timestamp>,
    /// Whether it or its person has been ended.
    pub ended: bool,
    /// See [`NewApiKey::signing`].
    pub signing: Option<(DataKeyId, Vec<u8>)>,
}

/// Most keys listed at once.
const MOST_LISTED: i64 = 10_000;

impl Store {
    /// Adds a key for a person who is there and has not too many.
    pub async fn add_api_key(&self, key: &NewApiKey, events: &[Recorded]) -> Result<Added, Failure> {
        let lock = "UPDATE users SET last_seen_at = last_seen_at WHERE id = $1 AND disabled_at IS NULL";
        let living = "SELECT COUNT(*) FROM api_keys
            WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)";
        let add = "INSERT INTO api_keys
            (id, user_id, name, prefix, hash, scope, created_at, expires_at, data_key_id, signing_key)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let added = transaction!(self, tx => {
            // Two that are added at once must see each other.
            let person = sqlx::query(lock).bind(key.user.as_str()).execute(&mut *tx).await?;
            if person.rows_affected() == 0 {
                return Ok(Added::Nobody);
            }
            let living: i64 = sqlx::query_scalar(living)
                .bind(key.user.as_str()).bind(key.now.secs())
                .fetch_one(&mut *tx).await?;
            if living >= key.most {
                return Ok(Added::TooMany);
            }
            if let Some((data_key, _)) = &key.signing {
                if !data_key_is_active!(tx, data_key) {
                    return Ok(Added::KeyReplaced);
                }
                count_seals!(tx, data_key, 1);
            }
            sqlx::query(add)
                .bind(key.id.as_str()).bind(key.user.as_str()).bind(&key.name).bind(&key.prefix)
                .bind(&key.hash.as_bytes()[..]).bind(key.scopes.to_string()).bind(key.now.secs())
                .bind(key.expires_at.map(Timestamp::secs))
                .bind(key.signing.as_ref().map(|(id, _)| id.as_str()))
                .bind(key.signing.as_ref().map(|(_, sealed)| &sealed[..]))
                .execute(&mut *tx).await?;
            record!(tx, events);
            Added::Done
        });
        Ok(added)
    }

    /// What a key stands for, dead or alive; `None` where it is unknown.
    pub async fn key_grant(&self, hash: TokenHash) -> Result<Option<KeyGrant>, Failure> {
        let sql = joined(GRANT, "k.hash = $1");
        let row: Option<GrantRow> = reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(&hash.as_bytes()[..]).fetch_optional(pool).await)?;
        row.map(GrantRow::parse).transpose()
    }

    /// The same by the key's public id, which proves nothing by itself.
    pub async fn key_grant_by_id(&self, id: &ApiKeyId) -> Result<Option<KeyGrant>, Failure> {
        let sql = joined(GRANT, "k.id = $1");
        let row: Option<GrantRow> = reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(id.as_str()).fetch_optional(pool).await)?;
        row.map(GrantRow::parse).transpose()
    }

    /// The keys that were not revoked, of one person or of all, newest first; expired ones stay in the list for a
    /// while.
    pub async fn api_keys(&self, user: Option<&UserId>) -> Result<Vec<ApiKey>, Failure> {
        let sql = "SELECT id, user_id, name, prefix, scope, signing_key IS NOT NULL AS can_sign, created_at,
                expires_at, last_used_at
            FROM api_keys WHERE revoked_at IS NULL AND (user_id = $1 OR $1 = '')
            ORDER BY created_at DESC, id LIMIT $2";
        let rows: Vec<ListRow> = reading!(self, pool => sqlx::query_as(sql)
            .bind(user.map_or("", UserId::as_str)).bind(MOST_LISTED)
            .fetch_all(pool).await)?;
        rows.into_iter().map(ListRow::parse).collect()
    }

    /// Ends a key, of this person or of whomever; the events are those of an end that happens now.
    pub async fn revoke_api_key(
        &self,
        user: Option<&UserId>,
        id: &ApiKeyId,
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<KeyEnd, Failure> {
        let revoke = "UPDATE api_keys SET revoked_at = $3
            WHERE id = $1 AND (user_id = $2 OR $2 = '') AND revoked_at IS NULL";
        let known = "SELECT COUNT(*) FROM api_keys WHERE id = $1 AND (user_id = $2 OR $2 = '')";
        let owner = user.map_or("", UserId::as_str);
        let end = transaction!(self, tx => {
            let ended = sqlx::query(revoke)
                .bind(id.as_str()).bind(owner).bind(now.secs())
                .execute(&mut *tx).await?;
            if ended.rows_affected() == 1 {
                end_cached!(tx);
                record!(tx, events);
                KeyEnd::Done
            } else {
                let known: i64 = sqlx::query_scalar(known)
                    .bind(id.as_str()).bind(owner)
                    .fetch_one(&mut *tx).await?;
                if known == 1 { KeyEnd::Before } else { KeyEnd::Unknown }
            }
        });
        Ok(end)
    }

    /// Notes when keys were used last.
    pub async fn touch_api_keys(&self, used: &[(ApiKeyId, Timestamp)]) -> Result<(), Failure> {
        let sql = "UPDATE api_keys SET last_used_at = $2
            WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
        // In one order for all nodes, so that two never wait for each other's rows in a ring.
        let mut used: Vec<_> = used.iter().collect();
        used.sort();
        transaction!(self, tx => {
            for (id, at) in &used {
                sqlx::query(sql).bind(id.as_str()).bind(at.secs()).execute(&mut *tx).await?;
            }
        });
        Ok(())
    }
}

const GRANT: &str =
    "SELECT k.id, k.user_id, k.scope, l.id AS link_id, k.expires_at, k.data_key_id, k.signing_key,
        COALESCE(k.revoked_at, u.disabled_at) AS ended_at
    FROM api_keys k
    JOIN users u ON u.id = k.user_id
    LEFT JOIN linked_accounts l ON l.user_id = k.user_id AND l.primary_since IS NOT NULL
    WHERE ";

fn joined(select: &'static str, condition: &'static str) -> String {
    format!("{select}{condition}")
}

#[derive(sqlx::FromRow)]
struct GrantRow {
    id: String,
    user_id: String,
    scope: String,
    link_id: Option<String>,
    expires_at: Option<i64>,
    data_key_id: Option<String>,
    signing_key: Option<Vec<u8>>,
    ended_at: Option<i64>,
}

impl GrantRow {
    fn parse(self) -> Result<KeyGrant, Failure> {
        let data_key = self.data_key_id.map(|id| id.parse().map_err(corrupt)).transpose()?;
        Ok(KeyGrant {
            id: self.id.parse().map_err(corrupt)?,
            user: self.user_id.parse().map_err(corrupt)?,
            scopes: ScopeSet::known(&self.scope),
            link: self.link_id.map(|id| id.parse().map_err(corrupt)).transpose()?,
            expires_at: self.expires_at.map(Timestamp::from_secs),
            ended: self.ended_at.is_some(),
            signing: data_key.zip(self.signing_key),
        })
    }
}

#[derive(sqlx::FromRow)]
struct ListRow {
    id: String,
    user_id: String,
    name: String,
    prefix: String,
    scope: String,
    can_sign: bool,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl ListRow {
    fn parse(self) -> Result<ApiKey, Failure> {
        Ok(ApiKey {
            id: self.id.parse().map_err(corrupt)?,
            user: self.user_id.parse().map_err(corrupt)?,
            name: self.name,
            prefix: self.prefix,
            scopes: ScopeSet::known(&self.scope),
            can_sign: self.can_sign,
            created_at: Timestamp::from_secs(self.created_at),
            expires_at: self.expires_at.map(Timestamp::from_secs),
            last_used_at: self.last_used_at.map(Timestamp::from_secs),
        })
    }
}
