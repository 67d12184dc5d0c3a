//! Gathers what the rules stand on; never fails: what cannot be seen says why.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::key_source::{self, KeySource, Said};
use super::process::{self, Who};
use super::status::Status;
use super::system::Root;
use super::{Declared, Facts, Linux, System, cgroup, engines, isolation, limits, mounts, sockets, status};
use crate::check::finding::{Seen, Unseen};
use crate::check::request::Request;
use crate::config::Config;
use crate::reading::io_cause;

/// Looks at the process that was named, the running server, or this command.
pub async fn gather(request: &Request) -> Facts {
    let config = request.loaded.as_far_as_valid();
    let system_root = request.system_root.as_deref();
    let who = match (request.pid, system_root) {
        // Another system's processes listen on no socket of this one.
        (None, Some(_)) => Ok(Who::Itself),
        (pid, _) => process::find(pid, &config.storage.data_dir).await,
    };
    let root = system_root.map_or_else(Root::system, Root::at);
    let mut declared = declared(config);
    if !cfg!(target_os = "linux") && root.is_system() {
        return Facts { who, program: None, system: System::Other(std::env::consts::OS), declared };
    }
    let folder = who.as_ref().map_or_else(|_| "self".to_owned(), |who| who.folder());
    declared.flag = listen_flag(&root, &folder);
    let said = key_source::said(config, |key| request.loaded.origin_of(key));
    let linux = linux(&root, &folder, said);
    let program = request.pid.map(|id| process::program(&root, id));
    Facts { who, program, system: System::Linux(Box::new(linux)), declared }
}

fn linux(root: &Root, folder: &str, said: Said) -> Linux {
    let of = |file: &str| root.text(&format!("/proc/{folder}/{file}"));
    let status = of("status").and_then(|text| status::parse(&text));
    let mounts = of("mountinfo").and_then(|text| mounts::parse(&text));
    let seen_mounts = mounts.clone().unwrap_or_default();
    // Control groups are read by this process, in its own view.
    let own_mounts = root.text("/proc/self/mountinfo").and_then(|text| mounts::parse(&text));
    let (groups, own_groups) = (of("cgroup"), root.text("/proc/self/cgroup"));
    let parent = status.as_ref().map_or(0, |status| status.parent);
    Linux {
        core: of("limits").and_then(|text| limits::core(&text)),
        dumpable: dumpable(root, folder, &status),
        core_pattern: root.text("/proc/sys/kernel/core_pattern").map(|text| text.trim().to_owned()),
        ptrace_scope: root
            .text_if_there("/proc/sys/kernel/yama/ptrace_scope")
            .map(|text| text.and_then(|text| text.trim().parse().ok())),
        // A kernel without swap has no such file; of a copy nobody knows.
        swaps: match root.is_system() {
            true => root.text_if_there("/proc/swaps").map(Option::unwrap_or_default),
            false => root.text("/proc/swaps"),
        }
        .map(|text| limits::swaps(&text)),
        bounds: groups.clone().and_then(|groups| cgroup::bounds(root, &own_mounts?, &groups)),
        label: isolation::label(root, folder),
        surroundings: isolation::surroundings(
            root,
            folder,
            (groups.as_deref().ok(), own_groups.as_deref().ok()),
            &seen_mounts,
        ),
        engine_sockets: status.clone().map(|status| engines::sockets(root, folder, &status, &seen_mounts)),
        listeners: status.clone().and_then(|status| sockets::gather(root, folder, status.users[1])),
        key: KeySource {
            in_arguments: key_source::in_arguments(root, folder, parent),
            in_environment: match folder {
                // What it was started with is what this configuration was read from.
                "self" if root.is_system() => Ok(matches!(said, Said::Variable(_))),
                _ => key_source::in_environment(root, folder),
            },
            said,
        },
        status,
        mounts,
    }
}

