//! What is wrong with a configuration, and where each value came from. Never holds a secret's value.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The key table, or derived from other keys.
    Default,
    /// The configuration file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line of the key, counted from 1.
        line: Option<usize>,
    },
    /// A sealed configuration file.
    Sealed {
        /// The file as it was named.
        path: PathBuf,
        /// The line of the key, counted from 1.
        line: Option<usize>,
    },
    /// An environment variable.
    Env(String),
    /// A line of the dotenv file.
    EnvFile {
        /// The variable.
        name: String,
        /// The file as it was named.
        path: PathBuf,
    },
    /// A file that holds this one secret.
    SecretFile {
        /// The file.
        path: PathBuf,
        /// The variable or key that named it.
        named_by: String,
    },
    /// A command-line flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::File { path, line: Some(line) } => write!(out, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(out, "{}", path.display()),
            Self::Sealed { path, line: Some(line) } => write!(out, "{}:{line} (sealed file)", path.display()),
            Self::Sealed { path, line: None } => write!(out, "{} (sealed file)", path.display()),
            Self::Env(name) => write!(out, "environment {name}"),
            Self::EnvFile { name, path } => write!(out, "{name} in {}", path.display()),
            Self::SecretFile { path, named_by } => write!(out, "{} (from {named_by})", path.display()),
            Self::Flag(name) => write!(out, "flag {name}"),
        }
    }
}

/// One thing that keeps the configuration from being used, or that works and should be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable, for example `CONFIG_UNKNOWN_KEY`.
    pub code: String,
    /// The key it is about.
    pub key: String,
    /// Where the value came from.
    pub origin: Origin,
    /// Why it is wrong.
    pub why: String,
    /// What to write instead.
    pub fix: String,
    /// A file that this user may not read; a server of another user may.
    pub is_closed: bool,
}

impl Problem {
    /// A problem with one key.
    pub fn new(code: &str, key: impl Into<String>, origin: Origin, wrong: Wrong) -> Self {
        let Wrong { why, fix, is_closed, .. } = wrong;
        Self { code: code.to_owned(), key: key.into(), origin, why, fix, is_closed }
    }

    /// A problem with the value of one key, under the code of what is wrong.
    pub fn with_value(key: impl Into<String>, origin: Origin, wrong: Wrong) -> Self {
        Self::new(wrong.code, key, origin, wrong)
    }
}

/// Why a value is wrong and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Stable; `CONFIG_VALUE` unless something more exact is known.
    pub code: &'static str,
    /// Why it is wrong.
    pub why: String,
    /// What to write instead.
    pub fix: String,
    /// What else is wrong with the same value.
    pub more: Vec<Wrong>,
    /// As [`Problem::is_closed`].
    pub is_closed: bool,
}

impl Wrong {
    /// Several as one; `None` where there is none.
    pub fn all(wrongs: Vec<Self>) -> Option<Self> {
        let mut wrongs = wrongs.into_iter();
        let mut first = wrongs.next()?;
        first.more.extend(wrongs);
        Some(first)
    }

    /// Both halves.
    pub fn new(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code: "CONFIG_VALUE", why: why.into(), fix: fix.into(), more: Vec::new(), is_closed: false }
    }

    /// The same of a file that was refused so.
    #[must_use]
    pub fn of_file(mut self, error: &std::io::Error) -> Self {
        self.is_closed = error.kind() == std::io::ErrorKind::PermissionDenied;
        self
    }

    /// The same under a more exact code.
    pub const fn coded(mut self, code: &'static str) -> Self {
        self.code = code;
        self
    }
}
