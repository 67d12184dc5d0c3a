//! Records for people: one line each that says when and what, and below it who, through what, to what and why. No wider
//! than the terminal, or 80 columns; an id is never cut.

use super::filter::Record;
use crate::ambient::Timestamp;
use crate::cli::table::{below, room};
use crate::domain::event::{EventCode, clean, is_deceptive};

/// The first line.
pub(super) const HEAD: &str = "     SEQ  TIME (UTC)           OUTCOME  SEVERITY  WHAT\n";

/// What is below a record's line begins here.
pub(super) const INDENT: usize = 10;

/// A record's lines.
pub(super) fn row(record: &Record<'_>) -> String {
    let at = Timestamp::from_millis(record.time).rfc3339();
    let time = at.get(..19).unwrap_or(&at).replace('T', " ");
    let line = format!(
        "{:>8}  {time:19}  {:7}  {:8}  {}",
        record.metadata.sequence,
        clean(record.ending()),
        record.gravity(),
        clean(&record.metadata.event_code),
    );
    // Whole: a record's texts are bounded, and what forges a line goes.
    let harmless = |fact: &String| fact.chars().filter(|c| !is_deceptive(*c)).collect();
    let facts: Vec<String> = facts(record).iter().map(harmless).collect();
    format!("{}\n{}", line.trim_end(), below(room(), INDENT, &facts))
}

/// Who, through what, to what and why, as far as the record says more than its code.
fn facts(record: &Record<'_>) -> Vec<String> {
    let code = &*record.metadata.event_code;
    let (who, subject) = (record.who(), record.subject().unwrap_or_default());
    let mut facts = Vec::new();
    let mut add = |word: &str, text: &str| {
        if !text.is_empty() {
            facts.push(if word.is_empty() { text.to_owned() } else { format!("{word} {text}") });
        }
    };
    // The server itself is the usual one where no request was.
    add("by", if who == "system" { "" } else { who });
    add("via", record.client());
    add("in", if record.operation() == code { "" } else { record.operation() });
    add("of", if subject == who { "" } else { subject });
    let answer = record.answer();
    add("status", if answer == record.ending() { "" } else { answer });
    let meaning =
        EventCode::ALL.iter().find(|known| known.name() == code).map_or("", |known| known.meaning());
    let why = record.rationale();
    add("because:", if why == meaning { "" } else { why });
    for (name, value) in record.details() {
        // What stands elsewhere in these lines.
        if ![who, subject, record.client(), why].contains(&value) {
            add(&format!("{name}:"), value);
        }
    }
    facts
}
