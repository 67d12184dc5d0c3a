//! The judgements of group SMC7: from what was seen to verdicts, without input or output.

mod advisories;
mod cryptography;
mod origins;
mod program;
mod upkeep;

#[cfg(test)]
mod against_rustsec;
#[cfg(test)]
mod tests;

pub(in crate::check::deps) use advisories::matches;

use crate::check::deps::{Evidence, Facts, Inventory, Package};
use crate::check::finding::{Source, Verdict};
use crate::check::rule::Rule;

/// Every rule of the area.
pub const RULES: &[Rule<Facts>] = &[
    Rule { id: "SMC1011", judge: cryptography::is_listed },
    Rule { id: "SMC7001", judge: program::list_is_exact },
    Rule { id: "SMC7002", judge: advisories::no_known_vulnerability },
    Rule { id: "SMC7003", judge: advisories::database_is_young },
    Rule { id: "SMC7004", judge: upkeep::packages_are_kept_up },
    Rule { id: "SMC7005", judge: origins::licences_are_allowed },
    Rule { id: "SMC7006", judge: origins::packages_are_published },
    Rule { id: "SMC7007", judge: program::program_is_the_released_one },
];

/// Most things that one verdict names, and so few that an observation has room for them.
const NAMED: usize = 500;
const SHOWN: usize = 3;

/// Where a package was seen.
fn seen_at(inventory: &Inventory, package: Option<&Package>) -> Source {
    match &inventory.evidence {
        Evidence::Lockfile(path) => {
            Source::File { path: path.clone(), line: package.and_then(|package| package.line) }
        }
        Evidence::Embedded | Evidence::LockCopy => Source::Program,
    }
}

/// The packages, or the one verdict that says why there are none.
fn packages(facts: &Facts) -> Result<&Inventory, Vec<Verdict>> {
    facts.inventory.as_ref().map_err(|unseen| {
        vec![Verdict::error(Source::Program, format!("the packages cannot be told: {}", unseen.why))]
    })
}

/// The first few of a list, for an observation.
fn some<T: AsRef<str>>(things: &[T]) -> String {
    cut(things, SHOWN)
}

/// A list, for a reason: as good as all of it.
fn all<T: AsRef<str>>(things: &[T]) -> String {
    cut(things, NAMED)
}

fn cut<T: AsRef<str>>(things: &[T], most: usize) -> String {
    let named: Vec<_> = things.iter().take(most).map(AsRef::as_ref).collect();
    match things.len().saturating_sub(most) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
