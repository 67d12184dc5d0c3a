//! The audit trail of a running server: signed in file and database, without anybody's name in it, kept by commands
//! where no server runs, and never gone on with where it is not what was signed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use spotify_mcp::ambient::{Clock, Dice};
use spotify_mcp::audit::Signed;
use spotify_mcp::audit::merkle::{Frontier, leaf_hash};
use spotify_mcp::audit::note::{Checkpoint, Note, Verifier};
use spotify_mcp::domain::UserId;
use spotify_mcp::domain::event::{Event, EventCode};
use spotify_mcp::store::{ChainMark, Recorded};
use tokio::time::{Instant, sleep};

use super::api_keys::{command, made, result};
use crate::support::database::at_both;
use crate::support::server::{Setup, TestServer};
use crate::support::trail::{Reader, records, segments};

fn folder(server: &TestServer) -> PathBuf {
    server.data_dir().join("audit")
}

fn lines(dir: &Path) -> Vec<String> {
    let texts = segments(dir).into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn checkpoints(dir: &Path) -> Vec<Signed> {
    let text = std::fs::read_to_string(dir.join("checkpoints.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn mark(server: &TestServer) -> ChainMark {
    let reader = Reader::of(server).await;
    let mut chains = reader.store.audit_chains().await.unwrap();
    assert_eq!(chains.len(), 1);
    chains.remove(0)
}

/// The checkpoint is of the trail's own tree, and by the key that the database knows.
fn assert_signed(dir: &Path, note: &str, keys: &[&str]) -> u64 {
    let known: Vec<_> = keys.iter().map(|key| Verifier::parse(key).unwrap()).collect();
    let note = Note::parse(note).unwrap();
    assert_eq!(note.check(&known).unwrap().len(), keys.len());
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    let mut tree = Frontier::new();
    let lines = lines(dir);
    let covered = lines.iter().take(usize::try_from(checkpoint.size).unwrap());
    covered.for_each(|line| tree.append(leaf_hash(line.as_bytes())));
    assert_eq!((checkpoint.size, checkpoint.root), (tree.size(), tree.root()));
    checkpoint.size
}

fn codes(dir: &Path) -> Vec<String> {
    records(dir).iter().map(|record| record["metadata"]["event_code"].as_str().unwrap().to_owned()).collect()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_a_server_records_is_signed_in_file_and_database() {
    at_both(async |place| {
        let mut server = Setup::on(place).start().await;
        server.listener("ada").await.call("get_current_track", json!({})).await.content();
        // The first records are signed at once, and the database hears of it while the server runs.
        until("the database knows no mark", async || {
            !Reader::of(&server).await.store.audit_chains().await.unwrap().is_empty()
        })
        .await;
        assert_eq!(server.stop().await.code(), Some(0));
        let (dir, mark) = (folder(&server), mark(&server).await);
        assert_eq!(mark.first_key, mark.key);
        assert_eq!(mark.writer, std::fs::read_to_string(dir.join("node")).unwrap());
        let size = assert_signed(&dir, &mark.note, &[&mark.key]);
        assert_eq!((size, mark.size.unsigned_abs()), (lines(&dir).len() as u64, size), "all of it");
        let last = checkpoints(&dir).pop().unwrap();
        assert_eq!((last.note, last.size, last.epoch), (mark.note, size, 1));
        assert_eq!(codes(&dir).first().unwrap(), "audit_segment_opened");
        assert_eq!(codes(&dir).last().unwrap(), "sys_shutdown");
    })
    .await;
}

#[tokio::test]
async fn a_trail_that_was_cut_off_is_not_gone_on_with() {
    let mut server = TestServer::new().await;
    server.listener("ada").await;
    assert_eq!(server.stop().await.code(), Some(0));
    let dir = folder(&server);
    let segment = segments(&dir).pop().unwrap();
    let whole = std::fs::read_to_string(&segment).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let refused = async |server: &TestServer, what: &str| {
        let mut start = server.command();
        start.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let output = start.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{what}: {said}");
        assert!(said.contains("AUDIT_CHANGED") && said.contains("audit verify"), "{what}: {said}");
    };
    std::fs::write(&segment, lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    refused(&server, "cut off, by the file of checkpoints").await;
    let kept = checkpoints(&dir).into_iter().filter(|signed| signed.size < lines.len() as u64);
    let text: String = kept.map(|signed| signed.line() + "\n").collect();
    std::fs::write(dir.join("checkpoints.ndjson"), text).unwrap();
    refused(&server, "both cut off, by the database").await;
    std::fs::write(&segment, &whole).unwrap();
    server.start().await;
    server.listener("ada").await;
    assert_eq!(server.stop().await.code(), Some(0));

    // As the message says: moved away, and begun anew.
    std::fs::rename(&dir, server.data.join("evidence")).unwrap();
    server.start().await;
    assert_eq!(server.stop().await.code(), Some(0));
    assert_eq!(records(&dir)[0]["metadata"]["sequence"], 1);
    assert_eq!(Reader::of(&server).await.store.audit_chains().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_kill_leaves_a_trail_that_goes_on_and_holds() {
    let mut server = TestServer::new().await;
    let ada = server.listener("ada").await;
    for _ in 0..3 {
        ada.call("get_current_track", json!({})).await.content();
        server.kill().await;
        server.start().await;
    }
    assert_eq!(server.stop().await.code(), Some(0));
    let (dir, mark) = (folder(&server), mark(&server).await);
    assert_signed(&dir, &mark.note, &[&mark.key]);
    for signed in checkpoints(&dir) {
        assert_signed(&dir, &signed.note, &[&mark.key]);
    }
    assert_eq!(codes(&dir).iter().filter(|code| *code == "sys_startup").count(), 4);
}

#[tokio::test]
async fn another_evidence_key_signs_the_trail_with_the_word_of_the_one_before() {
    let mut server = TestServer::new().await;
    server.listener("ada").await;
    let rotate = ["rotate-keys", "--what", "signing", "--yes"];
    let evidence = result(&server, &rotate).await;
    let dir = folder(&server);
    let changes = || -> Vec<Value> {
        let changed = |record: &Value| record["metadata"]["event_code"] == "audit_key_changed";
        records(&dir).into_iter().filter(changed).collect()
    };
    until("no change on record", async || changes().len() == 1).await;
    let change = changes()[0]["unmapped"]["key_change"].clone();
    let (old, new) = (change["old"].as_str().unwrap(), change["new"].as_str().unwrap());
    // The same words as in the evidence of the rotation.
    let text = evidence.to_string();
    for word in ["succession", "predecessor"] {
        assert!(text.contains(change[word].as_str().unwrap()), "{word}: {text}");
    }
    until("not signed by both", async || {
        checkpoints(&dir)
            .iter()
            .any(|signed| Note::parse(&signed.note).unwrap().to_string().lines().count() == 6)
    })
    .await;
    let both = checkpoints(&dir).into_iter().find(|signed| signed.epoch == 2).unwrap();
    assert_signed(&dir, &both.note, &[old, new]);

    // While no server runs: the next one finds the way from key to key.
    assert_eq!(server.stop().await.code(), Some(0));
    result(&server, &rotate).await;
    result(&server, &rotate).await;
    server.start().await;
    assert_eq!(server.stop().await.code(), Some(0));
    assert_eq!(changes().len(), 3);
    assert!(changes().iter().all(|record| record["unmapped"]["key_change"]["succession"].is_string()));
    let mark = mark(&server).await;
    assert_eq!((mark.first_key.as_str(), mark.key != new), (old, true));
    assert_signed(&dir, &mark.note, &[&mark.key]);
}

#[tokio::test]
async fn a_command_writes_into_the_trail_where_no_server_runs() {
    at_both(async |place| {
        let mut server = Setup::on(place).start().await;
        server.listener("ada").await;
        let dir = folder(&server);
        made(&server, "ada", &[]).await;
        until("the server does not write it", async || {
            codes(&dir).iter().any(|code| code == "api_key_created")
        })
        .await;
        assert_eq!(server.stop().await.code(), Some(0));
        let before = codes(&dir).len();
        made(&server, "ada", &[]).await;
        assert_eq!(codes(&dir)[before..], ["api_key_created"]);
        let mark = mark(&server).await;
        assert_eq!(assert_signed(&dir, &mark.note, &[&mark.key]), before as u64 + 1);
        assert!(Reader::of(&server).await.store.outbox(1).await.unwrap().is_empty());
        // Looking writes nothing.
        result(&server, &["api-keys", "list"]).await;
        assert_eq!(codes(&dir).len(), before + 1);

        // Where the trail cannot be written, the event waits, and the command says so.
        std::fs::rename(&dir, server.data.join("aside")).unwrap();
        std::fs::write(&dir, "no folder").unwrap();
        let output = command(&server, &["api-keys", "create", "--user", "ada", "--name", "x"]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("AUDIT_EVENTS_WAIT"), "{said}");
        assert_eq!(Reader::of(&server).await.store.outbox(9).await.unwrap().len(), 1);
        std::fs::remove_file(&dir).unwrap();
        std::fs::rename(server.data.join("aside"), &dir).unwrap();
        server.start().await;
        let made = || codes(&dir).iter().filter(|code| *code == "api_key_created").count();
        until("the event that waited is not written", async || made() == 3).await;
    })
    .await;
}

#[tokio::test]
async fn the_trail_names_nobody_and_forgets_whom_a_deleted_person_was() {
    at_both(async |place| {
        let mut server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        ada.call("get_current_track", json!({})).await.content();
        server.listener("ben").await;
        let dir = folder(&server);
        let mut reader = Reader::of(&server).await;
        let user: UserId = reader.store.people_called("ada").await.unwrap().remove(0).0;
        let pseudonym = reader.pseudonym(&user).await.unwrap();
        until("the call is not on record", async || codes(&dir).iter().any(|code| code == "tool_called"))
            .await;
        let of_ada = |dir: &Path| -> Vec<Value> {
            records(dir)
                .into_iter()
                .filter(|record| record["actor"]["user"]["uid"] == pseudonym.as_str())
                .collect()
        };
        let calls = of_ada(&dir);
        assert!(calls.len() >= 2, "{calls:?}");
        let from_somewhere = |record: &&Value| record.to_string().contains("\"name\":\"sealed\"");
        assert!(calls.iter().filter(from_somewhere).count() >= 2, "{calls:?}");
        for record in calls.iter().filter(from_somewhere) {
            assert_eq!(reader.address(record).await.as_deref(), Some("127.0.0.1"), "{record}");
        }
        // Who registered a client was not known: the day's key. It comes by the outbox.
        until("the registration is not on record", async || {
            codes(&dir).iter().any(|code| code == "client_registered")
        })
        .await;
        let by_nobody =
            records(&dir).into_iter().find(|it| it["metadata"]["event_code"] == "client_registered");
        assert_eq!(reader.address(&by_nobody.unwrap()).await.as_deref(), Some("127.0.0.1"));

        // Deleted as `users delete` does it; the server writes the last event down.
        let told = Recorded::now(
            Event::new(EventCode::UserDeleted).subject(user.as_str()).by(&user),
            &Clock::system(),
            &Dice::system(),
        );
        assert!(reader.store.delete_user(&user, Clock::system().now(), &[told]).await.unwrap());
        until("the deletion is not on record", async || {
            codes(&dir).iter().any(|code| code == "user_deleted")
        })
        .await;
        assert_eq!(server.stop().await.code(), Some(0));
        let deleted = of_ada(&dir).pop().unwrap();
        assert_eq!(deleted["metadata"]["event_code"], "user_deleted");
        assert_eq!(deleted["user"]["uid"], pseudonym.as_str(), "the last one under the same pseudonym");

        let text = lines(&dir).join("\n");
        for told in [user.as_str(), "\"ada\"", "Ada", "127.0.0.1\"", "\"ben\""] {
            assert!(!text.contains(told), "{told}");
        }
        let mut reader = Reader::of(&server).await;
        assert_eq!(reader.store.audit_key(&pseudonym).await.unwrap(), None);
        for record in of_ada(&dir) {
            assert_eq!(reader.address(&record).await, None, "{record}");
        }
        let mark = mark(&server).await;
        assert_signed(&dir, &mark.note, &[&mark.key]);
        let everything = server.place.raw().await.dump().await;
        assert!(everything.iter().all(|line| !line.contains(&pseudonym) && !line.contains(user.as_str())));
    })
    .await;
}

#[tokio::test]
async fn a_person_keeps_one_pseudonym_through_every_key_that_is_rotated() {
    let mut server = TestServer::new().await;
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
    let mut reader = Reader::of(&server).await;
    let user = reader.store.people_called("ada").await.unwrap().remove(0).0;
    let before = reader.pseudonym(&user).await.unwrap();
    let file = server.data.join("new.key").display().to_string();
    for what in [&["signing"][..], &["data"], &["master", "--new-master-key-file", &file]] {
        result(&server, &[&["rotate-keys", "--yes", "--what"], what].concat()).await;
    }
    assert_eq!(server.stop().await.code(), Some(0));
    let key = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), key);
    server.start().await;
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
    assert_eq!(server.stop().await.code(), Some(0));
    reader = Reader::of(&server).await;
    assert_eq!(reader.pseudonym(&user).await.as_deref(), Some(before.as_str()));
    let calls =
        records(&folder(&server)).into_iter().filter(|it| it["metadata"]["event_code"] == "tool_called");
    let calls: Vec<Value> = calls.collect();
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert_eq!(call["actor"]["user"]["uid"], before.as_str());
        assert_eq!(reader.address(&call).await.as_deref(), Some("127.0.0.1"));
    }
}
