//! Every command of docs/runbook.md does what it says, in its order, against a running server; each name in it stands for
//! somebody of the test's.

use std::path::Path;
use std::process::Output;

use reqwest::StatusCode;
use serde_json::json;

use super::result;
use super::telling::{Receiver, SECRET, URL, secret};
use crate::support::database::Place;
use crate::support::server::{Setup, TestServer, binary};

/// The commands, in order.
fn commands() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines = blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>());
    lines
        .map(|line| line.strip_prefix("$ ").unwrap_or_else(|| panic!("no command: {line}")).to_owned())
        .collect()
}

/// As a shell takes it: words, and what stands between single quotes.
fn words(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            all.push(part.to_owned());
        } else {
            all.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    all
}

async fn run(server: &TestServer, line: &str) -> Output {
    let words = words(line);
    let mut command = match words[0].as_str() {
        "spotify-mcp" => binary(),
        other => tokio::process::Command::new(other),
    };
    command.args(&words[1..]).envs(&server.environment).current_dir(&server.data).output().await.unwrap()
}

/// A server that has its key from a file beside its data, and somebody who is told of alerts.
async fn prepared() -> TestServer {
    let (_, url) = Receiver::start().await;
    let setup = Setup::on(Place::sqlite()).env("SPOTIFY_MCP__LIMITS__API_KEYS_PER_USER", "0");
    // What is to be proven has been signed: nobody waits half a minute.
    let setup = setup.env("SPOTIFY_MCP__AUDIT__CHECKPOINT_SECONDS", "1");
    let setup = setup.env(URL, &url).env(SECRET, &secret());
    let mut server = setup.prepare().await;
    let file = server.data.join("master.key");
    std::fs::write(&file, server.environment.remove("SPOTIFY_MCP_MASTER_KEY").unwrap()).unwrap();
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY_FILE".to_owned(), file.display().to_string());
    server.start().await;
    server
}

#[tokio::test]
async fn every_command_of_the_runbook_does_what_it_says() {
    let server = prepared().await;
    let commands = commands();
    assert!(commands.len() > 25, "the runbook has another form than this test reads");
    let ben = server.listener("ben").await;
    for line in commands {
        // Whoever is named is there, and holds what is named.
        let ada = server.listener("ada").await;
        let key = result(&server, &["api-keys", "create", "--user", "ada", "--name", "radio"]).await;
        let session = result(&server, &["users", "show", "ada"]).await["sessions"][0]["id"].clone();
        let line = line
            .replace("s_0123456789abcdef0123456789abcdef", session.as_str().unwrap())
            .replace("ak_0123456789abcdef0123456789abcdef", key["id"].as_str().unwrap())
            .replace("c_0123456789abcdef0123456789abcdef", &ada.client.id);
        let output = run(&server, &line).await;
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{line}: {said}");
        if line.contains("--emergency") {
            break;
        }
        assert_eq!(server.ready().await, Some(StatusCode::OK), "{line}");
        let ends_ada = [
            "revoke-sessions --user ada",
            "revoke-sessions --all",
            "users disable",
            "users delete",
            "clients delete",
        ];
        if ends_ada.iter().any(|end| line.contains(end)) && !line.contains("--dry-run") {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            assert_eq!(ada.call("get_status", json!({})).await.status, StatusCode::UNAUTHORIZED, "{line}");
        }
        if line.contains("users disable") {
            result(&server, &["users", "enable", "ada"]).await;
        }
        if !line.contains("--all") && !line.contains("rotate-keys") {
            let bens = server.http.get(format!("{}/health", server.origin)).send().await.unwrap().status();
            assert_eq!(bens, StatusCode::OK);
        }
    }
    assert_eq!(ben.call("get_status", json!({})).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let rest: Vec<_> =
        self::commands().into_iter().skip_while(|line| !line.contains("--emergency")).skip(1).collect();
    assert_eq!(rest.len(), 3);
    for line in rest {
        let output = run(&server, &line).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{line}: {said}");
    }
    assert_eq!(server.ready().await, Some(StatusCode::OK));
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
}
