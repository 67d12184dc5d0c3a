//! The ways to tell somebody, each with what it needs, and why one did not work.

use crate::ambient::Clock;
use crate::config::AlertsConfig;
use crate::egress::{EgressError, Gate, GatePolicy, authorities};
use crate::policy::Environment;

use super::Message;
use super::command::Program;
use super::mail::{self, Mailer};
use super::webhook::Webhook;

/// The stable names of all channels.
pub const CHANNELS: [&str; 3] = ["webhook", "email", "command"];

/// A way to tell somebody.
pub enum Channel {
    /// An HTTP request that is signed.
    Webhook(Box<Webhook>),
    /// A mail.
    Email(Box<Mailer>),
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

/// Why a configured receiver can never be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoReceiver {
    /// The key to look at.
    pub key: &'static str,
    /// Why.
    pub why: String,
}

impl NoReceiver {
    /// What to do about it.
    pub const FIX: &str = "name a host that can be reached; for one in your own network set alerts.allow_private, and \
        alerts.ca where its certificate is your own";
}

/// Every channel of a configuration, for a server of this environment and issuer.
///
/// # Errors
/// Where a receiver can never be reached, or the file of authorities cannot be used.
pub fn channels(
    config: &AlertsConfig,
    (environment, issuer): (Environment, &str),
    clock: &Clock,
) -> Result<Vec<Channel>, NoReceiver> {
    let gate = |key, url: &str| gate((key, url), config, environment, clock);
    let mut channels = Vec::new();
    if let Some(webhook) = &config.webhook {
        let gate = gate("alerts.webhook_url", webhook.url.expose())?;
        channels.push(Channel::Webhook(Box::new(Webhook::new(webhook, gate, clock))));
    }
    if let Some(mail) = &config.mail {
        let gate = gate("alerts.mail.host", &mail::target(mail))?;
        let unusable = || NoReceiver { key: "alerts.mail.to", why: "an address cannot be used".to_owned() };
        let mailer = Mailer::new(mail, gate, issuer, clock).ok_or_else(unusable)?;
        channels.push(Channel::Email(Box::new(mailer)));
    }
    if !config.command.is_empty() {
        channels.push(Channel::Command(Program::new(&config.command)));
    }
    Ok(channels)
}

/// The gate to one receiver and to nobody else.
fn gate(
    (key, url): (&'static str, &str),
    config: &AlertsConfig,
    environment: Environment,
    clock: &Clock,
) -> Result<Gate, NoReceiver> {
    let mut policy = GatePolicy::new();
    if environment != Environment::Production {
        policy = policy.with_loopback();
    }
    if config.allow_private {
        policy = policy.with_private();
    }
    policy.concurrent = 4;
    let policy = policy.allow(url).map_err(|why| NoReceiver { key, why: why.to_string() })?;
    let Some(file) = &config.ca else { return Ok(Gate::new(policy, clock.clone())) };
    let unusable = |why| NoReceiver { key: "alerts.ca", why };
    let authorities = authorities(file).map_err(unusable)?;
    Gate::trusting_also(policy, clock.clone(), &authorities).map_err(|error| unusable(error.to_string()))
}

impl Channel {
    /// Its stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => CHANNELS[0],
            Self::Email(_) => CHANNELS[1],
            Self::Command(_) => CHANNELS[2],
        }
    }

    /// Tells it once, in bounded time.
    ///
    /// # Errors
    /// Why nobody was told, or may not have been.
    pub async fn tell(&self, message: &Message) -> Result<(), Undelivered> {
        match self {
            Self::Webhook(webhook) => webhook.post(message).await,
            Self::Email(mailer) => mailer.send(message).await,
            Self::Command(program) => program.run(message).await,
        }
    }

    /// The gate that it goes through.
    pub(super) fn gate(&self) -> Option<&Gate> {
        match self {
            Self::Webhook(webhook) => Some(webhook.gate()),
            Self::Email(mailer) => Some(mailer.gate()),
            Self::Command(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MailConfig, MailTls, WebhookConfig};
    use crate::crypto::SecretString;

    fn config(url: &str, allow_private: bool) -> AlertsConfig {
        let webhook = WebhookConfig { url: SecretString::new(url), secret: SecretString::new("whsec_") };
        let loaded = crate::config::load(&crate::config::Sources::default()).unwrap();
        let alerts = loaded.as_far_as_valid().alerts.clone();
        AlertsConfig { webhook: Some(webhook), allow_private, ..alerts }
    }

    fn key_of(config: &AlertsConfig, environment: Environment) -> Option<&'static str> {
        let made = channels(config, (environment, "https://music.example.org"), &Clock::system());
        made.err().map(|error| error.key)
    }

    #[test]
    fn private_receivers_are_reached_only_where_the_operator_says_so() {
        use Environment::{Development, Production};
        let url = Some("alerts.webhook_url");
        for (receiver, private, development, production) in [
            ("https://hooks.example.org/x", false, None, None),
            ("https://10.0.0.1/x", false, url, url),
            ("https://10.0.0.1/x", true, None, None),
            ("https://127.0.0.1/x", false, None, url),
            ("https://127.0.0.1/x", true, None, None),
            ("http://127.0.0.1/x", true, None, url),
            ("http://10.0.0.1/x", true, url, url),
            ("https://169.254.169.254/x", true, url, url),
        ] {
            let config = config(receiver, private);
            assert_eq!(key_of(&config, Development), development, "{receiver} {private}");
            assert_eq!(key_of(&config, Production), production, "{receiver} {private}");
        }
    }

    #[test]
    fn a_mail_server_is_judged_the_same_way_and_authorities_must_be_some() {
        let mail = |host: &str, tls| MailConfig {
            host: host.to_owned(),
            port: 25,
            tls,
            login: None,
            from: "a@example.org".to_owned(),
            to: vec!["b@example.org".to_owned()],
            timeout: std::time::Duration::from_secs(1),
        };
        let with = |host, tls, private| AlertsConfig {
            mail: Some(mail(host, tls)),
            ..config("https://a.example", private)
        };
        for (config, key) in [
            (with("smtp.example.org", MailTls::Starttls, false), None),
            (with("10.0.0.1", MailTls::Implicit, false), Some("alerts.mail.host")),
            (with("10.0.0.1", MailTls::Implicit, true), None),
            (with("smtp.example.org", MailTls::None, true), Some("alerts.mail.host")),
            (with("127.0.0.1", MailTls::None, true), Some("alerts.mail.host")),
            (
                AlertsConfig { ca: Some("/no/such/file".into()), ..config("https://a.example", true) },
                Some("alerts.ca"),
            ),
        ] {
            assert_eq!(key_of(&config, Environment::Production), key, "{config:?}");
        }
        let near = with("127.0.0.1", MailTls::None, false);
        assert_eq!(key_of(&near, Environment::Staging), None);
    }
}
