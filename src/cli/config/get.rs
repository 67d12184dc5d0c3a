//! `spotify-mcp config get`: one value as the configuration file has it, sealed or plain.

use std::path::PathBuf;

use serde_json::{Map, Value as Node, json};

use super::contents::{KeyName, at};
use super::ledger::Deed;
use super::safe::{self, Held, KeyArgs};
use crate::cli::configured::parts;
use crate::cli::output::{Exit, Refused};
use crate::cli::{Global, secret_input};
use crate::config::{read_plain, sealed, sealed_file, unseal};
use crate::domain::event::EventCode;

/// What `config get` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints what the file says; 'config show' prints what holds. A secret is printed too: it was asked for by its name.

Exit status: 1 when the file does not say this key.

Examples:
  spotify-mcp config get server.public_url --config server.encrypted.json
  spotify-mcp config get spotify.client_secret --config server.encrypted.json")]
pub struct Args {
    /// The key, for example server.public_url
    key: String,
    #[command(flatten)]
    opens: KeyArgs,
}

/// Prints the value.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let key = KeyName::parse(&args.key)?;
    let path = config_file(global)?;
    let text = sealed_file::read(&path).map_err(|trouble| safe::troubled(&path, trouble))?;
    let held = if sealed::is_sealed(&text) || unseal::must_be_sealed(&path) {
        Some(args.opens.hold(&path, global)?)
    } else {
        None
    };
    let read;
    let contents = match &held {
        Some(held) => &held.open.opened.plain,
        None => {
            read = plain(&path)?;
            &read
        }
    };
    let Some(value) = at(contents, key.text()) else {
        let text = format!("{} does not say {}", path.display(), key.text());
        return Err(Refused::new(
            Exit::Findings,
            "CONFIG_KEY_UNSET",
            text,
            "'spotify-mcp config show' says what holds",
        ));
    };
    if key.is_secret() || value.is_array() {
        secret_input::check_standard_output()?;
        held.iter().for_each(|held| record(held, key));
    }
    let words = match value {
        Node::String(text) => text.clone(),
        other => format!("{other:#}"),
    };
    global.output().result(&format!("{words}\n"), &json!({ "key": key.text(), "value": value }));
    Ok(Exit::Done)
}

fn record(held: &Held, key: KeyName<'_>) {
    let header = &held.open.opened.header;
    let digest = unseal::digest(&held.open.text);
    let (code, verb) = (EventCode::ConfigDecrypted, "config get");
    held.ledger.record(header, &Deed { code, verb, rev: header.rev, digest: &digest, about: key.text() });
}

fn plain(path: &std::path::Path) -> Result<Map<String, Node>, Refused> {
    read_plain(path).map_err(|problems| {
        Refused::usage("CONFIG_INVALID", format!("{} cannot be read", path.display()), "mend it")
            .with_parts(parts(&problems))
    })
}

/// The file that `--config` or `SPOTIFY_MCP_CONFIG` names.
pub fn config_file(global: &Global) -> Result<PathBuf, Refused> {
    let named = std::env::var_os("SPOTIFY_MCP_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    global.config.clone().or(named).ok_or_else(|| {
        Refused::usage(
            "USAGE",
            "no configuration file is named",
            "add --config FILE, or set SPOTIFY_MCP_CONFIG",
        )
    })
}
