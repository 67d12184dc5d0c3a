//! `backup restore` killed, at random instants and at every boundary that it has: the database is the old one or the new
//! one, whole, and the same command afterwards completes.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Child;

use super::backups::texts;
use super::result;
use crate::support::server::{TestServer, binary};

/// A stopped server with ada and ben; the backup knows ada alone.
struct Scene {
    server: TestServer,
    backup: String,
    before: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Old,
    New,
}

impl Scene {
    async fn new() -> Self {
        let mut server = TestServer::new().await;
        server.listener("ada").await;
        let made = result(&server, &["backup", "create"]).await;
        let backup = made["file"].as_str().unwrap().to_owned();
        server.listener("ben").await;
        assert_eq!(server.stop().await.code(), Some(0));
        let before = std::fs::read(server.place.file()).unwrap();
        Self { server, backup, before }
    }

    fn folder(&self) -> std::path::PathBuf {
        self.server.place.file().parent().unwrap().to_owned()
    }

    /// The old database alone, as before every restore.
    fn reset(&self) {
        for entry in std::fs::read_dir(self.folder()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        std::fs::write(self.server.place.file(), &self.before).unwrap();
    }

    fn restore(&self, die_at: &str) -> Child {
        let mut command = binary();
        command.args(["backup", "restore", "--yes", &self.backup]).envs(&self.server.environment);
        command.env("DIE_AT", die_at).kill_on_drop(true).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Which database is there. It is whole, and so is every one that is kept beside it.
    async fn found(&self) -> Found {
        let people = texts(&self.server, "SELECT spotify_user_id FROM linked_accounts ORDER BY 1").await;
        assert_eq!(texts(&self.server, "PRAGMA integrity_check").await, ["ok"]);
        assert!(texts(&self.server, "SELECT \"table\" FROM pragma_foreign_key_check").await.is_empty());
        let restored =
            texts(&self.server, "SELECT id FROM audit_outbox WHERE event LIKE '%backup_restored%'").await;
        let grants = texts(&self.server, "SELECT id FROM grants WHERE revoked_at IS NULL").await;
        let people: Vec<&str> = people.iter().map(String::as_str).collect();
        match (people.as_slice(), restored.len(), grants.len()) {
            (["ada", "ben"], 0, 2) => Found::Old,
            (["ada"], 1.., 0) => Found::New,
            other => panic!("neither the old nor the new database: {other:?}"),
        }
    }

    /// The same command once more, after which nothing but the two databases is left.
    async fn completes(&self) {
        let done = result(&self.server, &["backup", "restore", "--yes", &self.backup]).await;
        assert!(Path::new(done["kept"].as_str().unwrap()).exists());
        assert_eq!(self.found().await, Found::New);
        for entry in std::fs::read_dir(self.folder()).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            let is_known = name == "store.db"
                || name.contains(".replaced-")
                || name.ends_with("-wal")
                || name.ends_with("-shm");
            assert!(is_known && !name.contains("restoring"), "{name} is left");
        }
    }
}

#[tokio::test]
async fn a_kill_during_a_restore_leaves_the_old_database_or_the_new_one() {
    let rounds: u64 = std::env::var("KILLS").map_or(12, |count| count.parse().unwrap());
    let mut scene = Scene::new().await;
    let (mut old, mut new, mut ended) = (0, 0, 0);
    for round in 0..rounds {
        scene.reset();
        let mut child = scene.restore("");
        tokio::time::sleep(Duration::from_micros(2_000 + (round * 7919 * 41) % 350_000)).await;
        let has_ended = child.try_wait().unwrap().is_some();
        child.kill().await.unwrap();
        let found = scene.found().await;
        assert!(!has_ended || found == Found::New, "it ended well, and the old database is there");
        ended += u64::from(has_ended);
        match found {
            Found::Old => old += 1,
            Found::New => new += 1,
        }
        scene.completes().await;
    }
    println!("killed {rounds} times: old {old}, new {new}, of which {ended} had ended before");
    assert_eq!(old + new, rounds);
    scene.server.start().await;
    scene.server.listener("ada").await.call("get_current_track", json!({})).await.content();
}

#[tokio::test]
async fn a_kill_at_every_boundary_of_a_restore_leaves_what_that_boundary_promises() {
    let scene = Scene::new().await;
    for (boundary, promised) in [
        ("staged", Found::Old),
        ("unfolded", Found::Old),
        ("prepared", Found::Old),
        ("configured", Found::Old),
        ("kept", Found::Old),
        ("alone", Found::Old),
        ("renamed", Found::New),
    ] {
        scene.reset();
        let status = scene.restore(boundary).wait().await.unwrap();
        assert_eq!(status.code(), None, "{boundary}: it died");
        assert_eq!(scene.found().await, promised, "{boundary}");
        scene.completes().await;
    }
}
