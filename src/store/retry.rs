//! Which failures of a PostgreSQL transaction are nobody's fault, so that it may run again from its start.

use crate::failure::Failure;

/// Most runs of one transaction.
const MOST: u32 = 4;

/// Counts the runs of a transaction.
#[derive(Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Whether the transaction may run once more after this failure.
    pub(super) fn another(&mut self, failure: &Failure) -> bool {
        self.0 += 1;
        self.0 < MOST && nobodys_fault(failure)
    }
}

/// SQLSTATE 40001 (serialization_failure) and 40P01 (deadlock_detected): the engine chose this one to give way.
/// 23503 (foreign_key_violation): a row that was there when the statement began was deleted before it ended, which
/// the next run sees. In all three nothing was committed.
fn nobodys_fault(failure: &Failure) -> bool {
    let state = database_error(failure).and_then(|error| error.code());
    state.is_some_and(|state| matches!(state.as_ref(), "40001" | "40P01" | "23503"))
}

/// Whether a UNIQUE constraint refused the change.
pub(super) fn is_unique_violation(failure: &Failure) -> bool {
    database_error(failure).is_some_and(|error| error.is_unique_violation())
}

fn database_error(failure: &Failure) -> Option<&dyn sqlx::error::DatabaseError> {
    failure.cause()?.downcast_ref::<sqlx::Error>()?.as_database_error()
}
