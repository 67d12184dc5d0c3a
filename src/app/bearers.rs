//! Our access tokens: what each stands for, remembered until something ends.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::ambient::Timestamp;
use crate::crypto::token::{Token, TokenHash, TokenKind};
use crate::failure::Failure;
use crate::store::{AccessGrant, Store};

use super::Revocation;

/// Most tokens remembered.
const REMEMBERED: usize = 50_000;

/// Remembers what tokens stand for. Only living ones; the key is a hash.
pub struct Bearers {
    known: Cache<TokenHash, Arc<AccessGrant>>,
}

/// Why a token is not accepted.
#[derive(Debug)]
pub enum Refused {
    /// Malformed or unknown; the same as [`Refused::Over`] to the caller, but somebody may be guessing.
    Invalid,
    /// Known, and expired or ended.
    Over,
    /// The database does not answer, so nothing can be decided.
    Unavailable(Failure),
}

impl Default for Bearers {
    fn default() -> Self {
        Self { known: Cache::new(REMEMBERED) }
    }
}

impl Bearers {
    /// What a presented token stands for.
    pub async fn look_up(
        &self,
        presented: &str,
        (store, revocation): (&Store, &Revocation),
        now: Timestamp,
    ) -> Result<Arc<AccessGrant>, Refused> {
        let token = Token::parse(TokenKind::Access, presented).ok_or(Refused::Invalid)?;
        let hash = token.hash();
        if revocation.memory_is_good()
            && let Some(grant) = self.known.get(&hash)
        {
            return alive(grant, now);
        }
        let epoch = revocation.epoch();
        // Apart: a future holds room for all that it may wait for, and the way through here is the common one.
        let grant = Box::pin(store.access_grant(hash))
            .await
            .map_err(Refused::Unavailable)?
            .ok_or(Refused::Invalid)?;
        let grant = alive(Arc::new(grant), now)?;
        self.known.insert(hash, grant.clone());
        // Read before something ended and remembered after memory was dropped: not to be kept.
        if revocation.epoch() != epoch {
            self.known.remove(&hash);
        }
        Ok(grant)
    }

    /// Forgets everything: something has ended somewhere.
    pub fn forget_all(&self) {
        self.known.clear();
    }
}

fn alive(grant: Arc<AccessGrant>, now: Timestamp) -> Result<Arc<AccessGrant>, Refused> {
    if grant.ended || now >= grant.expires_at { Err(Refused::Over) } else { Ok(grant) }
}
