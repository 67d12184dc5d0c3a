//! The report as JUnit XML: a suite for each group of checks, a case for each finding.

use std::fmt::Write as _;

use super::Report;
use super::words::titled;
use crate::check::finding::State;
use crate::check::outcome::{Judged, Weight};

/// The document.
pub(super) fn write(report: &Report<'_>) -> String {
    let group = |one: &Judged| one.finding.id.chars().take(4).collect::<String>();
    let same = |one: &Judged, other: &Judged| group(one) == group(other);
    let mut suites = String::new();
    for cases in report.judged.chunk_by(same) {
        let name = cases.first().map(group).unwrap_or_default();
        suites += &suite(report, &name, cases);
    }
    let (failures, errors, skipped) = counts(&report.judged);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"spotify-mcp security-check {}\" tests=\"{}\" \
         failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" timestamp=\"{}\" time=\"0\">\n{suites}</testsuites>\n",
        report.asked,
        report.judged.len(),
        report.at.rfc3339(),
    )
}

fn suite(report: &Report<'_>, group: &str, cases: &[Judged]) -> String {
    let (failures, errors, skipped) = counts(cases);
    let all: String = cases.iter().map(case).collect();
    format!(
        "  <testsuite name=\"{group}xxx\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" \
         skipped=\"{skipped}\" timestamp=\"{}\" time=\"0\">\n{all}  </testsuite>\n",
        cases.len(),
        report.at.rfc3339(),
    )
}

/// Failures that count, errors, and what was not judged.
fn counts(cases: &[Judged]) -> (usize, usize, usize) {
    let of = |kind: Kind| cases.iter().filter(|one| kind_of(one) == kind).count();
    (of(Kind::Failure), of(Kind::Error), of(Kind::Skipped))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passed,
    Failure,
    Error,
    Skipped,
}

/// What fails a build is a failure: what counts, what has expired and what is too old; what cannot be told by that is an
/// error. The rest is told in the case's output.
const fn kind_of(one: &Judged) -> Kind {
    match (one.weight, one.finding.state) {
        (Weight::Stale, State::Error) | (Weight::Unseen, _) => Kind::Error,
        (Weight::Counts | Weight::Expired | Weight::Stale, _) => Kind::Failure,
        (Weight::Unattested | Weight::NotApplicable, _) => Kind::Skipped,
        (Weight::Known | Weight::Minor | Weight::Waived | Weight::Passed, _) => Kind::Passed,
    }
}

fn case(one: &Judged) -> String {
    let finding = &one.finding;
    let name = escaped(&format!("{} {}", finding.id, titled(finding)));
    let mut inside = String::new();
    let kind = finding.severity.name();
    let message = escaped(&finding.observed);
    let _infallible = match kind_of(one) {
        Kind::Failure => {
            writeln!(inside, "      <failure type=\"{kind}\" message=\"{message}\">{}</failure>", said(one))
        }
        Kind::Error => {
            writeln!(inside, "      <error type=\"{kind}\" message=\"{message}\">{}</error>", said(one))
        }
        Kind::Skipped => writeln!(inside, "      <skipped message=\"{}: {message}\"/>", finding.state.name()),
        Kind::Passed => Ok(()),
    };
    if let Some(words) = aside(one) {
        let _infallible = writeln!(inside, "      <system-out>{}</system-out>", escaped(&words));
    }
    let class = escaped(&format!("security-check.{}", finding.name));
    if inside.is_empty() {
        format!("    <testcase classname=\"{class}\" name=\"{name}\" time=\"0\"/>\n")
    } else {
        format!("    <testcase classname=\"{class}\" name=\"{name}\" time=\"0\">\n{inside}    </testcase>\n")
    }
}

fn said(one: &Judged) -> String {
    let finding = &one.finding;
    escaped(&format!(
        "where: {}\nobserved: {}\nexpected: {}\nwhy: {}\ndo: {}\nthen run: {}\nfingerprint: {}",
        finding.place.text,
        finding.observed,
        finding.expected,
        finding.why,
        finding.fix,
        finding.verify,
        finding.fingerprint
    ))
}

/// A failure that does not fail the build is not passed over in silence.
fn aside(one: &Judged) -> Option<String> {
    if one.finding.state != State::Fail {
        return None;
    }
    let why = match (one.weight, &one.waiver) {
        (Weight::Waived, Some(standing)) => {
            let waiver = standing.waiver();
            format!("waived by {} until {}: {}", waiver.owner, waiver.expires, waiver.reason)
        }
        (Weight::Known, _) => "as in the baseline".to_owned(),
        (Weight::Minor, _) => format!("{}, below the threshold", one.finding.severity.name()),
        _ => return None,
    };
    Some(format!("{why}\nobserved: {}\ndo: {}", one.finding.observed, one.finding.fix))
}

/// Text of an element or attribute. What XML 1.0 has no place for goes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split('\n') {
        if !out.is_empty() {
            out.push('\n');
        }
        // Bounded by the line's own words: a long fix is not cut.
        let plain: String = line.chars().filter(|c| !crate::domain::event::is_deceptive(*c)).collect();
        for c in plain.chars() {
            match c {
                '<' => out += "&lt;",
                '>' => out += "&gt;",
                '&' => out += "&amp;",
                '"' => out += "&quot;",
                '\'' => out += "&apos;",
                '\u{fffe}' | '\u{ffff}' => {}
                c => out.push(c),
            }
        }
    }
    out
}
