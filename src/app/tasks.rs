//! What runs beside requests: watching for revocations, draining the audit outbox, the purge each minute, the
//! egress gate's refusals into the trail.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::audit::note_refusals;
use crate::domain::KeyPurpose;
use crate::egress::Refusal;
use crate::telemetry::metrics::Figure;

use super::App;
use super::revocation::{EVERY, Moved};

/// How often expired rows go.
const PURGE_EVERY: Duration = Duration::from_secs(60);

/// How often uses of API keys are written down.
const KEY_USES_EVERY: Duration = Duration::from_secs(5);

/// How soon the database is told again how far the trail is signed, where it failed.
const MARK_AGAIN: Duration = Duration::from_secs(2);

impl App {
    /// Starts the tasks; they end after `stop`, the outbox drained once more.
    pub fn spawn_tasks(self: &Arc<Self>, stop: &CancellationToken) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(watch(self.clone(), stop.clone()));
        if self.drains_outbox {
            tasks.spawn(drain(self.clone(), stop.clone()));
            // One trail, one judge.
            self.alerts.spawn(&mut tasks, stop);
        }
        tasks.spawn(keep_marks(self.clone(), stop.clone()));
        tasks.spawn(purge(self.clone(), stop.clone()));
        tasks.spawn(self.quotas.clone().run(self.vault.clone(), stop.clone()));
        tasks.spawn(write_key_uses(self.clone(), stop.clone()));
        tasks.spawn(note_uses(self.clone(), stop.clone()));
        for anchor in &self.anchors {
            tasks.spawn(super::anchors::keep_telling(self.clone(), anchor.clone(), stop.clone()));
        }
        for gate in std::iter::once(&self.gate).chain(self.clients.gates()) {
            tasks.spawn(refusals(self.clone(), gate.refusals(), stop.clone()));
        }
        tasks
    }

    /// Drops everything remembered that a revocation may have ended.
    pub fn forget(&self) {
        self.bearers.forget_all();
        self.api_keys.forget_all();
        self.mcp_sessions.forget_all();
        self.vault.forget_all();
        self.api.forget_all();
        self.audit.forget_people();
    }

    /// Reads the epoch now and drops memory where it moved: what this server itself ended is dead at once.
    pub async fn notice_revocations(&self) {
        let forget = |moved: &Moved| {
            if moved.epoch {
                return self.forget();
            }
            if moved.sessions {
                self.mcp_sessions.forget_all();
            }
            if !moved.people.is_empty() {
                self.bearers.forget_of(&moved.people);
                self.api_keys.forget_of(&moved.people);
                self.vault.forget_of(&moved.people);
            }
        };
        let moved = self.revocation.read(&self.store, forget).await;
        if moved.epoch {
            // A key may have been replaced too. Where that cannot be read, whoever needs a key reads it again.
            if let Err(failure) = self.keys.learn().await {
                tracing::error!(cause = failure.chain(), "the key ring cannot be read again");
            }
            self.forget();
            self.keep_tombstones().await;
            if let Err(failure) = self.follow_evidence_key().await {
                tracing::error!(
                    cause = failure.chain(),
                    "the audit trail does not yet know the key that signs it"
                );
            }
        }
        if moved.is_any() || !self.revocation.memory_is_good() {
            self.revocation.tell();
        }
    }

    /// Deletions go into a file outside the database as well, before anybody restores a backup without them.
    async fn keep_tombstones(&self) {
        let mut mirror = self.tombstones.lock().await;
        let kept = async {
            let all = self.store.count_tombstones().await?;
            if !mirror.is_behind(all) {
                return Ok(());
            }
            let key = self.keys.own(KeyPurpose::Tombstones)?;
            let aside = mirror.keep(&self.store.tombstones().await?, &key, self.now())?;
            let Some(aside) = aside else { return Ok(()) };
            tracing::error!(why = aside.why, "tombstones.ndjson is set aside and written anew");
            self.store.record(&[self.stamp(aside.event())]).await
        };
        if let Err(failure) = kept.await {
            tracing::error!(cause = failure.chain(), "deletions are not yet kept outside the database");
        }
    }
}

async fn watch(app: Arc<App>, stop: CancellationToken) {
    while !stopped_within(&stop, EVERY).await {
        app.notice_revocations().await;
    }
}

async fn drain(app: Arc<App>, stop: CancellationToken) {
    loop {
        let last = stopped_within(&stop, EVERY).await;
        if let Err(failure) = super::trail::drain(&app.audit, &app.store, &app.clock).await {
            tracing::error!(cause = failure.chain(), "audit events wait in the outbox");
        }
        if last {
            return;
        }
    }
}

/// Keeps in the database how far the trail was signed, whenever it was; again after a while where that failed.
async fn keep_marks(app: Arc<App>, stop: CancellationToken) {
    let mut signed = app.audit.signed();
    loop {
        signed.borrow_and_update();
        let kept = app.keep_mark().await;
        let wait = async {
            match kept {
                Ok(()) => signed.changed().await.is_ok(),
                Err(failure) => {
                    tracing::error!(
                        cause = failure.chain(),
                        "the database does not know how far the trail is signed"
                    );
                    tokio::time::sleep(MARK_AGAIN).await;
                    true
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            more = wait => if !more { return },
        }
    }
}

async fn purge(app: Arc<App>, stop: CancellationToken) {
    loop {
        match app.store.purge(app.now()).await {
            Ok(gone) => {
                Figure::SessionTimeout.add(gone.timed_out);
                tracing::debug!(?gone, "expired rows removed");
            }
            Err(failure) => tracing::error!(cause = failure.chain(), "the purge failed"),
        }
        if let Err(failure) = app.retire_trail().await {
            tracing::error!(cause = failure.chain(), "old parts of the audit trail stay for now");
        }
        app.api.sweep();
        app.keep_tombstones().await;
        if stopped_within(&stop, PURGE_EVERY).await {
            return;
        }
    }
}

async fn write_key_uses(app: Arc<App>, stop: CancellationToken) {
    loop {
        let last = stopped_within(&stop, KEY_USES_EVERY).await;
        if let Err(failure) = app.api_keys.write_uses(&app.store).await {
            tracing::warn!(cause = failure.chain(), "the last use of API keys cannot be written down yet");
        }
        if last {
            return;
        }
    }
}

/// Stores when sessions of 2025-era clients were used, off the way of their requests.
async fn note_uses(app: Arc<App>, stop: CancellationToken) {
    loop {
        let last = stopped_within(&stop, app.mcp_sessions.note_every()).await;
        if let Err(failure) = app.mcp_sessions.note_uses().await {
            tracing::error!(cause = failure.chain(), "the use of sessions cannot be noted");
        }
        if last {
            return;
        }
    }
}

async fn refusals(app: Arc<App>, refused: Option<mpsc::Receiver<Refusal>>, stop: CancellationToken) {
    if let Some(refused) = refused {
        note_refusals(&app.audit, refused, stop).await;
    }
}

async fn stopped_within(stop: &CancellationToken, time: Duration) -> bool {
    tokio::time::timeout(time, stop.cancelled()).await.is_ok()
}
