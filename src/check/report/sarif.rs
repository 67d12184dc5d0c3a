//! The report as SARIF 2.1.0, as GitHub's code scanning takes it.
//!
//! Results are failures alone, waived ones with a suppression: GitHub shows every result as an alert, whatever its kind.
//! What could not be assessed, or is for people to attest, is a notification of the run.

use std::path::Path;

use serde_json::{Value, json};

use super::Report;
use super::words::titled;
use crate::check::catalogue::Check;
use crate::check::finding::{Severity, State};
use crate::check::outcome::{Judged, Outcome, Weight};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
const HOME: &str = "https://github.com/spotify-mcp/spotify-mcp";
const HELP: &str = "https://github.com/spotify-mcp/spotify-mcp/blob/main/docs/security-check.md";
const CWE: &str = "CWE";

/// The document.
pub(super) fn write(report: &Report<'_>) -> String {
    let rules: Vec<&Check> = rules(report);
    let failures = report.judged.iter().filter(|one| one.finding.state == State::Fail);
    let results: Vec<Value> = failures.map(|one| result(report, &rules, one)).collect();
    let taxonomies = taxonomies(report, &rules);
    let run = json!({
        "tool": { "driver": {
            "name": "spotify-mcp security-check",
            "fullName": format!("spotify-mcp security-check {}", env!("CARGO_PKG_VERSION")),
            "organization": "spotify-mcp",
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "version": env!("CARGO_PKG_VERSION"),
            "informationUri": HOME,
            "rules": rules.iter().map(|check| rule(report, check)).collect::<Vec<_>>(),
            "supportedTaxonomies": taxonomies.iter().map(|one| json!({ "name": one["name"], "guid": one["guid"] })).collect::<Vec<_>>(),
        } },
        "automationDetails": { "id": format!("spotify-mcp/security-check/{}/", report.asked) },
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation(report)],
        "results": results,
        "taxonomies": taxonomies,
    });
    format!("{:#}\n", json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] }))
}

/// The checks of this run.
fn rules<'a>(report: &Report<'a>) -> Vec<&'a Check> {
    let ran = |check: &&Check| report.judged.iter().any(|one| one.finding.id == check.id);
    report.catalogue.checks.iter().filter(ran).collect()
}

fn rule(report: &Report<'_>, check: &Check) -> Value {
    let severity = report.catalogue.severity(check, report.profile).unwrap_or(check.severity);
    let help = format!(
        "{}\n\nExpected: {}\n\nDo: {}\n\nThen run: {}",
        check.why, check.expected, check.fix, check.verify
    );
    let marked = format!(
        "{}\n\n**Expected**: {}\n\n**Do**: {}\n\n**Then run**: `{}`",
        check.why, check.expected, check.fix, check.verify
    );
    let mut tags = vec!["security".to_owned()];
    tags.extend(check.tags.iter().cloned());
    for id in check.controls.get("cwe").into_iter().flatten() {
        tags.push(format!("external/cwe/{}", id.to_ascii_lowercase()));
    }
    json!({
        "id": check.id,
        "name": check.name,
        "shortDescription": { "text": sentence(&check.title) },
        "fullDescription": { "text": sentence(&format!("{}. {}", check.title, check.why)) },
        "help": { "text": help, "markdown": marked },
        "helpUri": HELP,
        "defaultConfiguration": { "level": level(severity) },
        "properties": { "security-severity": score(severity), "precision": "high", "problem.severity": level(severity), "tags": tags },
        "relationships": relationships(report, check),
    })
}

fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

fn relationships(report: &Report<'_>, check: &Check) -> Vec<Value> {
    let mut all = Vec::new();
    let mut add = |id: &str, taxonomy: &str, guid: String| {
        all.push(json!({
            "target": { "id": id, "guid": taxon(taxonomy, id), "toolComponent": { "name": taxonomy, "guid": guid } },
            "kinds": ["relevant"],
        }));
    };
    for framework in &report.catalogue.frameworks {
        for id in check.controls.get(&framework.id).into_iter().flatten() {
            add(id, &framework.id, component(&framework.id));
        }
    }
    for id in check.controls.get("cwe").into_iter().flatten() {
        add(id.trim_start_matches("CWE-"), CWE, component(CWE));
    }
    all
}

/// Frameworks of which this run's checks name a control, with those controls.
fn taxonomies(report: &Report<'_>, rules: &[&Check]) -> Vec<Value> {
    let named = |framework: &str, id: &str| {
        rules
            .iter()
            .any(|check| check.controls.get(framework).is_some_and(|ids| ids.iter().any(|known| known == id)))
    };
    let mut all = Vec::new();
    for framework in &report.catalogue.frameworks {
        let controls = framework.controls.iter().filter(|control| named(&framework.id, &control.id));
        let taxa: Vec<Value> = controls
            .map(|control| {
                let words = if control.title.is_empty() { &control.id } else { &control.title };
                json!({ "id": control.id, "guid": taxon(&framework.id, &control.id), "shortDescription": { "text": sentence(words) } })
            })
            .collect();
        if !taxa.is_empty() {
            all.push(json!({
                "name": framework.id, "guid": component(&framework.id), "fullName": framework.named(),
                "version": framework.version, "informationUri": framework.source, "isComprehensive": false,
                "shortDescription": { "text": sentence(&framework.named()) }, "taxa": taxa,
            }));
        }
    }
    let mut cwes: Vec<&String> =
        rules.iter().flat_map(|check| check.controls.get("cwe").into_iter().flatten()).collect();
    cwes.sort();
    cwes.dedup();
    if !cwes.is_empty() {
        let taxa: Vec<Value> = cwes
            .iter()
            .map(|id| {
                let number = id.trim_start_matches("CWE-");
                json!({ "id": number, "guid": taxon(CWE, number), "shortDescription": { "text": sentence(id) } })
            })
            .collect();
        all.push(json!({
            "name": CWE, "guid": component(CWE), "organization": "MITRE", "informationUri": "https://cwe.mitre.org/",
            "isComprehensive": false, "shortDescription": { "text": "Common Weakness Enumeration." }, "taxa": taxa,
        }));
    }
    all
}

