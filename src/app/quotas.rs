//! Keeps what is known of Spotify's quotas in the database: what ran out and which app has to wait before anybody is told
//! so, calls each minute.
//! Other servers' knowledge comes the same way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::ambient::{Clock, Timestamp};
use crate::domain::AppId;
use crate::failure::Failure;
use crate::spotify::quota::{BELIEVED, Bucket, HourOfCalls, Lesson, QuotaGate, QuotaState};
use crate::store::{EVERYTHING, QuotaCallsRow, QuotaRow, Store};
use crate::vault::Vault;

/// How often it is read what other servers know.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After how many looks calls are stored and counted together, where nobody makes many.
const LOOKS: u32 = 12;
/// The least time between two times of counting together.
const PAUSE: Duration = Duration::from_millis(50);
/// The window of a daily quota.
const HOURS: i64 = 24;
/// Whoever has not used an account for so long has no share of what others may need until they come back.
const AWAY: Duration = Duration::from_secs(7 * 86_400);

/// The developer account of an app; `None` where no quota of a day is counted.
pub type PoolOf<'a> = dyn Fn(&AppId) -> Option<Arc<str>> + Send + Sync + 'a;

/// What joins the gate and the database. Cheap to clone.
#[derive(Clone)]
pub struct Quotas {
    /// What stands before each call.
    pub gate: QuotaGate,
    store: Store,
    clock: Clock,
}

