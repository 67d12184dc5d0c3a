//! Ways on which secrets in memory could leave the process: core dumps, debuggers, swap.

use super::{judged, part};
use crate::check::finding::{Severity, Source, Verdict};
use crate::check::rule::Ground;
use crate::check::runtime::{Facts, Linux};

/// SMC8006: no core dump, no debugger.
pub(super) fn dumps(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    judged(
        facts,
        "limits",
        |linux| part(&linux.core),
        |source, core, linux| {
            if let Ok(status) = &linux.status
                && status.tracer != 0
            {
                let observed = format!("process {} debugs it and can read its memory", status.tracer);
                return vec![Verdict::fail(source, observed).severe(Severity::Critical)];
            }
            let limited = core.hard == Some(0);
            let size = match core.hard {
                Some(0) => "core dumps are limited to 0".to_owned(),
                Some(bytes) => format!("core dumps of {bytes} bytes can be allowed"),
                None => "core dumps of any size can be allowed".to_owned(),
            };
            vec![match (&linux.dumpable, limited) {
                (Ok(false), true) => {
                    Verdict::pass(source, format!("it may not be dumped or debugged; {size}"))
                }
                (Ok(false), false) => Verdict::fail(source, format!("it may not be dumped now, but {size}"))
                    .severe(Severity::Low),
                (Ok(true), _) => {
                    Verdict::fail(source, format!("its user's programs may debug and dump it; {size}"))
                }
                (Err(unseen), _) => otherwise(source, linux, (limited, &size), &unseen.why),
            }]
        },
    )
}

/// Where the process itself does not show it, the machine's settings decide.
fn otherwise(source: Source, linux: &Linux, (limited, size): (bool, &str), unseen: &str) -> Verdict {
    let piped = linux.core_pattern.as_ref().map(|pattern| pattern.starts_with('|'));
    let traced = linux.ptrace_scope.as_ref().map(|scope| scope.unwrap_or(0) == 0);
    match (limited, piped, traced) {
        (false, ..) => Verdict::fail(source, size),
        // A limit of 0 does not hold for a program that takes dumps from a pipe (core(5)).
        (true, Ok(true), _) => {
            Verdict::fail(source, format!("{size}, but dumps go to a program, which the limit does not bind"))
        }
        (true, _, Ok(true)) => {
            Verdict::fail(source, format!("{size}; debuggers of the same user are let in"))
                .severe(Severity::Medium)
        }
        (true, Ok(false), Ok(false)) => Verdict::pass(source, format!("{size}; debuggers are restricted")),
        _ => Verdict::error(source, format!("{size}; {unseen}")),
    }
}

/// SMC8007: memory is not written to a disk.
pub(super) fn swap(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    judged(
        facts,
        "status",
        |linux| part(&linux.swaps),
        |source, swaps, linux| {
            let source = if swaps.is_empty() { Source::System("/proc/swaps".to_owned()) } else { source };
            let disks: Vec<String> =
                swaps.iter().filter(|swap| !swap.is_memory()).map(|swap| swap.place.clone()).collect();
            let limit = linux.bounds.as_ref().ok().and_then(|bounds| bounds.swap);
            let (locked, resident, swapped) = linux
                .status
                .as_ref()
                .map_or((0, 0, 0), |status| (status.locked_kib, status.resident_kib, status.swapped_kib));
            vec![match (disks.len(), limit) {
                (0, _) if swaps.is_empty() => Verdict::pass(source, "the machine has no swap"),
                (0, _) => Verdict::pass(source, "the machine swaps to compressed memory alone"),
                (_, Some(0)) if swapped == 0 => Verdict::pass(
                    source,
                    format!("the machine swaps to {}, its control group may not", super::some(&disks)),
                ),
                _ if swapped == 0 && resident > 0 && locked >= resident => Verdict::pass(
                    source,
                    format!(
                        "the machine swaps to {}; all {resident} KiB of it are locked",
                        super::some(&disks)
                    ),
                ),
                _ => Verdict::fail(
                    source,
                    format!(
                        "the machine swaps to {}; of this process {swapped} KiB are there now, and {locked} of {resident} KiB are locked",
                        super::some(&disks)
                    ),
                ),
            }]
        },
    )
}
