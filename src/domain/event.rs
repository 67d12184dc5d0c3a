//! Security events as plain data: what happened, who did it, to what, from where, with what outcome.
//!
//! The audit door ([`crate::audit`]) stamps the time and the id and gives the record its OCSF shape. An event
//! never carries a secret, and of people only our own ids and the address they came from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use super::event_code::{Class, EventCode, Severity};
use super::ids::{ClientId, LinkId, RequestId, UserId};

/// Most details an event carries; further ones are left out.
pub const MAX_DETAILS: usize = 16;
/// Longest text of an event, in characters; a longer one ends with an ellipsis.
pub const MAX_TEXT: usize = 256;
/// Longest list of scopes, in characters: all that Spotify has fit three times.
pub const MAX_SCOPE: usize = 1_024;

/// How what was tried ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done.
    #[default]
    Success,
    /// We said no: a policy, a limit, a wrong credential.
    Refused,
    /// It was allowed and did not work.
    Failed,
}

impl Outcome {
    /// The stable word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// One security event. Every part but the code is optional; every text is cleaned (see [`clean`]) on its way in.
///
/// Serialized, it is what the store's outbox keeps inside the transaction of the change that it reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    code: EventCode,
    #[serde(default)]
    outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    details: BTreeMap<String, String>,
}

impl Event {
    /// An event of this code that succeeded, by nobody in particular.
    pub fn new(code: EventCode) -> Self {
        Self {
            code,
            outcome: Outcome::Success,
            user: None,
            subject: None,
            client: None,
            link: None,
            from: None,
            request: None,
            operation: None,
            status: None,
            because: None,
            details: BTreeMap::new(),
        }
    }

    /// Who did it.
    #[must_use]
    pub fn by(mut self, user: &UserId) -> Self {
        self.user = Some(user.as_str().to_owned());
        self
    }

    /// To what or whom it was done: an id of ours, a host, a configuration key. Never a person's name.
    #[must_use]
    pub fn subject(mut self, subject: impl AsRef<str>) -> Self {
        self.subject = Some(clean(subject.as_ref()));
        self
    }

    /// Through which OAuth client.
    #[must_use]
    pub fn client(mut self, client: &ClientId) -> Self {
        self.client = Some(clean(client.as_str()));
        self
    }

    /// With which linked account.
    #[must_use]
    pub fn link(mut self, link: &LinkId) -> Self {
        self.link = Some(link.as_str().to_owned());
        self
    }

    /// From which address, as the trusted proxies tell it.
    #[must_use]
    pub fn from(mut self, address: IpAddr) -> Self {
        self.from = Some(address.to_canonical());
        self
    }

    /// In which request.
    #[must_use]
    pub fn request(mut self, request: &RequestId) -> Self {
        self.request = Some(request.as_str().to_owned());
        self
    }

    /// What was asked, without values: `tools/call play`, `POST /token`.
    #[must_use]
    pub fn operation(mut self, operation: impl AsRef<str>) -> Self {
        self.operation = Some(clean(operation.as_ref()));
        self
    }

    /// What was answered: an error code of ours, an HTTP status. Default: the outcome's name.
    #[must_use]
    pub fn status(mut self, status: impl AsRef<str>) -> Self {
        self.status = Some(clean(status.as_ref()));
        self
    }

    /// We said no.
    #[must_use]
    pub fn refused(mut self) -> Self {
        self.outcome = Outcome::Refused;
        self
    }

