//! One value: read from text or from a node of the configuration file, by the kind of its key.

use std::time::Duration;

use serde_json::Value as Node;

use super::checks;
use super::clients::{self, RawClient};
use super::keys::{KeySpec, Kind};
use super::problem::Wrong;
use super::quoting::quoted;
use crate::crypto::SecretString;

/// A valid value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text that may be shown.
    Text(String),
    /// Text that may not.
    Secret(SecretString),
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Count(u64),
    /// A duration.
    Span(Duration),
    /// Several texts.
    List(Vec<String>),
    /// Spotify apps.
    Apps(Vec<RawApp>),
    /// OAuth clients.
    Clients(Vec<RawClient>),
}

/// One entry of `spotify.apps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawApp {
    /// The public client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: Option<SecretString>,
    /// A file that holds the client secret instead.
    pub client_secret_file: Option<String>,
    /// How many people fit; 0: no limit.
    pub seats: Option<u64>,
    /// What Spotify allows it.
    pub quota_mode: Option<String>,
    /// What people are told it is called.
    pub name: Option<String>,
    /// The developer account that it belongs to, by any name.
    pub developer: Option<String>,
}

/// Reads text from the environment, a flag, a secret's file or the key table.
pub fn from_text(spec: &KeySpec, text: &str) -> Result<Value, Wrong> {
    match spec.kind {
        Kind::Text(check) => {
            check(text)?;
            Ok(if spec.is_secret() {
                Value::Secret(SecretString::new(text))
            } else {
                Value::Text(text.to_owned())
            })
        }
        Kind::Flag => flag(text),
        Kind::Count(low, high) => count(text, low, high),
        Kind::Span(low, high) => span(text, low, high),
        Kind::Choice(words) => choice(text, words),
        Kind::List(check) => list(items(text, ',')?, check),
        Kind::Command => list(items(text, ' ')?, checks::plain),
        Kind::Apps => match serde_json::from_str(text) {
            Ok(node) => apps(&node),
            Err(_) => Err(Wrong::new("it is not JSON", APPS_FIX)),
        },
        Kind::Clients => match serde_json::from_str(text) {
            Ok(node) => clients::read(&node).map(Value::Clients),
            Err(_) => Err(Wrong::new("it is not JSON", clients::FIX)),
        },
    }
}

/// Reads a node of the configuration file. Text is welcome for every kind, because `${NAME}` gives text.
pub fn from_node(spec: &KeySpec, node: &Node) -> Result<Value, Wrong> {
    match (spec.kind, node) {
        (_, Node::String(text)) => from_text(spec, text),
        (Kind::Flag, Node::Bool(on)) => Ok(Value::Flag(*on)),
        (Kind::Count(..) | Kind::Span(..), Node::Number(number)) => from_text(spec, &number.to_string()),
        (Kind::List(check), Node::Array(nodes)) => list(texts(nodes)?, check),
        (Kind::Command, Node::Array(nodes)) => list(texts(nodes)?, checks::plain),
        (Kind::Apps, node) => apps(node),
        (Kind::Clients, node) => clients::read(node).map(Value::Clients),
        (kind, node) => Err(Wrong::new(format!("it is {}", type_of(node)), expectation(kind))),
    }
}

fn flag(text: &str) -> Result<Value, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(Value::Flag(true)),
        "false" | "0" | "no" | "off" => Ok(Value::Flag(false)),
        _ => Err(Wrong::new(format!("{} is neither true nor false", quoted(text)), expectation(Kind::Flag))),
    }
}

fn count(text: &str, low: u64, high: u64) -> Result<Value, Wrong> {
    let fix = expectation(Kind::Count(low, high));
    let number: u64 = text
        .parse()
        .map_err(|_| Wrong::new(format!("{} is not a whole number", quoted(text)), fix.clone()))?;
    if (low..=high).contains(&number) {
        return Ok(Value::Count(number));
    }
    Err(Wrong::new(format!("{number} is out of bounds"), fix))
}

