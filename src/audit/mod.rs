//! The only door to the audit trail: one event, one line of OCSF-shaped NDJSON, in order, chained, on disk.
//!
//! [`Audit::record`] returns when the line is durable, so that an operation can wait for it or fail with it;
//! [`Audit::note`] queues to the same writer. Nothing is ever dropped: a full disk makes the first fail and the
//! second wait. What is durable is signed from time to time ([`Signed`]). Never: deciding anything, carrying a secret,
//! writing a person's name.

mod about;
pub mod anchors;
mod checkpoints;
mod draft;
pub mod line;
pub mod merkle;
mod mirror;
pub mod note;
pub mod people;
pub mod personal;
pub mod proof;
mod queue;
pub mod reader;
pub(crate) mod record;
mod refusals;
pub(crate) mod resume;
mod retention;
pub(crate) mod segment;
mod signer;
pub mod survey;
mod text;
pub mod verify;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::ambient::{Clock, Dice, Timestamp};
use crate::domain::UserId;
use crate::domain::event::Event;
use crate::domain::ids::EventId;
use crate::failure::Failure;
pub use checkpoints::{CHECKPOINTS, Marked, Signed};
use draft::Draft;
use people::Hidden;
pub use people::People;
use queue::{Queue, Work};
pub use record::ZERO_HASH;
pub use refusals::note_refusals;
pub use segment::{OpenError, SEGMENT_BYTES, is_in_use};
pub use signer::Signer;

/// Most rows that [`Audit::append_batch`] hands to the writer at once; longer batches go in parts.
const BATCH: usize = 256;

/// How a trail is kept.
#[derive(Clone)]
pub struct Settings {
    /// Its folder.
    pub dir: PathBuf,
    /// The size, in bytes, at which a new segment is begun.
    pub segment_bytes: u64,
    /// Who signs it.
    pub signer: Signer,
    /// How often.
    pub pace: Pace,
    /// Its people.
    pub people: People,
}

impl Settings {
    /// A trail in this folder that is signed by this key, segments and pace as usual.
    pub fn new(dir: impl Into<PathBuf>, signer: Signer, people: People) -> Self {
        Self { dir: dir.into(), segment_bytes: SEGMENT_BYTES, signer, pace: Pace::default(), people }
    }
}

/// How often what is durable is signed, whichever comes first. Beside it: at the end of a segment, with another key, and
/// at the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// After so many records.
    pub records: u64,
    /// After so long, where there are any.
    pub every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { records: 10_000, every: Duration::from_secs(30) }
    }
}

/// Why something is not on record, and so is not done. It passes: [`is_unwritten`] knows a failure by it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unwritten(String);

impl Unwritten {
    fn because(error: &io::Error) -> Failure {
        Failure::caused("writing the audit trail", Self(error.to_string()))
    }

    fn closed() -> Failure {
        Failure::caused("writing the audit trail", Self("it is closed".to_owned()))
    }
}

/// Whether a failure is that the trail cannot be written for the time being.
pub fn is_unwritten(failure: &Failure) -> bool {
    failure.cause().is_some_and(|cause| cause.is::<Unwritten>())
}

/// Where a trail stood when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The name of its chain.
    pub chain_uid: String,
    /// How many records it had.
    pub size: u64,
}

/// The trail of this node. Cheap to clone; the last clone to go lets the writer finish and stop.
#[derive(Clone)]
pub struct Audit {
    queue: Arc<Queue>,
    writer: Arc<str>,
    standing: Arc<Standing>,
    signed: watch::Receiver<Option<Marked>>,
    people: People,
    dir: Arc<Path>,
    clock: Clock,
    dice: Dice,
    _closer: Arc<Closer>,
}

/// What the store's outbox keeps: an event that was saved in the transaction of the change that it reports.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// The record's id, minted when the row was inserted. Rows are recognised by it when they come again.
    pub uid: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// An event with its id and its instant: what the writer turns into a line.
struct Stamped {
    uid: EventId,
    at: Timestamp,
    event: Event,
    hidden: Hidden,
}

impl Stamped {
    /// An event that names nobody.
    fn of_nobody(event: Event, clock: &Clock, dice: &Dice) -> Self {
        Self { uid: EventId::mint(dice.bytes()), at: clock.now(), event, hidden: Hidden::default() }
    }
}

impl Audit {
    /// Opens the trail in its folder (made with mode 0700 where it is missing), cuts off a line that a crash tore, goes
    /// on where the last record ends, and starts the writer's thread. Reads the newest segment.
    ///
    /// # Errors
    /// Where another process writes this trail, its newest segment does not hold together or is not what was signed, or
    /// the disk refuses.
    pub fn open(settings: Settings, clock: Clock, dice: Dice) -> Result<Self, OpenError> {
        let queue = Arc::new(Queue::new());
        let (sender, signed) = watch::channel(None);
        let (dir, people) = (settings.dir.clone(), settings.people.clone());
        let standing = writer::start(settings, queue.clone(), sender, (clock.clone(), dice.clone()))?;
        let closer = Arc::new(Closer(queue.clone()));
        let writer = segment::writer_name(&dir, dice.bytes())?.into();
        let (standing, dir) = (Arc::new(standing), dir.into());
        Ok(Self { _closer: closer, queue, writer, standing, signed, people, dir, clock, dice })
    }

