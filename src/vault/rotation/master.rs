//! The master key's rotation: what the old root wraps is wrapped anew under the new one. No token is touched, and
//! none is even read.

use std::sync::Arc;
use std::time::Duration;

use crate::ambient::{Clock, Dice};
use crate::crypto::envelope::{self, OpenError};
use crate::crypto::keys::{RootKey, SealingKey};
use crate::crypto::succession::Passage;
use crate::domain::DataKeyId;
use crate::domain::rotation::{self, Kind, State};
use crate::failure::Failure;
use crate::store::{
    Batch, Change, ExceptionRow, Rewritten, RotationRow, StagedMaster, Store, Under, WrappedRow, WrappedTable,
};

use super::facts::{Facts, Probe, count_wrapped};
use super::{BATCH, Bench, Plan, Steps, Stopped, held, quarantined};
use crate::vault::ring::key_id;

/// How long servers that start with the old key learn the new one.
const HANDED_OVER: Duration = Duration::from_secs(7 * 24 * 3600);

/// The rotation of one root into another.
pub struct Master {
    /// The root that goes.
    pub old: Arc<RootKey>,
    /// The root that comes.
    pub new: Arc<RootKey>,
}

impl Master {
    /// Plans it; `None` where a rotation is in progress already.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn plan(
        &self,
        at: (&Store, &Clock, &Dice),
        emergency: bool,
    ) -> Result<Option<String>, Failure> {
        let (old_key, new_key) = (self.old.id().to_string(), self.new.id().to_string());
        let before = Facts { before: count_wrapped(at.0).await?, ..Facts::default() };
        let (old_key, new_key) = (old_key.as_str(), new_key.as_str());
        super::plan(Plan { kind: Kind::Master, emergency, old_key, new_key, before }, at).await
    }

    async fn count(&self, store: &Store, row: &RotationRow, position: &str) -> Result<u64, Failure> {
        let mut count = 0;
        for (table, after) in ahead_of(position) {
            count += store.count_elsewhere(table, self.under(row), after).await?;
        }
        Ok(count)
    }

    fn under<'a>(&'a self, row: &'a RotationRow) -> Under<'a> {
        Under { rotation: &row.id, key: &row.new_key, bytes: self.new.id().as_bytes() }
    }

    fn wrapped_anew(
        &self,
        table: WrappedTable,
        rows: Vec<WrappedRow>,
        position: String,
        dice: &Dice,
    ) -> Batch {
        let mut batch = Batch { position, ..Batch::default() };
        for row in rows {
            match self.opened(table, &row) {
                Ok(key) => {
                    let after = match table {
                        WrappedTable::DataKeys => self.new.wrap(&key, &row.owner, &dice.bytes()),
                        WrappedTable::PurposeKeys => self.new.wrap_own(&key, &row.owner, &dice.bytes()),
                    };
                    batch.changes.push(Change { id: row.id, before: row.wrapped, after });
                }
                Err(error) => batch.exceptions.push(exception(table, row, error)),
            }
        }
        batch
    }

    /// The key in a row, by whichever of the two roots its envelope names.
    fn opened(&self, table: WrappedTable, row: &WrappedRow) -> Result<SealingKey, OpenError> {
        let named = envelope::key_id(&row.wrapped)?;
        let root = if named == *self.new.id() { &self.new } else { &self.old };
        open(root, table, row)
    }

    /// Opens everything with the new root alone, and tries the old one on it. What does not open is quarantined.
    async fn open_all(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        let known = bench.store.rotation_exceptions(&row.id).await?;
        let is_known = |table: WrappedTable, id: &str| {
            known.iter().any(|known| known.in_table == table.name() && known.row_id == id)
        };
        let mut facts = Facts::parse(&row.facts);
        (facts.verified, facts.probe) = Default::default();
        for table in WrappedTable::ALL {
            let read =
                async |after: &str| bench.store.wrapped_rows(table, (after, bench.pace.batch(BATCH))).await;
            let (mut rows, mut opened) = (read("").await?, 0);
            while let Some(last) = rows.last() {
                let (begun, count, after) = (bench.clock.now(), rows.len(), last.place.clone());
                let trying = async { self.tried(table, rows, &is_known, &mut facts.probe) };
                let (ahead, (good, exceptions)) = tokio::join!(read(&after), trying);
                rows = ahead?;
                opened += good;
                self.set_aside(bench, row, (table, &after), exceptions).await?;
                bench.rest(count, begun).await;
            }
            facts.verified.insert(table.name().to_owned(), opened);
        }
        let moved = (State::Verifying, facts.text());
        held(bench.store.move_rotation(bench.turn, (moved.0, &moved.1), bench.clock.now(), &[]).await?)?;
        bench.witness.passed("verified");
        Ok(())
    }

    /// How many of these open with the new root alone, and which do not; the old one is tried on all of them.
    fn tried(
        &self,
        table: WrappedTable,
        rows: Vec<WrappedRow>,
        is_known: &dyn Fn(WrappedTable, &str) -> bool,
        probe: &mut Probe,
    ) -> (u64, Vec<ExceptionRow>) {
        let posing = self.old.posing_as(&self.new);
        let (mut opened, mut exceptions) = (0, Vec::new());
        for found in rows {
            let by_old = open(&self.old, table, &found).is_ok() || open(&posing, table, &found).is_ok();
            probe.tried += 1;
            probe.opened += u64::from(by_old);
            match open(&self.new, table, &found) {
                Ok(_) => opened += 1,
                // A server that did not know yet: what remains is counted, and wrapped anew.
                Err(OpenError::WrongKey) if by_old => {}
                Err(_) if is_known(table, &found.id) => {}
                Err(error) => exceptions.push(exception(table, found, error)),
            }
        }
        (opened, exceptions)
    }

    /// Wraps one batch anew and stores it, with the place of its last row.
    async fn write(
        &self,
        bench: &Bench<'_>,
        row: &RotationRow,
        (table, rows, place): (WrappedTable, Vec<WrappedRow>, String),
    ) -> Result<Rewritten, Stopped> {
        let batch = self.wrapped_anew(table, rows, place, bench.dice);
        let events: Vec<_> =
            batch.exceptions.iter().map(|exception| quarantined(bench, row, exception)).collect();
        let key = (table, row.new_key.as_str());
        let written =
            bench.store.write_wrapped(bench.turn, key, &batch, (bench.clock.now(), &events)).await?;
        written.ok_or(Stopped::TurnLost)
    }

    async fn set_aside(
        &self,
        bench: &Bench<'_>,
        row: &RotationRow,
        (table, position): (WrappedTable, &str),
        exceptions: Vec<ExceptionRow>,
    ) -> Result<(), Stopped> {
        if exceptions.is_empty() {
            return Ok(());
        }
        let events: Vec<_> = exceptions.iter().map(|exception| quarantined(bench, row, exception)).collect();
        let batch = Batch { changes: Vec::new(), exceptions, position: position.to_owned() };
        let key = (table, row.new_key.as_str());
        let written =
            bench.store.write_wrapped(bench.turn, key, &batch, (bench.clock.now(), &events)).await?;
        written.ok_or(Stopped::TurnLost).map(drop)
    }
}

