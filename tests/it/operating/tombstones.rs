//! `tombstones.ndjson`: whoever changes it is found out by the next restore, or by the next start.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::backups::{delete_data, texts};
use super::{refusal, result, told};
use crate::support::server::{Setup, TestServer, master_key};

/// A backup from before four people left, the database lost since; the file of their deletions.
struct Lost {
    server: TestServer,
    backup: String,
    stones: PathBuf,
    /// The one who stayed.
    ada: String,
}

impl Lost {
    async fn new() -> Self {
        let server = Setup::default().people(2).start().await;
        server.listener("ada").await;
        let ada = texts(&server, "SELECT id FROM users").await.remove(0);
        let mut leavers = Vec::new();
        for name in ["ben", "chiara", "user0001", "user0002"] {
            leavers.push(server.listener(name).await);
        }
        let made = result(&server, &["backup", "create"]).await;
        for leaver in &leavers {
            delete_data(&leaver.browser).await;
        }
        tokio::time::sleep(Duration::from_millis(600)).await;
        let (backup, stones) =
            (made["file"].as_str().unwrap().to_owned(), server.data_dir().join("tombstones.ndjson"));
        Self { server, backup, stones, ada }
    }

    async fn lose(&mut self) {
        self.server.kill().await;
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.server.place.file().display()));
        }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.stones).unwrap()
    }

    async fn refuses(&self, text: &str, word: &str) {
        std::fs::write(&self.stones, text).unwrap();
        let (status, error) = refusal(&self.server, &["backup", "restore", "--yes", &self.backup]).await;
        assert_eq!((status, &error["code"]), (3, &json!("TOMBSTONES_DOUBTFUL")), "{word}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(word), "{word}: {message}");
        assert!(!self.server.place.file().exists(), "a refused restore left a database");
    }

    /// As an older version wrote it, which anybody can.
    fn plain(&self) -> String {
        let mark: String =
            Sha256::digest(self.ada.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "mark": mark, "deleted_at": 1_795_233_600 }).to_string() + "\n"
    }
}

#[tokio::test]
async fn a_changed_file_of_deletions_is_named_and_nothing_is_restored() {
    let mut lost = Lost::new().await;
    let later = result(&lost.server, &["backup", "create"]).await;
    lost.lose().await;
    let whole = lost.text();
    let lines: Vec<&str> = whole.lines().collect();
    assert_eq!(lines.len(), 4, "{whole}");
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let (mut removed, mut doubled, mut swapped) = (lines.clone(), lines.clone(), lines.clone());
    removed.remove(1);
    doubled.insert(1, lines[1]);
    swapped.swap(0, 2);
    let digit = if lines[1].contains("\"mark\":\"0") { "\"mark\":\"1" } else { "\"mark\":\"0" };
    let edited = format!("{}{digit}{}", &lines[1][..7], &lines[1][16..]);
    assert_ne!(edited, lines[1]);
    lost.refuses(&joined(&[lines[0], &edited, lines[2], lines[3]]), "line 2").await;
    lost.refuses(&joined(&removed), "line 2 has number 3 and follows number 1").await;
    lost.refuses(&joined(&removed[1..]), "line 1 has number 3 and follows number 0").await;
    lost.refuses(&joined(&doubled), "line 3 has number 2 and follows number 2").await;
    lost.refuses(&joined(&swapped), "line 1").await;
    lost.refuses(&(whole.clone() + &lost.plain()), "is not authenticated").await;
    lost.refuses(&(lost.plain() + &whole), "those before it are not").await;
    lost.refuses(&lost.plain(), "did not authenticate it").await;
    lost.refuses("{}\n", "line 1 is no tombstone").await;

    // Whole lines that are gone from the end nobody sees, unless the backup knows of them.
    std::fs::write(&lost.stones, joined(&lines[..2])).unwrap();
    let restore = ["backup", "restore", "--dry-run", &lost.backup];
    result(&lost.server, &restore).await;
    let later = later["file"].as_str().unwrap();
    let (status, error) = refusal(&lost.server, &["backup", "restore", "--yes", later]).await;
    let message = error["message"].as_str().unwrap();
    assert_eq!((status, &error["code"]), (3, &json!("TOMBSTONES_DOUBTFUL")));
    assert!(message.contains(&format!("lacks {} deletions", lines.len() - 2)), "{message}");

    // As it was, and torn by a crash in a line that the database still had.
    std::fs::write(&lost.stones, format!("{whole}{{\"n\":5,\"ma")).unwrap();
    let done = result(&lost.server, &["backup", "restore", "--yes", &lost.backup]).await;
    assert_eq!(done["people_deleted_again"], 4);
    assert_eq!(texts(&lost.server, "SELECT id FROM users").await, [lost.ada.clone()]);
}

