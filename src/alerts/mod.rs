//! Somebody is told what happened: rules over the audit trail, to a webhook, by e-mail, or to a program.
//!
//! Alerts are derived from the trail, behind its writer. Counting a part of it, moving the cursor past that part and
//! storing what is due are one transaction: a process that dies at any instant loses no alert that was due, and raises
//! none twice. Telling is retried until it is taken (at least once; the id stays the same). Never: a secret, a person or
//! an address in what is told; deciding anything about a request.

mod channel;
mod command;
mod deliver;
mod follow;
mod judge;
mod message;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ambient::{Clock, Dice};
use crate::audit::Audit;
use crate::config::Config;
use crate::egress::NotAHost;
use crate::policy::AlertRule;
use crate::policy::alerts::rules;
use crate::store::Store;

pub use channel::{CHANNELS, Channel, Undelivered, channels};
pub use deliver::raised;
pub use message::Message;

/// Judges one trail and tells what is due.
pub struct Alerts {
    store: Store,
    audit: Audit,
    clock: Clock,
    dice: Dice,
    dir: PathBuf,
    rules: Vec<AlertRule>,
    channels: Vec<Arc<Channel>>,
    about: message::About,
    max_attempts: u32,
    /// Something is due.
    raised: Notify,
}

impl Alerts {
    /// For the trail of this process.
    ///
    /// # Errors
    /// Where the webhook's host can never be reached.
    pub fn new(
        config: &Config,
        store: &Store,
        audit: &Audit,
        (clock, dice): (&Clock, &Dice),
    ) -> Result<Self, NotAHost> {
        Ok(Self {
            store: store.clone(),
            audit: audit.clone(),
            clock: clock.clone(),
            dice: dice.clone(),
            dir: config.audit.dir.clone(),
            rules: rules(&config.alerts.rules),
            channels: channels(config, clock)?.into_iter().map(Arc::new).collect(),
            about: message::About::of(config),
            max_attempts: config.alerts.max_attempts,
            raised: Notify::new(),
        })
    }

    /// The gates that its channels go through, for who audits and counts.
    pub fn gates(&self) -> impl Iterator<Item = &crate::egress::Gate> {
        self.channels.iter().filter_map(|channel| channel.gate())
    }

    /// Starts judging and telling until `stop`.
    pub fn spawn(self: &Arc<Self>, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
        tasks.spawn(judge::keep(self.clone(), stop.clone()));
        for channel in &self.channels {
            tasks.spawn(deliver::keep(self.clone(), channel.clone(), stop.clone()));
        }
    }
}
