//! The documented test vector of a backup, and a second reader made from the documentation.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{refusal, result};
use crate::support::server::{Setup, TestServer};

/// The key of the documented test vector.
const VECTOR_KEY: &str = "J7rMxfhmm6MuL2fMt+3ptdDXbUXPMbnHENaOp8QcyLg=";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read_second(arguments: &[&str]) -> Output {
    Command::new("python3").arg(root().join("tests/backup_reader.py")).args(arguments).output().unwrap()
}

fn said(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether the second reader can run here; said where it cannot.
fn has_reader() -> bool {
    let has = Command::new("python3").args(["-c", "import cryptography"]).output();
    let has = has.is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("SKIPPED: python3 with the package 'cryptography' is not here");
    }
    has
}

#[tokio::test]
async fn the_documented_backup_opens() {
    let mut server = Setup::default().prepare().await;
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), VECTOR_KEY.to_owned());
    let vectors = root().join("tests/vectors");
    let file = vectors.join("postgres.backup");
    let verified = result(&server, &["backup", "verify", file.to_str().unwrap()]).await;
    assert_eq!(verified["header"], documented());
    // A SQLite server takes no backup of PostgreSQL.
    let (status, error) = refusal(&server, &["backup", "restore", "--yes", file.to_str().unwrap()]).await;
    assert_eq!((status, &error["code"]), (3, &json!("BACKUP_BROKEN")));
}

#[tokio::test]
async fn a_second_reader_opens_the_vector_and_a_fresh_backup_and_refuses_changes() {
    if !has_reader() {
        return;
    }
    let vector = root().join("tests/vectors/postgres.backup");
    let read = said(&read_second(&[vector.to_str().unwrap(), VECTOR_KEY]));
    assert_eq!(read["header"], documented());
    let part = &read["parts"][0];
    assert_eq!((&part["name"], &part["bytes"]), (&json!("configuration"), &json!(31)));

    let server = TestServer::new().await;
    let ben = server.listener("ben").await;
    server.listener("ada").await;
    let config = server.data.join("server.toml");
    std::fs::write(&config, "[telemetry]\nlog_level = \"warn\"\n").unwrap();
    let made = result(&server, &["backup", "create", "--config", config.to_str().unwrap()]).await;
    let (file, key) = (made["file"].as_str().unwrap(), &server.environment["SPOTIFY_MCP_MASTER_KEY"]);
    let out = server.data.join("parts");
    std::fs::create_dir(&out).unwrap();
    let read = said(&read_second(&[file, key, out.to_str().unwrap()]));
    assert_eq!(read["header"], made["header"]);
    assert_eq!(std::fs::read(out.join("configuration")).unwrap(), std::fs::read(&config).unwrap());
    let database = format!("sqlite://{}", out.join("database").display());
    let pool = sqlx::SqlitePool::connect(&database).await.unwrap();
    let people: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM users").fetch_one(&pool).await.unwrap();
    assert_eq!(people, 2);

    let whole = std::fs::read(file).unwrap();
    let changed = server.data.join("changed.backup");
    let at = whole.iter().position(|byte| *byte == b'\n').unwrap();
    for place in [at - 4, at + 3, at + 40, at + 70, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        std::fs::write(&changed, bytes).unwrap();
        assert!(!read_second(&[changed.to_str().unwrap(), key]).status.success(), "byte {place}");
    }

    // The file of deletions, under the key that the database holds wrapped: opened here, the reader has it bare.
    super::backups::delete_data(&ben.browser).await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let stones = server.data_dir().join("tombstones.ndjson");
    let bare = tombstone_key(&server).await;
    let lines = std::fs::read_to_string(&stones).unwrap();
    let checked = said(&read_second(&["--tombstones", stones.to_str().unwrap(), &bare]));
    assert_eq!(checked["deletions"], lines.lines().count());
    let second: PathBuf = server.data.join("stones.ndjson");
    std::fs::write(&second, lines.replace("\"deleted_at\":1", "\"deleted_at\":2")).unwrap();
    assert!(!read_second(&["--tombstones", second.to_str().unwrap(), &bare]).status.success());
}

/// The server's own key for tombstones, in hexadecimal.
async fn tombstone_key(server: &TestServer) -> String {
    let raw = server.place.raw().await;
    let rows =
        raw.texts("SELECT id || ' ' || hex(wrapped) FROM purpose_keys WHERE purpose = 'tombstones'").await;
    let (id, wrapped) = rows[0].split_once(' ').unwrap();
    let unhex = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let root = super::backups_schema::root(server);
    let id = spotify_mcp::vault::key_id(id).unwrap();
    let key = root.unwrap_own(id, "tombstones", &unhex(wrapped)).unwrap();
    key.key().expose().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What docs/backups.md says is in the vector's header.
fn documented() -> Value {
    let text = std::fs::read_to_string(root().join("docs/backups.md")).unwrap();
    let (_, block) = text.rsplit_once("```json\n").unwrap();
    serde_json::from_str(block.split("```").next().unwrap()).unwrap()
}
