//! What is known of Spotify's daily quotas, shared by all servers and kept over restarts.

use crate::ambient::Timestamp;
use crate::domain::{AppId, UserId};
use crate::failure::Failure;

use super::{Recorded, Store, corrupt, reading, record, transaction};

/// Most people of apps that are told at once.
const PEOPLE: i64 = 10_000;

/// The kind of calls of an app that Spotify told to wait: it is not asked at all. Its `pool` is our id for the app.
pub const EVERYTHING: &str = "everything";

const QUOTAS: &str = "SELECT pool, bucket, closed_until, learned_size, learned_at FROM quotas";

const WAIT_OR_LEARNED: &str = "WHERE pool = $1 AND (closed_until > $2 OR learned_size IS NOT NULL)";

/// One quota: of a developer account, for one kind of calls.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct QuotaRow {
    /// The developer account.
    pub pool: String,
    /// Which calls.
    pub bucket: String,
    /// Until when nothing is asked, in seconds.
    pub closed_until: Option<i64>,
    /// How many calls were made in a day when it ran out; `None`: not all of a day's calls were counted.
    pub learned_size: Option<i64>,
    /// When it ran out, in seconds.
    pub learned_at: Option<i64>,
}

/// Calls for one payer in an hour.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct QuotaCallsRow {
    /// The developer account.
    pub pool: String,
    /// Which calls.
    pub bucket: String,
    /// For whom: a name that tells nobody, see [`super::LinkTokens::payer`].
    pub payer: String,
    /// Hours since 1970.
    pub hour: i64,
    /// How many.
    pub calls: i64,
}

impl Store {
    /// Notes that quotas ran out. The later end and the newer lesson stay.
    pub async fn note_quotas(&self, rows: &[QuotaRow]) -> Result<(), Failure> {
        let sql = "INSERT INTO quotas (pool, bucket, closed_until, learned_size, learned_at)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (pool, bucket) DO UPDATE SET
                closed_until = CASE WHEN COALESCE(quotas.closed_until, 0) > COALESCE(excluded.closed_until, 0)
                    THEN quotas.closed_until ELSE excluded.closed_until END,
                learned_size = CASE WHEN COALESCE(quotas.learned_at, 0) > COALESCE(excluded.learned_at, 0)
                    THEN quotas.learned_size ELSE excluded.learned_size END,
                learned_at = CASE WHEN COALESCE(quotas.learned_at, 0) > COALESCE(excluded.learned_at, 0)
                    THEN quotas.learned_at ELSE excluded.learned_at END";
        transaction!(self, tx => {
            for row in rows {
                sqlx::query(sql)
                    .bind(&row.pool).bind(&row.bucket).bind(row.closed_until)
                    .bind(row.learned_size).bind(row.learned_at)
                    .execute(&mut *tx).await?;
            }
        });
        Ok(())
    }

    /// Has a developer account's quotas asked for again on every server that ran out, and forgets how large any of them
    /// were thought to be; tells which they are, as they were.
    pub async fn reopen_quotas(
        &self,
        pool: &str,
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<Vec<QuotaRow>, Failure> {
        let which = format!("{QUOTAS} {WAIT_OR_LEARNED} ORDER BY bucket");
        // A newer lesson than any server has, which says nothing of the size; the row of an app that waited stays by it until
        // every server has seen it.
        let open = format!(
            "UPDATE quotas SET closed_until = 0, learned_size = NULL, learned_at = CASE
                WHEN learned_at >= $2 THEN learned_at + 1 ELSE $2 END {WAIT_OR_LEARNED}"
        );
        let opened = transaction!(self, tx => {
            let opened: Vec<QuotaRow> = sqlx::query_as(sqlx::AssertSqlSafe(which.as_str()))
                .bind(pool).bind(now.secs()).fetch_all(&mut *tx).await?;
            if opened.is_empty() {
                return Ok(opened);
            }
            sqlx::query(sqlx::AssertSqlSafe(open.as_str()))
                .bind(pool).bind(now.secs()).execute(&mut *tx).await?;
            record!(tx, events);
            opened
        });
        Ok(opened)
    }

    /// All that is known of quotas.
    pub async fn quotas(&self) -> Result<Vec<QuotaRow>, Failure> {
        let sql = format!("{QUOTAS} ORDER BY pool, bucket");
        Ok(reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await)?)
    }

