//! What a configuration key is, and how one is found by path, by environment name, or by a near miss.

use super::checks::Check;
use super::table::TABLE;

/// One configuration key: everything that parsing, `config show`, `deploy/env.example` and `deploy/configuration.md` need.
#[derive(Debug)]
pub struct KeySpec {
    /// Section and name, for example `server.port`.
    pub path: &'static str,
    /// Environment names beside the generic one, a later one winning.
    pub env: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// The default as one would write it; `None`: unset, or derived as `doc` says.
    pub default: Option<&'static str>,
    /// What of the value may be shown.
    pub secrecy: Secrecy,
    /// Whether a change needs a restart.
    pub restart: bool,
    /// What the value does.
    pub role: Role,
    /// One or two sentences for the operator.
    pub doc: &'static str,
}

/// What values a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text that passes the check.
    Text(Check),
    /// `true` or `false`.
    Flag,
    /// A whole number within these bounds.
    Count(u64, u64),
    /// A duration within these bounds in seconds: `90s`, `15m`, `1h`, `30d`; a bare number is seconds.
    Span(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Items that each pass the check.
    List(Check),
    /// A program and its arguments.
    Command,
    /// Spotify apps, as tables.
    Apps,
    /// OAuth clients, as tables.
    Clients,
}

/// What of a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// All of it.
    Open,
    /// A URL without its password and query.
    Password,
    /// Nothing.
    Secret,
}

/// What a key's value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is used.
    Setting,
    /// It is another key's value under an older name.
    Alias(&'static str),
    /// It is accepted and does nothing, which the operator is told in these words.
    Unused(&'static str),
}

impl KeySpec {
    /// A key without environment names, default or secrecy, which needs a restart.
    pub const fn new(path: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            path,
            env: &[],
            kind,
            default: None,
            secrecy: Secrecy::Open,
            restart: true,
            role: Role::Setting,
            doc,
        }
    }

    /// Adds environment names beside the generic one.
    pub const fn env(mut self, names: &'static [&'static str]) -> Self {
        self.env = names;
        self
    }

    /// Sets the default.
    pub const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// Hides the value, and lets it come from a file.
    pub const fn secret(mut self, secrecy: Secrecy) -> Self {
        self.secrecy = secrecy;
        self
    }

    /// Marks a key that a running server can take over.
    pub const fn live(mut self) -> Self {
        self.restart = false;
        self
    }

    /// Sets what the value does.
    pub const fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Whether the value may come from a file of its own (`NAME_FILE`, `key_file`).
    pub fn is_secret(&self) -> bool {
        self.secrecy != Secrecy::Open
    }

    /// `SPOTIFY_MCP__SECTION__KEY` (product.md 7, Configuration keys).
    pub fn generic_env(&self) -> String {
        format!("SPOTIFY_MCP__{}", self.path.replace('.', "__").to_uppercase())
    }

    /// Every environment name, a later one winning.
    pub fn env_names(&self) -> impl Iterator<Item = String> {
        self.env.iter().map(|name| (*name).to_owned()).chain([self.generic_env()])
    }
}

/// The key with this path.
pub fn find(path: &str) -> Option<&'static KeySpec> {
    TABLE.iter().find(|spec| spec.path == path)
}

/// The secret key that `path` names a file for, where `path` is `<secret key>_file`.
pub fn find_file_form(path: &str) -> Option<&'static KeySpec> {
    find(path.strip_suffix("_file")?).filter(|spec| spec.is_secret())
}

/// Whether some key lies below this path.
pub fn is_section(path: &str) -> bool {
    TABLE.iter().any(|spec| spec.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The known name nearest to an unknown one; always some, since a far suggestion still shows the form.
pub fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let measured = known.map(|candidate| {
        // The right name in the wrong section is nearer than a different name in the right one.
        let other_name = usize::from(last(unknown) != last(candidate));
        (other_name, distance(unknown, candidate), candidate)
    });
    let (other_name, distance, nearest) = measured.min()?;
    (other_name == 0 || distance <= unknown.chars().count().div_ceil(2)).then_some(nearest)
}

/// What to do about a name that is none.
pub fn suggestion(nearest: Option<&str>) -> String {
    let every = "'spotify-mcp config show' lists every key";
    nearest.map_or_else(|| every.to_owned(), |nearest| format!("did you mean {nearest}? {every}"))
}

/// Levenshtein's distance.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, left) in one.chars().take(200).enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, right) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest_key(unknown: &str) -> &'static str {
        nearest(unknown, TABLE.iter().map(|spec| spec.path)).unwrap()
    }

    #[test]
    fn near_misses_find_the_key() {
        assert_eq!(nearest_key("server.prot"), "server.port");
        assert_eq!(nearest_key("spotify.clientid"), "spotify.client_id");
        assert_eq!(nearest_key("telemetry.data_dir"), "storage.data_dir");
        let all = || TABLE.iter().map(|spec| spec.path);
        for far in ["log", "quux.frobnicate"] {
            assert_eq!(nearest(far, all()), None, "{far}");
        }
        assert!(!suggestion(None).contains("did you mean"));
    }

    #[test]
    fn distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn generic_names_follow_the_path() {
        let spec = find("limits.calls_per_user_per_minute").unwrap();
        assert_eq!(spec.generic_env(), "SPOTIFY_MCP__LIMITS__CALLS_PER_USER_PER_MINUTE");
    }

    #[test]
    fn paths_and_environment_names_are_unique() {
        let mut names: Vec<String> = TABLE.iter().flat_map(KeySpec::env_names).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
