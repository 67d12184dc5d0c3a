//! Data keys and what they seal, a batch of people at a time: each person is locked, their values are written back by
//! compare-and-set on what was read, and the key that seals nothing any more goes in the same transaction.

use crate::ambient::Timestamp;
use crate::failure::Failure;

use super::rotations::still_runner;
use super::{
    DataKeyRow, ExceptionRow, Recorded, Rewritten, SealedChange, Store, Turn, end_cached, lock_person,
    reading, record, transaction,
};

/// A data key that is to go, or has gone and still seals something.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct OldDataKey {
    /// Its id.
    pub id: String,
    /// Whose.
    pub user_id: String,
    /// The master key that wraps it.
    pub master_key_id: String,
    /// The envelope.
    pub wrapped: Vec<u8>,
    /// `active` or `retired`.
    pub state: String,
}

/// A linked account's sealed tokens, and the sealed client id and secret of the app where that is the person's own.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SealedLink {
    /// The link.
    pub id: String,
    /// Whose.
    pub user_id: String,
    /// The key that they are sealed under.
    pub data_key_id: String,
    /// The version that they are sealed for.
    pub token_version: i64,
    /// The access token's envelope.
    pub access_token: Option<Vec<u8>>,
    /// The refresh token's envelope.
    pub refresh_token: Option<Vec<u8>>,
    /// The envelope of the app's client id.
    pub sealed_client_id: Option<Vec<u8>>,
    /// The envelope of the app's secret.
    pub own_client_secret: Option<Vec<u8>>,
    /// When the app came, for which both are sealed.
    pub own_app_since: Option<i64>,
}

/// An API key's sealed signing key.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct SealedApiKey {
    /// The key.
    pub id: String,
    /// Whose.
    pub user_id: String,
    /// The data key that it is sealed under.
    pub data_key_id: String,
    /// The envelope.
    pub signing_key: Vec<u8>,
}

/// What becomes of one person's old key.
#[derive(Clone, Debug)]
pub struct Resealed {
    /// The key that goes.
    pub old: OldDataKey,
    /// The key that comes, where it is a fresh one; else the person's active one has taken its place before.
    pub fresh: Option<DataKeyRow>,
    /// The id of the key that comes.
    pub new: String,
    /// Links as they were read, and as they are to be.
    pub links: Vec<(SealedLink, SealedLink)>,
    /// API keys as they were read, and as they are to be.
    pub api_keys: Vec<(SealedApiKey, SealedApiKey)>,
    /// The keys of changes as they were read, and as they are to be.
    pub changes: Vec<(SealedChange, SealedChange)>,
}

/// What one data key seals.
pub type SealedUnder = (Vec<SealedLink>, Vec<SealedApiKey>, Vec<SealedChange>);

/// Keys that a rotation still has to do with: those in use from before it began, and retired ones that still seal
/// something which could be opened. `$1` is the rotation, `$2` when it began.
const OLD: &str = "((k.state = 'active' AND COALESCE(k.rotation_id, '') <> $1 AND k.created_at <= $2)
    OR (k.state = 'retired' AND (
        EXISTS (SELECT 1 FROM linked_accounts l WHERE l.user_id = k.user_id AND l.data_key_id = k.id
            AND (l.access_token IS NOT NULL OR l.refresh_token IS NOT NULL OR l.own_client_secret IS NOT NULL
                OR l.sealed_client_id IS NOT NULL)
            AND NOT EXISTS (SELECT 1 FROM rotation_exceptions e
                WHERE e.rotation_id = $1 AND e.in_table = 'linked_accounts' AND e.row_id = l.id))
        OR EXISTS (SELECT 1 FROM api_keys a WHERE a.user_id = k.user_id AND a.data_key_id = k.id
            AND a.signing_key IS NOT NULL AND NOT EXISTS (SELECT 1 FROM rotation_exceptions e
                WHERE e.rotation_id = $1 AND e.in_table = 'api_keys' AND e.row_id = a.id))
        OR EXISTS (SELECT 1 FROM changes c WHERE c.user_id = k.user_id AND c.data_key_id = k.id
            AND NOT EXISTS (SELECT 1 FROM rotation_exceptions e
                WHERE e.rotation_id = $1 AND e.in_table = 'changes' AND e.row_id = c.id)))))
    AND NOT EXISTS (SELECT 1 FROM rotation_exceptions e
        WHERE e.rotation_id = $1 AND e.in_table = 'data_keys' AND e.row_id = k.id)";

