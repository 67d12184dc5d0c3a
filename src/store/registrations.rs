//! Registering clients, one after the other: counted, de-duplicated and bounded in the transaction that writes, so that
//! no number of parallel registrations exceeds a bound. A flood pushes out its own network's. Never touches a client
//! that anybody has used or approved.

use std::time::Duration;

use crate::ambient::Timestamp;
use crate::domain::ClientId;
use crate::domain::redirect::RedirectUri;
use crate::failure::Failure;

use super::{NewClient, Recorded, Store, circles, corrupt, district, record, transaction};

/// For how long the same registration is answered with the same client, and over which an address is counted.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How many never-used clients there may be; 0: as many as come.
#[derive(Clone, Copy, Debug, Default)]
pub struct RegistrationBounds {
    /// Registered from one address within a day.
    pub per_address: u32,
    /// Of all addresses, and a share of it from one district (IPv4 /24, IPv6 /48) and one region (/16, /32).
    pub total: u32,
}

/// What became of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// It is a new client; the oldest never-used ones of its district went for it where that had its share, of those
    /// districts of its region that have the most where the region had its share, and of all where the total was
    /// reached.
    New {
        /// The ids of those that went.
        evicted: Vec<ClientId>,
    },
    /// The same registration came from the same address today, and nobody has used it: it is that client, and lives
    /// and keeps its place as one that was registered now.
    Known {
        /// Its id.
        id: ClientId,
        /// When it was registered.
        issued_at: Timestamp,
    },
    /// Too many from this address were never used. Nothing was written.
    TooManyFromAddress,
}

/// The never-used clients: registered by themselves, without a person's approval.
macro_rules! never_used {
    ($select:literal, $and:literal) => {
        concat!(
            $select,
            " FROM clients WHERE kind = 'dynamic' AND last_used_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM consents WHERE client_id = clients.id) ",
            $and
        )
    };
}

/// The one row that registrations lock; SQLite's writers are one after the other anyway.
const IN_ORDER: &str = "UPDATE registration_order SET last_at = $1 WHERE id = 1";
const KNOWN: &str = never_used!(
    "UPDATE clients SET registered_at = $4, expires_at = CASE WHEN expires_at < $5 THEN $5 ELSE expires_at END
    WHERE last_used_at IS NULL AND id = (SELECT id",
    "AND fingerprint = $1 AND registered_from = $2 AND secret_hash IS NULL AND created_at > $3 AND expires_at > $4
    ORDER BY created_at, id LIMIT 1)
    RETURNING id, created_at"
);
const FROM_ADDRESS: &str = never_used!("SELECT COUNT(*)", "AND registered_from = $1 AND created_at > $2");
const AROUND: &str = never_used!("SELECT COUNT(*)", "AND district BETWEEN $1 AND $2");

/// Each district's clients numbered from its newest: the highest numbers are the oldest of those that have the most.
/// The district that asks for room counts the one that comes.
const FURTHEST_BEYOND: &str = never_used!(
    "DELETE FROM clients WHERE last_used_at IS NULL AND id IN (SELECT id FROM (SELECT id, registered_at,
        ROW_NUMBER() OVER (PARTITION BY district ORDER BY registered_at DESC, id DESC)
        + CASE WHEN district = $1 THEN 1 ELSE 0 END AS place",
    "AND district BETWEEN $2 AND $3) AS placed ORDER BY place DESC, registered_at, id LIMIT $4)
    RETURNING id"
);
const INSERT: &str =
    "INSERT INTO clients (id, kind, name, redirect_uris, auth_method, grant_types, scope, secret_hash,
        fingerprint, registered_from, created_at, registered_at, expires_at, district)
    VALUES ($1, 'dynamic', $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12)";

/// Makes room for one more within the running transaction: the ids of the clients that went for it. A macro, because a
/// transaction is of one engine or the other.
macro_rules! make_room {
    ($tx:ident, $total:expr, $from:expr) => {{
        let mut evicted: Vec<String> = Vec::new();
        for (first, last, share) in circles($from, $total).into_iter().filter(|_| $total > 0) {
            let count: i64 = sqlx::query_scalar(AROUND).bind(first).bind(last).fetch_one(&mut *$tx).await?;
            let excess = count + 1 - i64::from(share);
            if excess > 0 {
                let further: Vec<String> = sqlx::query_scalar(FURTHEST_BEYOND)
                    .bind(district($from))
                    .bind(first)
                    .bind(last)
                    .bind(excess)
                    .fetch_all(&mut *$tx)
                    .await?;
                evicted.extend(further);
            }
        }
        evicted
    }};
}

impl Store {
    /// Registers a client, within its bounds.
    ///
    /// # Errors
    /// Where its id is taken, or the database does not answer.
    pub async fn register_client(
        &self,
        client: &NewClient,
        events: &[Recorded],
    ) -> Result<Registered, Failure> {
        let uris: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
        let (uris, grant_types) =
            (serde_json::to_string(&uris)?, serde_json::to_string(&client.grant_types)?);
        let (now, day_ago) = (client.now.secs(), client.now.minus(DAY).secs());
        let (from, bounds) = (client.registered_from.to_string(), client.bounds);
        let registered = transaction!(self, tx => {
            sqlx::query(IN_ORDER).bind(now).execute(&mut *tx).await?;
            let known: Option<(String, i64)> = match &client.fingerprint {
                None => None,
                Some(fingerprint) => sqlx::query_as(KNOWN)
                    .bind(&fingerprint[..]).bind(&from).bind(day_ago).bind(now).bind(client.expires_at.secs())
                    .fetch_optional(&mut *tx).await?,
            };
            if let Some((id, at)) = known {
                let id = ClientId::parse(&id).ok_or(()).map_err(corrupt)?;
                tx.commit().await?;
                return Ok(Registered::Known { id, issued_at: Timestamp::from_secs(at) });
            }
            if bounds.per_address > 0 {
                let count: i64 =
                    sqlx::query_scalar(FROM_ADDRESS).bind(&from).bind(day_ago).fetch_one(&mut *tx).await?;
                if count >= i64::from(bounds.per_address) {
                    return Ok(Registered::TooManyFromAddress);
                }
            }
            let evicted: Vec<String> = make_room!(tx, bounds.total, client.registered_from);
            sqlx::query(INSERT)
                .bind(client.id.as_str())
                .bind(&client.name)
                .bind(&uris)
                .bind(client.auth_method.name())
                .bind(&grant_types)
                .bind(client.scopes.to_string())
                .bind(client.secret.as_ref().map(|hash| &hash.as_bytes()[..]))
                .bind(client.fingerprint.as_ref().map(|fingerprint| &fingerprint[..]))
                .bind(&from)
                .bind(now)
                .bind(client.expires_at.secs())
                .bind(district(client.registered_from))
                .execute(&mut *tx).await?;
            record!(tx, events);
            let evicted = evicted.iter().map(|id| ClientId::parse(id).ok_or(()).map_err(corrupt));
            Registered::New { evicted: evicted.collect::<Result<_, _>>()? }
        });
        Ok(registered)
    }
}
