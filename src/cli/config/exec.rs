//! `spotify-mcp config exec`: starts a program with some values of a sealed file, each in memory behind a file
//! descriptor, and nothing else. The program takes this process's place, so its end is this command's.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::{MemfdFlags, SealFlags, SeekFrom, fcntl_add_seals, memfd_create, seek};
use serde_json::Value as Node;
use zeroize::Zeroizing;

use super::contents::{KeyName, at};
use super::ledger::Deed;
use super::safe::{Held, KeyArgs};
use crate::cli::Global;
use crate::cli::output::{Exit, Refused, io_cause};
use crate::config::file::expand;
use crate::config::{keys, unseal};
use crate::domain::event::EventCode;

/// What `config exec` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
For each key, say spotify.client_secret, the program finds in its environment
  SPOTIFY_MCP__SPOTIFY__CLIENT_SECRET_FD    a number: of an open file
  SPOTIFY_MCP__SPOTIFY__CLIENT_SECRET_FILE  a path: the same
or with --env the value itself, where other programs of this user may see it. A list or table is passed as JSON; ${NAME} is
replaced. Of this command's own environment only PATH and what --pass names is there. The exit status is the program's.

Examples:
  spotify-mcp config exec server.encrypted.json \\
      --only spotify.client_id,spotify.client_secret -- ./side-car
  spotify-mcp config exec server.encrypted.json --only storage.url --env \\
      --pass HOME -- sh -c 'psql \"$SPOTIFY_MCP__STORAGE__URL\"'")]
pub struct Args {
    /// The sealed file
    file: PathBuf,
    /// The keys whose values the program gets, and no others
    #[arg(long, value_name = "KEY", value_delimiter = ',', required = true)]
    only: Vec<String>,
    /// Give the values in the environment, not by file descriptor
    #[arg(long)]
    env: bool,
    /// Keep these variables of the environment
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pass: Vec<String>,
    #[command(flatten)]
    opens: KeyArgs,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Becomes the program.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    // From here on nobody of this user may look into this process; a program that takes its place may be looked into
    // again.
    let _as_far_as_it_goes =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let held = args.opens.hold(&args.file, global)?;
    let given = args.only.iter().map(|key| given(&held, key)).collect::<Result<Vec<_>, _>>()?;
    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]).env_clear();
    for name in args.pass.iter().map(String::as_str).chain(["PATH"]) {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    record(args, &held);
    // The database is closed before the program begins, and its descriptors are free for the values: shells know those
    // of one digit only.
    drop(held);
    let mut kept = Vec::new();
    for given in &given {
        if args.env {
            command.env(&given.name, given.value.as_str());
            continue;
        }
        let fd = in_memory(given.value.as_bytes()).map_err(|error| no_memory(&error))?;
        command.env(format!("{}_FD", given.name), fd.as_raw_fd().to_string());
        command.env(format!("{}_FILE", given.name), format!("/dev/fd/{}", fd.as_raw_fd()));
        kept.push(fd);
    }
    let error = command.exec();
    drop(kept);
    Err(Refused::incomplete(
        "EXEC_FAILED",
        format!("the program cannot be started: {}", io_cause(&error)),
        "name a program that is there and may be run, after --",
    ))
}

/// A value, under the name of its variable.
struct Given {
    name: String,
    value: Zeroizing<String>,
}

fn given(held: &Held, key: &str) -> Result<Given, Refused> {
    let key = KeyName::parse(key)?;
    let Some(node) = at(&held.open.opened.plain, key.text()) else {
        let next = "'spotify-mcp config diff --textconv FILE' lists the keys that it says";
        return Err(Refused::usage(
            "CONFIG_KEY_UNSET",
            format!("the file does not say {}", key.text()),
            next,
        ));
    };
    let value = Zeroizing::new(match node {
        Node::String(text) => text.clone(),
        other => other.to_string(),
    });
    let mut missing = None;
    let lookup = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let value = Zeroizing::new(expand(&value, &lookup, &mut |name| missing = Some(name.to_owned())));
    if missing.is_some() {
        let text = format!("{} uses a variable that is not set here", key.text());
        return Err(Refused::usage("CONFIG_VARIABLE_UNSET", text, "set it, or write $${ for a literal ${"));
    }
    if value.contains('\0') {
        let text = format!("{} holds a zero byte", key.text());
        return Err(Refused::usage("CONFIG_VALUE", text, "set another value"));
    }
    let name = keys::find(key.text()).map_or_else(
        || format!("SPOTIFY_MCP__{}", key.text().replace('.', "__").to_uppercase()),
        keys::KeySpec::generic_env,
    );
    Ok(Given { name, value })
}

/// A descriptor that the program inherits, of memory that nobody can change any more.
fn in_memory(value: &[u8]) -> std::io::Result<OwnedFd> {
    let flags = MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag that keeps the memory from being run.
    let fd = memfd_create("spotify-mcp-value", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| memfd_create("spotify-mcp-value", flags))?;
    let mut file = std::fs::File::from(fd);
    file.write_all(value)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    seek(&file, SeekFrom::Start(0))?;
    Ok(file.into())
}

fn record(args: &Args, held: &Held) {
    let header = &held.open.opened.header;
    let about = args.only.join(" ");
    let digest = unseal::digest(&held.open.text);
    let (code, verb) =
        (EventCode::ConfigPassedOn, if args.env { "config exec --env" } else { "config exec" });
    held.ledger.record(header, &Deed { code, verb, rev: header.rev, digest: &digest, about: &about });
}

fn no_memory(error: &std::io::Error) -> Refused {
    let text = format!("a value cannot be put behind a file descriptor: {}", io_cause(error));
    Refused::incomplete("EXEC_FAILED", text, "raise the limit on open files, or use --env")
}
