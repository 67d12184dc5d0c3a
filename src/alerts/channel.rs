//! The ways to tell somebody, each with what it needs, and why one did not work.

use crate::ambient::Clock;
use crate::config::Config;
use crate::egress::{EgressError, Gate, NotAHost};

use super::Message;
use super::command::Program;
use super::webhook::Webhook;

/// The stable names of all channels.
pub const CHANNELS: [&str; 2] = ["webhook", "command"];

/// A way to tell somebody.
pub enum Channel {
    /// An HTTP request that is signed.
    Webhook(Box<Webhook>),
    /// A program with the alert on its standard input.
    Command(Program),
}

/// Why somebody was not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// Stable; what the database keeps.
    pub code: &'static str,
    /// For people; never what the other side said.
    pub why: String,
}

impl Undelivered {
    pub(super) fn new(code: &'static str, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }
}

impl From<EgressError> for Undelivered {
    fn from(error: EgressError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// Every channel of a configuration.
///
/// # Errors
/// Where the webhook's host can never be reached.
pub fn channels(config: &Config, clock: &Clock) -> Result<Vec<Channel>, NotAHost> {
    let alerts = &config.alerts;
    let mut channels = Vec::new();
    if let Some(webhook) = &alerts.webhook {
        let webhook = Webhook::new(webhook, config.security.environment, clock)?;
        channels.push(Channel::Webhook(Box::new(webhook)));
    }
    if !alerts.command.is_empty() {
        channels.push(Channel::Command(Program::new(&alerts.command)));
    }
    Ok(channels)
}

impl Channel {
    /// Its stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => CHANNELS[0],
            Self::Command(_) => CHANNELS[1],
        }
    }

    /// Tells it once, in bounded time.
    ///
    /// # Errors
    /// Why nobody was told, or may not have been.
    pub async fn tell(&self, message: &Message) -> Result<(), Undelivered> {
        match self {
            Self::Webhook(webhook) => webhook.post(message).await,
            Self::Command(program) => program.run(message).await,
        }
    }

    /// The gate that it goes through.
    pub(super) fn gate(&self) -> Option<&Gate> {
        match self {
            Self::Webhook(webhook) => Some(webhook.gate()),
            Self::Command(_) => None,
        }
    }
}
