//! `spotify-mcp incident`: response procedures, step by step, each step stored with its evidence before the next.
//!
//! Never: a step that cannot be taken twice. Killed at any instant, the same command goes on.

mod abandon;
mod beginning;
mod beyond;
mod course;
mod ending;
mod facts;
mod help;
mod lockdown;
mod locking;
mod playbooks;
mod program;
mod report;
mod review;
mod selected;
mod show;
mod steps;

use std::path::PathBuf;

use clap::Subcommand;

use self::course::Course;
use self::playbooks::Playbook;
use super::administer::{Group, Place, at_database};
use super::output::{Exit, Refused};
use super::{Global, configured};
use crate::config::{MASK, Row};

/// What `incident` takes.
pub type Args = Group<Command>;

/// Help below the commands.
pub(super) const AFTER: &str = "\
Every playbook runs its steps in order, asks first (--yes where there is no terminal), and stores each step with its \
evidence before the next. Killed or failed on its way, the same command goes on where it stopped; meanwhile no other playbook \
begins, but 'lockdown' always works, and an advisory that only waits for another program is in nobody's way; 'abandon' ends \
one as it is. The report is written to <data_dir>/evidence, and to --report; with a master key at hand \
it is signed. Status 3: something is left to do, and the report says what.

Examples:
  spotify-mcp incident list
  spotify-mcp incident lockdown --reason 'strange calls' --yes
  spotify-mcp incident authentication-compromise --user ada --dry-run
  spotify-mcp incident configuration-exposure \\
      --new-master-key-file new-master.key --report report.md
  spotify-mcp incident lift";

/// The playbooks, and what looks at incidents.
#[derive(Debug, Subcommand)]
#[command(after_help = AFTER)]
pub enum Command {
    /// The playbooks, what each does, and the incidents so far
    #[command(after_help = help::LIST)]
    List,
    /// Credentials are in wrong hands: end them, replace the keys of tickets, prove it
    #[command(after_help = help::AUTHENTICATION)]
    AuthenticationCompromise(Compromise),
    /// A dependency has a hole: contain, wait for the mended program, prove that it runs
    #[command(after_help = help::DEPENDENCY)]
    DependencyVulnerability(Vulnerability),
    /// The configuration or a key leaked: replace every key, end everything, prove it
    #[command(after_help = help::CONFIGURATION)]
    ConfigurationExposure(Exposure),
    /// Somebody is in the network or on the machine: lock down, replace every key, prove it
    #[command(after_help = help::NETWORK)]
    NetworkBreach(Exposure),
    /// Every server answers nothing but probes of its health, until 'lift'
    #[command(after_help = help::LOCKDOWN)]
    Lockdown(Common),
    /// Look whether it is safe, and let servers answer again
    #[command(after_help = help::LIFT)]
    Lift(Lift),
    /// End the incident in progress as it is, so that another can begin
    #[command(after_help = help::ABANDON)]
    Abandon(Abandon),
    /// Show an incident's report again; with a master key at hand it is signed where it was not
    #[command(after_help = help::REPORT)]
    Report(Report),
}

/// What every playbook takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Common {
    /// Why, for the report and the trail; never a secret or a name
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Write the report there as well, to a file that is not there yet: Markdown, or JSON where it ends in .json
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
}

/// Whose credentials.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Compromise {
    /// What everybody holds
    #[arg(long, conflicts_with_all = ["user", "client", "issued_before"])]
    all: bool,
    /// What this person holds alone: our id (u_...), a Spotify user id or account id
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// What this OAuth client holds alone
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// What was issued before alone: RFC 3339, or an age such as 2h
    #[arg(long, value_name = "TIME")]
    issued_before: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Which hole.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Vulnerability {
    /// The advisory, for example RUSTSEC-2026-0001; may repeat
    #[arg(long, value_name = "ID", required = true, value_parser = playbooks::advisory)]
    advisory: Vec<String>,
    /// The package that has it: the report says which versions of it this program was built from; may repeat
    #[arg(long, value_name = "NAME")]
    package: Vec<String>,
    /// Lock every server down until the mended program is there
    #[arg(long)]
    lockdown: bool,
    /// End the incident with this program: why the hole does not matter here
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    accept: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// What comes in the place of the master key.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Exposure {
    /// The new master key, as of rotate-keys; made there (mode 0600) when the file is absent
    #[arg(long, value_name = "FILE")]
    new_master_key_file: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// How to lift.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Lift {
    /// Lift although a check fails, and record why
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    despite: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// How to abandon.
#[derive(Clone, Debug, clap::Args)]
pub struct Abandon {
    /// The incident (inc_...), where several wait; without it, the one in progress, or the one that waits
    id: Option<String>,
    /// Why, for the report and the trail; never a secret or a name
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
    /// Write the report there as well, to a file that is not there yet: Markdown, or JSON where it ends in .json
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
}

/// Which incident.
#[derive(Clone, Debug, clap::Args)]
pub struct Report {
    /// The incident (inc_...); without it, the last one
    id: Option<String>,
    /// Write it there as well: Markdown, or JSON where it ends in .json
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Runs a playbook, or shows what there is.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let (command, place) = args.named(global);
    if let Command::AuthenticationCompromise(of) = command {
        names_whose(of)?;
    }
    let secrets = secrets(global, &place)?;
    at_database(&place, async |desk| match command {
        Command::List => show::list(desk).await,
        Command::Report(report) => show::again(desk, report).await,
        Command::Lockdown(common) => lockdown::begin(desk, common).await,
        Command::Lift(lift) => lockdown::lift(desk, lift).await,
        Command::Abandon(of) => abandon::take(desk, of).await,
        Command::AuthenticationCompromise(of) => {
            Course::run(desk, Playbook::Authentication(of.clone()), secrets).await
        }
        Command::DependencyVulnerability(of) => {
            Course::run(desk, Playbook::Dependency(of.clone()), secrets).await
        }
        Command::ConfigurationExposure(of) => {
            Course::run(desk, Playbook::Configuration(of.clone()), secrets).await
        }
        Command::NetworkBreach(of) => Course::run(desk, Playbook::Network(of.clone()), secrets).await,
    })
}

/// Silence is never taken for everybody.
fn names_whose(of: &Compromise) -> Result<(), Refused> {
    if of.all || !of.is_everybody() {
        return Ok(());
    }
    Err(Refused::usage(
        "SELECTOR_MISSING",
        "nothing says whose credentials are to be ended; nothing was changed",
        "name it: --user, --client, --issued-before, or --all for everything that anybody holds",
    ))
}

/// The secrets that the configuration holds, by key, and where each came from.
fn secrets(global: &Global, place: &Place<'_>) -> Result<Vec<(String, String)>, Refused> {
    let loaded = configured::load_any(global, Vec::new(), place.purpose())?;
    let is_secret = |row: &Row| {
        let value = row.value.as_deref().unwrap_or_default();
        // A database's password is left out of what is shown, and a list shows a mask where it has a secret.
        !value.is_empty()
            && (row.secret
                || value.contains(MASK)
                || (row.key == "storage.url" && value.starts_with("postgres")))
    };
    let rows = loaded.rows().into_iter().filter(is_secret);
    Ok(rows.map(|row| (row.key.to_owned(), row.origin)).collect())
}
