//! Whom to tell what happened: what the keys of `alerts.` say, and what one of them demands of another.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::build::Build;
use super::is_on_loopback;
use super::mail::MailConfig;
use super::problem::Wrong;
use super::quoting::quoted;
use super::value::duration;
use crate::crypto::SecretString;
use crate::policy::RuleChange;
use crate::policy::alerts::{BUILT_IN, MOST};

/// Whom to tell, and when.
#[derive(Clone, Debug)]
pub struct AlertsConfig {
    /// A receiver of webhooks.
    pub webhook: Option<WebhookConfig>,
    /// Mail.
    pub mail: Option<MailConfig>,
    /// A program and its arguments; none where it is empty.
    pub command: Vec<String>,
    /// Whether webhook and mail server may be in the operator's own network.
    pub allow_private: bool,
    /// A PEM file of authorities that vouch for them, beside the web's.
    pub ca: Option<PathBuf>,
    /// Other thresholds and windows than the built-in ones.
    pub rules: Vec<RuleChange>,
    /// How often a delivery is tried before it is given up.
    pub max_attempts: u32,
}

/// A receiver of webhooks.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Where; a secret, because many receivers know their senders by it.
    pub url: SecretString,
    /// What requests are signed with: `whsec_` and base64.
    pub secret: SecretString,
}

impl Build<'_> {
    pub(super) fn alerts(&mut self) -> AlertsConfig {
        let url = self.secret("alerts.webhook_url").map(|(url, _)| url);
        let secret = self.secret("alerts.webhook_secret").map(|(secret, _)| secret);
        let refused = self.gathered.problems.iter().any(|problem| problem.key.starts_with("alerts.webhook_"));
        let missing = match (&url, &secret) {
            (Some(_), None) => Some(("alerts.webhook_secret", "alerts.webhook_url")),
            (None, Some(_)) => Some(("alerts.webhook_url", "alerts.webhook_secret")),
            _ => None,
        };
        if let Some((missing, set)) = missing.filter(|_| !refused) {
            let fix = "set both, the secret to the one that your receiver shows or to 'whsec_' and the output of \
                'openssl rand -base64 32'";
            let wrong = Wrong::new(format!("it is not set, and {set} needs it"), fix);
            self.problem(missing, wrong.coded("CONFIG_MISSING"));
        }
        AlertsConfig {
            webhook: url.zip(secret).map(|(url, secret)| WebhookConfig { url, secret }),
            mail: self.mail(),
            command: self.list("alerts.command"),
            allow_private: self.flag("alerts.allow_private"),
            ca: self.optional_text("alerts.ca").map(PathBuf::from),
            rules: self.list("alerts.rules").iter().filter_map(|text| rule_change(text).ok()).collect(),
            max_attempts: self.number("alerts.max_attempts"),
        }
    }
}

/// The address of a receiver; never quoted.
pub(super) fn webhook_url(text: &str) -> Result<(), Wrong> {
    let fix = "write the https:// URL of your receiver";
    let url = Url::parse(text).map_err(|_| Wrong::new("it is not a URL", fix))?;
    let secure = url.scheme() == "https" || (url.scheme() == "http" && is_on_loopback(&url));
    if !secure || url.host().is_none() {
        return Err(Wrong::new("it is not an https URL", fix));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(Wrong::new("it contains a user name, a password or a fragment", fix));
    }
    // What the gate reads must be what is written here.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Wrong::new("it has characters that no URL has", fix));
    }
    Ok(())
}

/// The secret of a receiver (Standard Webhooks: 24 to 64 bytes); never quoted.
pub(super) fn webhook_secret(text: &str) -> Result<(), Wrong> {
    let fix =
        "write the secret that your receiver shows, or 'whsec_' and the output of 'openssl rand -base64 32'";
    let Some(encoded) = text.strip_prefix("whsec_") else {
        return Err(Wrong::new("it does not begin with whsec_", fix));
    };
    match STANDARD.decode(encoded) {
        Ok(bytes) if (24..=64).contains(&bytes.len()) => Ok(()),
        Ok(_) => Err(Wrong::new("it is not of 24 to 64 bytes", fix)),
        Err(_) => Err(Wrong::new("it is not base64", fix)),
    }
}

/// The operator's word on one rule: `NAME=COUNT/WINDOW` or `NAME=off`.
pub(super) fn rule(text: &str) -> Result<(), Wrong> {
    rule_change(text).map(|_| ())
}

fn rule_change(text: &str) -> Result<RuleChange, Wrong> {
    let fix = "write NAME=COUNT/WINDOW, for example failed_logins=50/10m, or NAME=off";
    let Some((name, said)) = text.split_once('=') else {
        return Err(Wrong::new(format!("{} is no rule", quoted(text)), fix));
    };
    if !BUILT_IN.iter().any(|rule| rule.name == name) {
        let names: Vec<_> = BUILT_IN.iter().map(|rule| rule.name.as_str()).collect();
        let fix = format!("write one of {}", names.join(", "));
        return Err(Wrong::new(format!("there is no rule {}", quoted(name)), fix));
    }
    if said == "off" {
        return Ok(RuleChange { name: name.to_owned(), to: None });
    }
    let read = |(count, window): (&str, &str)| {
        let count = count.parse().ok().filter(|count| (1..=MOST.0).contains(count))?;
        let window = u32::try_from(duration(window)?.as_secs()).ok()?;
        (1..=MOST.1).contains(&window).then_some((count, window))
    };
    match said.split_once('/').and_then(read) {
        Some(to) => Ok(RuleChange { name: name.to_owned(), to: Some(to) }),
        None => Err(Wrong::new(format!("{} is no count and window", quoted(said)), fix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_https_or_on_loopback() {
        for good in ["https://hooks.example.org/x?y=1", "http://127.0.0.1:9000/", "http://[::1]:1/a"] {
            assert_eq!(webhook_url(good), Ok(()), "{good}");
        }
        for bad in [
            "http://hooks.example.org/",
            "ftp://x",
            "x",
            "https://u:p@x.example/",
            "https://x.example/#f",
            "https://x.example/ü",
        ] {
            let wrong = webhook_url(bad).unwrap_err();
            assert!(!wrong.why.contains("example"), "{}", wrong.why);
        }
    }

    #[test]
    fn secrets_have_their_form() {
        assert_eq!(webhook_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Ok(()));
        for bad in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_!"] {
            assert!(webhook_secret(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rules_are_changed_by_name() {
        let change = |text| rule_change(text).map(|change| change.to);
        assert_eq!(change("failed_logins=50/10m"), Ok(Some((50, 600))));
        assert_eq!(change("failed_logins=1/1"), Ok(Some((1, 1))));
        assert_eq!(change("blocked_host=off"), Ok(None));
        for bad in [
            "failed_logins",
            "failed_login=1/1m",
            "failed_logins=0/1m",
            "failed_logins=1/0",
            "failed_logins=1",
            "failed_logins=x/1m",
            "failed_logins=1/99d",
            "=off",
            "",
        ] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }
}
