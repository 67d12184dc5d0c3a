//! What stands between a process and the machine: the label of a security module, namespaces, and whether the door to a
//! container engine is within reach. Never: opening that door.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use crate::check::finding::Seen;
use crate::domain::event::clean;

use super::mounts::Mount;
use super::status::Status;
use super::system::Root;

/// What a Linux security module says of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// AppArmor's profile with its mode, or the context of SELinux or Smack; `None`: there is no such module.
    pub text: Option<String>,
    /// Whether SELinux enforces; `None`: it is not there.
    pub selinux_enforces: Option<bool>,
}

/// Types that SELinux leaves to do what they like.
const UNCONFINED_TYPES: [&str; 8] = [
    "unconfined_t",
    "unconfined_service_t",
    "init_t",
    "initrc_t",
    "kernel_t",
    "spc_t",
    "container_runtime_t",
    "unlabeled_t",
];

impl Label {
    /// Whether it confines the process.
    pub fn confines(&self) -> bool {
        let Some(text) = &self.text else { return false };
        if let Some((_profile, mode)) = text.rsplit_once(" (") {
            return matches!(mode, "enforce)" | "kill)");
        }
        match text.split(':').nth(2) {
            Some(kind) => self.selinux_enforces == Some(true) && !UNCONFINED_TYPES.contains(&kind),
            // A Smack label; `_` is the floor, which everything has.
            None => !matches!(text.as_str(), "unconfined" | "_" | ""),
        }
    }
}

/// Reads the label. A system without such a module refuses to say one.
///
/// # Errors
/// Where the process is not there or hidden.
pub fn label(root: &Root, process: &str) -> Seen<Label> {
    // The folder must be there, so that a process that is gone is not taken for one without a label.
    root.text(&format!("/proc/{process}/status"))?;
    let places = ["attr/current", "attr/apparmor/current"];
    let said = places.iter().filter_map(|place| root.text(&format!("/proc/{process}/{place}")).ok());
    let mut said =
        said.map(|text| clean(text.trim_end_matches(['\0', '\n']))).filter(|text| !text.is_empty());
    let enforces = root.text_if_there("/sys/fs/selinux/enforce").ok().flatten();
    Ok(Label { text: said.next(), selinux_enforces: enforces.map(|text| text.trim() == "1") })
}

/// Which container a process is in, and which namespaces of the machine it shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// What shows that it is in a container; `None`: nothing does.
    pub container: Option<String>,
    /// Whether Kubernetes runs it.
    pub kubernetes: bool,
    /// The machine's namespaces that it shares; `Err`: they cannot be seen.
    pub shared: Seen<Vec<&'static str>>,
}

/// What the control groups of containers are called.
const ENGINES: [&str; 7] = ["docker", "kubepods", "libpod", "containerd", "crio", "lxc", "machine.slice"];

/// The numbers of the machine's own namespaces, the same on every system (linux/proc_ns.h); the network's was the first
/// free one at boot until it became fixed.
const FIRST: [(&str, std::ops::RangeInclusive<u64>); 4] = [
    ("ipc", 4_026_531_839..=4_026_531_839),
    ("uts", 4_026_531_838..=4_026_531_838),
    ("pid", 4_026_531_836..=4_026_531_836),
    ("net", 4_026_531_833..=4_026_532_008),
];

/// Looks around, with the control groups of the process and of this one, and the mounts of the process.
pub fn surroundings(
    root: &Root,
    process: &str,
    (groups, own): (Option<&str>, Option<&str>),
    mounts: &[Mount],
) -> Surroundings {
    let named = groups.into_iter().flat_map(str::lines);
    let engine = named.filter_map(|line| ENGINES.iter().find(|engine| line.contains(**engine))).next();
    let same = groups.is_some() && groups == own;
    // The same control group is the same container: what this process shares, the other shares.
    let shared = match shared_with(root, process) {
        Err(_) if same => shared_with(root, "self"),
        seen => seen,
    };
    let container = match engine {
        Some(engine) => Some(format!("control group of {engine}")),
        None => signs(root, same, mounts, &shared),
    };
    let kubernetes = groups.is_some_and(|text| text.contains("kubepods"))
        || mounts.iter().any(|mount| mount.root.to_string_lossy().contains("/kubelet/pods/"));
    Surroundings { container, kubernetes, shared }
}

