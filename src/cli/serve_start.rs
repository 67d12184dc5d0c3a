//! What comes before serving: for now environment variables alone, until the configuration's loader lands.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "replaced by the loader, which names every problem"
)]

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::BuildError;
use crate::config::*;
use crate::crypto::{Key, SecretString, keys::RootKey};
use crate::http::ServeError;
use crate::policy::Environment;
use crate::telemetry::Log;

use super::Global;
use super::output::{Output, Refused};
use super::serve::Args;

pub(super) struct Prepared {
    pub(super) config: Config,
    pub(super) master_key: Option<SecretString>,
    pub(super) log: Running,
}
pub(super) struct Running(#[expect(dead_code, reason = "kept until the process ends")] Log);
impl Running {
    pub(super) fn spawn_fallback(&self, _tasks: &mut JoinSet<()>, _stop: &CancellationToken) {}
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

pub(super) fn prepare(args: &Args, _global: &Global, _output: &Output) -> Result<Prepared, Refused> {
    let port: u16 = env("SERVER_PORT").and_then(|p| p.parse().ok()).unwrap_or(8000);
    let mut dir: std::path::PathBuf = env("DATA_DIR").unwrap_or("/tmp/smcp".into()).into();
    if args.sandbox {
        dir = dir.join("sandbox");
    }
    std::fs::create_dir_all(&dir).ok();
    let public = env("PUBLIC_URL").unwrap_or(format!("http://127.0.0.1:{port}"));
    let url = |t: String| url::Url::parse(&t).unwrap();
    let d = |s| Duration::from_secs(s);
    let config = Config {
        spotify: SpotifyConfig {
            apps: vec![SpotifyApp {
                client_id: env("SPOTIFY_CLIENT_ID").unwrap_or("sandbox-client".into()),
                client_secret: None,
                seats: env("SEATS").map(|s| s.parse().unwrap()),
                quota_mode: QuotaMode::Development,
            }],
            redirect_uri: url(format!("{public}/auth/callback")),
            accounts_url: url(env("SPOTIFY_ACCOUNTS_URL").unwrap_or("https://accounts.spotify.com".into())),
            api_url: url(env("SPOTIFY_API_URL").unwrap_or("https://api.spotify.com/v1".into())),
            policy_acknowledged: false,
        },
        server: ServerConfig {
            host: [127, 0, 0, 1].into(),
            port,
            public_url: url(public),
            public_url_is_explicit: false,
            allowed_origins: vec![],
            trusted_proxies: vec![],
            drain: d(0),
            security_contact: None,
        },
        storage: StorageConfig {
            url: SecretString::new(
                env("DATABASE_URL").unwrap_or(format!("sqlite://{}/spotify-mcp.sqlite", dir.display())),
            ),
            engine: Engine::Sqlite,
            data_dir: dir.clone(),
        },
        auth: AuthConfig {
            multi_user: true,
            local_without_credential: false,
            signup: Signup::Open,
            allowlist: vec![],
            administrators: vec![],
            lifetimes: Lifetimes {
                browser_session: d(30 * 86400),
                code: d(300),
                access_token: d(env("SPOTIFY_MCP__AUTH__LIFETIMES__ACCESS_TOKEN")
                    .and_then(|v| v.parse().ok())
                    .unwrap_or(3600)),
                refresh_token: d(30 * 86400),
                refresh_family: d(90 * 86400),
                unused_client: d(7 * 86400),
                idle_client: d(90 * 86400),
            },
        },
        security: SecurityConfig {
            environment: Environment::Development,
            environment_is_named: false,
            master_key: MasterKeyConfig::default(),
            login_timeout: d(300),
            max_sessions_per_user: 3,
            request_signing: false,
            max_key_age: KeyAges { master: 30, data: 365, signing: 90, spotify_client: 180 },
        },
        limits: LimitsConfig {
            calls_per_user_per_minute: 600,
            concurrent_calls_per_user: 32,
            registrations_per_address_per_hour: 30,
            unused_clients_per_address_per_day: 50,
            failed_attempts_per_address_per_minute: 100,
            connections: 10000,
            mcp_body_bytes: 1 << 20,
            body_bytes: 64 * 1024,
            mcp_session_idle: d(3600),
            mcp_connections_per_user: 20,
        },
        network: NetworkConfig { allowed_hosts: vec![] },
        api: ApiConfig { timeout: d(15), rate_limit: None },
        cache: CacheConfig { enabled: true },
        audit: AuditConfig { dir: dir.join("audit") },
        telemetry: TelemetryConfig {
            log_level: LogLevel::Info,
            log_file: None,
            log_format: LogFormat::Text,
            log_rotation: LogRotation::Never,
            log_keep: 14,
        },
    };
    let log = Log::start(&config.telemetry).map_err(|f| Refused::unexpected("LOG", &f, "x"))?;
    Ok(Prepared { config, master_key: None, log: Running(log) })
}

pub(super) async fn root_key(_key: Option<SecretString>) -> Result<RootKey, Refused> {
    Ok(RootKey::new(Key::new([7; 32])))
}

pub(super) fn refused_port(error: ServeError) -> Refused {
    Refused::incomplete("PORT", format!("cannot listen on {}: {}", error.address, error.cause), "x")
}

pub(super) fn refused_build(error: BuildError) -> Refused {
    Refused::incomplete("BUILD", format!("{error:?}"), "x")
}
