//! A run: what the command line asks, gathered, judged, written.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use url::Url;

use super::again::again;
use super::supply::Supply;
use super::{arguments, evidence, inputs, outputs, told};
use crate::ambient::{Clock, Dice};
use crate::check::outcome::{Outcome, weigh};
use crate::check::report::{Form, Look, Report};
use crate::check::waiver::{self, Bounds};
use crate::check::{Area, Catalogue, Profile, Ran, Request, Selection, Severity, coverage};
use crate::cli::administer::runtime;
use crate::cli::output::{self, Exit, Output, Refused};
use crate::cli::watch::{Told, Watch};
use crate::cli::{Global, configured, rotate_keys, table};
use crate::config::{Flag, Loaded, Problem, Purpose};
use crate::domain::event::clean;

/// What every area takes.
#[derive(Debug, clap::Args)]
pub struct Ask {
    /// Judge as in this environment: development, staging or production
    #[arg(long, value_name = "ENVIRONMENT", value_parser = PossibleValuesParser::new(["development", "staging", "production"]), hide_possible_values = true)]
    pub(super) environment: Option<String>,
    /// Whose thresholds hold: development, staging, production or bank [default: the environment's]
    #[arg(long, value_name = "PROFILE", value_parser = PossibleValuesParser::new(Profile::ALL.map(Profile::name)), hide_possible_values = true)]
    pub(super) profile: Option<String>,
    /// Write a report there; may repeat; - is standard output. Its format is --format (text, json, sarif, oscal, poam, junit or markdown), or follows its extension
    #[arg(short, long, value_name = "FILE")]
    output: Vec<PathBuf>,
    /// From which severity on a failure is a finding (status 1): low, medium, high or critical
    #[arg(long, value_name = "SEVERITY", default_value = "high", value_parser = PossibleValuesParser::new(Severity::ALL.map(Severity::name)), hide_possible_values = true)]
    fail_on: String,
    /// Findings that somebody accepts until a day, TOML or JSON
    #[arg(long, value_name = "FILE")]
    waivers: Option<PathBuf>,
    /// A former JSON report: only what is new or worse than it is a finding
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Only these checks: ids or tags, separated by commas; may repeat
    #[arg(long, value_name = "ID|TAG", value_delimiter = ',')]
    only: Vec<String>,
    /// Not these checks
    #[arg(long, value_name = "ID|TAG", value_delimiter = ',')]
    skip: Vec<String>,
    /// Files of this folder in the place of built-in policies
    #[arg(long, value_name = "FOLDER")]
    pub(super) policies: Option<PathBuf>,
    /// Write every form of the report there, with a manifest signed by the server's evidence key
    #[arg(long, value_name = "FOLDER")]
    evidence_dir: Option<PathBuf>,
    /// Send nothing and fetch nothing: checks that need the network are not asked
    #[arg(long)]
    pub(super) offline: bool,
    /// Start this program apart, on loopback with pretended accounts, and try what must not work there
    #[arg(long)]
    pub(super) probe: bool,
    /// A running server to ask, by its public URL
    #[arg(long, value_name = "URL", conflicts_with = "offline")]
    pub(super) live: Option<String>,
    /// A TLS server to look at instead of the configured ones; may repeat
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "offline")]
    pub(super) address: Vec<String>,
    /// A PEM file of certificate authorities to trust beside the public ones
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// The process to judge, instead of the server that runs on the data directory
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) pid: Option<u32>,
    /// A folder where proc and sys of the judged system stand, instead of /
    #[arg(long, value_name = "FOLDER")]
    pub(super) system_root: Option<PathBuf>,
    #[command(flatten)]
    pub(super) supply: Supply,
}

