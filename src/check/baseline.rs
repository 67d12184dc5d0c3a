//! A former report as a baseline: only what is new or worse than then counts, and the drift is told.
//!
//! Pure. Never: letting something pass because it was waived then; a waiver has to hold today.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::engine::Finding;
use super::finding::{Severity, State};

/// What a run found then.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// When, as it was written.
    pub at: String,
    /// What was asked then.
    pub asked: String,
    then: BTreeMap<(String, String), Then>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Then {
    state: State,
    severity: Severity,
    /// Empty: the report did not say.
    fingerprint: String,
    is_waived: bool,
}

#[derive(Deserialize)]
struct File {
    schema: String,
    generated_at: String,
    asked: String,
    findings: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    subject: String,
    state: State,
    severity: Severity,
    #[serde(default)]
    fingerprint: String,
    #[serde(default)]
    waiver: Option<EntryWaiver>,
}

#[derive(Deserialize)]
struct EntryWaiver {
    holds: bool,
}

/// How a failure stands to the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was not there, or was no failure that counted.
    New,
    /// It was there, and was less severe, or something else was wrong with it.
    Worse,
    /// It was there as it is.
    Known,
}

/// What became different.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Of when the baseline is.
    pub since: String,
    /// Failures that are new.
    pub new: Vec<String>,
    /// Failures that are more severe than they were.
    pub worse: Vec<String>,
    /// Failures as they were.
    pub known: Vec<String>,
    /// Failures of then that pass now, or do not apply any more.
    pub mended: Vec<String>,
    /// Failures of then that this run did not look at, or could not assess.
    pub not_seen: Vec<String>,
    /// What could be assessed then and cannot now.
    pub lost_sight: Vec<String>,
}

/// The schema of reports that can be a baseline.
pub const SCHEMA: &str = "spotify-mcp/security-check/v1";

impl Baseline {
    /// Reads a former JSON report.
    ///
    /// # Errors
    /// In words: why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = serde_json::from_str(text)
            .map_err(|error| format!("it is no JSON report of security-check (line {})", error.line()))?;
        if file.schema != SCHEMA {
            return Err(format!("its schema is not {SCHEMA}"));
        }
        let one = |entry: Entry| {
            let is_waived = entry.waiver.is_some_and(|waiver| waiver.holds);
            (
                (entry.id, entry.subject),
                Then {
                    state: entry.state,
                    severity: entry.severity,
                    fingerprint: entry.fingerprint,
                    is_waived,
                },
            )
        };
        let then = file.findings.into_iter().map(one).collect();
        let (at, asked) = (super::finding::cleaned(&file.generated_at), super::finding::cleaned(&file.asked));
        Ok(Self { at, asked, then })
    }

    /// How a failure stands to it.
    pub fn change(&self, finding: &Finding) -> Change {
        match self.then.get(&(finding.id.clone(), finding.subject.clone())) {
            Some(then) if then.state == State::Fail && !then.is_waived => {
                let is_another = |print: &str| !then.fingerprint.is_empty() && then.fingerprint != print;
                match finding.severity.cmp(&then.severity) {
                    Ordering::Greater => Change::Worse,
                    Ordering::Equal if is_another(&finding.fingerprint) => Change::Worse,
                    // The same fault, as grave as it was then, would have had this one.
                    Ordering::Less if is_another(&finding.fingerprint_at(then.severity)) => Change::Worse,
                    Ordering::Equal | Ordering::Less => Change::Known,
                }
            }
            _ => Change::New,
        }
    }

    /// What became different.
    pub fn drift(&self, findings: &[Finding]) -> Drift {
        let mut drift = Drift { since: self.at.clone(), ..Drift::default() };
        for finding in findings.iter().filter(|finding| finding.state == State::Fail) {
            let into = match self.change(finding) {
                Change::New => &mut drift.new,
                Change::Worse => &mut drift.worse,
                Change::Known => &mut drift.known,
            };
            into.push(named(&finding.id, &finding.subject));
        }
        for ((id, subject), then) in &self.then {
            let now = findings.iter().find(|finding| finding.id == *id && finding.subject == *subject);
            let state = now.map(|finding| finding.state);
            let was_assessed = matches!(then.state, State::Pass | State::Fail);
            match (then.state, state) {
                (State::Fail, Some(State::Pass | State::NotApplicable)) => {
                    drift.mended.push(named(id, subject))
                }
                // What a check found then is gone where it looked again and speaks of other things only.
                (State::Fail, None) if passes_now(findings, id) => drift.mended.push(named(id, subject)),
                (State::Fail, None | Some(State::Error | State::Manual)) => {
                    drift.not_seen.push(named(id, subject))
                }
                (_, Some(State::Error)) if was_assessed => drift.lost_sight.push(named(id, subject)),
                _ => {}
            }
        }
        drift
    }
}

