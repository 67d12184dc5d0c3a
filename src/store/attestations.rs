//! Tasks that no program can see done, as somebody attested them (`security-check attest`). Only ever added to.

use sha2::{Digest as _, Sha256};

use crate::domain::event::{Event, EventCode};
use crate::failure::Failure;

use super::{Recorded, Store, reading, record, transaction};

/// One attestation.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct AttestationRow {
    /// Its id.
    pub id: String,
    /// Which task of `policies/tasks.toml`.
    pub task: String,
    /// Who says so.
    pub by_whom: String,
    /// What shows it.
    pub evidence: String,
    /// When it was said, in milliseconds.
    pub at: i64,
}

impl AttestationRow {
    /// What the trail is told of it. The name and what shows it stay in the database: the trail keeps no words that name
    /// people.
    pub fn event(&self) -> Event {
        Event::new(EventCode::TaskAttested)
            .subject(&self.task)
            .detail("attestation", &self.id)
            .detail("digest", self.digest())
    }

    /// SHA-256 of all of it, as the trail's record has it: nobody changes a word or a time of it unseen.
    pub fn digest(&self) -> String {
        let all = serde_json::json!([self.id, self.task, self.by_whom, self.evidence, self.at]);
        Sha256::digest(all.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Store {
    /// Stores one, with its event.
    pub async fn attest(&self, row: &AttestationRow, events: &[Recorded]) -> Result<(), Failure> {
        let sql = "INSERT INTO attestations (id, task, by_whom, evidence, at) VALUES ($1, $2, $3, $4, $5)";
        transaction!(self, tx => {
            sqlx::query(sql)
                .bind(&row.id)
                .bind(&row.task)
                .bind(&row.by_whom)
                .bind(&row.evidence)
                .bind(row.at)
                .execute(&mut *tx)
                .await?;
            record!(tx, events);
        });
        Ok(())
    }

    /// The last one of every task that was ever attested, by task.
    pub async fn last_attestations(&self) -> Result<Vec<AttestationRow>, Failure> {
        let sql = "SELECT a.id, a.task, a.by_whom, a.evidence, a.at FROM attestations a
            WHERE NOT EXISTS (SELECT 1 FROM attestations b
                WHERE b.task = a.task AND (b.at > a.at OR (b.at = a.at AND b.id > a.id)))
            ORDER BY a.task";
        Ok(reading!(self, pool => sqlx::query_as(sql).fetch_all(pool).await)?)
    }
}
