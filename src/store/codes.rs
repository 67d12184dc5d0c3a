//! Authorization codes, by hash.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::code::StoredCode;
use crate::domain::pkce::CodeChallenge;
use crate::domain::redirect::{RedirectKind, RedirectUri};
use crate::domain::resource::Resource;
use crate::domain::{ClientId, ScopeSet, UserId};
use crate::failure::Failure;

use super::logins::login_stands;
use super::{FromLogin, Recorded, Store, corrupt, lock_person, reading, record, transaction, writing};

/// A code to issue, with the consent that it stands on.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// Of the code.
    pub hash: TokenHash,
    /// Who logged in.
    pub user: UserId,
    /// For which client.
    pub client: ClientId,
    /// Where the code goes.
    pub redirect_uri: RedirectUri,
    /// The PKCE challenge.
    pub challenge: CodeChallenge,
    /// For which resource.
    pub resource: Resource,
    /// What was approved.
    pub scopes: ScopeSet,
    /// Now.
    pub now: Timestamp,
    /// When the code dies.
    pub expires_at: Timestamp,
    /// The login that it comes from; `None`: from none that could be ended.
    pub login: Option<FromLogin>,
}

/// A stored code: what redemption decides by, and what it then needs.
#[derive(Clone, Debug)]
pub struct CodeRow {
    /// What the decision needs.
    pub code: StoredCode,
    /// Who logged in.
    pub user: UserId,
    /// What was approved.
    pub scopes: ScopeSet,
}

impl Store {
    /// Issues a code and remembers the consent behind it, beside what was approved for the same client and redirect URI
    /// before. Of a program on the person's own computer only the last address is kept: it changes with every start.
    /// `false`, with nothing done, where the login was ended, or the person deleted, meanwhile.
    pub async fn issue_code(&self, code: &NewCode, events: &[Recorded]) -> Result<bool, Failure> {
        let issue = "INSERT INTO codes
            (hash, user_id, client_id, redirect_uri, challenge, resource, scope, expires_at, failures, issued_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)";
        let consent = "INSERT INTO consents (user_id, client_id, redirect_uri, scope, granted_at)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (user_id, client_id, redirect_uri)
            DO UPDATE SET scope = excluded.scope, granted_at = excluded.granted_at";
        let before = "SELECT scope FROM consents WHERE user_id = $1 AND client_id = $2 AND redirect_uri = $3";
        let moved =
            "DELETE FROM consents WHERE user_id = $1 AND client_id = $2 AND redirect_uri NOT LIKE 'https:%'";
        let (user, client, uri) = (code.user.as_str(), code.client.as_str(), code.redirect_uri.as_str());
        let issued = transaction!(self, tx => {
            // Who was deleted meanwhile has no login any more either.
            if !lock_person!(tx, &code.user) || !login_stands!(tx, &code.login, code.user) {
                return Ok(false);
            }
            sqlx::query(issue)
                .bind(&code.hash.as_bytes()[..])
                .bind(code.user.as_str())
                .bind(code.client.as_str())
                .bind(code.redirect_uri.as_str())
                .bind(code.challenge.as_str())
                .bind(code.resource.path())
                .bind(code.scopes.to_string())
                .bind(code.expires_at.secs())
                .bind(code.now.secs())
                .execute(&mut *tx).await?;
            let approved: Option<String> = sqlx::query_scalar(before)
                .bind(user).bind(client).bind(uri)
                .fetch_optional(&mut *tx).await?;
            let scopes = code.scopes.union(ScopeSet::known(approved.as_deref().unwrap_or_default()));
            if code.redirect_uri.kind() != RedirectKind::Https {
                sqlx::query(moved).bind(user).bind(client).execute(&mut *tx).await?;
            }
            sqlx::query(consent)
                .bind(user)
                .bind(client)
                .bind(uri)
                .bind(scopes.to_string())
                .bind(code.now.secs())
                .execute(&mut *tx).await?;
            record!(tx, events);
            true
        });
        Ok(issued)
    }

    /// A code by its hash, dead or alive.
    pub async fn code(&self, hash: TokenHash) -> Result<Option<CodeRow>, Failure> {
        let sql = "SELECT user_id, client_id, redirect_uri, challenge, resource, scope, expires_at, failures, grant_id
            FROM codes WHERE hash = $1";
        let row: Option<Row> = reading!(self, pool => sqlx::query_as(sql).bind(&hash.as_bytes()[..]).fetch_optional(pool).await)?;
        row.map(Row::parse).transpose()
    }

    /// Counts a wrong presentation.
    pub async fn count_code_failure(&self, hash: TokenHash) -> Result<(), Failure> {
        let sql = "UPDATE codes SET failures = failures + 1 WHERE hash = $1";
        writing!(self, pool => sqlx::query(sql).bind(&hash.as_bytes()[..]).execute(pool).await.map(drop))?;
        Ok(())
    }
}

/// The resource of a path as stored.
pub(super) fn resource(path: &str) -> Result<Resource, Failure> {
    let known = [Resource::Mcp, Resource::ClaudeMcp].into_iter().find(|resource| resource.path() == path);
    known.ok_or(()).map_err(corrupt)
}

#[derive(sqlx::FromRow)]
struct Row {
    user_id: String,
    client_id: String,
    redirect_uri: String,
    challenge: String,
    resource: String,
    scope: String,
    expires_at: i64,
    failures: i64,
    grant_id: Option<String>,
}

impl Row {
    fn parse(self) -> Result<CodeRow, Failure> {
        Ok(CodeRow {
            code: StoredCode {
                client: ClientId::parse(&self.client_id).ok_or(()).map_err(corrupt)?,
                redirect_uri: RedirectUri::parse(&self.redirect_uri).map_err(corrupt)?,
                challenge: CodeChallenge::parse(&self.challenge).ok_or(()).map_err(corrupt)?,
                resource: resource(&self.resource)?,
                expires_at: Timestamp::from_secs(self.expires_at),
                redeemed: self.grant_id.map(|id| id.parse().map_err(corrupt)).transpose()?,
                failures: self.failures,
            },
            user: self.user_id.parse().map_err(corrupt)?,
            scopes: ScopeSet::known(&self.scope),
        })
    }
}
