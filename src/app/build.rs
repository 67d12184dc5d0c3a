//! Building the application from a validated configuration, each refusal with what to do about it.

use std::sync::{Arc, RwLock};

use crate::alerts::{Alerts, NoReceiver};
use crate::ambient::{Clock, Dice};
use crate::audit;
use crate::backup::Mirror;
use crate::config::sealed::Refusal;
use crate::config::{self, Config, Live, SealedFile};
use crate::crypto::keys::RootKey;
use crate::domain::KeyPurpose;
use crate::domain::event::{Event, EventCode};
use crate::egress::{Gate, GatePolicy};
use crate::failure::Failure;
use crate::policy::Environment;
use crate::spotify::{Accounts, Api, AppCredentials, BaseUrl, QuotaMode};
use crate::store::{MasterKeyMismatch, OpenStoreError, Recorded, Revision, Store};
use crate::vault::{Allowed, Apps, ConfiguredApp, KeyRing, OPERATOR, SpotifyApp, Standing, Vault};

use super::{ApiKeys, App, Bearers, Clients, Limits, McpSessions, Probes, Quotas, Revocation};

/// How it will be used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mode {
    /// The upstream is the simulator.
    pub sandbox: bool,
    /// One of several servers that local programs start for one person.
    pub stdio: bool,
}