/// Of this process the kernel says it. The files of another belong to root where it may not be dumped (proc(5)).
fn dumpable(root: &Root, folder: &str, status: &Seen<Status>) -> Seen<bool> {
    if folder == "self" && root.is_system() {
        return own_dumpable();
    }
    if !root.is_system() {
        return Err(Unseen::because("a copy does not show whether the process may be dumped"));
    }
    let user = status.as_ref().map_err(Clone::clone)?.users[1];
    let file = root.path(&format!("/proc/{folder}/environ")).metadata();
    let owner = file
        .map_err(|error| Unseen::because(format!("whether it may be dumped: {}", io_cause(&error))))?
        .uid();
    match (user, owner) {
        (0, _) => {
            Err(Unseen::because("of a process of root, the system does not show whether it may be dumped"))
        }
        (user, owner) => Ok(user == owner),
    }
}

#[cfg(target_os = "linux")]
fn own_dumpable() -> Seen<bool> {
    use rustix::process::{DumpableBehavior, dumpable_behavior};
    let behaviour =
        dumpable_behavior().map_err(|error| Unseen::because(format!("PR_GET_DUMPABLE: {error}")))?;
    Ok(behaviour == DumpableBehavior::Dumpable)
}

#[cfg(not(target_os = "linux"))]
fn own_dumpable() -> Seen<bool> {
    Err(Unseen::because("only Linux says it"))
}

/// What `serve --listen` says in the process's arguments goes before the configuration.
fn listen_flag(root: &Root, folder: &str) -> Option<SocketAddr> {
    let arguments = zeroize::Zeroizing::new(root.text(&format!("/proc/{folder}/cmdline")).ok()?);
    let mut words = arguments.split('\0');
    while let Some(word) = words.next() {
        if let Some(address) = word.strip_prefix("--listen=") {
            return address.parse().ok();
        }
        if word == "--listen" {
            return words.next()?.parse().ok();
        }
    }
    None
}

/// What a configuration says that the process does.
fn declared(config: &Config) -> Declared {
    let parent = |path: &Path| path.parent().map(Path::to_owned);
    let database =
        config.storage.url.expose().strip_prefix("sqlite://").and_then(|path| parent(Path::new(path)));
    let beside = [config.telemetry.log_file.as_deref(), config.audit.anchors.file.as_deref()];
    Declared {
        listen: vec![config.server.listen()],
        flag: None,
        metrics: config.telemetry.metrics_listen,
        writable: own_folders(vec![config.storage.data_dir.clone(), config.audit.dir.clone()]),
        beside: own_folders(beside.into_iter().flatten().filter_map(parent).chain(database).collect()),
    }
}

/// Folders of the system: that a file of the server's is said to be there declares nothing.
const OF_THE_SYSTEM: [&str; 16] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/usr/local",
    "/var",
];