fn span(text: &str, low: u64, high: u64) -> Result<Value, Wrong> {
    let fix = expectation(Kind::Span(low, high));
    let span = duration(text)
        .ok_or_else(|| Wrong::new(format!("{} is not a duration", quoted(text)), fix.clone()))?;
    if (low..=high).contains(&span.as_secs()) {
        return Ok(Value::Span(span));
    }
    Err(Wrong::new(format!("{} is out of bounds", quoted(text)), fix))
}

/// `90s`, `15m`, `1h`, `30d`, or a bare number of seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let (digits, unit) = match text.char_indices().last()? {
        (_, last) if last.is_ascii_digit() => (text, 1),
        (at, 's') => (&text[..at], 1),
        (at, 'm') => (&text[..at], 60),
        (at, 'h') => (&text[..at], 3_600),
        (at, 'd') => (&text[..at], 86_400),
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    Some(Duration::from_secs(number.checked_mul(unit)?))
}

/// A duration as one would write it.
pub fn spell(span: Duration) -> String {
    let secs = span.as_secs();
    for (unit, name) in [(86_400, 'd'), (3_600, 'h'), (60, 'm')] {
        if secs >= unit && secs.is_multiple_of(unit) {
            return format!("{}{name}", secs / unit);
        }
    }
    format!("{secs}s")
}

fn choice(text: &str, words: &'static [&'static str]) -> Result<Value, Wrong> {
    let known = words.iter().find(|word| word.eq_ignore_ascii_case(text));
    known
        .map(|word| Value::Text((*word).to_owned()))
        .ok_or_else(|| Wrong::new(format!("{} is not known", quoted(text)), expectation(Kind::Choice(words))))
}

fn items(text: &str, separator: char) -> Result<Vec<String>, Wrong> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|_| {
            Wrong::new("it begins like a JSON list and is none", "write [\"a\", \"b\"], or a,b")
        });
    }
    Ok(text.split(separator).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
}

fn texts(nodes: &[Node]) -> Result<Vec<String>, Wrong> {
    let text = |node: &Node| node.as_str().map(str::to_owned);
    nodes
        .iter()
        .map(text)
        .collect::<Option<_>>()
        .ok_or_else(|| Wrong::new("an item is not text", "write a list of texts"))
}

fn list(items: Vec<String>, check: checks::Check) -> Result<Value, Wrong> {
    if items.len() > 1_000 {
        return Err(Wrong::new("it has more than 1,000 items", "write fewer"));
    }
    for (at, item) in items.iter().enumerate() {
        let numbered = |wrong: Wrong| Wrong { why: format!("item {}: {}", at + 1, wrong.why), ..wrong };
        check(item).map_err(|wrong| if items.len() > 1 { numbered(wrong) } else { wrong })?;
    }
    Ok(Value::List(items))
}

const APPS_FIX: &str = "write a list of tables with client_id, client_secret (or client_secret_file), seats, quota_mode, name, developer";

fn apps(node: &Node) -> Result<Value, Wrong> {
    let nodes = node.as_array().ok_or_else(|| Wrong::new(format!("it is {}", type_of(node)), APPS_FIX))?;
    if nodes.len() > 100 {
        return Err(Wrong::new("it has more than 100 apps", APPS_FIX));
    }
    let (mut apps, mut wrongs): (Vec<RawApp>, Vec<Wrong>) = (Vec::new(), Vec::new());
    for (at, node) in nodes.iter().enumerate() {
        match app(node) {
            Ok(app) => apps.push(app),
            Err(found) => wrongs.extend(found.into_iter().map(|wrong| in_app(at, wrong))),
        }
    }
    wrongs.extend(twice(nodes, "client_id").chain(twice(nodes, "name")));
    Wrong::all(wrongs).map_or(Ok(Value::Apps(apps)), Err)
}

