//! Counts what the trail says against the rules, a part at a time.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::deliver::given_up;
use super::follow::{Follower, Happened, Part};
use super::round::Round;
use crate::ambient::Timestamp;
use crate::domain::AlertId;
use crate::domain::event::{EventCode, clean};
use crate::failure::{During as _, Failure};
use crate::policy::{AlertRule, GroupBy};
use crate::store::{Counted, Cursor, QUEUE_FULL};

/// How often the trail is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// How far behind the stored cursor may be where nothing happened that counts: so much is read again after a kill.
const STORED_EVERY: Duration = Duration::from_secs(60);

/// An installation that has no cursor yet judges what its trail holds of the last hour.
const AT_FIRST: Duration = Duration::from_secs(3_600);

/// So many records are named with an alert.
const NAMED: usize = 5;

/// Longest name of what an alert is about.
const LONGEST_ABOUT: usize = 120;

/// Alerts stay so long after they were raised.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// How often what is over is removed.
const PURGED_EVERY: Duration = Duration::from_secs(600);

/// Where judging stands.
struct Place {
    /// What the database says.
    stored: Option<Cursor>,
    /// What was read.
    read: Cursor,
    /// What happened before is not judged.
    not_before: Timestamp,
    stored_at: Timestamp,
}

/// Judges until `stop`, and removes what is over.
pub(super) async fn keep(round: Round, stop: CancellationToken) {
    let (alerts, receivers) = (&round.alerts, &round.receivers);
    let idle = receivers.channels.is_empty() || receivers.rules.is_empty();
    if idle {
        // Whoever is told from some later day on need not hear of everything since.
        if let Err(failure) = alerts.store.forget_alert_cursor(alerts.audit.writer()).await {
            tracing::debug!(cause = failure.chain(), "no cursor is kept, and none can be removed");
        }
    }
    let (mut place, mut purged_at) = (None, None::<Timestamp>);
    loop {
        let wait = if idle && purged_at.is_some() { PURGED_EVERY } else { EVERY };
        let last = tokio::time::timeout(wait, stop.cancelled()).await.is_ok();
        if !idle && let Err(failure) = round.catch_up(&mut place, last).await {
            tracing::error!(cause = failure.chain(), "alerts wait");
            // Another process may have moved it, or the database was replaced.
            place = None;
        }
        let now = alerts.clock.now();
        if purged_at.is_none_or(|at| now.since(at) >= PURGED_EVERY) {
            purged_at = Some(now);
            if let Err(failure) = alerts.store.purge_alerts(now, now.minus(KEPT)).await {
                tracing::warn!(cause = failure.chain(), "old alerts cannot be removed yet");
            }
        }
        if last {
            return;
        }
    }
}

impl Round {
    /// Judges everything that is on disk.
    async fn catch_up(&self, place: &mut Option<Place>, last: bool) -> Result<(), Failure> {
        let mut at = match place.take() {
            Some(place) => place,
            None => self.begin().await?,
        };
        loop {
            let part = self.read(at.read).await?;
            let due = last || self.alerts.clock.now().since(at.stored_at) >= STORED_EVERY;
            let counted = self.counted(&part.happened, at.not_before);
            if !counted.is_empty() || (due && at.stored != Some(part.to)) || at.stored.is_none() {
                self.store_part(&mut at, &counted, part.to).await?;
            }
            at.read = part.to;
            if !part.more {
                *place = Some(at);
                return Ok(());
            }
        }
    }

