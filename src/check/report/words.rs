//! Lines of so many columns, for pages that people read. Columns count characters, never escapes.

use std::fmt::Write as _;

use super::Report;
use crate::check::engine::Finding;
use crate::check::finding::{State, counted};
use crate::check::outcome::Judged;
use crate::domain::event::is_deceptive;

/// Columns of a terminal that everybody has.
pub(super) const WIDTH: usize = 80;

/// A paragraph for such a terminal.
pub fn paragraph(first: &str, text: &str) -> String {
    wrapped(first, text, WIDTH)
}

/// A paragraph of this width: `first` stands before its first line, as many blanks before the others. A longer word stays whole; what
/// would move a terminal's cursor or hide words goes.
pub(super) fn wrapped(first: &str, text: &str, width: usize) -> String {
    let text: String = text.chars().filter(|c| c.is_whitespace() || !is_deceptive(*c)).collect();
    let indent = first.chars().count();
    let (mut out, mut column) = (first.to_owned(), indent);
    for (at, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if at > 0 && column + 1 + length > width {
            let _infallible = write!(out, "\n{:indent$}", "");
            column = indent;
        } else if at > 0 {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += length;
    }
    out.push('\n');
    out
}

/// Framework and control ids that a finding is evidence for, in the order of reports.
pub(super) fn controls(report: &Report<'_>, finding: &Finding) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for framework in &report.catalogue.frameworks {
        let ids = finding.controls.get(&framework.id).filter(|ids| !ids.is_empty());
        let Some(ids) = ids else { continue };
        let cited = |id: &String| {
            let was = framework.control(id).map_or(&[][..], |control| &control.was);
            let was = if was.is_empty() { String::new() } else { format!(" ({})", was.join(", ")) };
            format!("{}{id}{was}", framework.cited_as)
        };
        all.push((framework.named(), ids.iter().map(cited).collect()));
    }
    if let Some(ids) = finding.controls.get("cwe").filter(|ids| !ids.is_empty()) {
        all.push(("CWE".to_owned(), ids.clone()));
    }
    all
}

/// Several errors that have one cause.
pub(super) struct Cause {
    /// How many checks wait for it.
    pub title: String,
    /// Each check once, with how much it matters.
    pub checks: String,
    /// The command that looks again at all of them.
    pub verify: String,
}

impl Cause {
    pub fn of(group: &[&Judged]) -> Self {
        let mut ids: Vec<(&str, &str)> =
            group.iter().map(|one| (one.finding.id.as_str(), one.finding.severity.name())).collect();
        ids.sort_unstable();
        ids.dedup();
        let named: Vec<String> = ids.iter().map(|(id, severity)| format!("{id} ({severity})")).collect();
        let (first, all) = (&group[0].finding, ids.iter().map(|(id, _)| *id).collect::<Vec<_>>().join(","));
        Self {
            title: format!("{} cannot be assessed, for one reason", counted(ids.len(), "check", "checks")),
            checks: named.join(", "),
            verify: first.verify.replace(&first.id, &all),
        }
    }

    /// Whether two are errors of one cause: the same was seen, the same is to be done, one command looks again.
    pub fn is_shared(one: &Judged, other: &Judged) -> bool {
        let (one, other) = (&one.finding, &other.finding);
        let again = |finding: &Finding| finding.verify.replace(&finding.id, "");
        one.state == State::Error
            && other.state == State::Error
            && one.observed == other.observed
            && one.fix == other.fix
            && again(one) == again(other)
    }
}

/// What it is about, after its title.
pub(super) fn titled(finding: &Finding) -> String {
    if finding.subject.is_empty() {
        finding.title.clone()
    } else {
        format!("{} [{}]", finding.title, finding.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_keeps_to_its_columns_and_breaks_no_word() {
        let text = paragraph("  - ", &format!("{} {} end", "word ".repeat(30), "x".repeat(90)));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("  - word") && lines[1].starts_with("    word"));
        assert!(lines.iter().all(|line| line.len() <= 80 || line.trim() == "x".repeat(90)));
        assert_eq!(text.split_whitespace().count(), 33);
        assert_eq!(paragraph("a: ", ""), "a: \n");
        assert_eq!(paragraph("", "red\u{1b}[31m\u{202e}"), "red[31m\n", "nothing moves the cursor");
    }
}
