//! The composition root: one plain struct that every handler shares. No behaviour beyond what joins its parts.

pub mod accounts;
pub mod administration;
mod anchors;
mod api_keys;
mod bearers;
mod build;
mod clients;
mod due;
pub mod export;
mod flights;
pub mod limits;
mod mcp_sessions;
mod probes;
mod questions;
mod quotas;
mod revocation;
mod standing;
mod tasks;
mod trail;

use std::sync::{Arc, PoisonError, RwLock};

use crate::alerts::Alerts;
use crate::ambient::{Clock, Dice, Timestamp};
use crate::audit::Audit;
use crate::audit::anchors::Anchor;
use crate::backup::Mirror;
use crate::config::sealed::Refusal;
use crate::config::{Config, Live, SealedFile};
use crate::crypto::keys::KeyId;
use crate::domain::event::Event;
use crate::egress::Gate;
use crate::failure::Failure;
use crate::spotify::Api;
use crate::store::{Recorded, Store};
use crate::vault::{KeyRing, Vault};

pub use api_keys::{ApiKeys, KnownKey};
pub use bearers::{Bearer, Bearers, Refused};
pub use build::{
    BuildError, Mode, OtherApps, accounts, accounts_url, credentials, gate, gate_policy, unreachable_hosts,
};
pub use clients::{Clients, DocumentProblem, Fetched};
pub use limits::{CallLimits, Limits};
pub use mcp_sessions::{McpSessions, NoSession};
pub use probes::Probes;
pub use questions::Questions;
pub(crate) use questions::WAIT as REPLY_WAIT;
pub use quotas::{PoolOf, Quotas, first_hour};
pub use revocation::{Closed, Revocation};
pub use standing::{AppStanding, Room};
pub use trail::{Drained, drain_if_alone};

/// Everything that a request may need.
pub struct App {
    /// The validated configuration.
    pub config: Config,
    /// Whether the upstream is the simulator.
    pub sandbox: bool,
    /// Whether this process writes the outbox into the trail.
    pub drains_outbox: bool,
    /// What is known of Spotify's quotas.
    pub quotas: Quotas,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub dice: Dice,
    /// The database.
    pub store: Store,
    /// The master key and the server's own.
    pub keys: Arc<KeyRing>,
    /// The way out.
    pub gate: Gate,
    /// OAuth clients beside the database, and the way to their documents.
    pub clients: Clients,
    /// Spotify's Web API.
    pub api: Api,
    /// Upstream tokens.
    pub vault: Vault,
    /// The trail.
    pub audit: Audit,
    /// Who is told what the trail says.
    pub alerts: Arc<Alerts>,
    /// Our access tokens.
    pub bearers: Bearers,
    /// API keys.
    pub api_keys: ApiKeys,
    /// What has ended since when.
    pub revocation: Arc<Revocation>,
    /// Sessions of 2025-era clients.
    pub mcp_sessions: Arc<McpSessions>,
    /// How much whoever asks may do.
    pub limits: Arc<Limits>,
    /// How often strangers make the server ask.
    pub probes: Probes,
    /// What a reload may have changed since the start.
    live: RwLock<Arc<Live>>,
    /// Deletions, outside the database.
    tombstones: tokio::sync::Mutex<Mirror>,
    /// Who is told of the trail's checkpoints.
    anchors: Vec<Anchor>,
    /// The evidence key that signs the trail.
    trail_key: tokio::sync::Mutex<KeyId>,
}

impl App {
    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What a reload may have changed since the start. Never `config` for one of these: that stands still.
    pub fn live(&self) -> Arc<Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what may change while a server runs.
    pub fn take_over(&self, live: Live) {
        self.limits.take_over(&live.limits);
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
    }

    /// Notes that a revision of a sealed configuration is used; an older one than was used before is refused.
    pub async fn note_revision(&self, file: &SealedFile) -> Result<Result<(), Refusal>, Failure> {
        build::note_revision(file, &self.store, (&self.clock, &self.dice)).await
    }

    /// The issuer: the public URL without trailing slash, byte for byte the same everywhere.
    pub fn issuer(&self) -> String {
        self.config.server.issuer()
    }

    /// Stamps an event, to be stored in the transaction of the change that it reports.
    pub fn stamp(&self, event: Event) -> Recorded {
        Recorded::now(event, &self.clock, &self.dice)
    }
}
