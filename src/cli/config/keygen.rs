//! `spotify-mcp config keygen`: a fresh master key, to a file of its owner's alone or to standard output.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::ambient::Dice;
use crate::cli::output::{Exit, Output, Refused, io_cause};
use crate::config::master_key::{generate, write_new};
use crate::crypto::SecretString;
use crate::failure::Failure;

/// What `config keygen` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  spotify-mcp config keygen -o /etc/spotify-mcp/master.key
  spotify-mcp config keygen |
      systemd-creds encrypt --name=master-key - master-key.cred")]
pub struct Args {
    /// Write the key to this new file with mode 0600 instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Makes the key.
pub fn run(args: &Args, output: &Output) -> Result<Exit, Refused> {
    let key = generate(&Dice::system());
    match &args.output {
        None => output.result(&format!("{}\n", key.expose()), &json!({ "master_key": key.expose() })),
        Some(path) => {
            write_secret(path, &key)?;
            let text = format!(
                "Wrote a fresh master key to {} (mode 0600). Keep a copy apart from the database.\n",
                path.display()
            );
            output.result(&text, &json!({ "file": path }));
        }
    }
    Ok(Exit::Done)
}

/// Writes a secret to a new file, or says why not.
pub(super) fn write_secret(path: &Path, secret: &SecretString) -> Result<(), Refused> {
    write_new(path, secret).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => already_there(path),
        _ => {
            let text = format!("{} cannot be written: {}", path.display(), io_cause(&error));
            Refused::incomplete(
                "FILE_UNWRITABLE",
                text,
                "name a file in a folder that exists and that this user may write",
            )
            .caused_by(&Failure::from(error))
        }
    })
}

/// Refuses to overwrite what may be the only copy.
pub(super) fn already_there(path: &Path) -> Refused {
    let text = format!("{} is there already and stays as it is", path.display());
    Refused::usage("FILE_EXISTS", text, "name another file, or move that one away")
}
