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
mod mail;
mod message;
mod round;
mod smtp;
mod webhook;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};

use crate::ambient::{Clock, Dice};
use crate::audit::Audit;
use crate::config::{AlertsConfig, Config};
use crate::egress::{Counters, Gate};
use crate::policy::alerts::rules;
use crate::policy::{AlertRule, Environment};
use crate::store::Store;

pub use channel::{CHANNELS, Channel, NoReceiver, Undelivered, channels};
pub use deliver::raised;
pub use message::Message;

/// Judges one trail and tells what is due.
pub struct Alerts {
    store: Store,
    audit: Audit,
    clock: Clock,
    dice: Dice,
    dir: PathBuf,
    about: message::About,
    environment: Environment,
    receivers: watch::Sender<Arc<Receivers>>,
    /// What gates saw that are no more.
    past: Mutex<Counters>,
    /// Something is due.
    raised: Notify,
}

/// Whom to tell, and when: the part that a running server takes over from a changed configuration.
pub struct Receivers {
    rules: Vec<AlertRule>,
    channels: Vec<Arc<Channel>>,
    max_attempts: u32,
}

impl Alerts {
    /// For the trail of this process.
    ///
    /// # Errors
    /// Where a receiver can never be reached.
    pub fn new(
        config: &Config,
        store: &Store,
        audit: &Audit,
        (clock, dice): (&Clock, &Dice),
    ) -> Result<Self, NoReceiver> {
        let (about, environment) = (message::About::of(config), config.security.environment);
        let receivers = Receivers::of(&config.alerts, (environment, &about.issuer), clock)?;
        Ok(Self {
            store: store.clone(),
            audit: audit.clone(),
            clock: clock.clone(),
            dice: dice.clone(),
            dir: config.audit.dir.clone(),
            about,
            environment,
            receivers: watch::Sender::new(Arc::new(receivers)),
            past: Mutex::default(),
            raised: Notify::new(),
        })
    }

    /// Whom a changed configuration would have told; [`Alerts::take_over`] puts them in use.
    ///
    /// # Errors
    /// Where a receiver can never be reached.
    pub fn receivers(&self, config: &AlertsConfig) -> Result<Receivers, NoReceiver> {
        Receivers::of(config, (self.environment, &self.about.issuer), &self.clock)
    }

    /// From now on these are told. What is being told goes on; what is due on a channel that is no more waits for it.
    pub fn take_over(&self, receivers: Receivers) {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.receivers.send_replace(Arc::new(receivers));
        *past = past.with(before.counters());
    }

    /// What the gates of all channels have seen, those before a reload too.
    pub fn counters(&self) -> Counters {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.with(self.receivers.borrow().counters())
    }
}

impl Receivers {
    fn of(config: &AlertsConfig, server: (Environment, &str), clock: &Clock) -> Result<Self, NoReceiver> {
        Ok(Self {
            rules: rules(&config.rules),
            channels: channels(config, server, clock)?.into_iter().map(Arc::new).collect(),
            max_attempts: config.max_attempts,
        })
    }

    fn counters(&self) -> Counters {
        let gates = self.channels.iter().filter_map(|channel| channel.gate());
        gates.map(Gate::counters).fold(Counters::default(), Counters::with)
    }
}
