//! What is told, in the two forms: an object for programs, words for people. Neither names a person or an address.

use serde_json::{Value, json};

use crate::ambient::Timestamp;
use crate::config::Config;
use crate::policy::AlertRule;
use crate::store::AlertRow;

/// The rule of a test.
const TEST: &str = "test";

/// Longest subject of a mail.
const SUBJECT: usize = 160;

/// Which server speaks.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) issuer: String,
    environment: &'static str,
}

impl About {
    pub(super) fn of(config: &Config) -> Self {
        Self { issuer: config.server.issuer(), environment: config.security.environment.name() }
    }
}

/// An alert, or the test of a channel, as it is told.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id: the same at every try.
    pub id: String,
    /// The rule, `test` for a test.
    pub rule: String,
    body: Value,
    subject: String,
    text: String,
}

impl Message {
    /// An alert.
    pub(super) fn of(alert: &AlertRow, rule: Option<&AlertRule>, about: &About) -> Self {
        let (raised, happened) =
            (Timestamp::from_secs(alert.raised_at), Timestamp::from_millis(alert.happened_at));
        let severity = rule.map_or("high", |rule| rule.severity.name());
        let summary = rule.map_or("A rule of another version", |rule| rule.summary.as_str());
        let action = rule.map_or("See the audit trail.", |rule| rule.action.as_str());
        let records: Vec<_> = alert.records.split_ascii_whitespace().collect();
        let body = json!({
            "type": "alert",
            "timestamp": raised.rfc3339(),
            "data": {
                "id": alert.id,
                "rule": alert.rule,
                "severity": severity,
                "summary": summary,
                "action": action,
                "about": alert.about,
                "event": alert.code,
                "events": alert.events,
                "threshold": rule.map(|rule| rule.threshold),
                "window_seconds": rule.map(|rule| rule.window_seconds),
                "last_event_at": happened.rfc3339(),
                "audit_records": records,
                "server": about.issuer,
                "environment": about.environment,
            },
        });
        let about_what =
            if alert.about.is_empty() { String::new() } else { format!(": {}", harmless(&alert.about)) };
        let text = format!(
            "{summary}{about_what}\n\nSeverity: {severity}\nEvents:   {} ({}), the last at {}\nServer:   {} ({})\n\
             Records:  {}\n\nWhat to do: {action}\n\nAlert {} of rule '{}'.\n",
            alert.events,
            alert.code,
            happened.rfc3339(),
            about.issuer,
            about.environment,
            records.join(" "),
            alert.id,
            alert.rule,
        );
        let subject = subject(about, severity, summary);
        Self { id: alert.id.clone(), rule: alert.rule.clone(), body, subject, text }
    }

    /// A test of a channel.
    pub fn test(id: &str, config: &Config, now: Timestamp) -> Self {
        let about = About::of(config);
        let About { issuer, environment } = &about;
        let body = json!({
            "type": "alert.test",
            "timestamp": now.rfc3339(),
            "data": {
                "id": id,
                "rule": TEST,
                "severity": "low",
                "summary": "This is a test: nothing happened",
                "server": issuer,
                "environment": environment,
            },
        });
        let text =
            format!("This is a test: nothing happened.\n\nServer: {issuer} ({environment})\nTest {id}.\n");
        let subject = subject(&about, TEST, "nothing happened");
        Self { id: id.to_owned(), rule: TEST.to_owned(), body, subject, text }
    }

    /// Whether it is the test of a channel.
    pub(super) fn is_test(&self) -> bool {
        self.rule == TEST
    }

    /// For programs.
    pub fn json(&self) -> String {
        self.body.to_string()
    }

    /// For people.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// For people, in a line: our own words alone, 160 characters at most.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

fn subject(about: &About, severity: &str, summary: &str) -> String {
    let whole = format!("[spotify-mcp {}] {severity}: {summary}", about.environment);
    whole.chars().filter(|c| matches!(c, ' '..='~')).take(SUBJECT).collect()
}

/// What somebody outside may have named, so that no reader's program makes a link or a second line of it.
fn harmless(about: &str) -> String {
    let one = |c: char| match c {
        '.' => "[.]".to_owned(),
        c if c.is_ascii_alphanumeric() || " -_()[]:".contains(c) => c.to_string(),
        _ => "?".to_owned(),
    };
    about.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(about: &str, rule: &AlertRule) -> Message {
        let alert = AlertRow {
            id: "al_x".to_owned(),
            rule: rule.name.clone(),
            about: about.to_owned(),
            code: "blocked_host".to_owned(),
            events: 3,
            records: "e_1 e_2 ".to_owned(),
            happened_at: 1_795_233_600_123,
            raised_at: 1_795_233_601,
        };
        let server = About { issuer: "https://music.example.org".to_owned(), environment: "production" };
        Message::of(&alert, Some(rule), &server)
    }

    #[test]
    fn what_others_named_is_in_no_subject_and_makes_no_link() {
        let rules = &crate::policy::alerts::BUILT_IN;
        let rule = rules.iter().find(|rule| rule.name == "blocked_host").unwrap();
        let message = told("https://evil.example/x\r\nBcc: a@b\u{202e}", rule);
        assert_eq!(message.subject(), "[spotify-mcp production] high: The egress gate refused a connection");
        let first = message.text().lines().next().unwrap();
        assert_eq!(first, "The egress gate refused a connection: https:??evil[.]example?x??Bcc: a?b?");
        assert!(message.text().contains("Records:  e_1 e_2\n") && message.text().is_ascii());
        assert!(message.json().contains("https://evil.example/x"), "programs get it as it is");
        for rule in rules.iter() {
            let message = told("", rule);
            assert!(message.subject().ends_with(&rule.summary), "{} is too long", rule.summary);
            assert!(message.text().contains(&rule.action) && message.text().is_ascii());
        }
    }
}
