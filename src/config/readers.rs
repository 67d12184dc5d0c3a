//! Holds that every key of the table is read by something outside of this module: a key that changes nothing must say so
//! in the reference ([`Role::Unused`]).

use std::path::Path;

use super::keys::Role;
use super::table::TABLE;

/// How the rest of the program reads a key, where `.name` would be found for other reasons or not at all.
const READ_AS: &[(&str, &str)] = &[
    ("spotify.client_id", "app.client_id"),
    ("spotify.client_secret", "app.client_secret"),
    ("spotify.redirect_uri", "spotify.redirect_uri"),
    ("spotify.quota_mode", "app.quota_mode"),
    ("spotify.seats", "app.seats"),
    ("spotify.apps", "spotify.apps"),
    ("spotify.accounts_url", "spotify.accounts_url"),
    ("spotify.api_url", "spotify.api_url"),
    ("spotify.policy_acknowledged", "facts.policy_acknowledged"),
    ("server.host", "server.listen()"),
    ("server.port", "server.port"),
    ("server.public_url", ".issuer()"),
    ("server.toolsets", "server.offer"),
    ("server.read_only", "server.offer"),
    ("server.tls.certificate", "server.tls"),
    ("server.tls.key", "server.tls"),
    ("server.drain_seconds", "server.drain"),
    ("storage.url", "storage.url"),
    ("storage.data_dir", "storage.data_dir"),
    ("auth.signup", "live.signup"),
    ("auth.allowlist", "live.allowlist"),
    ("auth.api_keys", "auth.api_keys"),
    ("auth.clients", "auth.clients"),
    ("auth.client_documents", "documents.mode"),
    ("auth.client_document_hosts", "documents.hosts"),
    ("auth.client_document_hosts_denied", "documents.hosts"),
    ("auth.client_document_ca", "documents.loopback_ca"),
    ("auth.lifetimes.code", "lifetimes.code"),
    ("auth.lifetimes.access_token", "lifetimes.access_token"),
    ("auth.lifetimes.refresh_token", "lifetimes.refresh_token"),
    ("auth.lifetimes.mcp_session", "lifetimes.mcp_session"),
    ("security.environment", "security.environment"),
    ("security.master_key", "said.value"),
    ("security.master_key_command", "said.command"),
    ("security.passphrase", "master_key.passphrase"),
    ("security.kdf", "PassphraseKdf::Pbkdf2Sha256"),
    ("security.login_timeout_minutes", "security.login_timeout"),
    ("security.max_key_age_days.master", "policy.master"),
    ("security.max_key_age_days.data", "policy.data"),
    ("security.max_key_age_days.signing", "policy.signing"),
    ("security.max_key_age_days.spotify_client", "policy.spotify_client"),
    ("limits.mcp_session_idle_seconds", ".mcp_session_idle"),
    ("limits.undo_days", "limits.undo_for"),
    ("network.allowed_hosts", "network.allowed_hosts"),
    ("api.timeout", "api.timeout"),
    ("audit.dir", "audit.dir"),
    ("audit.segment_megabytes", "audit.segment_bytes"),
    ("audit.checkpoint_records", "audit.checkpoint_records"),
    ("audit.checkpoint_seconds", "audit.checkpoint_every"),
    ("audit.keep_days", "audit.keep"),
    ("audit.keep_addresses_days", "keep_addresses_days"),
    ("audit.anchors.file", "config.file"),
    ("audit.anchors.syslog", "config.syslog"),
    ("audit.anchors.webhook", "config.webhook"),
    ("audit.anchors.webhook_token", "config.webhook_token"),
    ("alerts.webhook_url", "alerts.webhook"),
    ("alerts.webhook_secret", "alerts.webhook"),
    ("alerts.mail.host", "mail.host"),
    ("alerts.mail.port", "mail.port"),
    ("alerts.mail.tls", "mail.tls"),
    ("alerts.mail.username", "mail.login"),
    ("alerts.mail.password", "mail.login"),
    ("alerts.mail.from", "mail.from"),
    ("alerts.mail.to", "mail.to"),
    ("alerts.mail.timeout", "mail.timeout"),
    ("alerts.command", "alerts.command"),
    ("alerts.allow_private", ".allow_private"),
    ("alerts.ca", "config.ca"),
    ("alerts.rules", "alerts.rules"),
    ("telemetry.log_level", "telemetry.log_level"),
    ("telemetry.metrics_listen", "telemetry.metrics_listen"),
    ("telemetry.metrics_token", "telemetry.metrics_token"),
];

/// Its one value is what is served: nothing has to ask.
const ONE_VALUE: &[&str] = &["server.transports"];

#[test]
fn every_key_is_read_by_something_or_says_that_it_is_not() {
    let mut source = String::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut source);
    for spec in TABLE.iter().filter(|spec| spec.role == Role::Setting && !ONE_VALUE.contains(&spec.path)) {
        let own = format!(".{}", spec.path.rsplit('.').next().unwrap());
        let how = READ_AS.iter().find(|(key, _)| *key == spec.path).map_or(own.as_str(), |(_, how)| how);
        assert!(source.contains(how), "{} is read by nothing: give it Role::Unused, or use it", spec.path);
    }
    for (key, _) in READ_AS {
        assert!(TABLE.iter().any(|spec| spec.path == *key), "{key} is no key");
    }
}

/// The code of everything but the configuration itself, the simulator, comments and tests.
fn collect(folder: &Path, source: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("src/config") && !path.ends_with("spotify/sandbox") {
                collect(&path, source);
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            lines.for_each(|line| *source += &format!("{line}\n"));
        }
    }
}
