//! What is asked before something ends names whose it is and what ends, and `-q` does not silence it: seen on a terminal.

use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt as _;

use super::said;
use crate::front_door::api_keys::{made, result};
use crate::support::database::Place;
use crate::support::server::{Setup, TestServer};

/// Runs the program on a terminal, and says no.
const ON_A_TERMINAL: &str =
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

async fn declined(server: &TestServer, arguments: &[&str]) -> Output {
    let mut python = tokio::process::Command::new("python3");
    python.args(["-c", ON_A_TERMINAL, env!("CARGO_BIN_EXE_spotify-mcp")]).args(arguments).arg("--quiet");
    python.env_clear().envs(&server.environment).env("PATH", std::env::var_os("PATH").unwrap());
    python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = python.spawn().unwrap();
    let mut answer = child.stdin.take().unwrap();
    answer.write_all(b"n\n").await.unwrap();
    let done = child.wait_with_output().await.unwrap();
    drop(answer);
    done
}

#[tokio::test]
async fn questions_name_whose_and_what_and_are_never_silenced() {
    let server = Setup::on(Place::sqlite()).people(1).start().await;
    let _listener = server.listener("user0001").await;
    made(&server, "user0001", &[]).await;
    let listed = result(&server, &["users", "list", "--search", "user0001"]).await;
    let id = listed[0]["id"].as_str().unwrap();
    for (arguments, words) in [
        (&["users", "delete", "user0001"][..], vec![id, "1 api keys", "cannot be undone"]),
        (&["users", "disable", "user0001"][..], vec![id, "1 API key"]),
        (&["revoke-sessions", "--user", "user0001"][..], vec![id, "KEPT: 1 API key", "grant"]),
        (
            &["incident", "authentication-compromise", "--user", "user0001"][..],
            vec![id, "1 API key", "Go on?"],
        ),
        (&["incident", "authentication-compromise", "--all"][..], vec!["everybody", "1 API key"]),
        (&["incident", "lockdown"][..], vec!["probes of its health?"]),
    ] {
        let done = declined(&server, arguments).await;
        let text = said(&done);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains("[y/N]") && text.contains("NOT_CONFIRMED"), "{arguments:?}: {text}");
        for word in words {
            assert!(text.contains(word), "{arguments:?}: {word}: {text}");
        }
    }
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM incidents").await, 0);
    assert_eq!(raw.number("SELECT COUNT(*) FROM users WHERE disabled_at IS NULL").await, 1);
    assert_eq!(raw.number("SELECT COUNT(*) FROM grants WHERE revoked_at IS NULL").await, 1);
}
