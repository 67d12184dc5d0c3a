//! What a request stands on while it runs: its credential, and the session of its era. Both are asked again whenever
//! something has ended anywhere, so that a call, or a stream, ends with what opened it. Where they cannot be asked, it
//! does not go on either.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::sleep;

use super::service::NotServed;
use super::session;
use crate::app::{McpSessions, NoSession};
use crate::domain::mcp_session::Owner;

/// After how long a credential is asked again that could not be.
const AGAIN: Duration = Duration::from_secs(1);

/// What showed who calls.
pub trait Credential: Send + Sync + 'static {
    /// Whether it is still good.
    fn still_good(&self) -> BoxFuture<'_, Result<(), NotServed>>;

    /// Changes whenever something has ended anywhere, or may have.
    fn news(&self) -> watch::Receiver<u64>;
}

/// The credential of a request, for what goes on after it: put into its extensions.
#[derive(Clone)]
pub(super) struct StandsOn(pub(super) Arc<dyn Credential>);

impl StandsOn {
    /// Waits until somebody has ended it. One whose time is over meanwhile, or that cannot be asked for the moment, ends
    /// nothing that has begun.
    pub(super) async fn ended(self) {
        let mut news = self.0.news();
        loop {
            if news.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            loop {
                match self.0.still_good().await {
                    Ok(()) | Err(NotServed::Expired) => break,
                    Err(NotServed::Undecided) => sleep(AGAIN).await,
                    Err(_) => return,
                }
            }
        }
    }
}

/// The credential and the session of one request.
pub(super) struct Basis {
    credential: Arc<dyn Credential>,
    news: watch::Receiver<u64>,
    session: Option<Presented>,
}

/// A session as its client presents it.
struct Presented {
    sessions: Arc<McpSessions>,
    token: String,
    owner: Owner,
}

/// What is gone.
pub(super) enum Gone {
    Credential(NotServed),
    Session(NoSession),
}

impl Basis {
    /// From now on nothing that ends is overlooked: made before the credential is looked at for the last time.
    pub(super) fn of(credential: Arc<dyn Credential>) -> Self {
        let news = credential.news();
        Self { credential, news, session: None }
    }

    /// The last look before the request is dealt with.
    pub(super) async fn still_good(&self) -> Result<(), NotServed> {
        self.credential.still_good().await
    }

    /// It stands on this session too, which has just been checked.
    pub(super) fn on_session(&mut self, sessions: &Arc<McpSessions>, token: &str, owner: Owner) {
        self.session = Some(Presented { sessions: sessions.clone(), token: token.to_owned(), owner });
    }

    /// Waits until one of the two is gone; for ever where neither goes.
    pub(super) async fn gone(&mut self) -> Gone {
        loop {
            if self.news.changed().await.is_err() {
                // Nobody is left who could tell: the server is going away, and its requests with it.
                std::future::pending::<()>().await;
            }
            if let Err(why) = self.credential.still_good().await {
                return Gone::Credential(why);
            }
            if let Some(Presented { sessions, token, owner }) = &self.session
                && let Err(why) = sessions.still(token, owner).await
            {
                return Gone::Session(why);
            }
        }
    }
}

impl Gone {
    /// What its request is answered with.
    pub(super) fn answer(self, id: Option<&Value>) -> Result<Response, NotServed> {
        match self {
            Self::Credential(why) => Err(why),
            Self::Session(why) => Ok(session::no_session(why, id)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A credential that a test ends.
    pub(in crate::mcp) struct Hand {
        good: AtomicBool,
        news: watch::Sender<u64>,
    }

    impl Hand {
        pub(in crate::mcp) fn new() -> Arc<Self> {
            Arc::new(Self { good: AtomicBool::new(true), news: watch::channel(0).0 })
        }

        pub(in crate::mcp) fn end(&self) {
            self.good.store(false, Ordering::SeqCst);
        }

        pub(in crate::mcp) fn tell(&self) {
            self.news.send_modify(|count| *count += 1);
        }
    }

    impl Credential for Hand {
        fn still_good(&self) -> BoxFuture<'_, Result<(), NotServed>> {
            let good = self.good.load(Ordering::SeqCst);
            Box::pin(std::future::ready(if good { Ok(()) } else { Err(NotServed::Ended) }))
        }

        fn news(&self) -> watch::Receiver<u64> {
            self.news.subscribe()
        }
    }

    #[tokio::test]
    async fn only_what_has_ended_goes_and_nothing_told_since_the_beginning_is_missed() {
        let hand = Hand::new();
        let mut basis = Basis::of(hand.clone());
        hand.tell();
        let waited = tokio::time::timeout(Duration::from_millis(30), basis.gone()).await;
        assert!(waited.is_err(), "somebody else's end");
        hand.end();
        hand.tell();
        assert!(matches!(basis.gone().await, Gone::Credential(NotServed::Ended)));
    }
}
