//! Sessions of 2025-era MCP clients, by hash of what the client holds. A session is a record, never a credential.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::mcp_session::{self, Owner, Use};
use crate::domain::{ClientId, GrantId, SessionId, UserId};
use crate::failure::Failure;

use super::{Recorded, Store, corrupt, lock_person, reading, record, transaction, writing};

/// A session to open.
#[derive(Clone, Debug)]
pub struct NewMcpSession {
    /// Its public id.
    pub id: SessionId,
    /// Of what the client will send.
    pub hash: TokenHash,
    /// Whose, and through what.
    pub owner: Owner,
    /// What the client says of itself, as JSON: untrusted, bounded.
    pub metadata: String,
    /// Now.
    pub now: Timestamp,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
    /// How many sessions the person may have that were never used; the oldest go.
    pub most_unused: i64,
}

/// A stored session, dead or alive.
#[derive(Clone, Debug)]
pub struct McpSession {
    /// Its public id.
    pub id: SessionId,
    /// Whose, and through what.
    pub owner: Owner,
    /// Since when.
    pub created_at: Timestamp,
    /// When it ends unless it is used again.
    pub expires_at: Timestamp,
    /// Last use; `None` where it was never used after `initialize`.
    pub used_at: Option<Timestamp>,
    /// What the client said of itself, as JSON.
    pub metadata: String,
}

/// A live session as its owner sees it.
#[derive(Clone, Debug)]
pub struct OpenMcpSession {
    /// Its public id.
    pub id: SessionId,
    /// The name that its OAuth client claims: untrusted.
    pub client: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Last use, exact to half a minute.
    pub last_active: Timestamp,
}

/// The first use of a session after `initialize`.
#[derive(Clone, Copy, Debug)]
pub struct FirstUse<'a> {
    /// Which.
    pub id: &'a SessionId,
    /// Whose.
    pub user: &'a UserId,
    /// Now.
    pub now: Timestamp,
    /// When it ends from now on unless it is used again.
    pub expires_at: Timestamp,
    /// How many used sessions the person may have; `None`: any number.
    pub most: Option<usize>,
}

/// That a session was used.
#[derive(Clone, Copy, Debug)]
pub struct Touched {
    /// Which.
    pub hash: TokenHash,
    /// When last.
    pub used_at: Timestamp,
    /// When it ends from now on.
    pub expires_at: Timestamp,
}

/// Tells every server that a session which it may remember has ended.
macro_rules! end_remembered {
    ($tx:ident) => {{
        sqlx::query("UPDATE revocation SET sessions = sessions + 1 WHERE id = 1").execute(&mut *$tx).await?;
    }};
}

/// How many are written in one transaction: others wait for it on SQLite.
const BATCH: usize = 500;

