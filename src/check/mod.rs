//! `security-check`: facts, rules, findings, reports.
//!
//! Every area gathers its facts (the only input and output there is), its rules judge them (pure), the [`engine`] puts
//! what they say beside the [`catalogue`], and [`report`] writes it. Never: printing, or changing anything.

pub mod baseline;
pub mod catalogue;
pub mod config;
pub mod coverage;
pub mod data;
pub mod deps;
mod embedded;
pub mod engine;
pub mod finding;
pub mod frameworks;
pub mod network;
pub mod outcome;
pub mod probe;
pub mod profile;
#[cfg(test)]
pub(crate) mod proving;
pub mod report;
pub mod request;
pub mod rule;
pub mod runtime;
pub mod score;
pub mod selection;
pub mod self_test;
pub mod tasks;
mod temporary;
pub mod waiver;

pub use catalogue::{Area, Catalogue, Check};
pub use embedded::files as embedded_policies;
pub use engine::{Finding, LeftOut};
pub use finding::{Seen, Severity, Source, State, Unseen, Verdict};
pub use profile::Profile;
pub use request::Request;
pub use rule::{Ground, Parameters, Rule};
pub use selection::Selection;
pub use tasks::Task;

use std::path::PathBuf;

use engine::Bench;
use waiver::Waivers;

/// What of the judged configuration is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    /// `security.master_key_command`.
    pub command: bool,
}

/// What a run found.
pub struct Ran {
    /// By check and subject.
    pub findings: Vec<Finding>,
    /// What something on the command line took out of what was asked.
    pub left_out: Vec<LeftOut>,
    /// What was seen of the program's packages, where that was asked: for a bill of materials, and for whoever is to be
    /// told of advisories.
    pub packages: Option<deps::Facts>,
}

/// Gathers the facts of every area that has something to judge, and judges them. Never fails: what could not be seen
/// is a finding of its own.
pub async fn run(
    request: &Request,
    catalogue: &Catalogue,
    selection: &Selection,
    waivers: (&Waivers, Option<PathBuf>),
) -> Ran {
    let mut packages = None;
    let mut bench = Bench::new(request, catalogue, selection);
    // A program that prints the master key is run for those checks alone that need the key itself.
    let runs = Runs { command: bench.asks(&["SMC1001", "SMC1003"]) };
    if bench.wants(config::RULES) {
        bench.judge(config::RULES, &config::gather(request, runs).await);
    }
    if bench.wants(data::RULES) {
        bench.judge(data::RULES, &data::gather(request, runs).await);
    }
    if bench.wants(deps::RULES) {
        bench.judge(deps::RULES, packages.insert(deps::gather(request).await));
    }
    if bench.wants(runtime::RULES) {
        bench.judge(runtime::RULES, &runtime::gather(request).await);
    }
    if bench.wants(network::RULES) {
        bench.judge(network::RULES, &network::gather(request).await);
    }
    if request.probe && bench.wants(probe::RULES) {
        bench.judge(probe::RULES, &probe::gather(request).await);
    }
    // Last, because a waiver that nothing needs is found by what was found.
    let facts = waiver::Facts::of(waivers.0, waivers.1, bench.found());
    bench.judge(waiver::RULES, &facts);
    let (findings, left_out) = bench.judged();
    Ran { findings, left_out, packages }
}

/// Every check that has a rule; one that has several is there as often.
pub fn ruled() -> Vec<&'static str> {
    fn ids<F>(rules: &[Rule<F>]) -> impl Iterator<Item = &'static str> {
        rules.iter().map(|rule| rule.id)
    }
    ids(config::RULES)
        .chain(ids(data::RULES))
        .chain(ids(deps::RULES))
        .chain(ids(runtime::RULES))
        .chain(ids(network::RULES))
        .chain(ids(probe::RULES))
        .chain(ids(waiver::RULES))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_catalogue_has_a_rule_and_every_rule_an_entry() {
        let catalogue = Catalogue::built_in().unwrap();
        let mut entries: Vec<&str> = catalogue.checks.iter().map(|check| check.id.as_str()).collect();
        let mut rules = ruled();
        rules.sort_unstable();
        // The configuration says, and a server started apart shows.
        let twice: Vec<&str> = rules.windows(2).filter(|two| two[0] == two[1]).map(|two| two[0]).collect();
        let probed: Vec<&str> = probe::RULES.iter().map(|rule| rule.id).collect();
        assert!(twice.iter().all(|id| probed.contains(id)), "{twice:?}");
        rules.dedup();
        entries.sort_unstable();
        assert_eq!(entries, rules);
    }
}
