//! The report as OSCAL 1.2.1 assessment results: every finding an observation; a control that checks speak of, a finding.
//!
//! Never: a finding for a control that nothing was observed of, or a control called satisfied by what was not assessed.

use serde_json::{Value, json};

use super::Report;
use super::uuid::named;
use super::words::titled;
use crate::check::coverage::{Coverage, Evidence, MEANING, coverage};
use crate::check::finding::{State, visible};
use crate::check::outcome::{Judged, Weight};

pub(super) const VERSION: &str = "1.2.1";
const NAMESPACE: &str = "https://github.com/spotify-mcp/spotify-mcp/ns/oscal";

/// The document.
pub(super) fn write(report: &Report<'_>) -> String {
    let at = report.at.rfc3339();
    let run = [report.asked, report.profile.name(), at.as_str()];
    let id = |what: &str| named(&["oscal", what, run[0], run[1], run[2]]);
    let made;
    let covered: &[Coverage] = match &report.coverage {
        Some(covered) => covered,
        None => {
            let findings: Vec<_> = report.judged.iter().map(|one| one.finding.clone()).collect();
            made = coverage(report.catalogue, report.profile, &findings);
            &made
        }
    };
    let mut result = json!({
        "uuid": id("result"),
        "title": format!("security-check {}", report.asked),
        "description": format!("{}. {MEANING}", report.conclusion()),
        "start": at,
        "end": at,
        "props": [prop("exit-status", &report.outcome().status().to_string()), prop("profile", report.profile.name())],
        "reviewed-controls": { "control-selections": [selection(covered)] },
    });
    let observations: Vec<Value> = report.judged.iter().map(|one| observation(report, one)).collect();
    let risks: Vec<Value> = report
        .judged
        .iter()
        .filter(|one| one.finding.state == State::Fail)
        .map(|one| risk(report, one))
        .collect();
    let findings: Vec<Value> = covered.iter().flat_map(|framework| findings(report, framework)).collect();
    // An empty list is not allowed anywhere.
    for (member, list) in [("observations", observations), ("risks", risks), ("findings", findings)] {
        if !list.is_empty() {
            result[member] = Value::Array(list);
        }
    }
    let plan = id("plan");
    let document = json!({ "assessment-results": {
        "uuid": id("document"),
        "metadata": {
            "title": format!("spotify-mcp security-check {}, environment {}", report.asked, report.environment),
            "last-modified": at,
            "version": env!("CARGO_PKG_VERSION"),
            "oscal-version": VERSION,
        },
        "import-ap": { "href": format!("#{plan}") },
        "results": [result],
        "back-matter": { "resources": [{
            "uuid": plan,
            "title": "What is checked",
            "description": format!("The catalogue of checks of spotify-mcp, {}, sha256 {}: 'spotify-mcp security-check --list'.",
                report.catalogue.origin, report.catalogue.digest),
        }] },
    } });
    format!("{:#}\n", visible(document))
}

pub(super) fn prop(name: &str, value: &str) -> Value {
    json!({ "name": name, "ns": NAMESPACE, "value": value })
}

/// Every control that something was observed of; where there is none, all are said to be.
fn selection(covered: &[Coverage]) -> Value {
    let of = |framework: &Coverage| {
        let assessed = framework.evidenced.iter().chain(&framework.partly).chain(&framework.failing);
        assessed.map(|one| json!({ "control-id": token(&framework.id, &one.control) })).collect::<Vec<_>>()
    };
    let controls: Vec<Value> = covered.iter().flat_map(of).collect();
    let description = "Controls that at least one check of this run says something about.";
    if controls.is_empty() {
        json!({ "description": "No check of this run says anything about a control.", "include-all": {} })
    } else {
        json!({ "description": description, "include-controls": controls })
    }
}

/// A control's id as OSCAL's token: framework and control, with what a token has no place for left out.
fn token(framework: &str, control: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    format!("{framework}_{}", control.chars().map(plain).collect::<String>())
}

pub(super) fn observed_as(one: &Judged) -> String {
    named(&["oscal", "observation", &one.finding.key])
}

/// The id of a failure's risk.
pub(super) fn risk_of(one: &Judged) -> String {
    named(&["oscal", "risk", &one.finding.key])
}

