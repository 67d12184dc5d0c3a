//! What of ours stands before a call of the Web API: the app's pace, its rest, the shares of a day's quota. A call is
//! refused by them or waits; one that goes on with what has begun only waits.

use std::time::Duration;

use tokio::time::Instant;

use super::api::SHORT_WAIT;
use super::quota::{Bucket, Held};
use super::token::Pressing;
use super::{AccessToken, Api, ApiError};
use crate::egress::Limits;

impl Api {
    /// Nobody is sent to Spotify with an app that it told to wait.
    pub(super) fn keep_rest(&self, token: &AccessToken) -> Result<(), ApiError> {
        let left = token.holder().and_then(|holder| self.quotas.rest().left(&holder.app, self.clock.now()));
        left.map_or(Ok(()), |wait| Err(ApiError::RateLimited { retry_after: Some(wait) }))
    }

    /// Waits a short while until the app may send one more request for this person.
    pub(super) async fn await_turn(&self, token: &AccessToken, limits: Limits) -> Result<(), ApiError> {
        let Some((pace, holder)) = self.pace.as_ref().zip(token.holder()) else { return Ok(()) };
        while let Err(wait) = pace.admit(&holder.app, &holder.person, self.clock.now()) {
            if wait > SHORT_WAIT || Instant::now() + wait >= limits.deadline {
                return Err(ApiError::Paced { retry_after: wait });
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// What Spotify would refuse for hours is not asked, and nobody takes what others have not had.
    pub(super) fn admit(&self, token: &AccessToken, bucket: Bucket) -> Result<(), ApiError> {
        let Some(charge) = token.charge() else { return Ok(()) };
        let now = self.clock.now();
        let admitted = match token.presses() {
            Pressing::Not => self.quotas.admit(charge, bucket, now),
            Pressing::Mends => self.quotas.admit_pressing((charge, bucket), false, now),
            Pressing::GoesOn(_) => self.quotas.admit_pressing((charge, bucket), true, now),
        };
        admitted.map_err(why_held)
    }

    /// Waits until the app may send one more request for this person, and while Spotify told the app to wait where that
    /// is over in time.
    pub(super) async fn wait_at_most(&self, token: &AccessToken, until: Instant) {
        let Some(holder) = token.holder() else { return };
        while let Some(wait) = self.quotas.rest().left(&holder.app, self.clock.now())
            && Instant::now() + wait < until
        {
            tokio::time::sleep(wait).await;
        }
        let Some(pace) = &self.pace else { return };
        while let Err(wait) = pace.admit(&holder.app, &holder.person, self.clock.now()) {
            if Instant::now() + wait >= until {
                return pace.count(&holder.app, &holder.person, self.clock.now());
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether so many requests that count together fit into what this token's calls may have now, and about how long
    /// the first `writes` of them have to wait for their turns.
    ///
    /// # Errors
    /// What the first one that is not sent would be told.
    pub fn room_for(
        &self,
        token: &AccessToken,
        bucket: Bucket,
        (requests, writes): (u64, u64),
    ) -> Result<Duration, ApiError> {
        self.keep_rest(token)?;
        let now = self.clock.now();
        if let Some(charge) = token.charge() {
            match token.presses() {
                Pressing::Not => self.quotas.has_room((charge, bucket), requests, now).map_err(why_held)?,
                Pressing::Mends | Pressing::GoesOn(_) => {
                    let closed = self.quotas.closed(&charge.pool, now);
                    if let Some((_, wait)) = closed.into_iter().find(|(closed, _)| *closed == bucket) {
                        return Err(why_held(Held::UsedUp(wait)));
                    }
                }
            }
        }
        let pace = self.pace.as_ref().zip(token.holder());
        Ok(pace
            .map_or(Duration::ZERO, |(pace, holder)| pace.time_for(writes, &holder.app, &holder.person, now)))
    }
}

const fn why_held(held: Held) -> ApiError {
    match held {
        Held::UsedUp(wait) => ApiError::QuotaExceeded { retry_after: Some(wait) },
        Held::Share(wait) => ApiError::ShareUsed { retry_after: wait },
    }
}
