//! Spotify apps and their seats.

use crate::ambient::Timestamp;
use crate::domain::AppId;
use crate::failure::Failure;

use super::{Store, corrupt, reading, writing};

/// A Spotify app of the operator.
#[derive(Clone, Debug)]
pub struct App {
    /// Our id for it.
    pub id: AppId,
    /// The accounts service that it is registered at.
    pub accounts_url: String,
    /// Its client id at Spotify.
    pub client_id: String,
    /// `development`, `development_legacy` or `extended`.
    pub quota_mode: String,
    /// How many listeners Spotify allows it; `None` for no limit.
    pub seats: Option<i64>,
}

impl Store {
    /// Registers an app of the operator's configuration, or brings its row up to date.
    pub async fn register_app(&self, app: &App, now: Timestamp) -> Result<AppId, Failure> {
        let sql = "INSERT INTO spotify_apps (id, accounts_url, client_id, quota_mode, seats, touched_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (accounts_url, client_id)
            DO UPDATE SET quota_mode = excluded.quota_mode, seats = excluded.seats, touched_at = excluded.touched_at,
                retired_at = NULL
            RETURNING id";
        let id: String = writing!(self, pool => sqlx::query_scalar(sql)
            .bind(app.id.as_str()).bind(&app.accounts_url).bind(&app.client_id)
            .bind(&app.quota_mode).bind(app.seats).bind(now.secs())
            .fetch_one(pool).await)?;
        id.parse().map_err(corrupt)
    }

    /// How many listeners an app has.
    pub async fn seats_taken(&self, app: &AppId) -> Result<i64, Failure> {
        let sql = "SELECT COUNT(*) FROM linked_accounts WHERE app_id = $1";
        Ok(reading!(self, pool => sqlx::query_scalar(sql).bind(app.as_str()).fetch_one(pool).await)?)
    }
}

/// Locks an app's row, and tells whether it has a seat for this link: a free one, or the one it sits on. A
/// statement of its own asks, because only a statement that begins after the lock sees who sat down before it.
macro_rules! take_seat {
    ($tx:ident, $app:expr, $link:expr, $now:expr) => {{
        sqlx::query("UPDATE spotify_apps SET touched_at = $2 WHERE id = $1")
            .bind($app.as_str())
            .bind($now)
            .execute(&mut *$tx)
            .await?;
        let seat: Option<String> = sqlx::query_scalar(
            "SELECT id FROM spotify_apps WHERE id = $1 AND (seats IS NULL
                OR seats > (SELECT COUNT(*) FROM linked_accounts WHERE app_id = $1)
                OR EXISTS (SELECT 1 FROM linked_accounts WHERE id = $2 AND app_id = $1))",
        )
        .bind($app.as_str())
        .bind($link.as_str())
        .fetch_optional(&mut *$tx)
        .await?;
        seat.is_some()
    }};
}

pub(super) use take_seat;
