//! The command line: one file per command, all listed here; `output.rs` alone prints.
//!
//! A file holds `Args` and `run`. Parsing needs no async runtime: the commands that do start their own.

mod administer;
mod alerts;
mod api_keys;
mod apps;
mod audit;
mod backup;
mod beyond;
mod boundaries;
mod clients;
mod completions;
mod config;
mod configured;
mod control;
mod forms;
pub mod healthcheck;
mod healthcheck_tls;
mod help;
mod hygiene;
mod incident;
mod man;
mod operator;
mod outbox;
pub mod output;
mod paging;
mod revoke_sessions;
mod rotate_keys;
mod secret_input;
mod security_check;
mod serve;
mod serve_refused;
mod serve_reload;
mod serve_reload_source;
mod serve_sandbox;
mod serve_start;
mod serve_stdio;
mod shares;
mod table;
mod usage;
mod users;
mod watch;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::ambient;
use crate::check::report::Form;
use crate::config::Purpose;
use crate::crypto::SecretString;
use crate::failure::Failure;
use crate::mcp::{McpDeps, Server};
use output::{Exit, Format, Output, Refused};

/// Lets a group of people use their own Spotify from any MCP client.
#[derive(Debug, Parser)]
#[command(name = "spotify-mcp", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  spotify-mcp serve --sandbox            try everything with a simulated Spotify
  spotify-mcp config init                write a configuration and a master key
  spotify-mcp config show                every value and where it comes from
  spotify-mcp serve --config server.toml the real thing

Exit status: 0 done; 1 findings; 2 wrong usage or configuration; 3 could not do all that was asked; 10 to 19 what is \
wrong with a sealed configuration ('spotify-mcp config --help').";

/// Flags of every command, before or after its name.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = help::OF_EVERY_COMMAND)]
pub struct Global {
    /// Configuration file, JSON or TOML by extension (or SPOTIFY_MCP_CONFIG)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// File of NAME=VALUE lines; the real environment wins over it
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Ask for the passphrase of the master key: without echo, or on standard input where that is no terminal
    #[arg(long, global = true)]
    pub ask_passphrase: bool,
    /// What was answered.
    #[arg(skip)]
    pub passphrase: Option<SecretString>,
    /// How results and failures are written: text for people, or json (one document) for programs
    #[arg(long = "format", global = true, value_name = "FORMAT", default_value = "text", hide_possible_values = true, value_parser = forms::parser(), action = clap::ArgAction::Append)]
    pub forms: Vec<Form>,
    /// `forms` was said, and is not the default.
    #[arg(skip)]
    pub forms_are_said: bool,
    /// Of this command's words.
    #[arg(skip)]
    pub format: Format,
    /// error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// No colour, even on a terminal
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Only results and failures
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// More about failures
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Global {
    /// Where the command's words go.
    pub fn output(&self) -> Output {
        Output::new(self.format, !self.no_color, self.quiet, self.verbose)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Args),
    /// Ask the running server whether it lives (for containers)
    Healthcheck(healthcheck::Args),
    /// Make, look at and check the configuration
    Config(config::Args),
    /// Make, list and revoke API keys
    ApiKeys(api_keys::Args),
    /// End sessions and tokens now, on every server
    RevokeSessions(revoke_sessions::Args),
    /// List, show, disable, enable, delete and export people
    Users(users::Args),
    /// List OAuth clients and delete them
    Clients(clients::Args),
    /// Add up calls by person, tool or day
    Usage(usage::Args),
    /// Test who is told what happens; list alerts, send them again
    Alerts(alerts::Args),
    /// Check configuration, dependencies, network and confinement, mapped to frameworks
    SecurityCheck(Box<security_check::Args>),
    /// Respond to an incident, step by step, and prove what was done
    Incident(incident::Args),
    /// Put other keys in the place of those in use, while servers run
    RotateKeys(rotate_keys::Args),
    /// Verify, search and prove the audit trail
    Audit(audit::Args),
    /// Make, verify, list and restore sealed backups
    Backup(backup::Args),
    /// Print the completion script of a shell
    Completions(completions::Args),
    /// Print the manual page
    Man(man::Args),
}

impl Cli {
    fn parsed(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut definition = definition();
        let matches = definition.try_get_matches_from_mut(words)?;
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))?;
        cli.global.forms_are_said = matches.value_source("forms") == Some(ValueSource::CommandLine);
        Ok(cli)
    }

    fn run(&mut self, make: MakeServer) -> Result<Exit, Refused> {
        let reports = matches!(self.command, Command::SecurityCheck(_));
        self.global.format = forms::format(&self.global.forms, reports)?;
        if self.global.ask_passphrase {
            if matches!(&self.command, Command::Serve(args) if args.stdio) {
                let text = "--ask-passphrase reads standard input, which is the protocol's with --stdio";
                let next = "set SPOTIFY_MCP__SECURITY__PASSPHRASE_FILE instead";
                return Err(Refused::usage("PASSPHRASE_WITH_STDIO", text, next));
            }
            let passphrase = secret_input::given("Passphrase", &self.global.output())?;
            if passphrase.expose().is_empty() {
                // Else it would count as none, and development would make a master key.
                let next = "type it, or write it to standard input";
                return Err(Refused::usage("SECRET_EMPTY", "no passphrase was given", next));
            }
            self.global.passphrase = Some(passphrase);
        }
        if !matches!(self.command, Command::Serve(_)) {
            ambient::is_operated_by(operator::whoever());
        }
        self.command.run(&self.global, make)
    }
}

