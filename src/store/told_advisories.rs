//! Advisories about this program that are on record: each is told once for each version of a package, and again after a year.

use std::time::Duration;

use crate::failure::Failure;

use super::{Recorded, Store, record, transaction};

/// After so long it is told again, and what nobody finds any more is forgotten.
const KEPT: Duration = Duration::from_secs(366 * 86_400);

/// What was found, and the event that tells of it.
#[derive(Debug)]
pub struct FoundAdvisory<'a> {
    /// The advisory's id.
    pub advisory: &'a str,
    /// The package and its version.
    pub package: &'a str,
    /// What goes on record where it is new.
    pub event: Recorded,
}

impl Store {
    /// Puts on record what is not on record yet; how many that were.
    pub async fn tell_advisories(&self, found: &[FoundAdvisory<'_>]) -> Result<usize, Failure> {
        let sql = "INSERT INTO told_advisories (advisory, package, at) VALUES ($1, $2, $3)
            ON CONFLICT (advisory, package) DO NOTHING";
        let told = transaction!(self, tx => {
            let mut told = 0;
            for one in found {
                let now = one.event.at;
                let forgotten = "DELETE FROM told_advisories WHERE at <= $1";
                sqlx::query(forgotten).bind(now.minus(KEPT).millis()).execute(&mut *tx).await?;
                let new = sqlx::query(sql).bind(one.advisory).bind(one.package).bind(now.millis());
                if new.execute(&mut *tx).await?.rows_affected() == 1 {
                    record!(tx, [&one.event]);
                    told += 1;
                }
            }
            told
        });
        Ok(told)
    }
}
