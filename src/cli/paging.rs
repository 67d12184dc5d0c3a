//! Lists in pages, and what may be asked of them.

use crate::ambient::Timestamp;

use super::output::Output;

/// Which part of a list.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Page {
    /// So many at most
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) limit: u32,
    /// After so many
    #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000_000_000))]
    pub(super) offset: u32,
}

impl Page {
    /// How many to read: one more than are shown, to know whether there are more.
    pub(super) const fn fetch(self) -> u32 {
        self.limit + 1
    }

    /// The page; where there are more after it, that is said.
    pub(super) fn cut<T>(self, mut rows: Vec<T>, output: &Output) -> Vec<T> {
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if rows.len() > most {
            rows.truncate(most);
            output.note(&format!("There are more: --offset {}", self.offset.saturating_add(self.limit)));
        }
        rows
    }
}

/// Longest text that is searched for, in characters: no name and no id of ours is longer.
const LONGEST_SEARCH: usize = 200;

/// A text to search for, of a bounded length.
pub(super) fn searched(text: &str) -> Result<String, String> {
    let fits = text.chars().count() <= LONGEST_SEARCH;
    if fits { Ok(text.to_owned()) } else { Err(format!("more than {LONGEST_SEARCH} characters")) }
}

/// A UTC day.
pub(super) fn day(at: Timestamp) -> String {
    at.rfc3339()[..10].to_owned()
}
