//! The configuration file: JSON or TOML by extension, to one tree of nodes and the line of every key.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value as Node};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problem, Wrong};
use super::quoting::quoted;
use super::unseal::SealedFile;
use super::{json_lines, unseal};
use crate::reading::{self, io_cause};

/// No sensible configuration is larger.
const MAX_BYTES: usize = 1_048_576;

/// A parsed file.
#[derive(Debug, Default)]
pub struct Tree {
    /// The root table.
    pub root: Map<String, Node>,
    /// The line of every dotted key, counted from 1.
    pub lines: HashMap<String, usize>,
    /// The file was sealed: which one it is.
    pub sealed: Option<SealedFile>,
}

/// Reads a file of at most `max` bytes as text. The error says what to do.
pub fn read_text(path: &Path, max: usize) -> Result<String, Wrong> {
    reading::text(path, u64::try_from(max).unwrap_or(u64::MAX)).map_err(|error| {
        let fix = match error.kind() {
            ErrorKind::InvalidData => "save it as UTF-8",
            ErrorKind::FileTooLarge => "name the right file",
            _ => "name a regular file that exists and that this user may read",
        };
        Wrong::new(format!("{} cannot be read: {}", path.display(), io_cause(&error)), fix).of_file(&error)
    })
}

/// How a sealed text becomes a tree; everything that is wrong with it comes back as problems.
pub type Open<'a> = dyn Fn(&Path, &str) -> Result<Tree, Vec<Problem>> + 'a;

/// Reads and parses the file, a sealed one by `open`, replacing `${NAME}` by what `lookup` knows. A value that names an unset variable is
/// left out and reported, so that the rest can still be judged; no tree: the file as a whole cannot be read.
pub fn read(path: &Path, lookup: &Lookup<'_>, open: &Open<'_>) -> (Option<Tree>, Vec<Problem>) {
    match parse_file(path, open) {
        Ok(tree) => expand_tree(path, tree, lookup),
        Err(problems) => (None, problems),
    }
}

/// Replaces the variables of a tree.
pub fn expand_tree(path: &Path, mut tree: Tree, lookup: &Lookup<'_>) -> (Option<Tree>, Vec<Problem>) {
    let mut unset = Vec::new();
    replace_in_table(&mut tree.root, "", lookup, &mut |key, name| {
        unset.push((key.to_owned(), name.to_owned()))
    });
    let problem = |(key, name): (String, String)| {
        let origin = tree.origin(path, &key);
        let why = format!("it uses ${{{}}}, which is not set in the environment", unquoted(&name));
        let wrong = Wrong::new(why, "set that variable, or write $${ for a literal ${");
        Problem::new("CONFIG_VARIABLE_UNSET", key, origin, wrong)
    };
    let problems = unset.into_iter().map(problem).collect();
    (Some(tree), problems)
}

fn unquoted(text: &str) -> String {
    quoted(text).trim_matches('\'').to_owned()
}

/// Parses a file that is not sealed, as it is: nothing is replaced.
///
/// # Errors
/// What is wrong with the file as a whole.
pub fn read_plain(path: &Path) -> Result<Tree, Vec<Problem>> {
    let wrong = Wrong::new("it is a sealed file", "open it with 'spotify-mcp config decrypt'");
    let refused = |path: &Path| vec![whole_file("CONFIG_SEALED", path, None, wrong.clone())];
    parse_file(path, &|path, _| Err(refused(path)))
}

fn parse_file(path: &Path, open: &Open<'_>) -> Result<Tree, Vec<Problem>> {
    let extension = path.extension().and_then(|ext| ext.to_str()).unwrap_or_default().to_ascii_lowercase();
    let unread = |wrong| vec![whole_file("CONFIG_FILE_UNREADABLE", path, None, wrong)];
    if !matches!(extension.as_str(), "toml" | "json") {
        let wrong = Wrong::new("its name ends in neither .toml nor .json", "rename it by what it contains");
        return Err(vec![whole_file("CONFIG_FILE_TYPE", path, None, wrong)]);
    }
    let text = read_text(path, MAX_BYTES).map_err(unread)?;
    if unseal::must_be_sealed(path) || unseal::looks_sealed(path, &text) {
        return open(path, &text);
    }
    let parse = if extension == "toml" { parse_toml } else { parse_json };
    parse(&text).map_err(|(line, why)| {
        let wrong = Wrong::new(why, format!("mend the {} there", extension.to_uppercase()));
        vec![whole_file("CONFIG_SYNTAX", path, line, wrong)]
    })
}

/// A problem of the file as a whole.
pub fn whole_file(code: &str, path: &Path, line: Option<usize>, wrong: Wrong) -> Problem {
    Problem::new(code, "the file", Origin::File { path: path.to_owned(), line }, wrong)
}

impl Tree {
    /// Where the value of a key stands.
    pub fn origin(&self, path: &Path, key: &str) -> Origin {
        let (path, line) = (path.to_owned(), self.lines.get(key).copied());
        if self.sealed.is_some() { Origin::Sealed { path, line } } else { Origin::File { path, line } }
    }
}

type Syntax = (Option<usize>, String);

pub(crate) fn parse_json(text: &str) -> Result<Tree, Syntax> {
    let root: Node = serde_json::from_str(text).map_err(|error| (Some(error.line()), json_reason(&error)))?;
    let Node::Object(root) = root else { return Err((Some(1), "the file is not one JSON object".into())) };
    let (lines, twice) = json_lines::scan(text);
    match twice {
        Some((key, line)) => Err((Some(line), format!("{} is there twice", quoted(&key)))),
        None => Ok(Tree { root, lines, sealed: None }),
    }
}

