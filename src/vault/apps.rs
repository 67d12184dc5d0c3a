//! The operator's Spotify apps: registered in the store, chosen for a login by their seats, replaced while a server
//! runs when the configuration has other ones. Their secrets are told apart by name, never by what they are.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::own_apps::own_name;
use super::{KeyRing, Vault};
use crate::ambient::{Dice, Timestamp};
use crate::domain::placement::{self, Candidate, Filled, Further};
use crate::domain::{AppId, KeyPurpose};
use crate::failure::Failure;
use crate::spotify::{AppCredentials, QuotaMode};
use crate::store::{App, Link, Store};

/// One app of the operator's.
#[derive(Clone, Debug)]
pub struct SpotifyApp {
    /// Our id for it.
    pub id: AppId,
    /// What people are told it is called.
    pub name: String,
    /// What it proves itself with.
    pub credentials: AppCredentials,
    /// The name of these credentials, see [`credentials_id`].
    pub secret_id: String,
    /// Which rules Spotify applies to it.
    pub quota: QuotaMode,
    /// How many listeners Spotify allows it.
    pub seats: Option<i64>,
    /// The developer account that it belongs to: its apps share one quota.
    pub developer: Arc<str>,
}

/// An app as the configuration says it.
#[derive(Clone, Debug)]
pub struct ConfiguredApp {
    /// What people are told it is called.
    pub name: String,
    /// What it proves itself with.
    pub credentials: AppCredentials,
    /// Which rules Spotify applies to it.
    pub quota: QuotaMode,
    /// How many listeners Spotify allows it.
    pub seats: Option<i64>,
    /// The developer account that it belongs to.
    pub developer: Arc<str>,
}

impl Allowed {
    fn places(self) -> i64 {
        self.each.map_or(i64::MAX, i64::from)
    }
}

/// A login on its way to an app.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wayfarer<'a> {
    /// The app that the person's account is linked through.
    pub home: Option<&'a AppId>,
    /// Those that this login went through before.
    pub tried: &'a [AppId],
    /// Whether an account of theirs may be linked through a full app: nobody knows before Spotify has said who it is.
    pub may_sit: bool,
}

/// All of them, at one accounts service. Cheap to clone; every clone sees what was replaced.
#[derive(Clone, Debug)]
pub struct Apps {
    accounts_url: Arc<str>,
    all: Arc<RwLock<Arc<[SpotifyApp]>>>,
    own: Arc<AtomicBool>,
    each: Arc<AtomicI64>,
}

/// What people may do about apps.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Whether they may bring their own.
    pub own: bool,
    /// How many places of an app's the accounts of one person take; `None`: as many as there are.
    pub each: Option<u32>,
}

