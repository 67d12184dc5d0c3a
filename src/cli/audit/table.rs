//! Records for people: one line of at most 80 columns each.

use super::filter::Record;
use crate::ambient::Timestamp;
use crate::domain::event::clean;

/// The first line.
pub(super) const HEAD: &str = "     SEQ  TIME (UTC)           CODE                        OUTCOME  WHO\n";

/// A record's line.
pub(super) fn row(record: &Record<'_>) -> String {
    let at = Timestamp::from_millis(record.time).rfc3339();
    let time = at.get(..19).unwrap_or(&at).replace('T', " ");
    let line = format!(
        "{:>8}  {time:19}  {:26}  {:7}  {}",
        record.metadata.sequence,
        cut(&record.metadata.event_code, 26),
        cut(record.ending(), 7),
        cut(record.who(), 12)
    );
    format!("{}\n", line.trim_end())
}

/// Cleaned, and no wider than so many columns.
fn cut(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.chars().count() <= width {
        return text;
    }
    let head: String = text.chars().take(width - 1).collect();
    head + "…"
}
