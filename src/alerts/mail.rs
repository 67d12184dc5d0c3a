//! Mails: one plain text to everybody who is told, through the operator's mail server and a gate of its own.
//!
//! Never: a word without TLS but to loopback outside production, what the server says beyond its codes, a name that
//! somebody outside chose in a header.

use std::time::{Duration, SystemTime};

use http::Uri;
use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::extension::ClientId;
use url::{Host, Url};

use crate::ambient::Clock;
use crate::config::{MailConfig, MailTls};
use crate::crypto::SecretString;
use crate::egress::{EgressError, Gate, Limits};

use super::smtp::{self, Stopped};
use super::{Message, Undelivered};

/// Most bytes that a server may say.
const ANSWERS: usize = 16 * 1024;

/// So that nothing answers by itself (RFC 3834 5).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

/// A mail server, and who is told through it.
pub struct Mailer {
    gate: Gate,
    target: Uri,
    tls: MailTls,
    login: Option<(String, SecretString)>,
    from: Address,
    to: Vec<Address>,
    hello: ClientId,
    within: Duration,
    clock: Clock,
}

impl Mailer {
    /// `None`: the configuration holds what it cannot hold.
    pub(super) fn new(mail: &MailConfig, gate: Gate, issuer: &str, clock: &Clock) -> Option<Self> {
        Some(Self {
            gate,
            target: target(mail).parse().ok()?,
            tls: mail.tls,
            login: mail.login.clone(),
            from: mail.from.parse().ok()?,
            to: mail.to.iter().map(|address| address.parse()).collect::<Result<_, _>>().ok()?,
            hello: hello(issuer),
            within: mail.timeout,
            clock: clock.clone(),
        })
    }

    pub(super) const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Sends once. It is told where the server took it for at least one of them; a test wants it for all.
    pub(super) async fn send(&self, message: &Message) -> Result<(), Undelivered> {
        let sent = self.converse(message).await;
        self.gate.ended(match &sent {
            Err(Stopped::Way(error)) => Err(error),
            Ok(_) | Err(Stopped::Answered(_)) => Ok(()),
        });
        let refused = sent.map_err(Stopped::undelivered)?;
        if refused == 0 {
            return Ok(());
        }
        let why = format!(
            "the mail server refused {refused} of {} recipients; the others were told",
            self.to.len()
        );
        if message.is_test() {
            return Err(Undelivered::new("recipient_refused", why));
        }
        tracing::warn!(alert = message.id, "{why}: see 'alerts test'");
        Ok(())
    }

    /// The whole conversation; how many recipients were refused.
    async fn converse(&self, message: &Message) -> Result<usize, Stopped> {
        let mail = self.compose(message)?;
        let mut opened = self.gate.open(&self.target, Limits::within(self.within, ANSWERS)).await?;
        if self.tls == MailTls::Starttls {
            smtp::ask_for_tls(&mut opened, &self.hello).await?;
        }
        if self.tls != MailTls::None {
            opened = self.gate.secure(opened).await?;
        }
        let envelope = smtp::Envelope {
            hello: &self.hello,
            login: self.login.as_ref(),
            from: &self.from,
            to: &self.to,
            greeted: self.tls == MailTls::Starttls,
        };
        smtp::hand_over(opened, &envelope, &mail).await
    }

    fn compose(&self, message: &Message) -> Result<Vec<u8>, Undelivered> {
        let mailbox = |address: &Address| Mailbox::new(None, address.clone());
        let now = u64::try_from(self.clock.now().secs()).unwrap_or_default();
        let mut mail = lettre::Message::builder()
            .from(mailbox(&self.from))
            .subject(message.subject())
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(now))
            // The same at every try: two of one alert are seen to be one.
            .message_id(Some(format!("<{}@{}>", message.id, self.from.domain())))
            .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()));
        for address in &self.to {
            mail = mail.to(mailbox(address));
        }
        let mail = mail.singlepart(SinglePart::plain(message.text().to_owned()));
        let mail = mail.map_err(|_| Undelivered::new("unusable", "no mail can be made of it"))?;
        Ok(mail.formatted())
    }
}

/// Where the server is, as a gate's list has it.
pub(super) fn target(mail: &MailConfig) -> String {
    let scheme = if mail.tls == MailTls::None { "http" } else { "https" };
    format!("{scheme}://{}:{}/", mail.host, mail.port)
}

/// What we call ourselves: the host that clients see.
fn hello(issuer: &str) -> ClientId {
    match Url::parse(issuer).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => ClientId::Domain(name.to_owned()),
        Some(Host::Ipv4(address)) => ClientId::Ipv4(address),
        Some(Host::Ipv6(address)) => ClientId::Ipv6(address),
        None => ClientId::default(),
    }
}

impl From<EgressError> for Stopped {
    fn from(error: EgressError) -> Self {
        Self::Way(error)
    }
}

impl From<Undelivered> for Stopped {
    fn from(why: Undelivered) -> Self {
        Self::Answered(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::GatePolicy;

    fn mailer() -> Mailer {
        let mail = MailConfig {
            host: "smtp.example.org".to_owned(),
            port: 465,
            tls: MailTls::Implicit,
            login: None,
            from: "music@example.org".to_owned(),
            to: vec!["root@localhost".to_owned(), "o'neil+ops@b-c.example.org".to_owned()],
            timeout: Duration::from_secs(5),
        };
        let gate = Gate::new(GatePolicy::new(), Clock::system());
        Mailer::new(&mail, gate, "https://music.example.org", &Clock::system()).unwrap()
    }

    #[test]
    fn a_mail_is_plain_bounded_and_known_again() {
        let config = crate::config::load(&crate::config::Sources::default()).unwrap();
        let message = Message::test("al_x", config.as_far_as_valid(), Clock::system().now());
        let mail = String::from_utf8(mailer().compose(&message).unwrap()).unwrap();
        let (head, body) = mail.split_once("\r\n\r\n").unwrap();
        for line in [
            "From: music@example.org",
            "To: root@localhost, o'neil+ops@b-c.example.org",
            "Subject: [spotify-mcp development] test: nothing happened",
            "Message-ID: <al_x@example.org>",
            "Auto-Submitted: auto-generated",
            "Content-Type: text/plain; charset=utf-8",
            "MIME-Version: 1.0",
        ] {
            assert!(head.lines().any(|is| is == line), "{line} is not in\n{head}");
        }
        assert!(body.contains("This is a test: nothing happened.") && mail.is_ascii());
        assert!(
            mail.lines().all(|line| line.len() < 998) && !mail.replace("\r\n", "").contains(['\r', '\n'])
        );
        assert_eq!(mailer().hello.to_string(), "music.example.org");
        assert_eq!(hello("http://127.0.0.1:8000").to_string(), "[127.0.0.1]");
    }
}
