//! What the tools need of the rooms to their left: a person's linked accounts, and calls with a valid token.
//!
//! A tool never holds a token longer than one call of the Web API, and never sees a refresh token.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::going::{GRACE, Going, Turns};
use super::tools::{About, ToolError};
use crate::app::Quotas;
use crate::domain::{LinkId, UserId};
use crate::failure::Failure;
use crate::spotify::uri::PlaylistId;
use crate::spotify::{AccessToken, Api, ApiError, QuotaMode};
use crate::store::{Link, Store};
use crate::vault::changes::Changes;
use crate::vault::{CallError, Vault};

/// How long a change that has begun waits before it asks again, where nobody says; twice as long each time.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest of these.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// It does not ask again with less time left.
const LEAST: Duration = Duration::from_secs(5);

/// One call of the Web API, repeatable with another token.
pub type Work<'a> = Box<dyn Fn(AccessToken) -> BoxFuture<'a, Result<(), ApiError>> + Send + Sync + 'a>;

/// The door to linked accounts and their tokens. [`Linked`] in the program; tests have one without a vault.
pub trait Upstream: Send + Sync + 'static {
    /// The person's linked accounts, the primary one first.
    fn links<'a>(&'a self, user: &'a UserId) -> BoxFuture<'a, Result<Vec<Link>, Failure>>;

    /// Does `work` with a valid access token of this link. On [`ApiError::Unauthorized`] it gets a fresh one and does
    /// `work` once more (401 means that nothing was done).
    fn call<'a>(&'a self, link: &'a LinkId, work: Work<'a>) -> BoxFuture<'a, Result<(), CallError>>;

    /// The journal of changes; `None`: nothing is written down, and nothing can be planned or undone.
    fn changes(&self) -> Option<Changes> {
        None
    }

    /// Keeps that a quota of Spotify's ran out or that it told an app to wait, before anybody is told so.
    fn keep_quota(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// The accounts that the store knows, with the tokens that the vault keeps.
pub struct Linked {
    /// Who has linked what.
    pub store: Store,
    /// The tokens.
    pub vault: Vault,
    /// For how long changes can be undone.
    pub undo_for: Duration,
    /// What is known of quotas.
    pub quotas: Quotas,
}

impl Upstream for Linked {
    fn links<'a>(&'a self, user: &'a UserId) -> BoxFuture<'a, Result<Vec<Link>, Failure>> {
        Box::pin(self.store.links(user))
    }

    fn call<'a>(&'a self, link: &'a LinkId, work: Work<'a>) -> BoxFuture<'a, Result<(), CallError>> {
        Box::pin(async move { self.vault.call(link, work).await })
    }

    fn changes(&self) -> Option<Changes> {
        Some(self.vault.changes(self.undo_for))
    }

    fn keep_quota(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.quotas.keep())
    }
}

/// One linked account for the time of one tool call.
pub(crate) struct Session<'a> {
    pub(crate) api: &'a Api,
    pub(crate) upstream: &'a dyn Upstream,
    /// Whose.
    pub(crate) user: &'a UserId,
    pub(crate) link: LinkId,
    pub(crate) deadline: Instant,
    /// How long one call of the Web API may take.
    pub(crate) longest_call: Duration,
    /// Where a person connects an account again.
    pub(crate) reconnect_url: &'a str,
    /// How far the tool call goes.
    pub(crate) going: &'a Going,
    /// Which playlists somebody writes in several steps.
    pub(crate) rewriting: &'a Turns<PlaylistId>,
    /// How long the slowest call of the Web API took so far, in milliseconds.
    pub(crate) slowest: AtomicU64,
    /// The person's accounts, once they were looked at.
    pub(crate) known: OnceLock<Vec<Link>>,
}

