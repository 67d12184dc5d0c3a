//! The only door to the audit trail: one event, one line of OCSF-shaped NDJSON, in order, chained, on disk.
//!
//! [`Audit::record`] returns when the line is durable, so that an operation can wait for it or fail with it;
//! [`Audit::note`] queues to the same writer. Nothing is ever dropped: a full disk makes the first fail and the
//! second wait. Never: deciding anything, carrying a secret, writing a person's name.

mod draft;
pub mod merkle;
mod mirror;
pub mod note;
mod queue;
pub(crate) mod record;
pub(crate) mod segment;
mod text;
mod writer;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::ambient::{Clock, Dice, Timestamp};
use crate::domain::event::Event;
use crate::domain::ids::EventId;
use crate::failure::Failure;
use draft::Draft;
use queue::{Queue, Work};
pub use record::ZERO_HASH;
pub use segment::{OpenError, SEGMENT_BYTES};

/// Most rows that [`Audit::append_batch`] hands to the writer at once; longer batches go in parts.
const BATCH: usize = 256;

/// The trail of this node. Cheap to clone; the last clone to go lets the writer finish and stop.
#[derive(Clone)]
pub struct Audit {
    queue: Arc<Queue>,
    writer: Arc<str>,
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
#[derive(Debug)]
struct Stamped {
    uid: EventId,
    at: Timestamp,
    event: Event,
}

impl From<OutboxRow> for Stamped {
    fn from(OutboxRow { uid, at, event }: OutboxRow) -> Self {
        Self { uid, at, event }
    }
}

impl Audit {
    /// Opens the trail in `dir` (made with mode 0700 where it is missing), cuts off a line that a crash tore, goes
    /// on where the last record ends, and starts the writer's thread. Blocks for a few milliseconds.
    ///
    /// # Errors
    /// Where another process writes this trail, its last complete record cannot be read, or the disk refuses.
    pub fn open(dir: &Path, clock: Clock, dice: Dice) -> Result<Self, OpenError> {
        Self::open_with(dir, clock, dice, SEGMENT_BYTES)
    }

    /// [`Audit::open`] with another size (in bytes) at which a new segment is begun.
    ///
    /// # Errors
    /// As [`Audit::open`].
    pub fn open_with(dir: &Path, clock: Clock, dice: Dice, segment_bytes: u64) -> Result<Self, OpenError> {
        let queue = Arc::new(Queue::new());
        writer::start(dir, segment_bytes, queue.clone(), clock.clone(), dice.clone())?;
        let closer = Arc::new(Closer(queue.clone()));
        let writer = segment::writer_name(dir, dice.bytes())?.into();
        Ok(Self { _closer: closer, queue, writer, clock, dice })
    }

    /// Writes the event and returns when it is on disk. Waiting callers share one write and one `fdatasync`.
    /// Dropping the future does not take the event back.
    ///
    /// # Errors
    /// Where the disk refuses: then the event is *not* in the trail, and the operation must fail too.
    pub async fn record(&self, event: Event) -> Result<(), Failure> {
        let stamped = self.stamp(event);
        mirror::log(&stamped.event, &stamped.uid);
        let draft = Draft::of(&stamped, Vec::new());
        self.submit(1, |ack| Work::Record(draft, ack)).await
    }

    /// Queues the event; waits only while the queue is full (then the disk refuses, or cannot keep up). For
    /// records of high rate: they are in the file within hundredths of a second and durable within a tenth.
    pub async fn note(&self, event: Event) {
        let stamped = self.stamp(event);
        mirror::log(&stamped.event, &stamped.uid);
        let draft = Draft::of(&stamped, self.queue.memory());
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
            let drafts: Vec<_> = part.iter().cloned().map(Stamped::from).map(written).collect();
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

    /// Whether the last write succeeded. False while the disk refuses: not ready to serve.
    pub fn is_writable(&self) -> bool {
        self.queue.is_writable()
    }

    /// Writes and syncs what is queued, and stops the writer. Later events fail. The last step of a shutdown.
    pub async fn close(&self) {
        self.queue.close();
        self.queue.closed().await;
    }

    fn stamp(&self, event: Event) -> Stamped {
        Stamped { uid: EventId::mint(self.dice.name()), at: self.clock.now(), event }
    }

    async fn submit(&self, rows: usize, work: impl FnOnce(Ack) -> Work) -> Result<(), Failure> {
        let (ack, done) = oneshot::channel();
        let closed = || Failure::new("the audit trail is closed");
        self.queue.push(rows, work(ack)).await.map_err(|_| closed())?;
        done.await.map_err(|_| closed())?
    }
}

/// A row of the outbox with its record.
fn written(row: Stamped) -> (EventId, Draft) {
    let draft = Draft::of(&row, Vec::new());
    (row.uid, draft)
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