#[tokio::test]
async fn a_file_that_cannot_be_proven_is_taken_only_when_somebody_says_why() {
    let mut lost = Lost::new().await;
    lost.lose().await;
    let whole = lost.text();
    let lines: Vec<&str> = whole.lines().collect();
    let damaged = format!("{}\n{}\n", lines[0], lines[2..].join("\n"));
    lost.refuses(&damaged, "line 2").await;
    let why = "the disk lost a sector, the rest is right";
    let accept = |verb: &'static str| ["backup", "restore", verb, &lost.backup, "--accept-tombstones", why];
    let would = result(&lost.server, &accept("--dry-run")).await;
    let done = result(&lost.server, &accept("--yes")).await;
    assert_eq!(would["people_deleted_again"], done["people_deleted_again"]);
    let event = texts(&lost.server, "SELECT event FROM audit_outbox").await.join("\n");
    assert!(event.contains("backup_restored") && event.contains(why) && event.contains("line 2"), "{event}");

    // Gone altogether, it is only said: a lost machine must come back.
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", lost.server.place.file().display()));
    }
    std::fs::remove_file(&lost.stones).unwrap();
    let arguments = ["backup", "restore", "--yes", &lost.backup, "--format", "json"];
    let output = super::command(&lost.server, &arguments).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("TOMBSTONES_MISSING"), "{said}");
}

#[tokio::test]
async fn a_start_sets_aside_what_it_did_not_write_and_writes_it_anew() {
    let mut lost = Lost::new().await;
    assert_eq!(lost.server.stop().await.code(), Some(0));
    let whole = lost.text();
    // The present database knows everybody who left: what the file says is not needed, and so not believed.
    std::fs::write(&lost.stones, lost.plain()).unwrap();
    let forged = refusal(&lost.server, &["backup", "restore", "--yes", &lost.backup]).await;
    assert_eq!((forged.0, &forged.1["code"]), (3, &json!("TOMBSTONES_DOUBTFUL")));

    lost.server.start().await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    let marks = |text: &str| {
        let mark = |line: &str| serde_json::from_str::<Value>(line).unwrap()["mark"].to_string();
        let mut marks: Vec<String> = text.lines().map(mark).collect();
        marks.sort();
        marks
    };
    assert_eq!(marks(&lost.text()), marks(&whole));
    let told = told(&lost.server, "tombstones_set_aside");
    assert!(told.len() == 1 && told[0].contains("did not authenticate it"), "{told:?}");
    let aside = std::fs::read_dir(lost.server.data_dir()).unwrap().map(|entry| entry.unwrap().file_name());
    let aside: Vec<_> = aside.filter(|name| name.to_string_lossy().contains("ndjson.doubtful-")).collect();
    assert_eq!(aside.len(), 1, "what was there is kept");
    assert_eq!(lost.server.stop().await.code(), Some(0));
    let done = result(&lost.server, &["backup", "restore", "--yes", &lost.backup]).await;
    assert_eq!(done["people_deleted_again"], 4);
}

#[tokio::test]
async fn a_rotation_of_every_key_leaves_the_file_provable_beside_an_older_backup() {
    let mut lost = Lost::new().await;
    let old = lost.server.data.join("old.key");
    std::fs::write(&old, &lost.server.environment["SPOTIFY_MCP_MASTER_KEY"]).unwrap();
    let new = lost.server.data.join("new.key");
    std::fs::write(&new, master_key("the next one")).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    for path in [&old, &new] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let new = new.to_str().unwrap();
    result(&lost.server, &["rotate-keys", "--what", "all", "--new-master-key-file", new]).await;
    // A line under the new master key follows those under the old one.
    let again = lost.server.listener("ben").await;
    delete_data(&again.browser).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    lost.lose().await;
    lost.server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), master_key("the next one"));
    let arguments = ["backup", "restore", "--yes", &lost.backup, "--key-file", old.to_str().unwrap()];
    let done = result(&lost.server, &arguments).await;
    assert_eq!(done["people_deleted_again"], 4);
}
