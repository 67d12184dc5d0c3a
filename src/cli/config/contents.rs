//! One value among the contents of a configuration file, found and changed by the name of its key.

use serde_json::{Map, Value as Node};

use crate::cli::output::Refused;
use crate::config::keys::{self, Kind};
use crate::config::sealed;
use crate::config::table::TABLE;

/// A key that a configuration may hold: one of the table, its `_file` form, or a field in a list of tables such as
/// `spotify.apps.0.client_secret`.
#[derive(Clone, Copy, Debug)]
pub struct KeyName<'a>(&'a str);

impl<'a> KeyName<'a> {
    /// Parses what was typed.
    pub fn parse(text: &'a str) -> Result<Self, Refused> {
        let in_list = text.split_once(|c: char| c.is_ascii_digit()).is_some_and(|(list, _)| {
            let list = list.strip_suffix('.').and_then(keys::find);
            list.is_some_and(|spec| matches!(spec.kind, Kind::Apps | Kind::Clients))
        });
        if in_list || keys::find(text).is_some() || keys::find_file_form(text).is_some() {
            return Ok(Self(text));
        }
        let nearest = keys::nearest(text, TABLE.iter().map(|spec| spec.path));
        let next = keys::suggestion(nearest);
        Err(Refused::usage("CONFIG_UNKNOWN_KEY", "there is no such key", next))
    }

    /// As it was typed.
    pub const fn text(self) -> &'a str {
        self.0
    }

    /// Whether its value is sealed.
    pub fn is_secret(self) -> bool {
        sealed::is_secret(&pointer(self.0))
    }

    /// The value for this text, in the type that the key takes.
    pub fn node(self, text: &str) -> Node {
        let plain = || Node::String(text.to_owned());
        match keys::find(self.0).map(|spec| spec.kind) {
            Some(Kind::Flag) => text.parse().map_or_else(|_| plain(), Node::Bool),
            Some(Kind::Count(..) | Kind::Span(..)) => {
                text.parse::<u64>().map_or_else(|_| plain(), Node::from)
            }
            Some(Kind::List(_) | Kind::Command | Kind::Apps | Kind::Clients) => {
                serde_json::from_str(text).ok().filter(Node::is_array).unwrap_or_else(plain)
            }
            // The seats of an app.
            None if self.0.ends_with(".seats") => text.parse::<u64>().map_or_else(|_| plain(), Node::from),
            Some(Kind::Text(_) | Kind::Choice(_)) | None => plain(),
        }
    }
}

/// The value of a key.
pub fn at<'a>(root: &'a Map<String, Node>, key: &str) -> Option<&'a Node> {
    let mut parts = key.split('.');
    let first = root.get(parts.next()?)?;
    parts.try_fold(first, |node, part| match node {
        Node::Object(map) => map.get(part),
        Node::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Puts a value in place, or removes it; makes the tables on the way. `false`: a list on the way is not that long.
pub fn put(root: &mut Map<String, Node>, key: &str, value: Option<Node>) -> bool {
    let Some((first, rest)) = key.split_once('.') else {
        match value {
            Some(value) => drop(root.insert(key.to_owned(), value)),
            None => drop(root.remove(key)),
        }
        return true;
    };
    if value.is_none() && !root.contains_key(first) {
        return true;
    }
    let inner = root.entry(first).or_insert_with(|| Node::Object(Map::new()));
    match inner {
        Node::Object(map) => put(map, rest, value),
        Node::Array(items) => {
            let Some((index, rest)) = rest.split_once('.') else { return false };
            let item = index.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            item.and_then(Node::as_object_mut).is_some_and(|item| put(item, rest, value))
        }
        _ => false,
    }
}

/// Every value with its key, in the order of their names; tables and lists of tables are gone into.
pub fn leaves(root: &Map<String, Node>) -> Vec<(String, &Node)> {
    let mut found = Vec::new();
    for (name, node) in root {
        collect(name.clone(), node, &mut found);
    }
    found
}

fn collect<'a>(key: String, node: &'a Node, found: &mut Vec<(String, &'a Node)>) {
    match node {
        Node::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(name, node)| collect(format!("{key}.{name}"), node, found));
        }
        Node::Array(items) if items.iter().any(Node::is_object) => {
            items.iter().enumerate().for_each(|(at, item)| collect(format!("{key}.{at}"), item, found));
        }
        other => found.push((key, other)),
    }
}

/// The RFC 6901 pointer of a key.
pub fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1").replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_found_put_and_removed() {
        let mut root = Map::new();
        assert!(put(&mut root, "server.port", Some(json!(9))));
        assert!(put(&mut root, "spotify.apps", Some(json!([{"client_id": "a"}]))));
        assert!(put(&mut root, "spotify.apps.0.client_secret", Some(json!("s"))));
        assert!(!put(&mut root, "spotify.apps.1.client_secret", Some(json!("s"))));
        assert_eq!(at(&root, "spotify.apps.0.client_secret"), Some(&json!("s")));
        let names: Vec<String> = leaves(&root).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["server.port", "spotify.apps.0.client_id", "spotify.apps.0.client_secret"]);
        assert!(put(&mut root, "server.port", None) && put(&mut root, "cache.enabled", None));
        assert_eq!(at(&root, "server.port"), None);
        assert_eq!(at(&root, "cache"), None);
    }

    #[test]
    fn values_have_the_type_of_their_key() {
        let node = |key: &str, text: &str| KeyName::parse(key).unwrap().node(text);
        assert_eq!(node("server.port", "9"), json!(9));
        assert_eq!(node("server.port", "${PORT}"), json!("${PORT}"));
        assert_eq!(node("cache.enabled", "false"), json!(false));
        assert_eq!(node("network.allowed_hosts", "[\"a\"]"), json!(["a"]));
        assert_eq!(node("network.allowed_hosts", "a,b"), json!("a,b"));
        assert!(KeyName::parse("spotify.apps.0.client_secret").unwrap().is_secret());
        assert!(KeyName::parse("spotify.clientid").is_err());
    }
}