fn component(name: &str) -> String {
    super::uuid::named(&["sarif", "taxonomy", name])
}

fn taxon(taxonomy: &str, id: &str) -> String {
    super::uuid::named(&["sarif", "taxon", taxonomy, id])
}

fn result(report: &Report<'_>, rules: &[&Check], one: &Judged) -> Value {
    let finding = &one.finding;
    let index = rules.iter().position(|check| check.id == finding.id);
    let message = format!(
        "{}: observed {}, expected {}. Do: {}",
        titled(finding),
        finding.observed,
        finding.expected.trim_end_matches('.'),
        sentence(&finding.fix)
    );
    let mut result = json!({
        "ruleId": finding.id,
        "kind": "fail",
        "level": level(finding.severity),
        "message": { "text": literal(&message) },
        "locations": [location(report, one)],
        "partialFingerprints": { "spotifyMcpFinding/v1": finding.key },
        "properties": { "security-severity": score(finding.severity), "fingerprint": finding.fingerprint },
    });
    if let Some(index) = index {
        result["ruleIndex"] = index.into();
    }
    if let (Weight::Waived, Some(standing)) = (one.weight, &one.waiver) {
        let waiver = standing.waiver();
        result["suppressions"] = json!([{
            "kind": "external", "status": "accepted",
            "justification": format!("{}, until {}: {}", waiver.owner, waiver.expires, waiver.reason),
        }]);
    }
    if let Some(change) = one.change {
        use crate::check::baseline::Change;
        let state = match change {
            Change::New => "new",
            Change::Worse => "updated",
            Change::Known => "unchanged",
        };
        result["baselineState"] = state.into();
    }
    result
}

/// The file and line where there is one, else the configuration file, else this program: GitHub takes no result without a
/// file, and one that is not there would be a lie. The place as it is stands in the logical location.
fn location(report: &Report<'_>, one: &Judged) -> Value {
    let place = &one.finding.place;
    let file = place.file.as_deref().or(report.file.as_deref()).or(report.executable.as_deref());
    let line = if place.file.is_some() { place.line.unwrap_or(1) } else { 1 };
    let kind = if place.kind == "key" { "property" } else { "resource" };
    let mut location = json!({ "logicalLocations": [{ "fullyQualifiedName": place.text, "kind": kind }] });
    if let Some(file) = file {
        location["physicalLocation"] = json!({
            "artifactLocation": { "uri": uri(file, report.folder.as_deref()) },
            "region": { "startLine": line },
        });
    }
    location
}

/// Relative to the folder where it lies below it; else as a file's URL. Nothing is relative to the root.
fn uri(file: &str, folder: Option<&str>) -> String {
    let below =
        folder.filter(|folder| *folder != "/").and_then(|folder| Path::new(file).strip_prefix(folder).ok());
    let path = below.and_then(Path::to_str).unwrap_or(file);
    let path = path.strip_prefix("./").unwrap_or(path);
    let escaped: String = path
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    if escaped.starts_with('/') { format!("file://{escaped}") } else { escaped }
}

fn invocation(report: &Report<'_>) -> Value {
    let unseen = report.judged.iter().filter(|one| {
        matches!(one.weight, Weight::Unseen | Weight::Unattested) || one.finding.state == State::Error
    });
    let notices: Vec<Value> = unseen
        .map(|one| {
            let is_unseen = one.weight != Weight::Unattested;
            let level = if is_unseen { "error" } else { "note" };
            let words = format!("{} {}: {}", one.finding.id, titled(&one.finding), sentence(&one.finding.observed));
            json!({
                "level": level, "message": { "text": literal(&words) }, "associatedRule": { "id": one.finding.id },
                "descriptor": { "id": if is_unseen { "NOT_ASSESSED" } else { "NOT_ATTESTED" } },
            })
        })
        .collect();
    let outcome = report.outcome();
    json!({
        "executionSuccessful": outcome != Outcome::Incomplete,
        "exitCode": outcome.status(),
        "endTimeUtc": report.at.rfc3339(),
        "toolExecutionNotifications": notices,
    })
}

/// A message without links: brackets would make some (3.11.6), to wherever whoever wrote what was seen likes.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

/// GitHub's bands: critical over 9.0, high from 7.0, medium from 4.0.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
    }
}
