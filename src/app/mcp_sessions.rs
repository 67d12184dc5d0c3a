//! Sessions of 2025-era clients (`Mcp-Session-Id`): opened, checked on every request, ended; the record is in the
//! store, so any node serves any session.
//!
//! A session says who opened it, never who calls: callers come authenticated (mcp.md R7, R16). Everything that is
//! wrong with an id is the same answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;

use crate::ambient::{Clock, Dice, Timestamp};
use crate::config;
use crate::crypto::token::{Token, TokenHash, TokenKind};
use crate::domain::asking::Offers;
use crate::domain::event::{Event, EventCode};
use crate::domain::mcp_session::{Lifetimes, Owner, UNUSED};
use crate::domain::{SessionId, UserId};
use crate::failure::Failure;
use crate::store::{FirstUse, McpSession, NewMcpSession, Recorded, Store, Touched};

use super::{Limits, Questions, Revocation};

/// Most sessions remembered; the others are read from the store on each use.
const REMEMBERED: usize = 50_000;

/// How often uses are stored, at most and at least.
const NOTED_WITHIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Sessions that one person may have opened and never used, at least; otherwise four times those in use.
const MOST_UNUSED: u32 = 50;

/// Opens, checks and ends sessions.
pub struct McpSessions {
    store: Store,
    revocation: Arc<Revocation>,
    clock: Clock,
    dice: Dice,
    /// How long one lives at most, whatever its use.
    absolute: Duration,
    limits: Arc<Limits>,
    known: Cache<TokenHash, Arc<Known>>,
    questions: Questions,
    /// Uses that are not stored yet.
    uses: Mutex<HashMap<TokenHash, Touched>>,
}

/// A live session that was used.
struct Known {
    id: SessionId,
    offers: Offers,
    owner: Owner,
    created_at: Timestamp,
    used_at: AtomicI64,
}

/// Why a session does not hold.
#[derive(Debug)]
pub enum NoSession {
    /// Unknown, malformed, expired, evicted, ended, somebody else's: all the same to the caller.
    Unknown,
    /// The database does not answer, so nothing can be decided.
    Unavailable(Failure),
}

impl McpSessions {
    pub(super) fn new(
        (limits, lifetimes): (Arc<Limits>, &config::Lifetimes),
        store: Store,
        revocation: Arc<Revocation>,
        (clock, dice): (Clock, Dice),
    ) -> Self {
        Self {
            questions: Questions::new(store.clone(), clock.clone(), dice.clone()),
            store,
            revocation,
            clock,
            dice,
            absolute: lifetimes.mcp_session,
            limits,
            known: Cache::new(REMEMBERED),
            uses: Mutex::default(),
        }
    }

    /// Opens a session for a caller; `metadata` is JSON of what the client says of itself, bounded by the caller.
    /// Returns what the client is to send from now on.
    pub async fn open(&self, owner: &Owner, metadata: String) -> Result<(SessionId, Token), Failure> {
        let now = self.clock.now();
        let token = Token::mint(TokenKind::McpSession, &self.dice.bytes());
        let id = SessionId::mint(self.dice.bytes());
        let session = NewMcpSession {
            id: id.clone(),
            hash: token.hash(),
            owner: owner.clone(),
            metadata,
            now,
            expires_at: now.plus(UNUSED).min(self.lifetimes().end(now, now)),
            most_unused: match self.limits.config().mcp_connections_per_user {
                0 => i64::from(i32::MAX),
                most => i64::from(most.saturating_mul(4).max(MOST_UNUSED)),
            },
        };
        self.store.open_mcp_session(&session).await?;
        Ok((id, token))
    }

    /// What is asked of people through their sessions.
    pub const fn questions(&self) -> &Questions {
        &self.questions
    }

    /// Whether what a client sent is a live session of the caller's, and what that client can show; counts as its use.
    ///
    /// # Errors
    /// One and the same for everything that is wrong with it, after one reading of the store.
    pub async fn check(&self, presented: &str, owner: &Owner) -> Result<(SessionId, Offers), NoSession> {
        let (hash, now) = (TokenHash::of(presented), self.clock.now());
        if self.revocation.memory_is_good()
            && let Some(known) = self.known.get(&hash)
            && known.owner.admits(owner)
            && now < self.lifetimes().end(known.created_at, known.used_at())
        {
            self.note(hash, &known, now);
            return Ok((known.id.clone(), known.offers));
        }
        let epoch = self.revocation.session_epoch();
        let session = Box::pin(self.live(hash, owner, now)).await?;
        if session.used_at.is_none() {
            Box::pin(self.begin_use(&session, now)).await.map_err(NoSession::Unavailable)?;
        }
        let used_at = AtomicI64::new(now.millis());
        let offers = offers_in(&session.metadata);
        let (id, created_at) = (session.id.clone(), session.created_at);
        let known = Known { id, offers, owner: session.owner, created_at, used_at };
        self.note(hash, &known, now);
        self.known.insert(hash, Arc::new(known));
        // Read before something ended and remembered after memory was dropped: not to be kept.
        if self.revocation.session_epoch() != epoch {
            self.known.remove(&hash);
        }
        Ok((session.id, offers))
    }

