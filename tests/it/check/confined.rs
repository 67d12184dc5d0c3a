//! Without a network, on a file system that nobody may write to, as a user without rights: a run completes, and says what
//! it could not assess.

use std::process::{Command, Output};

use serde_json::Value;

use super::Here;

/// Makes every file system read-only, and becomes nobody where it can. Status 97: something can be written nevertheless.
const CONFINE: &str = r#"
set -e
mount --make-rprivate /
ip link set lo up 2>/dev/null || true
while read -r _ place kind _; do
    case $kind in
        ext4 | overlay | xfs | btrfs | tmpfs | virtiofs | fuse* | 9p | zfs)
            mount -o remount,bind,ro "$place" 2>/dev/null || true ;;
    esac
done </proc/self/mounts
if touch "$HOME/x" 2>/dev/null; then exit 97; fi
nobody='--reuid=65534 --regid=65534 --clear-groups'
if setpriv $nobody test -x "$1" 2>/dev/null; then
    exec setpriv $nobody --no-new-privs "$@"
fi
exec unshare --user --map-user=65534 --map-group=65534 "$@"
"#;

/// Runs a check so; `None`: this machine does not let a test arrange it (no namespaces for this user, or no such tools).
fn confined(here: &Here, arguments: &[&str]) -> Option<Output> {
    let run = |user: &[&str]| {
        let program = env!("CARGO_BIN_EXE_spotify-mcp");
        let mut command = Command::new("unshare");
        command.args(user).args(["--net", "--mount", "sh", "-c", CONFINE, "sh", program, "security-check"]);
        command.args(arguments).args(["--format", "json"]).current_dir("/").env_clear();
        command.env("HOME", &here.0).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("SPOTIFY_CLIENT_ID", "5d1f3c0be2a74f6e9b8a0c1d2e3f4a5b").output().ok()
    };
    let is_arranged = |output: &Output| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.code() != Some(97) && !said.contains("unshare") && !said.contains("mount:")
    };
    [&[][..], &["--user", "--map-root-user"]].into_iter().find_map(|user| run(user).filter(is_arranged))
}

fn report(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {said}"))
}

fn states(report: &Value, id: &str) -> Vec<String> {
    let all = report["findings"].as_array().unwrap().iter().filter(|finding| finding["id"] == id);
    all.map(|finding| finding["state"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn confined_to_nothing_a_run_completes_and_says_what_it_could_not_assess() {
    let here = Here::new();
    for area in ["compliance", "network"] {
        let Some(online) = confined(&here, &[area]) else {
            eprintln!("skipped: no namespaces without a network for this user here");
            return;
        };
        let said = report(&online);
        // Nobody can be reached, and that is no pass.
        assert_eq!(online.status.code(), Some(3), "{area}: {said:#}");
        assert!(states(&said, "SMC4017").iter().all(|state| state == "error"), "{area}: {said:#}");
        assert_eq!(states(&said, "SMC6004"), ["error"], "{area}");
        assert_eq!(said["summary"]["outcome"], "incomplete", "{area}");

        let offline = confined(&here, &[area, "--offline"]).unwrap();
        let said = report(&offline);
        // Where not even loopback is there, what is tried on it cannot be tried.
        let has_loopback = states(&said, "SMC4004") == ["pass"];
        let expected = if has_loopback { 0 } else { 3 };
        assert_eq!(offline.status.code(), Some(expected), "{area}: {said:#}");
        assert!(!states(&said, "SMC4004").contains(&"fail".to_owned()), "{area}: {said:#}");
        assert!(states(&said, "SMC4017").is_empty(), "{area}");
        let left = said["left_out"].as_array().unwrap();
        assert!(left.iter().any(|out| out["id"] == "SMC4017"), "{area}: {said:#}");
    }
}
