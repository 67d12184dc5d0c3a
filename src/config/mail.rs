//! Telling by e-mail: what the keys of `alerts.mail.` say, and what one of them demands of another. Never: a mail that
//! goes out without TLS, but to this very machine and outside production.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::build::Build;
use super::problem::Wrong;
use super::quoting::{quoted, shown};
use crate::crypto::SecretString;

/// Most people who are told.
const MOST: usize = 10;

/// A mail server, and who is told through it.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// Its name, or its address (IPv6 in brackets).
    pub host: String,
    /// Its port.
    pub port: u16,
    /// When TLS begins.
    pub tls: MailTls,
    /// Who logs in, and with which password.
    pub login: Option<(String, SecretString)>,
    /// Where mails come from.
    pub from: String,
    /// Who is told.
    pub to: Vec<String>,
    /// For one mail.
    pub timeout: Duration,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// With the first byte (RFC 8314 3).
    Implicit,
    /// Before anything is told (RFC 3207).
    Starttls,
    /// Never: loopback outside production.
    None,
}

impl Build<'_> {
    pub(super) fn mail(&mut self) -> Option<MailConfig> {
        let said = |build: &Self, key: &str| build.said(&format!("alerts.mail.{key}")).is_some();
        let keys = ["from", "to", "username", "password", "port", "tls", "timeout"];
        let refused = self.gathered.problems.iter().any(|problem| problem.key.starts_with("alerts.mail."));
        let Some(host) = self.optional_text("alerts.mail.host") else {
            if let Some(key) = keys.iter().find(|key| said(self, key)).filter(|_| !refused) {
                self.mail_lacks(
                    "alerts.mail.host",
                    &format!("alerts.mail.{key}"),
                    "the name of your mail server",
                );
            }
            return None;
        };
        let tls = match self.text("alerts.mail.tls").as_str() {
            "starttls" => MailTls::Starttls,
            "none" => MailTls::None,
            _ => MailTls::Implicit,
        };
        let login = self.login(refused);
        let from = self.optional_text("alerts.mail.from");
        let to = self.list("alerts.mail.to");
        if from.is_none() && !refused {
            self.mail_lacks("alerts.mail.from", "alerts.mail.host", "the address that mails come from");
        }
        if to.is_empty() && !refused {
            self.mail_lacks("alerts.mail.to", "alerts.mail.host", "the addresses of those who are told");
        }
        if to.len() > MOST {
            let wrong = Wrong::new(
                format!("it names more than {MOST} addresses"),
                "name a list of your mail server's",
            );
            self.problem("alerts.mail.to", wrong);
        }
        let host = in_brackets(host);
        self.judge_plaintext(tls, &host);
        let (port, timeout) = (self.mail_port(tls), self.span("alerts.mail.timeout"));
        Some(MailConfig { host, port, tls, login, from: from.unwrap_or_default(), to, timeout })
    }

    fn login(&mut self, refused: bool) -> Option<(String, SecretString)> {
        let username = self.optional_text("alerts.mail.username");
        let password = self.secret("alerts.mail.password").map(|(password, _)| password);
        match (&username, &password) {
            (Some(_), None) if !refused => {
                self.mail_lacks("alerts.mail.password", "alerts.mail.username", "its password");
            }
            (None, Some(_)) if !refused => {
                self.mail_lacks("alerts.mail.username", "alerts.mail.password", "who logs in");
            }
            _ => {}
        }
        username.zip(password)
    }

    fn mail_port(&mut self, tls: MailTls) -> u16 {
        if let Ok(port @ 1..) = u16::try_from(self.count("alerts.mail.port")) {
            return port;
        }
        let port = match tls {
            MailTls::Implicit => 465,
            MailTls::Starttls => 587,
            MailTls::None => 25,
        };
        self.derived.insert("alerts.mail.port", port.to_string());
        port
    }

    fn judge_plaintext(&mut self, tls: MailTls, host: &str) {
        let here = literal(host).is_some_and(|address| address.is_loopback());
        let production = self.text("security.environment") == "production";
        if tls != MailTls::None || (here && !production) {
            return;
        }
        let why = match production {
            true => "mails do not leave without TLS in production",
            false => {
                "the mail server is not at an address of loopback, and mails would go to it readable by others"
            }
        };
        let wrong =
            Wrong::new(why, "write implicit or starttls, with alerts.ca for a certificate of your own");
        self.problem("alerts.mail.tls", wrong.coded("MAIL_WITHOUT_TLS"));
    }

    fn mail_lacks(&mut self, missing: &'static str, set: &str, what: &str) {
        let wrong = Wrong::new(format!("it is not set, and {set} needs it"), format!("set it to {what}"));
        self.problem(missing, wrong.coded("CONFIG_MISSING"));
    }
}

/// The host of a mail server.
pub(super) fn host(text: &str) -> Result<(), Wrong> {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let name =
        text.len() <= 253 && text.split('.').all(label) && !last.starts_with(|c: char| c.is_ascii_digit());
    if name || literal(text).is_some() {
        return Ok(());
    }
    let fix = "write a name such as smtp.example.org; its port is alerts.mail.port";
    Err(Wrong::new(format!("{} is no host", shown(text)), fix))
}

/// An address of a person or a program, in the plain form that every mail server takes (RFC 5321 4.1.2 without quoting).
pub(super) fn address(text: &str) -> Result<(), Wrong> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let valid = text.split_once('@').is_some_and(|(local, domain)| {
        let local_is = (1..=64).contains(&local.len()) && local.bytes().all(known);
        let label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
        let domain_is = !domain.contains('_') && domain.split('.').all(label) && host(domain).is_ok();
        local_is && local.split('.').all(|part| !part.is_empty()) && domain_is && literal(domain).is_none()
    });
    if valid && text.len() <= 254 {
        return Ok(());
    }
    Err(Wrong::new(
        format!("{} is no mail address", quoted(text)),
        "write an address alone, such as ops@example.org",
    ))
}

/// The address that a host is, where it is one: `127.0.0.1`, `::1`, `[::1]`.
fn literal(host: &str) -> Option<IpAddr> {
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let v6 = || inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    host.parse::<Ipv4Addr>().ok().map(IpAddr::V4).or_else(v6)
}

fn in_brackets(host: String) -> String {
    if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_and_nothing_more() {
        for good in ["smtp.example.org", "relay", "mail_1.example", "127.0.0.1", "::1", "[::1]", "10.0.0.1"] {
            assert_eq!(host(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "smtp.example.org:25",
            "a b",
            "a..b",
            "a.",
            "https://a",
            "u@a",
            "1.2.3",
            "[a]",
            "a\r\nb",
            "ü.example",
        ] {
            assert!(host(bad).is_err(), "{bad}");
        }
        assert_eq!(
            (in_brackets("::1".to_owned()), in_brackets("A.b".to_owned())),
            ("[::1]".into(), "a.b".into())
        );
    }

    #[test]
    fn addresses_can_carry_no_second_header() {
        for good in ["ops@example.org", "a.b+c@x.example", "root@localhost", "o'neil@example.org"] {
            assert_eq!(address(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "ops",
            "@example.org",
            "ops@",
            "a@b@c",
            "Ops <ops@example.org>",
            "ops@example.org\r\nBcc: evil@example.net",
            "ops@exa mple.org",
            "\"o ps\"@example.org",
            ".a@example.org",
            "a..b@example.org",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@b_c.example",
            "a@-b.example",
            "ö@example.org",
            "a,b@example.org",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(address(&format!("{}@example.org", "a".repeat(65))).is_err());
    }
}