impl Steps for Master {
    async fn look(
        &self,
        bench: &Bench<'_>,
        row: &RotationRow,
        state: State,
    ) -> Result<rotation::Facts, Stopped> {
        match state {
            State::Rewrapping => {
                let ahead = self.count(bench.store, row, &row.position).await?;
                Ok(rotation::Facts { ahead, remaining: ahead })
            }
            State::Verifying => {
                // Rows that do not open are quarantined here, so what remains can be wrapped anew.
                self.open_all(bench, row).await?;
                Ok(rotation::Facts { ahead: 0, remaining: self.count(bench.store, row, "").await? })
            }
            _ => Ok(rotation::Facts::default()),
        }
    }

    async fn stage(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        let now = bench.clock.now();
        let mut facts = Facts::parse(&row.facts);
        let events = bench.step(&mut facts, row, State::Staged);
        let over = || self.old.pass(&self.new, Passage::Over, &bench.dice.bytes());
        let staged = StagedMaster {
            old: &row.old_key,
            new: &row.new_key,
            handed_over: row.emergency.is_none().then(|| (over(), now.plus(HANDED_OVER))),
            handed_back: self.new.pass(&self.old, Passage::Back, &bench.dice.bytes()),
            facts: &facts.text(),
        };
        held(bench.store.stage_master(bench.turn, &staged, now, &events).await?)?;
        bench.witness.passed("staged");
        Ok(())
    }

