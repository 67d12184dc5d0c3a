//! Trails that live long: segments go when their time is over, keys follow one another, folders are moved away, several
//! servers share a database, and some records are older than any signature. All of it still verifies, or says why not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use spotify_mcp::ambient::{Clock, Timestamp};
use spotify_mcp::audit::Signed;
use tokio::time::{Instant, sleep};

use super::audit::second;
use super::{command, refusal, result};
use crate::support::database::Place;
use crate::support::server::{Setup, TestServer, binary, folder, free_port};
use crate::support::trail::{lived_before, records, segments};

const DAY: Duration = Duration::from_secs(86_400);
const ROTATE: [&str; 4] = ["rotate-keys", "--what", "signing", "--yes"];

fn trail(server: &TestServer) -> PathBuf {
    server.data_dir().join("audit")
}

fn ago(days: u32) -> Timestamp {
    Clock::system().now().minus(DAY * days)
}

async fn verify(server: &TestServer, more: &[&str]) -> (i32, Value) {
    verify_as(&server.environment, more).await
}

async fn verify_as(environment: &BTreeMap<String, String>, more: &[&str]) -> (i32, Value) {
    let arguments = [&["audit", "verify", "--format", "json"], more].concat();
    let output = binary().args(arguments).envs(environment).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    (output.status.code().unwrap(), told)
}

