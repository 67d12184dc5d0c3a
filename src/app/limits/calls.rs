//! Calls of people: how many in a minute, of which class, through which client, and how many at once.
//!
//! There is no queue: a call that finds no room is refused at once, with when to come again. Fairness comes from
//! shares instead: the fuller the process, the fewer calls may one person run, so that whoever runs none gets in.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use quick_cache::sync::Cache;

use crate::ambient::Timestamp;
use crate::domain::limit::{Allowance, Quota, Standing, Taken};
use crate::domain::{ClientId, UserId};
use crate::policy::ToolClass;

use super::call_limits::CallLimits;
use super::shared::{Blind, Counted, lock};
use super::{Limit, Limits};

/// Most people and most clients whose counts are remembered; who has not called for longest is forgotten first.
const REMEMBERED: usize = 50_000;

/// One person may run at most one part in this many of what is free.
const SHARE: u32 = 4;

/// Why a call has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallRefused {
    /// Too many in this minute: 429.
    Rate {
        /// Which limit.
        limit: Limit,
        /// Whether it is the first too many in this window: to be audited once.
        first: bool,
    },
    /// Too many of this person at once: 429.
    Concurrency {
        /// Whether it is the first too many in this minute.
        first: bool,
    },
    /// The process runs as many as it may: 503.
    Overload {
        /// Whether it is the first too many in this minute.
        first: bool,
    },
}

/// The right to one call, and how its person stands.
#[derive(Debug)]
pub struct Admission {
    /// Ends with the call.
    pub permit: Permit,
    /// To tell the client.
    pub budget: Budget,
}

/// How a person stands with what limits their calls; `None` where nothing does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// All their calls.
    pub user: Option<Standing>,
    /// Their calls of this class of tools.
    pub tool: Option<Standing>,
    /// All calls through this client.
    pub client: Option<Standing>,
}

/// Room for one call that runs; ends with the value.
#[derive(Debug)]
pub struct Permit {
    of_person: Arc<Person>,
    in_all: Arc<Running>,
}

/// Calls that run.
#[derive(Debug, Default)]
pub(super) struct Running(AtomicU32);

#[derive(Debug, Default)]
struct Person {
    running: Running,
    all: Mutex<Allowance>,
    reads: Mutex<Allowance>,
    writes: Mutex<Allowance>,
    player: Mutex<Allowance>,
    /// The minute in which too many at once were last told.
    told: AtomicI64,
}

pub(super) struct Calls {
    people: Cache<UserId, Arc<Person>>,
    clients: Cache<ClientId, Arc<Mutex<Allowance>>>,
    running: Arc<Running>,
    /// The minute in which too many at once were last told.
    told: AtomicI64,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self {
            people: Cache::new(REMEMBERED),
            clients: Cache::new(REMEMBERED),
            running: Arc::default(),
            told: AtomicI64::new(0),
        }
    }

    fn person(&self, user: &UserId) -> Arc<Person> {
        self.people
            .get_or_insert_with(user, || Ok::<_, std::convert::Infallible>(Arc::default()))
            .unwrap_or_default()
    }

    fn enter(
        &self,
        person: &Arc<Person>,
        limits: &CallLimits,
        now: Timestamp,
    ) -> Result<Permit, CallRefused> {
        let (mine, all) = (limits.concurrent, limits.concurrent_in_all);
        let free = match all {
            0 => u32::MAX,
            all => match all.saturating_sub(self.running.0.load(Ordering::Relaxed)) {
                0 => return Err(CallRefused::Overload { first: is_first(&self.told, now) }),
                free => free,
            },
        };
        let share = (free / SHARE).max(1);
        let share = if mine == 0 { share } else { share.min(mine) };
        let permit = Permit { of_person: person.clone(), in_all: self.running.clone() };
        let (already, in_all) = (permit.of_person.running.add(), permit.in_all.add());
        if already >= share {
            return Err(CallRefused::Concurrency { first: is_first(&person.told, now) });
        }
        if all > 0 && in_all >= all {
            return Err(CallRefused::Overload { first: is_first(&self.told, now) });
        }
        Ok(permit)
    }
}

fn is_first(told: &AtomicI64, now: Timestamp) -> bool {
    let minute = now.secs().div_euclid(60);
    told.swap(minute, Ordering::Relaxed) != minute
}

impl Running {
    /// How many there were before.
    fn add(&self) -> u32 {
        self.0.fetch_add(1, Ordering::AcqRel)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.of_person.running.0.fetch_sub(1, Ordering::AcqRel);
        self.in_all.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Limits {
    /// Counts a call in, or says why it has to wait. A call that is refused does not count. Where the servers' shared
    /// count cannot be reached, this one counts alone.
    pub async fn call(
        &self,
        user: &UserId,
        client: &ClientId,
        class: ToolClass,
    ) -> Result<Admission, CallRefused> {
        let (calls, now) = (&self.calls, self.clock.now());
        let limits = CallLimits::from(&self.config());
        let person = calls.person(user);
        let permit = calls.enter(&person, &limits, now)?;

        let (name, quota) = limits.of_class(class);
        let of_class = match class {
            ToolClass::Look => &person.reads,
            ToolClass::Change => &person.writes,
            ToolClass::Control => &person.player,
        };
        let tool = self
            .one_more(of_class, Counted { limit: name, who: user.as_str().as_bytes() }, quota, now)
            .await?;

        let all = Quota::per_minute(limits.per_minute);
        let counted = Counted { limit: "user", who: user.as_str().as_bytes() };
        let of_user = match self.one_more(&person.all, counted, all, now).await {
            Ok(standing) => standing,
            Err(refused) => {
                lock(of_class).give_back(quota, now);
                return Err(refused);
            }
        };

        let per_client = Quota::per_minute(limits.per_client);
        let mut budget = Budget { user: of_user, tool, client: None };
        if !per_client.is_off() {
            let allowance = calls
                .clients
                .get_or_insert_with(client, || Ok::<_, std::convert::Infallible>(Arc::default()))
                .unwrap_or_default();
            let counted = Counted { limit: "client", who: client.as_str().as_bytes() };
            match self.one_more(&allowance, counted, per_client, now).await {
                Ok(standing) => budget.client = standing,
                Err(refused) => {
                    lock(of_class).give_back(quota, now);
                    lock(&person.all).give_back(all, now);
                    return Err(refused);
                }
            }
        }
        Ok(Admission { permit, budget })
    }

    /// How a person stands, without counting anything.
    pub fn look(&self, user: &UserId) -> Budget {
        let all = Quota::per_minute(self.config().calls_per_user_per_minute);
        if all.is_off() {
            return Budget::default();
        }
        let now = self.clock.now();
        let standing = match self.calls.people.get(user) {
            Some(person) => lock(&person.all).look(all, now),
            None => Allowance::default().look(all, now),
        };
        Budget { user: Some(standing), ..Budget::default() }
    }

    async fn one_more(
        &self,
        allowance: &Mutex<Allowance>,
        counted: Counted<'_>,
        quota: Quota,
        now: Timestamp,
    ) -> Result<Option<Standing>, CallRefused> {
        if quota.is_off() {
            return Ok(None);
        }
        match self.source.take(allowance, counted, (quota, now), Blind::CountAlone).await {
            Ok(Taken::Counted(standing)) => Ok(Some(standing)),
            Ok(Taken::Spent { standing, first }) => {
                Err(CallRefused::Rate { limit: Limit { name: counted.limit, standing }, first })
            }
            // A window cannot turn that often; were it to, nobody is refused for it.
            Ok(Taken::Reserve(_)) | Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
