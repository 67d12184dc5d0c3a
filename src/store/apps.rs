//! Spotify apps and their seats.

use std::collections::BTreeMap;

use crate::ambient::Timestamp;
use crate::domain::AppId;
use crate::failure::Failure;

use super::{Store, corrupt, reading, transaction, writing};

/// A Spotify app of the operator.
#[derive(Clone, Debug)]
pub struct App {
    /// Our id for it.
    pub id: AppId,
    /// The accounts service that it is registered at.
    pub accounts_url: String,
    /// Its client id at Spotify.
    pub client_id: String,
    /// What stands in its place where the app is a person's own.
    pub own_name: String,
    /// The name of its client secret; `None` for an app without one.
    pub secret_id: Option<String>,
    /// `development`, `development_legacy` or `extended`.
    pub quota_mode: String,
    /// How many listeners Spotify allows it; `None` for no limit.
    pub seats: Option<i64>,
}

/// An app of the operator's as it is stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AppRow {
    /// Our id for the app.
    pub id: String,
    /// The accounts service that it is registered at.
    pub accounts_url: String,
    /// Its client id at Spotify.
    pub client_id: String,
    /// Names the secret that servers use; `None`: the app has none.
    pub secret_id: Option<String>,
    /// Since when they use it.
    pub secret_since: Option<i64>,
    /// Names the one before it.
    pub former_secret_id: Option<String>,
    /// Since when the configuration does not name the app any more.
    pub retired_at: Option<i64>,
}

/// A Spotify app with how many accounts are linked through it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AppInUse {
    /// Our id for the app.
    pub id: String,
    /// Its client id at Spotify; of a person's own the keyed name, which ends as that does.
    pub client_id: String,
    /// As the configuration says it.
    pub quota_mode: String,
    /// How many listeners Spotify allows it; `None` for no limit.
    pub seats: Option<i64>,
    /// Since when somebody brought it as their own.
    pub brought_at: Option<i64>,
    /// Since when the configuration does not name the operator's app any more.
    pub retired_at: Option<i64>,
    /// How many accounts are linked through it.
    pub linked: i64,
    /// How many of them the app's list at Spotify does not name.
    pub unlisted: i64,
}

impl AppInUse {
    /// Whether it is a person's own.
    pub const fn is_own(&self) -> bool {
        self.brought_at.is_some()
    }

    /// Whether it was the operator's, and is not any more.
    pub const fn is_removed(&self) -> bool {
        self.retired_at.is_some() && !self.is_own()
    }
}

impl Store {
    /// Registers an app of the operator's configuration, or brings its row up to date.
    pub async fn register_app(&self, app: &App, now: Timestamp) -> Result<AppId, Failure> {
        let sql = "INSERT INTO spotify_apps
                (id, accounts_url, client_id, quota_mode, seats, touched_at, secret_id, secret_since)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (accounts_url, client_id)
            DO UPDATE SET quota_mode = excluded.quota_mode, seats = excluded.seats, touched_at = excluded.touched_at,
                retired_at = NULL, brought_at = NULL, secret_id = excluded.secret_id,
                secret_since = CASE WHEN spotify_apps.secret_id IS DISTINCT FROM excluded.secret_id
                    THEN excluded.secret_since ELSE spotify_apps.secret_since END,
                former_secret_id = CASE WHEN spotify_apps.secret_id IS DISTINCT FROM excluded.secret_id
                    THEN COALESCE(spotify_apps.secret_id, spotify_apps.former_secret_id)
                    ELSE spotify_apps.former_secret_id END
            RETURNING id";
        // Somebody brought it before the operator had it.
        let known = "UPDATE spotify_apps SET client_id = $2 WHERE accounts_url = $1 AND client_id = $3
            AND NOT EXISTS (SELECT 1 FROM spotify_apps o WHERE o.accounts_url = $1 AND o.client_id = $2)";
        let id: String = transaction!(self, tx => {
            sqlx::query(known).bind(&app.accounts_url).bind(&app.client_id).bind(&app.own_name)
                .execute(&mut *tx).await?;
            sqlx::query_scalar(sql)
                .bind(app.id.as_str()).bind(&app.accounts_url).bind(&app.client_id)
                .bind(&app.quota_mode).bind(app.seats).bind(now.secs())
                .bind(&app.secret_id).bind(app.secret_id.as_ref().map(|_| now.secs()))
                .fetch_one(&mut *tx).await?
        });
        id.parse().map_err(corrupt)
    }

    /// Retires the operator's apps at an accounts service that are not among these.
    pub async fn retire_other_apps(
        &self,
        accounts_url: &str,
        kept: &[&AppId],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let others = "SELECT id FROM spotify_apps
            WHERE accounts_url = $1 AND brought_at IS NULL AND retired_at IS NULL";
        let retire = "UPDATE spotify_apps SET retired_at = $2 WHERE id = $1";
        let ids: Vec<String> =
            reading!(self, pool => sqlx::query_scalar(others).bind(accounts_url).fetch_all(pool).await)?;
        for id in ids.iter().filter(|id| !kept.iter().any(|kept| kept.as_str() == *id)) {
            writing!(self, pool => sqlx::query(retire).bind(id).bind(now.secs()).execute(pool).await.map(drop))?;
        }
        Ok(())
    }

