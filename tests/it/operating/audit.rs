//! The audit trail of a real server: verified while it runs and afterwards, changed in every way, searched, followed,
//! proven and handed out, and all of it checked by a second program.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{command, refusal, result};
use crate::support::server::{Setup, TestServer, binary, folder};
use crate::support::trail::records;

fn verifier() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/audit/verifier.py")
}

/// What the second program says; `None` where there is no Python.
pub(super) fn second(arguments: &[&str]) -> Option<Value> {
    let ran = std::process::Command::new("python3").arg(verifier()).args(arguments).output();
    let Ok(ran) = ran else {
        eprintln!("SKIPPED: python3 is not here");
        return None;
    };
    let said: Value = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&ran.stderr)));
    assert_eq!(ran.status.success(), said["holds"] == json!(true), "{said}");
    Some(said)
}

/// A server that a person has used, stopped in order.
async fn used() -> TestServer {
    let mut server = Setup::default().start().await;
    drop(server.listener("ada").await);
    server.stop().await;
    server
}

fn trail(server: &TestServer) -> Vec<Value> {
    records(&server.data_dir().join("audit"))
}

async fn verify(server: &TestServer, more: &[&str]) -> (i32, Value) {
    let arguments = [&["audit", "verify", "--format", "json"], more].concat();
    let output = command(server, &arguments).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    (output.status.code().unwrap(), told)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn copied(server: &TestServer) -> PathBuf {
    let copy = folder();
    std::fs::create_dir_all(&copy).unwrap();
    for entry in std::fs::read_dir(server.data_dir().join("audit")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    copy
}

#[tokio::test]
async fn a_trail_is_verified_while_its_server_writes_it_and_afterwards() {
    let mut server = Setup::default().start().await;
    // The first checkpoint comes with the first record, and its mark in the database soon after.
    for _ in 0..20 {
        if verify(&server, &[]).await.0 != 3 {
            break;
        }
    }
    for _ in 0..3 {
        server.client().await;
        let (status, told) = verify(&server, &[]).await;
        assert_eq!((status, &told["verified"]), (0, &json!(true)), "{told:#}");
    }
    server.stop().await;
    let (status, told) = verify(&server, &[]).await;
    assert_eq!((status, &told["verified"], &told["unsigned"]), (0, &json!(true), &json!(0)), "{told:#}");
    assert_eq!(told["records"]["last"], trail(&server).len());
    assert_eq!((&told["marks"][0]["source"], &told["unanchored"]), (&json!("database"), &json!(0)));
    let words = text(&command(&server, &["audit", "verify"]).await);
    assert!(words.contains("Verified: every record is as it was written and signed."), "{words}");
    assert!(words.contains("against the mark in the database at size"), "{words}");
    let key = told["keys"][0].as_str().unwrap();
    let dir = server.data_dir().join("audit");
    if let Some(said) = second(&["trail", dir.to_str().unwrap(), key]) {
        assert_eq!((&said["records"], &said["chain"]), (&told["records"]["last"], &told["chain"]), "{said}");
    }
}

#[tokio::test]
async fn a_copy_is_verified_elsewhere_with_the_public_key_and_an_anchor_alone() {
    let server = used().await;
    let (_, told) = verify(&server, &[]).await;
    let key = told["keys"][0].as_str().unwrap();
    let copy = copied(&server);
    let dir = copy.to_str().unwrap();
    let anchor = copy.join("checkpoints.ndjson");
    let elsewhere = async |more: &[&str]| {
        let arguments =
            [&["audit", "verify", "--format", "json", "--dir", dir, "--no-database"], more].concat();
        let output = binary().args(arguments).output().await.unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), told)
    };
    let (status, told) = elsewhere(&["--vkey", key, "--anchor", anchor.to_str().unwrap()]).await;
    assert_eq!(status, 0, "{told:#}");
    assert_eq!(told["marks"][0]["source"], "anchor");
    let codes = |told: &Value| -> Vec<String> {
        told["doubts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|doubt| doubt["code"].as_str().unwrap().to_owned())
            .collect()
    };
    let (status, told) = elsewhere(&["--vkey", key]).await;
    assert_eq!((status, codes(&told)), (3, vec!["AUDIT_NO_MARK".to_owned()]));
    let (status, told) = elsewhere(&["--anchor", anchor.to_str().unwrap()]).await;
    assert_eq!((status, codes(&told)), (3, vec!["AUDIT_NO_KEY".to_owned()]));
    let (status, told) = elsewhere(&["--vkey", key, "--since", anchor.to_str().unwrap()]).await;
    assert_eq!((status, &told["marks"][0]["source"]), (0, &json!("since")), "{told:#}");
    // Somebody else's key.
    let other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let (status, told) = elsewhere(&["--vkey", other, "--anchor", anchor.to_str().unwrap()]).await;
    assert_eq!((status, &told["problems"][0]["code"]), (1, &json!("AUDIT_KEY_UNKNOWN")));
}

#[tokio::test]
async fn what_was_changed_is_named_with_its_record_file_and_place() {
    let server = used().await;
    let file = server.data_dir().join("audit/audit-1.ndjson");
    let whole = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let offset = |at: usize| lines[..at].iter().map(|line| line.len() + 1).sum::<usize>();
    assert!(lines.len() > 6, "{whole}");
    let edited = |at: usize, line: String| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        lines[at] = line;
        lines.join("\n") + "\n"
    };
    let without = |at: usize| edited(at, String::new()).replacen("\n\n", "\n", 1);
    let last = lines.len() - 1;
    let cases = [
        (edited(3, lines[3].replace("\"time\":1", "\"time\":2")), "AUDIT_RECORD_CHANGED", 4, offset(3)),
        (edited(3, "{}".to_owned()), "AUDIT_RECORD_UNREADABLE", 4, offset(3)),
        (without(3), "AUDIT_RECORD_MISSING", 4, offset(3)),
        (edited(3, format!("{}\n{}", lines[3], lines[3])), "AUDIT_RECORD_MISPLACED", 5, offset(4)),
        (edited(3, format!("{}\n{}", lines[4], lines[3])), "AUDIT_RECORD_MISSING", 4, offset(3)),
        (lines[..last - 1].join("\n") + "\n", "AUDIT_TRUNCATED", last, offset(last - 1)),
    ];
    for (changed, code, seq, at) in cases {
        std::fs::write(&file, changed).unwrap();
        let (status, told) = verify(&server, &[]).await;
        let problem = &told["problems"][0];
        assert_eq!((status, &problem["code"], &problem["seq"]), (1, &json!(code), &json!(seq)), "{told:#}");
        assert_eq!(
            (&problem["file"], &problem["offset"]),
            (&json!("audit-1.ndjson"), &json!(at)),
            "{told:#}"
        );
        let words = text(&command(&server, &["audit", "verify"]).await);
        assert!(
            words.contains(&format!("WRONG [{code}] record {seq} in audit-1.ndjson at byte {at}")),
            "{words}"
        );
        assert!(words.contains("NOT as it was written."), "{words}");
        if let Some(said) = second(&["trail", server.data_dir().join("audit").to_str().unwrap()]) {
            assert_eq!(said["holds"], false);
        }
    }
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(verify(&server, &[]).await.0, 0);
    // Without its checkpoints, nobody signed it; without its files, the database still knows of it.
    std::fs::remove_file(server.data_dir().join("audit/checkpoints.ndjson")).unwrap();
    let (status, told) = verify(&server, &[]).await;
    assert_eq!((status, &told["problems"][0]["code"]), (1, &json!("AUDIT_UNSIGNED")), "{told:#}");
    let chain = told["chain"].as_str().unwrap().to_owned();
    std::fs::remove_file(&file).unwrap();
    let (status, told) = verify(&server, &[]).await;
    assert_eq!((status, &told["problems"][0]["code"]), (1, &json!("AUDIT_TRUNCATED")), "{told:#}");
    let (status, told) = verify(&server, &["--moved", &chain]).await;
    assert_eq!((status, &told["doubts"][0]["code"]), (3, &json!("AUDIT_EMPTY")), "{told:#}");
}

