//! Clients that metadata documents describe, and the names of configured ones. Every stranger can make one of these
//! rows, so those that nobody used are few and soon forgotten.

use crate::ambient::Timestamp;
use crate::domain::ClientId;
use crate::domain::client::ClientMetadata;
use crate::domain::redirect::RedirectUri;
use crate::failure::Failure;

use super::clients::Row;
use super::{Client, Recorded, Store, reading, record, transaction};

/// Most documents kept that led to no grant; the newest stay.
const MOST_UNUSED: i64 = 10_000;

/// A document to keep.
#[derive(Clone, Debug)]
pub struct NewDocument {
    /// Its URL.
    pub id: ClientId,
    /// What it says.
    pub metadata: ClientMetadata,
    /// When it was fetched; `None`: a built-in description stands in for it.
    pub fetched_at: Option<Timestamp>,
    /// Until when it is believed without being fetched again.
    pub fresh_until: Option<Timestamp>,
    /// Now.
    pub now: Timestamp,
    /// When it is forgotten unless it is used.
    pub expires_at: Timestamp,
}

/// A document that was kept.
#[derive(Clone, Debug)]
pub struct DocumentClient {
    /// What it says.
    pub client: Client,
    /// Until when it is believed; `None`: not beyond the request that kept it.
    pub fresh_until: Option<Timestamp>,
}

impl Store {
    /// The document that was kept for this URL.
    pub async fn client_document(&self, id: &ClientId) -> Result<Option<DocumentClient>, Failure> {
        let sql = "SELECT id, name, redirect_uris, auth_method, grant_types, scope, secret_hash, fresh_until
            FROM clients WHERE id = $1 AND kind = 'document'";
        let row: Option<DocumentRow> =
            reading!(self, pool => sqlx::query_as(sql).bind(id.as_str()).fetch_optional(pool).await)?;
        row.map(|row| {
            let fresh_until = row.fresh_until.map(Timestamp::from_secs);
            Ok(DocumentClient { client: row.row.parse()?, fresh_until })
        })
        .transpose()
    }

    /// Keeps a document in the place of the one before it.
    pub async fn keep_document(&self, document: &NewDocument, events: &[Recorded]) -> Result<(), Failure> {
        let sql =
            "INSERT INTO clients (id, kind, name, redirect_uris, auth_method, grant_types, scope, created_at,
                expires_at, fetched_at, fresh_until)
            VALUES ($1, 'document', $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name,
                redirect_uris = excluded.redirect_uris, auth_method = excluded.auth_method,
                grant_types = excluded.grant_types, scope = excluded.scope, secret_hash = NULL,
                expires_at = CASE WHEN clients.expires_at > excluded.expires_at THEN clients.expires_at
                    ELSE excluded.expires_at END,
                fetched_at = excluded.fetched_at, fresh_until = excluded.fresh_until";
        let metadata = &document.metadata;
        let uris: Vec<_> = metadata.redirect_uris.iter().map(RedirectUri::as_str).collect();
        let (uris, grants) = (serde_json::to_string(&uris)?, serde_json::to_string(&metadata.grant_types)?);
        transaction!(self, tx => {
            sqlx::query(sql)
                .bind(document.id.as_str())
                .bind(&metadata.name)
                .bind(&uris)
                .bind(metadata.auth_method.name())
                .bind(&grants)
                .bind(metadata.scopes.to_string())
                .bind(document.now.secs())
                .bind(document.expires_at.secs())
                .bind(document.fetched_at.map(Timestamp::secs))
                .bind(document.fresh_until.map(Timestamp::secs))
                .execute(&mut *tx).await?;
            record!(tx, events);
        });
        Ok(())
    }

    /// Writes down the configured clients, so that people see their names among what they have connected, and
    /// forgets those that are no longer configured. Never a secret: those are known from the configuration alone.
    pub async fn write_configured(&self, clients: &[Client], now: Timestamp) -> Result<(), Failure> {
        let sql =
            "INSERT INTO clients (id, kind, name, redirect_uris, auth_method, grant_types, scope, created_at)
            VALUES ($1, 'configured', $2, $3, $4, $5, $6, $7)
            ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name,
                redirect_uris = excluded.redirect_uris, auth_method = excluded.auth_method,
                grant_types = excluded.grant_types, scope = excluded.scope, secret_hash = NULL,
                expires_at = NULL, fetched_at = NULL, fresh_until = NULL";
        let mut rows = Vec::with_capacity(clients.len());
        for client in clients {
            let uris: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
            rows.push((client, serde_json::to_string(&uris)?));
        }
        transaction!(self, tx => {
            sqlx::query("DELETE FROM clients WHERE kind = 'configured'").execute(&mut *tx).await?;
            for (client, uris) in &rows {
                sqlx::query(sql)
                    .bind(client.id.as_str())
                    .bind(&client.name)
                    .bind(uris)
                    .bind(client.auth_method.name())
                    .bind(r#"["authorization_code","refresh_token"]"#)
                    .bind(client.scopes.to_string())
                    .bind(now.secs())
                    .execute(&mut *tx).await?;
            }
        });
        Ok(())
    }

    /// Removes documents that expired without a living grant, with their consents, and the oldest of those that
    /// nobody used where there are too many.
    pub(super) async fn purge_documents(&self, now: i64) -> Result<u64, Failure> {
        let consents = "DELETE FROM consents WHERE client_id IN
            (SELECT id FROM clients WHERE kind = 'document' AND expires_at <= $1
            AND NOT EXISTS (SELECT 1 FROM grants WHERE client_id = clients.id AND revoked_at IS NULL))";
        let expired = "DELETE FROM clients WHERE kind = 'document' AND expires_at <= $1
            AND NOT EXISTS (SELECT 1 FROM grants WHERE client_id = clients.id AND revoked_at IS NULL)";
        let beyond = "DELETE FROM clients WHERE id IN
            (SELECT id FROM clients WHERE kind = 'document' AND last_used_at IS NULL
            ORDER BY created_at DESC, id LIMIT 1000000 OFFSET $1)";
        let gone = transaction!(self, tx => {
            sqlx::query(consents).bind(now).execute(&mut *tx).await?;
            sqlx::query(expired).bind(now).execute(&mut *tx).await?.rows_affected()
                + sqlx::query(beyond).bind(MOST_UNUSED).execute(&mut *tx).await?.rows_affected()
        });
        Ok(gone)
    }
}

#[derive(sqlx::FromRow)]
struct DocumentRow {
    #[sqlx(flatten)]
    row: Row,
    fresh_until: Option<i64>,
}
