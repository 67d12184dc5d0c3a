//! The configuration as the rest of the program sees it: plain, typed, already validated.
//!
//! Nothing here reads a file or an environment variable, and nothing outside checks these values again. The
//! meaning, default and limits of every key stand in [`super::table`].

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

pub use super::logs::{LogFormat, LogLevel, LogRotation, TelemetryConfig};
use super::{AlertsConfig, ConfiguredClient, DocumentsConfig, Network, TlsFiles};
use crate::crypto::SecretString;
use crate::domain::SyslogPlace;
use crate::domain::client::RegistrationMode;
use crate::policy::{Environment, Offer};

/// The whole validated configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The sealed file that it came from; `None`: from none.
    pub sealed: Option<super::SealedFile>,
    /// Why an older revision of that file may be used, where somebody said so.
    pub rollback_reason: Option<String>,
    /// The operator's Spotify apps and where Spotify is.
    pub spotify: SpotifyConfig,
    /// The listener and how the outside sees it.
    pub server: ServerConfig,
    /// Where data lives.
    pub storage: StorageConfig,
    /// Who may log in and for how long.
    pub auth: AuthConfig,
    /// The environment, the master key, sessions.
    pub security: SecurityConfig,
    /// What one caller, address or server may use; a count of 0 switches the limit off.
    pub limits: LimitsConfig,
    /// What the egress gate may reach beside Spotify.
    pub network: NetworkConfig,
    /// How the Web API is called.
    pub api: ApiConfig,
    /// What is kept of Spotify's answers.
    pub cache: CacheConfig,
    /// Where the audit trail lives.
    pub audit: AuditConfig,
    /// Whom to tell what happened.
    pub alerts: AlertsConfig,
    /// The operational log and metrics.
    pub telemetry: TelemetryConfig,
}

/// The operator's Spotify apps and where Spotify is.
#[derive(Clone, Debug)]
pub struct SpotifyConfig {
    /// The apps, the one of `spotify.client_id` first. Empty where none is configured (only the sandbox serves then).
    pub apps: Vec<SpotifyApp>,
    /// Whether people may bring Spotify apps of their own.
    pub own_apps: bool,
    /// How many places of an app's accounts of one person take; `None`: as many as there are.
    pub seats_per_person: Option<u32>,
    /// How many calls of a kind fit into a day, as far as the operator knows; 0: it is not known.
    pub daily_quota: u64,
    /// Where Spotify sends the browser back; its path is where the callback is mounted.
    pub redirect_uri: Url,
    /// The accounts service, without trailing slash in its path.
    pub accounts_url: Url,
    /// The Web API including its version, for example `https://api.spotify.com/v1`.
    pub api_url: Url,
    /// The operator has acknowledged Spotify's Developer Policy (III.13, III.14).
    pub policy_acknowledged: bool,
}

/// One app of the operator's in Spotify's dashboard.
#[derive(Clone, Debug)]
pub struct SpotifyApp {
    /// What people are told it is called.
    pub name: String,
    /// The public client id.
    pub client_id: String,
    /// The client secret; PKCE is used with and without it.
    pub client_secret: Option<SecretString>,
    /// How many people fit; `None`: as many as come (extended quota).
    pub seats: Option<u32>,
    /// What Spotify allows this app.
    pub quota_mode: QuotaMode,
    /// The developer account that it belongs to, where one is named: its apps share one quota.
    pub developer: Option<String>,
}

/// What Spotify allows an app (spotify.md 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaMode {
    /// Five people, the endpoints of 2026.
    Development,
    /// A development app older than 2026-02-11: more endpoints.
    DevelopmentLegacy,
    /// Approved by Spotify: no list of people.
    Extended,
}

/// The listener and how the outside sees it.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 lets the system choose.
    pub port: u16,
    /// The origin that clients see: no path, query or fragment. See [`ServerConfig::issuer`].
    pub public_url: Url,
    /// Whether `server.public_url` was written down rather than derived from the listener.
    pub public_url_is_explicit: bool,
    /// Which tools are offered, the same to everybody.
    pub offer: Offer,
    /// Browser origins that may call `/mcp`, beside the public URL's own; each as browsers send it.
    pub allowed_origins: Vec<String>,
    /// The proxies whose forwarded headers count.
    pub trusted_proxies: Vec<Network>,
    /// The files of built-in TLS; `None`: plain HTTP, behind a proxy or on loopback.
    pub tls: Option<TlsFiles>,
    /// How long readiness is down before connections are closed.
    pub drain: Duration,
    /// Where to report a vulnerability (`mailto:`, `https:` or `tel:`), for security.txt.
    pub security_contact: Option<String>,
}

