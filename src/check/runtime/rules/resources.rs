//! What the process may use at most, so that a flood ends it and not the machine.

use super::{judged, part};
use crate::check::finding::Verdict;
use crate::check::rule::Ground;
use crate::check::runtime::Facts;
use crate::check::runtime::cgroup::Bounds;

/// SMC8008: its control group bounds memory, processes and, where the profile wants it, processors.
pub(super) fn bounds(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    judged(
        facts,
        "cgroup",
        |linux| part(&linux.bounds),
        |source, bounds, linux| {
            let wanted = ground.parameters.list("wanted");
            let known = [
                ("memory", bounds.memory.map(|bytes| format!("memory {} MiB", bytes >> 20))),
                ("processes", bounds.processes.map(|count| format!("{count} processes and threads"))),
                (
                    "processors",
                    bounds
                        .processors
                        .map(|share| format!("{}.{:02} processors", share / 1000, share % 1000 / 10)),
                ),
            ];
            let missing: Vec<&str> = known
                .iter()
                .filter(|(name, bound)| bound.is_none() && wanted.iter().any(|wanted| wanted == name))
                .map(|(name, _)| *name)
                .collect();
            let found: Vec<String> = known.iter().filter_map(|(_, bound)| bound.clone()).collect();
            let found = if found.is_empty() { "no bound at all".to_owned() } else { found.join(", ") };
            vec![match missing.as_slice() {
                [] => Verdict::pass(source, found),
                ["processes"] if is_kubelets(bounds, linux.surroundings.kubernetes) => Verdict::manual(
                    source,
                    format!(
                        "{found}; processes are bounded by the kubelet (podPidsLimit) above what a pod can see"
                    ),
                ),
                missing => Verdict::fail(source, format!("{found}; without a bound: {}", missing.join(", "))),
            }]
        },
    )
}

/// The kubelet bounds processes at the pod, one above the container, which the container does not see.
const fn is_kubelets(bounds: &Bounds, kubernetes: bool) -> bool {
    kubernetes && bounds.ends_below_the_top
}
