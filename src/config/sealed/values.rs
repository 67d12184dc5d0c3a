//! The values of a sealed file: each secret one in an envelope bound to file and path, everything else as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Node};

use super::Refusal;
use super::paths::{child, holds_secret};
use super::slots::FileKey;
use crate::ambient::Dice;
use crate::crypto::envelope::{self, Place};
use crate::crypto::keys::{Purpose, SealingKey};

/// How a sealed value begins; base64 of its envelope follows.
pub(super) const PREFIX: &str = "sealed:v1:";

/// What was there before: in the clear, and sealed.
type Before<'a> = Option<(&'a Map<String, Node>, &'a Map<String, Node>)>;

/// Opens every sealed value, wherever it stands.
pub(super) fn open_all(
    key: &FileKey,
    lineage: &str,
    sealed: &Map<String, Node>,
) -> Result<Map<String, Node>, Refusal> {
    let key = key.root().derive(Purpose::ConfigurationValues);
    open_map(&key, lineage, "", sealed)
}

fn open_map(
    key: &SealingKey,
    lineage: &str,
    path: &str,
    map: &Map<String, Node>,
) -> Result<Map<String, Node>, Refusal> {
    let one =
        |(name, node): (&String, &Node)| Ok((name.clone(), open(key, lineage, &child(path, name), node)?));
    map.iter().map(one).collect()
}

fn open(key: &SealingKey, lineage: &str, path: &str, node: &Node) -> Result<Node, Refusal> {
    match node {
        Node::Object(map) => open_map(key, lineage, path, map).map(Node::Object),
        Node::Array(items) => {
            let one = |(at, item): (usize, &Node)| open(key, lineage, &child(path, &at.to_string()), item);
            items.iter().enumerate().map(one).collect::<Result<_, _>>().map(Node::Array)
        }
        Node::String(text) => match text.strip_prefix(PREFIX) {
            Some(encoded) => open_value(key, lineage, path, encoded),
            None => Ok(node.clone()),
        },
        Node::Null | Node::Bool(_) | Node::Number(_) => Ok(node.clone()),
    }
}

fn open_value(key: &SealingKey, lineage: &str, path: &str, encoded: &str) -> Result<Node, Refusal> {
    let tampered = || Refusal::Tampered(format!("the value of {path} does not open"));
    let sealed = STANDARD.decode(encoded).map_err(|_| tampered())?;
    let plain = envelope::open(key, &place(lineage, path), &sealed).map_err(|_| tampered())?;
    serde_json::from_slice(&plain).ok().filter(is_exact).ok_or_else(tampered)
}

/// Whether every number is a whole one of 64 bits: what is parsed as anything else may be another than was written.
pub(super) fn is_exact(node: &Node) -> bool {
    match node {
        Node::Number(number) => !number.is_f64(),
        Node::Array(items) => items.iter().all(is_exact),
        Node::Object(map) => map.values().all(is_exact),
        Node::Null | Node::Bool(_) | Node::String(_) => true,
    }
}

/// Seals every secret value. One that did not change keeps its bytes, so that a diff shows what changed.
pub(super) fn seal_all(
    key: &FileKey,
    lineage: &str,
    plain: &Map<String, Node>,
    before: Before<'_>,
    dice: &Dice,
) -> Map<String, Node> {
    let key = key.root().derive(Purpose::ConfigurationValues);
    let sealer = Sealer { key, lineage, before, dice };
    sealer.map("", plain)
}

struct Sealer<'a> {
    key: SealingKey,
    lineage: &'a str,
    before: Before<'a>,
    dice: &'a Dice,
}

impl Sealer<'_> {
    fn map(&self, path: &str, map: &Map<String, Node>) -> Map<String, Node> {
        map.iter().map(|(name, node)| (name.clone(), self.node(&child(path, name), node))).collect()
    }

    fn node(&self, path: &str, node: &Node) -> Node {
        match node {
            _ if holds_secret(path, node) && !is_reference(node) => {
                self.kept(path, node).unwrap_or_else(|| self.value(path, node))
            }
            Node::Object(map) => Node::Object(self.map(path, map)),
            Node::Array(items) => {
                let one = |(at, item): (usize, &Node)| self.node(&child(path, &at.to_string()), item);
                Node::Array(items.iter().enumerate().map(one).collect())
            }
            other => other.clone(),
        }
    }

    /// The sealed value that stands at this path, where it is of the same content.
    fn kept(&self, path: &str, node: &Node) -> Option<Node> {
        let (plain, sealed) = self.before?;
        (pointed(plain, path)? == node).then(|| pointed(sealed, path).cloned())?
    }

    fn value(&self, path: &str, node: &Node) -> Node {
        let text = zeroize::Zeroizing::new(node.to_string());
        let sealed =
            envelope::seal(&self.key, &place(self.lineage, path), text.as_bytes(), &self.dice.bytes());
        Node::String(format!("{PREFIX}{}", STANDARD.encode(sealed)))
    }
}

pub(super) fn pointed<'a>(root: &'a Map<String, Node>, path: &str) -> Option<&'a Node> {
    let (first, rest) = match path[1..].split_once('/') {
        Some((first, rest)) => (first, &path[path.len() - rest.len() - 1..]),
        None => (&path[1..], ""),
    };
    root.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
}

/// A value that only names a variable holds no secret itself.
pub fn is_reference(node: &Node) -> bool {
    let name = node.as_str().and_then(|text| text.strip_prefix("${")?.strip_suffix('}'));
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_'))
}

/// The path is an RFC 6901 pointer; the type of the value is bound because its JSON text is what is sealed.
const fn place<'a>(lineage: &'a str, path: &'a str) -> Place<'a> {
    Place { table: "sealed-configuration", column: "value", user: lineage, row: path, version: 0 }
}
