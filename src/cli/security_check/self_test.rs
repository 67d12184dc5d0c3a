//! `security-check self-test`: every check seen passing where nothing is wrong, and failing where one thing is.
//!
//! On files and listeners of its own or made-up facts, by the policies that a run would judge by. Never: looking at what is on this
//! machine already.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::inputs;
use crate::ambient::Dice;
use crate::check::self_test::{self, NOW, Proof, Trial};
use crate::check::{Catalogue, Profile, Selection, Verdict};
use crate::cli::Global;
use crate::cli::administer::runtime;
use crate::cli::output::{Exit, Refused, paragraph};

/// Help below the options.
const AFTER: &str = "\
Each check judges something with nothing against it, then the same with one thing wrong: files that are written to a temporary \
folder and looked at as a server's would be ('on files'), TLS servers on loopback ('on listeners'), or made-up facts, where its rule alone is tried ('on facts'). Exit \
status: 0 every check passed on the first and failed on the second; 1 one could not be shown, and it is named with the reason; \
2 wrong usage.

Examples:
  spotify-mcp security-check self-test
  spotify-mcp security-check self-test --policies our-policies --profile bank
  spotify-mcp security-check self-test --only SMC1001 -v";

/// What `self-test` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// By whose thresholds: development, staging, production or bank
    #[arg(long, value_name = "PROFILE", default_value = "production", value_parser = PossibleValuesParser::new(Profile::ALL.map(Profile::name)), hide_possible_values = true)]
    profile: String,
    /// Files of this folder in the place of built-in policies
    #[arg(long, value_name = "FOLDER")]
    policies: Option<PathBuf>,
    /// Only these checks: ids, areas or tags, separated by commas; may repeat
    #[arg(long, value_name = "ID|TAG", value_delimiter = ',')]
    only: Vec<String>,
}

/// Tries every check, and says what came of it.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let catalogue = inputs::catalogue(args.policies.as_deref())?;
    let selection = Selection { only: args.only.clone(), ..Selection::default() };
    super::ask::known(&selection, &catalogue)?;
    let profile = Profile::named(&args.profile).unwrap_or(Profile::Production);
    let mut trials = runtime()?.block_on(self_test::run_for_real(&catalogue, profile, &Dice::system()));
    trials.retain(|trial| catalogue.check(&trial.id).is_some_and(|check| selection.names(check)));
    let unshown = trials.iter().filter(|trial| trial.unshown.is_some()).count();
    let text = in_words(&trials, profile, global.verbose > 0);
    global.output().result(&text, &in_json(&trials, profile, &catalogue));
    Ok(if unshown == 0 { Exit::Done } else { Exit::Findings })
}

fn in_words(trials: &[Trial], profile: Profile, verbose: bool) -> String {
    let mut text = String::new();
    for trial in trials {
        text += &match (&trial.unshown, trial.failure()) {
            (Some(why), _) => paragraph(&format!("{}  NOT SHOWN  ", trial.id), why),
            (None, Some(failure)) if verbose => at_length(trial, failure),
            (None, Some(_)) => paragraph(
                &format!("{}  on {}  passes, and fails where  ", trial.id, trial.proof.name()),
                &trial.mutation,
            ),
            (None, None) => format!("{}  the profile {} has no such check\n", trial.id, profile.name()),
        };
    }
    let tried = trials.iter().filter(|trial| !trial.is_off).count();
    let shown = trials.iter().filter(|trial| trial.is_shown()).count();
    let rules = if tried == 1 { "rule" } else { "rules" };
    let on =
        |name: &str| trials.iter().filter(|trial| trial.is_shown() && trial.proof.name() == name).count();
    let sum = format!(
        "{shown} of {tried} {rules} seen both passing and failing ({} on files, {} on listeners, {} on facts), by the profile {}",
        on("files"),
        on("listeners"),
        on("facts"),
        profile.name()
    );
    text + "\n" + &paragraph("", &sum)
}

fn at_length(trial: &Trial, failure: &Verdict) -> String {
    let passed = trial.sound.first().map_or("", |verdict| verdict.observed.as_str());
    paragraph(&format!("{}  ", trial.id), &trial.title)
        + &paragraph("         passes on    ", passed)
        + &paragraph("         wrong is     ", &trial.mutation)
        + &paragraph("         fails with   ", &failure.observed)
        + &paragraph(
            "         tried on     ",
            &match &trial.proof {
                Proof::Files => "files, looked at as a server's".to_owned(),
                Proof::Listeners => "listeners on loopback, met as a server".to_owned(),
                Proof::Facts(None) => "made-up facts".to_owned(),
                Proof::Facts(Some(why)) => format!("made-up facts: {why}"),
            },
        )
}

fn in_json(trials: &[Trial], profile: Profile, catalogue: &Catalogue) -> Value {
    let said = |verdicts: &[Verdict]| {
        let one = |verdict: &Verdict| json!({ "state": verdict.state, "subject": verdict.subject, "observed": verdict.observed });
        verdicts.iter().map(one).collect::<Vec<_>>()
    };
    let trial = |trial: &Trial| {
        json!({
            "id": trial.id, "title": trial.title, "area": trial.area.name(), "mutation": trial.mutation,
            "proof": trial.proof.name(),
            "on_facts_because": match &trial.proof { Proof::Facts(why) => why.as_deref(), _ => None },
            "shown": trial.is_shown(), "off": trial.is_off, "unshown_because": trial.unshown,
            "sound": said(&trial.sound), "changed": said(&trial.changed),
        })
    };
    json!({
        "schema": "spotify-mcp/security-check-self-test/v1",
        "profile": profile.name(),
        "judged_as_of": NOW.rfc3339(),
        "shown": trials.iter().filter(|trial| trial.is_shown()).count(),
        "checks": trials.iter().map(trial).collect::<Vec<_>>(),
        "policies": { "origin": catalogue.origin, "sha256": catalogue.digest },
        "program": { "version": env!("CARGO_PKG_VERSION") },
    })
}
