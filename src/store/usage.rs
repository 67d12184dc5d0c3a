//! Calls per person, tool and day.

use crate::domain::UserId;
use crate::failure::Failure;

use super::{Store, transaction};

/// Calls to add.
#[derive(Clone, Debug)]
pub struct UsageRow {
    /// Whose.
    pub user: UserId,
    /// UTC date, `YYYY-MM-DD`.
    pub day: String,
    /// The tool.
    pub tool: String,
    /// Calls.
    pub calls: i64,
    /// Of these, failed ones.
    pub errors: i64,
}

impl Store {
    /// Adds to the counts. Rows of people who are gone are left out.
    pub async fn add_usage(&self, rows: &[UsageRow]) -> Result<(), Failure> {
        let sql = "INSERT INTO usage (user_id, day, tool, calls, errors)
            SELECT $1, $2, $3, $4, $5 WHERE EXISTS (SELECT 1 FROM users WHERE id = $1)
            ON CONFLICT (user_id, day, tool)
            DO UPDATE SET calls = usage.calls + excluded.calls, errors = usage.errors + excluded.errors";
        // In one order for all nodes, so that two never wait for each other's rows in a ring.
        let mut rows: Vec<_> = rows.iter().collect();
        rows.sort_by_key(|row| (&row.user, &row.day, &row.tool));
        transaction!(self, tx => {
            for row in &rows {
                sqlx::query(sql)
                    .bind(row.user.as_str()).bind(&row.day).bind(&row.tool).bind(row.calls).bind(row.errors)
                    .execute(&mut *tx).await?;
            }
        });
        Ok(())
    }
}