    /// Writes the event and returns when it is on disk. Waiting callers share one write and one `fdatasync`.
    /// Dropping the future does not take the event back.
    ///
    /// # Errors
    /// Where the disk refuses, or the database does not say what to call the person: then the event is *not* in the trail,
    /// and the operation must fail too.
    pub async fn record(&self, event: Event) -> Result<(), Failure> {
        let (uid, at) = self.stamp();
        let hidden = self.people.hide(&event, at).await?;
        let stamped = Stamped { uid, at, event, hidden };
        let draft = Draft::of(&stamped, Vec::new());
        self.submit(1, |ack| Work::Record(draft, ack)).await?;
        // What is not on record did not happen.
        mirror::log(&stamped.event, &stamped.uid);
        Ok(())
    }

    /// Queues the event; waits only while the queue is full (then the disk refuses, or cannot keep up). For
    /// records of high rate: they are in the file within hundredths of a second and durable within a tenth.
    pub async fn note(&self, event: Event) {
        let (uid, at) = self.stamp();
        mirror::log(&event, &uid);
        let hidden = self.people.hide_anyhow(&event, at).await;
        let draft = Draft::of(&Stamped { uid, at, event, hidden }, self.queue.memory());
        if let Err(draft) = self.queue.push(1, Work::Note(draft)).await {
            tracing::error!(event = draft.name(), "an event came after the audit trail was closed");
        }
    }

    /// Writes rows of the outbox, oldest first, and returns when all are on disk: only then delete them.
    /// Idempotent: a row whose uid is already among the trail's recent records (some 10,000 before the last start,
    /// and the last 65,536 rows since) is left out. So drain in order, a batch at a time, by one task.
    ///
    /// # Errors
    /// Where the disk refuses: keep the rows and try again later.
    pub async fn append_batch(&self, rows: Vec<OutboxRow>) -> Result<(), Failure> {
        for part in rows.chunks(BATCH) {
            let mut drafts = Vec::with_capacity(part.len());
            for OutboxRow { uid, at, event } in part.iter().cloned() {
                let hidden = self.people.hide(&event, at).await?;
                drafts.push((uid.clone(), Draft::of(&Stamped { uid, at, event, hidden }, Vec::new())));
            }
            self.submit(drafts.len(), |ack| Work::Rows(drafts, ack)).await?;
            // Only now: a batch that the disk refused comes again, and is one event all the same.
            part.iter().for_each(|row| mirror::log(&row.event, &row.uid));
        }
        Ok(())
    }

    /// The name of this trail's one writer, the same after a restart: what goes by it and is not this process's own
    /// was left behind by a predecessor that died.
    pub fn writer(&self) -> &str {
        &self.writer
    }

    /// Up to which byte of which segment the trail is on disk: what stands there is there for good.
    pub fn durable(&self) -> (u32, u64) {
        self.queue.durable()
    }

    /// How many records are queued or not yet on disk.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// The trail's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the trail stood when it was opened.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The newest checkpoint, and whenever there is another.
    pub fn signed(&self) -> watch::Receiver<Option<Marked>> {
        self.signed.clone()
    }

    /// Another key signs from now on: returns when the change is on record.
    ///
    /// # Errors
    /// Where the disk refuses: the change is written before the next record.
    pub async fn change_key(&self, signer: Signer) -> Result<(), Failure> {
        self.submit(1, |ack| Work::Key(Box::new(signer), ack)).await
    }

    /// Whether what a person is about to do can be put on record: the disk takes it, and the database says what the trail
    /// calls them, which [`Audit::note`] then knows. To be asked before what is only noted afterwards.
    ///
    /// # Errors
    /// Where it cannot: then it must not be done.
    pub async fn can_tell_of(&self, user: &UserId) -> Result<(), Failure> {
        if !self.is_writable() {
            return Err(Failure::caused("writing the audit trail", Unwritten("the disk refuses".to_owned())));
        }
        self.people.know(user).await
    }

    /// Whether the last write succeeded. False while the disk refuses: not ready to serve.
    pub fn is_writable(&self) -> bool {
        self.queue.is_writable()
    }

    /// Writes and syncs what is queued, and stops the writer. Later events fail. The last step of a shutdown.
    pub async fn close(&self) {
        self.queue.close();
        self.queue.closed().await;
    }

    /// Forgets what it remembers of people: some may have been deleted.
    pub fn forget_people(&self) {
        self.people.forget();
    }

    fn stamp(&self) -> (EventId, Timestamp) {
        (EventId::mint(self.dice.name()), self.clock.now())
    }

    async fn submit(&self, rows: usize, work: impl FnOnce(Ack) -> Work) -> Result<(), Failure> {
        let (ack, done) = oneshot::channel();
        self.queue.push(rows, work(ack)).await.map_err(|_| Unwritten::closed())?;
        done.await.map_err(|_| Unwritten::closed())?
    }
}

/// How the writer tells a waiting caller.
type Ack = oneshot::Sender<Result<(), Failure>>;

/// Lets the writer go when nobody can send any more.
struct Closer(Arc<Queue>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.close();
    }
}
