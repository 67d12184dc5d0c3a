//! The operator's Spotify apps: registered in the store, chosen for newcomers by free seats.

use std::sync::Arc;

use crate::ambient::{Dice, Timestamp};
use crate::domain::AppId;
use crate::failure::Failure;
use crate::spotify::{AppCredentials, QuotaMode};
use crate::store::{App, Store};

/// One app of the operator's.
#[derive(Clone, Debug)]
pub struct SpotifyApp {
    /// Our id for it.
    pub id: AppId,
    /// What it proves itself with.
    pub credentials: AppCredentials,
    /// Which rules Spotify applies to it.
    pub quota: QuotaMode,
    /// How many listeners Spotify allows it.
    pub seats: Option<i64>,
}

/// All of them, at one accounts service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Apps {
    accounts_url: Arc<str>,
    all: Arc<[SpotifyApp]>,
}

impl Apps {
    /// Brings the store's rows up to date with the configuration.
    pub async fn register(
        store: &Store,
        accounts_url: &str,
        configured: Vec<(AppCredentials, QuotaMode, Option<i64>)>,
        dice: &Dice,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let mut all = Vec::with_capacity(configured.len());
        for (credentials, quota, seats) in configured {
            let app = App {
                id: AppId::mint(dice.bytes()),
                accounts_url: accounts_url.to_owned(),
                client_id: credentials.client_id.clone(),
                quota_mode: quota.name().to_owned(),
                seats,
            };
            let id = store.register_app(&app, now).await?;
            all.push(SpotifyApp { id, credentials, quota, seats });
        }
        Ok(Self { accounts_url: accounts_url.into(), all: all.into() })
    }

    /// The accounts service that they are registered at.
    pub fn accounts_url(&self) -> &str {
        &self.accounts_url
    }

    /// One of them; `None` for an app that the configuration no longer names.
    pub fn get(&self, id: &AppId) -> Option<&SpotifyApp> {
        self.all.iter().find(|app| app.id == *id)
    }

    /// The app for a login by somebody who may be new: the first with a free seat, else the first (people who are
    /// linked already do not need one).
    pub async fn for_newcomer(&self, store: &Store) -> Result<Option<&SpotifyApp>, Failure> {
        for app in self.all.iter() {
            let free = match app.seats {
                Some(seats) => store.seats_taken(&app.id).await? < seats,
                None => true,
            };
            if free {
                return Ok(Some(app));
            }
        }
        Ok(self.all.first())
    }
}