#[tokio::test]
async fn records_are_found_by_what_they_say_a_page_at_a_time() {
    let server = used().await;
    let all = trail(&server);
    let lines = async |more: &[&str]| -> Vec<Value> {
        let output = command(&server, &[&["audit", "query", "--format", "json"], more].concat()).await;
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        text(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(lines(&[]).await, all);
    let of = |code: &str| {
        all.iter().filter(|one| one["metadata"]["event_code"] == code).cloned().collect::<Vec<_>>()
    };
    assert_eq!(lines(&["--code", "sys_startup,sys_shutdown"]).await.len(), 2);
    assert_eq!(lines(&["--code", "client_registered"]).await, of("client_registered"));
    let client = of("client_registered")[0]["entity"]["uid"].as_str().unwrap().to_owned();
    let about = lines(&["--client", &client]).await;
    assert!(about.contains(&of("client_registered")[0]) && about.len() < all.len());
    assert!(about.iter().all(|record| record.to_string().contains(&client)), "{about:?}");
    assert_eq!(lines(&["--limit", "3", "--after", "2"]).await, all[2..5]);
    assert_eq!(lines(&["--limit", "2", "--newest"]).await, all[all.len() - 2..]);
    assert_eq!(lines(&["--before", "3"]).await, all[..2]);
    assert_eq!(lines(&["--from", "1h"]).await.len(), all.len());
    assert!(lines(&["--to", "2020-01-01"]).await.is_empty());
    assert!(lines(&["--severity", "critical"]).await.is_empty());
    assert!(lines(&["--outcome", "failed"]).await.is_empty());
    // A person by the id that the server gave them; the trail calls them otherwise.
    let login = &of("authn_login_success")[0];
    let name = login["actor"]["user"]["uid"].as_str().unwrap();
    assert!(name.starts_with("p_"), "{login}");
    let theirs = lines(&["--user", name]).await;
    assert!(!theirs.is_empty() && theirs.len() < all.len());
    assert_eq!(lines(&["--user", "ada"]).await.len(), theirs.len());

    let shown = text(&command(&server, &["audit", "query"]).await);
    assert!(shown.starts_with("     SEQ  TIME (UTC)"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let records = shown.lines().skip(1).filter(|line| !line.starts_with("          "));
    assert_eq!(records.count(), all.len(), "{shown}");
    let page = command(&server, &["audit", "query", "--limit", "2"]).await;
    assert!(String::from_utf8_lossy(&page.stderr).contains("There are more: --after 2"));

    for (arguments, code) in [
        (&["--code", "authn_login"][..], "AUDIT_CODE_UNKNOWN"),
        (&["--from", "yesterday"][..], "AUDIT_TIME_WRONG"),
    ] {
        let (status, error) = refusal(&server, &[&["audit", "query"], arguments].concat()).await;
        assert_eq!((status, &error["code"]), (2, &json!(code)));
    }
    let (status, error) = refusal(&server, &["audit", "query", "--dir", "/nonexistent"]).await;
    assert_eq!((status, &error["code"]), (3, &json!("AUDIT_UNREADABLE")));
}

#[tokio::test]
async fn personal_fields_are_opened_only_when_asked_and_that_is_recorded() {
    let server = used().await;
    let query = ["audit", "query", "--code", "authn_login_success"];
    let sealed = text(&command(&server, &query).await);
    assert!(!sealed.contains("127.0.0.1"), "{sealed}");
    let opened = text(&command(&server, &[&query[..], &["--personal"]].concat()).await);
    assert!(opened.contains("from 127.0.0.1") && opened.contains("u_"), "{opened}");
    let output = command(&server, &[&query[..], &["--personal", "--format", "json"]].concat()).await;
    let line: Value = serde_json::from_str(text(&output).lines().next().unwrap()).unwrap();
    assert_eq!(line["address"], "127.0.0.1");
    let name = line["record"]["actor"]["user"]["uid"].as_str().unwrap();
    assert!(line["people"][name].as_str().unwrap().starts_with("u_"), "{line}");
    let read = result_lines(&server, "audit_personal_read").await;
    assert_eq!(read.len(), 2, "both readings are in the trail");
    assert_eq!(verify(&server, &[]).await.0, 0);

    let mut without = server.environment.clone();
    without.remove("SPOTIFY_MCP_MASTER_KEY");
    let arguments = [&query[..], &["--personal", "--format", "json"]].concat();
    let output = binary().args(arguments).envs(&without).output().await.unwrap();
    assert!(output.stdout.is_empty() && output.status.code() == Some(3), "{output:?}");
}

async fn result_lines(server: &TestServer, code: &str) -> Vec<Value> {
    let output = command(server, &["audit", "query", "--format", "json", "--code", code]).await;
    text(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_newest_records_are_shown_and_followed() {
    let mut server = Setup::default().start().await;
    let output = command(&server, &["audit", "tail", "-n", "2"]).await;
    let records = text(&output).lines().skip(1).filter(|line| !line.starts_with("          ")).count();
    assert_eq!(records, 2, "{}", text(&output));
    let mut following = binary()
        .args(["audit", "tail", "-f", "-n", "0", "--format", "json", "--code", "client_registered"])
        .envs(&server.environment)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    // It reads the end of the trail before it follows.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    server.client().await;
    let wait = std::time::Duration::from_secs(20);
    let line = tokio::time::timeout(wait, lines.next_line()).await.unwrap().unwrap().unwrap();
    let record: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(record["metadata"]["event_code"], "client_registered");
    following.kill().await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn one_record_is_proven_to_whoever_has_the_public_key() {
    let server = used().await;
    let (_, told) = verify(&server, &[]).await;
    let key = told["keys"][0].as_str().unwrap();
    let file = server.data_dir().join("three.tlog-proof");
    let path = file.to_str().unwrap();
    let made = result(&server, &["audit", "prove", "--seq", "3", "-o", path]).await;
    assert_eq!((&made["seq"], &made["size"]), (&json!(3), &told["records"]["last"]));
    let proven = result(&server, &["audit", "verify", "--proof", path]).await;
    assert_eq!((&proven["proven"], &proven["record"]), (&json!(true), &trail(&server)[2]));
    if let Some(said) = second(&["proof", path, key]) {
        assert_eq!((&said["seq"], &said["record"]), (&json!(3), &trail(&server)[2]));
    }
    let printed = text(&command(&server, &["audit", "prove", "--seq", "3"]).await);
    assert_eq!(printed, std::fs::read_to_string(&file).unwrap());

    let forged = server.data_dir().join("forged.tlog-proof");
    std::fs::write(&forged, printed.replace("index 2", "index 3")).unwrap();
    let (status, error) = refusal(&server, &["audit", "verify", "--proof", forged.to_str().unwrap()]).await;
    assert_eq!((status, &error["code"]), (1, &json!("AUDIT_PROOF_WRONG")));
    if let Some(said) = second(&["proof", forged.to_str().unwrap(), key]) {
        assert_eq!(said["holds"], false);
    }
    let (status, error) = refusal(&server, &["audit", "verify", "--proof", path, "--no-database"]).await;
    assert_eq!((status, &error["code"]), (3, &json!("AUDIT_NO_KEY")));
    let (status, error) = refusal(&server, &["audit", "verify", "--proof", path, "--vkey", "x"]).await;
    assert_eq!((status, &error["code"]), (2, &json!("AUDIT_KEY_WRONG")));
    let (status, error) = refusal(&server, &["audit", "prove", "--seq", "3", "-o", path]).await;
    assert_eq!((status, &error["code"]), (2, &json!("FILE_EXISTS")));
    let (status, error) = refusal(&server, &["audit", "prove", "--seq", "4711"]).await;
    assert_eq!((status, &error["code"]), (3, &json!("AUDIT_NOT_SIGNED")));
    // Nothing is proven with records that are not those that were signed.
    let segment = server.data_dir().join("audit/audit-1.ndjson");
    let changed = std::fs::read_to_string(&segment).unwrap().replacen("\"time\":1", "\"time\":2", 1);
    std::fs::write(&segment, changed).unwrap();
    let (status, error) = refusal(&server, &["audit", "prove", "--seq", "3"]).await;
    assert_eq!((status, &error["code"]), (1, &json!("AUDIT_NOT_AS_SIGNED")));
}

#[tokio::test]
async fn an_exported_range_is_checked_by_a_second_program_and_is_the_same_each_time() {
    let server = used().await;
    let (_, told) = verify(&server, &[]).await;
    let key = told["keys"][0].as_str().unwrap();
    let (one, other) = (server.data_dir().join("one"), server.data_dir().join("other"));
    for pack in [&one, &other] {
        let arguments = ["audit", "export", "--from", "2", "--to", "5", "-o", pack.to_str().unwrap()];
        let made = result(&server, &arguments).await;
        assert_eq!((&made["first"], &made["last"], &made["records"]), (&json!(2), &json!(5), &json!(4)));
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&one).unwrap() {
        let name = entry.unwrap().file_name();
        assert_eq!(std::fs::read(one.join(&name)).unwrap(), std::fs::read(other.join(&name)).unwrap());
        names.push(name.into_string().unwrap());
    }
    names.sort();
    let expected = ["README.txt", "SHA256SUMS", "checkpoint.txt", "first.tlog-proof", "key-changes.ndjson"];
    assert_eq!(names[..5], expected);
    assert_eq!(names[5..], ["keys.txt", "last.tlog-proof", "records.ndjson", "verifier.py"]);
    for name in ["first", "last"] {
        let proof = one.join(format!("{name}.tlog-proof"));
        result(&server, &["audit", "verify", "--proof", proof.to_str().unwrap()]).await;
    }
    if let Some(said) = second(&["pack", one.to_str().unwrap(), key]) {
        assert_eq!((&said["first"], &said["last"]), (&json!(2), &json!(5)), "{said}");
        let records = one.join("records.ndjson");
        let changed = std::fs::read_to_string(&records).unwrap().replacen("\"time\":1", "\"time\":2", 2);
        std::fs::write(&records, changed).unwrap();
        assert_eq!(second(&["pack", one.to_str().unwrap(), key]).unwrap()["holds"], false);
    }
    let timed = server.data_dir().join("timed");
    let arguments = ["audit", "export", "--from", "1h", "--to", "2100-01-01", "-o", timed.to_str().unwrap()];
    assert_eq!(result(&server, &arguments).await["records"], trail(&server).len());
    let refused = async |from: &str, to: &str, folder: &Path| {
        refusal(&server, &["audit", "export", "--from", from, "--to", to, "-o", folder.to_str().unwrap()])
            .await
    };
    let (status, error) = refused("5", "2", &server.data_dir().join("no")).await;
    assert_eq!((status, &error["code"]), (2, &json!("AUDIT_RANGE")));
    let (status, error) = refused("2", "5", &one).await;
    assert_eq!((status, &error["code"]), (2, &json!("FILE_EXISTS")));
}

#[tokio::test]
async fn what_is_no_anchor_or_no_trail_is_refused_and_an_empty_folder_proves_nothing() {
    let server = Setup::default().prepare().await;
    let file = server.data_dir().join("x");
    std::fs::create_dir_all(server.data_dir()).unwrap();
    std::fs::write(&file, "hello\n").unwrap();
    let anchored = ["audit", "verify", "--anchor", file.to_str().unwrap()];
    let (status, error) = refusal(&server, &anchored).await;
    assert_eq!((status, &error["code"]), (2, &json!("AUDIT_ANCHOR_WRONG")));
    let (status, error) = refusal(&server, &["audit", "verify", "--anchor", "/nonexistent"]).await;
    assert_eq!((status, &error["code"]), (3, &json!("AUDIT_ANCHOR_UNREADABLE")));
    let (status, told) = verify(&server, &[]).await;
    assert_eq!((status, &told["doubts"][0]["code"]), (3, &json!("AUDIT_EMPTY")), "{told:#}");
    for arguments in [&["audit", "tail"][..], &["audit", "query"], &["audit", "prove", "--seq", "1"]] {
        let (status, error) = refusal(&server, arguments).await;
        assert_eq!((status, &error["code"]), (3, &json!("AUDIT_EMPTY")));
    }
}