impl Session<'_> {
    /// The regime of the account's app.
    pub(crate) async fn mode(&self) -> Result<QuotaMode, ToolError> {
        self.call(|token| std::future::ready(Ok(self.api.mode_of(&token)))).await
    }

    /// Calls the Web API with a valid token. `work` may run twice (see [`Upstream::call`]).
    pub(crate) async fn call<T, F, Fut>(&self, work: F) -> Result<T, ToolError>
    where
        T: Send,
        F: Fn(AccessToken) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, ApiError>> + Send,
    {
        self.attempt(work).await.map_err(|error| self.told(error))
    }

    /// What an error of [`Self::attempt`] means to the caller.
    pub(crate) fn told(&self, error: CallError) -> ToolError {
        ToolError::upstream(error, self.about())
    }

    /// The account, as errors and remarks speak of it.
    pub(crate) fn about(&self) -> About<'_> {
        let links = self.known.get().map(Vec::as_slice).unwrap_or_default();
        let link = links.iter().find(|link| link.id == self.link);
        About { reconnect_url: self.reconnect_url, link, links }
    }

    /// The same with the error as it came, for those who decide by it; [`Self::told`] says it. In the middle of a change
    /// that must not be left so, what passes is waited out: where certainly nothing was done, it is asked again.
    pub(crate) async fn attempt<T, F, Fut>(&self, work: F) -> Result<T, CallError>
    where
        T: Send,
        F: Fn(AccessToken) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, ApiError>> + Send,
    {
        let mut pause = PAUSE;
        loop {
            if self.going.goes_on() {
                self.going.has_its_turn(self.going.ends_at(self.deadline)).await;
            }
            let error = match self.attempted(&work).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wait = passing(&error).filter(|_| self.going.goes_on());
            let wait = wait.map(|told| told.unwrap_or_default().max(pause));
            match wait.filter(|wait| *wait + LEAST < self.writing_time_left()) {
                Some(wait) => self.going.pause(wait).await,
                None => return Err(error),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempted<T, F, Fut>(&self, work: &F) -> Result<T, CallError>
    where
        T: Send,
        F: Fn(AccessToken) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, ApiError>> + Send,
    {
        if self.going.is_over() {
            return Err(CallError::Stopped);
        }
        let began = Instant::now();
        // The door is one object for answers of every type: the answer takes a side exit. The call's future is made
        // where it stays, in the box: it is large, and moving it costs as much as the rest of this.
        let answer = Mutex::new(None);
        let (exit, pressing) = (&answer, self.going.pressing(self.deadline));
        let closed = self.going.closed();
        let work: Work<'_> = Box::new(move |token| {
            let token = token.pressing(pressing).until(closed.clone());
            Box::pin(async move {
                let value = work(token).await?;
                *exit.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
                Ok(())
            })
        });
        let called = self.upstream.call(&self.link, work).await;
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.slowest.fetch_max(took, Ordering::Relaxed);
        if matches!(
            called,
            Err(CallError::Api(ApiError::QuotaExceeded { .. } | ApiError::RateLimited { .. }))
        ) {
            self.upstream.keep_quota().await;
        }
        if called.as_ref().is_err_and(is_of_the_account) {
            self.account().await;
        }
        if matches!(called, Err(CallError::Api(ApiError::Stopped))) {
            return Err(CallError::Stopped);
        }
        called?;
        answer
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .ok_or_else(|| CallError::Failure(Failure::new("the work of a call was not done")))
    }

    /// The account itself; without it, an error says what is true of every account.
    pub(crate) async fn account(&self) -> Option<&Link> {
        if self.known.get().is_none() {
            let _known = self.known.set(self.upstream.links(self.user).await.ok()?);
        }
        self.about().link
    }

    /// How much of the tool call's time is left, in which its answer is waited for.
    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// How much time is left for what the call has begun to write.
    pub(crate) fn writing_time_left(&self) -> Duration {
        self.going.ends_at(self.deadline).saturating_duration_since(Instant::now())
    }

    /// The longest that so many requests may take one after the other.
    pub(crate) fn longest(&self, requests: usize) -> Duration {
        self.longest_call.saturating_mul(u32::try_from(requests).unwrap_or(u32::MAX))
    }

    /// Whether so many writes, each as slow as the slowest call so far and as writes were lately, fit into what a change may
    /// take, where they have to wait so long for their turns.
    pub(crate) fn has_time_to_write(&self, calls: usize, turns: Duration) -> bool {
        let slowest = Duration::from_millis(self.slowest.load(Ordering::Relaxed));
        let slowest = slowest.max(self.api.slow_write());
        let writing = slowest.saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX));
        writing.saturating_add(turns) < GRACE
    }
}

/// After how long to ask again, where it is said; `None` where that is in vain, or something may have been done.
const fn passing(error: &CallError) -> Option<Option<Duration>> {
    match error {
        CallError::Api(ApiError::QuotaExceeded { retry_after: None }) => None,
        CallError::Api(
            ApiError::RateLimited { retry_after }
            | ApiError::QuotaExceeded { retry_after }
            | ApiError::Upstream { retry_after, .. },
        )
        | CallError::AccountsUnavailable { retry_after } => Some(*retry_after),
        CallError::Api(ApiError::Paced { retry_after }) => Some(Some(*retry_after)),
        CallError::Api(
            ApiError::ShareUsed { .. }
            | ApiError::Unreachable(_)
            | ApiError::Timeout
            | ApiError::Broken
            | ApiError::Malformed,
        )
        | CallError::Failure(_) => Some(None),
        _ => None,
    }
}

/// Whether what to do depends on the account and its app.
const fn is_of_the_account(error: &CallError) -> bool {
    matches!(
        error,
        CallError::ReconnectRequired(_)
            | CallError::Api(
                ApiError::Unauthorized
                    | ApiError::ScopeMissing(_)
                    | ApiError::NotAllowlisted
                    | ApiError::OwnerNotPremium
                    | ApiError::QuotaExceeded { .. }
                    | ApiError::RateLimited { .. }
                    | ApiError::NotFound
                    | ApiError::Forbidden
            )
    )
}
