//! What the process can reach: file systems to write to, what a security module lets it do, the machine around it.

use std::path::{Path, PathBuf};

use super::{judged, part, some};
use crate::check::finding::{Seen, Severity, Source, Verdict};
use crate::check::rule::Ground;
use crate::check::runtime::Facts;
use crate::check::runtime::isolation::Surroundings;
use crate::check::runtime::mounts::{self, Mount};

/// SMC8005: the root file system is read-only, and only declared places are not.
pub(super) fn file_systems(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    judged(
        facts,
        "mountinfo",
        |linux| part(&linux.mounts),
        |source, mounts, _| {
            let Some(root) = mounts::root(mounts) else {
                return vec![Verdict::error(source, "it names no root file system")];
            };
            if root.writable {
                return vec![Verdict::fail(
                    source,
                    format!("the root file system ({}) is writable", root.kind),
                )];
            }
            let usual = ground.parameters.list("writable").iter().map(PathBuf::from);
            let declared: Vec<PathBuf> = facts.declared.writable.iter().cloned().chain(usual).collect();
            let is_declared = |mount: &&Mount| {
                declared.iter().any(|place| mount.point.starts_with(place))
                    || facts.declared.beside.contains(&mount.point)
            };
            let writable: Vec<&Mount> = mounts
                .iter()
                .filter(|mount| mount.writable && !mount.is_interface() && mount.point != Path::new("/"))
                .filter(|mount| is_seen(mount, mounts))
                .collect();
            let said = |mounts: &[&Mount]| -> Vec<String> {
                mounts.iter().map(|mount| mount.point.display().to_string()).collect()
            };
            let (known, others): (Vec<&Mount>, Vec<&Mount>) = writable.into_iter().partition(is_declared);
            if others.is_empty() {
                return vec![Verdict::pass(
                    source,
                    format!("the root is read-only; writable: {}", some(&said(&known))),
                )];
            }
            let others = said(&others);
            vec![
                Verdict::fail(
                    source,
                    format!("writable beside data, log and temporary folders: {}", some(&others)),
                )
                .severe(Severity::Medium),
            ]
        },
    )
}

/// Whether a mount is not covered by a later one at its place.
fn is_seen(mount: &Mount, mounts: &[Mount]) -> bool {
    mounts.iter().rev().find(|other| other.point == mount.point).is_some_and(|last| std::ptr::eq(last, mount))
}

/// SMC8009: a security module confines it.
pub(super) fn label(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    judged(
        facts,
        "attr/current",
        |linux| part(&linux.label),
        |source, label, _| {
            vec![match &label.text {
                Some(text) if label.confines() => Verdict::pass(source, format!("confined: {text}")),
                Some(text) if label.selinux_enforces == Some(false) => {
                    Verdict::fail(source, format!("{text}, and SELinux only warns"))
                }
                Some(text) if label.is_of_unknown_module() => Verdict::error(
                    source,
                    format!(
                        "its label is {text}; which security module gave it cannot be seen (/sys/kernel/security/lsm)"
                    ),
                ),
                Some(text) => Verdict::fail(source, format!("not confined: {text}")),
                None => Verdict::fail(
                    source,
                    "no security module has a label for it (what Landlock confines, Linux does not show)",
                ),
            }]
        },
    )
}

/// SMC8010: no door to a container engine, and none of the machine's namespaces in a container.
pub(super) fn machine(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    judged(facts, "mountinfo", Ok, |source, linux, _| {
        let engines = engines(source, &linux.engine_sockets).about("container engines");
        let source = facts.who.as_ref().map_or(Source::Program, |who| who.source("ns"));
        vec![engines, namespaces(source, &linux.surroundings).about("namespaces")]
    })
}

fn engines(source: Source, sockets: &Seen<Vec<String>>) -> Verdict {
    match sockets.as_deref() {
        Err(unseen) => Verdict::error(source, unseen.why.clone()),
        Ok([]) => Verdict::pass(source, "no container engine's socket is within reach"),
        Ok(found) => Verdict::fail(source, format!("within reach: {}", some(found)))
            .severe(Severity::Critical)
            .because("whoever can write to a container engine's socket can start a container that is root on the machine")
            .mended_by("take the socket out of the container's volumes, and the user out of the engine's group"),
    }
}

fn namespaces(source: Source, around: &Surroundings) -> Verdict {
    let Some(container) = &around.container else {
        return Verdict::not_applicable(
            source,
            "it is in no container: the machine's namespaces are its own",
        );
    };
    match &around.shared {
        Err(unseen) => Verdict::error(source, format!("in a container ({container}); {unseen}")),
        Ok(shared) if shared.is_empty() => {
            let users = match around.machines_users {
                Some(true) => {
                    "none of the machine's but that of users, which engines share unless told otherwise"
                }
                Some(false) => "none of the machine's, nor its users",
                None => "none of the machine's; that of users is not shown",
            };
            Verdict::pass(source, format!("{container}; {users}"))
        }
        Ok(shared) => Verdict::fail(source, format!("{container}; the machine's own: {}", shared.join(", "))),
    }
}