/// Signs of a container that its control group does not show. Each alone is found on machines too: the file is left behind
/// by images and copies, live systems have an overlay, supervisors give away process ids. Two of them are not.
fn signs(root: &Root, same: bool, mounts: &[Mount], shared: &Seen<Vec<&'static str>>) -> Option<String> {
    let marks = ["/.dockerenv", "/run/.containerenv"];
    let mark = marks.iter().find(|mark| same && root.exists(mark)).map(|mark| (*mark).to_owned());
    let overlay = super::mounts::root(mounts).is_some_and(|mount| mount.kind == "overlay");
    let engines_own = |mount: &Mount| {
        let from = mount.root.to_string_lossy();
        ["/docker/containers/", "/overlay-containers/", "/kubelet/pods/"]
            .iter()
            .any(|part| from.contains(part))
    };
    let found: Vec<String> = [
        mark,
        overlay.then(|| "its root is an overlay".to_owned()),
        mounts.iter().any(engines_own).then(|| "files of a container engine are mounted".to_owned()),
        shared
            .as_ref()
            .is_ok_and(|shared| !shared.contains(&"pid"))
            .then(|| "process ids of its own".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect();
    (found.len() > 1).then(|| found.join(", "))
}

fn shared_with(root: &Root, process: &str) -> Seen<Vec<&'static str>> {
    let mut found = Vec::new();
    for (name, first) in FIRST {
        let link = root.link(&format!("/proc/{process}/ns/{name}"))?;
        let number = link.rsplit_once('[').and_then(|(_, number)| number.strip_suffix(']')?.parse().ok());
        if number.is_some_and(|number: u64| first.contains(&number)) {
            found.push(name);
        }
    }
    Ok(found)
}

/// Sockets that take orders to start containers: whoever can write to one is root on the machine.
const ENGINE_SOCKETS: [&str; 6] = [
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/podman/podman.sock",
    "/var/run/crio/crio.sock",
];

/// The sockets of container engines within reach: mounted into the process's view, or there with rights for it.
pub fn engine_sockets(root: &Root, process: &str, status: &Status, mounts: &[Mount]) -> Vec<String> {
    let ends = ["docker.sock", "containerd.sock", "crio.sock", "podman.sock"];
    let mounted = mounts.iter().map(|mount| mount.point.to_string_lossy().into_owned());
    let mut found: Vec<String> =
        mounted.filter(|point| ends.iter().any(|end| point.ends_with(end))).collect();
    for socket in ENGINE_SOCKETS {
        // Its own view where it is shown, else this one.
        let inside = format!("/proc/{process}/root{socket}");
        let path = if root.exists(&inside) { inside } else { socket.to_owned() };
        let file = root.path(&path).metadata();
        if file.is_ok_and(|file| may_write(status, file.uid(), file.gid(), file.permissions().mode())) {
            found.push(socket.to_owned());
        }
    }
    found.sort_unstable();
    found.dedup();
    // `/var/run` is `/run`, as a rule.
    if found.iter().any(|path| path == "/run/docker.sock") {
        found.retain(|path| path != "/var/run/docker.sock");
    }
    found.into_iter().map(|path| clean(&path)).collect()
}

fn may_write(status: &Status, owner: u32, group: u32, mode: u32) -> bool {
    let user = status.users[1];
    let member = status.groups[1] == group || status.supplementary.contains(&group);
    match () {
        () if user == 0 => true,
        () if user == owner => mode & 0o200 != 0,
        () if member => mode & 0o020 != 0,
        () => mode & 0o002 != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::runtime::fixtures::Tree;
    use crate::check::runtime::mounts;

    #[test]
    fn only_an_enforced_label_confines() {
        let label = |text: &str, enforces| Label { text: Some(text.to_owned()), selinux_enforces: enforces };
        for text in ["docker-default (enforce)", "spotify-mcp (kill)", "a:b (enforce)", "Spotify"] {
            assert!(label(text, None).confines(), "{text}");
        }
        for text in ["unconfined", "spotify-mcp (complain)", "x (unconfined)", "_", ""] {
            assert!(!label(text, None).confines(), "{text}");
        }
        let container = "system_u:system_r:container_t:s0:c1,c2";
        assert!(label(container, Some(true)).confines());
        assert!(!label(container, Some(false)).confines() && !label(container, None).confines());
        assert!(!label("system_u:system_r:unconfined_service_t:s0", Some(true)).confines());
        assert!(!Label::default().confines());
    }

    #[test]
    fn a_label_is_read_without_its_end_and_its_absence_is_no_error() {
        let tree = Tree::new("isolation-label");
        tree.file("proc/7/status", "x");
        assert_eq!(label(&tree.root(), "7").unwrap(), Label::default());
        tree.file("proc/7/attr/current", "docker-default (enforce)\n");
        tree.file("sys/fs/selinux/enforce", "1");
        let found = label(&tree.root(), "7").unwrap();
        assert_eq!(found.text.as_deref(), Some("docker-default (enforce)"));
        assert_eq!(found.selinux_enforces, Some(true));
        assert!(label(&tree.root(), "8").is_err());
    }

    fn namespaces(tree: &Tree, process: &str, net: u64, pid: u64) {
        for (name, number) in [("ipc", 4_026_532_500), ("uts", 4_026_532_501), ("net", net), ("pid", pid)] {
            tree.link(&format!("proc/{process}/ns/{name}"), &format!("{name}:[{number}]"));
        }
    }

    #[test]
    fn the_machines_namespaces_are_known_by_their_numbers() {
        let tree = Tree::new("isolation-ns");
        namespaces(&tree, "7", 4_026_531_840, 4_026_531_836);
        namespaces(&tree, "self", 4_026_532_600, 4_026_532_601);
        let groups = "0::/kubepods.slice/pod1/x\n";
        let around = surroundings(&tree.root(), "7", (Some(groups), None), &[]);
        assert_eq!(around.shared, Ok(vec!["pid", "net"]));
        assert!(around.kubernetes && around.container.unwrap().contains("kubepods"));
        // Those of a process that hides them are those of its container, where this process is in the same.
        let around = surroundings(&tree.root(), "9", (Some("0::/\n"), Some("0::/\n")), &[]);
        assert_eq!(around.shared, Ok(vec![]));
        assert!(surroundings(&tree.root(), "9", (Some("0::/a\n"), Some("0::/b\n")), &[]).shared.is_err());
    }

    #[test]
    fn one_sign_of_a_container_is_none() {
        let tree = Tree::new("isolation-signs");
        let mounted = |text: &str| mounts::parse(text).unwrap();
        let disk = "1 0 0:1 / / rw - ext4 o rw\n";
        let overlay = "1 0 0:1 / / rw - overlay o rw\n";
        let resolved = "2 1 8:1 /var/lib/docker/containers/0a/resolv.conf /etc/resolv.conf rw - ext4 d rw\n";
        let around = |text: &str| {
            let groups = Some("0::/\n");
            surroundings(&tree.root(), "7", (groups, groups), &mounted(text)).container
        };
        namespaces(&tree, "7", 4_026_531_840, 4_026_531_836);
        tree.file(".dockerenv", "");
        assert_eq!(around(disk), None, "a machine that a file was left behind on");
        assert_eq!(around(overlay).unwrap(), "/.dockerenv, its root is an overlay");
        assert!(around(&format!("{disk}{resolved}")).unwrap().contains("container engine"));
        std::fs::remove_file(tree.root().path("/.dockerenv")).unwrap();
        assert_eq!(around(overlay), None, "a live system");
        let other = Tree::new("isolation-signs-pid");
        namespaces(&other, "7", 4_026_531_840, 4_026_532_600);
        let own = Some("0::/\n");
        assert_eq!(surroundings(&other.root(), "7", (own, own), &mounted(disk)).container, None);
        let both = surroundings(&other.root(), "7", (own, own), &mounted(overlay));
        assert_eq!((both.container.is_some(), both.shared), (true, Ok(vec!["net"])));
    }

    #[test]
    fn an_engines_socket_is_found_where_it_is_mounted_or_may_be_written() {
        let tree = Tree::new("isolation-engine");
        let text = "1 0 0:1 / / ro - overlay o ro\n2 1 0:2 /x /host/docker.sock rw - tmpfs t rw\n";
        let mounts = mounts::parse(text).unwrap();
        let status = Status { users: [5; 4], groups: [5; 4], ..Status::default() };
        assert_eq!(engine_sockets(&tree.root(), "7", &status, &mounts), ["/host/docker.sock"]);
        assert!(engine_sockets(&tree.root(), "7", &status, &[]).is_empty());
        tree.file("run/docker.sock", "");
        let by_root = Status { users: [0; 4], ..Status::default() };
        assert_eq!(engine_sockets(&tree.root(), "7", &by_root, &[]), ["/run/docker.sock"]);
    }

    #[test]
    fn rights_are_those_of_the_first_that_fits() {
        let status = Status { users: [5; 4], groups: [6; 4], supplementary: vec![7], ..Status::default() };
        assert!(may_write(&status, 5, 0, 0o600) && !may_write(&status, 5, 0, 0o466));
        assert!(may_write(&status, 0, 7, 0o660) && may_write(&status, 0, 6, 0o660));
        assert!(!may_write(&status, 0, 8, 0o660) && may_write(&status, 0, 8, 0o666));
    }
}
