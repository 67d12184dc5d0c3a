//! Logins in progress at Spotify: single use, five minutes, bound to one browser.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::{AppId, UserId};
use crate::failure::Failure;

use super::{Store, corrupt, writing};

/// A login that begins.
#[derive(Clone, Debug)]
pub struct NewLogin {
    /// Hash of the state that Spotify will return.
    pub state: TokenHash,
    /// Hash of the browser's cookie for this login.
    pub browser: TokenHash,
    /// `client`, `browser` or `link`.
    pub purpose: &'static str,
    /// The Spotify app that it goes through.
    pub app: AppId,
    /// The sealed PKCE verifier.
    pub verifier: Vec<u8>,
    /// The waiting client's authorization request, as JSON.
    pub request: Option<String>,
    /// Who was logged in here when it began.
    pub user: Option<UserId>,
    /// The Spotify scopes asked for.
    pub spotify_scope: String,
    /// When it began.
    pub now: Timestamp,
    /// When it dies.
    pub expires_at: Timestamp,
    /// How many may be in progress; `None`: any number.
    pub most: Option<u32>,
}

/// A login that Spotify has answered, taken once.
#[derive(Clone, Debug)]
pub struct Login {
    /// `client`, `browser` or `link`.
    pub purpose: String,
    /// The Spotify app that it went through.
    pub app: AppId,
    /// The sealed PKCE verifier.
    pub verifier: Vec<u8>,
    /// The waiting client's authorization request, as JSON.
    pub request: Option<String>,
    /// Who was logged in here when it began.
    pub user: Option<UserId>,
    /// The Spotify scopes asked for.
    pub spotify_scope: String,
}

impl Store {
    /// Keeps a login that begins; `false` where too many are in progress. Those that begin at the same instant on
    /// PostgreSQL do not see each other and may be a few more.
    pub async fn begin_login(&self, login: &NewLogin) -> Result<bool, Failure> {
        let sql = "INSERT INTO logins
            (state_hash, browser_hash, purpose, app_id, verifier, request, user_id, spotify_scope, created_at, expires_at)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
            WHERE (SELECT COUNT(*) FROM logins WHERE expires_at > $9 AND used_at IS NULL) < $11";
        let kept = writing!(self, pool => sqlx::query(sql)
            .bind(&login.state.as_bytes()[..])
            .bind(&login.browser.as_bytes()[..])
            .bind(login.purpose)
            .bind(login.app.as_str())
            .bind(&login.verifier[..])
            .bind(login.request.as_deref())
            .bind(login.user.as_ref().map(UserId::as_str))
            .bind(&login.spotify_scope)
            .bind(login.now.secs())
            .bind(login.expires_at.secs())
            .bind(login.most.map_or(i64::MAX, i64::from))
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(kept == 1)
    }

    /// Takes a login, once, for the browser that began it.
    pub async fn take_login(
        &self,
        state: TokenHash,
        browser: TokenHash,
        now: Timestamp,
    ) -> Result<Option<Login>, Failure> {
        let sql = "UPDATE logins SET used_at = $3
            WHERE state_hash = $1 AND browser_hash = $2 AND used_at IS NULL AND expires_at > $3
            RETURNING purpose, app_id, verifier, request, user_id, spotify_scope";
        let row: Option<Row> = writing!(self, pool =>
            sqlx::query_as(sql)
                .bind(&state.as_bytes()[..])
                .bind(&browser.as_bytes()[..])
                .bind(now.secs())
                .fetch_optional(pool).await)?;
        row.map(|(purpose, app, verifier, request, user, spotify_scope)| {
            Ok(Login {
                purpose,
                app: app.parse().map_err(corrupt)?,
                verifier,
                request,
                user: user.map(|id| id.parse().map_err(corrupt)).transpose()?,
                spotify_scope,
            })
        })
        .transpose()
    }
}

/// Purpose, app, verifier, request, user, Spotify scope.
type Row = (String, String, Vec<u8>, Option<String>, Option<String>, String);