/// Apps that cannot be told apart by this field.
fn twice<'a>(nodes: &'a [Node], field: &'a str) -> impl Iterator<Item = Wrong> + 'a {
    let said = move |node: &'a Node| node.get(field).and_then(Node::as_str);
    let of = move |(at, node): (usize, &'a Node)| {
        let first =
            nodes.iter().take(at).position(|other| said(other).is_some() && said(other) == said(node))?;
        let why = format!("app {}: it has the {field} of app {}", at + 1, first + 1);
        Some(Wrong::new(why, "name every app once, and each by another name"))
    };
    nodes.iter().enumerate().filter_map(of)
}

fn in_app(at: usize, wrong: Wrong) -> Wrong {
    Wrong::new(format!("app {}: {}", at + 1, wrong.why), wrong.fix)
}

/// All that is wrong with an app, where anything is.
fn app(node: &Node) -> Result<RawApp, Vec<Wrong>> {
    let Some(fields) = node.as_object() else {
        return Err(vec![Wrong::new(format!("it is {}", type_of(node)), APPS_FIX)]);
    };
    let known =
        ["client_id", "client_secret", "client_secret_file", "seats", "quota_mode", "name", "developer"];
    let unknown = fields.keys().filter(|name| !known.contains(&name.as_str()));
    let mut wrongs: Vec<_> =
        unknown.map(|name| Wrong::new(format!("{} is not known", quoted(name)), APPS_FIX)).collect();
    let mut text = |name: &str, check: fn(&str) -> Result<(), Wrong>| match fields.get(name) {
        None => None,
        Some(Node::String(text)) => {
            wrongs.extend(check(text).err());
            Some(text.clone())
        }
        Some(other) => {
            wrongs.push(Wrong::new(format!("{name} is {}", type_of(other)), APPS_FIX));
            None
        }
    };
    let client_id = text("client_id", checks::client_id);
    let mut app = RawApp {
        client_id: client_id.unwrap_or_default(),
        client_secret: text("client_secret", |_| Ok(())).map(SecretString::new),
        client_secret_file: text("client_secret_file", |_| Ok(())),
        quota_mode: text("quota_mode", |mode| choice(mode, checks::QUOTA_MODES).map(drop)),
        name: text("name", checks::app_name),
        developer: text("developer", checks::developer),
        seats: None,
    };
    if !fields.contains_key("client_id") {
        wrongs.push(Wrong::new("client_id is missing", APPS_FIX));
    }
    if let Some(seats) = fields.get("seats") {
        app.seats = seats.as_u64();
        if app.seats.is_none() {
            wrongs.push(Wrong::new("seats is not a whole number", "write 5, or 0 for no limit"));
        }
    }
    if wrongs.is_empty() { Ok(app) } else { Err(wrongs) }
}

/// What a node is, in words.
pub fn type_of(node: &Node) -> &'static str {
    match node {
        Node::Null => "null",
        Node::Bool(_) => "true or false",
        Node::Number(_) => "a number",
        Node::String(_) => "text",
        Node::Array(_) => "a list",
        Node::Object(_) => "a table",
    }
}

