//! Everything sealed that a database holds, a batch at a time and with the key that it names, so that a copy can be
//! proven to open. Never: opening anything, changing anything.

use crate::failure::Failure;

use super::{SealedApiKey, SealedChange, SealedLink, Store, reading};

/// A data key as sealed rows beside it need it; `None` where there is no such key.
pub type Beside = Option<Vec<u8>>;

/// A login in progress: the hash of its state, and its sealed verifier.
pub type SealedLogin = (Vec<u8>, Vec<u8>);

#[derive(sqlx::FromRow)]
struct LinkRow {
    #[sqlx(flatten)]
    link: SealedLink,
    wrapped: Option<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
struct ApiKeyRow {
    #[sqlx(flatten)]
    api_key: SealedApiKey,
    wrapped: Option<Vec<u8>>,
}

/// A change with everything of it that is sealed.
#[derive(sqlx::FromRow)]
pub struct WholeChange {
    /// Its key.
    #[sqlx(flatten)]
    pub change: SealedChange,
    /// For which version the summary is sealed.
    pub version: i64,
    /// The summary's envelope.
    pub summary: Vec<u8>,
    /// The pre-image's envelope.
    pub pre_image: Vec<u8>,
    /// The data key beside it.
    pub wrapped: Beside,
}

const LINKS: &str = "SELECT l.id, l.user_id, COALESCE(l.data_key_id, '') AS data_key_id, l.token_version,
        l.access_token, l.refresh_token, l.own_client_secret, l.sealed_client_id, l.own_app_since, k.wrapped
    FROM linked_accounts l LEFT JOIN data_keys k ON k.id = l.data_key_id
    WHERE l.id > $1 AND (l.access_token IS NOT NULL OR l.refresh_token IS NOT NULL OR l.own_client_secret IS NOT NULL
        OR l.sealed_client_id IS NOT NULL)
    ORDER BY l.id LIMIT $2";
const API_KEYS: &str =
    "SELECT a.id, a.user_id, COALESCE(a.data_key_id, '') AS data_key_id, a.signing_key, k.wrapped
    FROM api_keys a LEFT JOIN data_keys k ON k.id = a.data_key_id
    WHERE a.id > $1 AND a.signing_key IS NOT NULL ORDER BY a.id LIMIT $2";
const CHANGES: &str =
    "SELECT c.id, c.user_id, c.link_id, c.data_key_id, c.content_key, c.version, c.summary, c.pre_image,
        k.wrapped
    FROM changes c LEFT JOIN data_keys k ON k.id = c.data_key_id
    WHERE c.id > $1 ORDER BY c.id LIMIT $2";
const LOGINS: &str =
    "SELECT state_hash, verifier FROM logins WHERE state_hash > $1 ORDER BY state_hash LIMIT $2";

impl Store {
    /// At most `most` links with sealed tokens, with ids behind `after`; begin with an empty text.
    pub async fn sealed_links_after(
        &self,
        after: &str,
        most: i64,
    ) -> Result<Vec<(SealedLink, Beside)>, Failure> {
        let rows: Vec<LinkRow> =
            reading!(self, pool => sqlx::query_as(LINKS).bind(after).bind(most).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|row| (row.link, row.wrapped)).collect())
    }

    /// At most `most` API keys with sealed signing keys, with ids behind `after`; begin with an empty text.
    pub async fn sealed_api_keys_after(
        &self,
        after: &str,
        most: i64,
    ) -> Result<Vec<(SealedApiKey, Beside)>, Failure> {
        let rows: Vec<ApiKeyRow> =
            reading!(self, pool => sqlx::query_as(API_KEYS).bind(after).bind(most).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|row| (row.api_key, row.wrapped)).collect())
    }

    /// At most `most` changes, with ids behind `after`; begin with an empty text.
    pub async fn sealed_changes_after(&self, after: &str, most: i64) -> Result<Vec<WholeChange>, Failure> {
        Ok(reading!(self, pool => sqlx::query_as(CHANGES).bind(after).bind(most).fetch_all(pool).await)?)
    }

    /// At most `most` logins in progress with hashes behind `after`; begin with nothing.
    pub async fn sealed_logins_after(&self, after: &[u8], most: i64) -> Result<Vec<SealedLogin>, Failure> {
        Ok(reading!(self, pool => sqlx::query_as(LOGINS).bind(after).bind(most).fetch_all(pool).await)?)
    }

    /// What only a key outside the database opens: successors of refresh tokens, sealed under the token that its holder
    /// has.
    pub async fn count_sealed_successors(&self) -> Result<i64, Failure> {
        let sql = "SELECT COUNT(*) FROM refresh_tokens WHERE successor IS NOT NULL";
        Ok(reading!(self, pool => sqlx::query_scalar(sql).fetch_one(pool).await)?)
    }
}
