//! OAuth clients as an operator looks at them, in pages.

use crate::ambient::Timestamp;
use crate::domain::UserId;
use crate::failure::Failure;

use super::people::contained;
use super::{Store, corrupt, reading};

/// Which clients to list.
#[derive(Clone, Debug, Default)]
pub struct ClientsFilter {
    /// Only those that this person has connected.
    pub user: Option<UserId>,
    /// `dynamic`, `document` or `configured`.
    pub kind: Option<&'static str>,
    /// Part of a name or an id, whatever its case; empty: all.
    pub search: String,
    /// Only those that nobody has connected.
    pub unused: bool,
    /// So many at most.
    pub limit: u32,
    /// After so many.
    pub offset: u32,
}

/// A client in a list.
#[derive(Clone, Debug)]
pub struct ListedClient {
    /// Its id.
    pub id: String,
    /// How it came here.
    pub kind: String,
    /// What it calls itself: untrusted text.
    pub name: String,
    /// Where its codes may go.
    pub redirect_uris: Vec<String>,
    /// How many people have connected it.
    pub people: i64,
    /// From which address it registered, where it did.
    pub registered_from: Option<String>,
    /// Since when.
    pub created_at: Timestamp,
    /// Last use.
    pub last_used_at: Option<Timestamp>,
    /// When it is forgotten unless it is used.
    pub expires_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    kind: String,
    name: String,
    redirect_uris: String,
    people: i64,
    registered_from: Option<String>,
    created_at: i64,
    last_used_at: Option<i64>,
    expires_at: Option<i64>,
}

const LIST: &str =
    "SELECT id, kind, name, redirect_uris, people, registered_from, created_at, last_used_at, expires_at FROM (
        SELECT c.*, (SELECT COUNT(DISTINCT g.user_id) FROM grants g
            WHERE g.client_id = c.id AND g.revoked_at IS NULL AND g.expires_at > $1) AS people
        FROM clients c) AS listed
    WHERE ($2 = '' OR EXISTS (SELECT 1 FROM grants g WHERE g.client_id = listed.id AND g.user_id = $2
        AND g.revoked_at IS NULL AND g.expires_at > $1))
    AND ($3 = '' OR kind = $3)
    AND ($4 = '' OR LOWER(name) LIKE $4 ESCAPE '!' OR LOWER(id) LIKE $4 ESCAPE '!')
    AND ($5 = 0 OR people = 0)
    ORDER BY COALESCE(last_used_at, 0) DESC, created_at DESC, id LIMIT $6 OFFSET $7";

impl Store {
    /// Clients, the last used first.
    pub async fn clients(
        &self,
        filter: &ClientsFilter,
        now: Timestamp,
    ) -> Result<Vec<ListedClient>, Failure> {
        let rows: Vec<Row> = reading!(self, pool => sqlx::query_as(LIST)
            .bind(now.secs())
            .bind(filter.user.as_ref().map_or("", UserId::as_str))
            .bind(filter.kind.unwrap_or_default())
            .bind(contained(&filter.search))
            .bind(i64::from(filter.unused))
            .bind(i64::from(filter.limit)).bind(i64::from(filter.offset))
            .fetch_all(pool).await)?;
        rows.into_iter().map(Row::parse).collect()
    }
}

impl Row {
    fn parse(self) -> Result<ListedClient, Failure> {
        Ok(ListedClient {
            id: self.id,
            kind: self.kind,
            name: self.name,
            redirect_uris: serde_json::from_str(&self.redirect_uris).map_err(corrupt)?,
            people: self.people,
            registered_from: self.registered_from,
            created_at: Timestamp::from_secs(self.created_at),
            last_used_at: self.last_used_at.map(Timestamp::from_secs),
            expires_at: self.expires_at.map(Timestamp::from_secs),
        })
    }
}
