//! Who the process is, and what it, or a program that it starts, may do: user, capabilities, no new privileges, system
//! calls.

use super::{judged, part};
use crate::check::finding::{Severity, Source, Verdict};
use crate::check::rule::Ground;
use crate::check::runtime::Facts;
use crate::check::runtime::mounts::Mount;
use crate::check::runtime::status::{Status, names};

/// SMC8001: an ordinary user, and no program with the set-user-id bit that leads back.
pub(super) fn user(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    judged(
        facts,
        "status",
        |linux| part(&linux.status),
        |source, status, linux| {
            if let Some(verdict) = identity(&source, status) {
                return vec![verdict];
            }
            let seen = format!("user {}, group {}", status.users[1], status.groups[1]);
            if status.no_new_privileges == Some(true) {
                return vec![Verdict::pass(source, format!("{seen}; no program it starts gains rights"))];
            }
            match &linux.mounts {
                Err(unseen) => {
                    vec![Verdict::error(source, format!("{seen}; way back to root not known: {unseen}"))]
                }
                Ok(mounts) => vec![way_back(source, &seen, mounts)],
            }
        },
    )
}

/// What is wrong with who it is.
fn identity(source: &Source, status: &Status) -> Option<Verdict> {
    let is_root = |ids: &[u32; 4]| ids.contains(&0);
    let fail = |observed: String| Some(Verdict::fail(source.clone(), observed));
    match () {
        () if status.users[1] == 0 => fail("it runs as root".to_owned()),
        () if is_root(&status.users) => fail(format!("it can become root again: users {:?}", status.users)),
        () if is_root(&status.groups) || status.supplementary.contains(&0) => {
            fail(format!("user {}, but in root's group", status.users[1]))
                .map(|verdict| verdict.severe(Severity::Medium))
        }
        () => None,
    }
}

fn way_back(source: Source, seen: &str, mounts: &[Mount]) -> Verdict {
    let open: Vec<String> = mounts
        .iter()
        .filter(|mount| mount.setuid && !mount.is_interface())
        .map(|mount| mount.point.display().to_string())
        .collect();
    if open.is_empty() {
        return Verdict::pass(source, format!("{seen}; set-user-id counts on no file system"));
    }
    Verdict::fail(source, format!("{seen}; set-user-id programs count on {}", super::some(&open)))
        .severe(Severity::Medium)
        .because("a flaw that lets an attacker start programs also lets them become root by way of a set-user-id program")
        .mended_by("NoNewPrivileges=yes (systemd), allowPrivilegeEscalation: false (Kubernetes), no-new-privileges (Docker)")
}

/// SMC8002: programs that it starts gain no rights.
pub(super) fn no_new_privileges(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    judged(
        facts,
        "status",
        |linux| part(&linux.status),
        |source, status, _| {
            vec![match status.no_new_privileges {
                Some(true) => Verdict::pass(source, "NoNewPrivs is 1"),
                Some(false) => Verdict::fail(source, "NoNewPrivs is 0"),
                None => {
                    Verdict::error(source, "this kernel does not say (NoNewPrivs is shown since Linux 4.10)")
                }
            }]
        },
    )
}

/// SMC8003: no capabilities, none to be had.
pub(super) fn capabilities(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    judged(
        facts,
        "status",
        |linux| part(&linux.status),
        |source, status, _| {
            let allowed = ground.parameters.list("allowed");
            let sets = &status.capabilities;
            let now = names(sets.effective | sets.permitted | sets.inheritable | sets.ambient, allowed);
            if !now.is_empty() {
                return vec![Verdict::fail(source, format!("it has {}", super::some(&now)))];
            }
            let ever = names(sets.bounding, allowed);
            vec![match ever.len() {
                0 if sets.bounding == 0 => Verdict::pass(source, "it has no capability, and none can be had"),
                0 => Verdict::pass(source, format!("none but {}", names(sets.bounding, &[]).join(", "))),
                count => Verdict::fail(
                    source,
                    format!("it has none; a program it starts could get {count}: {}", super::some(&ever)),
                )
                .severe(Severity::Medium),
            }]
        },
    )
}

/// SMC8004: a filter on system calls.
pub(super) fn seccomp(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    judged(
        facts,
        "status",
        |linux| part(&linux.status),
        |source, status, _| {
            vec![match status.seccomp {
                Some(2) => Verdict::pass(source, "Seccomp is 2, a filter"),
                Some(1) => Verdict::pass(source, "Seccomp is 1, strict"),
                Some(mode) => Verdict::fail(source, format!("Seccomp is {mode}")),
                None => Verdict::error(
                    source,
                    "this kernel was built without system call filters, or does not say",
                ),
            }]
        },
    )
}
