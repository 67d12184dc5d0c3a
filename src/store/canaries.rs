//! Canaries: a person, a client and tokens that exist only to be tried after an emergency. They can do nothing: no
//! Spotify account is linked to them.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::resource::Resource;
use crate::domain::{ClientId, GrantId, UserId};
use crate::failure::Failure;

use super::grants::insert_tokens;
use super::{DataKeyRow, NewTokens, Store, end_cached, transaction};

/// What is stored of a canary; its sessions and API key are added as anybody's.
#[derive(Clone, Debug)]
pub struct Canary {
    /// The person.
    pub user: UserId,
    /// Their data key.
    pub data_key: DataKeyRow,
    /// The client.
    pub client: ClientId,
    /// What the person gave to the client.
    pub grant: GrantId,
    /// Of the access token.
    pub access: TokenHash,
    /// Of the refresh token.
    pub refresh: TokenHash,
    /// Now.
    pub now: Timestamp,
    /// When all of it dies by itself.
    pub expires_at: Timestamp,
}

/// Removes canaries in the running transaction. Whoever has a linked account is none.
macro_rules! remove_canaries {
    ($tx:ident, $canaries:expr) => {
        for (user, client) in $canaries {
            let person = "DELETE FROM users WHERE id = $1
                AND NOT EXISTS (SELECT 1 FROM linked_accounts WHERE user_id = $1)";
            sqlx::query(person).bind(user.as_str()).execute(&mut *$tx).await?;
            sqlx::query("DELETE FROM clients WHERE id = $1").bind(client.as_str()).execute(&mut *$tx).await?;
        }
    };
}
pub(super) use remove_canaries;

impl Store {
    /// Stores a canary.
    pub async fn plant(&self, canary: &Canary) -> Result<(), Failure> {
        let (now, end) = (canary.now.secs(), canary.expires_at.secs());
        let person = "INSERT INTO users (id, display_name, created_at, last_seen_at) VALUES ($1, '', $2, $2)";
        let key = "INSERT INTO data_keys (id, user_id, master_key_id, wrapped, state, created_at, seal_count)
            VALUES ($1, $2, $3, $4, 'active', $5, 0)";
        let client = "INSERT INTO clients
            (id, kind, name, redirect_uris, auth_method, grant_types, scope, created_at, registered_at, last_used_at,
                expires_at)
            VALUES ($1, 'dynamic', 'canary', '[\"http://127.0.0.1/canary\"]', 'none',
                '[\"authorization_code\",\"refresh_token\"]', 'read', $2, $2, $2, $3)";
        let grant = "INSERT INTO grants
            (id, user_id, client_id, scope, resource, redirect_uri, created_at, last_used_at, expires_at)
            VALUES ($1, $2, $3, 'read', $4, 'http://127.0.0.1/canary', $5, $5, $6)";
        let tokens = NewTokens {
            access: canary.access,
            access_expires_at: canary.expires_at,
            refresh: Some(canary.refresh),
            refresh_expires_at: canary.expires_at,
            scopes: None,
            now: canary.now,
        };
        transaction!(self, tx => {
            sqlx::query(person).bind(canary.user.as_str()).bind(now).execute(&mut *tx).await?;
            sqlx::query(key)
                .bind(canary.data_key.id.as_str()).bind(canary.user.as_str())
                .bind(&canary.data_key.master_key_id).bind(&canary.data_key.wrapped[..]).bind(now)
                .execute(&mut *tx).await?;
            sqlx::query(client).bind(canary.client.as_str()).bind(now).bind(end).execute(&mut *tx).await?;
            sqlx::query(grant)
                .bind(canary.grant.as_str()).bind(canary.user.as_str()).bind(canary.client.as_str())
                .bind(Resource::Mcp.path()).bind(now).bind(end)
                .execute(&mut *tx).await?;
            insert_tokens!(tx, &canary.grant, &tokens);
        });
        Ok(())
    }

    /// Removes canaries, with all that they held.
    pub async fn remove_canaries(&self, canaries: &[(UserId, ClientId)]) -> Result<(), Failure> {
        transaction!(self, tx => {
            remove_canaries!(tx, canaries);
            end_cached!(tx);
        });
        Ok(())
    }
}
