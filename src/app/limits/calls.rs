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
    limits: CallLimits,
    people: Cache<UserId, Arc<Person>>,
    clients: Cache<ClientId, Arc<Mutex<Allowance>>>,
    running: Arc<Running>,
    /// The minute in which too many at once were last told.
    told: AtomicI64,
}

impl Calls {
    pub(super) fn new(limits: CallLimits) -> Self {
        Self {
            limits,
            people: Cache::new(REMEMBERED),
            clients: Cache::new(REMEMBERED),
            running: Arc::default(),
            told: AtomicI64::new(0),
        }
    }

    fn class(&self, class: ToolClass) -> (&'static str, Quota) {
        match class {
            ToolClass::Look => ("reads", Quota::per_minute(self.limits.reads_per_minute)),
            ToolClass::Change => ("writes", Quota::per_minute(self.limits.writes_per_minute)),
            ToolClass::Control => ("player", Quota::per_minute(self.limits.player_calls_per_minute)),
        }
    }

    fn person(&self, user: &UserId) -> Arc<Person> {
        self.people
            .get_or_insert_with(user, || Ok::<_, std::convert::Infallible>(Arc::default()))
            .unwrap_or_default()
    }

    fn enter(&self, person: &Arc<Person>, now: Timestamp) -> Result<Permit, CallRefused> {
        let (mine, all) = (self.limits.concurrent, self.limits.concurrent_in_all);
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
        let person = calls.person(user);
        let permit = calls.enter(&person, now)?;

        let (name, quota) = calls.class(class);
        let of_class = match class {
            ToolClass::Look => &person.reads,
            ToolClass::Change => &person.writes,
            ToolClass::Control => &person.player,
        };
        let tool = self
            .one_more(of_class, Counted { limit: name, who: user.as_str().as_bytes() }, quota, now)
            .await?;

        let all = Quota::per_minute(calls.limits.per_minute);
        let counted = Counted { limit: "user", who: user.as_str().as_bytes() };
        let of_user = match self.one_more(&person.all, counted, all, now).await {
            Ok(standing) => standing,
            Err(refused) => {
                lock(of_class).give_back(quota, now);
                return Err(refused);
            }
        };

        let per_client = Quota::per_minute(calls.limits.per_client);
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
        let all = Quota::per_minute(self.calls.limits.per_minute);
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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ambient::Clock;

    fn user(n: u8) -> UserId {
        UserId::mint([n; 16])
    }

    fn client(name: &str) -> ClientId {
        ClientId::parse(name).unwrap()
    }

    fn limits(calls: CallLimits) -> (Arc<Limits>, crate::ambient::Hand) {
        let (clock, hand) = Clock::moved_by_hand(Timestamp::from_secs(6_000));
        (Limits::of_calls(calls, &clock), hand)
    }

    async fn look(limits: &Limits, n: u8) -> Result<Admission, CallRefused> {
        limits.call(&user(n), &client("c_one"), ToolClass::Look).await
    }

    #[tokio::test]
    async fn people_do_not_share_and_the_next_minute_is_a_new_one() {
        let (limits, hand) = limits(CallLimits { per_minute: 60, ..CallLimits::default() });
        for left in (0..60).rev() {
            let budget = look(&limits, 1).await.unwrap().budget;
            assert_eq!(budget.user.unwrap().left, left);
            assert_eq!((budget.tool, budget.client), (None, None));
        }
        hand.advance(Duration::from_secs(48));
        let refused = look(&limits, 1).await.unwrap_err();
        let CallRefused::Rate { limit, first: true } = refused else { panic!("{refused:?}") };
        assert_eq!((limit.name, limit.standing.left, limit.standing.resets_in), ("user", 0, 12));
        assert!(matches!(look(&limits, 1).await, Err(CallRefused::Rate { first: false, .. })));
        assert!(look(&limits, 2).await.is_ok());
        assert_eq!(limits.look(&user(2)).user.unwrap().left, 59);
        assert_eq!(limits.look(&user(3)).user.unwrap().left, 60);
        hand.advance(Duration::from_secs(12));
        assert!(look(&limits, 1).await.is_ok());
    }

    #[tokio::test]
    async fn classes_and_clients_have_limits_of_their_own_and_a_refused_call_counts_nowhere() {
        let (limits, _) = limits(CallLimits {
            per_minute: 10,
            writes_per_minute: 2,
            player_calls_per_minute: 3,
            per_client: 5,
            ..CallLimits::default()
        });
        let call = async |n, name: &str, class| limits.call(&user(n), &client(name), class).await;
        let refused = |call: Result<Admission, CallRefused>| match call.unwrap_err() {
            CallRefused::Rate { limit, .. } => limit.name,
            other => panic!("{other:?}"),
        };
        for _ in 0..2 {
            assert!(call(1, "c_one", ToolClass::Change).await.unwrap().budget.tool.is_some());
        }
        for _ in 0..5 {
            assert_eq!(refused(call(1, "c_one", ToolClass::Change).await), "writes");
        }
        for _ in 0..3 {
            assert!(call(1, "c_one", ToolClass::Control).await.is_ok());
        }
        assert_eq!(refused(call(1, "c_one", ToolClass::Look).await), "client");
        assert_eq!(refused(call(2, "c_one", ToolClass::Look).await), "client");
        for _ in 0..5 {
            assert!(call(1, "c_two", ToolClass::Look).await.is_ok());
        }
        assert_eq!(refused(call(1, "c_three", ToolClass::Look).await), "user");
        // Neither its class nor its person paid for what was refused.
        assert_eq!(limits.look(&user(2)).user.unwrap().left, 10);
    }

    #[tokio::test]
    async fn a_call_that_ends_makes_room() {
        let (limits, _) = limits(CallLimits { concurrent: 2, ..CallLimits::default() });
        let first = look(&limits, 1).await.unwrap();
        let _second = look(&limits, 1).await.unwrap();
        assert_eq!(look(&limits, 1).await.unwrap_err(), CallRefused::Concurrency { first: true });
        assert_eq!(look(&limits, 1).await.unwrap_err(), CallRefused::Concurrency { first: false });
        assert!(look(&limits, 2).await.is_ok());
        drop(first);
        assert!(look(&limits, 1).await.is_ok());
    }

    #[tokio::test]
    async fn a_full_process_still_has_room_for_who_runs_nothing() {
        let (limits, _) =
            limits(CallLimits { concurrent: 32, concurrent_in_all: 64, ..CallLimits::default() });
        let mut running = Vec::new();
        for n in 0..4 {
            while let Ok(admission) = look(&limits, n).await {
                running.push(admission);
            }
        }
        assert!((32..64).contains(&running.len()), "{}", running.len());
        // Four greedy people leave room for many who want one each.
        let mut newcomers = 0;
        for n in 10..=255 {
            match look(&limits, n).await {
                Ok(admission) => running.push(admission),
                Err(refused) => {
                    assert_eq!(refused, CallRefused::Overload { first: true });
                    break;
                }
            }
            newcomers += 1;
        }
        assert!(newcomers >= 16, "{newcomers}");
        assert_eq!(running.len(), 64);
        running.clear();
        assert!(look(&limits, 1).await.is_ok());
        assert_eq!(limits.calls.running.0.load(Ordering::SeqCst), 0);
    }
}
