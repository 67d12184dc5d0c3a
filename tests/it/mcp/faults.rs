//! Every upstream error of spotify.md 1.7 against every tool, in every mode: through real MCP calls, made by the
//! simulated Spotify. Tools are taken from tools/list, their calls from `examples`.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use spotify_mcp::policy::{ToolClass, ToolPolicies, Toolset};
use spotify_mcp::spotify::QuotaMode;
use spotify_mcp::spotify::sandbox::Fault;

use super::examples::{Things, listed, prepare};
use super::stage::{Stage, status, wait};

/// Tools that ask Spotify nothing.
const OWN: [&str; 8] = [
    "get_status",
    "get_usage",
    "link_account",
    "list_changes",
    "list_my_accounts",
    "set_default_account",
    "undo_change",
    "unlink_account",
];
/// Tools that only plan where nothing is written down; `front_door/changes/faults.rs` applies what they plan.
const PLANNING: [&str; 2] = ["deduplicate_playlist", "remove_tracks_from_playlist"];

/// An error of Spotify and the code of the answer.
type Row = (Fault, &'static str);

/// Errors that come before anything is done: the code is the same whatever was asked.
fn refusals() -> Vec<Row> {
    let error = |status: u16, message: &str, reason: Option<&str>| {
        let mut error = json!({"status": status, "message": message});
        if let Some(reason) = reason {
            error["reason"] = json!(reason);
        }
        json!({ "error": error }).to_string()
    };
    let plain = |code: u16, message: &str| status(code, &error(code, message, None));
    vec![
        (plain(401, "The access token expired"), "RECONNECT_REQUIRED"),
        (
            plain(
                403,
                "The user is not registered for this application. Please check your settings on \
                 https://developer.spotify.com/dashboard.",
            ),
            "NOT_ALLOWLISTED",
        ),
        (plain(403, "User not registered in the Developer Dashboard"), "NOT_ALLOWLISTED"),
        (
            plain(403, "Check settings on developer.spotify.com/dashboard, the user may not be registered."),
            "NOT_ALLOWLISTED",
        ),
        (status(403, "User not approved for app"), "NOT_ALLOWLISTED"),
        (plain(403, "Insufficient client scope"), "SCOPE_MISSING"),
        (
            status(403, &error(403, "Player command failed: Premium required", Some("PREMIUM_REQUIRED"))),
            "PREMIUM_REQUIRED",
        ),
        (plain(403, "Active premium subscription required for the owner of the app."), "FORBIDDEN"),
        (
            status(403, &error(403, "Player command failed: Restriction violated", Some("UNKNOWN"))),
            "RESTRICTED",
        ),
        (
            status(
                404,
                &error(404, "Player command failed: No active device found", Some("NO_ACTIVE_DEVICE")),
            ),
            "NO_ACTIVE_DEVICE",
        ),
        (plain(404, "Resource not found"), "NOT_FOUND"),
        (plain(400, "Invalid limit"), "INVALID_ARGUMENT"),
        (status(410, ""), "NOT_AVAILABLE_IN_MODE"),
        (status(411, "Length Required"), "UPSTREAM_ERROR"),
        (wait(429, &error(429, "API rate limit exceeded", None), "3600"), "RATE_LIMITED"),
        (wait(429, &error(429, "Too many requests", Some("QUOTA_EXCEEDED")), "86207"), "QUOTA_EXCEEDED"),
    ]
}

/// A removed endpoint, or something that is somebody else's.
fn forbidden() -> Fault {
    status(403, r#"{"error":{"status":403,"message":"Forbidden"}}"#)
}

/// Errors that leave a change in doubt.
fn failures() -> Vec<Fault> {
    vec![
        status(500, r#"{"error":{"status":500,"message":"Server error."}}"#),
        status(502, "<html><body>Bad Gateway</body></html>"),
        status(503, "Service Unavailable"),
        status(504, ""),
        Fault::Drop,
    ]
}

/// What comes back from an endpoint that works, spoiled.
fn spoils() -> Vec<Fault> {
    vec![Fault::Garbage, Fault::Truncate, Fault::Oversize { bytes: 5 << 20 }]
}

/// The code of what went wrong, wholly or in part.
fn code(result: &Value) -> &str {
    let content = &result["structuredContent"];
    content["error"]["code"].as_str().or_else(|| content["failure"]["code"].as_str()).unwrap_or_default()
}

struct Trial {
    stage: Stage,
    tool: String,
    arguments: Value,
    class: ToolClass,
    toolset: Toolset,
}

impl Trial {
    async fn of(tool: String, mode: QuotaMode, timeout: Duration) -> Self {
        let stage = Stage::with(("ada", mode), timeout).await;
        prepare(&stage, &tool).await;
        let arguments = Things::of(&stage).await.example(&tool);
        let policies = ToolPolicies::embedded().unwrap();
        let policy = policies.of(&tool).unwrap();
        Self { stage, arguments, class: policy.class, toolset: policy.toolset, tool }
    }

    /// The result of the call where this goes wrong with every request of these methods.
    async fn with(&self, methods: &[&str], fault: &Fault) -> Value {
        self.stage.control().clear_faults();
        for method in methods {
            self.stage.inject(&format!("{method} /v1/*"), 1_000, fault.clone());
        }
        self.stage.rig.call(&self.tool, self.arguments.clone()).await
    }

    /// Nothing of Spotify's works.
    async fn fails_wholly(&self) {
        for (fault, expected) in refusals() {
            let result = self.with(&["*"], &fault).await;
            assert_eq!(code(&result), expected, "{} {fault:?}: {result}", self.tool);
            assert_eq!(result["isError"], true, "{} {fault:?}: {result}", self.tool);
            if let Fault::Status { headers, .. } = &fault
                && let Some(wait) = headers.get("retry-after")
            {
                let told = &result["structuredContent"]["error"]["retry_after_seconds"];
                assert_eq!(told.to_string(), *wait, "{}", self.tool);
            }
        }
        let result = self.with(&["*"], &forbidden()).await;
        let known = code(&result) == "NOT_AVAILABLE_IN_MODE"
            || self.toolset == Toolset::Playlists && code(&result) == "FORBIDDEN";
        assert!(known, "{}: {result}", self.tool);
        for fault in failures() {
            let result = self.with(&["*"], &fault).await;
            let known = code(&result) == "UPSTREAM_ERROR"
                || self.class != ToolClass::Look && code(&result) == "AMBIGUOUS_WRITE";
            assert!(known, "{} {fault:?}: {result}", self.tool);
        }
        if self.class == ToolClass::Look {
            for fault in spoils() {
                let result = self.with(&["*"], &fault).await;
                assert_eq!(code(&result), "UPSTREAM_ERROR", "{} {fault:?}: {result}", self.tool);
            }
        }
    }

    /// Looking works, changing does not: then a failure is never taken for success, nor for certain failure.
    async fn fails_to_change(&self) {
        const CHANGES: [&str; 3] = ["PUT", "POST", "DELETE"];
        for (fault, expected) in refusals() {
            let result = self.with(&CHANGES, &fault).await;
            assert_eq!(code(&result), expected, "{} {fault:?}: {result}", self.tool);
        }
        for fault in failures() {
            let result = self.with(&CHANGES, &fault).await;
            assert_eq!(code(&result), "AMBIGUOUS_WRITE", "{} {fault:?}: {result}", self.tool);
        }
        self.stage.control().clear_faults();
        let result = self.stage.rig.call(&self.tool, self.arguments.clone()).await;
        assert_eq!((&result["isError"], code(&result)), (&json!(false), ""), "{}: {result}", self.tool);
    }
}

async fn tools() -> Vec<String> {
    let name = |tool: &Value| tool["name"].as_str().unwrap().to_owned();
    let all = listed(&Stage::new().await).await;
    all.iter().map(name).filter(|tool| !OWN.contains(&tool.as_str())).collect()
}

async fn every_tool_meets_every_error(mode: QuotaMode) {
    let trial = async |tool: String| {
        let trial = Trial::of(tool, mode, Duration::from_secs(8)).await;
        trial.fails_wholly().await;
        if trial.class != ToolClass::Look && !PLANNING.contains(&trial.tool.as_str()) {
            trial.fails_to_change().await;
        }
    };
    join_all(tools().await.into_iter().map(trial)).await;
}

#[tokio::test]
async fn every_tool_tells_every_error_in_development() {
    every_tool_meets_every_error(QuotaMode::Development).await;
}

#[tokio::test]
async fn every_tool_tells_every_error_in_development_legacy() {
    every_tool_meets_every_error(QuotaMode::DevelopmentLegacy).await;
}

#[tokio::test]
async fn every_tool_tells_every_error_in_extended() {
    every_tool_meets_every_error(QuotaMode::Extended).await;
}

#[tokio::test]
async fn every_tool_gives_up_on_a_spotify_that_is_too_slow() {
    let mut trials = Vec::new();
    for tool in tools().await {
        // One after the other: a busy machine alone should not be too slow.
        trials.push(Trial::of(tool, QuotaMode::Development, Duration::from_secs(1)).await);
    }
    let trial = async |trial: &Trial| {
        let result = trial.with(&["*"], &Fault::Delay { millis: 60_000 }).await;
        let known = code(&result) == "UPSTREAM_TIMEOUT"
            || trial.class != ToolClass::Look && code(&result) == "AMBIGUOUS_WRITE";
        assert!(known, "{}: {result}", trial.tool);
    };
    join_all(trials.iter().map(trial)).await;
}
