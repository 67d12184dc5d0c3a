//! People's own Spotify apps: sealed with the account that is linked through one, and found by a keyed name.

use crate::failure::Failure;

use super::{Store, reading, transaction};

/// What keyed names begin with; no client id does.
pub const OWN_NAME: &str = "own:";

/// A client id of a person's own app.
#[derive(Clone)]
pub enum OwnClientId {
    /// Its envelope.
    Sealed(Vec<u8>),
    /// As a version before this one wrote it: the next start seals it.
    Unsealed(String),
}

impl std::fmt::Debug for OwnClientId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("OwnClientId(..)")
    }
}

/// A person's own app, kept with the account that is linked through it.
#[derive(Clone, Debug)]
pub struct SealedOwnApp {
    /// Its client id.
    pub client_id: OwnClientId,
    /// Its secret's envelope, where it has one.
    pub client_secret: Option<Vec<u8>>,
    /// When it came, for which both are sealed.
    pub since: i64,
}

/// A person's own app as a login brings it.
#[derive(Clone)]
pub struct BroughtApp {
    /// Its keyed name.
    pub name: String,
    /// Its client id, for telling whether it is or was the operator's: not stored.
    pub client_id: String,
    /// The envelope of its client id.
    pub sealed_id: Vec<u8>,
    /// Its secret's envelope, where it has one.
    pub client_secret: Option<Vec<u8>>,
    /// When it comes, for which both are sealed.
    pub since: i64,
}

impl std::fmt::Debug for BroughtApp {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("BroughtApp(..)")
    }
}

impl BroughtApp {
    /// Sealed client id, sealed secret and time, as a link's columns.
    pub(super) fn columns(own: Option<&Self>) -> (Option<&[u8]>, Option<&[u8]>, Option<i64>) {
        let secret = own.and_then(|own| own.client_secret.as_deref());
        (own.map(|own| &own.sealed_id[..]), secret, own.map(|own| own.since))
    }
}

/// A link whose app's client id a version before this one wrote.
#[derive(Clone, sqlx::FromRow)]
pub struct UnsealedLink {
    /// The link.
    pub id: String,
    /// Whose.
    pub user_id: String,
    /// The key that its tokens are sealed under.
    pub data_key_id: String,
    /// The client id.
    pub own_client_id: String,
    /// When it came.
    pub own_app_since: i64,
}

/// A link with the envelope that takes the client id's place.
pub type SealedAnew = (UnsealedLink, Vec<u8>);

/// An app that a version before this one wrote by its client id.
#[derive(Clone, sqlx::FromRow)]
pub struct UnnamedApp {
    /// Our id for it.
    pub id: String,
    /// The accounts service that it is registered at.
    pub accounts_url: String,
    /// Its client id.
    pub client_id: String,
}

impl Store {
    /// What a version before this one wrote of people's own apps.
    pub async fn unsealed_own_apps(&self) -> Result<(Vec<UnsealedLink>, Vec<UnnamedApp>), Failure> {
        let links =
            "SELECT id, user_id, data_key_id, own_client_id, COALESCE(own_app_since, 0) AS own_app_since
            FROM linked_accounts WHERE own_client_id IS NOT NULL AND data_key_id IS NOT NULL ORDER BY id";
        let apps = "SELECT id, accounts_url, client_id FROM spotify_apps
            WHERE brought_at IS NOT NULL AND client_id NOT LIKE 'own:%' ORDER BY id";
        let links = reading!(self, pool => sqlx::query_as(links).fetch_all(pool).await)?;
        Ok((links, reading!(self, pool => sqlx::query_as(apps).fetch_all(pool).await)?))
    }

    /// Puts envelopes and keyed names in the place of these, all of them or none; what somebody else changed meanwhile
    /// stays. Their text goes from the files too.
    pub async fn seal_own_apps(
        &self,
        links: &[SealedAnew],
        apps: &[(UnnamedApp, String)],
    ) -> Result<(), Failure> {
        let seal = "UPDATE linked_accounts SET sealed_client_id = $5, own_client_id = NULL
            WHERE id = $1 AND data_key_id = $2 AND own_client_id = $3 AND COALESCE(own_app_since, 0) = $4";
        let count = "UPDATE data_keys SET seal_count = seal_count + 1 WHERE id = $1";
        let moved = "UPDATE linked_accounts SET app_id = (SELECT n.id FROM spotify_apps n
                WHERE n.accounts_url = $2 AND n.client_id = $3)
            WHERE app_id = $1 AND EXISTS (SELECT 1 FROM spotify_apps n
                WHERE n.accounts_url = $2 AND n.client_id = $3)";
        let drop = "DELETE FROM spotify_apps WHERE id = $1 AND EXISTS (SELECT 1 FROM spotify_apps n
            WHERE n.accounts_url = $2 AND n.client_id = $3)";
        let name = "UPDATE spotify_apps SET client_id = $2 WHERE id = $1 AND brought_at IS NOT NULL";
        transaction!(self, tx => {
            for (link, sealed) in links {
                // The key before the link: the order in which a rotation locks them.
                sqlx::query(count).bind(&link.data_key_id).execute(&mut *tx).await?;
                sqlx::query(seal)
                    .bind(&link.id).bind(&link.data_key_id).bind(&link.own_client_id).bind(link.own_app_since)
                    .bind(&sealed[..])
                    .execute(&mut *tx).await?;
            }
            for (app, named) in apps {
                for sql in [moved, drop] {
                    sqlx::query(sql).bind(&app.id).bind(&app.accounts_url).bind(named)
                        .execute(&mut *tx).await?;
                }
                sqlx::query(name).bind(&app.id).bind(named).execute(&mut *tx).await?;
            }
        });
        self.empty_log().await;
        Ok(())
    }
}

/// The row of a person's own app: theirs alone, or that of others who bring the same one. `None` where it is in use as the
/// operator's; one that was the operator's is brought under the name that it has.
macro_rules! bring_app {
    ($tx:ident, $id:expr, $accounts_url:expr, $own:expr, $now:expr) => {{
        let operators: Option<String> =
            sqlx::query_scalar("SELECT id FROM spotify_apps WHERE accounts_url = $1 AND client_id = $2")
                .bind($accounts_url)
                .bind(&$own.client_id)
                .fetch_optional(&mut *$tx)
                .await?;
        let id: Option<String> = match operators {
            Some(id) => {
                sqlx::query_scalar(
                    "UPDATE spotify_apps SET touched_at = $2
                    WHERE id = $1 AND (brought_at IS NOT NULL OR retired_at IS NOT NULL) RETURNING id",
                )
                .bind(id)
                .bind($now)
                .fetch_optional(&mut *$tx)
                .await?
            }
            None => sqlx::query_scalar(
                "INSERT INTO spotify_apps (id, accounts_url, client_id, quota_mode, touched_at, brought_at)
                    VALUES ($1, $2, $3, 'development', $4, $4)
                    ON CONFLICT (accounts_url, client_id) DO UPDATE SET touched_at = excluded.touched_at
                    RETURNING id",
            )
            .bind($id.as_str())
            .bind($accounts_url)
            .bind(&$own.name)
            .bind($now)
            .fetch_optional(&mut *$tx)
            .await?,
        };
        id
    }};
}

pub(super) use bring_app;
