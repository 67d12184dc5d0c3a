//! The turn of a person's change, on all servers: one at a time. It is kept as long as its holder lives, and a server that
//! dies in it is not waited for longer than [`LIVES`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::Vault;
use crate::domain::UserId;
use crate::failure::Failure;

/// How long a turn is believed without hearing of it.
pub const LIVES: Duration = Duration::from_secs(20);
/// How often its holder is heard of.
const EVERY: Duration = Duration::from_secs(4);
/// So long before that its holder begins nothing more: what it has sent by then takes some time.
const SENDING: Duration = Duration::from_secs(12);
/// How often it is looked whether it is over.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The right to change what is a person's; ends with the value.
pub struct Turn {
    vault: Vault,
    user: UserId,
    holder: String,
    held: Arc<Held>,
    ended: bool,
    _kept: AbortOnDropHandle<()>,
}

/// Whether a turn is still its holder's.
#[derive(Debug)]
pub struct Held(Mutex<Holding>);

/// The same, as its holder has to go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// It is, and was so lately.
    Since(Instant),
    /// It is another's now, or the person is gone.
    Lost,
}

/// What a holder may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// Begin something.
    Begin,
    /// Nothing until the turn is kept again: it is not known whose it is by now.
    Wait,
    /// Nothing any more.
    Stop,
}

impl Held {
    fn now() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Holding::Since(Instant::now()))))
    }

    fn set(&self, holding: Holding) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = holding;
    }

    /// What its holder may do now.
    pub fn may(&self) -> May {
        let holding = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        may(holding, Instant::now())
    }
}

fn may(holding: Holding, now: Instant) -> May {
    match holding {
        Holding::Lost => May::Stop,
        Holding::Since(kept) if now.duration_since(kept) < LIVES.saturating_sub(SENDING) => May::Begin,
        Holding::Since(_) => May::Wait,
    }
}

impl Vault {
    /// Waits for the turn of this person's next change; `None` where it does not come in time.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn turn(&self, user: &UserId, until: Instant) -> Result<Option<Turn>, Failure> {
        let bytes: [u8; 16] = self.0.dice.bytes();
        let holder = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        loop {
            // From before it is asked for: it lives no longer than is believed here.
            let held = Held::now();
            if self.0.store.take_change_turn((user, &holder), LIVES).await? {
                let keeping = keep((self.clone(), user.clone(), holder.clone()), held.clone());
                let kept = AbortOnDropHandle::new(tokio::spawn(keeping));
                let (vault, user) = (self.clone(), user.clone());
                return Ok(Some(Turn { vault, user, holder, held, ended: false, _kept: kept }));
            }
            if Instant::now() + LOOK_EVERY >= until {
                return Ok(None);
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

async fn keep((vault, user, holder): (Vault, UserId, String), held: Arc<Held>) {
    loop {
        sleep(EVERY).await;
        let asked = Instant::now();
        match vault.0.store.keep_change_turn((&user, &holder), LIVES).await {
            Ok(true) => held.set(Holding::Since(asked)),
            Ok(false) => {
                held.set(Holding::Lost);
                tracing::warn!(
                    "the turn of a change that goes on here is another's now, or the person is gone"
                );
                return;
            }
            Err(failure) => tracing::warn!(cause = failure.chain(), "the turn of a change cannot be kept"),
        }
    }
}

impl Turn {
    /// Whether it is still its holder's, for whoever goes on by it.
    pub fn held(&self) -> Arc<Held> {
        self.held.clone()
    }

    /// Gives it back at once.
    pub async fn end(mut self) {
        self.ended = true;
        give_back(&self.vault, &self.user, &self.holder).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let (false, Ok(runtime)) = (self.ended, tokio::runtime::Handle::try_current()) {
            let (vault, user, holder) = (self.vault.clone(), self.user.clone(), self.holder.clone());
            runtime.spawn(async move { give_back(&vault, &user, &holder).await });
        }
    }
}

async fn give_back(vault: &Vault, user: &UserId, holder: &str) {
    if let Err(failure) = vault.0.store.end_change_turn((user, holder)).await {
        tracing::warn!(cause = failure.chain(), "the turn of a change comes back in a moment alone");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_begun_by_a_turn_that_may_be_anothers_when_it_arrives() {
        let kept = Instant::now();
        let after = |seconds| may(Holding::Since(kept), kept + Duration::from_secs(seconds));
        assert_eq!([0, 7, 8, 19, 60].map(after), [May::Begin, May::Begin, May::Wait, May::Wait, May::Wait]);
        assert_eq!(may(Holding::Lost, kept), May::Stop);
        assert!(EVERY * 2 <= LIVES - SENDING, "one that cannot be kept once is tried again");
    }
}
