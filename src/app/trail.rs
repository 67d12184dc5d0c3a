//! The audit trail beside the database: who signs it, how far it was signed, and whether it is what was signed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::ambient::{Clock, Dice, Timestamp};
use crate::audit::{Audit, OpenError, OutboxRow, Pace, People, Settings, Signer};
use crate::config::Config;
use crate::domain::KeyPurpose;
use crate::domain::event::{Event, EventCode};
use crate::failure::Failure;
use crate::store::{ChainMark, Store};
use crate::vault::KeyRing;
use crate::vault::rotation::Facts;

use super::{App, BuildError, Mode};

/// Events taken from the outbox at once.
const BATCH: i64 = 500;

/// How often, and how far apart, a server asks for a trail that is in use.
const TRIES: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(100);

/// Programs that each start a server of their own over standard input share one database and one folder.
const MOST_LOCAL_SERVERS: u32 = 32;

/// Who signs the trail now, with how the evidence keys followed one another.
pub(super) async fn signer(store: &Store, keys: &KeyRing) -> Result<Signer, Failure> {
    let facts = store.signing_facts().await?;
    let successions = facts.iter().filter_map(|facts| Facts::parse(facts).succession).collect();
    Signer::new(&*keys.own(KeyPurpose::Evidence)?, successions)
}

/// [`open`] for a server: a command that is just writing down what it did soon gives the trail back.
pub(super) async fn open_in_turn(
    config: &Config,
    mode: Mode,
    (store, keys): (&Store, &Arc<KeyRing>),
    (clock, dice): (&Clock, &Dice),
) -> Result<(Audit, bool), BuildError> {
    let mut tries = 0;
    loop {
        match open(config, mode, (store, keys), (clock, dice)).await {
            Err(BuildError::Audit(OpenError::InUse(_))) if tries < TRIES => tokio::time::sleep(BETWEEN).await,
            done => return done,
        }
        tries += 1;
    }
}

/// Opens the trail, and says whether this process writes the outbox into it. One chain has one writer: a local server
/// that finds the trail taken writes its own beside it, and leaves the outbox to the first.
async fn open(
    config: &Config,
    mode: Mode,
    (store, keys): (&Store, &Arc<KeyRing>),
    (clock, dice): (&Clock, &Dice),
) -> Result<(Audit, bool), BuildError> {
    let signer = signer(store, keys).await?;
    let people = People::of(store, keys, (clock, dice));
    let settings = |dir: &Path| Settings {
        segment_bytes: config.audit.segment_bytes,
        pace: Pace { records: config.audit.checkpoint_records, every: config.audit.checkpoint_every },
        ..Settings::new(dir, signer.clone(), people.clone())
    };
    let open = |dir: &Path| Audit::open(settings(dir), clock.clone(), dice.clone());
    let (audit, first) = opened(&config.audit.dir, mode, open).map_err(BuildError::Audit)?;
    let standing = audit.standing();
    let mark = store.audit_chain(&standing.chain_uid).await?;
    if mark.is_some_and(|mark| mark.size.unsigned_abs() > standing.size) {
        return Err(BuildError::Audit(OpenError::Changed(config.audit.dir.clone())));
    }
    if first && standing.size == 0 {
        miss(&audit, store).await?;
    }
    Ok((audit, first))
}

/// A trail that begins anew where one was says so in its first record: somebody moved the other away, or deleted it. On
/// PostgreSQL the trails of other servers are not here either: one is missed where the folder still has its writer's name.
async fn miss(audit: &Audit, store: &Store) -> Result<(), Failure> {
    let is_ours = |mark: &ChainMark| !store.is_postgres() || mark.writer == audit.writer();
    let known = store.audit_chains().await?;
    let Some(last) = known.iter().filter(|mark| is_ours(mark)).max_by_key(|mark| mark.at) else {
        return Ok(());
    };
    tracing::error!(
        chain = last.chain_uid,
        records = last.size,
        "the audit trail that was here is not: a new one begins"
    );
    let event = Event::new(EventCode::AuditTrailMissing)
        .failed()
        .subject(&last.chain_uid)
        .detail("records", last.size.to_string())
        .detail("signed_at", last.at.rfc3339());
    audit.record(event).await
}

fn opened(
    dir: &Path,
    mode: Mode,
    open: impl Fn(&Path) -> Result<Audit, OpenError>,
) -> Result<(Audit, bool), OpenError> {
    let first = match open(dir) {
        Err(OpenError::InUse(dir)) if mode.stdio => OpenError::InUse(dir),
        other => return other.map(|audit| (audit, true)),
    };
    for n in 1..=MOST_LOCAL_SERVERS {
        match open(&dir.join(format!("local-{n}"))) {
            Err(OpenError::InUse(_)) => {}
            other => return other.map(|audit| (audit, false)),
        }
    }
    Err(first)
}