impl Quotas {
    /// Takes over what is stored; `assumed` is how many calls of a kind fit into a day, as far as the operator knows.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn open(store: &Store, clock: &Clock, assumed: u64) -> Result<Self, Failure> {
        let quotas = Self { gate: QuotaGate::assuming(assumed), store: store.clone(), clock: clock.clone() };
        quotas.look().await?;
        quotas.count_together().await?;
        Ok(quotas)
    }

    /// Stores what ran out and which app was told to wait, before anybody is told of it.
    pub async fn keep(&self) {
        let (changed, resting) = (self.gate.take_changed(), self.gate.rest().take_changed());
        if changed.is_empty() && resting.is_empty() {
            return;
        }
        let rows: Vec<_> = changed.iter().map(row).chain(resting.iter().map(resting_row)).collect();
        if let Err(failure) = self.store.note_quotas(&rows).await {
            tracing::error!(cause = failure.chain(), "it is not stored that a quota ran out");
            self.gate.keep_changed(&changed);
            self.gate.rest().keep_changed(&resting);
        }
    }

    /// What all servers have stored, for who only looks; nothing is written.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn stored(
        store: &Store,
        now: Timestamp,
        (assumed, pool_of): (u64, &PoolOf<'_>),
    ) -> Result<QuotaGate, Failure> {
        let gate = QuotaGate::assuming(assumed);
        gate.recall(&store.quotas().await?.iter().filter_map(state).collect::<Vec<_>>());
        recall_calls(&gate, store, now).await?;
        gate.know_people(people(store, now, pool_of).await?);
        Ok(gate)
    }

    async fn look(&self) -> Result<(), Failure> {
        let (stored, now) = (self.store.quotas().await?, self.clock.now());
        let (resting, closed): (Vec<_>, Vec<_>) = stored.iter().partition(|row| row.bucket == EVERYTHING);
        let states: Vec<_> = closed.into_iter().filter_map(state).collect();
        self.gate.recall(&states);
        for row in resting {
            let until = row.closed_until.filter(|until| *until != 0).map(Timestamp::from_secs);
            self.gate.rest().recall(&row.pool, until, now);
        }
        Ok(())
    }

    /// Stores this server's calls, then counts with what all have stored.
    async fn count_together(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        let rows: Vec<_> = self.gate.take_unstored(now).into_iter().flat_map(calls_of).collect();
        if !rows.is_empty() {
            self.store.add_quota_calls(&rows).await?;
        }
        recall_calls(&self.gate, &self.store, now).await?;
        self.store.forget_quotas(first_hour(now), now.minus(BELIEVED), now).await
    }

    /// Learns who has a share: everybody who is linked to an app of the developer account and came by lately. Where
    /// nothing ran out and nothing is assumed, nobody needs to know.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn know_people(&self, vault: &Vault) -> Result<(), Failure> {
        let now = self.clock.now();
        if !self.gate.is_watching(now) {
            return Ok(());
        }
        self.gate.know_people(people(&self.store, now, &|app| vault.pool_of(app)).await?);
        Ok(())
    }

    /// Until told to stop, and once more then.
    pub(super) async fn run(self, vault: Vault, stop: CancellationToken) {
        let mut looks = 0u32;
        loop {
            let mut is_due = true;
            let last = tokio::select! {
                biased;
                () = stop.cancelled() => true,
                () = self.gate.news() => false,
                () = tokio::time::sleep(LOOK_EVERY) => {
                    looks = looks.wrapping_add(1);
                    is_due = looks.is_multiple_of(LOOKS);
                    false
                }
            };
            self.keep().await;
            let done = match is_due {
                true => self.together(&vault).await,
                false => self.look().await,
            };
            if let Err(failure) = done {
                tracing::error!(cause = failure.chain(), "quotas cannot be counted with other servers");
            }
            if last {
                return;
            }
            if is_due {
                // However much news there is, the database is not asked all the time.
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// What ran out, who made how many calls, and who is there: as all servers know it.
    async fn together(&self, vault: &Vault) -> Result<(), Failure> {
        self.look().await?;
        self.count_together().await?;
        self.know_people(vault).await
    }
}

/// Of an app that waits: to the second in which it may be asked again.
fn resting_row((app, until): &(Arc<str>, Timestamp)) -> QuotaRow {
    QuotaRow {
        pool: app.to_string(),
        bucket: EVERYTHING.to_owned(),
        closed_until: Some(until.plus(Duration::from_millis(999)).secs()),
        learned_size: None,
        learned_at: None,
    }
}

/// The hour from which on calls count.
pub fn first_hour(now: Timestamp) -> i64 {
    now.secs().div_euclid(3600) - HOURS + 1
}

async fn recall_calls(gate: &QuotaGate, store: &Store, now: Timestamp) -> Result<(), Failure> {
    let stored = store.quota_calls(first_hour(now)).await?;
    for of_one in stored.chunk_by(|one, next| (&one.pool, &one.bucket) == (&next.pool, &next.bucket)) {
        let Some(bucket) = of_one.first().and_then(|row| Bucket::named(&row.bucket)) else { continue };
        let calls: Vec<_> = of_one.iter().map(calls).collect();
        gate.recall_calls(&of_one[0].pool, bucket, &calls);
    }
    Ok(())
}

/// Who has a share, by developer account.
async fn people(
    store: &Store,
    now: Timestamp,
    pool_of: &PoolOf<'_>,
) -> Result<HashMap<Arc<str>, Vec<Arc<str>>>, Failure> {
    let mut people: HashMap<Arc<str>, Vec<Arc<str>>> = HashMap::new();
    for (app, payer) in store.people_of_apps(now.minus(AWAY)).await? {
        let Some(pool) = pool_of(&app) else { continue };
        let there = people.entry(pool).or_default();
        let payer = Arc::from(payer);
        if !there.contains(&payer) {
            there.push(payer);
        }
    }
    Ok(people)
}

fn row(state: &QuotaState) -> QuotaRow {
    QuotaRow {
        pool: state.pool.clone(),
        bucket: state.bucket.name().to_owned(),
        closed_until: state.closed_until.map(Timestamp::secs),
        learned_size: state
            .learned
            .and_then(|lesson| lesson.size)
            .map(|size| i64::try_from(size).unwrap_or(i64::MAX)),
        learned_at: state.learned.map(|lesson| lesson.at.secs()),
    }
}

/// `None` for a bucket that a later version knows.
fn state(row: &QuotaRow) -> Option<QuotaState> {
    let size = row.learned_size.and_then(|size| u64::try_from(size).ok());
    let learned = row.learned_at.map(|at| Lesson { size, at: Timestamp::from_secs(at) });
    Some(QuotaState {
        pool: row.pool.clone(),
        bucket: Bucket::named(&row.bucket)?,
        closed_until: row.closed_until.map(Timestamp::from_secs),
        learned,
    })
}

fn calls_of((pool, bucket, hours): (String, Bucket, Vec<HourOfCalls>)) -> Vec<QuotaCallsRow> {
    let row = |hour: HourOfCalls| QuotaCallsRow {
        pool: pool.clone(),
        bucket: bucket.name().to_owned(),
        payer: hour.payer.to_string(),
        hour: hour.hour,
        calls: i64::try_from(hour.calls).unwrap_or(i64::MAX),
    };
    hours.into_iter().map(row).collect()
}

fn calls(row: &QuotaCallsRow) -> HourOfCalls {
    HourOfCalls {
        hour: row.hour,
        payer: Arc::from(row.payer.as_str()),
        calls: u64::try_from(row.calls).unwrap_or_default(),
    }
}
