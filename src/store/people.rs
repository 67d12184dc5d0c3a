//! People as an operator looks at them: listed in pages, and everything that is held of one, without what opens anything.

use sqlx::{AssertSqlSafe, Row as _};

use crate::ambient::Timestamp;
use crate::domain::UserId;
use crate::failure::Failure;

use super::{Store, corrupt, reading};

/// Which people to list.
#[derive(Clone, Debug, Default)]
pub struct PeopleFilter {
    /// Part of a name or a Spotify id, or the beginning of an id of ours, whatever its case; empty: everybody.
    pub search: String,
    /// Only the disabled, or only the others.
    pub disabled: Option<bool>,
    /// So many at most.
    pub limit: u32,
    /// After so many.
    pub offset: u32,
}

/// A person in a list.
#[derive(Clone, Debug)]
pub struct ListedPerson {
    /// Our id.
    pub id: UserId,
    /// From Spotify: untrusted text.
    pub display_name: String,
    /// Spotify's user ids of the linked accounts.
    pub spotify_user_ids: Vec<String>,
    /// Living sessions, of browsers and of 2025-era clients.
    pub sessions: i64,
    /// First login.
    pub created_at: Timestamp,
    /// Last login.
    pub last_seen_at: Timestamp,
    /// Since when an administrator keeps them out.
    pub disabled_at: Option<Timestamp>,
}

/// Id, name, since, last seen, disabled, sessions.
type Row = (String, String, i64, i64, Option<i64>, i64);

const LIST: &str = "SELECT u.id, u.display_name, u.created_at, u.last_seen_at, u.disabled_at,
        (SELECT COUNT(*) FROM browser_sessions b WHERE b.user_id = u.id AND b.revoked_at IS NULL AND b.expires_at > $1)
        + (SELECT COUNT(*) FROM mcp_sessions m LEFT JOIN grants g ON g.id = m.grant_id
            WHERE m.user_id = u.id AND m.expires_at > $1 AND g.revoked_at IS NULL) AS sessions
    FROM users u
    WHERE ($2 = '' OR LOWER(u.display_name) LIKE $2 ESCAPE '!' OR u.id LIKE $6 ESCAPE '!' OR EXISTS (
        SELECT 1 FROM linked_accounts l WHERE l.user_id = u.id
        AND (LOWER(l.spotify_user_id) LIKE $2 ESCAPE '!' OR LOWER(l.identity) LIKE $2 ESCAPE '!')))
    AND ($3 < 0 OR (u.disabled_at IS NOT NULL AND $3 = 1) OR (u.disabled_at IS NULL AND $3 = 0))
    ORDER BY u.created_at, u.id LIMIT $4 OFFSET $5";

impl Store {
    /// People, the first to come first.
    pub async fn people(&self, filter: &PeopleFilter, now: Timestamp) -> Result<Vec<ListedPerson>, Failure> {
        let search = contained(&filter.search);
        let disabled = filter.disabled.map_or(-1_i64, i64::from);
        let rows: Vec<Row> = reading!(self, pool => sqlx::query_as(LIST)
            .bind(now.secs()).bind(&search).bind(disabled)
            .bind(i64::from(filter.limit)).bind(i64::from(filter.offset))
            .bind(search.strip_prefix('%').unwrap_or_default())
            .fetch_all(pool).await)?;
        let mut accounts = self.spotify_ids(&rows).await?.into_iter().peekable();
        let mut people = Vec::with_capacity(rows.len());
        for (id, display_name, created_at, last_seen_at, disabled_at, sessions) in rows {
            let mut spotify_user_ids = Vec::new();
            while let Some((_, spotify)) = accounts.next_if(|(user, _)| *user == id) {
                spotify_user_ids.push(spotify);
            }
            people.push(ListedPerson {
                id: id.parse().map_err(corrupt)?,
                display_name,
                spotify_user_ids,
                sessions,
                created_at: Timestamp::from_secs(created_at),
                last_seen_at: Timestamp::from_secs(last_seen_at),
                disabled_at: disabled_at.map(Timestamp::from_secs),
            });
        }
        Ok(people)
    }

    /// Whose linked account has which id at Spotify, in the order of these people.
    async fn spotify_ids(&self, people: &[Row]) -> Result<Vec<(String, String)>, Failure> {
        let (Some(first), Some(last)) = (people.first(), people.last()) else { return Ok(Vec::new()) };
        let (from, to) = ((first.2, first.0.as_str()), (last.2, last.0.as_str()));
        // The whole stretch of the list, in its order; those in between that a filter left out are skipped below.
        let sql =
            "SELECT l.user_id, l.spotify_user_id FROM linked_accounts l JOIN users u ON u.id = l.user_id
            WHERE (u.created_at > $1 OR (u.created_at = $1 AND u.id >= $2))
            AND (u.created_at < $3 OR (u.created_at = $3 AND u.id <= $4))
            ORDER BY u.created_at, u.id, l.created_at, l.id";
        let rows: Vec<(String, String)> = reading!(self, pool => sqlx::query_as(sql)
            .bind(from.0).bind(from.1).bind(to.0).bind(to.1)
            .fetch_all(pool).await)?;
        let mut listed = people.iter().map(|row| row.0.as_str()).collect::<Vec<_>>();
        listed.sort_unstable();
        Ok(rows.into_iter().filter(|(user, _)| listed.binary_search(&user.as_str()).is_ok()).collect())
    }

    /// Every value of these columns of a person's rows, as text; `None` where there is none. For whoever asks what is
    /// held of them: `columns` and `from` are this program's own words, with the person's id as `$1`.
    pub(super) async fn held(
        &self,
        columns: &[&str],
        from: &str,
        user: &UserId,
    ) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let columns: Vec<_> = columns.iter().map(|column| format!("CAST({column} AS TEXT)")).collect();
        let sql = format!("SELECT {} FROM {from} LIMIT {MOST_HELD}", columns.join(", "));
        let rows = reading!(self, pool => {
            let rows = sqlx::query(AssertSqlSafe(sql)).bind(user.as_str()).fetch_all(pool).await?;
            let values = rows.iter().map(|row| (0..columns.len()).map(|at| row.try_get(at)).collect());
            values.collect::<Result<Vec<Vec<Option<String>>>, sqlx::Error>>()
        })?;
        Ok(rows)
    }
}

/// No more rows of one kind are given.
const MOST_HELD: u32 = 100_000;

/// A pattern for what contains this text in lower case; empty where it is.
pub(super) fn contained(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let escaped: String = text
        .to_lowercase()
        .chars()
        .flat_map(|c| if matches!(c, '%' | '_' | '!') { vec!['!', c] } else { vec![c] })
        .collect();
    format!("%{escaped}%")
}
