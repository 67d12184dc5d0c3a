//! What each environment refuses: `policies/environments.toml` applied to facts.
//!
//! Pure: facts in, verdicts out. Who gathers the facts (files, flags, configuration) is not known here.

use std::fmt;

use serde::Deserialize;

use crate::failure::{During, Failure};

const POLICY: &str = include_str!("../../policies/environments.toml");

/// Where a server runs, and so whose rules hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// One's own machine; the default while everything is on loopback.
    #[default]
    Development,
    /// Like production, with room for a trial.
    Staging,
    /// Other people's data.
    Production,
}

impl Environment {
    /// The name in configuration and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// What is true of a server about to start.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Whose rules hold.
    pub environment: Environment,
    /// The environment was named rather than assumed.
    pub environment_is_named: bool,
    /// The listener is on a loopback address.
    pub listener_on_loopback: bool,
    /// The public URL's host is a loopback address or `localhost`.
    pub public_url_on_loopback: bool,
    /// The public URL is https.
    pub public_url_has_tls: bool,
    /// The simulated Spotify takes the real one's place.
    pub sandbox: bool,
    /// Upstream hosts that are not Spotify's (`accounts.spotify.com`, `api.spotify.com`), each behind its key.
    pub foreign_upstreams: Vec<(&'static str, String)>,
    /// Hosts of upstream URLs in plain http that are not loopback, each behind its key.
    pub upstreams_without_tls: Vec<(&'static str, String)>,
    /// The master key comes from `<data_dir>/master.key`, named by nobody.
    pub master_key_beside_data: bool,
    /// Files with secrets that everybody may read.
    pub secret_files_readable_by_others: Vec<String>,
    /// The log level is debug or trace, with no end set.
    pub debug_log: bool,
    /// The redirect URI's host is the name `localhost`.
    pub redirect_to_localhost: bool,
    /// The redirect URI is plain http and not on loopback.
    pub redirect_without_tls: bool,
    /// The operator has acknowledged Spotify's Developer Policy.
    pub policy_acknowledged: bool,
    /// An app has extended quota and `auth.signup` was not said.
    pub signup_unset_with_extended_quota: bool,
    /// One local user without a credential.
    pub local_without_credential: bool,
    /// One local user instead of many.
    pub single_user: bool,
}

/// What a rule says about a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing to say.
    Allow,
    /// It starts, and the operator is told.
    Warn,
    /// It does not start.
    Refuse,
}

/// A rule that holds against a server: a warning or a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Stable, for example `PUBLIC_URL_WITHOUT_TLS`.
    pub code: String,
    /// [`Verdict::Warn`] or [`Verdict::Refuse`].
    pub verdict: Verdict,
    /// The key to look at.
    pub key: &'static str,
    /// What is wrong, with what was seen.
    pub why: String,
    /// What to do.
    pub fix: String,
}

/// The parsed policy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentPolicy {
    #[serde(rename = "rule")]
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    code: String,
    condition: Condition,
    development: Verdict,
    staging: Verdict,
    production: Verdict,
    why: String,
    fix: String,
}

impl EnvironmentPolicy {
    /// The policy this program was built with. Fails only if it was built from a broken file.
    pub fn built_in() -> Result<Self, Failure> {
        toml::from_str(POLICY).during("reading the built-in environment policy")
    }

    /// Every rule that holds against `facts`, in the policy's order.
    pub fn judge(&self, facts: &Facts) -> Vec<Judgement> {
        self.rules.iter().filter_map(|rule| rule.judge(facts)).collect()
    }
}

impl Rule {
    fn judge(&self, facts: &Facts) -> Option<Judgement> {
        let verdict = match facts.environment {
            Environment::Development => self.development,
            Environment::Staging => self.staging,
            Environment::Production => self.production,
        };
        if verdict == Verdict::Allow {
            return None;
        }
        let seen = self.condition.seen_in(facts)?;
        let why = if seen.is_empty() { self.why.clone() } else { format!("{} ({seen})", self.why) };
        let (code, key, fix) = (self.code.clone(), self.condition.key(facts), self.fix.clone());
        Some(Judgement { code, verdict, key, why, fix })
    }
}

/// What a rule can be about. A condition added here must be in the policy file, or a test fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Condition {
    EnvironmentUnnamedOffLoopback,
    PublicUrlWithoutTls,
    Sandbox,
    SandboxOffLoopback,
    ForeignUpstream,
    UpstreamWithoutTls,
    MasterKeyBesideData,
    SecretFileReadableByOthers,
    DebugLog,
    RedirectToLocalhost,
    RedirectWithoutTls,
    PolicyUnacknowledged,
    SignupUnsetWithExtendedQuota,
    LocalWithoutCredential,
    SingleUserOffLoopback,
}

