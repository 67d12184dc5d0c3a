//! The program itself: whether it says exactly what it is made of (SMC7001), and whether it is the released one
//! (SMC7007).

use super::{all, packages, some};
use crate::check::deps::{Evidence, Facts, Inventory, NoList, Origin, Package};
use crate::check::finding::{Source, Verdict};
use crate::check::rule::Ground;

/// SMC7001: the embedded list is there, is this program's, and agrees with the lock file that it was built from. Its
/// verdict says in every case what the other checks of packages stand on.
pub(super) fn list_is_exact(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    let inventory = match packages(facts) {
        Ok(inventory) => inventory,
        Err(verdicts) => return verdicts,
    };
    let summary = inventory.summary();
    if let Evidence::Lockfile(path) = &inventory.evidence {
        let why = format!("a lock file is judged in place of this program: {summary}");
        return vec![Verdict::not_applicable(Source::file(path), why)];
    }
    let list = match &facts.embedded {
        Ok(list) => list,
        Err(NoList::Absent) => {
            return vec![Verdict::fail(Source::Program, format!("{}; {summary}", NoList::Absent))];
        }
        Err(damaged) => return vec![Verdict::error(Source::Program, format!("{damaged}; {summary}"))],
    };
    let lock_copy = match &facts.lock_copy {
        Ok(lock_copy) => lock_copy,
        Err(unseen) => return vec![Verdict::error(Source::Program, unseen.why.clone())],
    };
    let root = list.iter().find(|package| package.root);
    let ours = |root: &Package| {
        root.name == env!("CARGO_PKG_NAME") && root.version.to_string() == env!("CARGO_PKG_VERSION")
    };
    let strange = foreign(list, lock_copy);
    vec![if !root.is_some_and(ours) {
        Verdict::fail(Source::Program, format!("the embedded list is another program's; {summary}"))
    } else if strange.is_empty() {
        let observed = format!("{summary}; all are in the lock file it was built from");
        Verdict::pass(Source::Program, observed)
    } else {
        let observed = format!("its lock file does not have {} of them: {}", strange.len(), some(&strange));
        Verdict::fail(Source::Program, observed).because(format!("{summary}. Unknown: {}", all(&strange)))
    }]
}

/// What the list has and the lock file does not.
fn foreign(list: &[Package], lock_copy: &[Package]) -> Vec<String> {
    let known = |package: &Package| {
        lock_copy.iter().any(|other| other.name == package.name && other.version == package.version)
    };
    list.iter()
        .filter(|package| package.origin != Origin::Path && !known(package))
        .map(Package::label)
        .collect()
}

/// SMC7007: this program's digest is one of the release's.
pub(super) fn program_is_the_released_one(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    if let (None, Ok(Inventory { evidence: Evidence::Lockfile(path), .. })) =
        (&facts.release, &facts.inventory)
    {
        return vec![Verdict::not_applicable(
            Source::file(path),
            "a lock file is judged in place of this program",
        )];
    }
    let digest = match &facts.program {
        Ok(digest) => digest,
        Err(unseen) => {
            return vec![Verdict::error(
                Source::Program,
                format!("this program cannot be read: {}", unseen.why),
            )];
        }
    };
    let observed = format!("SHA-256 {digest}");
    vec![match &facts.release {
        None => Verdict::manual(
            Source::Program,
            format!("{observed}; no release's list of digests was named (--release-manifest)"),
        ),
        Some(Err(unseen)) => Verdict::error(Source::Program, unseen.why.clone()),
        Some(Ok(released)) => match released.iter().find(|program| program.digest == *digest) {
            Some(program) => {
                Verdict::pass(Source::Program, format!("{observed}, released as {}", program.name))
            }
            None => Verdict::fail(Source::Program, format!("{observed}, which the release does not have")),
        },
    }]
}
