//! `spotify-mcp config set`: one value of a sealed file, changed under a lock. A secret comes from standard input, a
//! file or the terminal, never from an argument.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Node, json};

use super::contents::{KeyName, at, pointer, put};
use super::expiry;
use super::get::config_file;
use super::ledger::Deed;
use super::safe::{self, FoundKey, KeyArgs, Open};
use crate::ambient::{Clock, Dice, Timestamp};
use crate::cli::output::{Exit, Refused, SealedExit};
use crate::cli::{Global, secret_input};
use crate::config::sealed::{Expiries, is_reference};
use crate::config::sealed_file::{self, Change, Lock};
use crate::config::unseal;
use crate::domain::event::EventCode;

/// What `config set` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The value comes from --value, from --value-file, or else from standard input (asked for without echo on a terminal). A
secret is never taken from --value, but --value '${NAME}' may name the variable that holds it. A secret from a file or
standard input is taken to the letter; '${' within it has no meaning.

--expires says when a secret ends: 'config status' and 'config verify' warn before, and fail after. Setting another value
forgets the end of the one before. The previous file stays as FILE.bak.

Exit status: 12 when the file is older than what a server has used, 15 when the file would be no valid configuration,
18 when another command is changing it, 19 when the value is what it was.

Examples:
  spotify-mcp config set server.port --value 8443 --config server.encrypted.json
  pass show spotify |
      spotify-mcp config set spotify.client_secret \\
          --config server.encrypted.json
  spotify-mcp config set spotify.client_secret --expires 180d --keep-value \\
      --config server.encrypted.json")]
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
    /// When the secret ends: 2027-01-31, an RFC 3339 instant, 90d, 12h, 8w, or never
    #[arg(long, value_name = "WHEN", conflicts_with = "unset")]
    expires: Option<String>,
    /// Leave the value as it is: for --expires
    #[arg(long, requires = "expires", conflicts_with_all = ["value", "value_file", "unset"])]
    keep_value: bool,
    #[command(flatten)]
    opens: KeyArgs,
}

/// Changes the value.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let name = KeyName::parse(&args.key)?;
    let path = config_file(global)?;
    safe::present(&path)?;
    let end = end(args, name)?;
    // The value before the lock: a person may take a while to type it.
    let value = if args.unset || args.keep_value { None } else { Some(value(args, name, global)?) };
    let key = args.opens.find(global)?;
    let lock = Lock::take(&path).map_err(|trouble| safe::troubled(&path, trouble))?;
    let mut held = args.opens.hold_with(&path, &key, global)?;
    let mut changed = held.open.opened.plain.clone();
    if !args.keep_value && !put(&mut changed, name.text(), value) {
        let text = format!("{} has no place for {}", path.display(), name.text());
        return Err(Refused::usage(
            "CONFIG_UNKNOWN_KEY",
            text,
            "name an entry that is there, counted from 0",
        ));
    }
    let expires = expires(&held.open, &changed, name, end)?;
    let opened = &held.open.opened;
    if at(&changed, name.text()) == at(&opened.plain, name.text()) && expires == opened.header.expires {
        let text = format!("{} is already what it should be", name.text());
        let exit = Exit::Sealed(SealedExit::Unchanged);
        return Err(Refused::new(exit, "CONFIG_UNCHANGED", text, "nothing was changed"));
    }
    safe::judge(&path, &changed, &[])?;
    held.overtake();
    let (open, ledger) = (&held.open, &held.ledger);
    let text = open.opened.reseal_until(&changed, expires, Clock::system().now(), &Dice::system());
    save(&lock, &path, open, &text, (&key, &changed))?;
    let (rev, digest) = (open.opened.header.rev.saturating_add(1), unseal::digest(&text));
    let (code, verb, about) = (EventCode::ConfigChanged, "config set", name.text());
    ledger.record(&open.opened.header, &Deed { code, verb, rev, digest: &digest, about });
    let verb = if args.unset { "Removed" } else { "Set" };
    let words = format!("{verb} {about} in {} (revision {rev})\n", path.display());
    let document = json!({ "file": path, "key": about, "rev": rev, "digest": digest });
    global.output().result(&words, &document);
    Ok(Exit::Done)
}

/// When the secret is to end; the outer `None`: nothing was said.
fn end(args: &Args, name: KeyName<'_>) -> Result<Option<Option<Timestamp>>, Refused> {
    let Some(text) = &args.expires else { return Ok(None) };
    if !name.is_secret() {
        let text = format!("{} is no secret, and only secrets end", name.text());
        return Err(Refused::usage("USAGE", text, "leave --expires out"));
    }
    expiry::parse(text, Clock::system().now()).map(Some)
}

fn expires(
    open: &Open,
    changed: &Map<String, Node>,
    name: KeyName<'_>,
    end: Option<Option<Timestamp>>,
) -> Result<Expiries, Refused> {
    let mut expires = open.opened.lasting(changed);
    let Some(end) = end else { return Ok(expires) };
    if at(changed, name.text()).is_none() {
        let text = format!("the file does not say {}", name.text());
        return Err(Refused::new(Exit::Findings, "CONFIG_KEY_UNSET", text, "give it a value"));
    }
    match end {
        Some(at) => expires.insert(pointer(name.text()), at.rfc3339()),
        None => expires.remove(&pointer(name.text())),
    };
    Ok(expires)
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
