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
    if holds_secret(path, node) {
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

/// Whether this value, at this pointer, is to be sealed.
pub(super) fn holds_secret(path: &str, node: &Node) -> bool {
    // A list of tables may be written as text, whose fields nobody would look into.
    is_secret(path) || (node.is_string() && list_field(&dotted(path)).is_some())
}

/// Whether the table of keys calls the value at this pointer secret.
pub fn is_secret(path: &str) -> bool {
    let dotted = dotted(path);
    if let Some(spec) = keys::find(&dotted) {
        return spec.is_secret();
    }
    // Secrets within lists of tables: their lists are keys, their fields are not.
    let Some((list, rest)) = dotted.split_once(|c: char| c.is_ascii_digit()) else { return false };
    let field = rest.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('.');
    field.is_some() && field == list_field(list.trim_end_matches('.'))
}

/// The field that is secret in the tables of this list.
fn list_field(list: &str) -> Option<&'static str> {
    match keys::find(list)?.kind {
        Kind::Apps => Some("client_secret"),
        Kind::Clients => Some("secret"),
        _ => None,
    }
}

/// The key of the table of keys that a pointer stands for.
pub fn dotted(path: &str) -> String {
    path.trim_start_matches('/').replace('/', ".")
}

/// The pointer of a member.
pub(super) fn child(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}