/// Why the application cannot be built.
#[derive(Debug)]
pub enum BuildError {
    /// The database cannot be opened.
    Store(OpenStoreError),
    /// The database belongs to another master key.
    MasterKey {
        /// The id of the key that was given.
        given: String,
        /// What the database knows.
        mismatch: MasterKeyMismatch,
    },
    /// The audit trail cannot be opened.
    Audit(audit::OpenError),
    /// A host of the configuration can never be reached; the key and why.
    Host(&'static str, String),
    /// Somebody who is to be told of alerts can never be reached.
    Receiver(NoReceiver),
    /// The sealed configuration is of an older revision than was used before.
    RolledBack(Refusal),
    /// Unexpected.
    Failure(Failure),
}

impl<E: Into<Failure>> From<E> for BuildError {
    fn from(cause: E) -> Self {
        Self::Failure(cause.into())
    }
}

impl App {
    /// Opens everything, the trail before the database: what happens from now on can be recorded.
    pub async fn build(
        config: Config,
        mode: Mode,
        roots: &[RootKey],
        (clock, dice): (Clock, Dice),
    ) -> Result<Self, BuildError> {
        let gate = Gate::new(gate_policy(&config)?, clock.clone());
        let clients = Clients::build(&config, &clock)?;
        let store = open_store(&config, mode).await?;
        let keys = open_ring(&store, roots, (&clock, &dice)).await?;
        check_revision(&config, &store, (&clock, &dice)).await?;
        super::due::warn_of_due_keys(&store, &config.security.max_key_age, clock.now()).await?;
        let (audit, drains_outbox) =
            super::trail::open_in_turn(&config, mode, (&store, &keys), (&clock, &dice)).await?;
        let trail_key = *keys.own(KeyPurpose::Evidence)?.id();

        store.write_configured(&clients.all_configured(), clock.now()).await?;
        let quotas = Quotas::open(&store, &clock, config.spotify.daily_quota).await?;
        let (accounts, api) = upstream(&config, &gate, &clock)?;
        let vault = open_vault(&config, (&store, &keys), accounts, (&clock, &dice), audit.writer()).await?;
        quotas.know_people(&vault).await?;
        let alerts = Alerts::new(&config, &store, &audit, (&clock, &dice));
        let alerts = alerts.map_err(BuildError::Receiver)?;
        let live = Arc::new(Live::of(&config));
        let data_dir = config.storage.data_dir.clone();
        let limits = Limits::new(&config.limits, &store, &keys, &clock);
        let revocation = Arc::new(Revocation::new(store.revocations().await?, clock.clone()));
        let mcp_sessions = McpSessions::new(
            (limits.clone(), &config.auth.lifetimes),
            store.clone(),
            revocation.clone(),
            (clock.clone(), dice.clone()),
        );
        let anchors = super::anchors::configured(&config.audit.anchors, &gate);
        Ok(Self {
            config,
            sandbox: mode.sandbox,
            drains_outbox,
            api: api.with_quotas(quotas.gate.clone()),
            quotas,
            clock,
            dice,
            store,
            keys,
            gate,
            clients,
            vault,
            audit,
            alerts: Arc::new(alerts),
            bearers: Bearers::default(),
            api_keys: ApiKeys::default(),
            revocation,
            mcp_sessions: Arc::new(mcp_sessions),
            limits,
            probes: Probes::default(),
            live: RwLock::new(live),
            tombstones: Mirror::new(&data_dir).into(),
            trail_key: trail_key.into(),
            anchors,
        })
    }
}

/// The vault, with the operator's apps as the configuration has them.
async fn open_vault(
    config: &Config,
    (store, keys): (&Store, &Arc<KeyRing>),
    accounts: Accounts,
    (clock, dice): (&Clock, &Dice),
    writer: &str,
) -> Result<Vault, BuildError> {
    let now = (clock.now(), dice);
    let apps = (accounts_url(config), credentials(config));
    let apps = Apps::register((store, keys), apps.0, apps.1, allowed(config), now).await?;
    let vault =
        Vault::new(store.clone(), keys.clone(), accounts, apps, (clock.clone(), dice.clone()), writer);
    vault.seal_own_apps().await?;
    Ok(vault)
}

async fn open_store(config: &Config, mode: Mode) -> Result<Store, BuildError> {
    let url = config.storage.url.expose();
    let store = match mode.sandbox {
        true => Store::open_apart(url, "spotify_mcp_sandbox").await,
        false => Store::open(url).await,
    };
    store.map_err(BuildError::Store)
}

/// Opens the key ring. With the key in use, the way from the one before it is forgotten: it has done its work.
async fn open_ring(
    store: &Store,
    roots: &[RootKey],
    (clock, dice): (&Clock, &Dice),
) -> Result<Arc<KeyRing>, BuildError> {
    let given = roots.first().map(|root| root.id().to_string()).unwrap_or_default();
    let (ring, standing) = match KeyRing::open(store, roots, (clock, dice)).await? {
        Ok(opened) => opened,
        Err(mismatch) => return Err(BuildError::MasterKey { given, mismatch }),
    };
    match standing {
        Standing::InUse => {
            let event = Event::new(EventCode::KeyHandOverEnded).subject(&given);
            store.forget_hand_over(&given, &[Recorded::now(event, clock, dice)]).await?;
        }
        Standing::Succeeded { given, active, until } => tracing::warn!(
            given,
            active,
            until = until.rfc3339(),
            "started with a master key that another has replaced: give this server the new one before then"
        ),
    }
    Ok(Arc::new(ring))
}

/// Refuses a sealed configuration of an older revision than was used before, unless somebody said why.
async fn check_revision(
    config: &Config,
    store: &Store,
    (clock, dice): (&Clock, &Dice),
) -> Result<(), BuildError> {
    let Some(file) = &config.sealed else { return Ok(()) };
    let Err(refusal) = note_revision(file, store, (clock, dice)).await? else { return Ok(()) };
    let (Some(reason), Refusal::RolledBack { seen, .. }) = (&config.rollback_reason, &refusal) else {
        return Err(BuildError::RolledBack(refusal));
    };
    let revision = Revision { lineage: &file.lineage, rev: file.rev, digest: &file.digest };
    let allowed = about(EventCode::ConfigRolledBack, file).because(reason).detail("newest", seen.to_string());
    Ok(store.go_back(&revision, clock.now(), &Recorded::now(allowed, clock, dice)).await?)
}

fn about(code: EventCode, file: &SealedFile) -> Event {
    Event::new(code)
        .detail("lineage", &file.lineage)
        .detail("rev", file.rev.to_string())
        .detail("digest", &file.digest)
}

/// Notes that a revision is used; an older one than was used before is refused, on record.
pub(super) async fn note_revision(
    file: &SealedFile,
    store: &Store,
    (clock, dice): (&Clock, &Dice),
) -> Result<Result<(), Refusal>, Failure> {
    let revision = Revision { lineage: &file.lineage, rev: file.rev, digest: &file.digest };
    let refused = about(EventCode::ConfigRefused, file).refused().because("an older revision was put back");
    let refused = Recorded::now(refused, clock, dice);
    let noted = store.use_revision(&revision, clock.now(), &refused).await?;
    Ok(noted.map_err(|seen| Refusal::RolledBack { found: file.rev, seen }))
}

fn upstream(config: &Config, gate: &Gate, clock: &Clock) -> Result<(Accounts, Api), BuildError> {
    let base = |key, url: &url::Url| {
        BaseUrl::parse(url.as_str()).map_err(|why| BuildError::Host(key, why.to_string()))
    };
    let accounts = base("spotify.accounts_url", &config.spotify.accounts_url)?;
    let api = base("spotify.api_url", &config.spotify.api_url)?;
    let timeout = config.api.timeout;
    let mode = narrowest(&credentials(config));
    Ok((
        Accounts::new(gate.clone(), clock.clone(), accounts, timeout),
        match Api::new(gate.clone(), clock.clone(), api, mode, timeout).at_most(config.api.rate_limit) {
            api if config.cache.enabled => api.with_memory(),
            api => api,
        },
    ))
}

/// What the gate of this configuration lets through.
///
/// # Errors
/// Where the configuration names a host that can never be reached.
pub fn gate_policy(config: &Config) -> Result<GatePolicy, BuildError> {
    let mut policy = empty_policy(config);
    for (key, host) in hosts(config) {
        policy = policy.allow(host).map_err(|why| BuildError::Host(key, why.to_string()))?;
    }
    Ok(policy)
}

/// Hosts of a configuration that can never be reached: the key, the host, and why.
pub fn unreachable_hosts(config: &Config) -> Vec<(&'static str, String, String)> {
    let refused = |(key, host): (&'static str, &str)| {
        Some((key, host.to_owned(), empty_policy(config).allow(host).err()?.to_string()))
    };
    hosts(config).filter_map(refused).collect()
}

fn empty_policy(config: &Config) -> GatePolicy {
    match config.security.environment {
        Environment::Production => GatePolicy::new(),
        _ => GatePolicy::new().with_loopback(),
    }
}

/// The hosts that a configuration names for the way out, each with its key.
fn hosts(config: &Config) -> impl Iterator<Item = (&'static str, &str)> {
    let spotify = &config.spotify;
    let upstream = [
        ("spotify.accounts_url", spotify.accounts_url.as_str()),
        ("spotify.api_url", spotify.api_url.as_str()),
    ];
    let others = config.network.allowed_hosts.iter().map(|host| ("network.allowed_hosts", host.as_str()));
    let webhook = config.audit.anchors.webhook.as_ref().map(|url| ("audit.anchors.webhook", url.as_str()));
    upstream.into_iter().chain(others).chain(webhook)
}

/// The way out that a configuration allows, for a command without a running server.
///
/// # Errors
/// In words: which key names a host that can never be reached, and why.
pub fn gate(config: &Config, clock: &Clock) -> Result<Gate, String> {
    match gate_policy(config) {
        Ok(policy) => Ok(Gate::new(policy, clock.clone())),
        Err(BuildError::Host(key, why)) => Err(format!("{key}: {why}")),
        Err(_) => Err("the configuration names no way out".to_owned()),
    }
}

/// The identity of the accounts service, without a trailing slash: accounts are known by it.
pub fn accounts_url(config: &Config) -> &str {
    config.spotify.accounts_url.as_str().trim_end_matches('/')
}

/// Each token brings the mode of its app; without one, what the narrowest can do works for all.
fn narrowest(apps: &[ConfiguredApp]) -> QuotaMode {
    let modes = apps.iter().map(|app| app.quota);
    modes.min_by_key(|mode| mode.search_page()).unwrap_or(QuotaMode::Development)
}

/// The accounts service of a configuration, for a command that asks it something.
pub fn accounts(config: &Config, clock: &Clock) -> Result<Accounts, BuildError> {
    let gate = Gate::new(gate_policy(config)?, clock.clone());
    Ok(upstream(config, &gate, clock)?.0)
}

impl App {
    /// Registers the Spotify apps of a changed configuration; [`App::take_over_apps`] puts them in use.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn register_apps(&self, config: &Config) -> Result<OtherApps, Failure> {
        let configured = credentials(config);
        let (mode, allowed) = (narrowest(&configured), allowed(config));
        Ok(OtherApps { apps: self.vault.register_apps(configured).await?, mode, allowed })
    }

