//! Tells what is due on one channel, again and later where it was not taken, until it is given up.
//!
//! A delivery belongs to the server that moved its time; one that dies leaves it due again some time later. So a
//! receiver may hear of an alert twice, under the same id, and never not at all.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Alerts, Channel, Message};
use crate::ambient::Timestamp;
use crate::failure::Failure;
use crate::store::{DeliveryRow, Tried};
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
pub(super) async fn keep(alerts: Arc<Alerts>, channel: Arc<Channel>, stop: CancellationToken) {
    loop {
        // Registered before the look: nothing that is raised meanwhile waits.
        let raised = alerts.raised.notified();
        if let Err(failure) = alerts.tell(&channel, &stop).await {
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

impl Alerts {
    async fn tell(&self, channel: &Channel, stop: &CancellationToken) -> Result<(), Failure> {
        let due = self.store.alerts_due(channel.name(), self.clock.now(), BATCH).await?;
        for one in due {
            if stop.is_cancelled() {
                return Ok(());
            }
            let until = self.clock.now().plus(TAKEN_FOR);
            if self.store.take_delivery(&one, until).await? {
                let rule = self.rules.iter().find(|rule| rule.name == one.alert.rule);
                let message = Message::of(&one.alert, rule, &self.about);
                let told = channel.tell(&message).await;
                let tried = self.tried(&one, channel, told);
                self.store.delivery_tried(&one, until, (tried, self.clock.now())).await?;
            }
        }
        Ok(())
    }

    fn tried(&self, one: &DeliveryRow, channel: &Channel, told: Result<(), super::Undelivered>) -> Tried {
        let (alert, channel, tries) = (one.alert.id.as_str(), channel.name(), one.tries + 1);
        let Err(why) = told else {
            tracing::info!(alert, channel, tries, "an alert was told");
            return Tried::Sent;
        };
        if tries >= i64::from(self.max_attempts) {
            tracing::error!(
                alert,
                channel,
                tries,
                why = why.why,
                "an alert could not be told and is given up: see 'alerts list'"
            );
            return Tried::Dead(why.code);
        }
        let at = next_try(self.clock.now(), tries, self.dice.below(1_000));
        tracing::warn!(
            alert,
            channel,
            tries,
            why = why.why,
            next = at.rfc3339(),
            "an alert could not be told yet"
        );
        Tried::Again(at, why.code)
    }
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
