//! What an operator does with a server: backups, reloads, keys from every source, a look into the database.

mod audit;
mod audit_over_time;
mod audit_tail;
mod backup_reader;
mod backups;
mod backups_refused;
mod backups_schema;
mod database_document;
mod full_disk;
mod hygiene;
mod key_sources;
mod mailing;
mod mailing_refused;
mod metrics;
mod metrics_without_database;
mod monitoring_document;
mod receivers;
mod reload;
mod restore_killed;
mod rules;
mod runbook;
mod tables;
mod telling;
mod tombstones;
mod words;

use std::process::Output;

use serde_json::Value;

use crate::support::server::{TestServer, binary};

/// Runs a command with the server's environment, as its operator would.
async fn command(server: &TestServer, arguments: &[&str]) -> Output {
    binary().args(arguments).envs(&server.environment).output().await.unwrap()
}

/// The result of a command that worked, as JSON.
async fn result(server: &TestServer, arguments: &[&str]) -> Value {
    let output = command(server, &[arguments, &["--format", "json", "--quiet"]].concat()).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Exit status and error of a command that did not do what was asked.
async fn refusal(server: &TestServer, arguments: &[&str]) -> (i32, Value) {
    refusal_of(&command(server, &[arguments, &["--format", "json", "--quiet"]].concat()).await)
}

/// Exit status and result of a command that says something whatever it finds.
async fn refused_or_told(server: &TestServer, arguments: &[&str]) -> (i32, Value) {
    let output = command(server, &[arguments, &["--format", "json", "--quiet"]].concat()).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {said}"));
    (output.status.code().unwrap(), told)
}

fn refusal_of(output: &Output) -> (i32, Value) {
    let text = String::from_utf8_lossy(&output.stderr);
    let said: Value = serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{text}"));
    assert!(!said["error"]["next"].as_str().unwrap().is_empty(), "{said}");
    (output.status.code().unwrap(), said["error"].clone())
}

/// Every record of the server's trail.
fn trail(server: &TestServer) -> Vec<Value> {
    let folder = server.data_dir().join("audit");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "ndjson"));
    files.sort();
    let texts = files.iter().map(|path| std::fs::read_to_string(path).unwrap());
    texts
        .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
        .collect()
}

/// The records of one event.
fn told(server: &TestServer, code: &str) -> Vec<String> {
    let is = |record: &Value| record.to_string().contains(&format!("\"{code}\""));
    trail(server).iter().filter(|record| is(record)).map(Value::to_string).collect()
}