impl Store {
    /// Opens a session; the person's oldest never used ones beyond their limit go.
    pub async fn open_mcp_session(&self, session: &NewMcpSession) -> Result<(), Failure> {
        let open =
            "INSERT INTO mcp_sessions (id, user_id, session_id, client_id, grant_id, created_at, last_active,
                expires_at, connection_status, metadata)
            VALUES ($1, $2, $3, $4, $5, $6, $6, $7, 'initialized', $8)";
        let bound = "DELETE FROM mcp_sessions WHERE user_id = $1 AND used_at IS NULL AND id NOT IN (
                SELECT id FROM mcp_sessions WHERE user_id = $1 AND used_at IS NULL
                ORDER BY created_at DESC, id LIMIT $2)";
        let owner = &session.owner;
        transaction!(self, tx => {
            sqlx::query(open)
                .bind(session.id.as_str()).bind(owner.user.as_str()).bind(session.hash.hex())
                .bind(owner.client.as_str()).bind(owner.grant.as_ref().map(GrantId::as_str))
                .bind(session.now.secs()).bind(session.expires_at.secs()).bind(&session.metadata)
                .execute(&mut *tx).await?;
            sqlx::query(bound).bind(owner.user.as_str()).bind(session.most_unused).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// The session behind what a client sent, dead or alive; `None` where it is unknown or its grant has ended.
    pub async fn mcp_session(&self, hash: TokenHash) -> Result<Option<McpSession>, Failure> {
        let sql = "SELECT s.id, s.user_id, s.client_id, s.grant_id, s.created_at, s.expires_at, s.used_at, s.metadata
            FROM mcp_sessions s LEFT JOIN grants g ON g.id = s.grant_id
            WHERE s.session_id = $1 AND g.revoked_at IS NULL";
        let row: Option<Row> =
            reading!(self, pool => sqlx::query_as(sql).bind(hash.hex()).fetch_optional(pool).await)?;
        row.map(Row::parse).transpose()
    }

    /// The session of this public id, or of what a client holds; of browsers too, by public id. `None`: there is none that
    /// lives.
    pub async fn session_called(
        &self,
        id: Result<&SessionId, TokenHash>,
    ) -> Result<Option<SessionId>, Failure> {
        let (id, hash) = match id {
            Ok(id) => (id.as_str(), String::new()),
            Err(hash) => ("", hash.hex()),
        };
        let sql = "SELECT id FROM mcp_sessions WHERE id = $1 OR session_id = $2
            UNION SELECT id FROM browser_sessions WHERE id = $1 AND revoked_at IS NULL";
        let found: Option<String> = reading!(self, pool =>
            sqlx::query_scalar(sql).bind(id).bind(&hash).fetch_optional(pool).await)?;
        found.map(|id| id.parse().map_err(corrupt)).transpose()
    }

    /// Notes the first use, and ends the person's least recently used sessions beyond their limit; returns those.
    /// `recent` knows uses that are not stored yet. Nothing ends where another request was first. `evicted` makes
    /// the event of each end.
    pub async fn begin_mcp_session_use(
        &self,
        first: FirstUse<'_>,
        recent: &(dyn Fn(&TokenHash) -> Option<Timestamp> + Sync),
        evicted: &(dyn Fn(&SessionId) -> Recorded + Sync),
    ) -> Result<Vec<TokenHash>, Failure> {
        let begin = "UPDATE mcp_sessions SET used_at = $2, last_active = $3, expires_at = $4, connection_status = 'active'
            WHERE id = $1 AND used_at IS NULL";
        let used = "SELECT id, session_id, used_at FROM mcp_sessions
            WHERE user_id = $1 AND used_at IS NOT NULL AND expires_at > $2";
        let ended = transaction!(self, tx => {
            // Two first uses at once must see each other.
            if !lock_person!(tx, first.user) {
                return Ok(Vec::new());
            }
            let won = sqlx::query(begin)
                .bind(first.id.as_str()).bind(first.now.millis())
                .bind(first.now.secs()).bind(first.expires_at.secs())
                .execute(&mut *tx).await?.rows_affected() == 1;
            let Some(most) = first.most.filter(|_| won) else {
                tx.commit().await?;
                return Ok(Vec::new());
            };
            let rows: Vec<(String, String, i64)> = sqlx::query_as(used)
                .bind(first.user.as_str()).bind(first.now.secs())
                .fetch_all(&mut *tx).await?;
            let uses = rows.into_iter().map(|row| parse_use(row, recent)).collect::<Result<Vec<_>, Failure>>()?;
            let ended = mcp_session::beyond(uses, most, first.id);
            for session in &ended {
                sqlx::query("DELETE FROM mcp_sessions WHERE id = $1")
                    .bind(session.id.as_str())
                    .execute(&mut *tx)
                    .await?;
                record!(tx, &[evicted(&session.id)]);
            }
            if !ended.is_empty() {
                end_remembered!(tx);
            }
            ended
        });
        Ok(ended.into_iter().map(|session| session.key).collect())
    }

    /// Notes uses, a few hundred at a time. Sessions that have ended are left out.
    pub async fn touch_mcp_sessions(&self, touched: &[Touched]) -> Result<(), Failure> {
        let sql = "UPDATE mcp_sessions SET used_at = $2, last_active = $3, expires_at = $4
            WHERE session_id = $1 AND used_at < $2";
        for batch in touched.chunks(BATCH) {
            // In one order for all nodes, so that two never wait for each other's rows in a ring.
            let mut batch: Vec<_> = batch.iter().map(|touched| (touched.hash.hex(), touched)).collect();
            batch.sort_by(|one, other| one.0.cmp(&other.0));
            transaction!(self, tx => {
                for (hash, touched) in &batch {
                    sqlx::query(sql)
                        .bind(hash).bind(touched.used_at.millis())
                        .bind(touched.used_at.secs()).bind(touched.expires_at.secs())
                        .execute(&mut *tx).await?;
                }
            });
        }
        Ok(())
    }

    /// Ends one session of a person; `false` where there is none.
    pub async fn end_mcp_session(
        &self,
        user: &UserId,
        id: &SessionId,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let sql = "DELETE FROM mcp_sessions WHERE id = $1 AND user_id = $2";
        let ended = transaction!(self, tx => {
            let ended = sqlx::query(sql)
                .bind(id.as_str()).bind(user.as_str())
                .execute(&mut *tx).await?.rows_affected() == 1;
            if ended {
                end_remembered!(tx);
                record!(tx, events);
            }
            ended
        });
        Ok(ended)
    }

    /// A person's live sessions that were used, most recently used first; at most 200.
    pub async fn mcp_sessions(&self, user: &UserId, now: Timestamp) -> Result<Vec<OpenMcpSession>, Failure> {
        let sql = "SELECT s.id, COALESCE(c.name, s.client_id), s.created_at, s.last_active
            FROM mcp_sessions s LEFT JOIN clients c ON c.id = s.client_id LEFT JOIN grants g ON g.id = s.grant_id
            WHERE s.user_id = $1 AND s.used_at IS NOT NULL AND s.expires_at > $2 AND g.revoked_at IS NULL
            ORDER BY s.used_at DESC, s.id LIMIT 200";
        let rows: Vec<(String, String, i64, i64)> = reading!(self, pool =>
            sqlx::query_as(sql).bind(user.as_str()).bind(now.secs()).fetch_all(pool).await)?;
        rows.into_iter()
            .map(|(id, client, created_at, last_active)| {
                Ok(OpenMcpSession {
                    id: id.parse().map_err(corrupt)?,
                    client,
                    created_at: Timestamp::from_secs(created_at),
                    last_active: Timestamp::from_secs(last_active),
                })
            })
            .collect()
    }

    /// Removes sessions that have ended by themselves or with their grant, and beyond `most_unused` the oldest that
    /// nobody used; returns how many.
    pub(super) async fn purge_mcp_sessions(&self, now: i64, most_unused: i64) -> Result<u64, Failure> {
        let ended = "DELETE FROM mcp_sessions WHERE expires_at <= $1
            OR grant_id IN (SELECT id FROM grants WHERE revoked_at IS NOT NULL)";
        let flood = "DELETE FROM mcp_sessions WHERE used_at IS NULL AND created_at < (
            SELECT created_at FROM mcp_sessions WHERE used_at IS NULL
            ORDER BY created_at DESC LIMIT 1 OFFSET $1)";
        let done: Result<u64, sqlx::Error> = writing!(self, pool => {
            let ended = sqlx::query(ended).bind(now).execute(pool).await?.rows_affected();
            let flood = sqlx::query(flood).bind(most_unused).execute(pool).await?.rows_affected();
            Ok(ended + flood)
        });
        Ok(done?)
    }
}

