//! `spotify-mcp config diff`: what differs between two configuration files, secrets as keyed fingerprints.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Node, json};

use super::changes::{self, changes, shown};
use super::safe::{self, FoundKey, KeyArgs};
use crate::ambient::{Clock, Dice};
use crate::cli::Global;
use crate::cli::configured::parts;
use crate::cli::output::{Exit, Refused};
use crate::config::sealed::{self, Opened, Opener, Sealed};
use crate::config::sealed_file::Trouble;
use crate::config::{file_text, read_plain};
use crate::crypto::Key;
use crate::crypto::keys::RootKey;

/// What `config diff` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A secret is shown as a fingerprint under a key of the file: equal secrets of one comparison have equal fingerprints, and
nobody without the file's key can test a guess.

Exit status: 1 when the files differ.

For 'git diff' on sealed files:
  git config diff.spotify-mcp.textconv 'spotify-mcp config diff --textconv'
  echo '*.encrypted.json diff=spotify-mcp' >> .gitattributes

Examples:
  spotify-mcp config diff server.encrypted.json.bak server.encrypted.json
  spotify-mcp config diff --textconv server.encrypted.json")]
pub struct Args {
    /// The file to compare
    #[arg(value_name = "A")]
    one: PathBuf,
    /// The file to compare it with
    #[arg(value_name = "B", required_unless_present = "textconv")]
    other: Option<PathBuf>,
    /// Print one file, a line for each value: for git
    #[arg(long, conflicts_with = "other")]
    textconv: bool,
    #[command(flatten)]
    opens: KeyArgs,
}

/// Compares.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let mut desk = Desk { args, global, key: None };
    let one = desk.side(&args.one)?;
    let other = args.other.as_deref().map(|path| desk.side(path)).transpose()?;
    let prints = [Some(&one), other.as_ref()].into_iter().flatten().find_map(|side| side.opened.as_ref());
    let unsealed;
    let prints = match prints {
        Some(opened) => opened,
        None => {
            unsealed = any_fingerprints(&args.one)?;
            &unsealed
        }
    };
    let before = shown(&one.contents, prints);
    let Some(other) = &other else {
        let lines: String = before.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        global.output().raw(&lines);
        return Ok(Exit::Done);
    };
    let after = shown(&other.contents, prints);
    let changes = changes(&before, &after);
    let document = json!({ "changes": changes::document(&changes) });
    global.output().result(&changes::in_words(&changes), &document);
    Ok(if changes.is_empty() { Exit::Done } else { Exit::Findings })
}

struct Desk<'a> {
    args: &'a Args,
    global: &'a Global,
    key: Option<FoundKey>,
}

struct Side {
    contents: Map<String, Node>,
    opened: Option<Opened>,
}

impl Desk<'_> {
    fn side(&mut self, path: &Path) -> Result<Side, Refused> {
        // git gives copies with other names and modes.
        let text = file_text(path).map_err(|wrong| safe::troubled(path, Trouble::Unreadable(wrong)))?;
        if !sealed::is_sealed(&text) {
            let contents = read_plain(path).map_err(|problems| {
                Refused::usage("CONFIG_INVALID", format!("{} cannot be read", path.display()), "mend it")
                    .with_parts(parts(&problems))
            })?;
            return Ok(Side { contents, opened: None });
        }
        let key = match self.key.take() {
            Some(key) => key,
            None => self.args.opens.find(self.global)?,
        };
        let opened = safe::open_text(path, &text, self.key.insert(key))?;
        Ok(Side { contents: opened.plain.clone(), opened: Some(opened) })
    }
}

/// Fingerprints for two plain files: under a key that nobody keeps.
fn any_fingerprints(path: &Path) -> Result<Opened, Refused> {
    let dice = Dice::system();
    let root = RootKey::new(Key::new(dice.bytes()));
    let opener = Opener::Master(&root);
    sealed::seal(&Map::new(), &[opener], Clock::system().now(), &dice)
        .and_then(|text| Sealed::parse(&text)?.open(&opener))
        .map_err(|refusal| safe::refused(path, &refusal))
}
