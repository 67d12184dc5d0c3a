//! Whether packages are looked after (SMC7004): unmaintained, unsound, taken back, far behind.

use super::advisories::{database, matches, not_trusted, told};
use super::{all, packages, seen_at, some};
use crate::check::deps::{Facts, Index, Inventory, Kind};
use crate::check::finding::{Severity, Source, State, Verdict, counted};
use crate::check::rule::Ground;

/// SMC7004: what RustSec says beside vulnerabilities, and what the registry's index says where there is a copy.
pub(super) fn packages_are_kept_up(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let inventory = match packages(facts) {
        Ok(inventory) => inventory,
        Err(verdicts) => return verdicts,
    };
    let mut verdicts = match database(facts) {
        Ok(database) => {
            let found = matches(inventory, database, |kind| *kind != Kind::Vulnerability);
            let found: Vec<_> = found.map(|found| told(found, inventory)).collect();
            let doubt = not_trusted(database, ground);
            match found.iter().any(|verdict| verdict.state == State::Fail) || doubt.is_some() {
                true => found.into_iter().chain(doubt).collect(),
                false if inventory.audited().next().is_none() => {
                    let why = "no package is one that advisories speak of: none is from crates.io";
                    vec![Verdict::error(seen_at(inventory, None), why).about("advisories")]
                }
                false => {
                    let observed = format!("none is unmaintained or unsound; {}", inventory.summary());
                    let pass = Verdict::pass(seen_at(inventory, None), observed).about("advisories");
                    found.into_iter().chain([pass]).collect()
                }
            }
        }
        Err(verdicts) => verdicts.into_iter().map(|verdict| verdict.about("advisories")).collect(),
    };
    verdicts.extend(by_index(facts, inventory));
    verdicts
}

/// Versions that were taken back, and newer ones.
fn by_index(facts: &Facts, inventory: &Inventory) -> Vec<Verdict> {
    let source = || seen_at(inventory, None);
    match &facts.index {
        None => {
            let why = "not assessed: what was yanked or is outdated only the registry's index tells, and no copy of \
                       it was named (--registry-index)";
            let verdict = match facts.offline {
                true => Verdict::not_applicable(source(), why),
                false => Verdict::manual(source(), why),
            };
            vec![verdict.about("yanked and outdated")]
        }
        Some(Err(unseen)) => vec![Verdict::error(source(), unseen.why.clone()).about("yanked and outdated")],
        Some(Ok(index)) => {
            let mut verdicts = yanked(index, inventory);
            verdicts.push(outdated(index, inventory));
            verdicts
        }
    }
}

fn yanked(index: &Index, inventory: &Inventory) -> Vec<Verdict> {
    let (mut verdicts, mut unknown) = (Vec::new(), Vec::new());
    for package in inventory.audited() {
        let subject = format!("yanked {}", package.label());
        match index.yanked(&package.name, &package.version) {
            Some(false) => {}
            Some(true) => {
                let observed = format!("{} was yanked from the registry", package.label());
                let fix = format!("cargo update -p {}@{}", package.name, package.version);
                let verdict = Verdict::fail(seen_at(inventory, Some(package)), observed);
                verdicts.push(verdict.about(subject).severe(Severity::Medium).mended_by(fix));
            }
            None => unknown.push(package.label()),
        }
    }
    let at = || Source::file(&index.place);
    if !unknown.is_empty() {
        let why = format!(
            "this copy of the index lacks {}: {}",
            counted(unknown.len(), "package", "packages"),
            some(&unknown)
        );
        verdicts.push(Verdict::error(at(), why).about("yanked").because(all(&unknown)));
    } else if verdicts.is_empty() {
        let count = inventory.audited().count();
        verdicts.push(Verdict::pass(at(), format!("none of {count} versions was yanked")).about("yanked"));
    }
    verdicts
}

fn outdated(index: &Index, inventory: &Inventory) -> Verdict {
    let behind: Vec<_> = inventory
        .audited()
        .filter_map(|package| {
            let newer = index.newer(&package.name, &package.version)?;
            Some(format!("{} ({newer})", package.label()))
        })
        .collect();
    let source = seen_at(inventory, None);
    let verdict = if behind.is_empty() {
        Verdict::pass(source, "no package has a newer version")
    } else {
        let observed = format!(
            "{} have a newer version: {}",
            counted(behind.len(), "package", "packages"),
            some(&behind)
        );
        let fix = "cargo update, or a newer requirement in Cargo.toml; then the tests";
        Verdict::fail(source, observed).severe(Severity::Low).because(all(&behind)).mended_by(fix)
    };
    verdict.about("outdated")
}