impl ServerConfig {
    /// Where to listen.
    pub const fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// The public URL as an OAuth issuer: the origin without trailing slash (product.md 7, OAuth).
    pub fn issuer(&self) -> String {
        self.public_url.as_str().trim_end_matches('/').to_owned()
    }
}

/// Where data lives.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// `sqlite://PATH` or `postgres://...`; a secret because it may carry a password.
    pub url: SecretString,
    /// Which engine `url` names.
    pub engine: Engine,
    /// Where the database, the generated master key and the audit trail live unless said otherwise.
    pub data_dir: PathBuf,
}

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// One file, embedded.
    Sqlite,
    /// A server, shared by several nodes.
    Postgres,
}

/// Who may log in and for how long.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// False: one local user, loopback only.
    pub multi_user: bool,
    /// With `multi_user` off: requests need no credential.
    pub local_without_credential: bool,
    /// Who may sign up.
    pub signup: Signup,
    /// Whether the configuration said who may.
    pub signup_is_said: bool,
    /// Spotify user ids that may sign up under [`Signup::Allowlist`].
    pub allowlist: Vec<String>,
    /// Whether API keys are accepted and can be made.
    pub api_keys: bool,
    /// Which clients may register by themselves.
    pub registration: RegistrationMode,
    /// OAuth clients that were registered by hand.
    pub clients: Vec<ConfiguredClient>,
    /// Clients that introduce themselves by a metadata document.
    pub documents: DocumentsConfig,
    /// How long every token and session lives.
    pub lifetimes: Lifetimes,
}

/// Who may sign up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signup {
    /// Whoever Spotify lets through.
    Open,
    /// Spotify ids on `auth.allowlist`.
    Allowlist,
    /// Those an administrator invited.
    Invite,
}

/// How long every token and session lives (mcp.md B, product.md 7).
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// A browser session, from its creation.
    pub browser_session: Duration,
    /// An authorization code.
    pub code: Duration,
    /// An access token.
    pub access_token: Duration,
    /// A refresh token since its last use.
    pub refresh_token: Duration,
    /// A family of refresh tokens since its first, whatever its use.
    pub refresh_family: Duration,
    /// A 2025-era MCP session, from its creation, whatever its use.
    pub mcp_session: Duration,
    /// A registered client that was never used.
    pub unused_client: Duration,
    /// A registered client since its last use.
    pub idle_client: Duration,
}

/// The environment, the master key, sessions.
#[derive(Clone, Debug)]
pub struct SecurityConfig {
    /// Whose policy holds.
    pub environment: Environment,
    /// Whether the environment was named rather than assumed.
    pub environment_is_named: bool,
    /// What was said about the master key; see [`super::master_key`].
    pub master_key: MasterKeyConfig,
    /// A login in progress dies after this.
    pub login_timeout: Duration,
    /// Browser sessions per user; the oldest goes. 0: no limit.
    pub max_sessions_per_user: u32,
    /// API-key callers must sign their requests and never send the key itself.
    pub request_signing: bool,
    /// How old each key may become before rotation is due.
    pub max_key_age: KeyAges,
}

/// What was said about the master key; the sources are tried in this order (product.md 7, Master key).
#[derive(Clone, Debug, Default)]
pub struct MasterKeyConfig {
    /// Base64 of 32 bytes, and where it was said.
    pub value: Option<(SecretString, String)>,
    /// A systemd credential named `master-key`.
    pub credential: Option<PathBuf>,
    /// A program and its arguments that prints the key; no shell.
    pub command: Vec<String>,
    /// A passphrase instead of a key, and where it was said.
    pub passphrase: Option<(SecretString, String)>,
    /// How a key is derived from the passphrase.
    pub kdf: PassphraseKdf,
}

/// How a key is derived from a passphrase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PassphraseKdf {
    /// Argon2id (the default).
    #[default]
    Argon2id,
    /// PBKDF2-HMAC-SHA256.
    Pbkdf2Sha256,
}

