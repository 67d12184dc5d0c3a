//! `spotify-mcp config set`: one value of a sealed file, changed under a lock. A secret comes from standard input, a
//! file or the terminal, never from an argument.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Node, json};

use super::contents::{KeyName, at, put};
use super::get::config_file;
use super::safe::{self, FoundKey, KeyArgs, Open};
use crate::ambient::{Clock, Dice};
use crate::cli::output::{Exit, Refused, SealedExit};
use crate::cli::{Global, secret_input};
use crate::config::sealed::is_reference;
use crate::config::sealed_file::{self, Change, Lock};
use crate::config::unseal;

/// What `config set` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The value comes from --value, from --value-file, or else from standard input (asked for without echo on a terminal). A
secret is never taken from --value, but --value '${NAME}' may name the variable that holds it. A secret from a file or
standard input is taken to the letter; '${' within it has no meaning.
The previous file stays as FILE.bak. Exit status: 15 when the file would be no valid configuration, 18 when another
command is changing it, 19 when the value is what it was.

Examples:
  spotify-mcp config set server.port --value 8443 --config server.encrypted.json
  pass show spotify | spotify-mcp config set spotify.client_secret --config server.encrypted.json")]
pub struct Args {
    /// The key, for example spotify.client_secret
    key: String,
    /// The value of a key that is no secret
    #[arg(long, value_name = "VALUE", conflicts_with_all = ["value_file", "unset"])]
    value: Option<String>,
    /// A file with the value
    #[arg(long, value_name = "FILE", conflicts_with = "unset")]
    value_file: Option<PathBuf>,
    /// Take the key out of the file
    #[arg(long)]
    unset: bool,
    #[command(flatten)]
    opens: KeyArgs,
}

/// Changes the value.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let name = KeyName::parse(&args.key)?;
    let path = config_file(global)?;
    // The value before the lock: a person may take a while to type it.
    let value = if args.unset { None } else { Some(value(args, name, global)?) };
    let key = args.opens.find(global)?;
    let lock = Lock::take(&path).map_err(|trouble| safe::troubled(&path, trouble))?;
    let open = safe::open(&path, &key)?;
    let mut changed = open.opened.plain.clone();
    if !put(&mut changed, name.text(), value) {
        let text = format!("{} has no place for {}", path.display(), name.text());
        return Err(Refused::usage(
            "CONFIG_UNKNOWN_KEY",
            text,
            "name an entry that is there, counted from 0",
        ));
    }
    if at(&changed, name.text()) == at(&open.opened.plain, name.text()) {
        let text = format!("{} is already what it should be", name.text());
        let exit = Exit::Sealed(SealedExit::Unchanged);
        return Err(Refused::new(exit, "CONFIG_UNCHANGED", text, "nothing was changed"));
    }
    safe::judge(&path, &changed, &[])?;
    let text = open.opened.reseal(&changed, Clock::system().now(), &Dice::system());
    save(&lock, &path, &open, &text, (&key, &changed))?;
    let rev = open.opened.header.rev.saturating_add(1);
    let verb = if args.unset { "Removed" } else { "Set" };
    let words = format!("{verb} {} in {} (revision {rev})\n", name.text(), path.display());
    let document = json!({ "file": path, "key": name.text(), "rev": rev, "digest": unseal::digest(&text) });
    global.output().result(&words, &document);
    Ok(Exit::Done)
}

fn value(args: &Args, name: KeyName<'_>, global: &Global) -> Result<Node, Refused> {
    if let Some(value) = &args.value {
        let node = name.node(value);
        if name.is_secret() && !is_reference(&node) {
            let text = format!("{} is a secret, and arguments are visible to everybody", name.text());
            let next = "give it on standard input or with --value-file";
            return Err(Refused::usage("SECRET_AS_ARGUMENT", text, next));
        }
        return Ok(node);
    }
    let given = match &args.value_file {
        Some(path) => secret_input::from_file(path)?,
        None => secret_input::given(&format!("Value of {}", name.text()), &global.output())?,
    };
    if given.expose().is_empty() {
        return Err(Refused::usage("SECRET_EMPTY", "no value was given", "give one, or use --unset"));
    }
    if name.is_secret() {
        return Ok(Node::String(given.expose().replace("${", "$${")));
    }
    Ok(name.node(given.expose()))
}

/// Replaces the file by a text that is proven to open with this key and to hold these contents.
pub fn save(
    lock: &Lock,
    path: &Path,
    open: &Open,
    text: &str,
    (key, contents): (&FoundKey, &Map<String, Node>),
) -> Result<(), Refused> {
    let change = Change { before: &open.text, after: text, keep: true };
    let proof = |back: &str| safe::proven(back, key, contents);
    sealed_file::replace(lock, path, change, &proof).map_err(|trouble| safe::troubled(path, trouble))
}
