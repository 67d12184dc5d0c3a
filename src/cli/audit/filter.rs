//! Which records are wanted, and what of a record that takes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::Deserialize;

use super::people;
use crate::ambient::{Clock, Timestamp};
use crate::cli::administer::Place;
use crate::cli::output::Refused;
use crate::domain::event::{EventCode, clean};
use crate::domain::ids::{ApiKeyId, DynamicClientId, SessionId};
use crate::domain::{ClientId, api_key};

/// The conditions; a record must meet all of them.
#[derive(Debug, clap::Args)]
pub(super) struct Wanted {
    /// Not before this time: RFC 3339, a date, or an age such as 2h
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Of this event code; it may repeat
    #[arg(long = "code", value_name = "CODE", value_delimiter = ',')]
    codes: Vec<String>,
    /// At least this grave: informational, low, medium, high or critical
    #[arg(long, value_name = "SEVERITY", hide_possible_values = true)]
    severity: Option<Gravity>,
    /// Done by or to this person: our id (u_...), a Spotify user id or account id, or what the trail calls them (p_...)
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Through this OAuth client, or about it
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// About this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// That ended so: success, refused or failed
    #[arg(long, value_name = "OUTCOME", hide_possible_values = true)]
    outcome: Option<Ending>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Gravity {
    Informational = 1,
    Low = 2,
    Medium = 3,
    High = 4,
    Critical = 5,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ending {
    Success,
    Refused,
    Failed,
}

/// The conditions, read.
#[derive(Debug)]
pub(super) struct Filter {
    from: Option<i64>,
    to: Option<i64>,
    codes: Vec<String>,
    severity: u8,
    user: Option<String>,
    client: Option<String>,
    session: Option<String>,
    outcome: Option<&'static str>,
}

/// What is looked at of a record.
#[derive(Debug, Deserialize)]
pub(super) struct Record<'a> {
    #[serde(borrow, default)]
    pub(super) actor: Actor<'a>,
    #[serde(borrow)]
    pub(super) metadata: Metadata<'a>,
    severity_id: Option<u8>,
    #[serde(borrow)]
    api: Option<Api<'a>>,
    #[serde(borrow)]
    src_endpoint: Option<Person<'a>>,
    #[serde(borrow)]
    status_code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status_detail: Option<Cow<'a, str>>,
    pub(super) time: i64,
    #[serde(borrow, default)]
    pub(super) unmapped: Unmapped<'a>,
    #[serde(borrow)]
    entity: Option<Person<'a>>,
    #[serde(borrow)]
    user: Option<Person<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Actor<'a> {
    #[serde(borrow)]
    app_uid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user: Option<Person<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Metadata<'a> {
    #[serde(borrow)]
    pub(super) event_code: Cow<'a, str>,
    pub(super) sequence: u64,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Unmapped<'a> {
    #[serde(borrow)]
    outcome: Option<Cow<'a, str>>,
    #[serde(borrow)]
    api: Option<Api<'a>>,
    #[serde(borrow)]
    src_endpoint: Option<Person<'a>>,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    details: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

/// What was asked.
#[derive(Debug, Deserialize)]
struct Api<'a> {
    #[serde(borrow)]
    operation: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct Person<'a> {
    #[serde(borrow)]
    uid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

impl<'a> Record<'a> {
    /// Reads a line; `None` where it is no record.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// How it ended.
    pub(super) fn ending(&self) -> &str {
        self.unmapped.outcome.as_deref().or(self.status_code.as_deref()).unwrap_or_default()
    }

    /// Who did it.
    pub(super) fn who(&self) -> &str {
        let person = self.actor.user.as_ref();
        person.and_then(|one| one.uid.as_deref().or(one.name.as_deref())).unwrap_or_default()
    }

    /// The people in it, by the names that the trail has for them.
    pub(super) fn pseudonyms(&self) -> impl Iterator<Item = &str> {
        let actor = self.actor.user.as_ref().and_then(|one| one.uid.as_deref());
        let names = [actor, self.subject(), self.user.as_ref().and_then(|one| one.uid.as_deref())];
        let mut names: Vec<&str> =
            names.into_iter().flatten().filter(|name| name.starts_with("p_")).collect();
        names.dedup();
        names.into_iter()
    }

    /// The address that it came from, sealed.
    pub(super) fn address(&self) -> Option<&str> {
        let source = self.src_endpoint.as_ref().or(self.unmapped.src_endpoint.as_ref())?;
        source.uid.as_deref().filter(|sealed| sealed.contains('.'))
    }

    /// Through which client.
    pub(super) fn client(&self) -> &str {
        self.actor.app_uid.as_deref().unwrap_or_default()
    }

    /// What was asked.
    pub(super) fn operation(&self) -> &str {
        let api = self.api.as_ref().or(self.unmapped.api.as_ref());
        api.and_then(|api| api.operation.as_deref()).unwrap_or_default()
    }

    /// What was answered.
    pub(super) fn answer(&self) -> &str {
        self.status_code.as_deref().unwrap_or_default()
    }

    /// Why.
    pub(super) fn rationale(&self) -> &str {
        self.status_detail.as_deref().unwrap_or_default()
    }

    /// How grave it is.
    pub(super) fn gravity(&self) -> &'static str {
        match self.severity_id {
            Some(1) => "info",
            Some(2) => "low",
            Some(3) => "medium",
            Some(4) => "high",
            Some(5) => "critical",
            _ => "",
        }
    }

    /// The further facts.
    pub(super) fn details(&self) -> impl Iterator<Item = (&str, &str)> {
        self.unmapped.details.iter().map(|(name, value)| (&**name, &**value))
    }

    /// What it was done to.
    pub(super) fn subject(&self) -> Option<&str> {
        let entity = self.entity.as_ref().and_then(|one| one.uid.as_deref());
        let user = self.user.as_ref().and_then(|one| one.uid.as_deref());
        self.unmapped.subject.as_deref().or(entity).or(user)
    }
}

impl Wanted {
    /// Reads the conditions.
    pub(super) fn filter(&self, place: &Place<'_>) -> Result<Filter, Refused> {
        if let Some(unknown) =
            self.codes.iter().find(|code| EventCode::ALL.iter().all(|one| one.name() != *code))
        {
            let text = format!("there is no event code {}", clean(unknown));
            return Err(Refused::usage("AUDIT_CODE_UNKNOWN", text, nearest(unknown)));
        }
        let now = Clock::system().now();
        Ok(Filter {
            from: self.from.as_deref().map(|text| moment(text, now)).transpose()?.map(Timestamp::millis),
            to: self.to.as_deref().map(|text| moment(text, now)).transpose()?.map(Timestamp::millis),
            codes: self.codes.clone(),
            severity: self.severity.map_or(0, |severity| severity as u8),
            user: self.user.as_deref().map(|named| people::pseudonym(named, place)).transpose()?,
            client: self.client.as_deref().map(client).transpose()?,
            session: self.session.as_deref().map(session).transpose()?,
            outcome: self.outcome.map(|outcome| match outcome {
                Ending::Success => "success",
                Ending::Refused => "refused",
                Ending::Failed => "failed",
            }),
        })
    }
}

/// A client's id, whole: the beginning of one would find nothing, and look as if there were nothing.
fn client(text: &str) -> Result<String, Refused> {
    let is_whole = match text {
        text if text.starts_with("c_") => text.parse::<DynamicClientId>().is_ok(),
        text if text.starts_with("ak_") => text.parse::<ApiKeyId>().is_ok(),
        text => ClientId::parse(text).is_some(),
    };
    if is_whole {
        return Ok(text.to_owned());
    }
    let kinds = "'c_' or 'ak_' and 32 hexadecimal digits, a URL, or the id of one of auth.clients";
    Err(not_whole("--client", text, kinds))
}

/// A session's id, whole.
fn session(text: &str) -> Result<String, Refused> {
    let whole = text.parse::<SessionId>().is_ok();
    if whole {
        Ok(text.to_owned())
    } else {
        Err(not_whole("--session", text, "'s_' and 32 hexadecimal digits"))
    }
}

/// What is given is no id, or a part of one.
pub(super) fn not_whole(option: &str, text: &str, kinds: &str) -> Refused {
    let text = format!("{option} {} is no whole id", clean(text));
    Refused::usage("AUDIT_ID_WRONG", text, format!("give all of it: {kinds}, as 'audit query' prints it"))
}

/// A hint for a code that is none.
fn nearest(unknown: &str) -> String {
    let word = unknown.split('_').next().unwrap_or_default();
    let like: Vec<&str> =
        EventCode::ALL.iter().map(|code| code.name()).filter(|name| name.contains(word)).collect();
    match like.as_slice() {
        [] => "'spotify-mcp audit tail' shows the codes of what happens".to_owned(),
        some => format!("did you mean {}?", some.iter().take(8).copied().collect::<Vec<_>>().join(", ")),
    }
}

/// RFC 3339, a date (its first instant in UTC), or an age.
pub(super) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Refused> {
    let date = (text.len() == 10).then(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"))).flatten();
    let age = || api_key::life(text).ok().flatten().map(|age| now.minus(age));
    Timestamp::parse_rfc3339(text).or(date).or_else(age).ok_or_else(|| {
        Refused::usage(
            "AUDIT_TIME_WRONG",
            format!("{} is no time", clean(text)),
            "write 2026-11-21T04:00:00Z, 2026-11-21, or an age such as 2h or 7d",
        )
    })
}

impl Filter {
    /// Whether the record meets every condition.
    pub(super) fn takes(&self, record: &Record<'_>) -> bool {
        let is = |wanted: &Option<String>, found: &[Option<&str>]| {
            wanted.as_deref().is_none_or(|wanted| found.contains(&Some(wanted)))
        };
        let actor = record.actor.user.as_ref().and_then(|one| one.uid.as_deref());
        let user = record.user.as_ref().and_then(|one| one.uid.as_deref());
        let detail = |name: &str| record.unmapped.details.get(name).map(|text| &**text);
        self.from.is_none_or(|from| record.time >= from)
            && self.to.is_none_or(|to| record.time < to)
            && (self.codes.is_empty() || self.codes.iter().any(|code| *code == record.metadata.event_code))
            && record.severity_id.unwrap_or_default() >= self.severity
            && self.outcome.is_none_or(|outcome| record.ending() == outcome)
            && is(&self.user, &[actor, user, record.subject(), detail("user"), detail("owner")])
            && is(&self.client, &[record.actor.app_uid.as_deref(), record.subject(), detail("client")])
            && is(&self.session, &[record.subject(), detail("session")])
    }
}
