//! Tells the places outside of every checkpoint of the trail, each by itself, in order, until it has heard them all.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::audit::anchors::{self, Anchor, Webhook};
use crate::config::AnchorsConfig;
use crate::domain::event::{Event, EventCode};
use crate::egress::Gate;
use crate::failure::Failure;

use super::App;

/// Checkpoints that are read at once.
const AT_ONCE: usize = 100;
/// How soon one that failed is told again; twice as long each time.
const SOON: Duration = Duration::from_secs(2);
/// And never later than this.
const LATE: Duration = Duration::from_secs(60);
/// How long the end of the process waits for each place to hear of the last checkpoint.
const LAST: Duration = Duration::from_secs(3);

/// The places that a configuration names.
pub(super) fn configured(config: &AnchorsConfig, gate: &Gate) -> Vec<Anchor> {
    let file = config.file.clone().map(Anchor::File);
    let syslog = config.syslog.clone().map(Anchor::Syslog);
    let webhook = config.webhook.clone().map(|url| {
        let (gate, token) = (gate.clone(), config.webhook_token.clone());
        Anchor::Webhook(Box::new(Webhook { gate, url, token }))
    });
    file.into_iter().chain(syslog).chain(webhook).collect()
}

impl App {
    /// How many records every place outside was told of; nothing where there is no such place.
    pub(super) async fn told_everywhere(&self) -> Result<Option<u64>, Failure> {
        let chain = &self.audit.standing().chain_uid;
        let mut least = None;
        for anchor in &self.anchors {
            let told = self.store.told_anchor(chain, anchor.name()).await?;
            least = Some(least.map_or(told, |least: u64| least.min(told)));
        }
        Ok(least)
    }

    /// Tells one place of every checkpoint that it was not told of.
    async fn tell(&self, anchor: &Anchor) -> Result<(), Failure> {
        let chain = &self.audit.standing().chain_uid;
        let mut told = self.store.told_anchor(chain, anchor.name()).await?;
        loop {
            let dir = self.audit.dir().to_owned();
            let read = move || anchors::after(&dir, told, AT_ONCE);
            let waiting = tokio::task::spawn_blocking(read).await??;
            if waiting.is_empty() {
                return Ok(());
            }
            for signed in &waiting {
                anchor.tell(signed, self.now()).await?;
                told = signed.size;
                self.store.anchor_told(chain, anchor.name(), (told, self.now())).await?;
            }
        }
    }

    /// Tells every place of the last checkpoint, after the trail is closed.
    pub async fn tell_the_last(&self) {
        for anchor in &self.anchors {
            match tokio::time::timeout(LAST, self.tell(anchor)).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => not_told(anchor, &failure),
                Err(_) => not_told(anchor, &Failure::new("it takes too long")),
            }
        }
    }
}

fn not_told(anchor: &Anchor, failure: &Failure) {
    let (anchor, cause) = (anchor.name(), failure.chain());
    tracing::error!(anchor, cause, "a checkpoint of the audit trail waits to be told outside");
}

/// Tells one place, again and again; that it fails, and that it works again, is on record once.
pub(super) async fn keep_telling(app: Arc<App>, anchor: Anchor, stop: CancellationToken) {
    let mut signed = app.audit.signed();
    let mut wait = SOON;
    let mut fails = false;
    loop {
        signed.borrow_and_update();
        let told = tokio::select! {
            () = stop.cancelled() => return,
            told = app.tell(&anchor) => told,
        };
        if told.is_ok() == fails {
            fails = !fails;
            app.audit.note(changed(&anchor, told.as_ref().err())).await;
        }
        let next = async {
            match told {
                Ok(()) => signed.changed().await.is_ok(),
                Err(failure) => {
                    not_told(&anchor, &failure);
                    tokio::time::sleep(wait).await;
                    true
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            more = next => if !more { return },
        }
        wait = if fails { (wait * 2).min(LATE) } else { SOON };
    }
}

fn changed(anchor: &Anchor, failure: Option<&Failure>) -> Event {
    match failure {
        Some(failure) => Event::new(EventCode::AuditAnchorFailed)
            .failed()
            .detail("anchor", anchor.name())
            .because(failure.to_string()),
        None => Event::new(EventCode::AuditAnchorRecovered).detail("anchor", anchor.name()),
    }
}
