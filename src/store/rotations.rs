//! Rotations of keys: one in progress at most, one runner at a time. Every write names the runner's fencing token,
//! and takes effect whole or, where another runner took over, not at all.

use crate::ambient::Timestamp;
use crate::domain::rotation::{Kind, State};
use crate::failure::Failure;

use super::{PurposeKeyRow, Recorded, Store, end_cached, reading, record, transaction, writing};

/// A rotation as it is stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct RotationRow {
    /// Its id.
    pub id: String,
    /// See [`Kind`].
    pub kind: String,
    /// See [`State`].
    pub state: String,
    /// Whether it was begun with `--emergency`.
    pub emergency: Option<i64>,
    /// The key that goes.
    pub old_key: String,
    /// The key that comes.
    pub new_key: String,
    /// The last row that was dealt with.
    pub position: String,
    /// Rows that were sealed anew.
    pub rewritten: i64,
    /// Rows that somebody else changed first.
    pub overtaken: i64,
    /// JSON.
    pub facts: String,
    /// When it began, in milliseconds.
    pub started_at: i64,
    /// When it ended, in milliseconds.
    pub ended_at: Option<i64>,
}

/// A rotation to begin.
#[derive(Clone, Debug)]
pub struct NewRotation<'a> {
    /// Its id.
    pub id: &'a str,
    /// What is rotated.
    pub kind: Kind,
    /// Whether the old key is taken to be in wrong hands.
    pub emergency: bool,
    /// The key that goes.
    pub old_key: &'a str,
    /// The key that comes.
    pub new_key: &'a str,
    /// JSON.
    pub facts: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// The right to work on a rotation: worth nothing as soon as another runner has taken it.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The rotation.
    pub id: String,
    /// Counts up with every runner.
    pub fence: i64,
}

/// A row that could not be opened.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ExceptionRow {
    /// Its table.
    pub in_table: String,
    /// Its primary key.
    pub row_id: String,
    /// Whose it is, or its purpose.
    pub user_id: String,
    /// Why.
    pub reason: String,
}

/// How long a runner that gave no sign of life keeps its turn, in milliseconds.
pub(super) const TURN: i64 = 30_000;

/// Renews a runner's turn, moves the rotation, and tells whether it still had the turn.
macro_rules! still_runner {
    ($tx:ident, $turn:expr, $now:expr) => {
        sqlx::query("UPDATE rotations SET runner_until = $3 WHERE id = $1 AND fence = $2 AND unfinished = 1")
            .bind(&$turn.id)
            .bind($turn.fence)
            .bind($now.millis() + $crate::store::rotations::TURN)
            .execute(&mut *$tx)
            .await?
            .rows_affected()
            == 1
    };
}
pub(super) use still_runner;

macro_rules! select {
    () => {
        "SELECT id, kind, state, emergency, old_key, new_key, position, rewritten, overtaken, facts, started_at,
            ended_at
        FROM rotations"
    };
}

/// Moves the rotation of a running transaction to a state, at the beginning of its rows.
macro_rules! to_state {
    ($tx:ident, $turn:expr, $state:expr, $facts:expr, $now:expr) => {{
        let over = $state.is_over();
        sqlx::query(
            "UPDATE rotations SET state = $2, facts = $3, position = '', unfinished = $4, ended_at = $5 WHERE id = $1",
        )
        .bind(&$turn.id)
        .bind($state.name())
        .bind($facts)
        .bind((!over).then_some(1_i64))
        .bind(over.then_some($now.millis()))
        .execute(&mut *$tx)
        .await?;
    }};
}

