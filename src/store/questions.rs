//! Questions that wait for a person's reply: each is one session's, for minutes, and replied to once by compare-and-set.

use crate::ambient::Timestamp;
use crate::domain::asking::Reply;
use crate::domain::{QuestionId, SessionId, UserId};
use crate::failure::Failure;

use super::{Store, corrupt, lock_person, reading, transaction, writing};

/// Most questions of one person that wait: the oldest goes.
const MOST_WAITING: i64 = 20;

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It waits.
    Waiting,
    /// The reply.
    Replied(Reply),
    /// It is over, or its session is.
    Gone,
}

impl Store {
    /// Keeps a question; `false` where the person or the session is gone.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ask(
        &self,
        id: &QuestionId,
        (user, session): (&UserId, &SessionId),
        (now, expires_at): (Timestamp, Timestamp),
    ) -> Result<bool, Failure> {
        let open = "SELECT COUNT(*) FROM mcp_sessions WHERE id = $1 AND user_id = $2";
        let surplus = "DELETE FROM questions WHERE user_id = $1 AND id NOT IN
            (SELECT id FROM questions WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2)";
        let add = "INSERT INTO questions (id, user_id, session_id, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5)";
        let asked = transaction!(self, tx => {
            if !lock_person!(tx, user) {
                return Ok(false);
            }
            let open: i64 = sqlx::query_scalar(open)
                .bind(session.as_str()).bind(user.as_str())
                .fetch_one(&mut *tx).await?;
            if open == 0 {
                return Ok(false);
            }
            sqlx::query(surplus).bind(user.as_str()).bind(MOST_WAITING - 1).execute(&mut *tx).await?;
            sqlx::query(add)
                .bind(id.as_str()).bind(user.as_str()).bind(session.as_str())
                .bind(now.millis()).bind(expires_at.secs())
                .execute(&mut *tx).await?;
            true
        });
        Ok(asked)
    }

    /// Keeps the reply to a question of this session; `false` where none of it waits.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn reply(
        &self,
        id: &QuestionId,
        session: &SessionId,
        (reply, now): (Reply, Timestamp),
    ) -> Result<bool, Failure> {
        let sql = "UPDATE questions SET reply = $3
            WHERE id = $1 AND session_id = $2 AND reply IS NULL AND expires_at > $4";
        let replied = writing!(self, pool => sqlx::query(sql)
            .bind(id.as_str()).bind(session.as_str()).bind(reply.word()).bind(now.secs())
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(replied == 1)
    }

    /// What became of a question.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn asked(&self, id: &QuestionId) -> Result<Asked, Failure> {
        let sql = "SELECT reply FROM questions WHERE id = $1";
        let row: Option<(Option<String>,)> = reading!(self, pool =>
            sqlx::query_as(sql).bind(id.as_str()).fetch_optional(pool).await)?;
        match row {
            None => Ok(Asked::Gone),
            Some((None,)) => Ok(Asked::Waiting),
            Some((Some(word),)) => Ok(Asked::Replied(Reply::of(&word).ok_or(()).map_err(corrupt)?)),
        }
    }

    /// Forgets a question.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_question(&self, id: &QuestionId) -> Result<(), Failure> {
        writing!(self, pool => sqlx::query("DELETE FROM questions WHERE id = $1")
            .bind(id.as_str())
            .execute(pool).await.map(drop))?;
        Ok(())
    }
}
