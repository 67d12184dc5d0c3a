//! Collects raw values, layer by layer (file, environment, flags; later wins), with the origin of each.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Node};

use super::file::{self, Tree, join};
use super::keys::{self, KeySpec, Role};
use super::problem::{Origin, Problem, Wrong};
use super::quoting::quoted;
use super::table::{NEIGHBOURS, Neighbour, TABLE};
use super::unseal::{self, SealedFile};
use super::value::{self, Value};
use super::{Flag, Sources, dotenv};

/// A secret of its own file, and a dotenv file, are never larger.
const MAX_SECRET_BYTES: usize = 65_536;
const MAX_DOTENV_BYTES: usize = 262_144;

/// Every value that was said, and what was wrong with the rest.
#[derive(Default)]
pub struct Gathered {
    /// The winning value of each key that was said.
    pub values: BTreeMap<&'static str, Setting>,
    /// Values that were said and count for nothing, because something said the same key later or more strongly.
    pub outranked: Vec<(&'static str, Setting)>,
    /// Files that hold secrets, for the check of their modes.
    pub secret_files: BTreeSet<PathBuf>,
    /// What keeps the configuration from being used.
    pub problems: Vec<Problem>,
    /// What works and should be known.
    pub notices: Vec<Problem>,
    /// A configuration or dotenv file that was named, and nothing could be read from it.
    pub unread: Option<PathBuf>,
    /// The configuration file is sealed: which one it is.
    pub sealed: Option<SealedFile>,
    /// The configuration file that was named.
    pub file: Option<PathBuf>,
    /// The dotenv file that was named.
    pub env_file: Option<PathBuf>,
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The value.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// The environment, merged with the dotenv file; empty values count as unset.
pub type Variables = BTreeMap<String, (String, Origin)>;

type Layer = Vec<(&'static KeySpec, Setting)>;

/// Collects everything that `sources` say.
pub fn gather(sources: &Sources) -> (Gathered, Variables) {
    let mut gathered = Gathered::default();
    let variables = gathered.variables(sources);
    // What stands outside the file comes first: a sealed file is opened by what it says, and by nothing within.
    let mut outside = Gathered::default();
    outside.env_layer(&variables);
    outside.flag_layer(&sources.flags);
    gathered.file_layer(sources, &variables, &outside);
    gathered.lay_over(outside);
    (gathered, variables)
}

/// What environment, dotenv file and flags say, without a configuration file.
pub fn outside(sources: &Sources) -> (Gathered, Variables) {
    let mut outside = Gathered::default();
    let variables = outside.variables(sources);
    outside.env_layer(&variables);
    outside.flag_layer(&sources.flags);
    (outside, variables)
}

/// Everything that a file with these contents, environment and flags say: the file was opened already.
pub fn opened(sources: &Sources, root: &Map<String, Node>, path: &Path) -> (Gathered, Variables) {
    let (outside, variables) = outside(sources);
    let lookup = |name: &str| variables.get(name).map(|(value, _)| value.clone());
    let tree = Tree { root: root.clone(), ..Tree::default() };
    let (tree, problems) = file::expand_tree(path, tree, &lookup);
    let mut gathered = Gathered { problems, ..Gathered::default() };
    gathered.take_tree(path, tree.unwrap_or_default());
    gathered.lay_over(outside);
    (gathered, variables)
}

/// What contents say that are to stand in a file at `path`. Values that use a variable are left out: whether they
/// fit is known only where they are used.
pub fn contents(root: &Map<String, Node>, path: &Path) -> Gathered {
    let tree = Tree { root: root.clone(), ..Tree::default() };
    let (tree, _unset) = file::expand_tree(path, tree, &|_| None);
    let mut gathered = Gathered::default();
    gathered.take_tree(path, tree.unwrap_or_default());
    gathered
}

impl Gathered {
    fn variables(&mut self, sources: &Sources) -> Variables {
        let mut variables = Variables::new();
        self.env_file.clone_from(&sources.env_file);
        if let Some(path) = &sources.env_file {
            variables.extend(self.dotenv(path));
        }
        for (name, value) in &sources.env {
            let before = match value.clone().into_string() {
                Ok(value) if value.is_empty() => variables.remove(name),
                Ok(value) => variables.insert(name.clone(), (value, Origin::Env(name.clone()))),
                Err(value) => {
                    self.not_text(name, &value);
                    None
                }
            };
            before.into_iter().for_each(|(text, origin)| self.outranked_variable(name, &text, origin));
        }
        variables
    }

    /// A line of the dotenv file that the environment says otherwise stands there nevertheless.
    fn outranked_variable(&mut self, name: &str, text: &str, origin: Origin) {
        let spec = TABLE.iter().find(|spec| spec.env_names().any(|known| known == name));
        let Some((spec, value)) = spec.and_then(|spec| Some((spec, value::from_text(spec, text).ok()?)))
        else {
            return;
        };
        if let (true, Origin::EnvFile { path, .. }) = (spec.is_secret(), &origin) {
            self.secret_files.insert(path.clone());
        }
        self.outranked.push((spec.path, Setting { value, origin }));
    }

    fn dotenv(&mut self, path: &Path) -> Variables {
        let about = |line| Origin::File { path: path.to_owned(), line };
        let text = match file::read_text(path, MAX_DOTENV_BYTES) {
            Ok(text) => text,
            Err(wrong) => {
                self.unread = Some(path.to_owned());
                self.problems.push(Problem::new("CONFIG_FILE_UNREADABLE", "--env-file", about(None), wrong));
                return Variables::new();
            }
        };
        match dotenv::parse(&text) {
            Ok(values) => {
                let named = |name: String| Origin::EnvFile { name, path: path.to_owned() };
                let set = values.into_iter().filter(|(_, value)| !value.is_empty());
                set.map(|(name, value)| (name.clone(), (value, named(name)))).collect()
            }
            Err(lines) => {
                self.unread = Some(path.to_owned());
                for line in lines {
                    let wrong =
                        Wrong::new("the line is not NAME=VALUE", "write NAME=VALUE, or # before a comment");
                    self.problems.push(Problem::new("CONFIG_SYNTAX", "--env-file", about(Some(line)), wrong));
                }
                Variables::new()
            }
        }
    }

    fn not_text(&mut self, name: &str, _value: &OsString) {
        if known_variables().any(|known| known == name) {
            let wrong = Wrong::new("it is not UTF-8 text", "set it to UTF-8 text");
            self.problems.push(Problem::with_value(name, Origin::Env(name.to_owned()), wrong));
        }
    }

    fn file_layer(&mut self, sources: &Sources, variables: &Variables, outside: &Self) {
        let named = variables.get("SPOTIFY_MCP_CONFIG").map(|(path, _)| PathBuf::from(path));
        let Some(path) = sources.file.clone().or(named) else { return };
        self.file = Some(path.clone());
        let lookup = |name: &str| variables.get(name).map(|(value, _)| value.clone());
        let open = |path: &Path, text: &str| {
            let key = unseal::outside_key(outside.values.clone(), variables);
            unseal::open_tree(path, text, key)
        };
        let (tree, problems) = file::read(&path, &lookup, &open);
        self.problems.extend(problems);
        match tree {
            Some(tree) => self.take_tree(&path, tree),
            None => self.unread = Some(path),
        }
    }

    /// Takes over what a file says.
    pub(super) fn take_tree(&mut self, path: &Path, tree: Tree) {
        let mut walk = Walk { path, tree: &tree, layer: Layer::new() };
        self.walk(&mut walk, &tree.root, "");
        let layer = walk.layer;
        self.settle(layer);
        self.sealed = tree.sealed;
    }

    fn lay_over(&mut self, outside: Self) {
        for (path, setting) in outside.values {
            let before = self.values.insert(path, setting);
            self.outranked.extend(before.map(|setting| (path, setting)));
        }
        self.outranked.extend(outside.outranked);
        self.secret_files.extend(outside.secret_files);
        self.problems.extend(outside.problems);
        self.notices.extend(outside.notices);
    }

    fn walk(&mut self, walk: &mut Walk<'_>, table: &Map<String, Node>, prefix: &str) {
        for (name, node) in table {
            let path = join(prefix, name);
            let origin = walk.origin(&path);
            if let Some(spec) = keys::find(&path) {
                let says_secret = spec.secrecy == keys::Secrecy::Secret || says_a_secret(node);
                if says_secret && walk.tree.sealed.is_none() {
                    self.secret_files.insert(walk.path.to_owned());
                }
                self.take(&mut walk.layer, spec, origin, value::from_node(spec, node));
            } else if let (Some(spec), Some(file)) = (keys::find_file_form(&path), node.as_str()) {
                let file = walk.path.parent().unwrap_or(Path::new("")).join(file);
                self.secret_file(&mut walk.layer, spec, &file, &path);
            } else if let (true, Node::Object(inner)) = (keys::is_section(&path), node) {
                self.walk(walk, inner, &path);
            } else {
                self.unknown_key(&path, origin);
            }
        }
    }

    fn unknown_key(&mut self, path: &str, origin: Origin) {
        let wrong = if keys::is_section(path) {
            Wrong::new("it is a section and not a value", format!("write a table with the keys of {path}"))
        } else {
            let known = TABLE.iter().map(|spec| spec.path);
            Wrong::new("there is no such key", keys::suggestion(keys::nearest(path, known)))
        };
        self.problems.push(Problem::new("CONFIG_UNKNOWN_KEY", quoted(path).replace('\'', ""), origin, wrong));
    }

    fn env_layer(&mut self, variables: &Variables) {
        let mut layer = Layer::new();
        for spec in TABLE {
            for name in spec.env_names() {
                self.variable(&mut layer, spec, &name, variables);
            }
        }
        self.settle(layer);
        self.unknown_variables(variables);
        self.neighbours(variables);
    }

    fn variable(&mut self, layer: &mut Layer, spec: &'static KeySpec, name: &str, variables: &Variables) {
        let direct = variables.get(name);
        let file_name = format!("{name}_FILE");
        if let (true, Some((file, origin))) = (spec.is_secret(), variables.get(&file_name)) {
            if direct.is_some() {
                let wrong = Wrong::new(
                    format!("it is ignored, because {name} is set too"),
                    format!("unset {name} or {file_name}"),
                );
                self.notices.push(Problem::new("CONFIG_SAID_TWICE", spec.path, origin.clone(), wrong));
            } else {
                self.secret_file(layer, spec, Path::new(file), &file_name);
            }
        }
        if let Some((text, origin)) = direct {
            if let (true, Origin::EnvFile { path, .. }) = (spec.is_secret(), origin) {
                self.secret_files.insert(path.clone());
            }
            self.take(layer, spec, origin.clone(), value::from_text(spec, text));
        }
    }

    fn secret_file(&mut self, layer: &mut Layer, spec: &'static KeySpec, path: &Path, named_by: &str) {
        let origin = Origin::SecretFile { path: path.to_owned(), named_by: named_by.to_owned() };
        match file::read_text(path, MAX_SECRET_BYTES) {
            Ok(text) => {
                self.secret_files.insert(path.to_owned());
                let text = one_line(&text);
                self.take(layer, spec, origin, value::from_text(spec, text));
            }
            Err(wrong) => {
                self.problems.push(Problem::new("CONFIG_FILE_UNREADABLE", spec.path, origin, wrong))
            }
        }
    }

    fn unknown_variables(&mut self, variables: &Variables) {
        // Only the doubled underscore is ours alone: Kubernetes sets SPOTIFY_MCP_PORT and the like by itself.
        let generic = variables.iter().filter(|(name, _)| name.starts_with("SPOTIFY_MCP__"));
        for (name, (_, origin)) in generic {
            if known_variables().any(|known| known == *name) {
                continue;
            }
            let known: Vec<String> = TABLE.iter().map(KeySpec::generic_env).collect();
            let wrong = Wrong::new(
                "there is no such key",
                keys::suggestion(keys::nearest(name, known.iter().map(String::as_str))),
            );
            self.problems.push(Problem::new("CONFIG_UNKNOWN_KEY", name, origin.clone(), wrong));
        }
    }

    fn neighbours(&mut self, variables: &Variables) {
        for (name, neighbour, why, fix) in NEIGHBOURS {
            let Some((_, origin)) = variables.get(*name) else { continue };
            let found = |code| Problem::new(code, *name, origin.clone(), Wrong::new(*why, *fix));
            match neighbour {
                Neighbour::Unneeded => self.notices.push(found("CONFIG_UNNEEDED")),
                Neighbour::Forbidden => self.problems.push(found("CONFIG_FORBIDDEN")),
            }
        }
    }

    fn flag_layer(&mut self, flags: &[Flag]) {
        let mut layer = Layer::new();
        for flag in flags {
            if let Some(spec) = keys::find(flag.key) {
                self.take(&mut layer, spec, Origin::Flag(flag.name), value::from_text(spec, &flag.value));
            }
        }
        self.settle(layer);
    }

    fn take(
        &mut self,
        layer: &mut Layer,
        spec: &'static KeySpec,
        origin: Origin,
        read: Result<Value, Wrong>,
    ) {
        match read {
            Ok(value) => layer.push((spec, Setting { value, origin })),
            Err(mut wrong) => {
                let more = std::mem::take(&mut wrong.more);
                let all = std::iter::once(wrong).chain(more);
                let problem = |wrong| Problem::with_value(spec.path, origin.clone(), wrong);
                self.problems.extend(all.map(problem));
            }
        }
    }

    /// Puts one layer over what is there; within a layer a key's own name wins over its alias.
    fn settle(&mut self, mut layer: Layer) {
        layer.sort_by_key(|(spec, _)| spec.role == Role::Setting);
        for (spec, setting) in layer {
            let path = match spec.role {
                Role::Setting => spec.path,
                Role::Alias(target) => target,
                Role::Unused(why) => {
                    let wrong = Wrong::new(why, "it can be removed");
                    self.notices.push(Problem::new("CONFIG_UNUSED", spec.path, setting.origin, wrong));
                    continue;
                }
            };
            let before = self.values.insert(path, setting);
            self.outranked.extend(before.map(|setting| (path, setting)));
        }
    }
}

struct Walk<'a> {
    path: &'a Path,
    tree: &'a Tree,
    layer: Layer,
}

impl Walk<'_> {
    fn origin(&self, key: &str) -> Origin {
        self.tree.origin(self.path, key)
    }
}

/// The text of a secret's file without the line end that editors add.
pub fn one_line(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

fn says_a_secret(node: &Node) -> bool {
    let holds = |item: &Node| item.get("client_secret").or_else(|| item.get("secret")).is_some();
    node.as_array().is_some_and(|items| items.iter().any(holds))
}

fn known_variables() -> impl Iterator<Item = String> {
    TABLE.iter().flat_map(|spec| {
        let file_forms = spec.is_secret().then(|| spec.env_names().map(|name| format!("{name}_FILE")));
        spec.env_names().chain(file_forms.into_iter().flatten())
    })
}
