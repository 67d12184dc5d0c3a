//! How the master key came into a process, as far as others could have watched: arguments, environment, files and their
//! modes. Never: the key itself in a fact.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::check::finding::Seen;
use crate::config::{Config, Origin, master_key};

use super::system::Root;

/// How the key came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySource {
    /// In whose arguments something like a key stands: the process's, or those of the one that started it.
    pub in_arguments: Seen<Vec<&'static str>>,
    /// Whether its environment holds the key or the passphrase; `Err`: it cannot be seen.
    pub in_environment: Seen<bool>,
    /// What this configuration says.
    pub said: Said,
}

/// Where a configuration has the key from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nowhere.
    Nothing,
    /// An environment variable.
    Variable(String),
    /// A file, with what others may do with it.
    File {
        /// Which.
        path: PathBuf,
        /// Its mode; `None`: it cannot be looked at.
        mode: Option<u32>,
    },
    /// A systemd credential.
    Credential,
    /// A program prints it.
    Program,
}

/// Variables that hold the key or what it is derived from.
const VARIABLES: [&str; 3] =
    ["SPOTIFY_MCP_MASTER_KEY=", "SPOTIFY_MCP__SECURITY__MASTER_KEY=", "SPOTIFY_MCP__SECURITY__PASSPHRASE="];

/// What this configuration says.
pub fn said(config: &Config, origin: impl Fn(&str) -> Origin) -> Said {
    let key = &config.security.master_key;
    let of_file = |path: PathBuf| {
        let mode = path.metadata().ok().map(|file| file.mode() & 0o7777);
        Said::File { path, mode }
    };
    let by_origin = |name: &str| match origin(name) {
        Origin::Env(name) => Said::Variable(name),
        Origin::EnvFile { path, .. } | Origin::SecretFile { path, .. } | Origin::File { path, .. } => {
            of_file(path)
        }
        Origin::Sealed { .. } | Origin::Default | Origin::Flag(_) => Said::Nothing,
    };
    match () {
        () if key.value.is_some() => by_origin("security.master_key"),
        () if key.credential.is_some() => Said::Credential,
        () if !key.command.is_empty() => Said::Program,
        () if key.passphrase.is_some() => by_origin("security.passphrase"),
        () => {
            let path = master_key::generated_path(&config.storage.data_dir);
            if path.exists() { of_file(path) } else { Said::Nothing }
        }
    }
}

/// In whose arguments something like a key stands.
///
/// # Errors
/// Where the process's arguments cannot be seen; those of its parent may be hidden.
pub fn in_arguments(root: &Root, process: &str, parent: u32) -> Seen<Vec<&'static str>> {
    let mut found = Vec::new();
    if holds_key(&Zeroizing::new(root.text(&format!("/proc/{process}/cmdline"))?)) {
        found.push("its own arguments");
    }
    let parents = root.text(&format!("/proc/{parent}/cmdline")).map(Zeroizing::new);
    if parent > 0 && parents.is_ok_and(|text| holds_key(&text)) {
        found.push("the arguments of the process that started it");
    }
    Ok(found)
}

/// Whether its environment holds the key. Only root sees that of a server, and what is started with it.
///
/// # Errors
/// Where it cannot be seen.
pub fn in_environment(root: &Root, process: &str) -> Seen<bool> {
    let text = Zeroizing::new(root.text(&format!("/proc/{process}/environ"))?);
    Ok(text.split('\0').any(|variable| VARIABLES.iter().any(|name| says(variable, name))))
}

fn says(variable: &str, name: &str) -> bool {
    variable.strip_prefix(name).is_some_and(|value| !value.is_empty())
}

/// Whether arguments hold a key by its name, or a word that is a key: 32 bytes that are not made up, in base64.
fn holds_key(arguments: &str) -> bool {
    let words = arguments.split(|c: char| c == '\0' || c.is_whitespace() || matches!(c, '=' | '"' | '\''));
    let key = |word: &str| word.len() == 43 && master_key::check(&Zeroizing::new(format!("{word}="))).is_ok();
    VARIABLES.iter().any(|name| {
        arguments.split(name).skip(1).any(|rest| !rest.is_empty() && !rest.starts_with(['\0', ' ', '$']))
    }) || words.into_iter().any(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::runtime::fixtures::Tree;

    const KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";

    #[test]
    fn a_key_in_arguments_is_found_by_its_name_and_by_its_shape() {
        let key = "3J5mT0y8Qd1xqk9bNnV7cZrW2sLhF4uGpA6eXoYiKtM=";
        assert!(holds_key(&format!("sh\0-c\0SPOTIFY_MCP_MASTER_KEY={key} spotify-mcp serve\0")));
        assert!(holds_key(&format!("spotify-mcp\0serve\0--key\0{key}\0")));
        assert!(holds_key(&format!("x\0--key={key}\0")));
        assert!(!holds_key("spotify-mcp\0--config\0/etc/spotify-mcp/config.toml\0serve\0"));
        assert!(!holds_key("sh\0-c\0SPOTIFY_MCP_MASTER_KEY=$KEY spotify-mcp serve\0"));
        assert!(!holds_key("sh\0-c\0SPOTIFY_MCP_MASTER_KEY_FILE=/run/key spotify-mcp\0"));
        // A repeated pattern is nobody's key.
        assert!(!holds_key(&format!("x\0{KEY}\0")));
    }

    #[test]
    fn arguments_and_environment_are_read_from_the_process() {
        let tree = Tree::new("key-source");
        tree.file("proc/7/cmdline", "spotify-mcp\0serve\0");
        tree.file("proc/7/environ", "PATH=/bin\0SPOTIFY_MCP_MASTER_KEY=x\0");
        tree.file("proc/3/cmdline", "sh\0-c\0SPOTIFY_MCP__SECURITY__PASSPHRASE=words spotify-mcp serve\0");
        let root = tree.root();
        assert_eq!(in_arguments(&root, "7", 1), Ok(vec![]));
        assert_eq!(in_arguments(&root, "7", 3), Ok(vec!["the arguments of the process that started it"]));
        assert!(in_arguments(&root, "8", 3).is_err());
        assert_eq!(in_environment(&root, "7"), Ok(true));
        assert!(in_environment(&root, "8").is_err());
        tree.file("proc/7/environ", "SPOTIFY_MCP_MASTER_KEY_FILE=/k\0SPOTIFY_MCP_MASTER_KEY=\0");
        assert_eq!(in_environment(&root, "7"), Ok(false));
    }
}