/// How old each key may become before rotation is due, in days.
#[derive(Clone, Copy, Debug)]
pub struct KeyAges {
    /// The master key.
    pub master: u32,
    /// Data keys.
    pub data: u32,
    /// Signing keys.
    pub signing: u32,
    /// The Spotify client secret.
    pub spotify_client: u32,
}

/// What one caller, address or server may use; a count of 0 switches the limit off (product.md 7, Limits).
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitsConfig {
    /// Tool calls per user in a minute.
    pub calls_per_user_per_minute: u32,
    /// Of these, calls of tools that look.
    pub reads_per_user_per_minute: u32,
    /// Of these, calls of tools that change playlists or the library.
    pub writes_per_user_per_minute: u32,
    /// Of these, calls of tools that control playback.
    pub player_calls_per_user_per_minute: u32,
    /// Tool calls through one OAuth client in a minute, of all its users together.
    pub calls_per_client_per_minute: u32,
    /// Tool calls per user at once.
    pub concurrent_calls_per_user: u32,
    /// Tool calls at once in this process.
    pub concurrent_calls: u32,
    /// Client registrations per address (IPv6 by /64) in an hour.
    pub registrations_per_address_per_hour: u32,
    /// Clients registered from one address in a day that were never used.
    pub unused_clients_per_address_per_day: u32,
    /// Clients registered from anywhere that were never used.
    pub unused_clients: u32,
    /// Metadata documents fetched because of one address in a minute.
    pub client_documents_per_address_per_minute: u32,
    /// Wrong codes, tokens or keys from one address in a minute.
    pub failed_attempts_per_address_per_minute: u32,
    /// Living API keys per user.
    pub api_keys_per_user: u32,
    /// Logins that begin from one address in a minute.
    pub logins_per_address_per_minute: u32,
    /// Logins in progress in all.
    pub logins_in_progress: u32,
    /// Open connections; the longest idle is shed first.
    pub connections: u32,
    /// Bytes of a request body on `/mcp`. 0 switches off our limit, never the transport's.
    pub mcp_body_bytes: u64,
    /// Bytes of a request body elsewhere.
    pub body_bytes: u64,
    /// How long a 2025-era session may be idle.
    pub mcp_session_idle: Duration,
    /// 2025-era sessions and open streams per user; the least recently used goes.
    pub mcp_connections_per_user: u32,
    /// For how long what tools change can be undone; zero: nothing is kept for that.
    pub undo_for: Duration,
}

/// What the egress gate may reach beside Spotify.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Exact lower-case host names, each with an optional `:port`.
    pub allowed_hosts: Vec<String>,
}

/// How the Web API is called.
#[derive(Clone, Copy, Debug)]
pub struct ApiConfig {
    /// For one upstream call; a tool call's deadline is 10 s more.
    pub timeout: Duration,
    /// Most requests to Spotify for one app in 30 s; 0: as many as it takes.
    pub rate_limit: u64,
}

impl ApiConfig {
    /// The deadline of a tool call (product.md 3, `api.timeout`).
    pub const fn tool_deadline(&self) -> Duration {
        self.timeout.saturating_add(Duration::from_secs(10))
    }
}

/// What is kept of Spotify's answers.
#[derive(Clone, Copy, Debug)]
pub struct CacheConfig {
    /// Anything at all, in memory, for a moment.
    pub enabled: bool,
}

/// Where the audit trail lives, and how it is kept.
#[derive(Clone, Debug)]
pub struct AuditConfig {
    /// The folder of its segments.
    pub dir: PathBuf,
    /// The size, in bytes, at which a new segment is begun.
    pub segment_bytes: u64,
    /// After how many records it is signed.
    pub checkpoint_records: u64,
    /// After how long it is signed, where there are any.
    pub checkpoint_every: Duration,
    /// How long complete segments are kept; `None`: for ever.
    pub keep: Option<Duration>,
    /// For how many days addresses of people who were not known can be read; `None`: for ever.
    pub keep_addresses_days: Option<u32>,
    /// Who is told of every checkpoint.
    pub anchors: AnchorsConfig,
}

/// Places outside that are told of the trail's checkpoints.
#[derive(Clone, Debug, Default)]
pub struct AnchorsConfig {
    /// A file that is appended to.
    pub file: Option<PathBuf>,
    /// A syslog server.
    pub syslog: Option<SyslogPlace>,
    /// A URL that takes a POST.
    pub webhook: Option<Url>,
    /// A bearer token for it.
    pub webhook_token: Option<SecretString>,
}