/// Gathers, judges, writes.
pub(super) fn run(area: Option<Area>, ask: &Ask, global: &Global) -> Result<Exit, Refused> {
    let said: &[Form] = if global.forms_are_said { &global.forms } else { &[] };
    let plan = outputs::plan(said, &ask.output)?;
    outputs::free(&plan)?;
    let live = arguments::live(area, ask)?;
    arguments::dotenv(global.env_file.as_deref())?;
    let catalogue = inputs::catalogue(ask.policies.as_deref())?;
    let selection = selection(area, ask, &catalogue)?;
    something(&selection, &catalogue)?;
    let waivers = inputs::waivers(ask.waivers.as_ref(), &catalogue)?;
    let baseline = inputs::baseline(ask.baseline.as_ref())?;
    let request = request((ask, live), &catalogue, global)?;
    let known = (&waivers, ask.waivers.clone());
    let run = crate::check::run(&request, &catalogue, &selection, known);
    // A server apart and its folder go even where a signal ends this; all else leaves nothing.
    let ran = if ask.probe { Watch::start()?.during(true, run) } else { Ok(runtime()?.block_on(run)) };
    let Ran { mut findings, left_out, packages } = ran.map_err(|told| ended_by(&told))?;
    for finding in &mut findings {
        finding.verify = again(&finding.verify, ask, global);
    }
    let covered = area.is_none().then(|| coverage::coverage(&catalogue, request.profile, &findings));
    let report = Report {
        asked: area.map_or("compliance", Area::name),
        environment: request.environment(),
        profile: request.profile,
        at: request.now,
        fail_on: fail_on(ask),
        file: request.loaded.file().map(|path| clean(&path.to_string_lossy())),
        folder: std::env::current_dir().ok().map(|folder| folder.to_string_lossy().into_owned()),
        executable: std::env::current_exe().ok().map(|path| clean(&path.to_string_lossy())),
        program: rotate_keys::binary().ok(),
        score: catalogue.scale.score(&findings),
        coverage: covered,
        drift: baseline.as_ref().map(|baseline| baseline.drift(&findings)),
        judged: weigh(
            findings,
            (&waivers, bounds(&catalogue, request.profile)),
            baseline.as_ref(),
            (fail_on(ask), request.now),
        ),
        catalogue: &catalogue,
        left_out,
    };
    told::tell(&report.judged, &request, &global.output());
    let exit = write(&report, &plan, global, &request.dice)?;
    let bill = ask.supply.bill(&request, (packages, ask.evidence_dir.is_some()), &report.judged);
    let bill = bill.and_then(|bill| ask.supply.write(bill, &request.dice, &global.output()));
    let (bill, exit) = match bill {
        Ok(bill) => (bill, exit),
        Err(refused) => {
            global.output().refused(&refused);
            (None, worse(exit))
        }
    };
    match &ask.evidence_dir {
        Some(folder) => evidence::write((&report, bill.as_deref()), folder, global)
            .map(|written| if written { exit } else { worse(exit) }),
        None => Ok(exit),
    }
}

fn ended_by(told: &Told) -> Refused {
    let text = format!("ended by {} before everything was looked at; no report was written", told.0);
    Refused::incomplete("CHECK_ENDED", text, "run it again")
}

/// Not all that was asked was done; findings are worse.
fn worse(exit: Exit) -> Exit {
    if exit == Exit::Findings { exit } else { Exit::Incomplete }
}

/// Every report that can be written is; one that cannot makes the run incomplete, unless there are findings.
fn write(report: &Report<'_>, plan: &outputs::Plan, global: &Global, dice: &Dice) -> Result<Exit, Refused> {
    let output = global.output();
    let look = Look { verbose: global.verbose > 0, ..Look::default() };
    let mut unwritten = None;
    for (form, path) in &plan.files {
        match outputs::write(path, &report.write(*form, look), dice) {
            Ok(()) => output.note(&format!("{} report: {}", form.name(), path.display())),
            Err(refused) => {
                output.refused(&refused);
                unwritten = Some(());
            }
        }
    }
    match plan.shown {
        Some(form) => output.raw(&report.write(form, shown(look, global))),
        None => output.note(&report.conclusion()),
    }
    warn(report, &output);
    let exit = match report.outcome() {
        Outcome::Findings => Exit::Findings,
        Outcome::Incomplete => Exit::Incomplete,
        Outcome::Clean | Outcome::Stale if unwritten.is_some() => Exit::Incomplete,
        Outcome::Stale => Exit::Stale,
        Outcome::Clean => Exit::Done,
    };
    Ok(exit)
}

/// What an exit status does not tell: a waiver that nothing needs any more.
fn warn(report: &Report<'_>, output: &Output) {
    let of_waivers = report.judged.iter().filter(|one| one.finding.id == waiver::ID);
    let unused = of_waivers.filter(|one| {
        one.finding.state == crate::check::State::Fail && one.finding.severity == Severity::Low
    });
    for one in unused {
        output.warn("WAIVER_UNUSED", &one.finding.observed, &one.finding.fix);
    }
}

