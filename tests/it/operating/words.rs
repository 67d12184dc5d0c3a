//! The words of commands: credentials among them, more of them than fits, files that do not end.

use std::time::{Duration, Instant};

use serde_json::json;
use spotify_mcp::crypto::token::{Token, TokenKind};

use super::{command, refusal, result, trail};
use crate::support::server::Setup;

#[tokio::test]
async fn a_credential_among_the_words_is_refused_and_kept_nowhere() {
    let mut server = Setup::default().start().await;
    let ada = server.listener("ada").await;
    let key = result(&server, &["api-keys", "create", "--user", "ada", "--name", "a test"]).await;
    let key = key["key"].as_str().unwrap();
    let pair = ada.pair();
    let cookie = ada.browser.cookies().into_values().find(|value| value.starts_with("smbs_")).unwrap();
    let ours = |kind: TokenKind| Token::mint(kind, &[7; 32]).expose().to_owned();
    let all = [
        key.to_owned(),
        pair.access.clone(),
        pair.refresh.clone(),
        cookie,
        ours(TokenKind::Code),
        ours(TokenKind::ClientSecret),
        ours(TokenKind::McpSession),
        // Cut off, as somebody copies it.
        key[..40].to_owned(),
    ];
    for secret in &all {
        let secret = secret.as_str();
        let reason = format!("leaked: {secret}");
        let attached = format!("--reason={secret}");
        for words in [
            &["users", "delete", secret, "--yes"][..],
            &["users", "disable", "ada", "--yes", "--reason", &reason],
            &["users", "show", secret],
            &["clients", "delete", secret, "--yes"],
            &["api-keys", "revoke", secret, "--yes"],
            &["revoke-sessions", "--user", "ada", "--yes", &attached],
            &["revoke-sessions", "--client", secret, "--yes"],
            &["incident", "lockdown", "--yes", "--reason", secret],
            &["incident", "authentication-compromise", "--user", secret, "--yes"],
            &["incident", "abandon", secret, "--reason", "x", "--yes"],
            &["audit", "query", "--client", secret],
            &["audit", "query", "--session", secret],
            &["alerts", "resend", secret],
            &["no-such-command", secret],
        ] {
            let output = command(&server, &[words, &["--format", "json"]].concat()).await;
            let said = String::from_utf8_lossy(&[output.stdout.clone(), output.stderr].concat()).into_owned();
            assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
            assert!(said.contains("SECRET_INSTEAD_OF_ID") && !said.contains(secret), "{words:?}: {said}");
        }
    }
    // Nothing was done, and nothing of it is on record.
    assert_eq!(ada.call("get_status", json!({})).await.status, reqwest::StatusCode::OK);
    server.stop().await;
    let records: String = trail(&server).iter().map(ToString::to_string).collect();
    for secret in &all {
        assert!(!records.contains(secret.as_str()));
    }
    for dump in server.place.raw().await.dump().await {
        assert!(!all.iter().any(|secret| dump.contains(secret.as_str())), "{dump}");
    }
}

#[tokio::test]
async fn what_is_given_is_bounded() {
    let server = Setup::default().start().await;
    let began = Instant::now();
    for (option, code) in [
        ("--anchor", "AUDIT_ANCHOR_WRONG"),
        ("--since", "AUDIT_ANCHOR_WRONG"),
        ("--proof", "AUDIT_PROOF_WRONG"),
    ] {
        for endless in ["/dev/zero", "/dev/urandom"] {
            let (status, error) = refusal(&server, &["audit", "verify", option, endless]).await;
            // Noise is no text; of zeros, none is.
            let unreadable = error["code"] == "AUDIT_PROOF_UNREADABLE";
            assert!(status > 0 && (error["code"] == code || unreadable), "{option} {endless}: {error}");
        }
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let long = "x".repeat(60_000);
    for list in ["users", "clients"] {
        let (status, error) = refusal(&server, &[list, "list", "--search", &long]).await;
        assert_eq!((status, &error["code"]), (2, &json!("USAGE")), "{list}");
        assert!(error["message"].as_str().unwrap().contains("more than 200 characters"), "{list}");
    }
}

#[tokio::test]
async fn every_command_answers_in_the_form_that_was_asked_for_and_names_what_is_missing() {
    let server = Setup::default().start().await;
    let lives = result(&server, &["healthcheck"]).await;
    assert_eq!(lives["alive"], true, "{lives}");
    let (status, error) = refusal(&server, &["incident"]).await;
    assert_eq!((status, &error["code"]), (2, &json!("USAGE")));
    assert!(error["message"].as_str().unwrap().contains("authentication-compromise"), "{error}");
    let (status, error) = refusal(&server, &["backup", "verify", "/nowhere/monday.backup"]).await;
    assert_eq!((status, &error["code"]), (3, &json!("BACKUP_IO")));
    assert!(error["next"].as_str().unwrap().contains("backup list"), "{error}");
}