    async fn promote(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        let mut facts = Facts::parse(&row.facts);
        let events = bench.step(&mut facts, row, State::Active);
        let keys = (row.old_key.as_str(), row.new_key.as_str());
        let now = bench.clock.now();
        held(bench.store.promote_master(bench.turn, keys, (&facts.text(), now), &events).await?)?;
        bench.witness.passed("active");
        Ok(())
    }

    async fn batch(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        let total = Facts::parse(&row.facts).before.values().flat_map(|keys| keys.values()).sum::<i64>();
        let mut done = row.rewritten;
        for (table, after) in ahead_of(&row.position) {
            // While one batch is wrapped and written, the next is read.
            let read = async |after: &str| {
                let most = bench.pace.batch(BATCH);
                bench.store.wrapped_elsewhere(table, self.under(row), (after, most)).await
            };
            let mut rows = read(after).await?;
            while let Some(last) = rows.last() {
                let (begun, count, after) = (bench.clock.now(), rows.len(), last.place.clone());
                let (ahead, written) =
                    tokio::join!(read(&after), self.write(bench, row, (table, rows, after.clone())));
                done += written?.rewritten.cast_signed();
                rows = ahead?;
                bench.witness.progress(done.unsigned_abs(), total.max(done).unsigned_abs());
                bench.witness.passed("batch");
                bench.rest(count, begun).await;
            }
        }
        Ok(())
    }

    async fn retire(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        let mut facts = Facts::parse(&row.facts);
        facts.after = count_wrapped(bench.store).await?;
        let events = bench.step(&mut facts, row, State::Retired);
        let now = bench.clock.now();
        held(bench.store.retire_master(bench.turn, &row.old_key, (&facts.text(), now), &events).await?)?;
        bench.witness.passed("retired");
        Ok(())
    }
}

/// The tables that are not done at a position (`table:row`), each with the row to go on after.
fn ahead_of(position: &str) -> Vec<(WrappedTable, &str)> {
    let (table, row) = position.split_once(':').unwrap_or_default();
    let at = WrappedTable::ALL.iter().position(|known| known.name() == table);
    let ahead = WrappedTable::ALL.into_iter().skip(at.unwrap_or_default());
    ahead.map(|known| (known, if known.name() == table { row } else { "" })).collect()
}

fn open(root: &RootKey, table: WrappedTable, row: &WrappedRow) -> Result<SealingKey, OpenError> {
    match table {
        WrappedTable::DataKeys => {
            let id: DataKeyId = row.id.parse().map_err(|_| OpenError::Format)?;
            root.unwrap(id.key_id(), &row.owner, &row.wrapped)
        }
        WrappedTable::PurposeKeys => {
            let id = key_id(&row.id).ok_or(OpenError::Format)?;
            root.unwrap_own(id, &row.owner, &row.wrapped)
        }
    }
}

fn exception(table: WrappedTable, row: WrappedRow, error: OpenError) -> ExceptionRow {
    ExceptionRow {
        in_table: table.name().to_owned(),
        row_id: row.id,
        user_id: row.owner,
        reason: super::reason(error).to_owned(),
    }
}
