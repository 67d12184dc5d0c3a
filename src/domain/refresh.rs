//! What becomes of a refresh token that a client presents: rotation with a bounded grace (OAuth 2.1 section 4.3.1).
//!
//! Shipped clients send the same refresh token several times in parallel. So the successor pair is answered again
//! for a short while; a rotated token that comes back after that is theft, and its whole family ends.

use std::time::Duration;

use crate::ambient::Timestamp;

use super::ClientId;

/// How long a rotated token still answers with its successor.
pub const GRACE: Duration = Duration::from_secs(60);

/// How often it does.
pub const GRACE_USES: i64 = 10;

/// A refresh token as stored, without what the decision does not need.
#[derive(Clone, Debug)]
pub struct StoredRefresh {
    /// The client that it was issued to.
    pub client: ClientId,
    /// When it dies unused.
    pub expires_at: Timestamp,
    /// When it was exchanged.
    pub rotated_at: Option<Timestamp>,
    /// How often its successor was answered again.
    pub grace_uses: i64,
    /// Whether the grant behind it has ended.
    pub grant_revoked: bool,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// Exchange it, if it can be marked as rotated in the same statement.
    Rotate,
    /// Answer the successor pair again, if the use can be counted in the same statement.
    AnswerAgain,
    /// Presented too often within the grace: refuse, and nothing more.
    Exhausted,
    /// Rotated before and back after the grace: refuse and end the family.
    Reused,
    /// Expired, revoked or another client's: refuse.
    Refuse,
}

/// Decides.
pub fn present(token: &StoredRefresh, client: &ClientId, now: Timestamp) -> RefreshOutcome {
    if token.client != *client || token.grant_revoked {
        return RefreshOutcome::Refuse;
    }
    match token.rotated_at {
        Some(at) if now >= at.plus(GRACE) => RefreshOutcome::Reused,
        Some(_) if token.grace_uses >= GRACE_USES => RefreshOutcome::Exhausted,
        Some(_) => RefreshOutcome::AnswerAgain,
        None if now >= token.expires_at => RefreshOutcome::Refuse,
        None => RefreshOutcome::Rotate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> StoredRefresh {
        StoredRefresh {
            client: client("c_1"),
            expires_at: Timestamp::from_secs(1000),
            rotated_at: None,
            grace_uses: 0,
            grant_revoked: false,
        }
    }

    fn client(id: &str) -> ClientId {
        ClientId::parse(id).unwrap()
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn a_fresh_token_rotates_until_it_expires() {
        assert_eq!(present(&token(), &client("c_1"), at(999)), RefreshOutcome::Rotate);
        assert_eq!(present(&token(), &client("c_1"), at(1000)), RefreshOutcome::Refuse);
        assert_eq!(present(&token(), &client("c_2"), at(1)), RefreshOutcome::Refuse);
    }

    #[test]
    fn a_rotated_token_answers_again_for_a_while_and_then_is_theft() {
        let rotated = StoredRefresh { rotated_at: Some(at(100)), ..token() };
        assert_eq!(present(&rotated, &client("c_1"), at(159)), RefreshOutcome::AnswerAgain);
        assert_eq!(present(&rotated, &client("c_1"), at(160)), RefreshOutcome::Reused);
        let often = StoredRefresh { grace_uses: GRACE_USES, ..rotated.clone() };
        assert_eq!(present(&often, &client("c_1"), at(101)), RefreshOutcome::Exhausted);
        assert_eq!(present(&rotated, &client("c_2"), at(160)), RefreshOutcome::Refuse);
        let ended = StoredRefresh { grant_revoked: true, ..rotated };
        assert_eq!(present(&ended, &client("c_1"), at(160)), RefreshOutcome::Refuse);
    }
}
