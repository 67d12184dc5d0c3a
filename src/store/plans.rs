//! Plans of destructive changes: made for one person, account, playlist, state and arguments, used up by one
//! compare-and-set.

use std::time::Duration;

use crate::ambient::Timestamp;
use crate::domain::{LinkId, PlanId, UserId};
use crate::failure::Failure;

use super::{Store, lock_person, reading, transaction, writing};

/// Most plans of a person that wait at once; the oldest goes.
const MOST: i64 = 50;
/// How long its person still hears that a plan has expired or was used.
pub(super) const REMEMBERED: Duration = Duration::from_secs(3600);

/// A plan to be kept, or to be used.
#[derive(Clone, Debug)]
pub struct NewPlan {
    /// Its id.
    pub id: PlanId,
    /// Whose.
    pub user: UserId,
    /// For which account.
    pub link: LinkId,
    /// For which tool.
    pub tool: &'static str,
    /// SHA-256 of the playlist and the arguments.
    pub asked: [u8; 32],
    /// SHA-256 of the playlist's snapshot.
    pub state: [u8; 32],
    /// When it can no longer be used.
    pub expires_at: Timestamp,
}

/// What became of using a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanUse {
    /// It was good, and is used up now (or would be).
    Taken,
    /// There is none of this id for this person.
    Unknown,
    /// It was made for another account, tool, playlist or other arguments.
    OtherArguments,
    /// The playlist is not what it was.
    OtherState,
    /// It was used before.
    Used,
    /// Its time is over.
    Expired,
}

#[derive(sqlx::FromRow)]
struct Row {
    link_id: String,
    tool: String,
    asked: Vec<u8>,
    state: Vec<u8>,
    expires_at: i64,
    used_at: Option<i64>,
}

impl Store {
    /// Keeps a plan; `false` where the person or the account is gone.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn keep_plan(&self, plan: &NewPlan, now: Timestamp) -> Result<bool, Failure> {
        let held = "SELECT COUNT(*) FROM linked_accounts WHERE id = $1 AND user_id = $2";
        let add = "INSERT INTO plans (id, user_id, link_id, tool, asked, state, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let oldest = "DELETE FROM plans WHERE user_id = $1 AND id NOT IN
            (SELECT id FROM plans WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2)";
        let kept = transaction!(self, tx => {
            if !lock_person!(tx, plan.user) {
                return Ok(false);
            }
            let held: i64 = sqlx::query_scalar(held)
                .bind(plan.link.as_str()).bind(plan.user.as_str())
                .fetch_one(&mut *tx).await?;
            if held == 0 {
                return Ok(false);
            }
            sqlx::query(oldest).bind(plan.user.as_str()).bind(MOST - 1).execute(&mut *tx).await?;
            sqlx::query(add)
                .bind(plan.id.as_str()).bind(plan.user.as_str()).bind(plan.link.as_str()).bind(plan.tool)
                .bind(&plan.asked[..]).bind(&plan.state[..]).bind(now.secs()).bind(plan.expires_at.secs())
                .execute(&mut *tx).await?;
            true
        });
        Ok(kept)
    }

    /// Uses a plan up where everything fits; `expires_at` of `plan` is not looked at.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn use_plan(&self, plan: &NewPlan, now: Timestamp) -> Result<PlanUse, Failure> {
        let take =
            "UPDATE plans SET used_at = $7 WHERE id = $1 AND user_id = $2 AND link_id = $3 AND tool = $4
            AND asked = $5 AND state = $6 AND used_at IS NULL AND expires_at > $7";
        let taken = writing!(self, pool => sqlx::query(take)
            .bind(plan.id.as_str()).bind(plan.user.as_str()).bind(plan.link.as_str()).bind(plan.tool)
            .bind(&plan.asked[..]).bind(&plan.state[..]).bind(now.secs())
            .execute(pool).await.map(|done| done.rows_affected()))?;
        if taken == 1 {
            return Ok(PlanUse::Taken);
        }
        match self.look_at_plan(plan, now).await? {
            // It came while this was looked at.
            PlanUse::Taken => Ok(PlanUse::Unknown),
            why_not => Ok(why_not),
        }
    }

    /// What would become of using a plan up; it stays as it is.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn look_at_plan(&self, plan: &NewPlan, now: Timestamp) -> Result<PlanUse, Failure> {
        let sql = "SELECT link_id, tool, asked, state, expires_at, used_at FROM plans
            WHERE id = $1 AND user_id = $2";
        let row: Option<Row> = reading!(self, pool => sqlx::query_as(sql)
            .bind(plan.id.as_str()).bind(plan.user.as_str())
            .fetch_optional(pool).await)?;
        Ok(row.map_or(PlanUse::Unknown, |row| row.would_be(plan, now)))
    }
}

impl Row {
    fn would_be(&self, plan: &NewPlan, now: Timestamp) -> PlanUse {
        if self.link_id != plan.link.as_str() || self.tool != plan.tool || self.asked != plan.asked {
            PlanUse::OtherArguments
        } else if self.used_at.is_some() {
            PlanUse::Used
        } else if self.expires_at <= now.secs() {
            PlanUse::Expired
        } else if self.state != plan.state {
            PlanUse::OtherState
        } else {
            PlanUse::Taken
        }
    }
}