impl Store {
    /// Begins a rotation; `false` where one is in progress.
    pub async fn begin_rotation(&self, new: &NewRotation<'_>, events: &[Recorded]) -> Result<bool, Failure> {
        let sql = "INSERT INTO rotations (id, kind, state, unfinished, emergency, old_key, new_key, position, fence,
                rewritten, overtaken, facts, started_at)
            VALUES ($1, $2, 'planned', 1, $3, $4, $5, '', 0, 0, 0, $6, $7) ON CONFLICT (unfinished) DO NOTHING";
        let begun = transaction!(self, tx => {
            let begun = sqlx::query(sql)
                .bind(new.id).bind(new.kind.name()).bind(new.emergency.then_some(1_i64))
                .bind(new.old_key).bind(new.new_key).bind(new.facts).bind(new.now.millis())
                .execute(&mut *tx).await?.rows_affected() == 1;
            if begun {
                record!(tx, events);
            }
            begun
        });
        Ok(begun)
    }

    /// The rotation in progress.
    pub async fn rotation_in_progress(&self) -> Result<Option<RotationRow>, Failure> {
        let sql = concat!(select!(), " WHERE unfinished = 1");
        Ok(reading!(self, pool => sqlx::query_as(sql).fetch_optional(pool).await)?)
    }

    /// One rotation.
    pub async fn rotation(&self, id: &str) -> Result<Option<RotationRow>, Failure> {
        let sql = concat!(select!(), " WHERE id = $1");
        Ok(reading!(self, pool => sqlx::query_as(sql).bind(id).fetch_optional(pool).await)?)
    }

    /// The last rotations, the newest first.
    pub async fn rotations(&self, most: i64) -> Result<Vec<RotationRow>, Failure> {
        let sql = concat!(select!(), " ORDER BY started_at DESC, id LIMIT $1");
        Ok(reading!(self, pool => sqlx::query_as(sql).bind(most).fetch_all(pool).await)?)
    }

    /// What could not be opened.
    pub async fn rotation_exceptions(&self, id: &str) -> Result<Vec<ExceptionRow>, Failure> {
        let sql = "SELECT in_table, row_id, user_id, reason FROM rotation_exceptions WHERE rotation_id = $1
            ORDER BY in_table, row_id";
        Ok(reading!(self, pool => sqlx::query_as(sql).bind(id).fetch_all(pool).await)?)
    }

    /// Takes the turn for a runner: at once where it had it before (it was killed), else when the one before has given
    /// no sign of life for half a minute. `None`: another runner works.
    pub async fn take_turn(&self, id: &str, runner: &str, now: Timestamp) -> Result<Option<Turn>, Failure> {
        let sql = "UPDATE rotations SET runner = $2, runner_until = $4, fence = fence + 1
            WHERE id = $1 AND unfinished = 1 AND (runner IS NULL OR runner = $2 OR runner_until <= $3)
            RETURNING fence";
        let fence: Option<i64> = writing!(self, pool => sqlx::query_scalar(sql)
            .bind(id).bind(runner).bind(now.millis()).bind(now.millis() + TURN)
            .fetch_optional(pool).await)?;
        Ok(fence.map(|fence| Turn { id: id.to_owned(), fence }))
    }

    /// Moves a rotation to a state, at the beginning of its rows; `false` where the turn is lost.
    pub async fn move_rotation(
        &self,
        turn: &Turn,
        (state, facts): (State, &str),
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let moved = transaction!(self, tx => {
            if !still_runner!(tx, turn, now) {
                return Ok(false);
            }
            to_state!(tx, turn, state, facts, now);
            record!(tx, events);
            true
        });
        Ok(moved)
    }

    /// Makes the new master key known, with the ways from the old one and back; `false` where the turn is lost.
    pub async fn stage_master(
        &self,
        turn: &Turn,
        staged: &StagedMaster<'_>,
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let add = "INSERT INTO master_keys
            (id, state, created_at, seal_count, handed_over, handed_over_by, handed_over_until)
            VALUES ($1, 'staged', $2, 0, $3, $4, $5)";
        let back = "UPDATE master_keys SET handed_back = $2, handed_back_to = $3 WHERE id = $1";
        // Where nothing is handed over, nothing that was leads on either.
        let forget =
            "UPDATE master_keys SET handed_over = NULL, handed_over_by = NULL, handed_over_until = NULL";
        let moved = transaction!(self, tx => {
            if !still_runner!(tx, turn, now) {
                return Ok(false);
            }
            end_cached!(tx);
            let over = staged.handed_over.as_ref();
            if over.is_none() {
                sqlx::query(forget).execute(&mut *tx).await?;
            }
            sqlx::query(add)
                .bind(staged.new).bind(now.secs()).bind(over.map(|(sealed, _)| &sealed[..]))
                .bind(over.map(|_| staged.old)).bind(over.map(|(_, until)| until.secs()))
                .execute(&mut *tx).await?;
            sqlx::query(back)
                .bind(staged.old).bind(&staged.handed_back[..]).bind(staged.new)
                .execute(&mut *tx).await?;
            to_state!(tx, turn, State::Staged, staged.facts, now);
            record!(tx, events);
            true
        });
        Ok(moved)
    }

    /// Puts the new master key in use; `false` where the turn is lost.
    pub async fn promote_master(
        &self,
        turn: &Turn,
        (old, new): (&str, &str),
        (facts, now): (&str, Timestamp),
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let moved = transaction!(self, tx => {
            if !still_runner!(tx, turn, now) {
                return Ok(false);
            }
            // First, as whoever wraps something new takes this lock before it looks which key is in use.
            end_cached!(tx);
            let state = "UPDATE master_keys SET state = $2 WHERE id = $1";
            sqlx::query(state).bind(old).bind("retiring").execute(&mut *tx).await?;
            sqlx::query(state).bind(new).bind("active").execute(&mut *tx).await?;
            to_state!(tx, turn, State::Active, facts, now);
            record!(tx, events);
            true
        });
        Ok(moved)
    }

    /// Puts other keys of the server's own in the place of the active ones; `false` where the turn is lost or the
    /// master key that wraps them is not in use any more.
    pub async fn replace_purpose_keys(
        &self,
        turn: &Turn,
        fresh: &[PurposeKeyRow],
        (facts, now): (&str, Timestamp),
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let retire = "UPDATE purpose_keys SET state = 'retired', retired_at = $2
            WHERE purpose = $1 AND state = 'active'";
        let add = "INSERT INTO purpose_keys (id, purpose, master_key_id, wrapped, state, created_at)
            SELECT $1, $2, $3, $4, 'active', $5
            WHERE EXISTS (SELECT 1 FROM master_keys WHERE id = $3 AND state = 'active')";
        let moved = transaction!(self, tx => {
            if !still_runner!(tx, turn, now) {
                return Ok(false);
            }
            end_cached!(tx);
            for key in fresh {
                sqlx::query(retire).bind(&key.purpose).bind(now.secs()).execute(&mut *tx).await?;
                let added = sqlx::query(add)
                    .bind(&key.id).bind(&key.purpose).bind(&key.master_key_id).bind(&key.wrapped[..])
                    .bind(key.created_at)
                    .execute(&mut *tx).await?.rows_affected();
                if added == 0 {
                    return Ok(false);
                }
            }
            to_state!(tx, turn, State::Active, facts, now);
            record!(tx, events);
            true
        });
        Ok(moved)
    }

    /// Removes retired keys of the server's own: what signed evidence, or all of them.
    pub async fn drop_retired_purpose_keys(&self, turn: &Turn, all: bool) -> Result<(), Failure> {
        let drop = "DELETE FROM purpose_keys WHERE state = 'retired' AND (purpose = 'evidence' OR $3 = 1)
            AND EXISTS (SELECT 1 FROM rotations WHERE id = $1 AND fence = $2)";
        transaction!(self, tx => {
            sqlx::query(drop).bind(&turn.id).bind(turn.fence).bind(i64::from(all)).execute(&mut *tx).await?;
            end_cached!(tx);
        });
        Ok(())
    }

    /// Takes the old master key out of use, with the way back to it; `false` where the turn is lost.
    pub async fn retire_master(
        &self,
        turn: &Turn,
        old: &str,
        (facts, now): (&str, Timestamp),
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let retire = "UPDATE master_keys SET state = 'retired', retired_at = $2, handed_back = NULL,
                handed_back_to = NULL
            WHERE id = $1";
        let moved = transaction!(self, tx => {
            if !still_runner!(tx, turn, now) {
                return Ok(false);
            }
            end_cached!(tx);
            sqlx::query(retire).bind(old).bind(now.secs()).execute(&mut *tx).await?;
            to_state!(tx, turn, State::Retired, facts, now);
            record!(tx, events);
            true
        });
        Ok(moved)
    }

    /// Gives a rotation up, and forgets its new master key; `false` where the turn is lost.
    pub async fn abort_rotation(
        &self,
        turn: &Turn,
        new: &str,
        (facts, now): (&str, Timestamp),
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let forget = "DELETE FROM master_keys WHERE id = $1 AND state = 'staged'";
        let back =
            "UPDATE master_keys SET handed_back = NULL, handed_back_to = NULL WHERE handed_back_to = $1";
        let moved = transaction!(self, tx => {
            if !still_runner!(tx, turn, now) {
                return Ok(false);
            }
            end_cached!(tx);
            sqlx::query(forget).bind(new).execute(&mut *tx).await?;
            sqlx::query(back).bind(new).execute(&mut *tx).await?;
            to_state!(tx, turn, State::Aborted, facts, now);
            record!(tx, events);
            true
        });
        Ok(moved)
    }

    /// Puts the facts of a rotation that has ended in their final form.
    pub async fn settle_rotation(&self, id: &str, facts: &str) -> Result<(), Failure> {
        let sql = "UPDATE rotations SET facts = $2 WHERE id = $1 AND unfinished IS NULL";
        writing!(self, pool => sqlx::query(sql).bind(id).bind(facts).execute(pool).await.map(drop))?;
        Ok(())
    }
}

/// A master key that servers are to learn.
#[derive(Clone, Debug)]
pub struct StagedMaster<'a> {
    /// The key that goes.
    pub old: &'a str,
    /// The key that comes.
    pub new: &'a str,
    /// The new one under the old one, and until when; not in an emergency.
    pub handed_over: Option<(Vec<u8>, Timestamp)>,
    /// The old one under the new one.
    pub handed_back: Vec<u8>,
    /// JSON.
    pub facts: &'a str,
}