const LINK: &str =
    "SELECT id, user_id, data_key_id, token_version, access_token, refresh_token, own_client_secret, sealed_client_id,
        own_app_since
    FROM linked_accounts";
const API_KEY: &str = "SELECT id, user_id, data_key_id, signing_key FROM api_keys";
const CHANGE: &str = "SELECT id, user_id, link_id, data_key_id, content_key FROM changes";

/// Writes what one person's old key sealed, each value where it is still what was read.
macro_rules! write_values {
    ($tx:ident, $person:ident, $done:ident) => {{
        let mut seals = 0;
        for (read, sealed) in &$person.links {
            let changed = sqlx::query(RESEAL_LINK)
                .bind(&read.id)
                .bind(read.token_version)
                .bind(&read.data_key_id)
                .bind(read.access_token.as_deref())
                .bind(read.refresh_token.as_deref())
                .bind(read.own_client_secret.as_deref())
                .bind(&$person.new)
                .bind(sealed.access_token.as_deref())
                .bind(sealed.refresh_token.as_deref())
                .bind(sealed.own_client_secret.as_deref())
                .bind(read.sealed_client_id.as_deref())
                .bind(sealed.sealed_client_id.as_deref())
                .execute(&mut *$tx)
                .await?
                .rows_affected();
            $done.rewritten += changed;
            $done.overtaken += 1 - changed.min(1);
            let own = [&sealed.own_client_secret, &sealed.sealed_client_id];
            let own = own.into_iter().map(|sealed| i64::from(sealed.is_some())).sum::<i64>();
            seals += (2 + own) * changed.cast_signed();
        }
        for (read, sealed) in &$person.api_keys {
            let changed = sqlx::query(RESEAL_API_KEY)
                .bind(&read.id)
                .bind(&read.data_key_id)
                .bind(&read.signing_key[..])
                .bind(&$person.new)
                .bind(&sealed.signing_key[..])
                .execute(&mut *$tx)
                .await?
                .rows_affected();
            $done.rewritten += changed;
            $done.overtaken += 1 - changed.min(1);
            seals += changed.cast_signed();
        }
        for (read, sealed) in &$person.changes {
            let changed = sqlx::query(RESEAL_CHANGE)
                .bind(&read.id)
                .bind(&read.data_key_id)
                .bind(&read.content_key[..])
                .bind(&$person.new)
                .bind(&sealed.content_key[..])
                .execute(&mut *$tx)
                .await?
                .rows_affected();
            $done.rewritten += changed;
            $done.overtaken += 1 - changed.min(1);
            seals += changed.cast_signed();
        }
        sqlx::query("UPDATE data_keys SET seal_count = seal_count + $2 WHERE id = $1")
            .bind(&$person.new)
            .bind(seals)
            .execute(&mut *$tx)
            .await?;
    }};
}

