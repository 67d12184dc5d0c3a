//! What stands before a call of the Web API: a breaker for each developer account and bucket that Spotify has said no
//! to, apps that it told to wait, and fair shares of what is left. Nothing is asked to find out; nothing is asked again before the time Spotify
//! named, by any server, before and after a restart (the app stores what changes here).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Bucket;
use super::ledger::{Assumed, HourOfCalls, Ledger, Lesson, Size, Used};
use crate::ambient::Timestamp;
use crate::spotify::rest::Rest;

/// How long nothing is asked where Spotify does not say.
const UNSAID: Duration = Duration::from_secs(3600);
/// Most developer accounts remembered.
const ACCOUNTS: usize = 10_000;

/// Whose quota a call uses, and for whom it is made: both opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The developer account whose app the person has approved.
    pub pool: Arc<str>,
    /// The person, by a name that stays theirs when they are deleted and come back.
    pub payer: Arc<str>,
}

/// Why a call is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Spotify said that the quota is used up, and when to come back.
    UsedUp(Duration),
    /// This person had their share; others have not had theirs. In that time at the latest, when the first calls of theirs
    /// count no more.
    Share(Duration),
}

/// How one developer account stands with one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaState {
    /// The developer account.
    pub pool: String,
    /// Which calls.
    pub bucket: Bucket,
    /// Until when nothing is asked.
    pub closed_until: Option<Timestamp>,
    /// What it taught that it ran out.
    pub learned: Option<Lesson>,
}

/// All of them. Cheap to clone.
#[derive(Clone, Default)]
pub struct QuotaGate {
    books: Arc<Mutex<Books>>,
    rest: Arc<Rest>,
    news: Arc<Notify>,
}

#[derive(Default)]
struct Books {
    ledgers: HashMap<(Arc<str>, Bucket), Ledger>,
    /// What is taken for granted of quotas.
    assuming: Assuming,
    /// Who has a share, by developer account.
    people: HashMap<Arc<str>, Arc<[Arc<str>]>>,
    /// Closed, and learned from, since it was last taken.
    changed: Vec<(Arc<str>, Bucket)>,
}

/// What is taken for granted of quotas of which nothing was learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Assuming {
    /// Nothing.
    #[default]
    Nothing,
    /// So many calls of a kind fit into a day.
    All(u64),
    /// That one person leaves enough to others by [`Bucket::careful`].
    Careful,
}

impl Assuming {
    const fn of(self, bucket: Bucket) -> Assumed {
        match self {
            Self::Nothing => Assumed::Nothing,
            Self::All(size) => Assumed::All { size, least: least(size / 4, bucket.careful()) },
            Self::Careful => Assumed::Each(bucket.careful()),
        }
    }
}

const fn least(one: u64, other: u64) -> u64 {
    if one < other { one } else { other }
}

impl QuotaGate {
    /// Where so many calls of a kind fit into a day, as far as the operator knows; 0: nobody knows, and whoever shares
    /// with others has [`Bucket::careful`] calls of a kind.
    pub fn assuming(calls: u64) -> Self {
        let assuming = if calls == 0 { Assuming::Careful } else { Assuming::All(calls) };
        let books = Arc::new(Mutex::new(Books { assuming, ..Books::default() }));
        Self { books, rest: Arc::default(), news: Arc::default() }
    }

    /// Apps that Spotify told to wait.
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

