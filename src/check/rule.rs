//! A rule, and what its judgement stands on beside the facts. Never: input/output, or the clock.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::finding::Verdict;
use super::profile::Profile;
use crate::ambient::Timestamp;

/// Decides one check from facts alone.
pub struct Rule<F> {
    /// The check, as the catalogue names it.
    pub id: &'static str,
    /// What the facts say about it; never empty.
    pub judge: fn(&F, &Ground<'_>) -> Vec<Verdict>,
}

/// What a judgement stands on beside the facts.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// Now.
    pub now: Timestamp,
    /// Whose thresholds hold.
    pub profile: Profile,
    /// Of this check in this profile.
    pub parameters: &'a Parameters,
}

/// The thresholds of one check in one profile: `[check.parameters]` of its entry, with what the profile sets instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Parameters(BTreeMap<String, Parameter>);

/// One threshold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Parameter {
    /// A count, an age, a size.
    Number(i64),
    /// A word.
    Text(String),
    /// Several words.
    List(Vec<String>),
}

impl Parameter {
    /// Whether both are of one kind.
    const fn is_like(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Number(_), Self::Number(_))
                | (Self::Text(_), Self::Text(_))
                | (Self::List(_), Self::List(_))
        )
    }
}

impl Parameters {
    /// A number. Asking for one that the entry does not list is a mistake in the rule, which tests end at.
    pub fn number(&self, name: &str) -> i64 {
        match self.0.get(name) {
            Some(Parameter::Number(number)) => *number,
            other => missing(name, other, 0),
        }
    }

    /// A word; as [`Self::number`].
    pub fn text(&self, name: &str) -> &str {
        match self.0.get(name) {
            Some(Parameter::Text(text)) => text,
            other => missing(name, other, ""),
        }
    }

    /// Several words; as [`Self::number`].
    pub fn list(&self, name: &str) -> &[String] {
        match self.0.get(name) {
            Some(Parameter::List(list)) => list,
            other => missing(name, other, &[]),
        }
    }

    /// These, with others in the place of those of the same name.
    pub(super) fn with(&self, others: &Self) -> Self {
        let mut all = self.0.clone();
        all.extend(others.0.clone());
        Self(all)
    }

    /// What keeps `others` from standing in the place of some of these: a name that is not here, or another kind.
    pub(super) fn misfits<'a>(&self, others: &'a Self) -> Vec<&'a str> {
        let fits = |(name, value): &(&'a String, &Parameter)| {
            self.0.get(*name).is_some_and(|own| own.is_like(value))
        };
        others.0.iter().filter(|pair| !fits(pair)).map(|(name, _)| name.as_str()).collect()
    }

    /// Whether the same names are there, each with the same kind of value.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.misfits(other).is_empty() && other.misfits(self).is_empty()
    }

    /// Each, as people read it.
    pub fn said(&self) -> Vec<(&str, String)> {
        let spelled = |value: &Parameter| match value {
            Parameter::Number(number) => number.to_string(),
            Parameter::Text(text) => text.clone(),
            Parameter::List(list) => list.join(", "),
        };
        self.0.iter().map(|(name, value)| (name.as_str(), spelled(value))).collect()
    }
}

fn missing<T>(name: &str, found: Option<&Parameter>, none: T) -> T {
    debug_assert!(false, "the check's entry has no parameter {name} of this kind: {found:?}");
    none
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(text: &str) -> Parameters {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_profile_sets_others_in_the_place_of_some() {
        let base = parameters("days = 7\nwords = [\"a\"]\nname = \"x\"");
        let mine = base.with(&parameters("days = 3"));
        assert_eq!((mine.number("days"), mine.text("name")), (3, "x"));
        assert_eq!(mine.list("words"), ["a"]);
    }

    #[test]
    fn other_names_and_kinds_do_not_fit() {
        let base = parameters("days = 7\nname = \"x\"");
        assert_eq!(base.misfits(&parameters("dais = 7\nname = 3")), ["dais", "name"]);
        assert!(base.is_like(&parameters("days = 9\nname = \"y\"")));
        assert!(!base.is_like(&parameters("days = 9")));
    }

    #[test]
    #[should_panic(expected = "no parameter days")]
    fn a_rule_that_asks_for_what_is_not_there_is_found_out() {
        parameters("").number("days");
    }
}
