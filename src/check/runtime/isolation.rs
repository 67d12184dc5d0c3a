//! What stands between a process and the machine: the label of a security module, and namespaces.

use crate::check::finding::Seen;
use crate::domain::event::clean;

use super::mounts::Mount;
use super::system::Root;

/// What a Linux security module says of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// AppArmor's profile with its mode, or the context of SELinux or Smack; `None`: there is no such module.
    pub text: Option<String>,
    /// Whether the machine runs Smack, whose labels look like nothing else's; `None`: it does not say.
    pub is_smack: Option<bool>,
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
            // Smack's own labels let everything be reached: `_`, the floor, is what every process has that nobody
            // labelled (kernel documentation, admin-guide/LSM/Smack).
            None => {
                self.is_smack == Some(true)
                    && !matches!(text.as_str(), "unconfined" | "_" | "^" | "*" | "?" | "@" | "")
            }
        }
    }

    /// Whether it is of no form that a module is known by, where the machine does not say which ones it runs.
    pub fn is_of_unknown_module(&self) -> bool {
        let is_known = |text: &String| {
            text.contains(" (")
                || text.split(':').nth(2).is_some()
                || matches!(text.as_str(), "unconfined" | "_" | "")
        };
        self.is_smack.is_none() && self.text.as_ref().is_some_and(|text| !is_known(text))
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
    let modules = root.text_if_there("/sys/kernel/security/lsm").ok().flatten();
    Ok(Label {
        text: said.next(),
        is_smack: modules.map(|text| text.trim().split(',').any(|module| module == "smack")),
        selinux_enforces: enforces.map(|text| text.trim() == "1"),
    })
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
    /// Whether root in it is root on the machine, as far as namespaces go; `None`: that cannot be seen.
    pub machines_users: Option<bool>,
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

/// The same of users. Container engines share it unless they are told otherwise.
const FIRST_USERS: u64 = 4_026_531_837;

/// `net:[4026531840]`.
fn number(link: &str) -> Option<u64> {
    link.rsplit_once('[')?.1.strip_suffix(']')?.parse().ok()
}

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
    let users =
        |process: &str| root.link(&format!("/proc/{process}/ns/user")).ok().and_then(|link| number(&link));
    let users = users(process).or_else(|| same.then(|| users("self")).flatten());
    let machines_users = users.map(|number| number == FIRST_USERS);
    let kubernetes = groups.is_some_and(|text| text.contains("kubepods"))
        || mounts.iter().any(|mount| mount.root.to_string_lossy().contains("/kubelet/pods/"));
    Surroundings { container, kubernetes, shared, machines_users }
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
        if number(&link).is_some_and(|number| first.contains(&number)) {
            found.push(name);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::runtime::fixtures::Tree;
    use crate::check::runtime::mounts;

    #[test]
    fn only_an_enforced_label_confines() {
        let label = |text: &str, enforces| Label {
            text: Some(text.to_owned()),
            is_smack: Some(false),
            selinux_enforces: enforces,
        };
        for text in ["docker-default (enforce)", "spotify-mcp (kill)", "a:b (enforce)"] {
            assert!(label(text, None).confines(), "{text}");
        }
        // What looks like a label of Smack's is one only where Smack runs.
        let smack = |text: &str| Label { is_smack: Some(true), ..label(text, None) };
        assert!(smack("Spotify").confines() && !label("Spotify", None).confines());
        for text in ["_", "^", "*", "?", "@"] {
            assert!(!smack(text).confines(), "{text}");
        }
        let untold = |text: &str| Label { is_smack: None, ..label(text, None) };
        assert!(untold("Spotify").is_of_unknown_module() && !untold("Spotify").confines());
        for known in ["unconfined", "x (enforce)", "u:r:t:s0", "_"] {
            assert!(!untold(known).is_of_unknown_module(), "{known}");
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
        assert_eq!((found.selinux_enforces, found.is_smack), (Some(true), None));
        tree.file("sys/kernel/security/lsm", "capability,landlock,smack");
        assert_eq!(label(&tree.root(), "7").unwrap().is_smack, Some(true));
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
        assert_eq!((around.shared, around.machines_users), (Ok(vec!["pid", "net"]), None));
        for (number, machines) in [(4_026_531_837_u64, true), (4_026_532_700, false)] {
            let users = Tree::new(&format!("isolation-users-{number}"));
            namespaces(&users, "7", 4_026_531_840, 4_026_531_836);
            users.link("proc/7/ns/user", &format!("user:[{number}]"));
            let around = surroundings(&users.root(), "7", (Some(groups), None), &[]);
            assert_eq!(around.machines_users, Some(machines));
        }
        let around = surroundings(&tree.root(), "7", (Some(groups), None), &[]);
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
}