    /// Adds calls. Those of a person who has no other name than their id are theirs, and go with them.
    pub async fn add_quota_calls(&self, rows: &[QuotaCallsRow]) -> Result<(), Failure> {
        let sql = "INSERT INTO quota_calls (pool, bucket, payer, hour, calls)
            SELECT $1, $2, $3, $4, $5
            WHERE $3 LIKE 'p%' OR EXISTS (SELECT 1 FROM users WHERE id = $3)
            ON CONFLICT (pool, bucket, payer, hour) DO UPDATE SET calls = quota_calls.calls + excluded.calls";
        // In one order for all servers, so that two never wait for each other's rows in a ring.
        let mut rows: Vec<_> = rows.iter().collect();
        rows.sort_by_key(|row| (&row.pool, &row.bucket, &row.payer, row.hour));
        transaction!(self, tx => {
            for row in &rows {
                sqlx::query(sql)
                    .bind(&row.pool).bind(&row.bucket).bind(&row.payer).bind(row.hour).bind(row.calls)
                    .execute(&mut *tx).await?;
            }
        });
        Ok(())
    }

    /// The calls since this hour, of all people.
    pub async fn quota_calls(&self, since_hour: i64) -> Result<Vec<QuotaCallsRow>, Failure> {
        let sql = "SELECT pool, bucket, payer, hour, calls FROM quota_calls WHERE hour >= $1
            ORDER BY pool, bucket, payer, hour";
        Ok(reading!(self, pool => sqlx::query_as(sql).bind(since_hour).fetch_all(pool).await)?)
    }

    /// Whose calls were counted since this hour, by the name under which they are: those who are still here.
    pub async fn payers(&self, since_hour: i64) -> Result<Vec<(String, UserId, String)>, Failure> {
        let sql = "SELECT COALESCE(payer, id), id, display_name FROM users
            WHERE COALESCE(payer, id) IN (SELECT payer FROM quota_calls WHERE hour >= $1) ORDER BY id LIMIT $2";
        let rows: Vec<(String, String, String)> = reading!(self, pool =>
            sqlx::query_as(sql).bind(since_hour).bind(PEOPLE).fetch_all(pool).await)?;
        rows.into_iter().map(|(payer, id, name)| Ok((payer, id.parse().map_err(corrupt)?, name))).collect()
    }

    /// Under which name a person's calls are counted; `None` where they are gone.
    pub async fn payer_of(&self, user: &UserId) -> Result<Option<String>, Failure> {
        let sql = "SELECT COALESCE(payer, id) FROM users WHERE id = $1";
        Ok(reading!(self, pool => sqlx::query_scalar(sql).bind(user.as_str()).fetch_optional(pool).await)?)
    }

    /// Whom the calls of each app are made for, of the accounts that were used since.
    pub async fn people_of_apps(&self, since: Timestamp) -> Result<Vec<(AppId, String)>, Failure> {
        // An access token lives for an hour, and is made anew when it is used.
        let sql = "SELECT DISTINCT l.app_id, COALESCE(u.payer, u.id) AS payer
            FROM linked_accounts l JOIN users u ON u.id = l.user_id
            WHERE l.access_expires_at >= $1 AND l.reconnect_since IS NULL ORDER BY l.app_id, payer LIMIT $2";
        let rows: Vec<(String, String)> = reading!(self, pool =>
            sqlx::query_as(sql).bind(since.secs()).bind(PEOPLE).fetch_all(pool).await)?;
        rows.into_iter().map(|(app, payer)| Ok((app.parse().map_err(corrupt)?, payer))).collect()
    }

    /// Forgets calls before this hour, and quotas that ran out before `learned` and are open again.
    pub async fn forget_quotas(
        &self,
        before_hour: i64,
        learned: Timestamp,
        now: Timestamp,
    ) -> Result<(), Failure> {
        transaction!(self, tx => {
            sqlx::query("DELETE FROM quota_calls WHERE hour < $1").bind(before_hour).execute(&mut *tx).await?;
            sqlx::query("DELETE FROM quotas WHERE COALESCE(learned_at, 0) < $1 AND COALESCE(closed_until, 0) < $2")
                .bind(learned.secs()).bind(now.secs()).execute(&mut *tx).await?;
        });
        Ok(())
    }
}
