//! `spotify-mcp config verify`: whether a sealed file is authentic, valid as a configuration, and keeps its secrets.

use std::path::PathBuf;

use serde_json::json;

use super::safe::{self, KeyArgs};
use crate::cli::Global;
use crate::cli::output::{Exit, Refused};
use crate::config::unseal;

/// What `config verify` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Judges the file alone: neither the environment nor the policy of an environment counts ('config show' looks at those).
Exit status: 10 wrong key, 11 tampered, 13 unknown version, 14 key derivation, 15 no valid configuration or a secret in
the clear, 16 no key, 17 others may write the file.

Examples:
  spotify-mcp config verify server.encrypted.json
  spotify-mcp config verify server.encrypted.json --recovery-key-file recovery.key")]
pub struct Args {
    /// The sealed file
    file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
}

/// Opens and judges the file.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let key = args.key.find(global)?;
    let open = safe::open(&args.file, &key)?;
    safe::judge(&args.file, &open.opened.plain, &open.opened.faults())?;
    let (header, digest) = (&open.opened.header, unseal::digest(&open.text));
    let words = format!(
        "{}: authentic and valid; revision {}, sealed at {}, sha256 {digest}\nOpened with the key from {}\n",
        args.file.display(),
        header.rev,
        header.sealed_at,
        key.place,
    );
    let document = json!({
        "file": args.file, "authentic": true, "valid": true, "lineage": header.lineage, "rev": header.rev,
        "sealed_at": header.sealed_at, "digest": digest,
    });
    global.output().result(&words, &document);
    Ok(Exit::Done)
}
