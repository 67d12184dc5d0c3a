//! `security-check runtime` as an operator runs it: on a system that the test wrote, beside a running server, and where
//! there is nothing to see.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde_json::Value;
use tokio::process::Command;

use crate::support::server::{Setup, binary, folder, master_key};

/// Below this folder a Linux system stands, with one process: `self`.
struct Written(PathBuf);

impl Written {
    /// As under the systemd unit of `deploy/` on a machine with AppArmor.
    fn confined() -> Self {
        let system = Self(folder());
        let zero = "0000000000000000";
        system.file(
            "proc/self/status",
            &format!(
                "PPid:\t1\nTracerPid:\t0\nUid:\t65531\t65531\t65531\t65531\nGid:\t65531\t65531\t65531\t65531\nGroups:\t\n\
                 VmSwap:\t0 kB\nCapInh:\t{zero}\nCapPrm:\t{zero}\nCapEff:\t{zero}\nCapBnd:\t{zero}\nCapAmb:\t{zero}\n\
                 NoNewPrivs:\t1\nSeccomp:\t2\n"
            ),
        );
        system.file(
            "proc/self/limits",
            "Max core file size        0                    0                    bytes\n",
        );
        system.file("proc/self/cmdline", "/usr/local/bin/spotify-mcp\0serve\0");
        system.file("proc/self/environ", "PATH=/bin\0");
        system.file("proc/self/cgroup", "0::/system.slice/spotify-mcp.service\n");
        system.file("proc/self/attr/current", "spotify-mcp (enforce)\n");
        system.file(
            "proc/self/mountinfo",
            "1 0 8:1 / / ro,nosuid,relatime - ext4 /dev/a ro\n2 1 0:2 / /sys/fs/cgroup rw - cgroup2 c rw\n\
             3 1 0:3 / /tmp rw,nosuid - tmpfs t rw\n",
        );
        let local: SocketAddr = "127.0.0.1:8000".parse().unwrap();
        system.file("proc/self/net/tcp", &format!("head\n{}", socket(local, 7)));
        system.file("proc/self/net/tcp6", "head\n");
        system.link("proc/self/fd/5", "socket:[7]");
        for name in ["ipc", "uts", "pid", "net"] {
            system.link(&format!("proc/self/ns/{name}"), &format!("{name}:[4026532999]"));
        }
        system.file("proc/sys/kernel/core_pattern", "core\n");
        system.file("proc/sys/kernel/yama/ptrace_scope", "1\n");
        system.file("proc/swaps", "Filename\tType\n");
        system.file("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
        system.file("sys/fs/cgroup/system.slice/spotify-mcp.service/memory.max", "536870912\n");
        system.file("sys/fs/cgroup/system.slice/spotify-mcp.service/pids.max", "512\n");
        system
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    fn change(&self, path: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.0.join(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from}");
        self.file(path, &text.replace(from, to));
    }

    fn key_file(&self) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.join("master.key");
        std::fs::write(&path, master_key("of a check")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Judges it as a bank's, whose processors need a bound, or as production's.
    async fn judged(&self, more: &[&str]) -> Judged {
        let mut command = binary();
        command
            .args(["security-check", "runtime", "--environment", "production", "--system-root"])
            .arg(&self.0);
        command
            .args(more)
            .env("SPOTIFY_MCP_MASTER_KEY_FILE", self.key_file())
            .env("DATA_DIR", self.0.join("data"));
        judged(command).await
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A line of `/proc/net/tcp` about a listener, as a kernel of this byte order writes it.
fn socket(address: SocketAddr, inode: u64) -> String {
    let IpAddr::V4(ip) = address.ip() else { panic!("only four bytes here") };
    let (ip, port) = (u32::from_ne_bytes(ip.octets()), address.port());
    format!("  0: {ip:08X}:{port:04X} 00000000:0000 0A 0:0 00:0 0 65531 0 {inode} 1 0 100 0 0 10 0\n")
}

/// Exit status and report.
pub struct Judged {
    pub status: i32,
    pub report: Value,
}

impl Judged {
    pub fn findings(&self, id: &str) -> Vec<&Value> {
        let all = self.report["findings"].as_array().unwrap();
        all.iter().filter(|finding| finding["id"] == id).collect()
    }

    /// The one that matters most of a check: fail before error before manual before pass.
    pub fn state(&self, id: &str) -> &str {
        let states: Vec<&str> =
            self.findings(id).iter().map(|finding| finding["state"].as_str().unwrap()).collect();
        let order = ["fail", "error", "manual", "pass", "not_applicable"];
        order
            .into_iter()
            .find(|state| states.contains(state))
            .unwrap_or_else(|| panic!("{id} is not there: {}", self.report))
    }

    pub fn in_state(&self, state: &str) -> Vec<&str> {
        let all =
            self.report["findings"].as_array().unwrap().iter().filter(|finding| finding["state"] == state);
        all.map(|finding| finding["id"].as_str().unwrap()).collect()
    }
}

/// Runs it and reads its report.
pub async fn judged(mut command: Command) -> Judged {
    command.args(["--format", "json"]).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    });
    Judged { status: output.status.code().unwrap(), report }
}

#[tokio::test]
async fn a_confined_process_passes_and_each_loosened_tie_is_one_finding() {
    let system = Written::confined();
    let judged = system.judged(&["--fail-on", "low"]).await;
    let none: [&str; 0] = [];
    assert_eq!(judged.in_state("fail"), none, "{:#}", judged.report);
    assert_eq!((judged.in_state("error"), judged.status), (none.to_vec(), 0), "{:#}", judged.report);
    assert!(judged.in_state("pass").len() >= 11, "{:#}", judged.report);
    for (path, from, to, id) in [
        ("proc/self/status", "Uid:\t65531\t65531", "Uid:\t0\t0", "SMC8001"),
        ("proc/self/status", "NoNewPrivs:\t1", "NoNewPrivs:\t0", "SMC8002"),
        ("proc/self/status", "CapBnd:\t0000000000000000", "CapBnd:\t000001ffffffffff", "SMC8003"),
        ("proc/self/status", "Seccomp:\t2", "Seccomp:\t0", "SMC8004"),
        (
            "proc/self/mountinfo",
            "ro,nosuid,relatime - ext4 /dev/a ro",
            "rw,nosuid,relatime - ext4 /dev/a rw",
            "SMC8005",
        ),
        ("proc/self/status", "TracerPid:\t0", "TracerPid:\t99", "SMC8006"),
        ("proc/swaps", "Type\n", "Type\n/dev/sda2 partition 8 0 -2\n", "SMC8007"),
        ("sys/fs/cgroup/system.slice/spotify-mcp.service/memory.max", "536870912", "max", "SMC8008"),
        ("proc/self/attr/current", "spotify-mcp (enforce)", "unconfined", "SMC8009"),
        ("proc/self/mountinfo", "3 1 0:3", "9 1 0:9 / /run/docker.sock rw - tmpfs t rw\n3 1 0:3", "SMC8010"),
        (
            "proc/self/net/tcp",
            "head\n",
            &format!("head\n{}", socket("0.0.0.0:7".parse().unwrap(), 7)),
            "SMC4008",
        ),
        ("proc/self/environ", "PATH=/bin", "SPOTIFY_MCP_MASTER_KEY=x", "SMC8011"),
    ] {
        let system = Written::confined();
        system.change(path, from, to);
        let judged = system.judged(&["--fail-on", "low"]).await;
        assert!(judged.in_state("fail").contains(&id), "{id}: {:#}", judged.report);
        assert_eq!(judged.status, 1, "{id}");
        // A root file system that may be written is no way back to root, and so on: nothing else is affected.
        let others = judged.in_state("fail").into_iter().filter(|other| *other != id).count();
        assert_eq!(others, 0, "{id} alone: {:?}", judged.in_state("fail"));
    }
    let bank = system.judged(&["--profile", "bank"]).await;
    assert_eq!(bank.state("SMC8008"), "fail", "a bank bounds processors too");
}

/// What is the normal case for a user that is not root, whose server may not be debugged.
#[tokio::test]
async fn an_undeclared_listener_is_not_passed_over_where_open_files_are_hidden() {
    let system = Written::confined();
    std::fs::remove_dir_all(system.0.join("proc/self/fd")).unwrap();
    assert_eq!(system.judged(&["--only", "SMC4008"]).await.state("SMC4008"), "pass");
    let more = socket("0.0.0.0:8081".parse().unwrap(), 8);
    system.change("proc/self/net/tcp", "head\n", &format!("head\n{more}"));
    let judged = system.judged(&["--only", "SMC4008"]).await;
    assert_eq!((judged.state("SMC4008"), judged.status), ("error", 3), "{:#}", judged.report);
    system.file("proc/self/net/tcp", "head\n");
    let judged = system.judged(&["--only", "SMC4008"]).await;
    assert_eq!((judged.state("SMC4008"), judged.status), ("error", 3), "{:#}", judged.report);
}

#[tokio::test]
async fn what_is_hidden_is_not_assessed_and_never_passes() {
    let system = Written::confined();
    for file in ["status", "mountinfo", "limits", "cgroup", "cmdline"] {
        std::fs::remove_file(system.0.join("proc/self").join(file)).unwrap();
    }
    let judged = system.judged(&[]).await;
    assert_eq!(judged.status, 3, "{:#}", judged.report);
    for id in [
        "SMC8011", "SMC4008", "SMC8001", "SMC8002", "SMC8003", "SMC8004", "SMC8005", "SMC8006", "SMC8008",
        "SMC8009",
    ] {
        assert_eq!(judged.state(id), "error", "{id}");
    }
    let secret = master_key("of a check");
    assert!(!judged.report.to_string().contains(&secret));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn beside_a_running_server_the_server_is_judged_and_else_this_command() {
    let mut server = Setup::default().start().await;
    let environment = server.environment.clone();
    let ask = |more: &[&str]| {
        let mut command = binary();
        command.args(["security-check", "runtime"]).args(more).envs(&environment);
        judged(command)
    };
    let beside = ask(&[]).await;
    let subject = |judged: &Judged, id: &str| judged.findings(id)[0]["subject"].as_str().unwrap().to_owned();
    assert_eq!(subject(&beside, "SMC8002"), "the running server");
    let place = beside.findings("SMC8002")[0]["source"].as_str().unwrap();
    assert_eq!(place, format!("/proc/{}/status", server.pid()));
    // It listens where it says, which only its own sockets tell: others of its user's are no finding, and to nobody but
    // root no pass.
    let address = format!("the running server: 127.0.0.1:{}", server.environment["SERVER_PORT"]);
    let found = beside.findings("SMC4008");
    let (own, others): (Vec<&Value>, Vec<&Value>) =
        found.into_iter().partition(|finding| finding["subject"] == address.as_str());
    assert_eq!(own[0]["state"], "pass", "{:#}", beside.report);
    assert!(others.iter().all(|other| other["state"] == "error"), "{others:#?}");
    // The same by its number.
    let pid = server.pid().to_string();
    assert_eq!(subject(&ask(&["--pid", &pid]).await, "SMC8002"), "the named process (spotify-mcp)");
    // A number that was mistyped, or is another's by now.
    let mut other = Command::new("sleep").arg("60").kill_on_drop(true).spawn().unwrap();
    let pid = other.id().unwrap().to_string();
    let another = ask(&["--pid", &pid, "--only", "SMC4008,SMC8001,SMC8011"]).await;
    assert_eq!(another.status, 3, "{:#}", another.report);
    for finding in another.report["findings"].as_array().unwrap() {
        assert_eq!(
            (&finding["state"], &finding["subject"]),
            (&"error".into(), &"the named process (sleep)".into()),
            "{finding:#}"
        );
        assert!(
            finding["observed"].as_str().unwrap().contains("is sleep, and not this program"),
            "{finding:#}"
        );
    }
    other.kill().await.unwrap();
    let gone = ask(&["--pid", "4194000"]).await;
    assert_eq!((gone.state("SMC8002"), gone.status), ("error", 3));
    server.stop().await;
    let alone = ask(&[]).await;
    assert_eq!(subject(&alone, "SMC8002"), "this command (no server runs)");
    assert_eq!(alone.state("SMC4008"), "not_applicable");
}