    async fn store_part(&self, at: &mut Place, counted: &[Counted<'_>], to: Cursor) -> Result<(), Failure> {
        let now = self.alerts.clock.now();
        let channels: Vec<_> = self.receivers.channels.iter().map(|channel| channel.name()).collect();
        let given_up = |one: &Counted<'_>, channel: &str| {
            let event = given_up((one.id.as_str(), &one.rule.name), channel, (0, QUEUE_FULL))?;
            tracing::error!(
                alert = one.id.as_str(),
                channel,
                "too many alerts wait, and this one is told to nobody"
            );
            Some(self.stamp(event))
        };
        let place = (self.alerts.audit.writer(), at.stored, to);
        let judged = self.alerts.store.judge(place, counted, (&channels, &given_up), now).await?;
        let Some(raised) = judged else { return Err(Failure::new("the trail was judged by somebody else")) };
        (at.stored, at.stored_at) = (Some(to), now);
        for id in &raised {
            tracing::warn!(alert = id.as_str(), "an alert is raised");
            super::deliver::RAISED.count();
        }
        if !raised.is_empty() {
            self.alerts.raised.notify_waiters();
        }
        Ok(())
    }

    /// Where the database says that judging stopped; at first, the beginning of the last hour.
    async fn begin(&self) -> Result<Place, Failure> {
        let (stored, now) =
            (self.alerts.store.alert_cursor(self.alerts.audit.writer()).await?, self.alerts.clock.now());
        let (read, not_before) = match stored {
            Some(cursor) => (cursor, Timestamp::from_secs(0)),
            None => (self.first_segment(), now.minus(AT_FIRST)),
        };
        Ok(Place { stored, read, not_before, stored_at: now })
    }

    /// The oldest segment that was written to in the last hour.
    fn first_segment(&self) -> Cursor {
        let current = self.alerts.audit.durable().0;
        let recent = |segment: &u32| {
            let file = std::fs::metadata(self.alerts.dir.join(format!("audit-{segment}.ndjson")));
            let age = |at: SystemTime| at.elapsed().unwrap_or_default();
            file.and_then(|file| file.modified()).is_ok_and(|at| age(at) <= AT_FIRST)
        };
        let segment = (1..=current).rev().take_while(recent).last().unwrap_or(current);
        Cursor { segment, position: 0 }
    }

    /// Off the executor: a disk may take its time.
    async fn read(&self, from: Cursor) -> Result<Part, Failure> {
        let (dir, durable) = (self.alerts.dir.clone(), self.alerts.audit.durable());
        let watched: Vec<EventCode> =
            self.receivers.rules.iter().flat_map(|rule| rule.events.clone()).collect();
        let read = tokio::task::spawn_blocking(move || {
            let watched = |code| watched.contains(&code);
            Follower { dir: &dir, watched: &watched }.read(from, durable)
        });
        read.await?.during("reading the audit trail for alerts")
    }

    /// What counts, by rule, subject and slot, in the order in which every server counts it.
    fn counted(&self, happened: &[Happened], not_before: Timestamp) -> Vec<Counted<'_>> {
        let mut groups: BTreeMap<(&str, String, i64), Counted<'_>> = BTreeMap::new();
        for one in happened.iter().filter(|one| one.at >= not_before) {
            for rule in self.receivers.rules.iter().filter(|rule| rule.is_about(one.code)) {
                let (about, slot) = (about(rule, one), rule.slot(one.at.secs()));
                let id = || AlertId::mint(self.alerts.dice.bytes());
                let group = groups.entry((&rule.name, about.clone(), slot)).or_insert_with(|| Counted {
                    rule,
                    about,
                    slot,
                    events: 0,
                    code: one.code.name(),
                    at: one.at,
                    records: String::new(),
                    id: id(),
                });
                group.events += 1;
                (group.code, group.at) = (one.code.name(), one.at);
                if group.records.split_ascii_whitespace().count() < NAMED {
                    group.records += &format!("{} ", one.record);
                }
            }
        }
        groups.into_values().collect()
    }
}

fn about(rule: &AlertRule, one: &Happened) -> String {
    match rule.by {
        GroupBy::All => String::new(),
        GroupBy::Event => one.code.name().to_owned(),
        GroupBy::Subject => clean(&one.subject).chars().take(LONGEST_ABOUT).collect(),
    }
}
