//! The only door to upstream tokens: opens them for one call, refreshes them once however many calls wait, seals
//! them again. Never hands a token to anything but a call to Spotify.

mod apps;
pub mod changes;
mod link;
mod own_apps;
mod packing;
mod proof;
mod refresh;
mod ring;
pub mod rotation;
mod seal;
mod signing;
mod standing;
pub mod turns;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::Mutex;

use crate::ambient::{Clock, Dice, Timestamp};
use crate::crypto::keys::SealingKey;
use crate::domain::event::{Event, EventCode};
use crate::domain::{DataKeyId, LinkId, UserId};
use crate::failure::Failure;
use crate::spotify::{AccessToken, Accounts, ApiError};
use crate::store::{Recorded, Store};

pub use apps::{Allowed, Apps, ConfiguredApp, SpotifyApp, Wayfarer, credentials_id};
pub use link::{LinkError, Linked, LoginAtSpotify};
pub use proof::{api_key_opens, change_opens, link_opens, login_opens, login_place, login_row};
pub use ring::{KeyRing, STILL_TAKEN, key_id};
pub use signing::{open_signing_key, seal_signing_key};
pub use standing::Standing;

/// Refresh this long before the access token dies, so that no call meets its end half way.
const EARLY: Duration = Duration::from_secs(60);

/// Links whose token is kept open, and data keys kept unwrapped.
const REMEMBERED: usize = 20_000;

/// Why an account has to be linked again: Spotify no longer knows the person's own app by what they gave.
pub const OWN_APP_REFUSED: &str = "own_app_refused";

/// Why an account has to be linked again: the app that it is linked through may not be used any more.
pub const APP_REMOVED: &str = "app_removed";

/// The developer account of the operator's apps that name none, as quotas are counted.
pub const OPERATOR: &str = "operator";

/// Locks that serialise refreshes; links share them by hash.
const STRIPES: usize = 1024;

/// The vault. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    store: Store,
    ring: Arc<KeyRing>,
    accounts: Accounts,
    apps: Apps,
    clock: Clock,
    dice: Dice,
    /// Names this server in leases, the same after a restart: a predecessor that was killed while it refreshed
    /// keeps nobody waiting.
    holder: String,
    open: Cache<LinkId, Opened>,
    /// How often something was forgotten.
    forgotten: AtomicU64,
    keys: Cache<DataKeyId, Arc<SealingKey>>,
    stripes: Vec<Mutex<()>>,
}

/// A token ready for calls.
#[derive(Clone)]
struct Opened {
    person: UserId,
    token: AccessToken,
    version: i64,
    expires_at: Timestamp,
    /// Whether Spotify said last that the list of its app does not name the account.
    unlisted: bool,
}

/// Why a call could not be made or did not succeed.
#[derive(Debug)]
pub enum CallError {
    /// Spotify's own answer.
    Api(ApiError),
    /// The person has to log in with Spotify again; the word says why.
    ReconnectRequired(String),
    /// The account was unlinked.
    Unlinked,
    /// Spotify's accounts service does not answer; the link stays.
    AccountsUnavailable {
        /// How long Spotify asks to wait.
        retry_after: Option<Duration>,
    },
    /// Whoever asked for it wants no more of it; nothing was done.
    Stopped,
    /// Unexpected.
    Failure(Failure),
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Vault {
    /// A vault over the store, for the operator's Spotify apps.
    pub fn new(
        store: Store,
        ring: Arc<KeyRing>,
        accounts: Accounts,
        apps: Apps,
        (clock, dice): (Clock, Dice),
        holder: &str,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            ring,
            accounts,
            apps,
            clock,
            dice,
            holder: holder.to_owned(),
            open: Cache::new(REMEMBERED),
            forgotten: AtomicU64::new(0),
            keys: Cache::new(REMEMBERED),
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
        }))
    }

    /// Calls Spotify as a linked account. Where Spotify no longer accepts the access token, it is refreshed once and
    /// the call is made again (a call answered with 401 has not happened).
    pub async fn call<T, F, R>(&self, link: &LinkId, call: F) -> Result<T, CallError>
    where
        F: Fn(AccessToken) -> R,
        R: Future<Output = Result<T, ApiError>>,
    {
        let as_of = self.0.forgotten.load(Ordering::Acquire);
        let mut opened = self.opened(link).await?;
        let mut answered = call(opened.token.clone()).await;
        if matches!(answered, Err(ApiError::Unauthorized)) {
            opened = self.refreshed(link, Some(opened.version)).await?;
            answered = call(opened.token.clone()).await;
        }
        // Something has ended since: of an account that was unlinked nothing is told any more.
        if self.0.forgotten.load(Ordering::Acquire) != as_of && !self.0.store.is_linked(link).await? {
            return Err(CallError::Unlinked);
        }
        let unlisted = match &answered {
            Ok(_) => false,
            Err(ApiError::NotAllowlisted) => true,
            Err(_) => opened.unlisted,
        };
        if unlisted != opened.unlisted {
            self.note_unlisted(link, opened, unlisted).await;
        }
        answered.map_err(CallError::Api)
    }

    /// Keeps whether the list of its app names an account: it is told where people and operators look.
    async fn note_unlisted(&self, link: &LinkId, opened: Opened, unlisted: bool) {
        let since = unlisted.then(|| self.0.clock.now());
        if let Err(failure) = self.0.store.mark_unlisted(link, since).await {
            tracing::warn!(cause = failure.chain(), "whether Spotify lists an account is not kept");
            return;
        }
        // Only where nobody put another token in its place meanwhile.
        if self.0.open.peek(link).is_some_and(|open| open.version == opened.version) {
            self.0.open.insert(link.clone(), Opened { unlisted, ..opened });
        }
    }

    /// Forgets every open token and key: something has ended somewhere.
    pub fn forget_all(&self) {
        self.0.open.clear();
        self.0.keys.clear();
        // After it: who has looked into memory before has an older number.
        self.0.forgotten.fetch_add(1, Ordering::Release);
    }

    /// Forgets the open tokens of these people: their accounts have changed.
    pub fn forget_of(&self, people: &[UserId]) {
        self.0.open.retain(|_, opened| !people.contains(&opened.person));
        self.0.forgotten.fetch_add(1, Ordering::Release);
    }

    /// The operator's Spotify apps.
    pub fn apps(&self) -> &Apps {
        &self.0.apps
    }

    /// The accounts service, for sending people there.
    pub fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    async fn opened(&self, link: &LinkId) -> Result<Opened, CallError> {
        let now = self.0.clock.now();
        match self.0.open.get(link) {
            Some(opened) if opened.expires_at > now.plus(EARLY) => Ok(opened),
            _ => self.refreshed(link, None).await,
        }
    }

    fn event(&self, event: Event) -> Recorded {
        Recorded::now(event, &self.0.clock, &self.0.dice)
    }

    /// Tells the trail that a stored value does not open: a damaged database, or somebody at work in it.
    async fn unreadable(&self, link: &LinkId, why: &str) -> CallError {
        let event = Event::new(EventCode::CryptDecryptFail).link(link).failed().because(why);
        match self.0.store.record(&[self.event(event)]).await {
            Ok(()) => CallError::ReconnectRequired("unreadable".to_owned()),
            Err(failure) => CallError::Failure(failure),
        }
    }
}
