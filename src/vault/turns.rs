//! The turn of a person's change, on all servers: one at a time. It is kept as long as its holder lives, and a server that
//! dies in it is not waited for longer than [`LIVES`].

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
/// How often it is looked whether it is over.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The right to change what is a person's; ends with the value.
pub struct Turn {
    vault: Vault,
    user: UserId,
    holder: String,
    ended: bool,
    _kept: AbortOnDropHandle<()>,
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
            if self.0.store.take_change_turn((user, &holder), LIVES).await? {
                let keeping = keep(self.clone(), user.clone(), holder.clone());
                let kept = AbortOnDropHandle::new(tokio::spawn(keeping));
                let vault = self.clone();
                return Ok(Some(Turn { vault, user: user.clone(), holder, ended: false, _kept: kept }));
            }
            if Instant::now() + LOOK_EVERY >= until {
                return Ok(None);
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

async fn keep(vault: Vault, user: UserId, holder: String) {
    loop {
        sleep(EVERY).await;
        match vault.0.store.keep_change_turn((&user, &holder), LIVES).await {
            Ok(true) => {}
            Ok(false) => {
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
