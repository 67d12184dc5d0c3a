//! What is told, in the two forms: an object for programs, words for people. Neither names a person or an address.

use serde_json::{Value, json};

use crate::ambient::Timestamp;
use crate::config::Config;
use crate::policy::AlertRule;
use crate::store::AlertRow;

/// Which server speaks.
#[derive(Clone, Debug)]
pub(super) struct About {
    issuer: String,
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
        let about_what = if alert.about.is_empty() { String::new() } else { format!(": {}", alert.about) };
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
        Self { id: alert.id.clone(), rule: alert.rule.clone(), body, text }
    }

    /// A test of a channel.
    pub fn test(id: &str, config: &Config, now: Timestamp) -> Self {
        let About { issuer, environment } = About::of(config);
        let body = json!({
            "type": "alert.test",
            "timestamp": now.rfc3339(),
            "data": {
                "id": id,
                "rule": "test",
                "severity": "low",
                "summary": "This is a test: nothing happened",
                "server": issuer,
                "environment": environment,
            },
        });
        let text =
            format!("This is a test: nothing happened.\n\nServer: {issuer} ({environment})\nTest {id}.\n");
        Self { id: id.to_owned(), rule: "test".to_owned(), body, text }
    }

    /// For programs.
    pub fn json(&self) -> String {
        self.body.to_string()
    }

    /// For people.
    pub fn text(&self) -> &str {
        &self.text
    }
}
