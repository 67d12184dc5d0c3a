//! `spotify-mcp security-check`: looks, judges by `policies/`, and writes reports. Never: changing what it looks at.

mod again;
mod arguments;
mod ask;
mod attest;
mod evidence;
mod explain;
mod inputs;
mod list;
mod outputs;
mod self_test;
mod supply;
mod told;

use clap::Subcommand;

use self::ask::Ask;
use super::Global;
use super::output::{Exit, Refused};
use crate::check::Area;

/// Help below the commands.
const AFTER: &str = "\
Exit status: 0 nothing at or above --fail-on; 1 findings; 2 wrong usage; 3 not all that was asked could be assessed; 4 nothing \
worse than expired waivers or stale inputs. 1 outranks 3, and 3 outranks 4.

Examples:
  spotify-mcp security-check config --config server.toml
  spotify-mcp security-check compliance --offline --format json
  spotify-mcp security-check compliance --waivers waivers.toml \\
      --output report.sarif --output report.md
  spotify-mcp security-check --list
  spotify-mcp security-check --explain SMC1001
  spotify-mcp security-check self-test";

/// What `security-check` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER, subcommand_negates_reqs = true)]
pub struct Args {
    /// List every check, profile, framework and task
    #[arg(long, conflicts_with = "explain")]
    list: bool,
    /// Explain one check: what it looks at, why, how to mend it, how to see that it is mended
    #[arg(long, value_name = "ID")]
    explain: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The areas.
#[derive(Debug, Subcommand)]
enum Command {
    /// Every check, mapped to frameworks, with a posture score
    Compliance(Ask),
    /// The configuration, the files it names, keys, database and audit trail
    Config(Ask),
    /// What this program was built from: advisories, licences, sources
    Deps(Ask),
    /// TLS, the egress gate, a live server's answers
    Network(Ask),
    /// What the process can see of its own confinement
    Runtime(Ask),
    /// Record that a task which no program can see was done
    Attest(attest::Args),
    /// Show every check both passing and failing, on files and listeners of its own or made-up facts
    SelfTest(self_test::Args),
}

/// Looks, or says what there is to look at.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let output = global.output();
    let (area, asked) = match &args.command {
        Some(Command::Compliance(ask)) => (None, ask),
        Some(Command::Config(ask)) => (Some(Area::Config), ask),
        Some(Command::Deps(ask)) => (Some(Area::Deps), ask),
        Some(Command::Network(ask)) => (Some(Area::Network), ask),
        Some(Command::Runtime(ask)) => (Some(Area::Runtime), ask),
        Some(Command::Attest(args)) => return attest::run(args, global),
        Some(Command::SelfTest(args)) => return self_test::run(args, global),
        None if args.list => return list::run(&inputs::catalogue(None)?, &output),
        None => match &args.explain {
            Some(id) => return explain::run(&inputs::catalogue(None)?, id, &output),
            None => return Err(nothing_asked()),
        },
    };
    if args.list || args.explain.is_some() {
        let text = "--list and --explain stand alone, without an area";
        return Err(Refused::usage("USAGE", text, "try 'spotify-mcp security-check --list'"));
    }
    ask::run(area, asked, global)
}

fn nothing_asked() -> Refused {
    Refused::usage(
        "USAGE",
        "nothing was asked: name compliance, config, deps, network or runtime, or --list or --explain",
        "try 'spotify-mcp security-check --help'",
    )
}