/// The parser's own reason can quote a value; its category cannot.
fn json_reason(error: &serde_json::Error) -> String {
    let kind = if error.is_eof() { "the file ends too early" } else { "this is not JSON" };
    format!("{kind} (column {})", error.column())
}

pub(crate) fn parse_toml(text: &str) -> Result<Tree, Syntax> {
    let table = DeTable::parse(text).map_err(|error| {
        (error.span().map(|span| line_at(text, span.start)), toml_reason(error.message()))
    })?;
    let mut lines = HashMap::new();
    let root = plain_table(table.get_ref(), text, "", &mut lines)?;
    Ok(Tree { root, lines, sealed: None })
}

fn toml_reason(message: &str) -> String {
    format!("this is not TOML: {}", message.lines().next().unwrap_or_default())
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn plain_table(
    table: &DeTable<'_>,
    text: &str,
    prefix: &str,
    lines: &mut HashMap<String, usize>,
) -> Result<Map<String, Node>, Syntax> {
    let mut plain = Map::new();
    for (key, value) in table {
        let path = join(prefix, key.get_ref());
        lines.insert(path.clone(), line_at(text, key.span().start));
        plain.insert(key.get_ref().to_string(), plain_value(value, text, &path, lines)?);
    }
    Ok(plain)
}

fn plain_value(
    value: &Spanned<DeValue<'_>>,
    text: &str,
    path: &str,
    lines: &mut HashMap<String, usize>,
) -> Result<Node, Syntax> {
    let out_of_range = || (Some(line_at(text, value.span().start)), "the number is out of range".to_owned());
    Ok(match value.get_ref() {
        DeValue::String(string) => Node::String(string.to_string()),
        DeValue::Boolean(on) => Node::Bool(*on),
        DeValue::Integer(integer) => {
            Node::from(i64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| out_of_range())?)
        }
        DeValue::Float(float) => Node::from(float.as_str().parse::<f64>().map_err(|_| out_of_range())?),
        DeValue::Datetime(datetime) => Node::String(datetime.to_string()),
        DeValue::Array(array) => Node::Array(
            array.iter().map(|item| plain_value(item, text, path, lines)).collect::<Result<_, _>>()?,
        ),
        DeValue::Table(table) => Node::Object(plain_table(table, text, path, lines)?),
    })
}

/// A dotted path.
pub fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;
type Missing<'a> = dyn FnMut(&str, &str) + 'a;

/// Replaces variables everywhere below; values that name a missing one go.
fn replace_in_table(
    table: &mut Map<String, Node>,
    prefix: &str,
    lookup: &Lookup<'_>,
    missing: &mut Missing<'_>,
) {
    table.retain(|name, node| replace(node, &join(prefix, name), lookup, missing));
}

/// Whether the node can stay.
fn replace(node: &mut Node, key: &str, lookup: &Lookup<'_>, missing: &mut Missing<'_>) -> bool {
    match node {
        Node::String(text) => {
            let mut complete = true;
            *text = expand(text, lookup, &mut |name| {
                complete = false;
                missing(key, name);
            });
            complete
        }
        // Every item is looked at, so that every missing name is reported.
        Node::Array(items) => {
            let mut complete = true;
            for item in items {
                complete &= replace(item, key, lookup, missing);
            }
            complete
        }
        Node::Object(fields) => {
            replace_in_table(fields, key, lookup, missing);
            true
        }
        Node::Null | Node::Bool(_) | Node::Number(_) => true,
    }
}

/// Replaces each `${NAME}`; `$${` stands for a literal `${`. What is put in is not looked at again.
pub(crate) fn expand(text: &str, lookup: &Lookup<'_>, missing: &mut dyn FnMut(&str)) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, tail) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out = out + before + "${";
            rest = &tail[2..];
            continue;
        }
        let Some(end) = tail.find('}') else { break };
        let name = &tail[2..end];
        out += before;
        match lookup(name) {
            Some(value) => out += &value,
            None => missing(name),
        }
        rest = &tail[end + 1..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> (String, Vec<String>) {
        let mut missing = Vec::new();
        let lookup = |name: &str| (name == "A").then(|| "${A}!".to_owned());
        let text = expand(text, &lookup, &mut |name| missing.push(name.to_owned()));
        (text, missing)
    }

    #[test]
    fn variables_are_replaced_once() {
        assert_eq!(expanded("x${A}y${A}"), ("x${A}!y${A}!".into(), vec![]));
        assert_eq!(expanded("$${A} $5 ${"), ("${A} $5 ${".into(), vec![]));
        assert_eq!(expanded("${B}").1, ["B"]);
    }

    #[test]
    fn both_formats_give_the_same_tree_with_lines() {
        let toml = parse_toml("[server]\nport = 9000\nallowed_origins = [\"a\"]\n").unwrap();
        let json = parse_json("{\"server\": {\n\"port\": 9000,\n\"allowed_origins\": [\"a\"]}}").unwrap();
        assert_eq!(toml.root, json.root);
        assert_eq!((toml.lines["server.port"], toml.lines["server.allowed_origins"]), (2, 3));
        assert_eq!((json.lines["server.port"], json.lines["server.allowed_origins"]), (2, 3));
    }

    #[test]
    fn syntax_errors_name_the_line_and_no_value() {
        let (line, why) = parse_json("{\"spotify\":\n{\"client_secret\": hunter2}}").unwrap_err();
        assert_eq!(line, Some(2));
        assert!(!why.contains("hunter2"));
        assert_eq!(parse_toml("a = 1\nb = \n").unwrap_err().0, Some(2));
        assert!(parse_toml("[server]\nport = hunter2\n").is_err_and(|(_, why)| !why.contains("hunter2")));
        assert!(parse_json("{\"a\": 1,\n\"a\": 2}").is_err_and(|(line, _)| line == Some(2)));
        assert!(parse_json("[]").is_err());
    }
}