    /// Removes apps that people brought and through which no account is linked any more. By itself, because somebody may
    /// link one through such an app at this moment: then it fails, and is tried again with the next purge.
    pub(super) async fn drop_unused_apps(&self) {
        let sql = "DELETE FROM spotify_apps WHERE brought_at IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM linked_accounts WHERE app_id = spotify_apps.id)";
        let done: Result<(), Failure> = async {
            writing!(self, pool => sqlx::query(sql).execute(pool).await.map(drop))?;
            Ok(())
        }
        .await;
        if let Err(failure) = done {
            tracing::warn!(cause = failure.chain(), "unused apps are not removed yet");
        }
    }

    /// The operator's apps, each with the name of the secret that servers use.
    pub async fn operators_apps(&self) -> Result<Vec<AppRow>, Failure> {
        let sql = "SELECT id, accounts_url, client_id, secret_id, secret_since, former_secret_id, retired_at
            FROM spotify_apps WHERE brought_at IS NULL ORDER BY client_id, accounts_url";
        Ok(reading!(self, pool => sqlx::query_as(sql).fetch_all(pool).await)?)
    }

    /// All apps, the operator's first.
    pub async fn apps_in_use(&self) -> Result<Vec<AppInUse>, Failure> {
        let sql = "SELECT a.id, a.client_id, a.quota_mode, a.seats, a.brought_at, a.retired_at, COUNT(l.id) AS linked,
                COUNT(l.unlisted_since) AS unlisted
            FROM spotify_apps a LEFT JOIN linked_accounts l ON l.app_id = a.id
            GROUP BY a.id, a.client_id, a.quota_mode, a.seats, a.brought_at, a.retired_at
            ORDER BY a.brought_at IS NOT NULL, a.client_id, a.id LIMIT 10000";
        Ok(reading!(self, pool => sqlx::query_as(sql).fetch_all(pool).await)?)
    }

    /// How many accounts are linked through an app, and how many people's they are.
    pub async fn links_through(&self, accounts_url: &str, client_id: &str) -> Result<(i64, i64), Failure> {
        let sql = "SELECT COUNT(*), COUNT(DISTINCT l.user_id) FROM linked_accounts l
            JOIN spotify_apps a ON a.id = l.app_id WHERE a.accounts_url = $1 AND a.client_id = $2";
        Ok(reading!(self, pool => sqlx::query_as(sql)
            .bind(accounts_url).bind(client_id).fetch_one(pool).await)?)
    }

    /// How many accounts are linked through each app that has seats; none of one through which none is.
    pub async fn seats_taken_by_app(&self) -> Result<BTreeMap<AppId, u64>, Failure> {
        let sql = "SELECT app_id, COUNT(*) FROM linked_accounts
            WHERE app_id IN (SELECT id FROM spotify_apps WHERE seats IS NOT NULL) GROUP BY app_id";
        let rows: Vec<(String, i64)> = reading!(self, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        let row = |(app, taken): (String, i64)| Ok((app.parse().map_err(corrupt)?, taken.unsigned_abs()));
        rows.into_iter().map(row).collect()
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
    ($tx:ident, $save:expr, $link:expr, $person:expr, $now:expr) => {{
        sqlx::query("UPDATE spotify_apps SET touched_at = $2 WHERE id = $1")
            .bind($save.app.as_str())
            .bind($now)
            .execute(&mut *$tx)
            .await?;
        let person: Option<&str> = $person;
        let (free, mine): (i64, i64) = sqlx::query_as($crate::store::apps::ROOM)
            .bind($save.app.as_str())
            .bind($link.as_str())
            .bind(person)
            .fetch_optional(&mut *$tx)
            .await?
            .unwrap_or_default();
        match free {
            0 => Err($crate::store::Saved::NoSeat),
            1 if mine >= $save.places_each => Err($crate::store::Saved::HasEnough),
            _ => Ok($save.app.to_string()),
        }
    }};
}

/// 2 where the link sits there or nobody counts, 1 where a seat is free, else 0; and how many others of the person sit there.
pub(super) const ROOM: &str = "SELECT CAST(CASE
        WHEN a.seats IS NULL OR EXISTS (SELECT 1 FROM linked_accounts WHERE id = $2 AND app_id = $1) THEN 2
        WHEN a.seats > (SELECT COUNT(*) FROM linked_accounts WHERE app_id = $1) THEN 1
        ELSE 0 END AS BIGINT),
        (SELECT COUNT(*) FROM linked_accounts WHERE app_id = $1
            AND user_id = COALESCE($3, (SELECT user_id FROM linked_accounts WHERE id = $2)))
    FROM spotify_apps a WHERE a.id = $1";

/// Where a link goes: the person's own app, or a seat of the operator's. `person`, where the link is not there yet.
macro_rules! place {
    ($tx:ident, $save:expr, $link:expr, $person:expr, $now:expr) => {
        match &$save.own {
            Some(own) => {
                bring_app!($tx, $save.app, &$save.accounts_url, own, $now).ok_or($crate::store::Saved::NoSeat)
            }
            None => take_seat!($tx, $save, $link, $person, $now),
        }
    };
}

pub(super) use {place, take_seat};
