//! `--probe`: the program started apart, and what must not work there, tried.

use serde_json::Value;

use super::Here;

const ALL: [&str; 21] = [
    "SMC2006", "SMC2008", "SMC3001", "SMC3002", "SMC3003", "SMC3004", "SMC3005", "SMC3006", "SMC3007",
    "SMC3008", "SMC3009", "SMC3010", "SMC3011", "SMC3012", "SMC4009", "SMC4011", "SMC6005", "SMC6006",
    "SMC6007", "SMC6009", "SMC7008",
];

/// What was tried, by check: state and what was seen.
fn tried(report: &Value) -> Vec<(String, String, String)> {
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let all = report["findings"].as_array().unwrap().iter();
    all.filter(|finding| finding["subject"] == "tried apart")
        .map(|finding| (text(finding, "id"), text(finding, "state"), text(finding, "observed")))
        .collect()
}

fn state(report: &Value, id: &str) -> String {
    tried(report).into_iter().find(|one| one.0 == id).unwrap_or_else(|| panic!("{id}: {report:#}")).1
}

/// Probes with this folder of its own for what it makes.
fn within(here: &Here, temporary: &str, arguments: &[&str]) -> (i32, Value) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_spotify-mcp"))
        .arg("security-check")
        .args(arguments)
        .args(["--offline", "--probe", "--format", "json"])
        .current_dir(&here.0)
        .env_clear()
        .env("TMPDIR", here.0.join(temporary))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {said}"));
    (output.status.code().unwrap(), report)
}

#[test]
fn what_must_not_work_does_not_and_nothing_is_left_behind() {
    let here = Here::new();
    std::fs::create_dir(here.0.join("tmp")).unwrap();
    let (_, report) =
        within(&here, "tmp", &["compliance", "--profile", "production", "--only", &ALL.join(",")]);
    let found = tried(&report);
    assert_eq!(found.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), ALL);
    let wrong: Vec<_> = found.iter().filter(|one| one.1 != "pass").collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(std::fs::read_dir(here.0.join("tmp")).unwrap().count(), 0, "a folder is left behind");
}

/// A run that has begun to try, and its folder for temporary files.
fn begun(here: &Here) -> (std::process::Child, std::path::PathBuf) {
    let temporary = here.0.join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_spotify-mcp"))
        .args([
            "security-check",
            "compliance",
            "--offline",
            "--probe",
            "--format",
            "json",
            "--only",
            "SMC3001",
        ])
        .current_dir(&here.0)
        .env_clear()
        .env("TMPDIR", &temporary)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let begun = std::time::Instant::now();
    while std::fs::read_dir(&temporary).unwrap().count() == 0 {
        assert!(begun.elapsed().as_secs() < 60 && child.try_wait().unwrap().is_none(), "nothing was started");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    (child, temporary)
}

#[test]
fn what_a_killed_run_left_is_swept_by_the_next_and_what_a_living_one_uses_is_not() {
    let here = Here::new();
    let (mut child, temporary) = begun(&here);
    // It lives, whatever happens beside it.
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let left = || std::fs::read_dir(&temporary).unwrap().count();
    let next = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_spotify-mcp"));
        command.args(["security-check", "self-test", "--format", "json"]).current_dir(&here.0).env_clear();
        assert_eq!(command.env("TMPDIR", &temporary).output().unwrap().status.code(), Some(0));
    };
    next();
    assert_eq!(left(), 1, "a living run's folder is gone");
    child.kill().unwrap();
    child.wait().unwrap();
    // Its server ends itself with its standard input.
    std::thread::sleep(std::time::Duration::from_millis(500));
    next();
    assert_eq!(left(), 0, "a folder is left behind");
}

#[test]
fn a_signal_ends_what_was_started_apart_too() {
    let here = Here::new();
    let (child, temporary) = begun(&here);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("CHECK_ENDED") && told.contains("SIGINT"), "{told}");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "a folder is left behind");
}

#[test]
fn a_server_without_bounds_is_found_by_trying() {
    let here = Here::new();
    here.file(
        "open.toml",
        "[security]\nmax_sessions_per_user = 0\n[limits]\nfailed_attempts_per_address_per_minute = 0\n\
         registrations_per_address_per_hour = 0\nbody_bytes = 0\n[auth.lifetimes]\naccess_token = \"10m\"\n",
    );
    let only = "SMC3001,SMC3002,SMC3005,SMC3008,SMC3011,SMC4011";
    let (_, report) = within(&here, ".", &["compliance", "--config", "open.toml", "--only", only]);
    for id in ["SMC3002", "SMC3008", "SMC3011", "SMC4011"] {
        assert_eq!(state(&report, id), "fail", "{report:#}");
    }
    // Its own lifetimes are those that are tried.
    assert_eq!((state(&report, "SMC3001").as_str(), state(&report, "SMC3005").as_str()), ("pass", "pass"));
}

#[test]
fn what_was_not_tried_is_said() {
    let here = Here::new();
    let without = here.report(&["network", "--offline"]);
    let left_out = without["left_out"].as_array().unwrap().iter().map(ToString::to_string);
    let is_told = |one: String| one.contains("SMC3007") && one.contains("without --probe");
    assert!(left_out.into_iter().any(is_told), "{without:#}");
    // There is no folder to start it in.
    let (status, report) = within(&here, "nowhere", &["network", "--only", "SMC3007"]);
    assert_eq!((status, state(&report, "SMC3007").as_str()), (3, "error"), "{report:#}");
    assert!(tried(&report)[0].2.contains("TMPDIR"), "{report:#}");
}
