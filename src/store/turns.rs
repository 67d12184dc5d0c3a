//! Whose change is under way, on any server: taken before, kept while it is written, given back after. Whoever dies in it
//! is not waited for long. By the database's clock: servers' may differ.

use std::time::Duration;

use crate::domain::UserId;
use crate::failure::Failure;

use super::{Pool, Store, writing};

impl Store {
    /// Takes the turn of this person for so long; `false` where somebody has it, or there is no such person.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn take_change_turn(
        &self,
        (user, holder): (&UserId, &str),
        lives: Duration,
    ) -> Result<bool, Failure> {
        let now = self.seconds();
        let sql = format!(
            "UPDATE users SET changing_by = $2, changing_until = {now} + $3
            WHERE id = $1 AND (changing_until IS NULL OR changing_until <= {now})"
        );
        self.changed_turn(sql, (user, holder), lives).await
    }

    /// Has it for so long from now; `false` where it is not this holder's any more.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn keep_change_turn(
        &self,
        (user, holder): (&UserId, &str),
        lives: Duration,
    ) -> Result<bool, Failure> {
        let now = self.seconds();
        let sql = format!("UPDATE users SET changing_until = {now} + $3 WHERE id = $1 AND changing_by = $2");
        self.changed_turn(sql, (user, holder), lives).await
    }

    async fn changed_turn(
        &self,
        sql: String,
        (user, holder): (&UserId, &str),
        lives: Duration,
    ) -> Result<bool, Failure> {
        let lives = i64::try_from(lives.as_secs()).unwrap_or(i64::MAX);
        let changed = writing!(self, pool => sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(user.as_str()).bind(holder).bind(lives)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(changed == 1)
    }

    /// Gives it back.
    ///
    /// # Errors
    /// Where the database fails: then it comes back by itself, in time.
    pub async fn end_change_turn(&self, (user, holder): (&UserId, &str)) -> Result<(), Failure> {
        let sql = "UPDATE users SET changing_by = NULL, changing_until = NULL
            WHERE id = $1 AND changing_by = $2";
        writing!(self, pool => sqlx::query(sql)
            .bind(user.as_str()).bind(holder)
            .execute(pool).await.map(drop))?;
        Ok(())
    }

    /// The database's own time, in seconds since 1970.
    const fn seconds(&self) -> &'static str {
        match self.pool {
            Pool::Sqlite { .. } => "unixepoch()",
            Pool::Postgres(_) => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)",
        }
    }
}
