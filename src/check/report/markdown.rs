//! The report as Markdown: a page for a ticket, a pull request or an auditor's folder.

use super::Report;
use super::words::{Cause, controls, titled};
use crate::check::baseline::Drift;
use crate::check::coverage::{Coverage, Evidence, MEANING, ranges};
use crate::check::finding::State;
use crate::check::outcome::{Judged, Weight};

/// The page.
pub(super) fn write(report: &Report<'_>) -> String {
    let mut page = head(report);
    for (weight, title) in [
        (Weight::Counts, "Findings"),
        (Weight::Expired, "Waived once, and the waiver has expired"),
        (Weight::Stale, "Too old"),
        (Weight::Unseen, "Could not be assessed"),
        (Weight::Minor, "Below the threshold"),
        (Weight::Known, "As in the baseline"),
        (Weight::Unattested, "For people to see and attest"),
    ] {
        let found = report.grouped(weight);
        if !found.is_empty() {
            page += &format!("\n## {title} ({})\n", report.count(weight));
            page.extend(found.iter().map(|group| match &group[..] {
                [one] => whole(report, one),
                several => together(several),
            }));
        }
    }
    page += &waived(report);
    page += &table(report, State::Pass, "Passed");
    page += &rows("Holds of checks that do not pass as a whole", report.in_part().into_iter());
    page += &table(report, State::NotApplicable, "Does not apply");
    page += &left_out(report);
    page += &report.drift.as_ref().map(drifted).unwrap_or_default();
    page += &report.coverage.as_ref().map(|coverage| covered(report, coverage)).unwrap_or_default();
    let value = report.score.value.map_or_else(|| "none".to_owned(), |value| format!("{value} of 100"));
    page + &format!("\n## Posture score: {value}\n\n{}.\n", escaped(&report.score.arithmetic))
}

fn head(report: &Report<'_>) -> String {
    let file = report.file.as_deref().unwrap_or("no file: environment and defaults");
    let rows = [
        ("Environment", format!("{}, judged by the profile {}", report.environment, report.profile.name())),
        ("Configuration", code(file)),
        (
            "Policies",
            format!("{}, sha256 {}", escaped(&report.catalogue.origin), code(&report.catalogue.digest)),
        ),
        (
            "Program",
            format!(
                "spotify-mcp {}, sha256 {}",
                env!("CARGO_PKG_VERSION"),
                code(report.program.as_deref().unwrap_or("unknown"))
            ),
        ),
        ("When", report.at.rfc3339()),
        ("Exit status", report.outcome().status().to_string()),
    ];
    let rows: String = rows.iter().map(|(name, value)| format!("| {name} | {value} |\n")).collect();
    format!(
        "# Security report: {}\n\n**{}**\n\n| | |\n|---|---|\n{rows}",
        report.asked,
        escaped(&report.conclusion())
    )
}

fn whole(report: &Report<'_>, one: &Judged) -> String {
    let finding = &one.finding;
    let mut text =
        format!("\n### {} {} ({})\n\n", finding.id, escaped(&titled(finding)), finding.severity.name());
    for (head, words) in [
        ("Where", &finding.place.text),
        ("Observed", &finding.observed),
        ("Expected", &finding.expected),
        ("Why", &finding.why),
        ("Do", &finding.fix),
    ] {
        if !words.is_empty() {
            text += &format!("- **{head}**: {}\n", escaped(words));
        }
    }
    text += &format!("- **Then run**: {}\n", code(&finding.verify));
    for url in &finding.references {
        // A page of the web, by its own parser's spelling.
        text += &format!("- **See**: <{}>\n", url.replace(['<', '>', ' '], ""));
    }
    let all = controls(report, finding);
    let supports: Vec<String> =
        all.iter().map(|(title, ids)| format!("{title}: {}", ids.join(", "))).collect();
    if !supports.is_empty() {
        text += &format!("- **Mapped to**: {}\n", escaped(&supports.join("; ")));
    }
    if let Some(standing) = &one.waiver {
        let waiver = standing.waiver();
        text += &format!(
            "- **Waiver**: {} until {}: {}\n",
            escaped(&waiver.owner),
            escaped(&waiver.expires),
            escaped(&waiver.reason)
        );
    }
    text + &format!("- **Fingerprint**: {}\n", code(&finding.fingerprint))
}

/// Errors of one cause: said once, with the checks that wait for it.
fn together(group: &[&Judged]) -> String {
    let (first, cause) = (&group[0].finding, Cause::of(group));
    let mut text = format!("\n### {} ({})\n\n", cause.title, first.severity.name());
    for (head, words) in [("Observed", &first.observed), ("Do", &first.fix), ("Checks", &cause.checks)] {
        text += &format!("- **{head}**: {}\n", escaped(words));
    }
    text + &format!("- **Then run**: {}\n", code(&cause.verify))
}

