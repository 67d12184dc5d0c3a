//! The report for people at a terminal: as wide as that, what counts first, every colour beside a word that says the same.

use super::words::{Cause, controls, titled, wrapped};
use super::{Look, Report};
use crate::check::baseline::Drift;
use crate::check::coverage::{Coverage, Evidence, MEANING, ranges};
use crate::check::finding::{Severity, State};
use crate::check::outcome::{Judged, Weight};

impl Look {
    fn paragraph(self, first: &str, text: &str) -> String {
        wrapped(first, text, self.width)
    }
}

/// The page.
pub(super) fn write(report: &Report<'_>, look: Look) -> String {
    let mut page = head(report, look);
    for (weight, title, paint) in [
        (Weight::Counts, "FINDINGS", "1;31"),
        (Weight::Expired, "WAIVED ONCE, AND THE WAIVER HAS EXPIRED", "33"),
        (Weight::Stale, "TOO OLD", "33"),
        (Weight::Unseen, "COULD NOT BE ASSESSED", "35"),
        (Weight::Minor, "BELOW THE THRESHOLD", "33"),
        (Weight::Known, "AS IN THE BASELINE", "2"),
        (Weight::Unattested, "FOR PEOPLE TO SEE AND ATTEST", "36"),
    ] {
        let found = report.grouped(weight);
        if !found.is_empty() {
            page += &heading(&format!("{title} ({})", report.count(weight)), look, paint);
            page.extend(found.iter().map(|group| match &group[..] {
                [one] => whole(report, one, look),
                several => together(several, look),
            }));
        }
    }
    page += &waived(report, look);
    page += &short(report, State::Pass, "PASSED", look);
    page += &in_part(report, look);
    page += &short(report, State::NotApplicable, "DOES NOT APPLY", look);
    page += &left_out(report, look);
    page += &report.drift.as_ref().map(|drift| drifted(drift, look)).unwrap_or_default();
    page += &report.coverage.as_ref().map(|coverage| covered(report, coverage, look)).unwrap_or_default();
    page + &tail(report, look)
}

fn head(report: &Report<'_>, look: Look) -> String {
    let first = look.paragraph("", &format!("security-check {}: {}", report.asked, report.conclusion()));
    let mut page = painted(first.trim_end(), "1", look) + "\n";
    let environment = format!("{}, judged by the profile {}", report.environment, report.profile.name());
    page += &look.paragraph("  environment    ", &environment);
    page += &look.paragraph(
        "  configuration  ",
        report.file.as_deref().unwrap_or("no file: environment and defaults"),
    );
    page += &look.paragraph(
        "  policies       ",
        &format!("{}, sha256 {}", report.catalogue.origin, &report.catalogue.digest[..16]),
    );
    page + &look.paragraph("  when           ", &report.at.rfc3339())
}

fn heading(title: &str, look: Look, paint: &str) -> String {
    format!("\n{}\n", painted(title, paint, look))
}

/// Everything that somebody needs who is to mend it.
fn whole(report: &Report<'_>, one: &Judged, look: Look) -> String {
    let finding = &one.finding;
    // Words first, then paint: escapes are no columns.
    let first = format!("{:8}  {}  ", finding.severity.name(), finding.id);
    let title = look.paragraph(&first, &titled(finding));
    let severity = painted(finding.severity.name(), paint_of(finding.severity), look);
    let mut text = format!("\n{}", title.replacen(finding.severity.name(), &severity, 1));
    let line =
        |head: &str, words: &str| if words.is_empty() { String::new() } else { look.paragraph(head, words) };
    text += &line("  where        ", &finding.place.text);
    text += &line("  observed     ", &finding.observed);
    text += &line("  expected     ", &finding.expected);
    text += &line("  why          ", &finding.why);
    text += &line("  do           ", &finding.fix);
    text += &line("  then run     ", &finding.verify);
    for url in &finding.references {
        text += &line("  see          ", url);
    }
    if let Some(standing) = &one.waiver {
        let waiver = standing.waiver();
        let words = format!("waived by {} until {}: {}", waiver.owner, waiver.expires, waiver.reason);
        text += &line("  waiver       ", &words);
    }
    if look.verbose || matches!(finding.state, State::Fail | State::Manual) {
        text += &line("  fingerprint  ", &finding.fingerprint);
    }
    if look.verbose {
        let all = controls(report, finding);
        let supports: Vec<String> =
            all.iter().map(|(title, ids)| format!("{title}: {}", ids.join(", "))).collect();
        text += &line("  mapped to    ", &supports.join("; "));
    }
    text
}

