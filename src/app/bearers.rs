//! Our access tokens: what each stands for, remembered until something ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;

use crate::ambient::Timestamp;
use crate::crypto::token::{Token, TokenHash, TokenKind};
use crate::domain::UserId;
use crate::failure::Failure;
use crate::store::{AccessGrant, Store};

use super::Revocation;

/// Most tokens remembered.
const REMEMBERED: usize = 50_000;

/// Remembers what tokens stand for. Only living ones; the key is a hash.
pub struct Bearers {
    known: Cache<TokenHash, Arc<AccessGrant>>,
    /// How often everything was forgotten.
    forgotten: AtomicU64,
}

/// A token that was good when it was looked up.
pub struct Bearer {
    /// What it stands for.
    pub grant: Arc<AccessGrant>,
    hash: TokenHash,
    /// How often everything had been forgotten before.
    as_of: u64,
}

/// Why a token is not accepted.
#[derive(Debug)]
pub enum Refused {
    /// Malformed or unknown; the same as the next two to the caller, but somebody may be guessing.
    Invalid,
    /// Known, and ended by somebody.
    Over,
    /// Known, and its time is over: nobody has ended what it stands for.
    Expired,
    /// The database does not answer, so nothing can be decided.
    Unavailable(Failure),
}

impl Default for Bearers {
    fn default() -> Self {
        Self { known: Cache::new(REMEMBERED), forgotten: AtomicU64::new(0) }
    }
}

impl Bearers {
    /// What a presented token stands for.
    pub async fn look_up(
        &self,
        presented: &str,
        places: (&Store, &Revocation),
        now: Timestamp,
    ) -> Result<Bearer, Refused> {
        let hash = Token::parse(TokenKind::Access, presented).ok_or(Refused::Invalid)?.hash();
        // Before anything is read: what ends from here on is not overlooked.
        let as_of = self.forgotten.load(Ordering::Acquire);
        let grant = self.stands_for(hash, places, now).await?;
        Ok(Bearer { grant, hash, as_of })
    }

    /// Looks a token up again: as [`Bearers::look_up`] would, without its work where nothing was forgotten meanwhile.
    ///
    /// # Errors
    /// As [`Bearers::look_up`].
    pub async fn look_again(
        &self,
        bearer: &Bearer,
        places: (&Store, &Revocation),
        now: Timestamp,
    ) -> Result<(), Refused> {
        if places.1.memory_is_good() && self.forgotten.load(Ordering::Acquire) == bearer.as_of {
            return is_alive(&bearer.grant, now);
        }
        Box::pin(self.stands_for(bearer.hash, places, now)).await.map(drop)
    }

    async fn stands_for(
        &self,
        hash: TokenHash,
        (store, revocation): (&Store, &Revocation),
        now: Timestamp,
    ) -> Result<Arc<AccessGrant>, Refused> {
        if revocation.memory_is_good()
            && let Some(grant) = self.known.get(&hash)
        {
            return alive(grant, now);
        }
        let epoch = revocation.account_epoch();
        // Apart: a future holds room for all that it may wait for, and the way through here is the common one.
        let grant = Box::pin(store.access_grant(hash))
            .await
            .map_err(Refused::Unavailable)?
            .ok_or(Refused::Invalid)?;
        let grant = alive(Arc::new(grant), now)?;
        self.known.insert(hash, grant.clone());
        // Read before something ended and remembered after memory was dropped: not to be kept.
        if revocation.account_epoch() != epoch {
            self.known.remove(&hash);
        }
        Ok(grant)
    }

    /// Forgets what these people hold: their accounts have changed.
    pub fn forget_of(&self, people: &[UserId]) {
        self.known.retain(|_, grant| !people.contains(&grant.user));
        self.forgotten.fetch_add(1, Ordering::Release);
    }

    /// Forgets everything: something has ended somewhere.
    pub fn forget_all(&self) {
        self.known.clear();
        // After it: whoever has looked into memory before has an older number.
        self.forgotten.fetch_add(1, Ordering::Release);
    }
}

fn alive(grant: Arc<AccessGrant>, now: Timestamp) -> Result<Arc<AccessGrant>, Refused> {
    is_alive(&grant, now).map(|()| grant)
}

fn is_alive(grant: &AccessGrant, now: Timestamp) -> Result<(), Refused> {
    match grant.ended {
        true => Err(Refused::Over),
        false if now < grant.expires_at => Ok(()),
        false => Err(Refused::Expired),
    }
}
