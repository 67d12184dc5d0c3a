//! Whether the door to a container engine is within reach of a process: its socket, under whatever name or in whatever
//! folder it was mounted. Never: opening that door.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::mounts::Mount;
use super::status::Status;
use super::system::Root;
use crate::domain::event::clean;

/// Sockets that take orders to start containers, below the folder that engines keep them in (`/run`): whoever can write to
/// one is root on the machine.
const SOCKETS: [&str; 10] = [
    "docker.sock",
    "docker/containerd/containerd.sock",
    "containerd/containerd.sock",
    "k3s/containerd/containerd.sock",
    "crio/crio.sock",
    "podman/podman.sock",
    "cri-dockerd.sock",
    "buildkit/buildkitd.sock",
    "snap.docker/docker.sock",
    "balena-engine.sock",
];

/// Folders that engines keep their sockets in, on the machine.
const HOMES: [&str; 2] = ["/run", "/var/run"];

/// More mounts than this are not looked into: a machine's own view of all its containers has so many.
const MOST_MOUNTS: usize = 500;

/// The sockets of container engines within reach: mounted into the process's view, or there with rights for it.
pub fn sockets(root: &Root, process: &str, status: &Status, mounts: &[Mount]) -> Vec<String> {
    let name = |socket: &str| socket.rsplit('/').next().unwrap_or_default().to_owned();
    let is_one = |path: &str| SOCKETS.iter().any(|socket| path.ends_with(&format!("/{}", name(socket))));
    // Under its own name or another's: what is mounted says where it comes from.
    let mut found: Vec<String> = mounts
        .iter()
        .filter(|mount| is_one(&mount.point.to_string_lossy()) || is_one(&mount.root.to_string_lossy()))
        .map(|mount| mount.point.to_string_lossy().into_owned())
        .collect();
    let user = status.users[1];
    let own = [format!("/run/user/{user}")];
    let homes = HOMES.iter().map(|home| (*home).to_owned()).chain(own);
    // A folder of the machine's that was mounted: `/run` itself, or that of one engine.
    let mounted = mounts.iter().take(MOST_MOUNTS).filter(|mount| !mount.is_interface());
    let mounted = mounted.map(|mount| mount.point.to_string_lossy().trim_end_matches('/').to_owned());
    for folder in homes.chain(mounted) {
        for socket in SOCKETS {
            let whole = format!("{folder}/{socket}");
            let alone = format!("{folder}/{}", name(socket));
            for path in [whole, alone] {
                if is_reached(root, process, status, &path) {
                    found.push(path);
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    // `/var/run` is `/run`, as a rule.
    let everywhere = found.clone();
    found.retain(|path| {
        path.strip_prefix("/var").is_none_or(|short| !everywhere.iter().any(|other| other == short))
    });
    found.into_iter().map(|path| clean(&path)).collect()
}

/// Whether it may write there: in its own view where that is shown, else in this one.
fn is_reached(root: &Root, process: &str, status: &Status, path: &str) -> bool {
    let inside = format!("/proc/{process}/root{path}");
    let path = if root.exists(&inside) { inside } else { path.to_owned() };
    let file = root.path(&path).metadata();
    file.is_ok_and(|file| {
        !file.is_dir() && may_write(status, file.uid(), file.gid(), file.permissions().mode())
    })
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
    fn an_engines_socket_is_found_where_it_is_mounted_or_may_be_written() {
        let tree = Tree::new("engines");
        let text = "1 0 0:1 / / ro - overlay o ro\n2 1 0:2 /x /host/docker.sock rw - tmpfs t rw\n";
        let mounts = mounts::parse(text).unwrap();
        let status = Status { users: [5; 4], groups: [5; 4], ..Status::default() };
        assert_eq!(sockets(&tree.root(), "7", &status, &mounts), ["/host/docker.sock"]);
        assert!(sockets(&tree.root(), "7", &status, &[]).is_empty());
        tree.file("run/docker.sock", "");
        let by_root = Status { users: [0; 4], ..Status::default() };
        assert_eq!(sockets(&tree.root(), "7", &by_root, &[]), ["/run/docker.sock"]);
    }

    #[test]
    fn another_name_or_a_whole_folder_hides_no_socket() {
        let tree = Tree::new("engines-hidden");
        let status = Status { users: [0; 4], ..Status::default() };
        let found = |line: &str| {
            let text = format!("1 0 0:1 / / ro - overlay o ro\n{line}\n");
            sockets(&tree.root(), "7", &status, &mounts::parse(&text).unwrap())
        };
        assert_eq!(found("2 1 0:2 /docker.sock /tmp/innocent rw - tmpfs t rw"), ["/tmp/innocent"]);
        let folder = "2 1 0:2 /k3s/containerd /mnt/engine rw - tmpfs t rw";
        assert!(found(folder).is_empty(), "there is nothing in it");
        tree.file("proc/7/root/mnt/engine/containerd.sock", "");
        assert_eq!(found(folder), ["/mnt/engine/containerd.sock"]);
        let run = "2 1 0:2 / /host/run rw - tmpfs t rw";
        tree.file("proc/7/root/host/run/crio/crio.sock", "");
        assert_eq!(found(run), ["/host/run/crio/crio.sock"]);
        tree.file("proc/7/root/run/user/0/podman/podman.sock", "");
        assert_eq!(found(run), ["/host/run/crio/crio.sock", "/run/user/0/podman/podman.sock"]);
    }

    #[test]
    fn rights_are_those_of_the_first_that_fits() {
        let status = Status { users: [5; 4], groups: [6; 4], supplementary: vec![7], ..Status::default() };
        assert!(may_write(&status, 5, 0, 0o600) && !may_write(&status, 5, 0, 0o466));
        assert!(may_write(&status, 0, 7, 0o660) && may_write(&status, 0, 6, 0o660));
        assert!(!may_write(&status, 0, 8, 0o660) && may_write(&status, 0, 8, 0o666));
    }
}
