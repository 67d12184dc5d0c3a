//! Alerts: what was counted, what is due to be told, and what became of it.
//!
//! Counting a part of a trail, moving its cursor and raising what is due are one transaction: whatever instant a
//! process dies at, each event was counted once, and an alert that is due is stored.

use crate::ambient::Timestamp;
use crate::domain::AlertId;
use crate::failure::Failure;
use crate::policy::AlertRule;

use super::{Recorded, Store, corrupt, reading, record, transaction, writing};

/// Rules are silent about so many things each at most; what comes beyond is one alert together.
const MOST_SILENCES: i64 = 20;
/// What that one is about.
const OTHERS: &str = "(others)";
/// Most deliveries that wait on a channel; of further alerts it is only noted that nobody was told.
const MOST_DUE: i64 = 1_000;
/// What such a delivery ended with.
pub const QUEUE_FULL: &str = "queue_full";

/// Makes the event of an alert that is given up on a channel before it was ever tried; `None`: that is on no record.
pub type GivenUp<'a> = dyn Fn(&Counted<'_>, &str) -> Option<Recorded> + Sync + 'a;

/// How far a trail was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// In this segment.
    pub segment: u32,
    /// Up to this byte.
    pub position: u64,
}

/// Events of one rule about one thing in one slot of time.
#[derive(Clone, Debug)]
pub struct Counted<'a> {
    /// The rule.
    pub rule: &'a AlertRule,
    /// What is one alert.
    pub about: String,
    /// When, as the rule counts.
    pub slot: i64,
    /// How many.
    pub events: i64,
    /// The code of the last one.
    pub code: &'static str,
    /// When the last one happened.
    pub at: Timestamp,
    /// The ids of some of them, separated by blanks.
    pub records: String,
    /// The id of the alert, where one is due.
    pub id: AlertId,
}

/// What is told.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AlertRow {
    /// Its id.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// What it is about: empty, a code, or a host.
    pub about: String,
    /// The code of the event that made it due.
    pub code: String,
    /// How many events were counted.
    pub events: i64,
    /// The ids of some of them.
    pub records: String,
    /// When the last of them happened, in milliseconds.
    pub happened_at: i64,
    /// When it was raised, in seconds.
    pub raised_at: i64,
}