    /// It did not work.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.outcome = Outcome::Failed;
        self
    }

    /// The rationale. Never a secret. Default: what the code means.
    #[must_use]
    pub fn because(mut self, rationale: impl AsRef<str>) -> Self {
        self.because = Some(clean(rationale.as_ref()));
        self
    }

    /// One more fact; the 17th and further ones are left out. `scope` also fills the record's privileges.
    #[must_use]
    pub fn detail(mut self, key: &str, value: impl AsRef<str>) -> Self {
        if self.details.len() < MAX_DETAILS {
            let most = if key == "scope" { MAX_SCOPE } else { MAX_TEXT };
            self.details.insert(clean(key), cleaned(value.as_ref(), most));
        }
        self
    }

    /// What happened.
    pub const fn code(&self) -> EventCode {
        self.code
    }

    /// How it ended.
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The id of who did it.
    pub fn user_id(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// What it was done to.
    pub fn subject_text(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The OAuth client's id.
    pub fn client_id(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The linked account's id.
    pub fn link_id(&self) -> Option<&str> {
        self.link.as_deref()
    }

    /// The address it came from.
    pub const fn address(&self) -> Option<IpAddr> {
        self.from
    }

    /// The request's id.
    pub fn request_id(&self) -> Option<&str> {
        self.request.as_deref()
    }

    /// What was asked; the event's code where nobody said.
    pub fn operation_text(&self) -> &str {
        self.operation.as_deref().unwrap_or(self.code.name())
    }

    /// What was answered; the outcome's name where nobody said.
    pub fn status_text(&self) -> &str {
        self.status.as_deref().unwrap_or(self.outcome.name())
    }

    /// Why; what the code means where nobody said.
    pub fn rationale(&self) -> &str {
        self.because.as_deref().unwrap_or(self.code.meaning())
    }

    /// The further facts, sorted by key.
    pub const fn details(&self) -> &BTreeMap<String, String> {
        &self.details
    }
}

/// A text fit for a record, a log line and a terminal: no control, bidirectional, invisible or tag characters
/// (they forge lines and hide words), and at most [`MAX_TEXT`] characters, of which the last says where more was cut off.
pub fn clean(text: &str) -> String {
    cleaned(text, MAX_TEXT)
}

fn cleaned(text: &str, most: usize) -> String {
    // What our own code writes is short and printable as it stands.
    if text.len() <= most && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut kept: String = text.chars().filter(|c| !is_deceptive(*c)).take(most + 1).collect();
    if let Some((at, _)) = kept.char_indices().nth(most) {
        let last = kept[..at].char_indices().next_back().map_or(0, |(at, _)| at);
        kept.truncate(last);
        kept.push('…');
    }
    kept
}

/// Whether a character can forge a line or hide a word from its reader.
pub const fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outbox_form_comes_back_as_it_was() {
        let event = Event::new(EventCode::AuthnLoginFail)
            .by(&UserId::mint([1; 16]))
            .subject("x")
            .client(&ClientId::parse("c").unwrap())
            .link(&LinkId::mint([2; 16]))
            .from("::ffff:192.0.2.1".parse().unwrap())
            .request(&RequestId::mint([3; 16]))
            .operation("POST /token")
            .status("invalid_grant")
            .refused()
            .because("unknown code")
            .detail("k", "v");
        let json = serde_json::to_string(&event).unwrap();
        assert!(
            json.contains(r#""code":"authn_login_fail""#) && json.contains(r#""from":"192.0.2.1""#),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
        assert_eq!(
            serde_json::to_string(&Event::new(EventCode::SysStartup)).unwrap().matches(':').count(),
            2
        );
    }

    #[test]
    fn texts_are_bounded_and_cannot_forge_lines() {
        let event = (0..20).fold(Event::new(EventCode::AuthzFail), |event, n| {
            event.detail(&format!("key{n}"), "a\r\n{\"forged\":1}\u{202e}\u{e0041}\u{1b}[2J".repeat(50))
        });
        assert_eq!(event.details().len(), MAX_DETAILS);
        for value in event.details().values() {
            assert!(value.chars().count() <= MAX_TEXT && !value.chars().any(is_deceptive), "{value:?}");
        }
        assert_eq!(clean("Sigur Rós – ()"), "Sigur Rós – ()");
        assert_eq!(clean(&"ó".repeat(MAX_TEXT)), "ó".repeat(MAX_TEXT));
        assert_eq!(
            clean(&"ó".repeat(MAX_TEXT + 1)),
            "ó".repeat(MAX_TEXT - 1) + "…",
            "what is cut off says so"
        );
        // Every scope of Spotify's stands in the record of a login.
        let scopes = "user-read-playback-state ".repeat(20);
        let event = Event::new(EventCode::AuthnLoginSuccess).detail("scope", &scopes);
        assert_eq!(event.details()["scope"], scopes);
    }

    #[test]
    fn every_field_has_a_value_even_if_nobody_gave_one() {
        let event = Event::new(EventCode::SysStartup);
        assert_eq!(event.operation_text(), "sys_startup");
        assert_eq!(event.status_text(), "success");
        assert!(!event.rationale().is_empty());
    }
}
