//! Who made how many requests to Spotify in the last day, of quotas that people share: as servers have written it down.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::administer::Desk;
use super::table::columns_with_names;
use crate::ambient::Timestamp;
use crate::app::{PoolOf, Quotas, first_hour};
use crate::domain::UserId;
use crate::domain::event::clean;
use crate::failure::Failure;
use crate::spotify::quota::{Bucket, Charge, QuotaGate};

/// The last day.
pub(super) struct Day {
    gate: QuotaGate,
    now: Timestamp,
    /// Whose calls there are, by developer account and bucket.
    payers: BTreeMap<(String, String), BTreeSet<String>>,
    people: HashMap<String, (UserId, String)>,
}

impl Day {
    /// As it is stored. `pool_of`: the developer account of an app.
    pub(super) async fn read(desk: &Desk, pool_of: &PoolOf<'_>) -> Result<Self, Failure> {
        let (store, now) = (&desk.store, desk.clock.now());
        let gate = Quotas::stored(store, now, (desk.config.spotify.daily_quota, pool_of)).await?;
        let mut payers: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for row in store.quota_calls(first_hour(now)).await? {
            payers.entry((row.pool, row.bucket)).or_default().insert(row.payer);
        }
        let people = store.payers(first_hour(now)).await?;
        let people = people.into_iter().map(|(payer, user, name)| (payer, (user, name))).collect();
        Ok(Self { gate, now, payers, people })
    }

    /// What is known of a developer account: each kind of requests that was made, or has a known size.
    pub(super) fn told(&self, pool: &str) -> Vec<Value> {
        Bucket::ALL.into_iter().filter_map(|bucket| self.of(pool, bucket)).collect()
    }

    fn of(&self, pool: &str, bucket: Bucket) -> Option<Value> {
        let size = self.gate.size(pool, bucket, self.now);
        let payers = self.payers.get(&(pool.to_owned(), bucket.name().to_owned()));
        let learned = size.and_then(|size| size.learned);
        if payers.is_none() && learned.is_none() {
            return None;
        }
        let mut people: Vec<_> =
            payers.into_iter().flatten().map(|payer| self.person(pool, bucket, payer)).collect();
        people.sort_by_key(|person| std::cmp::Reverse(person["made"].as_u64()));
        Some(json!({
            "calls": bucket.name(),
            "made": people.iter().filter_map(|person| person["made"].as_u64()).sum::<u64>(),
            "size": size.map(|size| size.calls),
            "learned_at": learned.map(Timestamp::rfc3339),
            "people": people,
        }))
    }

    fn person(&self, pool: &str, bucket: Bucket, payer: &str) -> Value {
        let charge = Charge { pool: Arc::from(pool), payer: Arc::from(payer) };
        let used = self.gate.used(&charge, self.now).into_iter().find(|(of, _)| *of == bucket);
        let known = self.people.get(payer);
        json!({
            "user": known.map(|(user, _)| user),
            "display_name": known.map(|(_, name)| name),
            "made": used.map(|(_, used)| used.made),
            "of": used.and_then(|(_, used)| used.share),
        })
    }
}

/// In words: each developer account once, whichever app it was told with.
pub(super) fn in_words(apps: &[Value]) -> String {
    let mut said = String::new();
    let mut seen = BTreeSet::new();
    for app in apps {
        let pool = app["developer"].as_str().unwrap_or_default();
        let quotas = app["requests_of_a_day"].as_array().map(Vec::as_slice).unwrap_or_default();
        if quotas.is_empty() || !seen.insert(pool) {
            continue;
        }
        let name = super::apps::called(app);
        said += &format!("\nRequests to Spotify in the last 24 hours, developer account of {name}:\n");
        let rows: Vec<_> = quotas.iter().flat_map(rows).collect();
        if !rows.is_empty() {
            said += &columns_with_names(&["CALLS", "MADE", "SHARE", "NAME", "USER"], 3, &rows);
        }
        said.extend(quotas.iter().filter_map(size));
    }
    said
}

fn rows(quota: &Value) -> Vec<[String; 5]> {
    let people = quota["people"].as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |person: &Value| {
        let text = |value: &Value| value.as_str().map(clean);
        [
            quota["calls"].as_str().unwrap_or_default().to_owned(),
            person["made"].to_string(),
            person["of"].as_u64().map_or_else(|| "-".to_owned(), |of| of.to_string()),
            text(&person["display_name"]).unwrap_or_default(),
            text(&person["user"]).unwrap_or_else(|| "deleted".to_owned()),
        ]
    };
    people.iter().map(one).collect()
}

fn size(quota: &Value) -> Option<String> {
    let (calls, size) = (quota["calls"].as_str()?, quota["size"].as_u64()?);
    Some(match quota["learned_at"].as_str() {
        Some(at) => format!("{calls}: {size} fit into a day, as was learned at {at}; --reopen forgets it.\n"),
        None => format!("{calls}: {size} fit into a day, as spotify.daily_quota says.\n"),
    })
}