fn parse_use(
    (id, hash, used_at): (String, String, i64),
    recent: &(dyn Fn(&TokenHash) -> Option<Timestamp> + Sync),
) -> Result<Use<TokenHash>, Failure> {
    let key = TokenHash::from_hex(&hash).ok_or(()).map_err(corrupt)?;
    let stored = Timestamp::from_millis(used_at);
    let used_at = recent(&key).map_or(stored, |recent| recent.max(stored));
    Ok(Use { id: id.parse().map_err(corrupt)?, key, used_at })
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    user_id: String,
    client_id: String,
    grant_id: Option<String>,
    created_at: i64,
    expires_at: i64,
    used_at: Option<i64>,
    metadata: String,
}

impl Row {
    fn parse(self) -> Result<McpSession, Failure> {
        Ok(McpSession {
            id: self.id.parse().map_err(corrupt)?,
            owner: Owner {
                user: self.user_id.parse().map_err(corrupt)?,
                client: ClientId::parse(&self.client_id).ok_or(()).map_err(corrupt)?,
                grant: self.grant_id.map(|id| id.parse().map_err(corrupt)).transpose()?,
            },
            created_at: Timestamp::from_secs(self.created_at),
            expires_at: Timestamp::from_secs(self.expires_at),
            used_at: self.used_at.map(Timestamp::from_millis),
            metadata: self.metadata,
        })
    }
}
