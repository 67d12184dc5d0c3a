//! Which paths of a configuration hold secrets, by the table of keys, and what breaks that rule in a file.

use serde_json::{Map, Value as Node};

use super::values::{PREFIX, is_reference};
use crate::config::keys::{self, Kind};

/// A value that should be sealed and is not, or the other way round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// RFC 6901 pointer.
    pub path: String,
    /// Sealed where nothing is secret; else a secret in the clear.
    pub sealed: bool,
}

/// What stands in the clear and must not, or is sealed and need not be, in the stored form of a file.
pub fn faults(root: &Map<String, Node>) -> Vec<Fault> {
    let mut found = Vec::new();
    root.iter().for_each(|(name, node)| look(&child("", name), node, &mut found));
    found
}

fn look(path: &str, node: &Node, found: &mut Vec<Fault>) {
    let sealed = node.as_str().is_some_and(|text| text.starts_with(PREFIX));
    if is_secret(path) {
        if !sealed && !is_reference(node) {
            found.push(Fault { path: path.to_owned(), sealed: false });
        }
        return;
    }
    match node {
        _ if sealed => found.push(Fault { path: path.to_owned(), sealed: true }),
        Node::Object(map) => map.iter().for_each(|(name, node)| look(&child(path, name), node, found)),
        Node::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| look(&child(path, &at.to_string()), item, found));
        }
        _ => {}
    }
}

/// Whether the table of keys calls the value at this pointer secret.
pub(super) fn is_secret(path: &str) -> bool {
    let dotted = path.trim_start_matches('/').replace('/', ".");
    if let Some(spec) = keys::find(&dotted) {
        return spec.is_secret();
    }
    // Secrets within lists of tables: their lists are keys, their fields are not.
    let Some((list, field)) = dotted.split_once(|c: char| c.is_ascii_digit()) else { return false };
    let is_list = keys::find(list.trim_end_matches('.')).is_some_and(|spec| matches!(spec.kind, Kind::Apps));
    is_list && field.ends_with(".client_secret")
}

/// The pointer of a member.
pub(super) fn child(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}
