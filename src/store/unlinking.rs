//! Disconnecting a Spotify account: with all that was kept of it, at once.

use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::domain::{LinkId, UserId};
use crate::failure::Failure;

use super::naming::NAMED_AS_PRIMARY;
use super::tombstones::bury;
use super::{Recorded, Store, end_cached, lock_person, record, transaction};

/// What becomes of the person where the account that goes is the one that they log in with.
#[derive(Clone, Copy, Debug)]
pub struct Leaving<'a> {
    /// Tells the account again, so that it alone comes back to them.
    pub former: Option<TokenHash>,
    /// The account that they log in with from then on, where they have chosen one: then the other comes back no more.
    pub heir: Option<&'a LinkId>,
    /// Now.
    pub now: Timestamp,
}

impl Store {
    /// Removes a linked account with its tokens at once, from the files too. Where it was the primary one, the one linked
    /// first becomes it, and the person is called as that one is. Where it was the last, the name from Spotify goes too.
    /// No account that stays opens the person unless they have chosen it. `false` where there is none such.
    pub async fn unlink(
        &self,
        user: &UserId,
        id: &LinkId,
        leaving: Leaving<'_>,
        events: &[Recorded],
    ) -> Result<bool, Failure> {
        let now = leaving.now;
        let former = leaving.former.filter(|_| leaving.heir.is_none());
        let former = former.as_ref().map(|hash| &hash.as_bytes()[..]);
        let gone = transaction!(self, tx => {
            if !lock_person!(tx, user) {
                return Ok(false);
            }
            for sql in [ITS_LOGINS, ITS_PAGES] {
                sqlx::query(sql).bind(id.as_str()).bind(user.as_str()).execute(&mut *tx).await?;
            }
            let opened: Option<i64> = sqlx::query_scalar(OPENED)
                .bind(id.as_str()).bind(user.as_str()).fetch_optional(&mut *tx).await?;
            let gone = sqlx::query("DELETE FROM linked_accounts WHERE id = $1 AND user_id = $2")
                .bind(id.as_str()).bind(user.as_str())
                .execute(&mut *tx).await?.rows_affected() == 1;
            if gone {
                if opened == Some(1) {
                    sqlx::query("UPDATE users SET former_identity = $2 WHERE id = $1")
                        .bind(user.as_str()).bind(former).execute(&mut *tx).await?;
                }
                if let (Some(1), Some(heir)) = (opened, leaving.heir) {
                    let opens = "UPDATE linked_accounts SET opens_since = $3 WHERE id = $1 AND user_id = $2";
                    let found = sqlx::query(opens)
                        .bind(heir.as_str()).bind(user.as_str()).bind(now.secs())
                        .execute(&mut *tx).await?.rows_affected();
                    if found == 0 {
                        return Ok(false);
                    }
                }
                sqlx::query(PROMOTE).bind(user.as_str()).bind(now.secs()).execute(&mut *tx).await?;
                sqlx::query(NAMED_AS_PRIMARY).bind(user.as_str()).execute(&mut *tx).await?;
                sqlx::query(AFTER_THE_LAST).bind(user.as_str()).execute(&mut *tx).await?;
                bury!(tx, id.as_str(), now);
                end_cached!(tx);
                record!(tx, events);
            }
            gone
        });
        if gone {
            self.drop_unused_apps().await;
            self.empty_log().await;
        }
        Ok(gone)
    }
}

const OPENED: &str = "SELECT CASE WHEN opens_since IS NULL THEN CAST(0 AS BIGINT) ELSE CAST(1 AS BIGINT) END
    FROM linked_accounts WHERE id = $1 AND user_id = $2";

const PROMOTE: &str = "UPDATE linked_accounts SET primary_since = $2
    WHERE id = (SELECT id FROM linked_accounts WHERE user_id = $1 ORDER BY created_at, alias, id LIMIT 1)
    AND NOT EXISTS (SELECT 1 FROM linked_accounts WHERE user_id = $1 AND primary_since IS NOT NULL)";

/// Of a person without any linked account no name from Spotify stays.
const AFTER_THE_LAST: &str = "UPDATE users SET display_name = '' WHERE id = $1
    AND NOT EXISTS (SELECT 1 FROM linked_accounts WHERE user_id = $1)";

/// What an account was to be called stands where it was linked, too.
const ITS_LOGINS: &str = "DELETE FROM logins WHERE user_id = $2 AND purpose = 'link'
    AND alias = (SELECT alias FROM linked_accounts WHERE id = $1 AND user_id = $2)";
const ITS_PAGES: &str = "DELETE FROM link_pages WHERE user_id = $2
    AND (used_at IS NOT NULL OR alias = (SELECT alias FROM linked_accounts WHERE id = $1 AND user_id = $2))";