impl Command {
    fn run(&self, global: &Global, make: MakeServer) -> Result<Exit, Refused> {
        match self {
            Self::Serve(args) => serve::run(args, global, make),
            Self::Healthcheck(args) => {
                // Where the configuration is broken, its valid part still says where a server would be.
                let loaded = configured::load_any(global, Vec::new(), Purpose::Inspect)?;
                let server = &loaded.as_far_as_valid().server;
                healthcheck::run(args, server.listen(), server.tls.is_some(), &global.output())
            }
            Self::Config(args) => config::run(args, global),
            Self::ApiKeys(args) => api_keys::run(args, global),
            Self::RevokeSessions(args) => revoke_sessions::run(args, global),
            Self::Users(args) => users::run(args, global),
            Self::Clients(args) => clients::run(args, global),
            Self::Usage(args) => usage::run(args, global),
            Self::Alerts(args) => alerts::run(args, global),
            Self::SecurityCheck(args) => security_check::run(args, global),
            Self::Incident(args) => incident::run(args, global),
            Self::RotateKeys(args) => rotate_keys::run(args, global),
            Self::Audit(args) => audit::run(args, global),
            Self::Backup(args) => backup::run(args, global),
            Self::Completions(args) => completions::run(args, &global.output()),
            Self::Man(args) => man::run(args, &global.output()),
        }
    }
}

/// Makes the protocol server of `serve`.
pub type MakeServer = fn(McpDeps) -> Result<Server, Failure>;

/// Parses the command line, runs the command, and gives its exit status.
pub fn main() -> ExitCode {
    main_with(Server::new)
}

/// The same with another protocol server behind `serve`: for tests of all that stands before it.
pub fn main_with(make: MakeServer) -> ExitCode {
    // Before anything secret is read.
    if let Err(failure) = hygiene::close_up() {
        let why = failure.chain();
        Output::new(Format::Text, true, false, 0).warn("PROCESS_OPEN", &why, "use a system that allows it");
    }
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Err(refused) = words::check(words.iter().map(OsString::as_os_str)) {
        unparsed_output().refused(&refused);
        return ExitCode::from(refused.exit().status());
    }
    let exit = match Cli::parsed(std::env::args_os()) {
        Ok(mut cli) => {
            let exit = cli.run(make).unwrap_or_else(|refused| {
                cli.global.output().refused(&refused);
                refused.exit()
            });
            cli.global.output().exit(exit)
        }
        Err(error) => unparsed_output().exit(misused(&error)),
    };
    ExitCode::from(exit.status())
}

/// `--help` and `--version` are results; everything else is a wrong usage, in the form that was asked for.
fn misused(error: &clap::Error) -> Exit {
    let output = unparsed_output();
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            output.raw(&text);
            Exit::Done
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            output.note(text.trim_end());
            Exit::Usage
        }
        _ => {
            let words = text.strip_prefix("error: ").unwrap_or(&text);
            let words = words.split("\n\nFor more information").next().unwrap_or(words).trim_end();
            let words =
                words.split("\n\nUsage:").next().filter(|_| asks_for_a_command(error)).unwrap_or(words);
            let next = format!("try '{} --help'", help::meant(&definition(), std::env::args().skip(1)));
            output.refused(&Refused::usage("USAGE", words, next));
            Exit::Usage
        }
    }
}

/// Whether a group of commands was named alone: which of them there are is what helps.
fn asks_for_a_command(error: &clap::Error) -> bool {
    error.kind() == ErrorKind::MissingSubcommand
}

/// Where words go of which nothing could be made, in the form that was asked for.
fn unparsed_output() -> Output {
    let is_there = |wanted: &str| std::env::args_os().any(|word| word == wanted);
    let wants_json = is_there("json") || is_there("--format=json");
    let format = if wants_json { Format::Json } else { Format::Text };
    Output::new(format, !is_there("--no-color"), false, 0)
}

/// The command's definition, for help, completions and manual pages too.
fn definition() -> clap::Command {
    help::laid_out(Cli::command())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_or_after_the_command() {
        let before = Cli::try_parse_from(["spotify-mcp", "--format", "json", "serve"]).unwrap();
        let after = Cli::try_parse_from(["spotify-mcp", "serve", "--format", "json"]).unwrap();
        assert_eq!(before.global.forms, [Form::Json]);
        assert_eq!(after.global.forms, [Form::Json]);
    }
}