/// What to write for a key of this kind.
pub fn expectation(kind: Kind) -> String {
    match kind {
        Kind::Text(_) => "write text".to_owned(),
        Kind::Flag => "write true or false".to_owned(),
        Kind::Count(low, high) => format!("write a whole number from {low} to {high}"),
        Kind::Span(low, high) => {
            let (low, high) = (spell(Duration::from_secs(low)), spell(Duration::from_secs(high)));
            format!("write a duration from {low} to {high}, such as 90s, 15m, 1h or 30d")
        }
        Kind::Choice(words) => format!("write one of {}", words.join(", ")),
        Kind::List(_) => "write a list of texts".to_owned(),
        Kind::Command => "write a list: the program, then its arguments".to_owned(),
        Kind::Apps => APPS_FIX.to_owned(),
        Kind::Clients => clients::FIX.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::keys::find;
    use super::super::table::TABLE;
    use super::*;

    fn text(path: &str, value: &str) -> Result<Value, Wrong> {
        from_text(find(path).unwrap(), value)
    }

    #[test]
    fn every_default_is_valid() {
        for spec in TABLE {
            if let Some(default) = spec.default {
                assert!(from_text(spec, default).is_ok(), "{}", spec.path);
            }
        }
    }

    #[test]
    fn kinds_from_text() {
        assert_eq!(text("server.port", "9000"), Ok(Value::Count(9000)));
        assert_eq!(text("auth.multi_user", "FALSE"), Ok(Value::Flag(false)));
        assert_eq!(text("api.timeout", "20"), Ok(Value::Span(Duration::from_secs(20))));
        assert_eq!(text("auth.lifetimes.code", "2m"), Ok(Value::Span(Duration::from_secs(120))));
        let list = Ok(Value::List(vec!["a.example".into(), "b.example".into()]));
        assert_eq!(text("network.allowed_hosts", "a.example, b.example"), list);
        assert_eq!(text("network.allowed_hosts", r#"["a.example","b.example"]"#), list);
        let command = Ok(Value::List(vec!["pass".into(), "show".into(), "k".into()]));
        assert_eq!(text("security.master_key_command", "pass show k"), command);
        for (path, value) in [
            ("server.port", "65536"),
            ("server.port", "-1"),
            ("auth.lifetimes.code", "2w"),
            ("auth.signup", "all"),
        ] {
            assert!(text(path, value).is_err(), "{path} {value}");
        }
    }

    #[test]
    fn apps_name_what_is_wrong() {
        let spec = find("spotify.apps").unwrap();
        let good = json!([{ "client_id": "0123456789abcdef", "client_secret": "s", "seats": 5, "quota_mode": "extended" }]);
        assert!(from_node(spec, &good).is_ok());
        let wrong =
            from_node(spec, &json!([{ "client_id": "0123456789abcdef" }, { "seats": 5 }])).unwrap_err();
        assert_eq!(wrong.why, "app 2: client_id is missing");
        assert!(from_node(spec, &json!([{ "client_id": "0123456789abcdef", "secret": "s" }])).is_err());
        let several = json!([
            { "client_id": "0123456789abcdef", "name": "House" },
            { "client_id": "0123456789abcdef", "name": "House", "quota_mode": "legacy" },
            { "client_id": "1234", "seat": 5, "seats": "many", "name": 7 },
        ]);
        let wrong = from_node(spec, &several).unwrap_err();
        let all: Vec<_> =
            std::iter::once(&wrong).chain(&wrong.more).map(|wrong| wrong.why.as_str()).collect();
        for said in [
            "app 2: it has the client_id of app 1",
            "app 2: it has the name of app 1",
            "app 3: 'seat' is not known",
            "app 3: '1234' is no client id",
            "app 3: name is a number",
            "app 3: seats is not a whole number",
        ] {
            assert!(all.contains(&said), "{said}: {all:?}");
        }
        assert!(all.len() == 7 && all.iter().any(|why| why.contains("legacy")), "{all:?}");
        let of = |developer: &str| json!([{ "client_id": "0123456789abcdef", "developer": developer }]);
        assert!(from_node(spec, &of("A-2.b_c")).is_ok());
        for wrong in ["", "a b", "é", &"a".repeat(65)] {
            let why = from_node(spec, &of(wrong)).unwrap_err().why;
            assert!(why.starts_with("app 1: ") && why.contains("developer account"), "{why}");
        }
    }

    #[test]
    fn durations_read_as_they_are_spelled() {
        for text in ["90s", "15m", "1h", "30d"] {
            assert_eq!(spell(duration(text).unwrap()), text);
        }
        assert_eq!(duration("é"), None);
        assert_eq!(duration(""), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_any_kind(value in "\\PC{0,40}") {
            for spec in TABLE {
                let _ = from_text(spec, &value);
            }
        }
    }
}
