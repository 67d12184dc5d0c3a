//! `spotify-mcp config verify`: whether a sealed file is authentic, valid as a configuration, and keeps its secrets.

use std::path::PathBuf;

use serde_json::json;

use super::expiry::{self, End};
use super::safe::{self, KeyArgs};
use crate::ambient::Clock;
use crate::cli::Global;
use crate::cli::output::{Exit, Refused};
use crate::config::unseal;

/// What `config verify` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Judges the file alone: neither the environment nor the policy of an environment counts ('config show' looks at those).

Exit status: 1 a secret has ended, 10 wrong key, 11 tampered, 12 older than what a server has used (where its database can
be reached), 13 unknown version, 14 key derivation, 15 no valid configuration or a secret in the clear, 16 no key, 17
others may write the file.

Examples:
  spotify-mcp config verify server.encrypted.json
  spotify-mcp config verify server.encrypted.json \\
      --recovery-key-file recovery.key")]
pub struct Args {
    /// The sealed file
    file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
}

/// Opens and judges the file.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    safe::present(&args.file)?;
    let key = args.key.find(global)?;
    let held = args.key.hold_with(&args.file, &key, global)?;
    let open = &held.open;
    safe::judge(&args.file, &open.opened.plain, &open.opened.faults())?;
    let (header, digest) = (&open.opened.header, unseal::digest(&open.text));
    let ends = expiry::ends(header, Clock::system().now());
    let words = format!(
        "{}: authentic and valid; revision {}, sealed at {}, sha256 {digest}\nOpened with the key from {}\nServers: {}\n",
        args.file.display(),
        header.rev,
        header.sealed_at,
        key.place,
        held.ledger.in_words(header, &digest),
    );
    let document = json!({
        "file": args.file, "authentic": true, "valid": true, "lineage": header.lineage, "rev": header.rev,
        "sealed_at": header.sealed_at, "digest": digest, "servers": held.ledger.document(header, &digest),
        "ends": ends.iter().map(End::document).collect::<Vec<_>>(),
    });
    let output = global.output();
    output.result(&words, &document);
    Ok(if expiry::warn(&ends, &output) { Exit::Findings } else { Exit::Done })
}