/// Names credentials without saying them: 128 bits of an HMAC under a key of the server's own. Whoever has the name
/// cannot try secrets on it.
///
/// # Errors
/// Never with a ring that was opened.
pub fn credentials_id(ring: &KeyRing, credentials: &AppCredentials) -> Result<String, Failure> {
    let key = ring.own(KeyPurpose::ClientSecrets)?;
    let secret = credentials.client_secret.as_ref().map(|secret| secret.expose().as_bytes());
    let parts = [credentials.client_id.as_bytes(), secret.unwrap_or_default()];
    Ok(key.authenticate(&parts)[..16].iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Apps {
    /// Brings the store's rows up to date with the configuration.
    pub async fn register(
        (store, ring): (&Store, &KeyRing),
        accounts_url: &str,
        configured: Vec<ConfiguredApp>,
        allowed: Allowed,
        (now, dice): (Timestamp, &Dice),
    ) -> Result<Self, Failure> {
        let all = registered((store, ring), accounts_url, configured, (now, dice)).await?;
        let own = Arc::new(AtomicBool::new(allowed.own));
        let each = Arc::new(AtomicI64::new(allowed.places()));
        Ok(Self { accounts_url: accounts_url.into(), all: Arc::new(RwLock::new(all)), own, each })
    }

    /// The accounts service that they are registered at.
    pub fn accounts_url(&self) -> &str {
        &self.accounts_url
    }

    /// All of them, as they are now.
    pub fn all(&self) -> Arc<[SpotifyApp]> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One of them; `None` for an app that the configuration no longer names.
    pub fn get(&self, id: &AppId) -> Option<SpotifyApp> {
        self.all().iter().find(|app| app.id == *id).cloned()
    }

    /// The app that a login goes through next; `None` where there is none left for it.
    pub async fn next(&self, store: &Store, of: Wayfarer<'_>) -> Result<Option<SpotifyApp>, Failure> {
        let all = self.all();
        let at = placement::next(&candidates(&all, store, of).await?, of.may_sit);
        Ok(at.and_then(|at| all.get(at).cloned()))
    }

    /// The app in which the operator would make room for one more; `None` where all are full.
    pub async fn roomiest(&self, store: &Store) -> Result<Option<SpotifyApp>, Failure> {
        let all = self.all();
        let at = placement::roomiest(&candidates(&all, store, Wayfarer::default()).await?);
        Ok(at.and_then(|at| all.get(at).cloned()))
    }

    /// Whether one more account of a person's fits who has these.
    pub async fn room_for_further(&self, store: &Store, links: &[Link]) -> Result<Further, Failure> {
        let all = self.all();
        let candidates = candidates(&all, store, Wayfarer::default()).await?;
        let mine = |app: &SpotifyApp| links.iter().filter(|link| link.app == app.id).count() as u64;
        let apps: Vec<_> = candidates.iter().zip(&*all).map(|(of, app)| (of.filled, mine(app))).collect();
        Ok(placement::further(&apps, self.places_each().unsigned_abs()))
    }

    /// The operator's app with this client id.
    pub fn named(&self, client_id: &str) -> Option<SpotifyApp> {
        self.all().iter().find(|app| app.credentials.client_id == client_id).cloned()
    }

    /// Whether accounts may be used that are linked through this app, which is the person's own or was the operator's.
    pub fn in_use(&self, app: &AppId, own: bool) -> bool {
        self.get(app).is_some() || (own && self.own_ones_may_come())
    }

    /// Whether people may bring Spotify apps of their own.
    pub fn own_ones_may_come(&self) -> bool {
        self.own.load(Ordering::Relaxed)
    }

    /// How many places of an app with limited places the accounts of one person take.
    pub fn places_each(&self) -> i64 {
        self.each.load(Ordering::Relaxed)
    }

    /// How many places all of them have together; `None` where one has no limit.
    pub fn places(&self) -> Option<u64> {
        let places = |app: &SpotifyApp| app.seats.map(|seats| u64::try_from(seats).unwrap_or_default());
        self.all().iter().map(places).sum()
    }

    /// Puts registered apps in the place of these, and says anew what people may do.
    pub fn take_over(&self, apps: Arc<[SpotifyApp]>, allowed: Allowed) {
        self.own.store(allowed.own, Ordering::Relaxed);
        self.each.store(allowed.places(), Ordering::Relaxed);
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = apps;
    }
}

impl Vault {
    /// Registers the apps of a changed configuration; [`Apps::take_over`] puts them in use.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn register_apps(&self, configured: Vec<ConfiguredApp>) -> Result<Arc<[SpotifyApp]>, Failure> {
        let (at, url) = ((&self.0.store, &*self.0.ring), self.0.apps.accounts_url());
        registered(at, url, configured, (self.0.clock.now(), &self.0.dice)).await
    }
}

/// The apps with how full each is.
async fn candidates(all: &[SpotifyApp], store: &Store, of: Wayfarer<'_>) -> Result<Vec<Candidate>, Failure> {
    let taken = store.seats_taken_by_app().await?;
    let candidate = |app: &SpotifyApp| Candidate {
        filled: Filled {
            taken: taken.get(&app.id).copied().unwrap_or_default(),
            seats: app.seats.map(|seats| u64::try_from(seats).unwrap_or_default()),
        },
        tried: of.tried.contains(&app.id),
        home: of.home == Some(&app.id),
    };
    Ok(all.iter().map(candidate).collect())
}

async fn registered(
    (store, ring): (&Store, &KeyRing),
    accounts_url: &str,
    configured: Vec<ConfiguredApp>,
    (now, dice): (Timestamp, &Dice),
) -> Result<Arc<[SpotifyApp]>, Failure> {
    let mut all = Vec::with_capacity(configured.len());
    for ConfiguredApp { name, credentials, quota, seats, developer } in configured {
        let secret_id = credentials_id(ring, &credentials)?;
        let app = App {
            id: AppId::mint(dice.bytes()),
            accounts_url: accounts_url.to_owned(),
            client_id: credentials.client_id.clone(),
            own_name: own_name(ring, &credentials.client_id)?,
            secret_id: credentials.client_secret.is_some().then(|| secret_id.clone()),
            quota_mode: quota.name().to_owned(),
            seats,
        };
        let id = store.register_app(&app, now).await?;
        all.push(SpotifyApp { id, name, credentials, secret_id, quota, seats, developer });
    }
    let ids: Vec<&AppId> = all.iter().map(|app| &app.id).collect();
    store.retire_other_apps(accounts_url, &ids, now).await?;
    Ok(all.into())
}
