//! Folders that look like the root of a Linux system, and facts as a confined server and an unconfined one have them.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::cgroup::Bounds;
use super::isolation::{Label, Surroundings};
use super::key_source::{KeySource, Said};
use super::limits::CoreLimit;
use super::mounts::Mount;
use super::process::Who;
use super::sockets::Listener;
use super::status::{Capabilities, Status};
use super::system::Root;
use super::{Declared, Facts, Linux, System};

/// A folder of a test's own; gone with it.
pub struct Tree(PathBuf);

impl Tree {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("spotify-mcp-system-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn root(&self) -> Root {
        Root::at(&self.0)
    }

    pub fn file(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn link(&self, path: &str, target: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A line of `/proc/net/tcp` or `tcp6` as a kernel of this byte order writes it.
pub fn tcp_line(address: SocketAddr, state: &str, user: u32, inode: u64) -> String {
    let bytes = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = bytes.chunks_exact(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap()));
    let ip: String = words.map(|word| format!("{word:08X}")).collect();
    let port = address.port();
    format!(
        "   0: {ip}:{port:04X} 00000000:0000 {state} 0:0 00:0 00000000 {user:5} 0 {inode} 1 0 100 0 0 10 0\n"
    )
}

fn mount(point: &str, kind: &str, writable: bool) -> Mount {
    Mount { point: point.into(), root: "/".into(), kind: kind.into(), writable, setuid: false }
}

/// As under the systemd unit or the Kubernetes manifest of `deploy/`, with an AppArmor profile.
pub fn confined() -> Linux {
    let bounds = Bounds {
        memory: Some(512 << 20),
        swap: Some(0),
        processes: Some(512),
        processors: Some(2000),
        path: "/system.slice/spotify-mcp.service".to_owned(),
        ends_below_the_top: false,
    };
    Linux {
        status: Ok(Status {
            users: [65_532; 4],
            groups: [65_532; 4],
            parent: 1,
            depth: 1,
            no_new_privileges: Some(true),
            seccomp: Some(2),
            ..Status::default()
        }),
        mounts: Ok(vec![
            mount("/", "overlay", false),
            mount("/proc", "proc", true),
            mount("/var/lib/spotify-mcp", "ext4", true),
            mount("/tmp", "tmpfs", true),
        ]),
        core: Ok(CoreLimit { soft: Some(0), hard: Some(0) }),
        dumpable: Ok(false),
        core_pattern: Ok("core".to_owned()),
        ptrace_scope: Ok(Some(1)),
        swaps: Ok(Vec::new()),
        bounds: Ok(bounds),
        label: Ok(Label { text: Some("spotify-mcp (enforce)".to_owned()), selinux_enforces: None }),
        surroundings: Surroundings { container: None, kubernetes: false, shared: Ok(Vec::new()) },
        engine_sockets: Ok(Vec::new()),
        listeners: Ok(vec![listener("127.0.0.1:8000")]),
        key: KeySource { in_arguments: Ok(Vec::new()), in_environment: Ok(false), said: Said::Credential },
    }
}

/// As started by root in a shell on a machine with swap, from a container engine's point of view.
pub fn unconfined() -> Linux {
    let all = (1 << 41) - 1;
    let capabilities =
        Capabilities { permitted: all, effective: all, bounding: all, ..Capabilities::default() };
    Linux {
        status: Ok(Status {
            depth: 1,
            capabilities,
            no_new_privileges: Some(false),
            seccomp: Some(0),
            ..Status::default()
        }),
        mounts: Ok(vec![Mount { setuid: true, ..mount("/", "ext4", true) }]),
        core: Ok(CoreLimit { soft: Some(0), hard: None }),
        dumpable: Ok(true),
        core_pattern: Ok("|/usr/lib/systemd/systemd-coredump %P".to_owned()),
        ptrace_scope: Ok(Some(0)),
        swaps: Ok(super::limits::swaps("Filename\n/dev/sda2 partition 8 0 -2\n")),
        bounds: Ok(Bounds { path: "/".to_owned(), ..Bounds::default() }),
        label: Ok(Label { text: Some("unconfined".to_owned()), selinux_enforces: None }),
        surroundings: Surroundings {
            container: Some("control group of docker".to_owned()),
            kubernetes: false,
            shared: Ok(vec!["pid", "net"]),
        },
        engine_sockets: Ok(vec!["/run/docker.sock".to_owned()]),
        listeners: Ok(vec![listener("0.0.0.0:8000")]),
        key: KeySource {
            in_arguments: Ok(vec!["its own arguments"]),
            in_environment: Ok(true),
            said: Said::Variable("SPOTIFY_MCP_MASTER_KEY".to_owned()),
        },
    }
}

pub fn listener(address: &str) -> Listener {
    Listener { address: address.parse().unwrap(), user: 65_532, inode: 1 }
}

/// These facts about the running server, whose configuration is the default one.
pub fn facts(linux: Linux) -> Facts {
    let declared = Declared {
        listen: vec!["127.0.0.1:8000".parse().unwrap()],
        metrics: None,
        writable: vec![Path::new("/var/lib/spotify-mcp").to_owned()],
    };
    Facts { who: Ok(Who::Server(4711)), system: System::Linux(Box::new(linux)), declared }
}
