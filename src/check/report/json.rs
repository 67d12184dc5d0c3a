//! The report as one JSON document (product.md 7, "Reports"); a former one is a baseline.

use serde_json::{Map, Value, json};

use super::Report;
use crate::check::baseline::SCHEMA;
use crate::check::coverage::MEANING;
use crate::check::finding::{Severity, State};
use crate::check::outcome::{Judged, Weight};
use crate::check::waiver::Standing;

/// The document, and a line break.
pub(super) fn write(report: &Report<'_>) -> String {
    let frameworks =
        report.coverage.as_ref().map(|coverage| json!({ "meaning": MEANING, "coverage": coverage }));
    let document = json!({
        "schema": SCHEMA,
        "asked": report.asked,
        "environment": report.environment.name(),
        "profile": report.profile.name(),
        "generated_at": report.at.rfc3339(),
        "fail_on": report.fail_on.name(),
        "configuration": report.file,
        "tool": { "name": "spotify-mcp", "version": env!("CARGO_PKG_VERSION"), "sha256": report.program },
        "policies": { "origin": report.catalogue.origin, "sha256": report.catalogue.digest },
        "summary": summary(report),
        "score": report.score,
        "findings": report.judged.iter().map(finding).collect::<Vec<_>>(),
        "left_out": report.left_out,
        "drift": report.drift,
        "frameworks": frameworks,
    });
    format!("{document:#}\n")
}

fn summary(report: &Report<'_>) -> Value {
    let in_state = |state| report.judged.iter().filter(|one| one.finding.state == state).count();
    let states: Map<String, Value> =
        State::ALL.into_iter().map(|state| (state.name().to_owned(), in_state(state).into())).collect();
    let counting = report.weighing(Weight::Counts);
    let of = |severity| counting.iter().filter(|one| one.finding.severity == severity).count();
    let severities: Map<String, Value> =
        Severity::ALL.into_iter().map(|severity| (severity.name().to_owned(), of(severity).into())).collect();
    let outcome = report.outcome();
    json!({
        "outcome": outcome.name(),
        "exit_status": outcome.status(),
        "conclusion": report.conclusion(),
        "states": states,
        "findings": counting.len(),
        "findings_by_severity": severities,
        "not_assessed": report.count(Weight::Unseen),
        "below_threshold": report.count(Weight::Minor),
        "waived": report.count(Weight::Waived),
        "waivers_expired": report.count(Weight::Expired),
        "stale": report.count(Weight::Stale),
        "known_from_baseline": report.count(Weight::Known),
        "unattested": report.count(Weight::Unattested),
        "not_asked": report.left_out.len(),
        "score": report.score.value,
    })
}

fn finding(one: &Judged) -> Value {
    let finding = &one.finding;
    json!({
        "id": finding.id,
        "name": finding.name,
        "title": finding.title,
        "severity": finding.severity.name(),
        "state": finding.state.name(),
        "counts": one.weight == Weight::Counts,
        "subject": finding.subject,
        "expected": finding.expected,
        "observed": finding.observed,
        "source": finding.place.text,
        "location": { "kind": finding.place.kind, "file": finding.place.file, "line": finding.place.line },
        "why": finding.why,
        "fix": finding.fix,
        "verify": finding.verify,
        "references": finding.references,
        "tags": finding.tags,
        "controls": finding.controls,
        "fingerprint": finding.fingerprint,
        "waiver": one.waiver.as_ref().map(waiver),
        "change": one.change,
    })
}

fn waiver(standing: &Standing) -> Value {
    let waiver = standing.waiver();
    json!({
        "holds": matches!(standing, Standing::Covered(_)),
        "owner": waiver.owner,
        "approver": waiver.approver,
        "reason": waiver.reason,
        "expires": waiver.expires,
        "justification": waiver.justification,
    })
}