impl Store {
    /// The next old keys after a position.
    pub async fn old_data_keys(
        &self,
        (rotation, began): (&str, Timestamp),
        (after, most): (&str, i64),
    ) -> Result<Vec<OldDataKey>, Failure> {
        let sql = format!(
            "SELECT k.id, k.user_id, k.master_key_id, k.wrapped, k.state FROM data_keys k
            WHERE {OLD} AND k.id > $3 ORDER BY k.id LIMIT $4"
        );
        Ok(reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(rotation).bind(began.secs()).bind(after).bind(most).fetch_all(pool).await)?)
    }

    /// How many old keys there are after a position.
    pub async fn count_old_data_keys(
        &self,
        (rotation, began): (&str, Timestamp),
        after: &str,
    ) -> Result<u64, Failure> {
        let sql = format!("SELECT COUNT(*) FROM data_keys k WHERE {OLD} AND k.id > $3");
        let count: i64 = reading!(self, pool => sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(rotation).bind(began.secs()).bind(after).fetch_one(pool).await)?;
        Ok(count.unsigned_abs())
    }

    /// How many keys in use were made by the rotation, or came after it had begun.
    pub async fn count_new_data_keys(&self, (rotation, began): (&str, Timestamp)) -> Result<i64, Failure> {
        let sql = "SELECT COUNT(*) FROM data_keys
            WHERE state = 'active' AND (COALESCE(rotation_id, '') = $1 OR created_at > $2)";
        Ok(reading!(self, pool => sqlx::query_scalar(sql)
            .bind(rotation).bind(began.secs()).fetch_one(pool).await)?)
    }

    /// What one key seals.
    pub async fn sealed_under(&self, user: &str, key: &str) -> Result<SealedUnder, Failure> {
        let changes = format!("{CHANGE} WHERE user_id = $1 AND data_key_id = $2 ORDER BY id");
        let links = format!("{LINK} WHERE user_id = $1 AND data_key_id = $2 ORDER BY id");
        let keys = format!(
            "{API_KEY} WHERE user_id = $1 AND data_key_id = $2 AND signing_key IS NOT NULL ORDER BY id"
        );
        let links = reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(links))
            .bind(user).bind(key).fetch_all(pool).await)?;
        let keys = reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(keys))
            .bind(user).bind(key).fetch_all(pool).await)?;
        let changes = reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(changes))
            .bind(user).bind(key).fetch_all(pool).await)?;
        Ok((links, keys, changes))
    }

    /// The next links after a position.
    pub async fn sealed_links(&self, (after, most): (&str, i64)) -> Result<Vec<SealedLink>, Failure> {
        let sql = format!("{LINK} WHERE id > $1 ORDER BY id LIMIT $2");
        Ok(reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(after).bind(most).fetch_all(pool).await)?)
    }

    /// The next API keys with a signing key after a position.
    pub async fn sealed_api_keys(&self, (after, most): (&str, i64)) -> Result<Vec<SealedApiKey>, Failure> {
        let sql = format!("{API_KEY} WHERE signing_key IS NOT NULL AND id > $1 ORDER BY id LIMIT $2");
        Ok(reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(after).bind(most).fetch_all(pool).await)?)
    }

    /// The next changes after a position.
    pub async fn sealed_changes(&self, (after, most): (&str, i64)) -> Result<Vec<SealedChange>, Failure> {
        let sql = format!("{CHANGE} WHERE id > $1 ORDER BY id LIMIT $2");
        Ok(reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(after).bind(most).fetch_all(pool).await)?)
    }

    /// Writes one batch, and moves the position; `None` where the turn is lost or the master key in use is another.
    pub async fn write_resealed(
        &self,
        turn: &Turn,
        (people, exceptions): (&[Resealed], &[ExceptionRow]),
        position: &str,
        (now, events): (Timestamp, &[Recorded]),
    ) -> Result<Option<Rewritten>, Failure> {
        let written = transaction!(self, tx => {
            if !still_runner!(tx, turn, now) {
                return Ok(None);
            }
            let mut done = Rewritten::default();
            for person in people {
                if !lock_person!(tx, person.old.user_id) {
                    continue;
                }
                let goes = match &person.fresh {
                    Some(_) => {
                        let retired = sqlx::query(RETIRE).bind(&person.old.id).bind(now.secs());
                        retired.execute(&mut *tx).await?.rows_affected() == 1
                    }
                    None => true,
                };
                if !goes {
                    done.overtaken += 1;
                    continue;
                }
                if let Some(fresh) = &person.fresh {
                    sqlx::query(FRESH)
                        .bind(fresh.id.as_str()).bind(fresh.user.as_str()).bind(&fresh.master_key_id)
                        .bind(&fresh.wrapped[..]).bind(now.secs()).bind(&turn.id)
                        .execute(&mut *tx).await?;
                }
                write_values!(tx, person, done);
                sqlx::query(DROP).bind(&person.old.id).execute(&mut *tx).await?;
            }
            for row in exceptions {
                sqlx::query(EXCEPTION)
                    .bind(&turn.id).bind(&row.in_table).bind(&row.row_id).bind(&row.user_id).bind(&row.reason)
                    .execute(&mut *tx).await?;
            }
            sqlx::query(POSITION)
                .bind(&turn.id).bind(position).bind(done.rewritten.cast_signed()).bind(done.overtaken.cast_signed())
                .execute(&mut *tx).await?;
            end_cached!(tx);
            // After that lock, which whoever puts another master key in use takes first.
            let fresh = people.iter().filter_map(|person| person.fresh.as_ref());
            let masters: std::collections::BTreeSet<_> = fresh.map(|key| key.master_key_id.clone()).collect();
            for master in &masters {
                let active: i64 = sqlx::query_scalar(ACTIVE).bind(master).fetch_one(&mut *tx).await?;
                if active == 0 {
                    return Ok(None);
                }
                sqlx::query("UPDATE master_keys SET seal_count = seal_count + $2 WHERE id = $1")
                    .bind(master).bind(people.len() as i64).execute(&mut *tx).await?;
            }
            record!(tx, events);
            Some(done)
        });
        Ok(written)
    }
}

