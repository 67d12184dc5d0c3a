//! Whether the bill of materials speaks of the cryptography that is linked in (SMC1011).

use super::packages;
use crate::check::deps::{Evidence, Facts};
use crate::check::finding::{Source, Verdict};
use crate::check::rule::Ground;

/// SMC1011: each cryptographic package has its asset, and none is of an algorithm that has none.
pub(super) fn is_listed(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let inventory = match packages(facts) {
        Ok(inventory) => inventory,
        Err(verdicts) => return verdicts,
    };
    if matches!(inventory.evidence, Evidence::Lockfile(_)) {
        let why = "a lock file is about another program, whose cryptography nobody here has listed";
        return vec![Verdict::not_applicable(Source::Program, why)];
    }
    let is_there = |name: &str| inventory.packages.iter().any(|package| package.name == name);
    let known = ground.parameters.list("assets").iter().filter_map(|pair| pair.split_once(": "));
    let linked: Vec<(&str, &str)> = known.filter(|(package, _)| is_there(package)).collect();
    let unlisted = linked.iter().filter(|(_, asset)| !facts.cryptography.contains(asset));
    let mut missing: Vec<String> = unlisted.map(|(package, asset)| format!("{package} ({asset})")).collect();
    // A lock file also names what is not linked in.
    if inventory.evidence == Evidence::Embedded {
        let strangers = ground.parameters.list("strangers").iter().filter(|name| is_there(name));
        missing.extend(strangers.cloned());
    }
    vec![match (missing.as_slice(), linked.len()) {
        ([], 0) => {
            Verdict::error(Source::Program, "no package that is known for its cryptography is linked in")
        }
        ([], count) => Verdict::pass(
            Source::Program,
            format!(
                "{count} cryptographic packages, each with an asset of {} that are listed",
                facts.cryptography.len()
            ),
        ),
        (missing, _) => {
            Verdict::fail(Source::Program, format!("not in the bill of materials: {}", missing.join(", ")))
        }
    }]
}
