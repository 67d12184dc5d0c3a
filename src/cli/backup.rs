//! `spotify-mcp backup`: sealed copies of the database and the configuration, made while the server runs, verified and
//! restored. What they hold and promise: docs/backups.md.

mod create;
mod forget;
mod key;
mod list;
mod restore;
mod verify;

use clap::Subcommand;

use super::Global;
use super::administer::Group;
use super::output::{Exit, Refused};
use crate::backup::Damage;
use crate::failure::Failure;

/// What `backup` takes.
pub type Args = Group<Command>;

/// What it can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a sealed copy of the database and the configuration file
    Create(create::Args),
    /// Open all of a backup and check the database in it
    Verify(verify::Args),
    /// List the backups that were made or verified here, and the keys that they need
    List(list::Args),
    /// Replace the database by the one in a backup
    Restore(restore::Args),
    /// Say that a backup exists nowhere any more, so that its keys need not be kept for it
    Forget(forget::Args),
}

/// Runs the command that was named.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let (command, place) = args.named(global);
    match command {
        Command::Create(args) => create::run(args, &place),
        Command::Verify(args) => verify::run(args, &place),
        Command::List(args) => list::run(args, &place),
        Command::Restore(args) => restore::run(args, &place),
        Command::Forget(args) => forget::run(args, &place),
    }
}

/// Why a backup cannot be used. `damaged`: the status where the backup itself is at fault.
fn refused(path: &std::path::Path, damage: &Damage, damaged: Exit) -> Refused {
    let (exit, next) = match damage {
        Damage::Io(failure) if is_missing(failure) => (
            Exit::Incomplete,
            "name the file of a backup: 'spotify-mcp backup list' says where they were seen",
        ),
        Damage::Io(_) => {
            (Exit::Incomplete, "see that the disk has room and that this user may read and write there")
        }
        Damage::Format => (Exit::Usage, "name a file that 'spotify-mcp backup create' made"),
        Damage::Newer(_) => (Exit::Usage, "use the version of spotify-mcp that made it, or a newer one"),
        Damage::WrongKey { .. } => (Exit::Usage, "name the file of that master key with --key-file"),
        Damage::CutOff(..) | Damage::Changed(_) | Damage::Broken(_) => {
            (damaged, "use another copy of it, or another backup: 'spotify-mcp backup list'")
        }
        Damage::DumpMissing(_) => (Exit::Incomplete, "put the dump beside the backup, under its own name"),
    };
    let refused = Refused::new(exit, damage.code(), format!("{}: {damage}", path.display()), next);
    match damage {
        Damage::Io(failure) => refused.caused_by(failure),
        _ => refused,
    }
}

/// Whether there is no such file.
fn is_missing(failure: &Failure) -> bool {
    let error = failure.cause().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}
