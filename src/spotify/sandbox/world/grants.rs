//! Codes, grants and tokens. Tokens are kept as hashes only, as a real accounts service keeps them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::app::App;
use super::people::Person;
use super::shards::{Shards, lock};
use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::spotify::sandbox::Scopes;

/// Life of an authorization code.
pub const CODE_LIFE: Duration = Duration::from_secs(600);
/// Life of an access token.
pub const ACCESS_LIFE: Duration = Duration::from_secs(3600);
/// Life of a grant's refresh tokens, counted from the approval: 6 months (spotify.md 1.5).
pub const GRANT_LIFE: Duration = Duration::from_secs(183 * 24 * 3600);

const MOST_CODES: usize = 50_000;
const MOST_TOKENS: usize = 400_000;

/// What a person approved for an app at one moment.
pub struct Grant {
    /// The app.
    pub app: Arc<App>,
    /// The person.
    pub person: Arc<Person>,
    /// What was granted; refreshing never changes it.
    pub scopes: Scopes,
    /// When it was approved.
    pub authorized_at: Timestamp,
    /// Set when the person takes it back.
    pub revoked: AtomicBool,
}

impl Grant {
    /// Whether the person took it back.
    pub fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// Whether its refresh tokens have reached the end of their absolute life.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.authorized_at.plus(GRANT_LIFE)
    }
}

/// An access token that was issued.
#[derive(Clone)]
pub struct Access {
    /// Its grant.
    pub grant: Arc<Grant>,
    /// From when on it is worthless.
    pub expires_at: Timestamp,
}

/// A refresh token that was issued.
pub struct Refresh {
    /// Its grant.
    pub grant: Arc<Grant>,
    /// Whether a rotation put another in its place.
    pub spent: bool,
}

/// An authorization code that was issued.
#[derive(Clone, Serialize, Deserialize)]
pub struct Code {
    /// The app that may present it.
    pub client_id: String,
    /// Who approved.
    pub user: String,
    /// The redirect URI that must come again.
    pub redirect_uri: String,
    /// The PKCE challenge (S256), if there was one.
    pub challenge: Option<String>,
    /// What was approved.
    pub scopes: Scopes,
    /// When it was approved, milliseconds.
    pub approved_at: i64,
    /// The hash of the access token it gave, once used.
    #[serde(skip)]
    pub gave: Option<TokenHash>,
    /// Whether it was presented already.
    pub used: bool,
}

/// All that was granted.
pub struct Grants {
    /// By the hash of the access token.
    pub access: Shards<TokenHash, Access>,
    /// By the hash of the refresh token.
    pub refresh: Shards<TokenHash, Refresh>,
    /// By the hash of the code.
    pub codes: Mutex<HashMap<TokenHash, Code>>,
    /// What a person approved for an app, so that the same again needs no page: (client id, user id).
    pub approvals: Mutex<BTreeMap<(String, String), Scopes>>,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            access: Shards::new(MOST_TOKENS),
            refresh: Shards::new(MOST_TOKENS),
            codes: Mutex::default(),
            approvals: Mutex::default(),
        }
    }
}

impl Grants {
    /// Keeps a code; where there are too many, the expired ones go, and after that all.
    pub fn keep_code(&self, hash: TokenHash, code: Code, now: Timestamp) {
        let mut codes = lock(&self.codes);
        if codes.len() >= MOST_CODES {
            codes.retain(|_, code| now < Timestamp::from_millis(code.approved_at).plus(CODE_LIFE));
        }
        if codes.len() >= MOST_CODES {
            codes.clear();
        }
        codes.insert(hash, code);
    }

    /// Keeps the tokens of a grant.
    pub fn keep(&self, grant: &Arc<Grant>, access: TokenHash, refresh: Option<TokenHash>, now: Timestamp) {
        let expires_at = now.plus(ACCESS_LIFE);
        self.access.insert(access, Access { grant: grant.clone(), expires_at }, |old| now < old.expires_at);
        if let Some(hash) = refresh {
            self.refresh.insert(hash, Refresh { grant: grant.clone(), spent: false }, |old| !old.spent);
        }
    }

    /// Ends what a person granted: to one app, or to all. Says how many tokens died.
    pub fn revoke(&self, user: &str, client_id: Option<&str>) -> usize {
        let mut ended = 0;
        let mut end = |grant: &Grant| {
            if &*grant.person.id == user && client_id.is_none_or(|id| id == &*grant.app.client_id) {
                grant.revoked.store(true, Ordering::Release);
                ended += 1;
            }
        };
        self.access.each(|_, access| end(&access.grant));
        self.refresh.each(|_, refresh| end(&refresh.grant));
        lock(&self.approvals).retain(|(app, who), _| who != user || client_id.is_some_and(|id| id != app));
        lock(&self.codes)
            .retain(|_, code| code.user != user || client_id.is_some_and(|id| id != code.client_id));
        ended
    }
}