const RETIRE: &str =
    "UPDATE data_keys SET state = 'retired', retired_at = $2 WHERE id = $1 AND state = 'active'";
const FRESH: &str = "INSERT INTO data_keys
    (id, user_id, master_key_id, wrapped, state, created_at, seal_count, rotation_id)
    VALUES ($1, $2, $3, $4, 'active', $5, 0, $6)";
const RESEAL_LINK: &str =
    "UPDATE linked_accounts SET data_key_id = $7, access_token = $8, refresh_token = $9,
        own_client_secret = $10, sealed_client_id = $12
    WHERE id = $1 AND token_version = $2 AND data_key_id = $3
        AND access_token IS NOT DISTINCT FROM $4 AND refresh_token IS NOT DISTINCT FROM $5
        AND own_client_secret IS NOT DISTINCT FROM $6 AND sealed_client_id IS NOT DISTINCT FROM $11";
const RESEAL_API_KEY: &str = "UPDATE api_keys SET data_key_id = $4, signing_key = $5
    WHERE id = $1 AND data_key_id = $2 AND signing_key = $3";
const RESEAL_CHANGE: &str = "UPDATE changes SET data_key_id = $4, content_key = $5
    WHERE id = $1 AND data_key_id = $2 AND content_key = $3";
/// A key that seals nothing any more.
const DROP: &str = "DELETE FROM data_keys WHERE id = $1 AND state = 'retired'
    AND NOT EXISTS (SELECT 1 FROM linked_accounts WHERE user_id = data_keys.user_id AND data_key_id = data_keys.id)
    AND NOT EXISTS (SELECT 1 FROM changes WHERE user_id = data_keys.user_id AND data_key_id = data_keys.id)
    AND NOT EXISTS (SELECT 1 FROM api_keys WHERE user_id = data_keys.user_id AND data_key_id = data_keys.id
        AND signing_key IS NOT NULL)";
const EXCEPTION: &str = "INSERT INTO rotation_exceptions (rotation_id, in_table, row_id, user_id, reason)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (rotation_id, in_table, row_id) DO NOTHING";
const POSITION: &str =
    "UPDATE rotations SET position = $2, rewritten = rewritten + $3, overtaken = overtaken + $4
    WHERE id = $1";
const ACTIVE: &str = "SELECT COUNT(*) FROM master_keys WHERE id = $1 AND state = 'active'";
