//! What the policy of an environment wants to know, gathered from a configuration and the files it names.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use url::Url;

use super::checks::is_on_loopback;
use super::{Config, LogLevel, Purpose, QuotaMode, master_key};
use crate::policy::environment::Facts;

/// Gathers the facts. Looks at the modes of `secret_files`, and whether a generated key lies in the data directory.
pub fn gather<'a>(
    config: &Config,
    purpose: Purpose,
    signup_is_said: bool,
    secret_files: impl Iterator<Item = &'a PathBuf>,
) -> Facts {
    let (server, spotify) = (&config.server, &config.spotify);
    let sandbox =
        matches!(purpose, Purpose::Serve { sandbox: true, .. } | Purpose::Administer { sandbox: true });
    let level_ends = matches!(purpose, Purpose::Serve { log_level_ends: true, .. });
    let upstreams = [
        ("spotify.accounts_url", &spotify.accounts_url, "accounts.spotify.com"),
        ("spotify.api_url", &spotify.api_url, "api.spotify.com"),
    ];
    let redirect = &spotify.redirect_uri;
    Facts {
        environment: config.security.environment,
        environment_is_named: config.security.environment_is_named,
        listener_on_loopback: server.host.is_loopback(),
        public_url_on_loopback: is_on_loopback(&server.public_url),
        public_url_has_tls: server.public_url.scheme() == "https",
        sandbox,
        foreign_upstreams: hosts(&upstreams, |url, own| url.host_str() != Some(own)),
        upstreams_without_tls: hosts(&upstreams, |url, _| url.scheme() != "https" && !is_on_loopback(url)),
        master_key_beside_data: key_lies_beside_data(config),
        secret_files_readable_by_others: readable_by_others(secret_files),
        debug_log: config.telemetry.log_level >= LogLevel::Debug && !level_ends,
        redirect_to_localhost: redirect.host_str() == Some("localhost"),
        redirect_without_tls: redirect.scheme() != "https" && !is_on_loopback(redirect),
        // The simulated Spotify has no content to protect.
        policy_acknowledged: spotify.policy_acknowledged || sandbox,
        signup_unset_with_extended_quota: !signup_is_said
            && spotify.apps.iter().any(|app| app.quota_mode == QuotaMode::Extended),
        local_without_credential: config.auth.local_without_credential && !config.auth.multi_user,
        single_user: !config.auth.multi_user,
    }
}

fn hosts(
    upstreams: &[(&'static str, &Url, &str)],
    holds: impl Fn(&Url, &str) -> bool,
) -> Vec<(&'static str, String)> {
    let chosen = upstreams.iter().filter(|(_, url, own)| holds(url, own));
    chosen.filter_map(|(key, url, _)| Some((*key, url.host_str()?.to_owned()))).collect()
}

/// Whether the master key would be taken from `<data_dir>/master.key`.
fn key_lies_beside_data(config: &Config) -> bool {
    no_key_is_said(config) && master_key::generated_path(&config.storage.data_dir).exists()
}

/// Whether no source of a master key was named.
pub fn no_key_is_said(config: &Config) -> bool {
    let said = &config.security.master_key;
    said.value.is_none() && said.credential.is_none() && said.command.is_empty() && said.passphrase.is_none()
}

fn readable_by_others<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Vec<String> {
    let exposed = files.filter(|path| path.metadata().is_ok_and(|file| file.mode() & 0o004 != 0));
    exposed.map(|path| path.display().to_string()).collect()
}
