//! Raw values to the typed [`Config`]: defaults, derived values, and what one key demands of another.
//!
//! A key whose value was refused takes its default here, so that the rest can still be judged; the configuration is
//! handed out only where there is no problem at all.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::certificate::{CERTIFICATE, KEY, TlsFiles};
use super::gather::{Gathered, Variables};
use super::problem::Wrong;
use super::{checks, typed::*};
use crate::crypto::SecretString;
use crate::domain::SyslogPlace;
use crate::domain::client::RegistrationMode;
use crate::policy::{Environment, Offer};

/// Builds the configuration and adds what is wrong with it as a whole.
pub fn build(gathered: &mut Gathered, variables: &Variables) -> (Config, BTreeMap<&'static str, String>) {
    let mut build = Build { gathered, variables, derived: BTreeMap::new() };
    let storage = build.storage();
    let server = build.server();
    let config = Config {
        sealed: build.gathered.sealed.clone(),
        rollback_reason: None,
        spotify: build.spotify(&server.public_url),
        auth: build.auth(&server),
        security: build.security(),
        limits: build.limits(),
        network: NetworkConfig { allowed_hosts: build.lower_list("network.allowed_hosts") },
        api: ApiConfig { timeout: build.span("api.timeout"), rate_limit: build.count("api.rate_limit") },
        cache: CacheConfig { enabled: build.flag("cache.enabled") },
        audit: build.audit(&storage.data_dir),
        alerts: build.alerts(),
        telemetry: build.telemetry(),
        server,
        storage,
    };
    (config, build.derived)
}

/// What the sections are built from.
pub(super) struct Build<'a> {
    pub(super) gathered: &'a mut Gathered,
    variables: &'a Variables,
    /// Values that were derived rather than said, for `config show`.
    pub(super) derived: BTreeMap<&'static str, String>,
}

/// Where the master key comes from as far as `gathered` says, and the data directory beside which one may lie.
pub fn key_sources(gathered: &mut Gathered, variables: &Variables) -> (MasterKeyConfig, PathBuf) {
    let mut build = Build { gathered, variables, derived: BTreeMap::new() };
    (build.master_key(), build.data_dir())
}

