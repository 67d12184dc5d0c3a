//! OAuth clients and people's consents.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::client::{AuthMethod, ClientMetadata};
use crate::domain::redirect::RedirectUri;
use crate::domain::{ClientId, Neighbourhood, ScopeSet, UserId};
use crate::failure::Failure;

use super::{RegistrationBounds, Store, corrupt, reading, writing};

/// A client to register.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Its id.
    pub id: ClientId,
    /// The name it claims, cleaned.
    pub name: String,
    /// Where codes may go.
    pub redirect_uris: Vec<RedirectUri>,
    /// How it authenticates.
    pub auth_method: AuthMethod,
    /// `authorization_code` and perhaps `refresh_token`.
    pub grant_types: Vec<&'static str>,
    /// What it may ask for.
    pub scopes: ScopeSet,
    /// Of its secret, where it has one.
    pub secret: Option<TokenHash>,
    /// Where it was registered from.
    pub registered_from: Neighbourhood,
    /// When.
    pub now: Timestamp,
    /// When it is forgotten unless it is used.
    pub expires_at: Timestamp,
    /// Of all that is kept of its metadata, where the same registration may be answered with the same client: never
    /// with one that has a secret.
    pub fingerprint: Option<[u8; 32]>,
    /// How many there may be.
    pub bounds: RegistrationBounds,
}

/// A registered client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// The name it claims: untrusted text.
    pub name: String,
    /// Where codes may go.
    pub redirect_uris: Vec<RedirectUri>,
    /// How it authenticates.
    pub auth_method: AuthMethod,
    /// Whether it is given refresh tokens.
    pub refreshes: bool,
    /// What it may ask for.
    pub scopes: ScopeSet,
    /// Of its secret, where it has one.
    pub secret: Option<TokenHash>,
}

impl Client {
    /// The public client that a document, or a description in its place, describes.
    pub fn described(id: &ClientId, metadata: &ClientMetadata) -> Self {
        Self {
            id: id.clone(),
            name: metadata.name.clone(),
            redirect_uris: metadata.redirect_uris.clone(),
            auth_method: metadata.auth_method,
            refreshes: metadata.grant_types.contains(&"refresh_token"),
            scopes: metadata.scopes,
            secret: None,
        }
    }
}

impl Store {
    /// A client that registered here or that a document described, and that has not expired. Configured ones are
    /// known from the configuration alone.
    pub async fn client(&self, id: &ClientId, now: Timestamp) -> Result<Option<Client>, Failure> {
        let sql = "SELECT id, name, redirect_uris, auth_method, grant_types, scope, secret_hash FROM clients
            WHERE id = $1 AND kind <> 'configured' AND (expires_at IS NULL OR expires_at > $2)";
        let row: Option<Row> = reading!(self, pool =>
            sqlx::query_as(sql).bind(id.as_str()).bind(now.secs()).fetch_optional(pool).await)?;
        row.map(Row::parse).transpose()
    }

    /// Whether anything here is of this client: the client itself, expired or not, or what people gave it.
    pub async fn knows_client(&self, id: &ClientId) -> Result<bool, Failure> {
        let sql = "SELECT (SELECT COUNT(*) FROM clients WHERE id = $1) + (SELECT COUNT(*) FROM grants WHERE client_id = $1)
            + (SELECT COUNT(*) FROM consents WHERE client_id = $1)
            + (SELECT COUNT(*) FROM mcp_sessions WHERE client_id = $1)";
        let found: i64 =
            reading!(self, pool => sqlx::query_scalar(sql).bind(id.as_str()).fetch_one(pool).await)?;
        Ok(found > 0)
    }

    /// Whether a client of this id is stored, expired or not.
    pub async fn has_client(&self, id: &ClientId) -> Result<bool, Failure> {
        let sql = "SELECT COUNT(*) FROM clients WHERE id = $1";
        let found: i64 =
            reading!(self, pool => sqlx::query_scalar(sql).bind(id.as_str()).fetch_one(pool).await)?;
        Ok(found > 0)
    }

    /// Notes that a client was used, and puts off its expiry.
    pub async fn touch_client(
        &self,
        id: &ClientId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), Failure> {
        let sql =
            "UPDATE clients SET last_used_at = $2, expires_at = $3 WHERE id = $1 AND expires_at IS NOT NULL";
        writing!(self, pool => sqlx::query(sql)
            .bind(id.as_str()).bind(now.secs()).bind(expires_at.secs())
            .execute(pool).await.map(drop))?;
        Ok(())
    }

    /// The scopes that a person approved for this very client and redirect URI.
    pub async fn consent(
        &self,
        user: &UserId,
        client: &ClientId,
        redirect_uri: &str,
    ) -> Result<Option<ScopeSet>, Failure> {
        let sql = "SELECT scope FROM consents WHERE user_id = $1 AND client_id = $2 AND redirect_uri = $3";
        let scope: Option<String> = reading!(self, pool => sqlx::query_scalar(sql)
            .bind(user.as_str()).bind(client.as_str()).bind(redirect_uri)
            .fetch_optional(pool).await)?;
        Ok(scope.map(|text| ScopeSet::known(&text)))
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    id: String,
    name: String,
    redirect_uris: String,
    auth_method: String,
    grant_types: String,
    scope: String,
    secret_hash: Option<Vec<u8>>,
}

impl Row {
    pub(super) fn parse(self) -> Result<Client, Failure> {
        let uris: Vec<String> = serde_json::from_str(&self.redirect_uris).map_err(corrupt)?;
        let secret = self.secret_hash.map(|hash| TokenHash::from_slice(&hash).ok_or(()).map_err(corrupt));
        Ok(Client {
            id: ClientId::parse(&self.id).ok_or(()).map_err(corrupt)?,
            name: self.name,
            redirect_uris: uris
                .iter()
                .map(|uri| RedirectUri::parse(uri))
                .collect::<Result<_, _>>()
                .map_err(corrupt)?,
            auth_method: AuthMethod::parse(&self.auth_method).ok_or(()).map_err(corrupt)?,
            refreshes: self.grant_types.contains("refresh_token"),
            scopes: ScopeSet::known(&self.scope),
            secret: secret.transpose()?,
        })
    }
}
