//! Every rule from its cause to whoever is told: what an attacker, a fault or an operator does, through HTTP, SQL or the
//! command line, and the alert at a webhook. `failed_logins` is in telling.rs, `blocked_host` and `undelivered` in
//! mailing.rs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use reqwest::StatusCode;
use serde_json::{Value, json};
use spotify_mcp::ambient::Clock;

use super::telling::{RULES, Receiver, SECRET, URL, secret};
use super::{result, told};
use crate::support::client::Pair;
use crate::support::listener::{Era, speak};
use crate::support::server::{Setup, TestServer};

/// A server that tells a webhook.
async fn telling() -> (Receiver, Setup) {
    let (receiver, url) = Receiver::start().await;
    (receiver, Setup::default().env(URL, &url).env(SECRET, &secret()))
}

/// The one alert that comes: its rule, event, subject and gravity, and nobody in it. Its records are in the trail.
async fn heard(server: &TestServer, receiver: &Receiver, expected: [&str; 4], nobody: &[&str]) -> Value {
    let alert = receiver.expect(1).await.remove(0).body;
    let data = alert["data"].clone();
    let said = ["rule", "event", "about", "severity"].map(|name| data[name].as_str().unwrap().to_owned());
    assert_eq!(said, expected, "{data}");
    let record = data["audit_records"][0].as_str().unwrap();
    assert!(told(server, expected[1]).iter().any(|line| line.contains(record)), "{record}");
    // Ids are random digits, which may spell a name.
    let ids = data["audit_records"].as_array().unwrap().iter().filter_map(Value::as_str);
    let text = alert.to_string().replace(&server.origin, "");
    let text = ids.fold(text, |text, id| text.replace(id, ""));
    for name in nobody.iter().chain(&["127.0.0.1", "\"u_", "\"l_"]) {
        assert!(!text.contains(name), "{name} is in {text}");
    }
    data
}

#[tokio::test]
async fn a_code_that_comes_again_is_told() {
    let (receiver, setup) = telling().await;
    let server = setup.start().await;
    let (client, browser) = (server.client().await, server.browser());
    let attempt = client.attempt();
    let code = client.code(&attempt, &browser, "ada").await;
    Pair::of(&client.redeem(&code, &attempt.verifier).await);
    assert_eq!(client.redeem(&code, &attempt.verifier).await.1["error"], "invalid_grant");
    let names = ["ada", client.id.as_str(), code.as_str()];
    heard(&server, &receiver, ["token_reuse", "authn_token_reuse", "", "high"], &names).await;
}

#[tokio::test]
async fn guessed_credentials_are_told_when_they_are_many() {
    let (receiver, setup) = telling().await;
    let server = setup.env(RULES, "invalid_credentials=5/10m").start().await;
    let guess = async |n: usize| {
        let request =
            server.http.post(format!("{}/mcp", server.origin)).bearer_auth(format!("smat_guessed{n}"));
        let reply = speak(request, Era::Modern, "tools/list", json!({})).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
    };
    for n in 0..4 {
        guess(n).await;
    }
    receiver.expect(0).await;
    guess(4).await;
    let expected = ["invalid_credentials", "authentication_failure", "", "medium"];
    let data = heard(&server, &receiver, expected, &["guessed"]).await;
    assert_eq!(data["events"], 5);
}

#[tokio::test]
async fn a_stored_value_that_does_not_open_is_told() {
    let (receiver, setup) = telling().await;
    let mut server = setup.start().await;
    let ada = server.listener("ada").await;
    server.stop().await;
    // What another row holds: sealed well, for another place.
    let raw = server.place.raw().await;
    raw.run("UPDATE linked_accounts SET access_token = refresh_token").await;
    server.start().await;
    assert_eq!(ada.call("get_current_track", json!({})).await.error(), "RECONNECT_REQUIRED");
    heard(&server, &receiver, ["decryption_failure", "crypt_decrypt_fail", "", "high"], &["ada"]).await;
}