impl Build<'_> {
    fn server(&mut self) -> ServerConfig {
        let host = self.text("server.host").parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let port = u16::try_from(self.count("server.port")).unwrap_or_default();
        let said = self.optional_text("server.public_url").and_then(|text| Url::parse(&text).ok());
        let public_url_is_explicit = said.is_some();
        let tls = self.tls(said.as_ref());
        ServerConfig {
            host,
            port,
            public_url: said.unwrap_or_else(|| self.public_url(host, port, tls.is_some())),
            public_url_is_explicit,
            tls,
            offer: self.offer(),
            allowed_origins: self.origins(),
            trusted_proxies: self
                .list("server.trusted_proxies")
                .iter()
                .filter_map(|range| range.parse().ok())
                .collect(),
            drain: Duration::from_secs(self.count("server.drain_seconds")),
            security_contact: self.optional_text("server.security_contact"),
        }
    }

    /// Both files or neither; where this server ends TLS itself, clients come by https.
    fn tls(&mut self, public_url: Option<&Url>) -> Option<TlsFiles> {
        let (certificate, key) =
            (self.optional_text("server.tls.certificate"), self.optional_text("server.tls.key"));
        let missing = match (&certificate, &key) {
            (None, None) => return None,
            (Some(_), Some(_)) => None,
            (Some(_), None) => Some(KEY),
            (None, Some(_)) => Some(CERTIFICATE),
        };
        if let Some(missing) = missing {
            let wrong = Wrong::new(
                "it is not set, and TLS needs a certificate and its key",
                format!("set {CERTIFICATE} and {KEY} to PEM files, or neither behind a proxy"),
            );
            self.problem(missing, wrong.coded("CONFIG_MISSING"));
        }
        if public_url.is_some_and(|url| url.scheme() != "https") {
            let why = format!("it is plain http, and {CERTIFICATE} has this server speak TLS alone");
            let wrong = Wrong::new(why, "write its https:// origin, with the port if that is not 443");
            self.problem("server.public_url", wrong.coded("TLS_PUBLIC_URL"));
        }
        let path = |text: Option<String>| text.unwrap_or_default().into();
        let files = TlsFiles { certificate: path(certificate), key: path(key) };
        // So that the policy looks at who may read it.
        self.gathered.secret_files.insert(files.key.clone());
        Some(files)
    }

    /// Derived while the listener is on loopback; elsewhere nobody but the operator knows it.
    fn public_url(&mut self, host: IpAddr, port: u16, tls: bool) -> Url {
        let is_refused = self.gathered.problems.iter().any(|problem| problem.key == "server.public_url");
        if !host.is_loopback() && !is_refused {
            let why = format!("it is not set, and {host} does not tell what clients see");
            self.problem(
                "server.public_url",
                Wrong::new(
                    why,
                    "set PUBLIC_URL to the origin that clients see, for example https://music.example.org",
                )
                .coded("CONFIG_MISSING"),
            );
        }
        let shown = if host.is_loopback() { host } else { IpAddr::V4(Ipv4Addr::LOCALHOST) };
        let mut url = loopback();
        let _always_valid = url.set_ip_host(shown);
        if tls {
            let _always_valid = url.set_scheme("https");
        }
        let _always_valid = url.set_port(Some(port));
        self.derived.insert("server.public_url", origin_of(&url));
        url
    }

    fn offer(&mut self) -> Offer {
        let said = self.list("server.toolsets");
        if said.is_empty() {
            let wrong =
                Wrong::new("no group of tools is named", "name some, or remove the key for all of them");
            self.problem("server.toolsets", wrong);
        }
        let toolsets = said.iter().filter_map(|name| name.parse().ok()).collect();
        Offer { read_only: self.flag("server.read_only"), toolsets }
    }

    fn origins(&mut self) -> Vec<String> {
        let said = self.list("server.allowed_origins");
        said.iter().filter_map(|text| Url::parse(text).ok()).map(|url| origin_of(&url)).collect()
    }

    fn data_dir(&mut self) -> PathBuf {
        match self.optional_text("storage.data_dir") {
            Some(path) => PathBuf::from(path),
            None => self.platform_data_dir(),
        }
    }

    fn storage(&mut self) -> StorageConfig {
        let data_dir = self.data_dir();
        let url = self.secret("storage.url").map(|(url, _)| url).unwrap_or_else(|| {
            let url = format!("sqlite://{}", data_dir.join("spotify-mcp.db").display());
            self.derived.insert("storage.url", url.clone());
            SecretString::new(url)
        });
        let engine = if url.expose().starts_with("postgres") { Engine::Postgres } else { Engine::Sqlite };
        StorageConfig { url, engine, data_dir }
    }

    fn platform_data_dir(&mut self) -> PathBuf {
        let folder = |name: &str| self.variables.get(name).map(|(value, _)| PathBuf::from(value));
        let home = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
        let base = folder("XDG_DATA_HOME").or_else(|| folder("HOME").map(|path| path.join(home)));
        let path = match base {
            Some(base) => base.join("spotify-mcp"),
            None => {
                let wrong = Wrong::new(
                    "it is not set, and without HOME there is no default",
                    "set DATA_DIR to a folder that this user may write",
                );
                self.problem("storage.data_dir", wrong.coded("CONFIG_MISSING"));
                PathBuf::from("spotify-mcp-data")
            }
        };
        self.derived.insert("storage.data_dir", path.display().to_string());
        path
    }

    fn audit(&mut self, data_dir: &Path) -> AuditConfig {
        let days = |build: &Self, key| Some(build.number(key)).filter(|days| *days > 0);
        AuditConfig {
            dir: self.audit_dir(data_dir),
            segment_bytes: self.count("audit.segment_megabytes") << 20,
            checkpoint_records: self.count("audit.checkpoint_records"),
            checkpoint_every: Duration::from_secs(self.count("audit.checkpoint_seconds")),
            keep: days(self, "audit.keep_days").map(|days| Duration::from_secs(u64::from(days) * 86_400)),
            keep_addresses_days: days(self, "audit.keep_addresses_days"),
            anchors: AnchorsConfig {
                file: self.optional_text("audit.anchors.file").map(PathBuf::from),
                syslog: self.optional_text("audit.anchors.syslog").and_then(|text| SyslogPlace::parse(&text)),
                webhook: self.optional_text("audit.anchors.webhook").and_then(|text| Url::parse(&text).ok()),
                webhook_token: self.secret("audit.anchors.webhook_token").map(|(token, _)| token),
            },
        }
    }

    fn audit_dir(&mut self, data_dir: &Path) -> PathBuf {
        if let Some(path) = self.optional_text("audit.dir") {
            return PathBuf::from(path);
        }
        let path = data_dir.join("audit");
        self.derived.insert("audit.dir", path.display().to_string());
        path
    }

    fn auth(&mut self, server: &ServerConfig) -> AuthConfig {
        let said = self.optional_text("auth.signup");
        let signup = match said.as_deref() {
            Some("allowlist") => Signup::Allowlist,
            Some("invite") => Signup::Invite,
            Some(_) => Signup::Open,
            None => {
                self.derived.insert("auth.signup", "open".into());
                Signup::Open
            }
        };
        let allowlist = self.list("auth.allowlist");
        if signup == Signup::Allowlist && allowlist.is_empty() {
            let wrong = Wrong::new(
                "signup is by allowlist, and the list is empty: nobody could log in",
                "list Spotify user ids",
            );
            self.problem("auth.allowlist", wrong.coded("CONFIG_MISSING"));
        }
        AuthConfig {
            multi_user: self.flag("auth.multi_user"),
            local_without_credential: self.flag("auth.local_without_credential"),
            signup,
            signup_is_said: said.is_some(),
            allowlist,
            api_keys: self.flag("auth.api_keys"),
            registration: match self.text("auth.registration").as_str() {
                "local_only" => RegistrationMode::LocalOnly,
                "off" => RegistrationMode::Off,
                _ => RegistrationMode::Open,
            },
            clients: self.clients(),
            documents: self.documents(server),
            lifetimes: self.lifetimes(),
        }
    }

    fn lifetimes(&mut self) -> Lifetimes {
        let lifetimes = Lifetimes {
            browser_session: self.span("auth.lifetimes.browser_session"),
            code: self.span("auth.lifetimes.code"),
            access_token: self.span("auth.lifetimes.access_token"),
            refresh_token: self.span("auth.lifetimes.refresh_token"),
            refresh_family: self.span("auth.lifetimes.refresh_family"),
            mcp_session: self.span("auth.lifetimes.mcp_session"),
            unused_client: self.span("auth.lifetimes.unused_client"),
            idle_client: self.span("auth.lifetimes.idle_client"),
        };
        if lifetimes.refresh_token > lifetimes.refresh_family {
            let why = "it is shorter than refresh_token, which could then never be used up";
            self.problem(
                "auth.lifetimes.refresh_family",
                Wrong::new(why, "write at least the value of refresh_token"),
            );
        }
        lifetimes
    }

    fn security(&mut self) -> SecurityConfig {
        let named = self.optional_text("security.environment");
        if named.is_none() {
            self.derived.insert("security.environment", "development".into());
        }
        SecurityConfig {
            environment_is_named: named.is_some(),
            environment: environment(named.as_deref()),
            master_key: self.master_key(),
            login_timeout: Duration::from_secs(60 * self.count("security.login_timeout_minutes")),
            max_sessions_per_user: self.number("security.max_sessions_per_user"),
            request_signing: self.flag("security.request_signing"),
            max_key_age: KeyAges {
                master: self.number("security.max_key_age_days.master"),
                data: self.number("security.max_key_age_days.data"),
                signing: self.number("security.max_key_age_days.signing"),
                spotify_client: self.number("security.max_key_age_days.spotify_client"),
            },
        }
    }

    fn master_key(&mut self) -> MasterKeyConfig {
        let credentials = self.variables.get("CREDENTIALS_DIRECTORY");
        let credential =
            credentials.map(|(folder, _)| Path::new(folder).join("master-key")).filter(|path| path.exists());
        let passphrase = self.secret("security.passphrase");
        let value = self.secret("security.master_key");
        if passphrase.is_some() && value.is_some() {
            let wrong =
                Wrong::new("there is a master key too, and only one can hold", "remove one of the two");
            self.problem("security.passphrase", wrong.coded("CONFIG_SAID_TWICE"));
        }
        let kdf = match self.text("security.kdf").as_str() {
            "pbkdf2-sha256" => PassphraseKdf::Pbkdf2Sha256,
            _ => PassphraseKdf::Argon2id,
        };
        MasterKeyConfig {
            value,
            credential,
            command: self.list("security.master_key_command"),
            passphrase,
            kdf,
        }
    }

    fn limits(&mut self) -> LimitsConfig {
        LimitsConfig {
            calls_per_user_per_minute: self.number("limits.calls_per_user_per_minute"),
            reads_per_user_per_minute: self.number("limits.reads_per_user_per_minute"),
            writes_per_user_per_minute: self.number("limits.writes_per_user_per_minute"),
            player_calls_per_user_per_minute: self.number("limits.player_calls_per_user_per_minute"),
            calls_per_client_per_minute: self.number("limits.calls_per_client_per_minute"),
            concurrent_calls_per_user: self.number("limits.concurrent_calls_per_user"),
            concurrent_calls: self.number("limits.concurrent_calls"),
            registrations_per_address_per_hour: self.number("limits.registrations_per_address_per_hour"),
            unused_clients_per_address_per_day: self.number("limits.unused_clients_per_address_per_day"),
            unused_clients: self.number("limits.unused_clients"),
            client_documents_per_address_per_minute: self
                .number("limits.client_documents_per_address_per_minute"),
            failed_attempts_per_address_per_minute: self
                .number("limits.failed_attempts_per_address_per_minute"),
            api_keys_per_user: self.number("limits.api_keys_per_user"),
            logins_per_address_per_minute: self.number("limits.logins_per_address_per_minute"),
            logins_in_progress: self.number("limits.logins_in_progress"),
            connections: self.number("limits.connections"),
            mcp_body_bytes: self.count("limits.mcp_body_bytes"),
            body_bytes: self.count("limits.body_bytes"),
            mcp_session_idle: Duration::from_secs(self.count("limits.mcp_session_idle_seconds")),
            mcp_connections_per_user: self.number("limits.mcp_connections_per_user"),
            undo_for: Duration::from_secs(24 * 3600 * self.count("limits.undo_days")),
        }
    }

    fn telemetry(&mut self) -> TelemetryConfig {
        let (metrics_listen, metrics_token) = self.metrics();
        TelemetryConfig {
            metrics_listen,
            metrics_token,
            log_level: level(&self.text("telemetry.log_level")),
            log_file: self.optional_text("telemetry.log_file").map(PathBuf::from),
            log_format: match self.text("telemetry.log_format").as_str() {
                "json" => LogFormat::Json,
                _ => LogFormat::Text,
            },
            log_rotation: match self.text("telemetry.log_rotation").as_str() {
                "hourly" => LogRotation::Hourly,
                "never" => LogRotation::Never,
                _ => LogRotation::Daily,
            },
            log_keep: self.number("telemetry.log_keep"),
        }
    }
}

/// The origin as browsers send it: no trailing slash.
pub fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[allow(clippy::expect_used, reason = "the text is a constant, and a test of this module reads it")]
pub(super) fn loopback() -> Url {
    Url::parse("http://127.0.0.1").expect("a constant URL")
}

fn environment(name: Option<&str>) -> Environment {
    match name {
        Some("production") => Environment::Production,
        Some("staging") => Environment::Staging,
        _ => Environment::Development,
    }
}

fn level(name: &str) -> LogLevel {
    let at = checks::LOG_LEVELS.iter().position(|level| *level == name);
    [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace][at.unwrap_or(2)]
}
