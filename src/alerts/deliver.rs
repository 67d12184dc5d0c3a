//! Tells what is due on one channel, again and later where it was not taken, until it is given up.
//!
//! A delivery belongs to the server that moved its time; one that dies leaves it due again some time later. So a
//! receiver may hear of an alert twice, under the same id, and never not at all.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::round::Round;
use super::{Channel, Message, Undelivered};
use crate::ambient::Timestamp;
use crate::domain::event::{Event, EventCode};
use crate::failure::Failure;
use crate::policy::AlertRule;
use crate::store::{DeliveryRow, Recorded, Tried};
use crate::telemetry::metrics::Counter;

/// How often due deliveries are looked for, where nothing was raised here.
const EVERY: Duration = Duration::from_secs(2);

/// A try is another server's to repeat after this long; longer than any try.
const TAKEN_FOR: Duration = Duration::from_secs(60);

/// Taken at once.
const BATCH: i64 = 16;

/// Waits between tries, in seconds, before chance makes them longer; further ones wait as long as the last.
const WAITS: [u64; 8] = [2, 10, 60, 300, 1_800, 7_200, 18_000, 36_000];

/// Alerts that were raised by this process.
pub(super) static RAISED: Counter = Counter::new();

/// How many alerts this process raised.
pub fn raised() -> u64 {
    RAISED.get()
}

/// Tells until `stop`.
pub(super) async fn keep(round: Round, channel: Arc<Channel>, stop: CancellationToken) {
    loop {
        // Registered before the look: nothing that is raised meanwhile waits.
        let raised = round.alerts.raised.notified();
        if let Err(failure) = round.tell(&channel, &stop).await {
            tracing::error!(
                channel = channel.name(),
                cause = failure.chain(),
                "what is due to be told cannot be read"
            );
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = raised => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

impl Round {
    async fn tell(&self, channel: &Channel, stop: &CancellationToken) -> Result<(), Failure> {
        let alerts = &self.alerts;
        let due = alerts.store.alerts_due(channel.name(), alerts.clock.now(), BATCH).await?;
        for one in due {
            if stop.is_cancelled() {
                return Ok(());
            }
            let until = alerts.clock.now().plus(TAKEN_FOR);
            if alerts.store.take_delivery(&one, until).await? {
                let rule = self.receivers.rules.iter().find(|rule| rule.name == one.alert.rule);
                let message = Message::of(&one.alert, rule, &alerts.about);
                let told = channel.tell(&message).await;
                let (tried, given_up) = self.tried(&one, channel, told);
                let tried = (tried, alerts.clock.now());
                alerts.store.delivery_tried(&one, until, tried, given_up.as_slice()).await?;
            }
        }
        Ok(())
    }

    /// How a try ended, with the event where it was the last.
    fn tried(
        &self,
        one: &DeliveryRow,
        channel: &Channel,
        told: Result<(), Undelivered>,
    ) -> (Tried, Option<Recorded>) {
        let (alert, channel, tries) = (one.alert.id.as_str(), channel.name(), one.tries + 1);
        let Err(why) = told else {
            tracing::info!(alert, channel, tries, "an alert was told");
            return (Tried::Sent, None);
        };
        if tries >= i64::from(self.receivers.max_attempts) {
            tracing::error!(
                alert,
                channel,
                tries,
                why = why.why,
                "an alert could not be told and is given up: see 'alerts list'"
            );
            let event = given_up((alert, &one.alert.rule), channel, (tries, why.code));
            return (Tried::Dead(why.code), event.map(|event| self.stamp(event)));
        }
        let at = next_try(self.alerts.clock.now(), tries, self.alerts.dice.below(1_000));
        tracing::warn!(
            alert,
            channel,
            tries,
            why = why.why,
            next = at.rfc3339(),
            "an alert could not be told yet"
        );
        (Tried::Again(at, why.code), None)
    }

    pub(super) fn stamp(&self, event: Event) -> Recorded {
        Recorded::now(event, &self.alerts.clock, &self.alerts.dice)
    }
}

/// The event of a delivery that was given up. `None` for an alert that only says so of another: nothing may go round in
/// circles, and the log has it.
pub(super) fn given_up(
    (alert, rule): (&str, &str),
    channel: &str,
    (tries, code): (i64, &'static str),
) -> Option<Event> {
    if rule == AlertRule::UNDELIVERED {
        return None;
    }
    let event = Event::new(EventCode::AlertUndelivered).failed().subject(channel).status(code);
    Some(event.detail("alert", alert).detail("rule", rule).detail("tries", tries.to_string()))
}

/// When to try again after so many tries; `chance` of a thousand makes the wait up to a quarter longer.
fn next_try(now: Timestamp, tries: i64, chance: u64) -> Timestamp {
    let at = usize::try_from(tries - 1).unwrap_or(usize::MAX).min(WAITS.len() - 1);
    now.plus(Duration::from_millis(WAITS[at] * (1_000 + chance / 4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let now = Timestamp::from_secs(1_795_233_600);
        let wait = |tries, chance| next_try(now, tries, chance).since(now).as_millis();
        assert_eq!((wait(1, 0), wait(2, 0), wait(8, 0), wait(9, 0)), (2_000, 10_000, 36_000_000, 36_000_000));
        assert_eq!((wait(1, 999), wait(100, 999)), (2_498, 44_964_000));
    }
}
