//! `spotify-mcp config`: the configuration's own commands, one file each.

mod accept_merge;
mod changes;
mod confirm;
pub(super) mod contents;
mod decrypt;
mod diff;
mod edit;
mod editor;
mod encrypt;
mod exec;
mod expiry;
mod get;
mod init;
mod keygen;
mod ledger;
mod rekey;
mod reload;
mod room;
pub(super) mod safe;
pub(super) mod set;
mod show;
mod slot;
mod status;
mod verify;

use clap::Subcommand;

use super::Global;
use super::output::{Exit, Refused};

/// What `config` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status of the commands on sealed files, where it is none of 0 to 3:
  10  wrong key              15  not valid, or a secret in the clear
  11  tampered               16  no key source
  12  older than one used    17  others may write the file or read the output
  13  unknown version        18  locked
  14  key derivation         19  unchanged")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a working configuration and a fresh master key
    Init(init::Args),
    /// Print every effective value and where it comes from, secrets masked
    Show(show::Args),
    /// Make a fresh master key
    Keygen(keygen::Args),
    /// Have the running server check and take over its changed configuration
    Reload(reload::Args),
    /// Seal a copy of a plain configuration file
    Encrypt(encrypt::Args),
    /// Print or write the contents of a sealed file in the clear
    Decrypt(decrypt::Args),
    /// Print one value of the configuration file
    Get(get::Args),
    /// Change one value of a sealed configuration file
    Set(set::Args),
    /// Change a sealed file in an editor; nothing of it touches a disk in the clear
    Edit(edit::Args),
    /// Start a program with some values of a sealed file
    Exec(exec::Args),
    /// Compare two configuration files without showing a secret
    Diff(diff::Args),
    /// Give a sealed file a fresh file key, or another master key
    Rekey(rekey::Args),
    /// Add or remove a key that opens a sealed file
    Slot(slot::Args),
    /// Check that a sealed file is authentic and valid
    Verify(verify::Args),
    /// Print what opens a sealed file, how old its keys are, and its digest
    Status(status::Args),
}

/// Runs the command that was named.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    match &args.command {
        Command::Init(args) => init::run(args, &global.output()),
        Command::Show(args) => show::run(args, global),
        Command::Keygen(args) => keygen::run(args, &global.output()),
        Command::Reload(args) => reload::run(args, global),
        Command::Encrypt(args) => encrypt::run(args, global),
        Command::Decrypt(args) => decrypt::run(args, global),
        Command::Get(args) => get::run(args, global),
        Command::Set(args) => set::run(args, global),
        Command::Edit(args) => edit::run(args, global),
        Command::Exec(args) => exec::run(args, global),
        Command::Diff(args) => diff::run(args, global),
        Command::Rekey(args) => rekey::run(args, global),
        Command::Slot(args) => slot::run(args, global),
        Command::Verify(args) => verify::run(args, global),
        Command::Status(args) => status::run(args, global),
    }
}