/// As wide as the terminal, and in colour where nobody said otherwise.
fn shown(look: Look, global: &Global) -> Look {
    let colour = !global.no_color && output::takes_colour(&std::io::stdout());
    Look { colour, ..look }.on(table::room())
}

fn bounds(catalogue: &Catalogue, profile: Profile) -> Bounds {
    let check = catalogue.check(waiver::ID);
    check.map_or(Bounds::NONE, |check| Bounds::of(&catalogue.parameters(check, profile)))
}

fn selection(area: Option<Area>, ask: &Ask, catalogue: &Catalogue) -> Result<Selection, Refused> {
    let selection = Selection {
        area,
        only: ask.only.clone(),
        skip: ask.skip.clone(),
        offline: ask.offline,
        probe: ask.probe,
    };
    known(&selection, catalogue).map(|()| selection)
}

/// A word of `--only` that calls no check of the area, or a selection that leaves nothing, would end well for ever.
fn something(selection: &Selection, catalogue: &Catalogue) -> Result<(), Refused> {
    if let Some((word, area)) = selection.elsewhere(catalogue) {
        return Err(Refused::usage(
            "CHECK_ELSEWHERE",
            format!("{} is no check of this area, but of {}", clean(word), area.name()),
            format!("ask 'spotify-mcp security-check {}' for it, or 'compliance'", area.name()),
        ));
    }
    match selection.emptied_by(catalogue) {
        None => Ok(()),
        Some(why) => Err(Refused::usage(
            "NOTHING_ASKED",
            why,
            "'spotify-mcp security-check --list' shows each check with its area and tags, and what it needs",
        )),
    }
}

/// Every word of a selection calls a check.
pub(super) fn known(selection: &Selection, catalogue: &Catalogue) -> Result<(), Refused> {
    match selection.unknown(catalogue) {
        None => Ok(()),
        Some(word) => Err(Refused::usage(
            "CHECK_UNKNOWN",
            format!("no check has the id or tag {}", clean(word)),
            "'spotify-mcp security-check --list' shows them",
        )),
    }
}

fn request(
    (ask, live): (&Ask, Option<Url>),
    catalogue: &Catalogue,
    global: &Global,
) -> Result<Request, Refused> {
    let clock = Clock::system();
    let loaded = load(ask, global)?;
    let named = ask.profile.as_deref().and_then(Profile::named);
    Ok(Request {
        profile: named.unwrap_or_else(|| profile_of(&loaded, ask)),
        loaded,
        offline: ask.offline,
        probe: ask.probe,
        live,
        advisory_db: ask.supply.advisory_db.clone(),
        fetch_advisories: ask.supply.fetch_advisories.clone(),
        lockfile: ask.supply.lockfile.clone(),
        registry_index: ask.supply.registry_index.clone(),
        release_manifest: ask.supply.release_manifest.clone(),
        licences: catalogue.licences.clone(),
        addresses: ask.address.clone(),
        ca: ask.ca.clone(),
        pid: ask.pid,
        system_root: ask.system_root.clone(),
        now: clock.now(),
        clock,
        dice: Dice::system(),
    })
}

/// The environment's; where a file does not say it because it cannot be read, or has to say it and does not, not the mildest.
fn profile_of(loaded: &Loaded, ask: &Ask) -> Profile {
    let is_unnamed = |problem: &Problem| problem.code == "ENVIRONMENT_UNNAMED_OFF_LOOPBACK";
    let is_unknown = loaded.unread().is_some() || loaded.problems().iter().any(is_unnamed);
    if is_unknown && ask.environment.is_none() {
        return Profile::Production;
    }
    Profile::of(loaded.as_far_as_valid().security.environment)
}

/// As `serve` would, right or wrong: what it would refuse is found here.
fn load(ask: &Ask, global: &Global) -> Result<Loaded, Refused> {
    let environment = ask.environment.clone();
    let flag = environment.map(|value| Flag { key: "security.environment", name: "--environment", value });
    let purpose = Purpose::Serve { sandbox: false, log_level_ends: false };
    configured::load_any(global, flag.into_iter().collect(), purpose)
}

fn fail_on(ask: &Ask) -> Severity {
    Severity::named(&ask.fail_on).unwrap_or(Severity::High)
}
