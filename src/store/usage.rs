//! Calls per person, tool and day.

use sqlx::AssertSqlSafe;

use crate::domain::UserId;
use crate::failure::Failure;

use super::{Store, reading, transaction};

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

/// What calls are added up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageKey {
    /// The person.
    User,
    /// The tool.
    Tool,
    /// The UTC day.
    Day,
}

impl UsageKey {
    /// The column, which is its name in reports too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user_id",
            Self::Tool => "tool",
            Self::Day => "day",
        }
    }
}

/// Which calls to add up, and by what.
#[derive(Clone, Debug)]
pub struct UsageFilter {
    /// At least one, each once.
    pub by: Vec<UsageKey>,
    /// Only this person's.
    pub user: Option<UserId>,
    /// Only of this tool.
    pub tool: Option<String>,
    /// From this UTC day on, `YYYY-MM-DD`.
    pub since: Option<String>,
    /// Until the end of this UTC day.
    pub until: Option<String>,
    /// So many rows at most.
    pub limit: u32,
    /// After so many.
    pub offset: u32,
}

impl UsageFilter {
    /// All calls, by these keys.
    pub fn by(keys: &[UsageKey]) -> Self {
        let by = keys.to_vec();
        Self { by, user: None, tool: None, since: None, until: None, limit: 10_000, offset: 0 }
    }
}

/// Calls that were added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The value of each key, in the order that was asked for.
    pub keys: Vec<String>,
    /// The person's name, from Spotify (untrusted text), where they are one of the keys and it is known.
    pub name: Option<String>,
    /// Calls.
    pub calls: i64,
    /// Of these, failed ones.
    pub errors: i64,
}

/// Three keys at most, calls, errors, the person's name.
type SumRow = (String, String, String, i64, i64, Option<String>);

impl Store {
    /// Adds up calls, in the order of the keys.
    pub async fn usage(&self, filter: &UsageFilter) -> Result<Vec<Usage>, Failure> {
        let names: Vec<&str> = filter.by.iter().map(|key| key.name()).take(3).collect();
        let column = |at: usize| names.get(at).copied().unwrap_or("''");
        let (first, second, third) = (column(0), column(1), column(2));
        let name = match filter.by.contains(&UsageKey::User) {
            true => "(SELECT u.display_name FROM users u WHERE u.id = usage.user_id)",
            false => "CAST(NULL AS TEXT)",
        };
        let sql = format!(
            "SELECT {first} AS first_key, {second} AS second_key, {third} AS third_key,
                CAST(SUM(calls) AS BIGINT), CAST(SUM(errors) AS BIGINT), {name} FROM usage
            WHERE ($1 = '' OR user_id = $1) AND ($2 = '' OR tool = $2) AND day >= $3 AND ($4 = '' OR day <= $4)
            GROUP BY {0} ORDER BY {0} LIMIT $5 OFFSET $6",
            names.join(", ")
        );
        let rows: Vec<SumRow> = reading!(self, pool => sqlx::query_as(AssertSqlSafe(sql))
            .bind(filter.user.as_ref().map_or("", UserId::as_str))
            .bind(filter.tool.as_deref().unwrap_or_default())
            .bind(filter.since.as_deref().unwrap_or_default())
            .bind(filter.until.as_deref().unwrap_or_default())
            .bind(i64::from(filter.limit)).bind(i64::from(filter.offset))
            .fetch_all(pool).await)?;
        let one = |(first, second, third, calls, errors, name): SumRow| {
            let keys = [first, second, third].into_iter().take(names.len()).collect();
            Usage { keys, name: name.filter(|name| !name.is_empty()), calls, errors }
        };
        Ok(rows.into_iter().map(one).collect())
    }

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
