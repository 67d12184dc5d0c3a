//! `spotify-mcp config decrypt`: the contents of a sealed file in the clear, to standard output or a file of its
//! owner's alone.

use std::path::PathBuf;

use serde_json::{Value as Node, json};

use super::ledger::Deed;
use super::safe::KeyArgs;
use crate::cli::output::{Exit, Refused};
use crate::cli::{Global, secret_input};
use crate::config::unseal;
use crate::crypto::SecretString;
use crate::domain::event::EventCode;

/// What `config decrypt` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
To change one value use 'config set', to compare use 'config diff': neither writes a secret in the clear.

Examples:
  spotify-mcp config decrypt server.encrypted.json -o server.json
  spotify-mcp config decrypt server.encrypted.json \\
      --recovery-key-file recovery.key")]
pub struct Args {
    /// The sealed file
    file: PathBuf,
    /// Write to this new file with mode 0600 instead of standard output
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
}

/// Opens the file and gives its contents.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let output = global.output();
    if args.output.is_none() {
        secret_input::check_standard_output()?;
    }
    let held = args.key.hold(&args.file, global)?;
    let opened = &held.open.opened;
    let text = zeroize::Zeroizing::new(format!("{:#}", Node::Object(opened.plain.clone())));
    // On record before anything is out.
    let deed = Deed {
        code: EventCode::ConfigDecrypted,
        verb: "config decrypt",
        rev: opened.header.rev,
        digest: &unseal::digest(&held.open.text),
        about: "every key",
    };
    held.ledger.record(&opened.header, &deed);
    match &args.output {
        None => output.raw(&format!("{}\n", *text)),
        Some(path) => {
            super::keygen::write_secret(path, &SecretString::new(text.as_str()))?;
            let words = format!("Wrote {} (mode 0600)\n", path.display());
            output.result(&words, &json!({ "file": path, "rev": opened.header.rev }));
        }
    }
    output.warn(
        "CONFIG_IN_THE_CLEAR",
        "every secret of the configuration stands there in the clear",
        "remove it as soon as it has served, and never commit it",
    );
    Ok(Exit::Done)
}
