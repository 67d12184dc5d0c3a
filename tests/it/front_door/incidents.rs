//! `incident`: each playbook from start to end beside a running server, killed at every boundary and run again, and what
//! is said where it cannot run.

mod document;
mod killed;
mod lockdown;
mod playbooks;
mod questions;
mod refused;
mod taken_up;
mod trail;

use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use spotify_mcp::crypto::signature;

use super::api_keys::command;
use crate::support::server::TestServer;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The report of a playbook that ended with this status; its signature holds for it and for nothing else.
async fn reported(server: &TestServer, arguments: &[&str], status: i32) -> Value {
    let done = command(server, &[&["incident"], arguments, &["--format", "json"]].concat()).await;
    assert_eq!(done.status.code(), Some(status), "{arguments:?}: {}", said(&done));
    let document: Value = serde_json::from_slice(&done.stdout).unwrap();
    let bytes = |name: &str| STANDARD.decode(document["signature"][name].as_str().unwrap()).unwrap();
    let text = document["evidence"].to_string();
    assert!(signature::verify(&bytes("public_key"), text.as_bytes(), &bytes("value")));
    let other = text.replace("\"incident_id\"", "\"accident_id\"");
    assert!(!signature::verify(&bytes("public_key"), other.as_bytes(), &bytes("value")));
    document["evidence"].clone()
}

/// The names of the steps, each with how it ended.
fn steps(report: &Value) -> Vec<(&str, &str)> {
    let one = |step: &'_ Value| -> (&'static str, &'static str) {
        let leak = |name: &str| -> &'static str { step[name].as_str().unwrap().to_owned().leak() };
        (leak("step"), leak("outcome"))
    };
    report["steps"].as_array().unwrap().iter().map(one).collect()
}

/// What shows one step.
fn evidence<'a>(report: &'a Value, step: &str) -> &'a Value {
    let all = report["steps"].as_array().unwrap();
    let found = all.iter().find(|done| done["step"] == step).unwrap_or_else(|| panic!("{step}: {report}"));
    &found["evidence"]
}