/// Writes what waits in the outbox into the trail; gives how many events that were.
pub(super) async fn drain(audit: &Audit, store: &Store, clock: &Clock) -> Result<usize, Failure> {
    let mut written = 0;
    loop {
        let claimed = store.claim_outbox(audit.writer(), clock.now(), BATCH).await?;
        if claimed.is_empty() {
            return Ok(written);
        }
        let ids: Vec<_> = claimed.iter().map(|recorded| recorded.id.clone()).collect();
        let rows = claimed
            .into_iter()
            .map(|recorded| OutboxRow { uid: recorded.id, at: recorded.at, event: recorded.event })
            .collect();
        audit.append_batch(rows).await?;
        store.outbox_drained(&ids).await?;
        written += ids.len();
    }
}

/// What became of the events that a command left in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// So many are in the trail now.
    Written(usize),
    /// A server has this trail open and writes them.
    ByServer,
}

/// Writes what waits in the outbox into the trail, for a command, after its own change: where no server has the trail
/// open. The chain's lock is held meanwhile; a server that starts just then waits for it.
///
/// # Errors
/// Where the trail or the database refuses: the events stay in the outbox, and a later command or the next server
/// writes them.
pub async fn drain_if_alone(
    config: &Config,
    (store, keys): (&Store, &Arc<KeyRing>),
    (clock, dice): (&Clock, &Dice),
) -> Result<Drained, BuildError> {
    let (audit, _) = match open(config, Mode::default(), (store, keys), (clock, dice)).await {
        Err(BuildError::Audit(OpenError::InUse(_))) => return Ok(Drained::ByServer),
        opened => opened?,
    };
    let drained = drain(&audit, store, clock).await;
    audit.close().await;
    let kept = keep(&audit, store).await;
    let written = drained?;
    kept?;
    Ok(Drained::Written(written))
}

/// Keeps in the database how far the trail was signed.
async fn keep(audit: &Audit, store: &Store) -> Result<(), Failure> {
    let Some(mark) = audit.signed().borrow().clone() else { return Ok(()) };
    let at = Timestamp::parse_rfc3339(&mark.signed.at).unwrap_or_default();
    let mark = ChainMark {
        chain_uid: mark.chain_uid,
        writer: audit.writer().to_owned(),
        first_key: mark.key.clone(),
        key: mark.key,
        size: mark.signed.size.cast_signed(),
        note: mark.signed.note,
        at,
    };
    store.keep_chain_mark(&mark).await
}

impl App {
    /// Keeps in the database how far the trail was signed. The last step of a shutdown but one: after the trail is
    /// closed, before the database is.
    ///
    /// # Errors
    /// Where the database fails; the file beside the trail has the checkpoint all the same.
    pub async fn keep_mark(&self) -> Result<(), Failure> {
        keep(&self.audit, &self.store).await
    }

    /// What is older than it is to be kept goes: complete segments that are signed, in the database too, and the keys of
    /// addresses.
    pub(super) async fn retire_trail(&self) -> Result<(), Failure> {
        let (now, keep) = (self.now(), &self.config.audit);
        if let Some(days) = keep.keep_addresses_days {
            self.store.forget_audit_days(now.secs().div_euclid(86_400) - i64::from(days)).await?;
        }
        let Some(age) = keep.keep else { return Ok(()) };
        let mark = self.store.audit_chain(&self.audit.standing().chain_uid).await?;
        let kept = mark.map_or(0, |mark| mark.size.unsigned_abs());
        let anchored = self.told_everywhere().await?.map_or(kept, |told| told.min(kept));
        let gone = self.audit.retire(now.minus(age), anchored).await?;
        if gone > 0 {
            tracing::info!(segments = gone, "old segments of the audit trail are removed");
        }
        Ok(())
    }

    /// Where the evidence key was replaced, the new one signs the trail.
    pub(super) async fn follow_evidence_key(&self) -> Result<(), Failure> {
        let id = *self.keys.own(KeyPurpose::Evidence)?.id();
        let mut known = self.trail_key.lock().await;
        if *known == id {
            return Ok(());
        }
        let signer = signer(&self.store, &self.keys).await?;
        // From here on the writer has it, even where the disk refuses the record of it for a while.
        *known = id;
        self.audit.change_key(signer).await
    }
}
