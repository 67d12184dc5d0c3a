//! Rules about the sealed configuration beside what servers use: SMC2001, 2007.

use super::{Absent, Facts};
use crate::check::config::Seal;
use crate::check::{Ground, Profile, Source, Verdict};

/// SMC2001.
pub fn authentic(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    vec![match &facts.seal {
        Seal::NoFile => Verdict::not_applicable(
            Source::key("--config"),
            "there is no configuration file: the environment says all",
        ),
        Seal::Unseen(path, why) => Verdict::error(Source::file(path), why),
        Seal::Plain(path) if ground.parameters.text("plain") == "fail" => {
            Verdict::fail(Source::file(path), "the file is plain: nothing shows who changed it")
        }
        Seal::Plain(path) => {
            Verdict::not_applicable(Source::file(path), "the file is plain, and nothing seals it")
        }
        Seal::Refused { path, code, why, fix } => {
            let seen = format!("{code}: {why}");
            let is_unknown = matches!(code.as_str(), "CONFIG_WRONG_KEY" | "CONFIG_NO_KEY_SOURCE")
                || code.starts_with("MASTER_KEY_");
            let verdict = if is_unknown {
                Verdict::error(Source::file(path), seen)
            } else {
                Verdict::fail(Source::file(path), seen)
            };
            verdict.mended_by(fix.clone())
        }
        Seal::Open { path, header, .. } => match &facts.used {
            Err(unseen) if !is_not_due(facts, ground.profile) => Verdict::error(
                Source::file(path),
                format!(
                    "authentic, revision {}; whether a server has used a newer one: {unseen}",
                    header.rev
                ),
            ),
            Ok(Some(used)) if used.rev > header.rev => Verdict::fail(
                Source::file(path),
                format!("revision {}; a server has used revision {}", header.rev, used.rev),
            )
            .mended_by(
                "restore the newest revision, or start with --allow-rollback REASON, which is recorded",
            ),
            Ok(Some(_)) => Verdict::pass(
                Source::file(path),
                format!("authentic, revision {}, the newest that is known", header.rev),
            ),
            Ok(None) | Err(_) => Verdict::pass(
                Source::file(path),
                format!("authentic, revision {}; no server's database says which is the newest", header.rev),
            ),
        },
    }]
}

/// A set-up of one's own in which no server has started yet.
fn is_not_due(facts: &Facts, profile: Profile) -> bool {
    profile == Profile::Development && matches!(facts.database, Err(Absent::NotMade(_)))
}

/// SMC2007: sealed files, which servers note in their database.
pub fn running_is_this_one(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    let Seal::Open { path, header, digest } = &facts.seal else {
        let why = "only a sealed configuration has a digest that servers note when they take it over";
        return vec![Verdict::not_applicable(Source::key("--config"), why)];
    };
    let at = Source::file(path);
    let used = match &facts.used {
        Err(unseen) => return vec![Verdict::error(at, format!("what servers use is not known: {unseen}"))],
        Ok(None) => return vec![Verdict::not_applicable(at, "no server has started with this file")],
        Ok(Some(used)) => used,
    };
    let since = used.at.rfc3339();
    vec![if used.digest == *digest {
        Verdict::pass(at, format!("servers use this very text (revision {}), since {since}", used.rev))
    } else {
        let seen =
            format!("revision {} on disk; servers use revision {} since {since}", header.rev, used.rev);
        Verdict::fail(at, seen)
    }]
}
