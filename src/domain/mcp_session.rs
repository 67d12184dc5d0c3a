//! When a session of a 2025-era client lives, whose it is, and which goes when there are too many. Pure.
//!
//! A session is a record, never a credential: who calls is known before (mcp.md R7, R16).

use std::time::Duration;

use crate::ambient::Timestamp;

use super::{ClientId, GrantId, SessionId, UserId};

/// How long a session lives that is never used after `initialize`: clients that do not send the id back leave one
/// for each connection.
pub const UNUSED: Duration = Duration::from_secs(10 * 60);

/// To whom a session belongs, and through what it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The person.
    pub user: UserId,
    /// The OAuth client.
    pub client: ClientId,
    /// The grant; `None` for other credentials.
    pub grant: Option<GrantId>,
}

impl Owner {
    /// Whether a caller may use what this owner opened: the same person through the same client. Not the same grant: a
    /// client that is asked for more scope comes back with another in the middle of its session, and the SDKs of 2025
    /// do not begin a new one. What was opened through a grant still ends with it.
    pub fn admits(&self, caller: &Self) -> bool {
        self.user == caller.user && self.client == caller.client
    }
}

/// How long sessions live.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Without use; zero: for as long as they may at all.
    pub idle: Duration,
    /// At all.
    pub absolute: Duration,
}

impl Lifetimes {
    /// When a session ends that was opened and now used, unless it is used again.
    pub fn end(self, created_at: Timestamp, used_at: Timestamp) -> Timestamp {
        let last = created_at.plus(self.absolute);
        if self.idle.is_zero() { last } else { last.min(used_at.plus(self.idle)) }
    }
}

/// The last use of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use<K> {
    /// Its public id.
    pub id: SessionId,
    /// By what it is remembered.
    pub key: K,
    /// When.
    pub used_at: Timestamp,
}

/// Which of a person's sessions go so that no more than `most` stay: the least recently used, never `newest`.
pub fn beyond<K>(mut uses: Vec<Use<K>>, most: usize, newest: &SessionId) -> Vec<Use<K>> {
    let excess = uses.len().saturating_sub(most.max(1));
    uses.retain(|session| session.id != *newest);
    uses.sort_by(|one, other| (one.used_at, &one.id).cmp(&(other.used_at, &other.id)));
    uses.truncate(excess);
    uses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> SessionId {
        SessionId::mint([n; 16])
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn the_least_recently_used_go_and_the_newest_stays() {
        let uses = || {
            [(1, 50), (2, 10), (3, 30), (4, 5)].map(|(n, used)| Use { id: id(n), key: n, used_at: at(used) })
        };
        let gone = |most, newest| {
            beyond(uses().into(), most, &id(newest))
                .into_iter()
                .map(|session| session.key)
                .collect::<Vec<_>>()
        };
        assert!(gone(4, 4).is_empty());
        assert_eq!(gone(3, 1), [4]);
        assert_eq!(gone(3, 4), [2]);
        assert_eq!(gone(1, 4), [2, 3, 1]);
        assert_eq!(gone(0, 4), [2, 3, 1]);
    }

    #[test]
    fn a_session_ends_idle_or_old() {
        let lifetimes = Lifetimes { idle: Duration::from_secs(60), absolute: Duration::from_secs(100) };
        assert_eq!(lifetimes.end(at(0), at(0)), at(60));
        assert_eq!(lifetimes.end(at(0), at(30)), at(90));
        assert_eq!(lifetimes.end(at(0), at(90)), at(100));
        let never_idle = Lifetimes { idle: Duration::ZERO, ..lifetimes };
        assert_eq!(never_idle.end(at(0), at(1)), at(100));
    }
}
