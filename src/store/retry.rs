//! What failures of the database mean: which transactions may run again from their start, and which failures are
//! nothing but a database that is away or has no room. Never decides whether to go on by texts, which are the
//! drivers' own.

use std::borrow::Cow;

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
    sql_state(failure).is_some_and(|state| matches!(state.as_str(), "40001" | "40P01" | "23503"))
}

/// Whether a UNIQUE constraint refused the change.
pub(super) fn is_unique_violation(failure: &Failure) -> bool {
    database_error(failure).is_some_and(|error| error.is_unique_violation())
}

/// Whether the database is away, full or too busy: what was asked may well work later. Nothing was committed, unless
/// the connection was lost while committing.
pub fn is_unavailable(failure: &Failure) -> bool {
    match failure.cause().and_then(|cause| cause.downcast_ref::<sqlx::Error>()) {
        Some(sqlx::Error::Database(error)) => error.code().is_some_and(|code| says_unavailable(&code)),
        Some(
            // What stands in the middle and no longer reaches a PostgreSQL answers nothing that its protocol knows.
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed,
        ) => true,
        _ => false,
    }
}

/// PostgreSQL's SQLSTATE classes 08 (connection), 53 (resources), 57P (shutting down, starting) and 28 (it does not let
/// us in), 25006 (a standby, read only), 55000 (it takes no connections), 3D000 (it is not there: being restored);
/// SQLite's result codes 5 (busy), 6 (locked), 10 (input/output), 13 (full) and 14 (cannot open), extended
/// ones with them. SQLite's codes have no five digits below 2^16.
fn says_unavailable(code: &str) -> bool {
    if code.len() == 5 {
        return matches!(code, "25006" | "55000" | "3D000")
            || ["08", "28", "53", "57P"].iter().any(|class| code.starts_with(class));
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14))
}

/// The database's own code of what it refused.
pub(super) fn sql_state(failure: &Failure) -> Option<String> {
    database_error(failure).and_then(|error| error.code()).map(Cow::into_owned)
}

/// Whether SQLite says that a file is damaged (11) or none of its own (26), extended codes with them.
pub(super) fn is_damage(failure: &Failure) -> bool {
    let number = sql_state(failure).filter(|code| code.len() < 5).and_then(|code| code.parse::<u32>().ok());
    number.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

/// Whether a table is asked for that is not there: PostgreSQL's 42P01, or SQLite's only text for it.
pub fn is_without_tables(failure: &Failure) -> bool {
    database_error(failure).is_some_and(|error| {
        error.code().is_some_and(|code| code == "42P01") || error.message().starts_with("no such table")
    })
}

fn database_error(failure: &Failure) -> Option<&dyn sqlx::error::DatabaseError> {
    failure.cause()?.downcast_ref::<sqlx::Error>()?.as_database_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_away_or_full_is_told_from_a_fault_of_ours() {
        for away in [
            "08006", "08P01", "53100", "53300", "57P01", "57P03", "25006", "28P01", "55000", "3D000", "5",
            "6", "13", "14", "266", "2570",
        ] {
            assert!(says_unavailable(away), "{away}");
        }
        for ours in ["23505", "40001", "42P01", "57014", "1", "19", "787", "2067", "", "x"] {
            assert!(!says_unavailable(ours), "{ours}");
        }
        let caused = |error: sqlx::Error| Failure::caused("reading", error);
        assert!(is_unavailable(&caused(sqlx::Error::PoolTimedOut)));
        assert!(!is_unavailable(&caused(sqlx::Error::RowNotFound)));
        assert!(!is_unavailable(&Failure::new("something else")));
    }
}