fn waived(report: &Report<'_>) -> String {
    let found = report.weighing(Weight::Waived);
    if found.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n## Waived ({})\n\n| check | what | owner | until | reason |\n|---|---|---|---|---|\n",
        found.len()
    );
    for one in found {
        let Some(waiver) = one.waiver.as_ref().map(|standing| standing.waiver()) else { continue };
        text += &format!(
            "| {} | {} | {} | {} | {} |\n",
            one.finding.id,
            escaped(&titled(&one.finding)),
            escaped(&waiver.owner),
            escaped(&waiver.expires),
            escaped(&waiver.reason)
        );
    }
    text
}

/// Every check of which this became, and what each says.
fn table(report: &Report<'_>, became: State, title: &str) -> String {
    let checks = report.checks(became);
    let title = format!("{title} ({})", checks.len());
    rows(&title, checks.into_iter().flatten())
}

fn rows<'a>(title: &str, found: impl Iterator<Item = &'a Judged>) -> String {
    let row = |one: &Judged| {
        let said = (escaped(&titled(&one.finding)), escaped(&one.finding.observed));
        format!("| {} | {} | {} |\n", one.finding.id, said.0, said.1)
    };
    let rows: String = found.map(row).collect();
    if rows.is_empty() {
        return rows;
    }
    format!("\n## {title}\n\n| check | what | observed |\n|---|---|---|\n{rows}")
}

fn left_out(report: &Report<'_>) -> String {
    if report.left_out.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n## Not asked ({})\n\n| check | what | severity | why |\n|---|---|---|---|\n",
        report.left_out.len()
    );
    for out in &report.left_out {
        text += &format!(
            "| {} | {} | {} | {} |\n",
            out.id,
            escaped(&out.title),
            out.severity.name(),
            escaped(&out.why)
        );
    }
    text
}

fn drifted(drift: &Drift) -> String {
    let mut text = format!("\n## Since the baseline of {}\n\n", escaped(&drift.since));
    for (head, ids) in [
        ("New", &drift.new),
        ("Worse", &drift.worse),
        ("As it was", &drift.known),
        ("Mended", &drift.mended),
        ("Not seen now", &drift.not_seen),
        ("Lost sight of", &drift.lost_sight),
    ] {
        if !ids.is_empty() {
            text += &format!("- **{head}** ({}): {}\n", ids.len(), escaped(&ids.join(", ")));
        }
    }
    text
}

fn covered(report: &Report<'_>, coverage: &[Coverage]) -> String {
    let mut text = format!("\n## Frameworks\n\n{MEANING}\n\n");
    text += "| framework | evidenced | partly | failing | not assessable here |\n|---|---|---|---|---|\n";
    for one in coverage {
        let title = format!("[{}]({})", escaped(&one.title), one.source);
        text += &format!(
            "| {title} | {} | {} | {} | {} |\n",
            one.evidenced.len(),
            one.partly.len(),
            one.failing.len(),
            one.not_assessable.len()
        );
    }
    for one in coverage {
        text += &format!("\n### {}\n\n", escaped(&one.title));
        let listed = |evidence: &[Evidence]| evidence.iter().map(said).collect::<Vec<_>>().join("; ");
        for (head, words) in [
            ("Evidenced", listed(&one.evidenced)),
            ("Partly", listed(&one.partly)),
            ("Failing", listed(&one.failing)),
        ] {
            if !words.is_empty() {
                text += &format!("- **{head}**: {}\n", escaped(&words));
            }
        }
        if let Some(framework) = report.catalogue.framework(&one.id)
            && !one.not_assessable.is_empty()
        {
            text +=
                &format!("- **Not assessable here**: {}\n", escaped(&ranges(framework, &one.not_assessable)));
        }
    }
    text
}

fn said(one: &Evidence) -> String {
    let was = if one.was.is_empty() { String::new() } else { format!(" [{}]", one.was.join(", ")) };
    let title = if one.title.is_empty() { String::new() } else { format!(" {}", one.title) };
    let of = |head: &str, ids: &[String]| {
        if ids.is_empty() { String::new() } else { format!(" {head} {}", ids.join(" ")) }
    };
    let checks =
        [of("by", &one.passed), of("against", &one.failed), of("unseen", &one.not_assessed)].concat();
    format!("{}{was}{title}:{checks}", one.control)
}

/// Text that stays text: nothing of it is markup, and it stays in its cell.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !crate::domain::event::is_deceptive(*c)) {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            // Nobody is called, and what looks like an address leads nowhere.
            '@' => out += "@<!-- -->",
            c => out.push(c),
        }
    }
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}

/// A text in code marks.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'").replace(['\n', '\r'], " "))
}
