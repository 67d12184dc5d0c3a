//! Judging and telling with the receivers of one configuration, and again with those of the next.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Alerts, Channel, Receivers, deliver, judge};

/// What one configuration's judging and telling works with.
#[derive(Clone)]
pub(super) struct Round {
    pub(super) alerts: Arc<Alerts>,
    pub(super) receivers: Arc<Receivers>,
}

impl Alerts {
    /// Starts judging and telling until `stop`.
    pub fn spawn(self: &Arc<Self>, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
        tasks.spawn(keep(self.clone(), stop.clone()));
    }
}

async fn keep(alerts: Arc<Alerts>, stop: CancellationToken) {
    let mut receivers = alerts.receivers.subscribe();
    // Whoever is being told when the receivers change is told to the end: deliveries have one teller at a time.
    let mut telling = JoinSet::new();
    loop {
        let now = receivers.borrow_and_update().clone();
        let (round, over) = (Round { alerts: alerts.clone(), receivers: now.clone() }, stop.child_token());
        // One trail, one judge: the next begins where this one has stored that it stopped.
        let mut judging = JoinSet::new();
        judging.spawn(judge::keep(round.clone(), over.clone()));
        for channel in &now.channels {
            telling.spawn(deliver::keep(round.clone(), channel.clone(), over.clone()));
            telling.spawn(note_refusals(alerts.clone(), channel.clone(), over.clone()));
        }
        tokio::select! {
            () = stop.cancelled() => {}
            _ = receivers.changed() => {}
        }
        over.cancel();
        while judging.join_next().await.is_some() {}
        while telling.try_join_next().is_some() {}
        if stop.is_cancelled() {
            while telling.join_next().await.is_some() {}
            return;
        }
    }
}

async fn note_refusals(alerts: Arc<Alerts>, channel: Arc<Channel>, over: CancellationToken) {
    if let Some(refused) = channel.gate().and_then(|gate| gate.refusals()) {
        crate::audit::note_refusals(&alerts.audit, refused, over).await;
    }
}
