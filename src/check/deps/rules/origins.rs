//! Licences (SMC7005), and where packages come from (SMC7006).

use super::{all, packages, seen_at, some};
use crate::check::deps::{Evidence, Facts, Origin, Standing};
use crate::check::finding::{Source, Verdict};
use crate::check::rule::Ground;

/// SMC7005: one verdict for each package whose licence is not allowed or not known.
pub(super) fn licences_are_allowed(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    let inventory = match packages(facts) {
        Ok(inventory) => inventory,
        Err(verdicts) => return verdicts,
    };
    let licences = match &facts.licences {
        Ok(licences) => licences,
        Err(unseen) => return vec![Verdict::error(Source::Program, unseen.why.clone())],
    };
    let ours = !matches!(inventory.evidence, Evidence::Lockfile(_));
    let (mut verdicts, mut unknown, mut allowed) = (Vec::new(), Vec::new(), 0);
    for package in &inventory.packages {
        let observed = match licences.standing(package) {
            Standing::Allowed(_) => {
                allowed += 1;
                continue;
            }
            Standing::Unknown => {
                unknown.push(package.label());
                continue;
            }
            Standing::Refused(expression) => {
                format!("{} is under {expression}, which is not allowed", package.label())
            }
            Standing::Unreadable(text) => {
                format!("{} says \"{text}\" of its licence, which is no SPDX expression", package.label())
            }
        };
        verdicts.push(Verdict::fail(seen_at(inventory, Some(package)), observed).about(package.label()));
    }
    if !unknown.is_empty() {
        let source = seen_at(inventory, None);
        let why =
            format!("the licences of {} packages are not known here: {}", unknown.len(), some(&unknown));
        let verdict = if ours {
            Verdict::error(source, why)
        } else {
            // A lock file says nothing of licences, and the table is this program's.
            Verdict::manual(source, why)
        };
        verdicts.push(verdict.about("unknown licences").because(all(&unknown)));
    }
    if verdicts.is_empty() {
        let observed = format!("{allowed} packages, each under a licence of policies/licences.toml");
        verdicts.push(Verdict::pass(seen_at(inventory, None), observed));
    }
    verdicts
}

/// SMC7006: one verdict for each package that is not from the public registry.
pub(super) fn packages_are_published(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    let inventory = match packages(facts) {
        Ok(inventory) => inventory,
        Err(verdicts) => return verdicts,
    };
    let exact = inventory.evidence == Evidence::Embedded;
    let (mut verdicts, mut folders) = (Vec::new(), Vec::new());
    for package in inventory.skipped() {
        if package.origin == Origin::Path && !exact {
            folders.push(package.label());
            continue;
        }
        let observed = format!("{} comes from {}", package.label(), package.origin);
        let source = seen_at(inventory, Some(package));
        let verdict = Verdict::fail(source, observed).about(package.label());
        verdicts.push(verdict.of_kind(package.origin.to_string()));
    }
    if !folders.is_empty() {
        let why = format!(
            "{} packages are of folders, in the workspace or out of it: {}",
            folders.len(),
            some(&folders)
        );
        let verdict = Verdict::manual(seen_at(inventory, None), why).about("packages from folders");
        verdicts.push(verdict.because(format!("A lock file does not tell which: {}", all(&folders))));
    }
    if verdicts.is_empty() {
        let at = seen_at(inventory, None);
        verdicts.push(match inventory.audited().count() {
            0 => Verdict::not_applicable(at, "there is no package but the program itself"),
            1 => Verdict::pass(at, "the one package beside the program itself comes from crates.io"),
            count => {
                Verdict::pass(at, format!("all {count} packages but the program itself come from crates.io"))
            }
        });
    }
    verdicts
}