/// Errors of one cause: said once, with the checks that wait for it.
fn together(group: &[&Judged], look: Look) -> String {
    let (first, cause) = (&group[0].finding, Cause::of(group));
    let title = look.paragraph(&format!("{:8}  ", first.severity.name()), &cause.title);
    let severity = painted(first.severity.name(), paint_of(first.severity), look);
    let mut text = format!("\n{}", title.replacen(first.severity.name(), &severity, 1));
    for (head, words) in [
        ("  observed     ", &first.observed),
        ("  do           ", &first.fix),
        ("  checks       ", &cause.checks),
        ("  then run     ", &cause.verify),
    ] {
        text += &look.paragraph(head, words);
    }
    text
}

fn waived(report: &Report<'_>, look: Look) -> String {
    let found = report.weighing(Weight::Waived);
    if found.is_empty() {
        return String::new();
    }
    let mut text = heading(&format!("WAIVED ({})", found.len()), look, "33");
    for one in found {
        let Some(waiver) = one.waiver.as_ref().map(|standing| standing.waiver()) else { continue };
        text += &look.paragraph(&format!("  {}  ", one.finding.id), &titled(&one.finding));
        let words = format!("{} accepts it until {}: {}", waiver.owner, waiver.expires, waiver.reason);
        text += &look.paragraph("           ", &words);
    }
    text
}

/// Every check of which this became, and with `-v` what each says; else ids alone.
fn short(report: &Report<'_>, became: State, title: &str, look: Look) -> String {
    let checks = report.checks(became);
    if checks.is_empty() {
        return String::new();
    }
    let paint = if became == State::Pass { "32" } else { "2" };
    let mut text = heading(&format!("{title} ({})", checks.len()), look, paint);
    if look.verbose {
        text.extend(checks.into_iter().flatten().map(|one| brief(one, look)));
        return text;
    }
    let ids: Vec<&str> = checks.iter().map(|all| all[0].finding.id.as_str()).collect();
    text + &look.paragraph("  ", &ids.join(" "))
}

/// With `-v`: what holds of checks that stand further up because of something else.
fn in_part(report: &Report<'_>, look: Look) -> String {
    let found = report.in_part();
    if found.is_empty() || !look.verbose {
        return String::new();
    }
    let mut text = heading("HOLDS OF CHECKS THAT DO NOT PASS AS A WHOLE", look, "2");
    text.extend(found.into_iter().map(|one| brief(one, look)));
    text
}

fn brief(one: &Judged, look: Look) -> String {
    let title = look.paragraph(&format!("  {}  ", one.finding.id), &titled(&one.finding));
    let seen = match one.finding.state {
        State::NotApplicable => format!("does not apply: {}", one.finding.observed),
        _ => format!("{}: {}", one.finding.place.text, one.finding.observed),
    };
    title + &look.paragraph("           ", &seen)
}

fn left_out(report: &Report<'_>, look: Look) -> String {
    if report.left_out.is_empty() {
        return String::new();
    }
    let mut text = heading(&format!("NOT ASKED ({})", report.left_out.len()), look, "2");
    // What one word on the command line takes out stands together.
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for out in &report.left_out {
        let said = if out.severity == Severity::Critical { " (critical)" } else { "" };
        let check = format!("{}{said}", out.id);
        match reasons.iter_mut().find(|(why, _)| *why == out.why) {
            Some((_, checks)) => checks.push(check),
            None => reasons.push((&out.why, vec![check])),
        }
    }
    for (why, checks) in reasons {
        text += &look.paragraph("  ", &format!("{why}:"));
        text += &look.paragraph("    ", &checks.join(", "));
    }
    text
}

