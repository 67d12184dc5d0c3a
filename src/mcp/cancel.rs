//! Calls of 2025-era clients under way, so that `notifications/cancelled` ends the one that is meant.
//!
//! A notification reaches only calls of the same person, client and session: ids of different people may be alike.
//! In this process only: on another node the call runs on, as the protocol allows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::domain::{ClientId, SessionId, UserId};

/// Which request, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) user: UserId,
    pub(super) client: ClientId,
    /// `None` where the client sends no session id.
    pub(super) session: Option<SessionId>,
    /// The request's id as JSON: 1 and "1" differ.
    id: String,
}

impl Key {
    pub(super) fn new(user: UserId, client: ClientId, session: Option<SessionId>, id: &Value) -> Self {
        Self { user, client, session, id: id.to_string() }
    }
}

/// What runs.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<HashMap<Key, Vec<CancellationToken>>>);

/// One call that can be cancelled until the value goes.
#[derive(Debug)]
pub(super) struct Cancellable {
    running: Arc<Running>,
    key: Key,
    token: CancellationToken,
}

impl Running {
    /// From now on the call can be cancelled.
    pub(super) fn enter(self: &Arc<Self>, key: Key) -> Cancellable {
        let token = CancellationToken::new();
        self.lock().entry(key.clone()).or_default().push(token.clone());
        Cancellable { running: self.clone(), key, token }
    }

    /// Cancels the call that is meant. Without a session a client that runs twice may use an id twice: then it is
    /// not known which is meant, and nothing ends.
    pub(super) fn cancel(&self, key: &Key) {
        if let Some(tokens) = self.lock().get(key)
            && (key.session.is_some() || tokens.len() == 1)
        {
            tokens.iter().for_each(CancellationToken::cancel);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<CancellationToken>>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancellable {
    /// Waits until it is cancelled.
    pub(super) async fn cancelled(&self) {
        self.token.cancelled().await;
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        // No longer to be told from others of the same key: marked, and the marked ones go.
        self.token.cancel();
        let mut running = self.running.lock();
        if let Some(tokens) = running.get_mut(&self.key) {
            tokens.retain(|token| !token.is_cancelled());
            if tokens.is_empty() {
                running.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(person: u8, session: Option<u8>, id: &Value) -> Key {
        let session = session.map(|session| SessionId::mint([session; 16]));
        Key::new(UserId::mint([person; 16]), ClientId::parse("c").unwrap(), session, id)
    }

    #[test]
    fn only_the_same_persons_call_in_the_same_session_is_cancelled() {
        let running = Arc::new(Running::default());
        let mine = running.enter(key(1, Some(1), &json!(1)));
        for other in [
            key(2, Some(1), &json!(1)),
            key(1, Some(2), &json!(1)),
            key(1, None, &json!(1)),
            key(1, Some(1), &json!("1")),
        ] {
            running.cancel(&other);
            assert!(!mine.token.is_cancelled(), "{other:?}");
        }
        running.cancel(&key(1, Some(1), &json!(1)));
        assert!(mine.token.is_cancelled());
        drop(mine);
        assert!(running.lock().is_empty());
    }

    #[test]
    fn where_it_is_not_known_which_is_meant_nothing_ends() {
        let running = Arc::new(Running::default());
        let (one, other) = (running.enter(key(1, None, &json!(1))), running.enter(key(1, None, &json!(1))));
        running.cancel(&key(1, None, &json!(1)));
        assert!(!one.token.is_cancelled() && !other.token.is_cancelled());
        drop(one);
        running.cancel(&key(1, None, &json!(1)));
        assert!(other.token.is_cancelled());
    }
}
