//! What servers that share a database have counted together: each reserves small shares of a limit's window.

use crate::domain::limit::{Quota, Reservation, Reserved};
use crate::failure::Failure;

use super::{Store, corrupt, writing};

/// Which of all counters; a keyed hash, so that the database does not say who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bucket(pub [u8; 16]);

impl Store {
    /// Reserves what is asked for, or as much of it as is left, in one statement: servers that ask at once are served
    /// one after the other, and their sum never exceeds the limit.
    pub async fn reserve(
        &self,
        bucket: Bucket,
        quota: Quota,
        asked: Reservation,
    ) -> Result<Reserved, Failure> {
        let sql = "INSERT INTO limit_windows (bucket, began_at, used, granted, expires_at)
            VALUES ($1, $2, $3, $3, $4)
            ON CONFLICT (bucket, began_at) DO UPDATE SET
                granted = CASE WHEN $5 - limit_windows.used < excluded.used
                    THEN $5 - limit_windows.used ELSE excluded.used END,
                used = CASE WHEN $5 - limit_windows.used < excluded.used
                    THEN $5 ELSE limit_windows.used + excluded.used END
            WHERE limit_windows.used < $5
            RETURNING granted, used";
        let most = i64::from(quota.most);
        // A window longer than its own, for servers whose clocks are late.
        let expires_at = asked.window + 2 * i64::from(quota.window);
        let row: Option<(i64, i64)> = writing!(self, pool => sqlx::query_as(sql)
            .bind(&bucket.0[..])
            .bind(asked.window)
            .bind(i64::from(asked.want).min(most))
            .bind(expires_at)
            .bind(most)
            .fetch_optional(pool).await)?;
        let count = |count| u32::try_from(count).map_err(corrupt);
        match row {
            Some((granted, used)) => Ok(Reserved { granted: count(granted)?, used: count(used)? }),
            None => Ok(Reserved { granted: 0, used: quota.most }),
        }
    }
}
