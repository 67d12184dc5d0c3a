//! The report as an OSCAL 1.2.1 plan of action and milestones: every failure an item with its risk, and for one that
//! somebody accepts until a day, who, why and until when.
//!
//! Never: an item for what did not fail, or a day that nobody named.

use serde_json::{Value, json};

use super::Report;
use super::oscal::{VERSION, observation, observed_as, prop, risk, risk_of};
use super::uuid::named;
use super::words::titled;
use crate::check::finding::{State, visible};
use crate::check::outcome::{Judged, Weight};

/// The document.
pub(super) fn write(report: &Report<'_>) -> String {
    let at = report.at.rfc3339();
    let id = |what: &str| named(&["poam", what, report.asked, report.profile.name(), &at]);
    let failed: Vec<&Judged> = report.judged.iter().filter(|one| one.finding.state == State::Fail).collect();
    let mut plan = json!({
        "uuid": id("document"),
        "metadata": {
            "title": format!("spotify-mcp security-check {}, environment {}: what is to be done", report.asked, report.environment),
            "last-modified": at,
            "version": env!("CARGO_PKG_VERSION"),
            "oscal-version": VERSION,
        },
        "system-id": {
            "identifier-type": "http://ietf.org/rfc/rfc4122",
            "id": named(&["system", report.file.as_deref().unwrap_or("defaults"), report.environment.name()]),
        },
    });
    if failed.is_empty() {
        // The schema wants an item.
        plan["poam-items"] = json!([{
            "uuid": id("nothing"),
            "title": "Nothing is to be done",
            "description": format!("No check of this run failed. {}.", report.conclusion()),
        }]);
    } else {
        plan["observations"] = failed.iter().map(|one| observation(report, one)).collect();
        plan["risks"] = failed.iter().map(|one| risk(report, one)).collect();
        plan["poam-items"] = failed.iter().map(|one| item(one)).collect();
    }
    format!("{:#}\n", visible(json!({ "plan-of-action-and-milestones": plan })))
}

fn item(one: &Judged) -> Value {
    let finding = &one.finding;
    let waiver = one.waiver.as_ref().map(|standing| standing.waiver());
    let accepted = waiver.map(|waiver| {
        let word = if one.weight == Weight::Waived { "Accepted" } else { "Was accepted" };
        format!(
            " {word} by {} until {}: {}.",
            waiver.owner,
            waiver.expires,
            waiver.reason.trim_end_matches('.')
        )
    });
    let standing = match (waiver.is_some(), one.weight) {
        (true, Weight::Waived) => "yes",
        (true, _) => "no-more",
        (false, _) => "no",
    };
    json!({
        "uuid": named(&["poam", "item", &finding.key]),
        "title": format!("{} {}", finding.id, titled(finding)),
        "description": format!("{}.{}", finding.fix.trim_end_matches('.'), accepted.unwrap_or_default()),
        "props": [prop("severity", finding.severity.name()), prop("accepted", standing)],
        "related-observations": [{ "observation-uuid": observed_as(one) }],
        "related-risks": [{ "risk-uuid": risk_of(one) }],
    })
}
