//! How the master key came into the process.

use super::judged;
use crate::check::finding::{Severity, Source, Verdict};
use crate::check::rule::Ground;
use crate::check::runtime::Facts;
use crate::check::runtime::key_source::{KeySource, Said};
use crate::check::runtime::process::Who;

/// SMC8011: not by arguments, not by the environment, not by a file that everybody can read.
pub(super) fn source(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    judged(
        facts,
        "cmdline",
        |linux| Ok(&linux.key),
        |source, key, _| {
            let mut verdicts = vec![arguments(source, key)];
            let itself = matches!(facts.who, Ok(Who::Itself));
            verdicts.extend(facts.who.as_ref().ok().map(|who| origin(who.source("environ"), key, itself)));
            verdicts
        },
    )
}

fn arguments(source: Source, key: &KeySource) -> Verdict {
    match &key.in_arguments {
        Err(unseen) => Verdict::error(source, unseen.why.clone()),
        Ok(places) if places.is_empty() => Verdict::pass(source, "no key in arguments"),
        Ok(places) => Verdict::fail(source, format!("what looks like a master key stands in {}", places.join(" and ")))
            .severe(Severity::Critical)
            .because("every user of the machine reads the arguments of every process, and shells remember them")
            .mended_by("rotate the master key (spotify-mcp rotate-keys --what master), then give the new one by file or credential"),
    }
    .about("arguments")
}

/// Its environment where it can be seen; else what this command's configuration says.
fn origin(environment: Source, key: &KeySource, itself: bool) -> Verdict {
    let by_environment = match (&key.in_environment, &key.said) {
        (Ok(held), _) => *held,
        (Err(_), said) => matches!(said, Said::Variable(_)),
    };
    let of_key = |text: String| Verdict::pass(Source::key("security.master_key"), text);
    let verdict = match &key.said {
        _ if by_environment => Verdict::fail(environment, "the environment holds the key or the passphrase")
            .because("what a process was started with is seen by its supervisor, by what it starts and in crash reports")
            .mended_by("put the key into a file of mode 0600 and name it with SPOTIFY_MCP_MASTER_KEY_FILE, or use LoadCredential="),
        Said::File { path, mode: None } => {
            Verdict::error(Source::file(path), "the file with the key cannot be looked at")
        }
        Said::File { path, mode: Some(mode) } if mode & 0o007 != 0 => {
            Verdict::fail(Source::file(path), format!("others may use the file with the key (mode {mode:04o})"))
                .severe(Severity::Critical)
                .mended_by(format!("chmod 600 {}", path.display()))
        }
        Said::File { path, mode: Some(mode) } => Verdict::pass(Source::file(path), format!("a file of mode {mode:04o}")),
        Said::Credential => of_key("a systemd credential".to_owned()),
        Said::Program => of_key("printed by security.master_key_command".to_owned()),
        Said::Variable(_) | Said::Nothing if !itself && key.in_environment.is_ok() => {
            of_key("not in the server's environment; this command's own configuration names no other source".to_owned())
        }
        Said::Variable(_) | Said::Nothing => Verdict::not_applicable(
            Source::key("security.master_key"),
            "this configuration names no source of a master key: check with the server's own",
        ),
    };
    verdict.about("source")
}
