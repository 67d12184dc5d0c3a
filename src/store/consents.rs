//! What people approved, as they see it and take it back: by client, whatever the redirect URI.

use crate::ambient::Timestamp;
use crate::domain::{ClientId, ScopeSet, UserId};
use crate::failure::Failure;

use super::{Recorded, Store, corrupt, end_cached, lock_person, reading, record, transaction};

/// What a person approved for one client.
#[derive(Clone, Debug)]
pub struct Approval {
    /// The client.
    pub client: ClientId,
    /// The name that the client claims: untrusted text. Its id where it is no longer known.
    pub name: String,
    /// Where its codes may go.
    pub redirect_uris: Vec<String>,
    /// All that was approved.
    pub scopes: ScopeSet,
    /// When last.
    pub approved_at: Timestamp,
}

/// Client, its name, redirect URI, scope, when.
type Row = (String, Option<String>, String, String, i64);

impl Store {
    /// What a person approved, one entry per client, the newest first; of at most 200 consents.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn approvals(&self, user: &UserId) -> Result<Vec<Approval>, Failure> {
        let sql = "SELECT s.client_id, c.name, s.redirect_uri, s.scope, s.granted_at
            FROM consents s LEFT JOIN clients c ON c.id = s.client_id
            WHERE s.user_id = $1 ORDER BY s.granted_at DESC, s.client_id, s.redirect_uri LIMIT 200";
        let rows: Vec<Row> =
            reading!(self, pool => sqlx::query_as(sql).bind(user.as_str()).fetch_all(pool).await)?;
        let mut approvals: Vec<Approval> = Vec::new();
        for (client, name, redirect_uri, scope, at) in rows {
            let scopes = ScopeSet::known(&scope);
            match approvals.iter_mut().find(|known| known.client.as_str() == client) {
                Some(known) => {
                    known.redirect_uris.push(redirect_uri);
                    known.scopes = known.scopes.union(scopes);
                }
                None => approvals.push(Approval {
                    name: name.unwrap_or_else(|| client.clone()),
                    client: ClientId::parse(&client).ok_or(()).map_err(corrupt)?,
                    redirect_uris: vec![redirect_uri],
                    scopes,
                    approved_at: Timestamp::from_secs(at),
                }),
            }
        }
        Ok(approvals)
    }

    /// Forgets what a person approved for a client, and ends everything that the client has of this person: grants with
    /// their tokens, and codes on their way. `false`, with nothing recorded, where there was nothing.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn withdraw(
        &self,
        user: &UserId,
        client: &ClientId,
        now: Timestamp,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let forget = "DELETE FROM consents WHERE user_id = $1 AND client_id = $2";
        let end = "UPDATE grants SET revoked_at = $3, revoked_because = 'consent_withdrawn'
            WHERE user_id = $1 AND client_id = $2 AND revoked_at IS NULL";
        let codes = "DELETE FROM codes WHERE user_id = $1 AND client_id = $2 AND used_at IS NULL";
        let withdrawn = transaction!(self, tx => {
            if !lock_person!(tx, user) {
                return Ok(false);
            }
            let forgotten = sqlx::query(forget)
                .bind(user.as_str()).bind(client.as_str())
                .execute(&mut *tx).await?;
            let ended = sqlx::query(end)
                .bind(user.as_str()).bind(client.as_str()).bind(now.secs())
                .execute(&mut *tx).await?;
            sqlx::query(codes).bind(user.as_str()).bind(client.as_str()).execute(&mut *tx).await?;
            if forgotten.rows_affected() + ended.rows_affected() == 0 {
                return Ok(false);
            }
            end_cached!(tx);
            record!(tx, events);
            true
        });
        Ok(withdrawn)
    }
}