fn drifted(drift: &Drift, look: Look) -> String {
    let mut text = heading(&format!("SINCE THE BASELINE OF {}", drift.since), look, "1");
    for (head, ids) in [
        ("new", &drift.new),
        ("worse", &drift.worse),
        ("as it was", &drift.known),
        ("mended", &drift.mended),
        ("not seen now", &drift.not_seen),
        ("lost sight of", &drift.lost_sight),
    ] {
        if !ids.is_empty() {
            text += &look.paragraph(&format!("  {head:13}  {:3}  ", ids.len()), &ids.join(", "));
        }
    }
    text
}

fn covered(report: &Report<'_>, coverage: &[Coverage], look: Look) -> String {
    let mut text = heading("FRAMEWORKS", look, "1");
    text += &look.paragraph("  ", MEANING);
    text += "\n  evidenced  partly  failing  not here\n";
    for one in coverage {
        let (evidenced, partly, failing) = (one.evidenced.len(), one.partly.len(), one.failing.len());
        let counts = format!("  {evidenced:9}  {partly:6}  {failing:7}  {:8}  ", one.not_assessable.len());
        text += &look.paragraph(&counts, &one.title);
    }
    for one in coverage {
        text += &format!("\n{}\n", painted(&format!("  {}", one.title), "1", look));
        if !one.evidenced.is_empty() {
            text += &look.paragraph("    evidenced    ", &ids(report, one, &one.evidenced));
        }
        if !one.partly.is_empty() {
            text += &look.paragraph("    partly       ", &partly(&one.partly));
        }
        if !one.failing.is_empty() {
            text += &look.paragraph("    failing      ", &partly(&one.failing));
        }
        text += &not_here(report, one, look);
    }
    text
}

/// So many ids are read gladly; more with `-v`.
const READ_GLADLY: usize = 40;

fn not_here(report: &Report<'_>, coverage: &Coverage, look: Look) -> String {
    let count = coverage.not_assessable.len();
    let words = match report.catalogue.framework(&coverage.id) {
        None => return String::new(),
        Some(_) if count == 0 => return String::new(),
        Some(_) if count > READ_GLADLY && !look.verbose => format!("{count}: -v lists them"),
        Some(framework) => ranges(framework, &coverage.not_assessable),
    };
    look.paragraph("    not here     ", &words)
}

fn ids(report: &Report<'_>, coverage: &Coverage, evidence: &[Evidence]) -> String {
    let said = |one: &Evidence| match one.was.is_empty() {
        true => one.control.clone(),
        false => format!("{} ({})", one.control, one.was.join(", ")),
    };
    let plain: Vec<String> = evidence.iter().map(|one| one.control.clone()).collect();
    match report.catalogue.framework(&coverage.id) {
        Some(framework) if evidence.iter().all(|one| one.was.is_empty()) => ranges(framework, &plain),
        _ => evidence.iter().map(said).collect::<Vec<_>>().join(", "),
    }
}

fn partly(evidence: &[Evidence]) -> String {
    let said = |one: &Evidence| {
        let all = one.passed.len() + one.failed.len() + one.not_assessed.len();
        let against =
            if one.failed.is_empty() { String::new() } else { format!(", {} fail", one.failed.len()) };
        format!("{} ({} of {all} pass{against})", one.control, one.passed.len())
    };
    evidence.iter().map(said).collect::<Vec<_>>().join(", ")
}

fn tail(report: &Report<'_>, look: Look) -> String {
    let value = report.score.value.map_or_else(|| "none".to_owned(), |value| format!("{value} of 100"));
    let mut text = heading(&format!("POSTURE SCORE: {value}"), look, "1");
    text += &look.paragraph("  ", &report.score.arithmetic);
    let outcome = report.outcome();
    let last = look.paragraph("", &format!("Exit status {}: {}", outcome.status(), report.conclusion()));
    text + &format!("\n{}\n", painted(last.trim_end(), "1", look))
}

const fn paint_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "1;31",
        Severity::High => "31",
        Severity::Medium => "33",
        Severity::Low => "36",
    }
}

fn painted(text: &str, style: &str, look: Look) -> String {
    if look.colour { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
}