pub(super) fn observation(report: &Report<'_>, one: &Judged) -> Value {
    let finding = &one.finding;
    let method =
        if matches!(finding.place.kind, "address" | "system" | "database") { "TEST" } else { "EXAMINE" };
    let mut props = vec![
        prop("check", &finding.id),
        prop("state", finding.state.name()),
        prop("severity", finding.severity.name()),
        prop("fingerprint", &finding.fingerprint),
    ];
    if one.weight == Weight::Waived {
        props.push(prop("waived", "yes"));
    }
    json!({
        "uuid": observed_as(one),
        "title": format!("{} {}", finding.id, titled(finding)),
        "description": format!("Observed: {}. Expected: {}.", finding.observed, finding.expected.trim_end_matches('.')),
        "props": props,
        "methods": [method],
        "types": ["control-objective"],
        "relevant-evidence": [{ "description": format!("{}, seen at {}", finding.observed, finding.place.text) }],
        "collected": report.at.rfc3339(),
    })
}

pub(super) fn risk(report: &Report<'_>, one: &Judged) -> Value {
    let finding = &one.finding;
    let waiver =
        one.waiver.as_ref().map(|standing| standing.waiver()).filter(|_| one.weight == Weight::Waived);
    let mut risk = json!({
        "uuid": risk_of(one),
        "title": format!("{} {}", finding.id, titled(finding)),
        "description": finding.why,
        "statement": format!("Observed: {}.", finding.observed),
        "status": if waiver.is_some() { "deviation-approved" } else { "open" },
        "props": [prop("severity", finding.severity.name())],
        "remediations": [{
            "uuid": named(&["oscal", "remediation", &finding.key]),
            "lifecycle": "recommendation",
            "title": "What to do",
            "description": finding.fix,
        }],
        "related-observations": [{ "observation-uuid": observed_as(one) }],
    });
    if let Some(waiver) = waiver {
        risk["deadline"] = waiver.ends.rfc3339().into();
        risk["risk-log"] = json!({ "entries": [{
            "uuid": named(&["oscal", "waiver", &finding.fingerprint]),
            "title": "Accepted",
            "description": format!("{}: {}", waiver.owner, waiver.reason),
            "start": report.at.rfc3339(),
            "end": waiver.ends.rfc3339(),
            "status-change": "deviation-approved",
        }] });
    }
    risk
}

fn findings(report: &Report<'_>, framework: &Coverage) -> Vec<Value> {
    let evidenced = framework.evidenced.iter().map(|one| finding(report, framework, one, true));
    let others = framework.partly.iter().chain(&framework.failing);
    evidenced.chain(others.map(|one| finding(report, framework, one, false))).collect()
}

fn finding(report: &Report<'_>, framework: &Coverage, evidence: &Evidence, satisfied: bool) -> Value {
    let control = token(&framework.id, &evidence.control);
    let checks = || evidence.passed.iter().chain(&evidence.failed).chain(&evidence.not_assessed);
    let is_of = |one: &&Judged| checks().any(|id| *id == one.finding.id);
    let observations: Vec<Value> = report
        .judged
        .iter()
        .filter(is_of)
        .map(|one| json!({ "observation-uuid": observed_as(one) }))
        .collect();
    let risks: Vec<Value> = report
        .judged
        .iter()
        .filter(|one| is_of(one) && one.finding.state == State::Fail)
        .map(|one| json!({ "risk-uuid": risk_of(one) }))
        .collect();
    let title = if evidence.title.is_empty() { String::new() } else { format!(" {}", evidence.title) };
    let mut found = json!({
        "uuid": named(&["oscal", "finding", &control]),
        "title": format!("{}: {}{title}", framework.title, evidence.control),
        "description": format!(
            "Checks that passed: {}; that failed: {}; that were not assessed: {}.",
            listed(&evidence.passed), listed(&evidence.failed), listed(&evidence.not_assessed)
        ),
        "target": {
            "type": "objective-id",
            "target-id": format!("{control}_obj"),
            "status": { "state": if satisfied { "satisfied" } else { "not-satisfied" } },
            "remarks": "Of the objective as far as these checks observe it: evidence that supports the control, not that it is fulfilled.",
        },
        "related-observations": observations,
    });
    if !risks.is_empty() {
        found["related-risks"] = Value::Array(risks);
    }
    found
}

fn listed(ids: &[String]) -> String {
    if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
}