impl Condition {
    /// The details of what was seen where the condition holds (empty: nothing to add), `None` where it does not.
    fn seen_in(self, facts: &Facts) -> Option<String> {
        let on_loopback = facts.listener_on_loopback && facts.public_url_on_loopback;
        let plain = |holds: bool| holds.then(String::new);
        let listed = |items: &[String]| (!items.is_empty()).then(|| items.join(", "));
        let hosts = |items: &[(&str, String)]| {
            let mut hosts: Vec<String> = items.iter().map(|(_, host)| host.clone()).collect();
            hosts.dedup();
            listed(&hosts)
        };
        match self {
            Self::EnvironmentUnnamedOffLoopback => plain(!facts.environment_is_named && !on_loopback),
            Self::PublicUrlWithoutTls => plain(!facts.public_url_has_tls && !facts.public_url_on_loopback),
            Self::Sandbox => plain(facts.sandbox),
            Self::SandboxOffLoopback => plain(facts.sandbox && !on_loopback),
            Self::ForeignUpstream => hosts(&facts.foreign_upstreams),
            Self::UpstreamWithoutTls => hosts(&facts.upstreams_without_tls),
            Self::MasterKeyBesideData => plain(facts.master_key_beside_data),
            Self::SecretFileReadableByOthers => listed(&facts.secret_files_readable_by_others),
            Self::DebugLog => plain(facts.debug_log),
            Self::RedirectToLocalhost => plain(facts.redirect_to_localhost),
            Self::RedirectWithoutTls => plain(facts.redirect_without_tls),
            Self::PolicyUnacknowledged => plain(!facts.policy_acknowledged),
            Self::SignupUnsetWithExtendedQuota => plain(facts.signup_unset_with_extended_quota),
            Self::LocalWithoutCredential => plain(facts.local_without_credential),
            Self::SingleUserOffLoopback => plain(facts.single_user && !on_loopback),
        }
    }

    /// The key that it is about; of several the first.
    fn key(self, facts: &Facts) -> &'static str {
        let first = |of: &[(&'static str, String)]| of.first().map_or("spotify.api_url", |(key, _)| key);
        match self {
            Self::EnvironmentUnnamedOffLoopback => "security.environment",
            Self::PublicUrlWithoutTls => "server.public_url",
            Self::Sandbox | Self::SandboxOffLoopback => "--sandbox",
            Self::ForeignUpstream => first(&facts.foreign_upstreams),
            Self::UpstreamWithoutTls => first(&facts.upstreams_without_tls),
            Self::MasterKeyBesideData => "security.master_key",
            Self::SecretFileReadableByOthers => "security",
            Self::DebugLog => "telemetry.log_level",
            Self::RedirectToLocalhost | Self::RedirectWithoutTls => "spotify.redirect_uri",
            Self::PolicyUnacknowledged => "spotify.policy_acknowledged",
            Self::SignupUnsetWithExtendedQuota => "auth.signup",
            Self::LocalWithoutCredential => "auth.local_without_credential",
            Self::SingleUserOffLoopback => "auth.multi_user",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A production server with nothing against it.
    fn sound(environment: Environment) -> Facts {
        Facts {
            environment,
            environment_is_named: true,
            public_url_has_tls: true,
            policy_acknowledged: true,
            ..Facts::default()
        }
    }

    fn codes(facts: &Facts, verdict: Verdict) -> Vec<String> {
        let judged = EnvironmentPolicy::built_in().unwrap().judge(facts);
        judged.into_iter().filter(|one| one.verdict == verdict).map(|one| one.code).collect()
    }

    #[test]
    fn every_condition_has_exactly_one_rule_and_every_code_is_unique() {
        let policy = EnvironmentPolicy::built_in().unwrap();
        let mut conditions: Vec<_> = policy.rules.iter().map(|rule| rule.condition as usize).collect();
        conditions.sort_unstable();
        let last = Condition::SingleUserOffLoopback as usize;
        assert_eq!(conditions, (0..=last).collect::<Vec<_>>());
        let mut codes: Vec<_> = policy.rules.iter().map(|rule| &rule.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), policy.rules.len());
    }

    #[test]
    fn a_sound_server_hears_nothing() {
        for environment in [Environment::Staging, Environment::Production] {
            assert!(EnvironmentPolicy::built_in().unwrap().judge(&sound(environment)).is_empty());
        }
    }

    #[test]
    fn production_refuses_what_the_contract_names() {
        let facts = Facts {
            public_url_has_tls: false,
            sandbox: true,
            foreign_upstreams: vec![("spotify.accounts_url", "evil.example".into())],
            master_key_beside_data: true,
            secret_files_readable_by_others: vec!["/etc/key".into()],
            ..sound(Environment::Production)
        };
        assert_eq!(
            codes(&facts, Verdict::Refuse),
            [
                "PUBLIC_URL_WITHOUT_TLS",
                "SANDBOX",
                "SANDBOX_OFF_LOOPBACK",
                "FOREIGN_UPSTREAM",
                "MASTER_KEY_BESIDE_DATA",
                "SECRET_FILE_READABLE_BY_OTHERS"
            ]
        );
        let elsewhere = Facts { environment: Environment::Development, ..facts };
        assert_eq!(codes(&elsewhere, Verdict::Refuse), ["SANDBOX_OFF_LOOPBACK"]);
    }

    #[test]
    fn development_may_be_assumed_on_loopback_only() {
        let mut facts =
            Facts { listener_on_loopback: true, public_url_on_loopback: true, ..Facts::default() };
        assert!(codes(&facts, Verdict::Refuse).is_empty());
        facts.public_url_on_loopback = false;
        assert_eq!(codes(&facts, Verdict::Refuse), ["ENVIRONMENT_UNNAMED_OFF_LOOPBACK"]);
    }

    #[test]
    fn what_was_seen_is_in_the_message() {
        let facts = Facts {
            foreign_upstreams: vec![
                ("spotify.accounts_url", "a.example".into()),
                ("spotify.api_url", "b.example".into()),
            ],
            ..sound(Environment::Production)
        };
        let judged = EnvironmentPolicy::built_in().unwrap().judge(&facts);
        assert!(judged[0].why.ends_with("(a.example, b.example)"), "{}", judged[0].why);
        assert_eq!(judged[0].key, "spotify.accounts_url");
    }
}