fn codes(told: &Value, of: &str) -> Vec<String> {
    let all = told[of].as_array().unwrap().iter();
    all.map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn signed(dir: &Path) -> Vec<Signed> {
    let text = std::fs::read_to_string(dir.join("checkpoints.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn first_number(dir: &Path) -> u32 {
    let first = segments(dir).remove(0);
    first.file_stem().unwrap().to_str().unwrap()[6..].parse().unwrap()
}

#[tokio::test]
async fn old_segments_and_their_checkpoints_go_and_what_is_left_verifies() {
    let mut server = Setup::default().env("SPOTIFY_MCP__AUDIT__KEEP_DAYS", "30").prepare().await;
    let dir = trail(&server);
    // Some segments long ago, one that is still going on.
    lived_before(&server, (ago(40), 20_000), |count| count == 30).await;
    let before = (segments(&dir).len(), signed(&dir));
    assert!(before.0 >= 4 && before.1.len() >= 4, "{before:?}");
    let (status, told) = verify(&server, &[]).await;
    assert_eq!((status, &told["retired"]), (0, &Value::Null), "{told:#}");
    server.start().await;
    until("nothing goes", async || usize::try_from(first_number(&dir)).unwrap() == before.0).await;
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
    let gone = records(&dir)[0]["unmapped"]["segment"]["tree_size"].as_u64().unwrap();
    until("checkpoints stay", async || signed(&dir)[0].size >= gone).await;
    assert!(!dir.join("checkpoints.ndjson.next").exists());
    assert_eq!(server.stop().await.code(), Some(0));
    // The rest of them are there, in order, and more came.
    let (left, stay) = (signed(&dir), before.1.iter().filter(|one| one.size >= gone).count());
    assert!(stay >= 1 && left.len() > stay, "{left:?}");
    assert_eq!(left[..stay], before.1[before.1.len() - stay..]);

    let (status, told) = verify(&server, &[]).await;
    assert_eq!((status, &told["records"]["first"]), (0, &json!(gone + 1)), "{told:#}");
    assert_eq!(
        (&told["retired"]["records"], &told["retired"]["segments"]),
        (&json!(gone), &json!(before.0 - 1))
    );
    let removal = told["retired"]["seq"].as_u64().unwrap();
    let record = records(&dir).into_iter().find(|record| record["metadata"]["sequence"] == removal).unwrap();
    assert_eq!(record["metadata"]["event_code"], "audit_segments_removed");
    let words = command(&server, &["audit", "verify"]).await;
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    let expected =
        format!("retired     records 1 to {gone}, segments 1 to {}, by record {removal}", before.0 - 1);
    assert!(words.contains(&expected), "{words}");
    let key = told["keys"][0].as_str().unwrap();
    if let Some(said) = second(&["trail", dir.to_str().unwrap(), key]) {
        assert_eq!(said["records"], told["records"]["last"], "{said}");
    }
    let (status, error) = refusal(&server, &["audit", "prove", "--seq", "2"]).await;
    assert_eq!((status, &error["code"]), (3, &json!("AUDIT_RECORD_GONE")));
    // What nobody said goes is missing.
    std::fs::remove_file(segments(&dir).remove(0)).unwrap();
    std::fs::write(dir.join(format!("audit-{}.ndjson", before.0 + 1)), "").unwrap();
    assert_ne!(verify(&server, &[]).await.0, 0);
}

#[tokio::test]
async fn whoever_trusts_one_key_verifies_across_every_change_though_its_record_has_gone() {
    let mut server = Setup::default().env("SPOTIFY_MCP__AUDIT__KEEP_DAYS", "30").prepare().await;
    let dir = trail(&server);
    let first = lived_before(&server, (ago(60), 20_000), |count| count == 8).await.key;
    result(&server, &ROTATE).await;
    lived_before(&server, (ago(50), 20_000), |count| count == 8).await;
    // A proof by the second of three keys.
    let proof = server.data.join("second.tlog-proof");
    let proof = proof.to_str().unwrap();
    result(&server, &["audit", "prove", "--seq", "2", "-o", proof]).await;
    result(&server, &ROTATE).await;
    let third = lived_before(&server, (ago(40), 20_000), |count| count == 16).await.key;
    for given in [&[][..], &["--vkey", &first], &["--vkey", &third]] {
        let (status, told) = verify(&server, given).await;
        assert_eq!((status, told["keys"].as_array().unwrap().len()), (0, 3), "{told:#}");
        result(&server, &[&["audit", "verify", "--proof", proof], given].concat()).await;
    }
    let alone = ["audit", "verify", "--proof", proof, "--no-database", "--vkey", &first];
    let (status, error) = refusal(&server, &alone).await;
    assert_eq!((status, &error["code"]), (1, &json!("AUDIT_PROOF_WRONG")));
    assert!(error["message"].as_str().unwrap().contains("the key that was in force then"), "{error}");

    server.start().await;
    let changes = || records(&dir).iter().filter(|one| one["unmapped"]["key_change"].is_object()).count();
    until("the changes stay", async || changes() == 0).await;
    assert_eq!(server.stop().await.code(), Some(0));
    // The database has the same words.
    for given in [&[][..], &["--vkey", &first], &["--vkey", &third]] {
        let (status, told) = verify(&server, given).await;
        assert_eq!(status, 0, "{given:?}: {told:#}");
        result(&server, &[&["audit", "verify", "--proof", proof], given].concat()).await;
    }
    // Without them, the key in force has to be given.
    let anchor = dir.join("checkpoints.ndjson");
    let elsewhere = ["--no-database", "--anchor", anchor.to_str().unwrap()];
    let (status, told) = verify(&server, &[&elsewhere[..], &["--vkey", &first]].concat()).await;
    assert_eq!((status, codes(&told, "problems")[0].as_str()), (1, "AUDIT_KEY_UNKNOWN"), "{told:#}");
    let (status, told) = verify(&server, &[&elsewhere[..], &["--vkey", &third]].concat()).await;
    assert_eq!(status, 0, "{told:#}");

    // And on while the server runs.
    server.start().await;
    server.listener("ada").await;
    result(&server, &ROTATE).await;
    until("the change is not on record", async || changes() == 1).await;
    until("it does not verify", async || verify(&server, &["--vkey", &first]).await.0 == 0).await;
    assert_eq!(server.stop().await.code(), Some(0));
    assert_eq!(verify(&server, &["--vkey", &first]).await.0, 0);
}

#[tokio::test]
async fn a_trail_that_was_moved_away_is_missed_until_somebody_says_so() {
    let mut server = Setup::default().start().await;
    server.stop().await;
    let (_, told) = verify(&server, &[]).await;
    let moved = told["chain"].as_str().unwrap().to_owned();
    std::fs::rename(trail(&server), server.data.join("evidence")).unwrap();
    server.start().await;
    server.stop().await;
    let (status, told) = verify(&server, &[]).await;
    assert_eq!((status, codes(&told, "doubts")), (3, vec!["AUDIT_TRAIL_ELSEWHERE".to_owned()]), "{told:#}");
    assert!(told["doubts"][0]["what"].as_str().unwrap().contains(&moved));
    let (status, told) = verify(&server, &["--moved", &moved]).await;
    assert_eq!((status, codes(&told, "doubts")), (0, vec![]), "{told:#}");
    // It is verified where it is.
    let aside = server.data.join("evidence");
    let (status, told) = verify(&server, &["--dir", aside.to_str().unwrap(), "--moved", "another"]).await;
    assert_eq!(
        (told["chain"].as_str(), status),
        (Some(moved.as_str()), 3),
        "the new one is not there: {told:#}"
    );
    let new = told["doubts"][0]["what"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(verify(&server, &["--dir", aside.to_str().unwrap(), "--moved", &new]).await.0, 0);
}

#[tokio::test]
async fn servers_of_one_database_have_a_trail_each_and_each_names_the_others() {
    let Some(place) = Place::postgres().await else { return };
    let mut server = Setup::on(place).start().await;
    let other = folder();
    let mut beside = server.environment.clone();
    let port = free_port();
    beside.insert("DATA_DIR".to_owned(), other.display().to_string());
    beside.insert("SERVER_PORT".to_owned(), port.to_string());
    let mut serve = binary();
    serve.arg("serve").envs(&beside).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = serve.kill_on_drop(true).spawn().unwrap();
    until("it does not start", async || {
        let asked = server.http.get(format!("http://127.0.0.1:{port}/readyz")).send().await;
        asked.is_ok_and(|reply| reply.status().is_success())
    })
    .await;
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
    // Both follow a change of the key that they share.
    result(&server, &ROTATE).await;
    let changed = |dir: &Path| records(dir).iter().any(|one| one["unmapped"]["key_change"].is_object());
    let theirs = other.join("audit");
    until("they do not follow", async || changed(&trail(&server)) && changed(&theirs)).await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    child.wait().await.unwrap();
    assert_eq!(server.stop().await.code(), Some(0));

    let (status, one) = verify(&server, &[]).await;
    assert_eq!((status, one["keys"].as_array().unwrap().len()), (0, 2), "{one:#}");
    let (status, two) = verify_as(&beside, &[]).await;
    assert_eq!(status, 0, "{two:#}");
    assert_eq!(
        (&one["elsewhere"][0]["chain"], &two["elsewhere"][0]["chain"]),
        (&two["chain"], &one["chain"])
    );
    let words = command(&server, &["audit", "verify"]).await;
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    let expected = format!("elsewhere   trail {} of another server: ", two["chain"].as_str().unwrap());
    assert!(words.contains(&expected), "{words}");
    let (_, named) = verify(&server, &["--moved", two["chain"].as_str().unwrap()]).await;
    assert_eq!(named["elsewhere"], json!([]));
    // One that was cut off at the other server is found there.
    let segment = segments(&theirs).pop().unwrap();
    let text = std::fs::read_to_string(&segment).unwrap();
    let kept: Vec<&str> = text.lines().collect();
    std::fs::write(&segment, kept[..kept.len() - 2].join("\n") + "\n").unwrap();
    let (status, cut) = verify_as(&beside, &[]).await;
    assert_eq!((status, codes(&cut, "problems")[0].as_str()), (1, "AUDIT_TRUNCATED"), "{cut:#}");
    assert_eq!(verify(&server, &[]).await.0, 0);
    std::fs::remove_dir_all(&other).unwrap();
}

/// Records as versions wrote them that did not sign: a chain, and nothing else.
fn unsigned(dir: &Path, began: u64) {
    std::fs::create_dir_all(dir).unwrap();
    let (mut prev, mut text) = ("0".repeat(64), String::new());
    for seq in 1..=25 {
        let record = json!({
            "metadata": {
                "event_code": "session_created", "sequence": seq, "uid": format!("e_{seq:032x}"), "version": "1.8.0",
            },
            "time": began + seq,
            "unmapped": { "chain_uid": "00112233445566778899aabbccddeeff", "epoch": 0, "prev": prev },
        });
        let line = record.to_string();
        prev = Sha256::digest(&line).iter().map(|byte| format!("{byte:02x}")).collect();
        text += &(line + "\n");
    }
    std::fs::write(dir.join("audit-1.ndjson"), text).unwrap();
}

#[tokio::test]
async fn records_from_before_any_signature_are_held_by_the_first_checkpoint_after_them() {
    let mut server = Setup::default().prepare().await;
    let dir = trail(&server);
    unsigned(&dir, 1_790_000_000_000);
    let (status, told) = verify(&server, &[]).await;
    assert_eq!((status, codes(&told, "problems")), (1, vec!["AUDIT_UNSIGNED".to_owned()]), "{told:#}");
    server.start().await;
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
    assert_eq!(server.stop().await.code(), Some(0));
    assert_eq!(segments(&dir).len(), 2);
    let opening = &records(&dir)[25];
    assert_eq!(
        (&opening["unmapped"]["epoch"], &opening["unmapped"]["segment"]["tree_size"]),
        (&json!(1), &json!(25))
    );
    let (status, told) = verify(&server, &[]).await;
    assert_eq!((status, &told["records"]["first"]), (0, &json!(1)), "{told:#}");
    let key = told["keys"][0].as_str().unwrap();
    if let Some(said) = second(&["trail", dir.to_str().unwrap(), key]) {
        assert_eq!(said["records"], told["records"]["last"], "{said}");
    }
    result(&server, &["audit", "prove", "--seq", "7", "-o", server.data.join("7").to_str().unwrap()]).await;
    // They are changed, and made to fit as far as their segment goes.
    unsigned(&dir, 1_780_000_000_000);
    let (status, told) = verify(&server, &[]).await;
    assert_eq!((status, codes(&told, "problems")[0].as_str()), (1, "AUDIT_RECORD_CHANGED"), "{told:#}");
    assert_eq!(told["problems"][0]["seq"], 25);
}