fn passes_now(findings: &[Finding], id: &str) -> bool {
    let mut of_check = findings.iter().filter(|finding| finding.id == id).peekable();
    of_check.peek().is_some()
        && of_check.all(|finding| !matches!(finding.state, State::Error | State::Manual))
}

fn named(id: &str, subject: &str) -> String {
    if subject.is_empty() { id.to_owned() } else { format!("{id} {subject}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::proving::finding;
    use super::*;

    fn entry(id: &str, state: &str, severity: &str) -> serde_json::Value {
        json!({ "id": id, "subject": "", "state": state, "severity": severity, "title": "more members are fine" })
    }

    fn baseline(findings: Vec<serde_json::Value>) -> Baseline {
        let file = json!({ "schema": SCHEMA, "generated_at": "2026-11-01T00:00:00.000Z", "asked": "config", "findings": findings });
        Baseline::parse(&file.to_string()).unwrap()
    }

    #[test]
    fn only_new_and_worse_are_told_from_known() {
        let mut waived = entry("SMC1004", "fail", "high");
        waived["waiver"] = json!({ "holds": true });
        let then = baseline(vec![
            entry("SMC1001", "fail", "high"),
            entry("SMC1002", "fail", "low"),
            entry("SMC1003", "pass", "high"),
            waived,
        ]);
        let change = |id| then.change(&finding(id, State::Fail, Severity::High));
        assert_eq!(change("SMC1001"), Change::Known);
        assert_eq!(change("SMC1002"), Change::Worse);
        assert_eq!(change("SMC1003"), Change::New);
        assert_eq!(change("SMC1004"), Change::New, "a waiver of then is none of today");
        assert_eq!(change("SMC1999"), Change::New);
    }

    #[test]
    fn drift_tells_what_was_mended_and_what_was_lost_from_sight() {
        let then = baseline(vec![
            entry("SMC1001", "fail", "high"),
            entry("SMC1002", "fail", "high"),
            entry("SMC1003", "pass", "high"),
            entry("SMC1004", "fail", "high"),
        ]);
        let drift = then.drift(&[
            finding("SMC1001", State::Pass, Severity::High),
            finding("SMC1002", State::Error, Severity::High),
            finding("SMC1003", State::Error, Severity::High),
            finding("SMC1005", State::Fail, Severity::High),
        ]);
        assert_eq!(drift.mended, ["SMC1001"]);
        assert_eq!(drift.not_seen, ["SMC1002", "SMC1004"]);
        assert_eq!(drift.lost_sight, ["SMC1003"]);
        assert_eq!(drift.new, ["SMC1005"]);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert!(Baseline::parse("{}").is_err());
        assert!(Baseline::parse("nonsense").unwrap_err().contains("line 1"));
        let other = json!({ "schema": "other", "generated_at": "", "asked": "", "findings": [] });
        assert!(Baseline::parse(&other.to_string()).unwrap_err().contains("schema"));
    }

    #[test]
    fn another_fault_of_the_same_thing_is_worse() {
        let mut now = finding("SMC1001", State::Fail, Severity::High);
        let then = |print: &str| {
            let entry = serde_json::json!({ "id": "SMC1001", "subject": "", "state": "fail", "severity": "high", "fingerprint": print });
            let text = serde_json::json!({ "schema": SCHEMA, "generated_at": "", "asked": "config", "findings": [entry] });
            Baseline::parse(&text.to_string()).unwrap()
        };
        now.fingerprint = "b".repeat(32);
        assert_eq!(then(&"a".repeat(32)).change(&now), Change::Worse);
        assert_eq!(then(&now.fingerprint).change(&now), Change::Known);
        // Milder than it was is known; milder, and another fault, is not.
        now.severity = Severity::Medium;
        assert_eq!(then(&now.fingerprint_at(Severity::High)).change(&now), Change::Known);
        assert_eq!(then(&"a".repeat(32)).change(&now), Change::Worse);
    }
}