    /// Whether a call may be made; it is counted where it may.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, charge: &Charge, bucket: Bucket, now: Timestamp) -> Result<(), Held> {
        let mut books = self.lock();
        books.has_room((charge, bucket), 1, now)?;
        let people = books.people.get(&charge.pool).map_or(0, |people| people.len());
        let ledger = books.ledger(&charge.pool, bucket);
        ledger.count(&charge.payer, now);
        if ledger.is_news(&charge.payer, people, now) {
            self.news.notify_one();
        }
        Ok(())
    }

    /// Waits until somebody has made so many calls that all servers should know.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Whether so many calls may be made: for what must not stop half way.
    ///
    /// # Errors
    /// Why not.
    pub fn has_room(
        &self,
        (charge, bucket): (&Charge, Bucket),
        calls: u64,
        now: Timestamp,
    ) -> Result<(), Held> {
        self.lock().has_room((charge, bucket), calls, now)
    }

    /// Counts a call that no share refuses; one that goes on with what has begun is made whatever Spotify said to others.
    ///
    /// # Errors
    /// Where Spotify said that the quota is used up, and it does not go on.
    pub(in crate::spotify) fn admit_pressing(
        &self,
        (charge, bucket): (&Charge, Bucket),
        goes_on: bool,
        now: Timestamp,
    ) -> Result<(), Held> {
        let mut books = self.lock();
        let ledger = books.ledger(&charge.pool, bucket);
        match ledger.closed_for(now) {
            Some(wait) if !goes_on => Err(Held::UsedUp(wait)),
            _ => {
                ledger.count(&charge.payer, now);
                Ok(())
            }
        }
    }

    /// How a person stands with each kind of calls.
    pub fn used(&self, charge: &Charge, now: Timestamp) -> Vec<(Bucket, Used)> {
        let mut books = self.lock();
        let people = books.people_of(charge);
        let mut used = |bucket| books.ledger(&charge.pool, bucket).used(&charge.payer, &people, now);
        Bucket::ALL.into_iter().map(|bucket| (bucket, used(bucket))).collect()
    }

    /// How large a quota is, as far as anybody knows.
    pub fn size(&self, pool: &str, bucket: Bucket, now: Timestamp) -> Option<Size> {
        self.lock().ledger(&pool.into(), bucket).size(now)
    }

    /// Spotify said that the quota is used up.
    pub fn ran_out(&self, charge: &Charge, bucket: Bucket, wait: Option<Duration>, now: Timestamp) {
        let mut books = self.lock();
        books.ledger(&charge.pool, bucket).ran_out(now.plus(wait.unwrap_or(UNSAID)), now);
        let key = (charge.pool.clone(), bucket);
        if !books.changed.contains(&key) {
            books.changed.push(key);
        }
    }

    /// How a developer account stands: the buckets that are closed now, and for how long.
    pub fn closed(&self, pool: &str, now: Timestamp) -> Vec<(Bucket, Duration)> {
        let books = self.lock();
        let until =
            |bucket| books.ledgers.get(&(Arc::from(pool), bucket)).and_then(|ledger| ledger.closed_until);
        let wait = |bucket| until(bucket).map(|until| until.since(now)).filter(|wait| !wait.is_zero());
        Bucket::ALL.into_iter().filter_map(|bucket| Some((bucket, wait(bucket)?))).collect()
    }

    /// What has run out and is not stored yet.
    pub fn take_changed(&self) -> Vec<QuotaState> {
        let mut books = self.lock();
        let changed = std::mem::take(&mut books.changed);
        let state = |(pool, bucket): (Arc<str>, Bucket)| {
            let ledger = books.ledgers.get(&(pool.clone(), bucket))?;
            let (closed_until, learned) = (ledger.closed_until, ledger.learned());
            Some(QuotaState { pool: pool.to_string(), bucket, closed_until, learned })
        };
        changed.into_iter().filter_map(state).collect()
    }

    /// The calls that are to be stored, by developer account and bucket: of those alone where something ran out or is
    /// taken for granted.
    pub fn take_unstored(&self, now: Timestamp) -> Vec<(String, Bucket, Vec<HourOfCalls>)> {
        let mut books = self.lock();
        let of = |((pool, bucket), ledger): (&(Arc<str>, Bucket), &mut Ledger)| {
            let calls = ledger.take_unstored(now);
            (!calls.is_empty()).then(|| (pool.to_string(), *bucket, calls))
        };
        books.ledgers.iter_mut().filter_map(of).collect()
    }

    /// Puts back what could not be stored.
    pub fn keep_changed(&self, states: &[QuotaState]) {
        let mut books = self.lock();
        books.changed.extend(states.iter().map(|state| (Arc::from(state.pool.as_str()), state.bucket)));
    }

    /// Takes over what is stored: another server's, or from before the start.
    pub fn recall(&self, states: &[QuotaState]) {
        let mut books = self.lock();
        for state in states {
            books.ledger(&state.pool.as_str().into(), state.bucket).recall(state.closed_until, state.learned);
        }
    }

    /// Takes over the calls of the last day as all servers have stored them.
    pub fn recall_calls(&self, pool: &str, bucket: Bucket, stored: &[HourOfCalls]) {
        self.lock().ledger(&pool.into(), bucket).recall_calls(stored);
    }

    /// Whether it matters who has a share: anything ran out lately, or something is taken for granted.
    pub fn is_watching(&self, now: Timestamp) -> bool {
        let books = self.lock();
        books.assuming != Assuming::Nothing || books.ledgers.values().any(|ledger| ledger.is_watched(now))
    }

    /// Who is there, by developer account: they have a share before they ask for anything.
    pub fn know_people(&self, people: HashMap<Arc<str>, Vec<Arc<str>>>) {
        self.lock().people = people.into_iter().map(|(pool, people)| (pool, people.into())).collect();
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn has_room(
        &mut self,
        (charge, bucket): (&Charge, Bucket),
        calls: u64,
        now: Timestamp,
    ) -> Result<(), Held> {
        let people = self.people_of(charge);
        let ledger = self.ledger(&charge.pool, bucket);
        if let Some(wait) = ledger.closed_for(now) {
            return Err(Held::UsedUp(wait));
        }
        match ledger.is_fair((&charge.payer, calls), &people, now) {
            true => Ok(()),
            false => Err(Held::Share(ledger.frees_at(&charge.payer, now).since(now))),
        }
    }

    fn people_of(&self, charge: &Charge) -> Arc<[Arc<str>]> {
        self.people.get(&charge.pool).cloned().unwrap_or_default()
    }

    fn ledger(&mut self, pool: &Arc<str>, bucket: Bucket) -> &mut Ledger {
        if self.ledgers.len() >= ACCOUNTS * Bucket::ALL.len()
            && !self.ledgers.contains_key(&(pool.clone(), bucket))
        {
            // What is closed stays known; who made how many calls is only lost where nothing has run out.
            self.ledgers.retain(|_, ledger| ledger.closed_until.is_some());
        }
        let assumed = self.assuming.of(bucket);
        self.ledgers.entry((pool.clone(), bucket)).or_insert_with(|| Ledger::assuming(assumed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_262_400);

    fn charge(pool: &str, payer: &str) -> Charge {
        Charge { pool: pool.into(), payer: payer.into() }
    }

    #[test]
    fn what_ran_out_stays_closed_for_everybody_of_that_account_and_bucket_alone_and_across_a_restart() {
        let gate = QuotaGate::default();
        let (ada, ben, other) = (charge("operator", "ada"), charge("operator", "ben"), charge("own", "ada"));
        assert_eq!(gate.admit(&ada, Bucket::Search, NOW), Ok(()));
        gate.ran_out(&ada, Bucket::Search, Some(Duration::from_secs(48_925)), NOW);
        assert_eq!(gate.admit(&ben, Bucket::Search, NOW), Err(Held::UsedUp(Duration::from_secs(48_925))));
        assert_eq!(gate.admit(&ben, Bucket::Playlists, NOW), Ok(()));
        assert_eq!(gate.admit(&other, Bucket::Search, NOW), Ok(()));
        assert_eq!(gate.closed("operator", NOW), [(Bucket::Search, Duration::from_secs(48_925))]);

        let stored = gate.take_changed();
        assert!(gate.take_changed().is_empty());
        let next = QuotaGate::default();
        next.recall(&stored);
        for (pool, bucket, calls) in gate.take_unstored(NOW) {
            next.recall_calls(&pool, bucket, &calls);
        }
        assert!(matches!(next.admit(&ben, Bucket::Search, NOW), Err(Held::UsedUp(_))));
        let after = NOW.plus(Duration::from_secs(48_925));
        assert_eq!(next.admit(&ben, Bucket::Search, after), Ok(()));
        assert!(next.closed("operator", after).is_empty());
    }

    #[test]
    fn a_wait_that_spotify_does_not_name_is_an_hour() {
        let gate = QuotaGate::default();
        gate.ran_out(&charge("operator", "ada"), Bucket::Other, None, NOW);
        assert_eq!(gate.closed("operator", NOW), [(Bucket::Other, UNSAID)]);
    }
}
