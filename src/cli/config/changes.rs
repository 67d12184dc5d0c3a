//! What differs between two configurations, a line for each value, secrets as keyed fingerprints. Never: a secret.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Node, json};

use super::contents::{leaves, pointer};
use crate::config::sealed::{Opened, dotted, is_reference, is_secret};

/// Every value by its key, as it may be shown.
pub type Shown = BTreeMap<String, String>;

/// Contents as they may be shown, with fingerprints of the file `prints`.
pub fn shown(contents: &Map<String, Node>, prints: &Opened) -> Shown {
    let value = |key: &str, node: &Node| {
        if is_secret(&pointer(key)) && !is_reference(node) {
            format!("<secret {}>", prints.fingerprint(node))
        } else {
            node.to_string()
        }
    };
    leaves(contents).into_iter().map(|(key, node)| (key.clone(), value(&key, node))).collect()
}

/// The same with what opens the file and when its secrets end.
pub fn shown_whole(opened: &Opened, prints: &Opened) -> Shown {
    let mut all = shown(&opened.plain, prints);
    for slot in &opened.header.slots {
        let opens = format!("{} key {}", slot.kind.name(), slot.key_id);
        all.insert(format!("$sealed.slots.{}", slot.id), opens);
    }
    for (path, at) in &opened.header.expires {
        all.insert(format!("$sealed.expires.{}", dotted(path)), at.clone());
    }
    all
}

/// One value that is not what it was.
pub struct Change<'a> {
    key: &'a str,
    before: Option<&'a String>,
    after: Option<&'a String>,
}

/// Everything that differs, by key.
pub fn changes<'a>(before: &'a Shown, after: &'a Shown) -> Vec<Change<'a>> {
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    let change = |key: &'a String| Change { key, before: before.get(key), after: after.get(key) };
    keys.into_iter().map(change).filter(|change| change.before != change.after).collect()
}

/// All of them for people, a line for each side.
pub fn in_words(changes: &[Change<'_>]) -> String {
    changes.iter().map(Change::in_words).collect()
}

/// All of them for programs.
pub fn document(changes: &[Change<'_>]) -> Vec<Node> {
    changes.iter().map(Change::document).collect()
}

/// The keys that differ, for a record.
pub fn keys(changes: &[Change<'_>]) -> String {
    changes.iter().map(|change| change.key).collect::<Vec<_>>().join(" ")
}

impl Change<'_> {
    fn in_words(&self) -> String {
        let line = |sign: char, value: Option<&String>| {
            value.map(|value| format!("{sign} {} = {value}\n", self.key)).unwrap_or_default()
        };
        line('-', self.before) + &line('+', self.after)
    }

    fn document(&self) -> Node {
        json!({ "key": self.key, "before": self.before, "after": self.after })
    }
}
