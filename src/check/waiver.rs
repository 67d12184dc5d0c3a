//! Waivers: findings that somebody accepts, in their own name, for a reason, until a day. And SMC7009, which judges them.
//!
//! Pure. A waiver covers no longer than it says (its day included, UTC), no farther than the profile allows, and only
//! what it names. Never: a waiver without owner, reason or end.

use serde::Deserialize;
use serde_json::Value;

use super::catalogue::Catalogue;
use super::engine::Finding;
use super::finding::{Severity, Source, State, Verdict};
use super::rule::{Ground, Parameters, Rule};
use super::self_test::{Case, NOW};
use crate::ambient::Timestamp;

const DAY: i64 = 86_400;

/// One waiver of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The check.
    pub id: String,
    /// Who accepts the risk.
    pub owner: String,
    /// Who agreed to that.
    pub approver: Option<String>,
    /// Why.
    pub reason: String,
    /// Its last day, as it was written.
    pub expires: String,
    /// The first second after it.
    pub ends: Timestamp,
    /// One finding alone; else everything that the check finds.
    pub fingerprint: Option<String>,
    /// How it is mended meanwhile or why it cannot be exploited, in CycloneDX's words; for VEX.
    pub justification: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    owner: String,
    #[serde(default)]
    approver: Option<String>,
    reason: String,
    expires: String,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    justification: Option<String>,
}

/// What a waiver does for a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It covers it.
    Covered(Waiver),
    /// It did, and its last day is over.
    Expired(Waiver),
}

impl Standing {
    /// The waiver.
    pub const fn waiver(&self) -> &Waiver {
        match self {
            Self::Covered(waiver) | Self::Expired(waiver) => waiver,
        }
    }
}

/// The waivers of a run.
#[derive(Clone, Debug, Default)]
pub struct Waivers {
    /// As they stand in the file.
    pub list: Vec<Waiver>,
}

/// Reads the members of a file: a list `waiver`.
///
/// # Errors
/// Everything that is wrong, each in a line.
pub fn parse(root: &serde_json::Map<String, Value>, catalogue: &Catalogue) -> Result<Waivers, Vec<String>> {
    if let Some(name) = root.keys().find(|name| *name != "waiver") {
        let name = super::finding::cleaned(name);
        return Err(vec![format!("'{name}' is not known here: a file of waivers has one list, 'waiver'")]);
    }
    let entries = root.get("waiver").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    let Value::Array(entries) = entries else { return Err(vec!["'waiver' is not a list".to_owned()]) };
    let (mut list, mut problems) = (Vec::<Waiver>::new(), Vec::new());
    for (at, entry) in entries.into_iter().enumerate() {
        let read = serde_json::from_value::<Entry>(entry).map_err(|error| vec![error.to_string()]);
        match read.and_then(|entry| Waiver::read(entry, catalogue)) {
            Ok(waiver) if list.iter().any(|other| other.is_twin(&waiver)) => {
                problems.push(format!("waiver {}: {} is waived twice", at + 1, waiver.id));
            }
            Ok(waiver) => list.push(waiver),
            Err(all) => {
                let told = |why: String| format!("waiver {}: {}", at + 1, super::finding::cleaned(&why));
                problems.extend(all.into_iter().map(told));
            }
        }
    }
    if problems.is_empty() { Ok(Waivers { list }) } else { Err(problems) }
}

/// How many characters of a text can be seen.
fn visible(text: &str) -> usize {
    super::finding::words(text).chars().filter(|c| !c.is_whitespace()).count()
}