/// An alert, to whom it goes, and what became of that.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DeliveryRow {
    /// The alert.
    #[sqlx(flatten)]
    pub alert: AlertRow,
    /// To whom.
    pub channel: String,
    /// `due`, `sent` or `dead`.
    pub state: String,
    /// How often it was tried.
    pub tries: i64,
    /// When it is tried next, in milliseconds.
    pub next_at: i64,
    /// What the last try ended with.
    pub error: Option<String>,
    /// When it was sent or given up, in seconds.
    pub ended_at: Option<i64>,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It was taken.
    Sent,
    /// It was not, and is tried again at this instant.
    Again(Timestamp, &'static str),
    /// It was not, and is given up.
    Dead(&'static str),
}

const DELIVERIES: &str =
    "SELECT a.id, a.rule, a.about, a.code, a.events, a.records, a.happened_at, a.raised_at,
        d.channel, d.state, d.tries, d.next_at, d.error, d.ended_at
    FROM alert_deliveries d JOIN alerts a ON a.id = d.alert_id ";

impl Store {
    /// How far the trail of this writer was judged; `None`: nobody has begun.
    pub async fn alert_cursor(&self, writer: &str) -> Result<Option<Cursor>, Failure> {
        let sql = "SELECT segment, position FROM alert_cursors WHERE writer = $1";
        let row: Option<(i64, i64)> =
            reading!(self, pool => sqlx::query_as(sql).bind(writer).fetch_optional(pool).await)?;
        let cursor = |(segment, position): (i64, i64)| {
            Ok(Cursor {
                segment: segment.try_into().map_err(corrupt)?,
                position: position.try_into().map_err(corrupt)?,
            })
        };
        row.map(cursor).transpose()
    }

    /// Counts what stands between two places of a trail, moves its cursor, and raises what is due for these channels.
    /// The ids of what was raised; `None`, and nothing is counted, where the cursor is not where the caller thinks.
    pub async fn judge(
        &self,
        (writer, from, to): (&str, Option<Cursor>, Cursor),
        counted: &[Counted<'_>],
        (channels, given_up): (&[&'static str], &GivenUp<'_>),
        now: Timestamp,
    ) -> Result<Option<Vec<AlertId>>, Failure> {
        let begin = "INSERT INTO alert_cursors (writer, segment, position, moved_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (writer) DO NOTHING";
        let go_on = "UPDATE alert_cursors SET segment = $2, position = $3, moved_at = $4
            WHERE writer = $1 AND segment = $5 AND position = $6";
        let place =
            |cursor: Cursor| (i64::from(cursor.segment), i64::try_from(cursor.position).unwrap_or(i64::MAX));
        let raised: Option<Vec<AlertId>> = transaction!(self, tx => {
            let (segment, position) = place(to);
            let query = sqlx::query(if from.is_some() { go_on } else { begin });
            let query = query.bind(writer).bind(segment).bind(position).bind(now.secs());
            let query = match from.map(place) {
                Some((segment, position)) => query.bind(segment).bind(position),
                None => query,
            };
            if query.execute(&mut *tx).await?.rows_affected() == 0 {
                return Ok(None);
            }
            let mut raised = Vec::new();
            for one in counted {
                let events = count!(tx, one);
                if events < i64::from(one.rule.threshold) {
                    continue;
                }
                if let Some(about) = silence!(tx, one, now) {
                    raise!(tx, one, about, events, (channels, given_up), now);
                    raised.push(one.id.clone());
                }
            }
            Some(raised)
        });
        Ok(raised)
    }

    /// Forgets how far trails were judged: from now on nobody judges them.
    pub async fn forget_alert_cursor(&self, writer: &str) -> Result<(), Failure> {
        let sql = "DELETE FROM alert_cursors WHERE writer = $1";
        writing!(self, pool => sqlx::query(sql).bind(writer).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// What is due on a channel, the oldest first.
    pub async fn alerts_due(
        &self,
        channel: &str,
        now: Timestamp,
        most: i64,
    ) -> Result<Vec<DeliveryRow>, Failure> {
        let sql = sqlx::AssertSqlSafe(format!(
            "{DELIVERIES} WHERE d.state = 'due' AND d.channel = $1 AND d.next_at <= $2 ORDER BY d.next_at, a.id LIMIT $3"
        ));
        Ok(reading!(self, pool => sqlx::query_as(sql)
            .bind(channel).bind(now.millis()).bind(most).fetch_all(pool).await)?)
    }

    /// Takes a delivery for this server until an instant, and counts a try; `false` where another was faster.
    pub async fn take_delivery(&self, due: &DeliveryRow, until: Timestamp) -> Result<bool, Failure> {
        let sql = "UPDATE alert_deliveries SET next_at = $4, tries = tries + 1
            WHERE alert_id = $1 AND channel = $2 AND state = 'due' AND next_at = $3";
        let done = writing!(self, pool => sqlx::query(sql)
            .bind(&due.alert.id).bind(&due.channel).bind(due.next_at).bind(until.millis())
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(done == 1)
    }

    /// Stores how a try ended that was taken until this instant, with its events; what was taken over by another server
    /// stays its.
    pub async fn delivery_tried(
        &self,
        due: &DeliveryRow,
        until: Timestamp,
        (tried, now): (Tried, Timestamp),
        events: &[Recorded],
    ) -> Result<(), Failure> {
        let sql = "UPDATE alert_deliveries SET state = $4, next_at = $5, error = $6, ended_at = $7
            WHERE alert_id = $1 AND channel = $2 AND state = 'due' AND next_at = $3";
        let (state, next_at, error, ended) = match tried {
            Tried::Sent => ("sent", until, None, Some(now.secs())),
            Tried::Again(at, error) => ("due", at, Some(error), None),
            Tried::Dead(error) => ("dead", until, Some(error), Some(now.secs())),
        };
        transaction!(self, tx => {
            let done = sqlx::query(sql)
                .bind(&due.alert.id).bind(&due.channel).bind(until.millis())
                .bind(state).bind(next_at.millis()).bind(error).bind(ended)
                .execute(&mut *tx).await?;
            if done.rows_affected() == 1 {
                record!(tx, events);
            }
        });
        Ok(())
    }

    /// Deliveries, the newest alert first; of one state or of all.
    pub async fn alert_deliveries(
        &self,
        state: Option<&str>,
        most: i64,
    ) -> Result<Vec<DeliveryRow>, Failure> {
        let sql = sqlx::AssertSqlSafe(format!(
            "{DELIVERIES} WHERE d.state = $1 OR $1 = '' ORDER BY a.raised_at DESC, a.id DESC, d.channel LIMIT $2"
        ));
        Ok(reading!(self, pool => sqlx::query_as(sql)
            .bind(state.unwrap_or_default()).bind(most).fetch_all(pool).await)?)
    }

    /// Makes dead deliveries due again, those of one alert or all, with as many tries as new ones. How many; where there
    /// are any, `event` is recorded with their number.
    pub async fn resend_alerts(
        &self,
        alert: Option<&AlertId>,
        now: Timestamp,
        event: impl Fn(u64) -> Recorded,
    ) -> Result<u64, Failure> {
        let sql = "UPDATE alert_deliveries SET state = 'due', tries = 0, next_at = $2, ended_at = NULL
            WHERE state = 'dead' AND (alert_id = $1 OR $1 = '')";
        let resent = transaction!(self, tx => {
            let query = sqlx::query(sql).bind(alert.map_or("", AlertId::as_str)).bind(now.millis());
            let resent = query.execute(&mut *tx).await?.rows_affected();
            let event = (resent > 0).then(|| event(resent));
            record!(tx, event.as_slice());
            resent
        });
        Ok(resent)
    }

    /// How many deliveries there are, by channel and state.
    pub async fn count_deliveries(&self) -> Result<Vec<(String, String, i64)>, Failure> {
        let sql = "SELECT channel, state, COUNT(*) FROM alert_deliveries GROUP BY channel, state";
        Ok(reading!(self, pool => sqlx::query_as(sql).fetch_all(pool).await)?)
    }

    /// Removes counts and silences that are over, and alerts that were raised before an instant, but for those that
    /// somebody still tries to tell: what nobody has tried since then is due on a channel that is no more.
    pub async fn purge_alerts(&self, now: Timestamp, ended: Timestamp) -> Result<(), Failure> {
        let alerts = "DELETE FROM alerts WHERE raised_at <= $1
            AND NOT EXISTS (SELECT 1 FROM alert_deliveries
                WHERE alert_id = alerts.id AND state = 'due' AND next_at > $2)";
        let done: Result<(), sqlx::Error> = writing!(self, pool => {
            for sql in ["DELETE FROM alert_counts WHERE expires_at <= $1", "DELETE FROM alert_silences WHERE until <= $1"] {
                sqlx::query(sql).bind(now.secs()).execute(pool).await?;
            }
            sqlx::query(alerts).bind(ended.secs()).bind(ended.millis()).execute(pool).await?;
            Ok(())
        });
        Ok(done?)
    }
}

/// Adds to a slot; how many events the window around it holds now.
macro_rules! count {
    ($tx:ident, $one:expr) => {{
        let add =
            "INSERT INTO alert_counts (rule, about, slot, events, expires_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (rule, about, slot) DO UPDATE SET events = alert_counts.events + excluded.events";
        let sum = "SELECT CAST(SUM(events) AS BIGINT) FROM alert_counts WHERE rule = $1 AND about = $2
            AND slot >= $3 AND slot <= $4";
        let (rule, about, slot) = ($one.rule, &$one.about, $one.slot);
        sqlx::query(add)
            .bind(&rule.name)
            .bind(about)
            .bind(slot)
            .bind($one.events)
            .bind(rule.forgotten_at(slot))
            .execute(&mut *$tx)
            .await?;
        let sum: Option<i64> = sqlx::query_scalar(sum)
            .bind(&rule.name)
            .bind(about)
            .bind(AlertRule::first_slot(slot))
            .bind(slot)
            .fetch_one(&mut *$tx)
            .await?;
        sum.unwrap_or_default()
    }};
}

/// Has a rule fall silent about something, of all servers one; what the alert is about, or `None` where it was silent.
macro_rules! silence {
    ($tx:ident, $one:expr, $now:expr) => {{
        let others = "SELECT COUNT(*) FROM alert_silences WHERE rule = $1 AND until > $2 AND about <> $3";
        let fall_silent = "INSERT INTO alert_silences (rule, about, until) VALUES ($1, $2, $3)
            ON CONFLICT (rule, about) DO UPDATE SET until = excluded.until WHERE alert_silences.until <= $4";
        let (rule, now) = (&$one.rule.name, $now.secs());
        let many: i64 =
            sqlx::query_scalar(others).bind(rule).bind(now).bind(&$one.about).fetch_one(&mut *$tx).await?;
        let about = if many >= MOST_SILENCES { OTHERS } else { $one.about.as_str() };
        let done = sqlx::query(fall_silent)
            .bind(rule)
            .bind(about)
            .bind(now + i64::from($one.rule.window_seconds))
            .bind(now)
            .execute(&mut *$tx)
            .await?;
        (done.rows_affected() == 1).then_some(about)
    }};
}

/// Stores an alert, due on every channel.
macro_rules! raise {
    ($tx:ident, $one:expr, $about:expr, $events:expr, ($channels:expr, $given_up:expr), $now:expr) => {{
        let alert = "INSERT INTO alerts (id, rule, about, code, events, records, happened_at, raised_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let delivery =
            "INSERT INTO alert_deliveries (alert_id, channel, state, tries, next_at, error, ended_at)
            VALUES ($1, $2, $3, 0, $4, $5, $6)";
        // What was told counts no more: the next alert wants as many events again.
        sqlx::query("DELETE FROM alert_counts WHERE rule = $1 AND about = $2")
            .bind(&$one.rule.name)
            .bind(&$one.about)
            .execute(&mut *$tx)
            .await?;
        sqlx::query(alert)
            .bind($one.id.as_str())
            .bind(&$one.rule.name)
            .bind($about)
            .bind($one.code)
            .bind($events)
            .bind(&$one.records)
            .bind($one.at.millis())
            .bind($now.secs())
            .execute(&mut *$tx)
            .await?;
        let waiting = "SELECT COUNT(*) FROM alert_deliveries WHERE state = 'due' AND channel = $1";
        for channel in $channels {
            let waiting: i64 = sqlx::query_scalar(waiting).bind(*channel).fetch_one(&mut *$tx).await?;
            let (state, error, ended) = match waiting < MOST_DUE {
                true => ("due", None, None),
                false => ("dead", Some(QUEUE_FULL), Some($now.secs())),
            };
            if state == "dead" {
                let event = $given_up($one, channel);
                record!($tx, event.as_slice());
            }
            sqlx::query(delivery)
                .bind($one.id.as_str())
                .bind(*channel)
                .bind(state)
                .bind($now.millis())
                .bind(error)
                .bind(ended)
                .execute(&mut *$tx)
                .await?;
        }
    }};
}

use {count, raise, silence};