    /// Puts registered apps in the place of those in use.
    pub fn take_over_apps(&self, other: OtherApps) {
        self.vault.apps().take_over(other.apps, other.allowed);
        // What was open may be an app's that is in use no more, or of another mode.
        self.vault.forget_all();
        self.api.set_mode(other.mode);
    }
}

/// The Spotify apps of a changed configuration, registered and not yet in use.
pub struct OtherApps {
    apps: Arc<[SpotifyApp]>,
    mode: QuotaMode,
    allowed: Allowed,
}

impl OtherApps {
    /// Whether any of them is another than those in use, or has other credentials.
    pub fn differ_from(&self, app: &App) -> bool {
        let names = |apps: &[SpotifyApp]| apps.iter().map(|app| app.secret_id.clone()).collect::<Vec<_>>();
        names(&self.apps) != names(&app.vault.apps().all())
    }
}

/// Alone on a server, a person takes nobody's place.
fn allowed(config: &Config) -> Allowed {
    let each = config.spotify.seats_per_person.filter(|_| config.auth.multi_user);
    Allowed { own: config.spotify.own_apps, each }
}

/// The Spotify apps of a configuration.
pub fn credentials(config: &Config) -> Vec<ConfiguredApp> {
    let one = |app: &config::SpotifyApp| {
        let credentials =
            AppCredentials { client_id: app.client_id.clone(), client_secret: app.client_secret.clone() };
        let quota = match app.quota_mode {
            config::QuotaMode::Development => QuotaMode::Development,
            config::QuotaMode::DevelopmentLegacy => QuotaMode::DevelopmentLegacy,
            config::QuotaMode::Extended => QuotaMode::Extended,
        };
        let seats = app.seats.map(i64::from);
        let developer = app.developer.as_deref().unwrap_or(OPERATOR).into();
        ConfiguredApp { name: app.name.clone(), credentials, quota, seats, developer }
    };
    config.spotify.apps.iter().map(one).collect()
}