impl Waiver {
    fn read(entry: Entry, catalogue: &Catalogue) -> Result<Self, Vec<String>> {
        let is_print =
            |print: &String| print.len() == 32 && print.bytes().all(|byte| byte.is_ascii_hexdigit());
        let ends = after(&entry.expires);
        let all = [
            (catalogue.check(&entry.id).is_some(), format!("there is no check {}", entry.id)),
            (visible(&entry.owner) > 0, "it needs an owner".to_owned()),
            (visible(&entry.reason) >= 10, "it needs a reason of at least 10 characters".to_owned()),
            (
                entry.fingerprint.as_ref().is_none_or(is_print),
                "its fingerprint is not the 32 digits that a report says".to_owned(),
            ),
            (ends.is_some(), "expires is not a day such as 2026-12-31".to_owned()),
        ];
        let wrong: Vec<String> = all.into_iter().filter(|(holds, _)| !holds).map(|(_, why)| why).collect();
        let Some(ends) = ends.filter(|_| wrong.is_empty()) else { return Err(wrong) };
        Ok(Self {
            id: entry.id,
            owner: super::finding::cleaned(&entry.owner),
            approver: entry.approver.map(|name| super::finding::cleaned(&name)),
            reason: super::finding::cleaned(&entry.reason),
            expires: entry.expires,
            ends,
            fingerprint: entry.fingerprint.map(|print| print.to_ascii_lowercase()),
            justification: entry.justification.map(|text| super::finding::cleaned(&text)),
        })
    }

    fn is_twin(&self, other: &Self) -> bool {
        self.id == other.id && self.fingerprint == other.fingerprint
    }

    fn is_about(&self, finding: &Finding) -> bool {
        let named = self.fingerprint.as_ref().is_none_or(|print| *print == finding.fingerprint);
        self.id == finding.id && named
    }

    /// Check and fingerprint: which one it is, for people and fingerprints.
    pub fn named(&self) -> String {
        match &self.fingerprint {
            Some(print) => format!("{} {print}", self.id),
            None => self.id.clone(),
        }
    }
}

/// The first second after a day in UTC.
fn after(day: &str) -> Option<Timestamp> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let date = time::Date::parse(day, format).ok()?;
    Some(Timestamp::from_secs(date.midnight().assume_utc().unix_timestamp() + DAY))
}

/// How far waivers may reach in a profile: SMC7009's thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// From now to its end, in days.
    pub most_days: i64,
    /// A waiver must name one finding.
    pub wants_fingerprint: bool,
}

impl Bounds {
    /// No waiver holds.
    pub const NONE: Self = Self { most_days: -1, wants_fingerprint: true };

    /// As the check's entry says.
    pub fn of(parameters: &Parameters) -> Self {
        Self {
            most_days: parameters.number("most_days"),
            wants_fingerprint: parameters.text("fingerprint") == "required",
        }
    }

    fn refuses(self, waiver: &Waiver, now: Timestamp) -> Option<String> {
        let days = (waiver.ends.secs() - now.secs()) / DAY;
        if days > self.most_days {
            return Some(format!(
                "ends on {}, {days} days from now: at most {} are allowed",
                waiver.expires, self.most_days
            ));
        }
        let lacks = self.wants_fingerprint && waiver.fingerprint.is_none();
        lacks.then(|| "names no fingerprint, and would cover whatever the check finds".to_owned())
    }
}

impl Waivers {
    /// What stands over a finding. Only failures, and what nobody has attested, can be waived.
    pub fn standing(&self, finding: &Finding, bounds: Bounds, now: Timestamp) -> Option<Standing> {
        if !matches!(finding.state, State::Fail | State::Manual) || finding.id == ID {
            return None;
        }
        let about = || self.list.iter().filter(|waiver| waiver.is_about(finding));
        let holds = |waiver: &&Waiver| waiver.ends > now && bounds.refuses(waiver, now).is_none();
        if let Some(waiver) = about().find(holds) {
            return Some(Standing::Covered(waiver.clone()));
        }
        about().find(|waiver| waiver.ends <= now).map(|waiver| Standing::Expired(waiver.clone()))
    }
}

/// Whether a finding of this run needs a waiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// Its check was not asked.
    Unknown,
    /// One does.
    Needed,
    /// Its check finds something of another fingerprint than it names: this one.
    OfAnother(String),
    /// Its check finds nothing.
    Nothing,
}