/// Those that are not the system's, also where a link leads to them: they are mounted there.
fn own_folders(mut folders: Vec<PathBuf>) -> Vec<PathBuf> {
    let resolved: Vec<PathBuf> = folders.iter().filter_map(|path| path.canonicalize().ok()).collect();
    folders.extend(resolved);
    folders.retain(|folder| {
        !folder.as_os_str().is_empty() && !OF_THE_SYSTEM.iter().any(|of| folder == Path::new(of))
    });
    folders.sort_unstable();
    folders.dedup();
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::runtime::fixtures::{Tree, tcp_line};

    const STATUS: &str = "PPid:\t1\nUid:\t65532\t65532\t65532\t65532\nGid:\t5\t5\t5\t5\nCapInh:\t0\nCapPrm:\t0\n\
        CapEff:\t0\nCapBnd:\t0\nCapAmb:\t0\nNoNewPrivs:\t1\nSeccomp:\t2\n";

    fn tree() -> Tree {
        let tree = Tree::new("gather");
        tree.file("proc/self/status", STATUS);
        tree.file("proc/self/limits", "Max core file size  0  0  bytes\n");
        tree.file("proc/self/cmdline", "spotify-mcp\0serve\0--listen\0[::1]:9000\0");
        tree.file("proc/self/environ", "PATH=/bin\0");
        tree.file("proc/self/cgroup", "0::/a.service\n");
        tree.file("proc/self/attr/current", "spotify-mcp (enforce)\n");
        tree.file(
            "proc/self/mountinfo",
            "1 0 0:1 / / ro - ext4 /dev/a ro\n2 1 0:2 / /sys/fs/cgroup rw - cgroup2 c rw\n",
        );
        tree.file("proc/self/net/tcp", "head\n");
        tree.file(
            "proc/self/net/tcp6",
            &format!("head\n{}", tcp_line("[::1]:9000".parse().unwrap(), "0A", 65_532, 3)),
        );
        tree.file("proc/sys/kernel/core_pattern", "|/bin/collect %P\n");
        tree.file("proc/swaps", "Filename\n");
        tree.file("sys/fs/cgroup/cgroup.controllers", "memory pids\n");
        tree.file("sys/fs/cgroup/a.service/memory.max", "1048576\n");
        for name in ["ipc", "uts", "pid", "net"] {
            tree.link(&format!("proc/self/ns/{name}"), &format!("{name}:[4026532999]"));
        }
        tree
    }

    #[test]
    fn everything_is_read_below_one_folder() {
        let tree = tree();
        assert_eq!(listen_flag(&tree.root(), "self"), Some("[::1]:9000".parse().unwrap()));
        let linux = linux(&tree.root(), "self", Said::Credential);
        let status = linux.status.unwrap();
        assert_eq!((status.users[1], status.seccomp), (65_532, Some(2)));
        assert_eq!(linux.core.unwrap().hard, Some(0));
        assert_eq!(linux.core_pattern.unwrap(), "|/bin/collect %P");
        assert_eq!((linux.ptrace_scope, linux.swaps.unwrap().len()), (Ok(None), 0));
        assert_eq!(linux.bounds.unwrap().memory, Some(1 << 20));
        assert!(linux.label.unwrap().confines() && !mounts::root(&linux.mounts.unwrap()).unwrap().writable);
        assert_eq!((linux.surroundings.container, linux.surroundings.shared), (None, Ok(Vec::new())));
        assert_eq!(linux.listeners.unwrap().listeners[0].address.to_string(), "[::1]:9000");
        assert_eq!((linux.key.in_arguments, linux.key.in_environment), (Ok(Vec::new()), Ok(false)));
        assert!(linux.dumpable.unwrap_err().why.contains("a copy does not show"));
    }

    #[test]
    fn what_is_not_there_is_unseen_and_nothing_is_made_up() {
        let tree = Tree::new("gather-nothing");
        let linux = linux(&tree.root(), "self", Said::Nothing);
        assert!(
            linux.status.is_err() && linux.mounts.is_err() && linux.core.is_err() && linux.label.is_err()
        );
        assert!(linux.bounds.is_err() && linux.listeners.is_err() && linux.surroundings.shared.is_err());
        assert!(linux.key.in_arguments.is_err() && linux.dumpable.is_err() && linux.swaps.is_err());
    }

    #[test]
    fn a_file_in_a_folder_of_the_system_declares_nothing() {
        let folders = ["/", "/etc", "/usr/", "", "/var/log/spotify-mcp", "/srv"].map(PathBuf::from);
        assert_eq!(own_folders(folders.into()), ["/srv", "/var/log/spotify-mcp"].map(PathBuf::from));
    }

    #[test]
    fn the_flag_of_serve_is_read_in_both_forms() {
        let tree = Tree::new("gather-flag");
        for (arguments, address) in [
            ("--listen\x00127.0.0.1:1\0", Some(1)),
            ("--listen=127.0.0.1:2\0", Some(2)),
            ("--listen\0x\0", None),
        ] {
            tree.file("proc/7/cmdline", &format!("spotify-mcp\0serve\0{arguments}"));
            assert_eq!(listen_flag(&tree.root(), "7").map(|address| address.port()), address);
        }
    }
}
