//! Questions to people through clients of 2025, whose reply comes as a message of its own, to whichever server: asked,
//! replied to and waited for through the store.
//!
//! A reply counts only from the session that was asked.

use std::time::Duration;

use crate::ambient::{Clock, Dice};
use crate::domain::asking::Reply;
use crate::domain::{QuestionId, SessionId, UserId};
use crate::failure::Failure;
use crate::store::{Asked, Store};

/// How long a person has.
pub(crate) const WAIT: Duration = Duration::from_secs(180);
/// How often it is looked whether they have replied.
const LOOK: Duration = Duration::from_millis(250);

/// Asks, takes replies, waits. Cheap to clone.
#[derive(Clone)]
pub struct Questions {
    store: Store,
    clock: Clock,
    dice: Dice,
}

impl Questions {
    pub(super) const fn new(store: Store, clock: Clock, dice: Dice) -> Self {
        Self { store, clock, dice }
    }

    /// A question to the person behind a session; `None` where that has ended.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ask(&self, user: &UserId, session: &SessionId) -> Result<Option<QuestionId>, Failure> {
        let (id, now) = (QuestionId::mint(self.dice.bytes()), self.clock.now());
        let asked = self.store.ask(&id, (user, session), (now, now.plus(WAIT))).await?;
        Ok(asked.then_some(id))
    }

    /// Takes a reply; `false` where this session was asked no such thing, or has replied.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn reply(&self, id: &QuestionId, session: &SessionId, reply: Reply) -> Result<bool, Failure> {
        self.store.reply(id, session, (reply, self.clock.now())).await
    }

    /// Waits for the reply; a person who says nothing in time has closed the question.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn wait(&self, id: &QuestionId) -> Result<Reply, Failure> {
        let end = tokio::time::Instant::now() + WAIT;
        let reply = loop {
            match self.store.asked(id).await? {
                Asked::Replied(reply) => break reply,
                Asked::Gone => return Ok(Reply::Closed),
                Asked::Waiting if tokio::time::Instant::now() >= end => break Reply::Closed,
                Asked::Waiting => tokio::time::sleep(LOOK).await,
            }
        };
        self.store.forget_question(id).await?;
        Ok(reply)
    }
}
