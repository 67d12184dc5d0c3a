//! What other processes of the server's user may see of it: no core dump, no memory, no environment.

use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::process::Command;

use super::refusal_of;
use crate::support::server::{Setup, TestServer, binary};

/// Nobody, where the test may become somebody else; the test's own user elsewhere.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Everything of the server belongs to another user, as in production.
fn give_away(server: &TestServer) {
    std::fs::create_dir_all(server.data_dir()).unwrap();
    let folder = server.place.file().parent().unwrap().to_owned();
    for path in [server.data.as_path(), server.data_dir(), &folder] {
        if is_root() {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

fn as_the_user(mut command: Command) -> Command {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Starts as the other user, and gives the child once it is ready. The binary is copied to where that user may run it.
async fn start(server: &TestServer, more: &[&str]) -> tokio::process::Child {
    let copy = server.data.join("spotify-mcp");
    if !copy.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_spotify-mcp"), &copy).unwrap();
    }
    let mut command = Command::new(copy);
    command.env_clear().arg("serve").args(more).envs(&server.environment).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = spawned(as_the_user(command)).await;
    for _ in 0..3000 {
        if server.ready().await == Some(StatusCode::OK) {
            return child;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not ready in time");
}

/// Starts a copy that was just written. A process that another test began meanwhile may hold it open for writing until
/// it runs its own program: until then the system calls the copy busy.
async fn spawned(mut command: Command) -> tokio::process::Child {
    for _ in 0..500 {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            child => return child.unwrap(),
        }
    }
    panic!("the copy stays busy");
}

/// What a program of the same user reads of a process.
async fn reads(path: &str) -> Result<usize, String> {
    let mut cat = Command::new("cat");
    cat.arg(path);
    let output = as_the_user(cat).output().await.unwrap();
    match output.status.success() {
        true => Ok(output.stdout.len()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_process_leaves_no_core_and_shows_nobody_its_memory() {
    let server = Setup::default().prepare().await;
    give_away(&server);
    let mut child = start(&server, &[]).await;
    let proc = format!("/proc/{}", child.id().unwrap());
    let limits = std::fs::read_to_string(format!("{proc}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    for file in ["environ", "mem", "maps"] {
        let path = format!("{proc}/{file}");
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), 0, "{path} belongs to root");
        let refused = reads(&path).await.unwrap_err();
        assert!(refused.contains("ermission denied"), "{path}: {refused}");
    }
    child.kill().await.unwrap();

    // A debugger is let in where somebody says so, in development.
    let mut child = start(&server, &["--allow-debugging"]).await;
    let path = format!("/proc/{}/environ", child.id().unwrap());
    assert!(reads(&path).await.unwrap() > 0);
    child.kill().await.unwrap();
}

#[tokio::test]
async fn debugging_is_refused_outside_development() {
    let server = Setup::default().prepare().await;
    for environment in ["staging", "production"] {
        let mut command = binary();
        command.args(["serve", "--allow-debugging", "--format", "json", "--quiet"]).envs(&server.environment);
        command.env("DEPLOYMENT_ENVIRONMENT", environment).env_remove("SPOTIFY_ACCOUNTS_URL");
        let command = command.env_remove("SPOTIFY_API_URL").env("LOG_LEVEL", "error").kill_on_drop(true);
        let (status, error) = refusal_of(&command.output().await.unwrap());
        assert_eq!((status, error["code"].as_str().unwrap()), (2, "DEBUGGING_REFUSED"), "{error}");
    }
}