/// What SMC7009 looks at.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The file they came from.
    pub file: Option<std::path::PathBuf>,
    /// Each, and whether a finding needs it.
    pub waivers: Vec<(Waiver, Need)>,
}

impl Facts {
    /// Which waivers the findings of this run need.
    pub fn of(waivers: &Waivers, file: Option<std::path::PathBuf>, findings: &[Finding]) -> Self {
        let need = |waiver: &Waiver| {
            let of_check: Vec<&Finding> = findings.iter().filter(|finding| finding.id == waiver.id).collect();
            let is_bad =
                |finding: &Finding| matches!(finding.state, State::Fail | State::Manual | State::Error);
            let bad = || of_check.iter().filter(|finding| is_bad(finding));
            match (of_check.is_empty(), bad().next()) {
                (true, _) => Need::Unknown,
                (false, None) => Need::Nothing,
                _ if bad().any(|finding| waiver.is_about(finding)) => Need::Needed,
                (false, Some(first)) => Need::OfAnother(first.fingerprint.clone()),
            }
        };
        Self { file, waivers: waivers.list.iter().map(|waiver| (waiver.clone(), need(waiver))).collect() }
    }
}

/// The check that judges waivers.
pub const ID: &str = "SMC7009";

/// Its rule.
pub const RULES: &[Rule<Facts>] = &[Rule { id: ID, judge: sound }];

fn sound(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let source = || facts.file.clone().map_or(Source::Program, Source::file);
    if facts.waivers.is_empty() {
        return vec![Verdict::not_applicable(source(), "no waivers were given")];
    }
    let bounds = Bounds::of(ground.parameters);
    facts
        .waivers
        .iter()
        .map(|(waiver, needed)| judged(waiver, needed, (bounds, ground.now), source()))
        .collect()
}

fn judged(waiver: &Waiver, needed: &Need, (bounds, now): (Bounds, Timestamp), source: Source) -> Verdict {
    let of = format!("{}'s waiver, by {}", waiver.id, waiver.owner);
    let verdict = if waiver.ends <= now {
        Verdict::fail(source, format!("{of}, ended on {}", waiver.expires))
    } else if let Some(why) = bounds.refuses(waiver, now) {
        Verdict::fail(source, format!("{of}, {why}"))
    } else if let Need::OfAnother(print) = needed {
        let seen = format!("{of}, names another fingerprint than what is found now");
        Verdict::fail(source, seen).severe(Severity::Low).mended_by(format!(
            "look at {} again, its subject, severity or kind of fault has changed: accept it anew with its fingerprint ({print}), or \
             remove the waiver",
            waiver.id
        ))
    } else if *needed == Need::Nothing {
        Verdict::fail(source, format!("{of}: nothing that was found needs it any more"))
            .severe(Severity::Low)
            .mended_by("remove the waiver")
    } else {
        Verdict::pass(source, format!("{of}, until {}", waiver.expires))
    };
    verdict.about(waiver.named())
}

/// The case that the self-test judges: a waiver whose last day is over.
pub fn cases() -> Vec<Case<Facts>> {
    let facts = |days: i64| Facts { file: None, waivers: vec![(until(days), Need::Needed)] };
    vec![Case { id: ID, mutation: "a waiver's last day is over", sound: facts(40), changed: facts(0) }]
}

/// A made-up waiver that ends so many days after the self-test's now.
fn until(days: i64) -> Waiver {
    let ends = Timestamp::from_secs(NOW.secs() + days * DAY);
    Waiver {
        id: "SMC1001".to_owned(),
        owner: "ada@example.org".to_owned(),
        approver: None,
        reason: "it is replaced next month".to_owned(),
        expires: Timestamp::from_secs(ends.secs() - DAY).rfc3339().chars().take(10).collect(),
        ends,
        fingerprint: Some("0".repeat(32)),
        justification: None,
    }
}

#[cfg(test)]
mod tests;
