//! One value for a section that is built: what was said under a key, else its default, as the type that the key has.
//! A value of another type was refused before, and counts as none.

use std::time::Duration;

use url::Url;

use super::build::{Build, loopback};
use super::gather::Setting;
use super::keys;
use super::problem::{Origin, Problem, Wrong};
use super::value::{self, Value};
use crate::crypto::SecretString;

impl Build<'_> {
    pub(super) fn said(&self, path: &str) -> Option<Setting> {
        self.gathered.values.get(path).cloned()
    }

    /// The value that holds: what was said, else the table's default.
    fn value(&self, path: &str) -> Option<Value> {
        self.said(path).map(|setting| setting.value).or_else(|| {
            let spec = keys::find(path)?;
            value::from_text(spec, spec.default?).ok()
        })
    }

    pub(super) fn optional_text(&self, path: &str) -> Option<String> {
        match self.value(path) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn text(&self, path: &str) -> String {
        self.optional_text(path).unwrap_or_default()
    }

    pub(super) fn secret(&self, path: &str) -> Option<(SecretString, String)> {
        match self.said(path) {
            Some(Setting { value: Value::Secret(secret), origin }) => Some((secret, origin.to_string())),
            _ => None,
        }
    }

    pub(super) fn flag(&self, path: &str) -> bool {
        matches!(self.value(path), Some(Value::Flag(true)))
    }

    pub(super) fn count(&self, path: &str) -> u64 {
        match self.value(path) {
            Some(Value::Count(count)) => count,
            _ => 0,
        }
    }

    pub(super) fn number(&self, path: &str) -> u32 {
        u32::try_from(self.count(path)).unwrap_or(u32::MAX)
    }

    pub(super) fn span(&self, path: &str) -> Duration {
        match self.value(path) {
            Some(Value::Span(span)) => span,
            _ => Duration::ZERO,
        }
    }

    pub(super) fn list(&self, path: &str) -> Vec<String> {
        match self.value(path) {
            Some(Value::List(items)) => items,
            _ => Vec::new(),
        }
    }

    pub(super) fn lower_list(&self, path: &str) -> Vec<String> {
        self.list(path).iter().map(|item| item.to_ascii_lowercase()).collect()
    }

    pub(super) fn url(&self, path: &str) -> Url {
        Url::parse(self.text(path).trim_end_matches('/')).unwrap_or_else(|_| loopback())
    }

    pub(super) fn problem(&mut self, key: &str, wrong: Wrong) {
        let origin = self.gathered.values.get(key).map_or(Origin::Default, |setting| setting.origin.clone());
        self.gathered.problems.push(Problem::with_value(key, origin, wrong));
    }
}