    /// Whether a session that was checked is still there, by the store; is no use of it.
    ///
    /// # Errors
    /// As [`McpSessions::check`].
    pub async fn still(&self, presented: &str, owner: &Owner) -> Result<(), NoSession> {
        Box::pin(self.live(TokenHash::of(presented), owner, self.clock.now())).await.map(drop)
    }

    /// Ends a session that its client gives up (DELETE).
    ///
    /// # Errors
    /// As [`McpSessions::check`].
    pub async fn end(&self, presented: &str, owner: &Owner, event: Event) -> Result<(), NoSession> {
        let hash = TokenHash::of(presented);
        let session = self.live(hash, owner, self.clock.now()).await?;
        let events = [self.stamp(event.subject(session.id.as_str()))];
        let ended = self.store.end_mcp_session(&owner.user, &session.id, &events).await;
        self.known.remove(&hash);
        match ended {
            Ok(true) => Ok(()),
            Ok(false) => Err(NoSession::Unknown),
            Err(failure) => Err(NoSession::Unavailable(failure)),
        }
    }

    /// Ends a session of a person by its public id; `false` where they have none such.
    pub async fn end_by_id(&self, user: &UserId, id: &SessionId, event: Event) -> Result<bool, Failure> {
        let events = [self.stamp(event.subject(id.as_str()))];
        let ended = self.store.end_mcp_session(user, id, &events).await?;
        self.forget_all();
        Ok(ended)
    }

    /// Forgets everything: something has ended somewhere. Uses that are not stored yet are kept.
    pub fn forget_all(&self) {
        self.known.clear();
    }

    /// How often [`McpSessions::note_uses`] is to be called.
    pub(super) fn note_every(&self) -> Duration {
        (self.lifetimes().idle / 60).clamp(NOTED_WITHIN.0, NOTED_WITHIN.1)
    }

    /// Stores when sessions were used.
    pub(super) async fn note_uses(&self) -> Result<(), Failure> {
        let uses: Vec<_> = self.uses().values().copied().collect();
        if uses.is_empty() {
            return Ok(());
        }
        self.store.touch_mcp_sessions(&uses).await?;
        // Only then, so that a session that is read meanwhile is not taken for idle.
        let mut waiting = self.uses();
        for stored in uses {
            if waiting.get(&stored.hash).is_some_and(|waiting| waiting.used_at == stored.used_at) {
                waiting.remove(&stored.hash);
            }
        }
        Ok(())
    }

    async fn live(&self, hash: TokenHash, owner: &Owner, now: Timestamp) -> Result<McpSession, NoSession> {
        let session = self.store.mcp_session(hash).await.map_err(NoSession::Unavailable)?;
        let session = session.ok_or(NoSession::Unknown)?;
        let used_here = self.uses().get(&hash).map(|used| used.used_at);
        let expires_at = match session.used_at.max(used_here) {
            None => session.expires_at,
            Some(used_at) => self.lifetimes().end(session.created_at, used_at),
        };
        if session.owner.admits(owner) && now < expires_at { Ok(session) } else { Err(NoSession::Unknown) }
    }

    async fn begin_use(&self, session: &McpSession, now: Timestamp) -> Result<(), Failure> {
        let user = &session.owner.user;
        let first = FirstUse {
            id: &session.id,
            user,
            now,
            expires_at: self.lifetimes().end(session.created_at, now),
            most: usize::try_from(self.limits.config().mcp_connections_per_user)
                .ok()
                .filter(|most| *most > 0),
        };
        let recent = |hash: &TokenHash| self.uses().get(hash).map(|used| used.used_at);
        let evicted = |id: &SessionId| {
            let event = Event::new(EventCode::ExcessSessionsExceeded).by(user).subject(id.as_str());
            self.stamp(event.because("session_evicted"))
        };
        for hash in self.store.begin_mcp_session_use(first, &recent, &evicted).await? {
            self.known.remove(&hash);
            self.uses().remove(&hash);
        }
        Ok(())
    }

    fn lifetimes(&self) -> Lifetimes {
        Lifetimes { idle: self.limits.config().mcp_session_idle, absolute: self.absolute }
    }

    fn note(&self, hash: TokenHash, known: &Known, now: Timestamp) {
        known.used_at.fetch_max(now.millis(), Ordering::AcqRel);
        let expires_at = self.lifetimes().end(known.created_at, now);
        self.uses().insert(hash, Touched { hash, used_at: now, expires_at });
    }

    fn uses(&self) -> MutexGuard<'_, HashMap<TokenHash, Touched>> {
        // Nothing panics while it is held.
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stamp(&self, event: Event) -> Recorded {
        Recorded::now(event, &self.clock, &self.dice)
    }
}

/// What the client of a session can show; nothing where that was not written down.
fn offers_in(metadata: &str) -> Offers {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Said {
        asks: Offers,
    }
    serde_json::from_str::<Said>(metadata).unwrap_or_default().asks
}

impl Known {
    fn used_at(&self) -> Timestamp {
        Timestamp::from_millis(self.used_at.load(Ordering::Acquire))
    }
}
