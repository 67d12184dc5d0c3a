//! Browser sessions, by hash of their cookie.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::{SessionId, UserId};
use crate::failure::Failure;

use super::logins::login_stands;
use super::{FromLogin, Recorded, Store, corrupt, lock_person, reading, record, transaction, writing};

/// A session to begin.
#[derive(Clone, Debug)]
pub struct NewBrowserSession {
    /// Its public id.
    pub id: SessionId,
    /// Of its cookie.
    pub hash: TokenHash,
    /// Whose.
    pub user: UserId,
    /// What the browser calls itself: untrusted, cut to 200 characters.
    pub agent: String,
    /// Now.
    pub now: Timestamp,
    /// Its absolute end.
    pub expires_at: Timestamp,
    /// How many sessions the person may have; the least recently used go.
    pub most: i64,
    /// The login that it comes from; `None`: from none that could be ended.
    pub login: Option<FromLogin>,
}

/// A live session.
#[derive(Clone, Debug)]
pub struct BrowserSession {
    /// Its public id.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// What the browser calls itself: untrusted.
    pub agent: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Last use, to the minute.
    pub last_seen_at: Timestamp,
}

const LIVE: &str = "SELECT s.id, s.user_id, s.agent, s.created_at, s.last_seen_at
    FROM browser_sessions s JOIN users u ON u.id = s.user_id
    WHERE s.revoked_at IS NULL AND u.disabled_at IS NULL AND s.expires_at > $2 AND ";

impl Store {
    /// Begins a session, and ends the person's least recently used ones beyond their limit; returns those ids. `None`,
    /// with nothing done, where the login was ended, or the person deleted, meanwhile.
    pub async fn begin_browser_session(
        &self,
        session: &NewBrowserSession,
        events: &[Recorded],
    ) -> Result<Option<Vec<SessionId>>, Failure> {
        let begin =
            "INSERT INTO browser_sessions (id, hash, user_id, agent, created_at, last_seen_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $5, $6)";
        let evict = "UPDATE browser_sessions SET revoked_at = $3
            WHERE user_id = $1 AND revoked_at IS NULL AND id IN (
                SELECT id FROM browser_sessions WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $3 AND id <> $4
                ORDER BY last_seen_at DESC, created_at DESC, id LIMIT 1000 OFFSET $2)
            RETURNING id";
        let evicted: Option<Vec<String>> = transaction!(self, tx => {
            // Two logins at once must see each other's session.
            // Who was deleted meanwhile has no login any more either.
            if !lock_person!(tx, session.user) || !login_stands!(tx, &session.login, session.user) {
                return Ok(None);
            }
            sqlx::query(begin)
                .bind(session.id.as_str()).bind(&session.hash.as_bytes()[..]).bind(session.user.as_str())
                .bind(&session.agent).bind(session.now.secs()).bind(session.expires_at.secs())
                .execute(&mut *tx).await?;
            let evicted: Vec<String> = sqlx::query_scalar(evict)
                .bind(session.user.as_str()).bind(session.most.max(1) - 1)
                .bind(session.now.secs()).bind(session.id.as_str())
                .fetch_all(&mut *tx).await?;
            record!(tx, events);
            Some(evicted)
        });
        let Some(evicted) = evicted else { return Ok(None) };
        evicted.iter().map(|id| id.parse().map_err(corrupt)).collect::<Result<_, _>>().map(Some)
    }

    /// The live session behind a cookie.
    pub async fn browser_session(
        &self,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Option<BrowserSession>, Failure> {
        let sql = joined(LIVE, "s.hash = $1");
        let row: Option<Row> = reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(&hash.as_bytes()[..]).bind(now.secs())
            .fetch_optional(pool).await)?;
        row.map(parse).transpose()
    }

    /// A person's live sessions, most recently used first.
    pub async fn browser_sessions(
        &self,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Vec<BrowserSession>, Failure> {
        let sql = joined(LIVE, "s.user_id = $1 ORDER BY s.last_seen_at DESC, s.id LIMIT 100");
        let rows: Vec<Row> = reading!(self, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(user.as_str()).bind(now.secs())
            .fetch_all(pool).await)?;
        rows.into_iter().map(parse).collect()
    }

    /// Notes that a session was used.
    pub async fn touch_browser_session(&self, id: &SessionId, now: Timestamp) -> Result<(), Failure> {
        let sql = "UPDATE browser_sessions SET last_seen_at = $2 WHERE id = $1";
        writing!(self, pool =>
            sqlx::query(sql).bind(id.as_str()).bind(now.secs()).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Ends one session of a person; `false` where there is none.
    pub async fn end_browser_session(
        &self,
        user: &UserId,
        id: &SessionId,
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let sql = "UPDATE browser_sessions SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL";
        let ended = transaction!(self, tx => {
            let ended = sqlx::query(sql)
                .bind(id.as_str()).bind(user.as_str()).bind(now.secs())
                .execute(&mut *tx).await?.rows_affected() == 1;
            if ended {
                record!(tx, events);
            }
            ended
        });
        Ok(ended)
    }
}

type Row = (String, String, String, i64, i64);

fn parse((id, user, agent, created_at, last_seen_at): Row) -> Result<BrowserSession, Failure> {
    Ok(BrowserSession {
        id: id.parse().map_err(corrupt)?,
        user: user.parse().map_err(corrupt)?,
        agent,
        created_at: Timestamp::from_secs(created_at),
        last_seen_at: Timestamp::from_secs(last_seen_at),
    })
}

fn joined(select: &'static str, rest: &'static str) -> String {
    format!("{select}{rest}")
}