#[tokio::test]
async fn a_lockdown_and_its_end_are_told_each_while_everything_else_is_closed() {
    let (receiver, setup) = telling().await;
    let server = setup.start().await;
    result(&server, &["incident", "lockdown", "--yes", "--reason", "strange calls by ada"]).await;
    let expected = ["lockdown", "lockdown_began", "lockdown_began", "critical"];
    heard(&server, &receiver, expected, &["strange", "ada"]).await;
    result(&server, &["incident", "lift", "--yes"]).await;
    let lifted = receiver.expect(2).await.remove(1).body;
    assert_eq!(
        (&lifted["data"]["rule"], &lifted["data"]["event"]),
        (&json!("lockdown"), &json!("lockdown_lifted"))
    );
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_told() {
    let (receiver, setup) = telling().await;
    let mut server = setup.prepare().await;
    let now = Duration::from_secs(u64::try_from(Clock::system().now().secs()).unwrap());
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + now + Duration::from_secs(5 * 86_400);
    let certificate = params.self_signed(&key).unwrap();
    for (name, label, der) in [
        ("SERVER_TLS_CERTIFICATE", "CERTIFICATE", certificate.der().to_vec()),
        ("SERVER_TLS_KEY", "PRIVATE KEY", key.serialize_der()),
    ] {
        let file = server.data.join(name);
        let text = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
        std::fs::write(&file, text).unwrap();
        server.environment.insert(name.to_owned(), file.display().to_string());
    }
    let _child = server.command().spawn().unwrap();
    let expected = ["certificate", "certificate_expires", "certificate_expires", "high"];
    let alert = receiver.expect(1).await.remove(0).body;
    let said =
        ["rule", "event", "about", "severity"].map(|name| alert["data"][name].as_str().unwrap().to_owned());
    assert_eq!(said, expected, "{alert}");
}

#[tokio::test]
async fn a_configuration_that_is_refused_is_told_once_however_often_it_is_tried() {
    let (receiver, setup) = telling().await;
    let mut server = setup.prepare().await;
    let file = server.data.join("server.toml");
    std::fs::write(&file, "").unwrap();
    server.environment.insert("SPOTIFY_MCP_CONFIG".to_owned(), file.display().to_string());
    server.start().await;
    std::fs::write(&file, "[server]\nprot = 1\n").unwrap();
    for _ in 0..3 {
        let output = super::command(&server, &["config", "reload"]).await;
        assert_eq!(output.status.code(), Some(2));
    }
    let expected = ["configuration", "config_refused", "config_refused", "medium"];
    heard(&server, &receiver, expected, &["prot"]).await;
}

#[tokio::test]
async fn a_trail_that_is_gone_or_torn_is_told() {
    let (receiver, setup) = telling().await;
    let mut server = setup.start().await;
    let _ada = server.listener("ada").await;
    server.stop().await;
    let folder = server.data_dir().join("audit");
    let chain = super::trail(&server)[0]["unmapped"]["chain_uid"].as_str().unwrap().to_owned();
    // A crash in the middle of a line.
    let segment = folder.join("audit-1.ndjson");
    let whole = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, [&whole[..], b"{\"torn"].concat()).unwrap();
    server.start().await;
    let torn = ["audit_trail", "audit_tail_repaired", "audit_tail_repaired", "high"];
    heard(&server, &receiver, torn, &["ada"]).await;
    server.stop().await;

    std::fs::rename(&folder, server.data.join("moved")).unwrap();
    server.start().await;
    let alert = receiver.expect(2).await.remove(1).body;
    let said = ["rule", "event", "severity"].map(|name| alert["data"][name].as_str().unwrap());
    assert_eq!(said, ["audit_trail", "audit_trail_missing", "high"], "{alert}");
    let missing: Value = serde_json::from_str(&told(&server, "audit_trail_missing")[0]).unwrap();
    assert_eq!(missing["unmapped"]["subject"], chain, "{missing}");
    assert!(missing["unmapped"]["details"]["records"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    // Once: what begins now is known.
    server.stop().await;
    server.start().await;
    assert_eq!(told(&server, "audit_trail_missing").len(), 1);
    server.stop().await;
    let (status, verified) = super::refused_or_told(&server, &["audit", "verify"]).await;
    assert_eq!(
        (status, &verified["doubts"][0]["code"]),
        (3, &json!("AUDIT_TRAIL_ELSEWHERE")),
        "{verified:#}"
    );
}

#[tokio::test]
async fn an_advisory_about_this_program_is_told() {
    let (receiver, setup) = telling().await;
    let server = setup.start().await;
    let file = server.data.join("db/crates/serde/RUSTSEC-2026-9999.md");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = "```toml\n[advisory]\nid = \"RUSTSEC-2026-9999\"\npackage = \"serde\"\ndate = \"2026-11-01\"\n\
                cvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"\n\n[versions]\npatched = [\">= 9.0.0\"]\n\
                ```\n\n# A hole\n\nText.\n";
    std::fs::write(&file, text).unwrap();
    let database = server.data.join("db").display().to_string();
    let check = ["security-check", "deps", "--offline", "--only", "SMC7002", "--advisory-db", &database];
    let output = super::command(&server, &check).await;
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    let expected = ["advisory_found", "advisory_found", "", "high"];
    heard(&server, &receiver, expected, &["/db"]).await;
    let found: Value = serde_json::from_str(&told(&server, "advisory_found")[0]).unwrap();
    assert_eq!(found["unmapped"]["subject"], "RUSTSEC-2026-9999");
    assert!(found["unmapped"]["details"]["package"].as_str().unwrap().starts_with("serde 1."), "{found}");

    // Looking again tells nothing new.
    let again = super::command(&server, &check).await;
    assert_eq!(again.status.code(), Some(1), "{}", String::from_utf8_lossy(&again.stdout));

    // What is found of another program is nothing of this one.
    std::fs::write(
        server.data.join("Cargo.lock"),
        "version = 4\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.1\"\n\
         source = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
    )
    .unwrap();
    let lock = server.data.join("Cargo.lock").display().to_string();
    let other = super::command(&server, &[&check[..], &["--lockfile", &lock]].concat()).await;
    assert_eq!(other.status.code(), Some(1), "{}", String::from_utf8_lossy(&other.stdout));
    // A command that comes later is on record before this one would be.
    result(&server, &["incident", "lockdown", "--yes"]).await;
    receiver.expect(2).await;
    assert_eq!(told(&server, "advisory_found").len(), 1);
}

#[test]
fn every_rule_is_in_the_document_with_its_events() {
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitoring.md")).unwrap();
    for rule in spotify_mcp::policy::alerts::BUILT_IN.iter() {
        let line = document.lines().find(|line| line.starts_with(&format!("| `{}` |", rule.name)));
        let line = line.unwrap_or_else(|| panic!("docs/monitoring.md does not name {}", rule.name));
        for event in &rule.events {
            assert!(line.contains(&format!("`{}`", event.name())), "{}: {}", rule.name, event.name());
        }
    }
}
