//! What was asked: which checks, by area, id and tag, and what `--offline` takes out.

use super::catalogue::{Area, Catalogue, Check, Need};
use super::probe;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Of which area; `None`: every one.
    pub area: Option<Area>,
    /// Only these: ids or tags. Empty: all.
    pub only: Vec<String>,
    /// Not these: ids or tags.
    pub skip: Vec<String>,
    /// What needs the network, or is fetched, is not asked.
    pub offline: bool,
    /// What needs a server started apart is asked.
    pub probe: bool,
}

/// Whether a check was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is to run.
    Yes,
    /// It would have been, and something on the command line takes it out: what.
    Without(String),
    /// It belongs to another area, or was not named.
    No,
}

impl Selection {
    /// Whether this check was asked.
    pub fn asks(&self, check: &Check) -> Asked {
        if !self.is_of_area(check) || !self.names(check) {
            return Asked::No;
        }
        if self.skips(check) {
            return Asked::Without("skipped by --skip".to_owned());
        }
        if !self.probe && check.needs.contains(&Need::Probe) {
            return Asked::Without("without --probe: it is tried on a server started apart".to_owned());
        }
        // What a server apart shows needs nobody else.
        let is_tried = self.probe && probe::tries(&check.id);
        match check.needs.iter().find(|need| self.offline && need.is_fetched() && !is_tried) {
            Some(need) => Asked::Without(format!("--offline: it needs the {}", need.name())),
            None => Asked::Yes,
        }
    }

    /// Whether `--only` names it, or names none.
    pub fn names(&self, check: &Check) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| is_called(check, word))
    }

    /// What leaves nothing of what the area and `--only` ask; `None` where something is left. Where nobody names a check,
    /// what `--offline` and a missing `--probe` take out was not asked.
    pub fn emptied_by(&self, catalogue: &Catalogue) -> Option<String> {
        let asked = || catalogue.checks.iter().filter(|check| self.is_of_area(check) && self.names(check));
        if asked().all(|check| self.skips(check)) {
            return Some("--skip takes out everything that is asked".to_owned());
        }
        let first = asked().find_map(|check| match self.asks(check) {
            Asked::Without(why) => Some(format!("nothing is left of what is asked: {} ({why})", check.id)),
            Asked::Yes | Asked::No => None,
        });
        let is_named = !self.only.is_empty();
        first.filter(|_| is_named && asked().all(|check| self.asks(check) != Asked::Yes))
    }

    fn is_of_area(&self, check: &Check) -> bool {
        self.area.is_none_or(|area| area == check.area || check.area == Area::All)
    }

    fn skips(&self, check: &Check) -> bool {
        self.skip.iter().any(|word| is_called(check, word))
    }

    /// The first word of `--only` that calls checks of other areas alone, and the area of the first of them.
    pub fn elsewhere<'a>(&'a self, catalogue: &Catalogue) -> Option<(&'a str, Area)> {
        self.only.iter().find_map(|word| {
            let called: Vec<&Check> =
                catalogue.checks.iter().filter(|check| is_called(check, word)).collect();
            let first = called.first().filter(|_| !called.iter().any(|check| self.is_of_area(check)))?;
            Some((word.as_str(), first.area))
        })
    }

    /// The first word of `--only` and `--skip` that no check is called by.
    pub fn unknown(&self, catalogue: &Catalogue) -> Option<&str> {
        let is_known = |word: &String| catalogue.checks.iter().any(|check| is_called(check, word));
        self.only.iter().chain(&self.skip).find(|word| !is_known(word)).map(String::as_str)
    }
}

/// By its id, its name, its area, a tag, or what it needs.
fn is_called(check: &Check, word: &str) -> bool {
    check.id.eq_ignore_ascii_case(word)
        || check.name.eq_ignore_ascii_case(word)
        || check.area.name() == word
        || check.tags.iter().any(|tag| tag == word)
        || check.needs.iter().any(|need| need.name() == word)
}
