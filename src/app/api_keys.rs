//! API keys: what each stands for, remembered until something ends, and when each was used last.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;

use crate::ambient::Timestamp;
use crate::crypto::Key;
use crate::crypto::token::{Token, TokenHash, TokenKind};
use crate::domain::{ApiKeyId, UserId};
use crate::failure::Failure;
use crate::store::{KeyGrant, Store};
use crate::vault::{KeyRing, open_signing_key};

use super::{Refused, Revocation};

/// Most keys remembered, by each of the two ways.
const REMEMBERED: usize = 10_000;

/// How exactly the last use is kept.
const USE_EVERY: Duration = Duration::from_secs(60);

/// Remembers what keys stand for. Only living ones, never the key itself.
pub struct ApiKeys {
    known: Cache<TokenHash, Arc<KnownKey>>,
    signers: Cache<ApiKeyId, Arc<KnownKey>>,
    used: Mutex<HashMap<ApiKeyId, Timestamp>>,
}

/// A living key.
pub struct KnownKey {
    /// What it stands for.
    pub grant: KeyGrant,
    /// What its signatures are checked with; only where it was looked up as a signer and can sign.
    pub signing: Option<Key>,
    noted_at: AtomicI64,
}

impl Default for ApiKeys {
    fn default() -> Self {
        let used = Mutex::new(HashMap::new());
        Self { known: Cache::new(REMEMBERED), signers: Cache::new(REMEMBERED), used }
    }
}

impl ApiKeys {
    /// What a presented key stands for. One with a typo is told without the database.
    pub async fn look_up(
        &self,
        presented: &str,
        (store, revocation): (&Store, &Revocation),
        now: Timestamp,
    ) -> Result<Arc<KnownKey>, Refused> {
        let hash = Token::parse(TokenKind::ApiKey, presented).ok_or(Refused::Invalid)?.hash();
        if let Some(known) = self.known.get(&hash).filter(|_| revocation.memory_is_good()) {
            return alive(known, now);
        }
        let epoch = revocation.account_epoch();
        let grant =
            Box::pin(store.key_grant(hash)).await.map_err(Refused::Unavailable)?.ok_or(Refused::Invalid)?;
        let known = alive(Arc::new(KnownKey { grant, signing: None, noted_at: AtomicI64::new(0) }), now)?;
        self.known.insert(hash, known.clone());
        // Read before something ended and remembered after memory was dropped: not to be kept.
        if revocation.account_epoch() != epoch {
            self.known.remove(&hash);
        }
        Ok(known)
    }

    /// The key that a signature names, with what the signature is checked with. Proves nothing by itself.
    pub async fn signer(
        &self,
        id: &ApiKeyId,
        (store, revocation, keys): (&Store, &Revocation, &KeyRing),
        now: Timestamp,
    ) -> Result<Arc<KnownKey>, Refused> {
        if let Some(known) = self.signers.get(id).filter(|_| revocation.memory_is_good()) {
            return alive(known, now);
        }
        let epoch = revocation.account_epoch();
        let mut grant = signer_grant(store, id).await?;
        let mut signing = Box::pin(open_signing_key(store, keys, &grant)).await;
        if signing.is_err() {
            // It may have been sealed under another data key between the two readings.
            let now = signer_grant(store, id).await?;
            if now.signing != grant.signing {
                signing = Box::pin(open_signing_key(store, keys, &now)).await;
                grant = now;
            }
        }
        let signing = signing.map_err(Refused::Unavailable)?;
        let known = alive(Arc::new(KnownKey { grant, signing, noted_at: AtomicI64::new(0) }), now)?;
        self.signers.insert(id.clone(), known.clone());
        if revocation.account_epoch() != epoch {
            self.signers.remove(id);
        }
        Ok(known)
    }

    /// Notes that a key was used, at most once a minute, to be written down later: never the caller's wait.
    pub fn note_use(&self, key: &KnownKey, now: Timestamp) {
        let noted_at = Timestamp::from_millis(key.noted_at.load(Ordering::Relaxed));
        if now.since(noted_at) >= USE_EVERY {
            key.noted_at.store(now.millis(), Ordering::Relaxed);
            self.lock().insert(key.grant.id.clone(), now);
        }
    }

    /// Writes down the uses that were noted; those that the database refuses wait for the next time.
    pub(super) async fn write_uses(&self, store: &Store) -> Result<(), Failure> {
        let used: Vec<_> = std::mem::take(&mut *self.lock()).into_iter().collect();
        if used.is_empty() {
            return Ok(());
        }
        let written = store.touch_api_keys(&used).await;
        if written.is_err() {
            let mut waiting = self.lock();
            for (id, at) in used {
                waiting.entry(id).or_insert(at);
            }
        }
        written
    }

    /// Forgets what these people hold: their accounts have changed.
    pub fn forget_of(&self, people: &[UserId]) {
        self.known.retain(|_, known| !people.contains(&known.grant.user));
        self.signers.retain(|_, known| !people.contains(&known.grant.user));
    }

    /// Forgets everything: something has ended somewhere.
    pub fn forget_all(&self) {
        self.known.clear();
        self.signers.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ApiKeyId, Timestamp>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn signer_grant(store: &Store, id: &ApiKeyId) -> Result<KeyGrant, Refused> {
    Box::pin(store.key_grant_by_id(id)).await.map_err(Refused::Unavailable)?.ok_or(Refused::Invalid)
}

fn alive(key: Arc<KnownKey>, now: Timestamp) -> Result<Arc<KnownKey>, Refused> {
    let expired = key.grant.expires_at.is_some_and(|end| now >= end);
    match key.grant.ended {
        true => Err(Refused::Over),
        false if expired => Err(Refused::Expired),
        false => Ok(key),
    }
}
