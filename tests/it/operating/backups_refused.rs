//! What becomes of backups that are not what was sealed, and of disks without room: a code, a next step, nothing changed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{refusal, refusal_of, result};
use crate::support::server::{Setup, TestServer, binary};

/// A stopped server with a backup of several chunks.
async fn backed_up() -> (TestServer, PathBuf) {
    let mut server = TestServer::new().await;
    server.listener("ada").await;
    let made = result(&server, &["backup", "create"]).await;
    assert_eq!(server.stop().await.code(), Some(0));
    let file = PathBuf::from(made["file"].as_str().unwrap());
    assert!(std::fs::metadata(&file).unwrap().len() > 3 * 65_552);
    (server, file)
}

/// Where the chunks begin: behind the header's line, salt and commitment.
fn chunks(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1 + 64
}

const CHUNK: usize = 65_536 + 16;

async fn judged(server: &TestServer, bytes: &[u8]) -> (i32, String) {
    let file = server.data.join("changed.backup");
    std::fs::write(&file, bytes).unwrap();
    let path = file.to_str().unwrap();
    let database = std::fs::read(server.place.file()).unwrap();
    let (status, error) = refusal(server, &["backup", "restore", "--yes", path]).await;
    assert!(matches!(status, 2 | 3), "{error}");
    assert!(
        std::fs::read(server.place.file()).unwrap() == database,
        "a refused restore changed the database"
    );
    let beside = std::fs::read_dir(server.place.file().parent().unwrap()).unwrap();
    assert_eq!(beside.count(), 1, "a refused restore left something");
    let (status, verified) = refusal(server, &["backup", "verify", path]).await;
    assert_eq!(verified["code"], error["code"]);
    (status, error["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn what_was_cut_swapped_doubled_or_changed_is_refused_and_changes_nothing() {
    let (server, file) = backed_up().await;
    let whole = std::fs::read(&file).unwrap();
    let start = chunks(&whole);
    let cut = |at: usize| whole[..at].to_vec();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut swapped = whole.clone();
    let (one, two) = (start..start + CHUNK, start + CHUNK..start + 2 * CHUNK);
    swapped[one.clone()].copy_from_slice(&whole[two.clone()]);
    swapped[two].copy_from_slice(&whole[one.clone()]);
    let mut doubled = whole.clone();
    doubled[start + CHUNK..start + 2 * CHUNK].copy_from_slice(&whole[one]);
    let longer = [whole.as_slice(), b"x"].concat();
    let changed = (1, "BACKUP_CHANGED".to_owned());
    let short = (1, "BACKUP_CUT_OFF".to_owned());
    for (bytes, expected) in [
        (cut(whole.len() - 1), &short),
        (cut(start + CHUNK), &short),
        (cut(start), &short),
        (cut(start - 40), &short),
        (swapped, &changed),
        (doubled, &changed),
        (longer, &changed),
        (flipped(start), &changed),
        (flipped(start - 1), &changed),
        (flipped(start - 64), &changed),
        (flipped(whole.len() - 1), &changed),
        (flipped(start + CHUNK + 7), &changed),
    ] {
        assert_eq!(&judged(&server, &bytes).await, expected);
    }
    let format = (2, "BACKUP_FORMAT".to_owned());
    for bytes in [Vec::new(), b"hello".to_vec(), b"{}\n".to_vec(), cut(start - 70), vec![b'x'; 100_000]] {
        assert_eq!(judged(&server, &bytes).await, format);
    }
}

/// The backup with another header.
fn with_header(whole: &[u8], change: impl Fn(&mut Value)) -> Vec<u8> {
    let end = whole.iter().position(|byte| *byte == b'\n').unwrap();
    let mut header: Value = serde_json::from_slice(&whole[..end]).unwrap();
    change(&mut header);
    [header.to_string().as_bytes(), &whole[end..]].concat()
}

#[tokio::test]
async fn what_a_header_says_counts_only_as_it_was_sealed() {
    let (server, file) = backed_up().await;
    let whole = std::fs::read(&file).unwrap();
    let cases: [(&str, Value, (i32, &str)); 7] = [
        ("format", json!("spotify-mcp/backup/v2"), (2, "BACKUP_NEWER")),
        ("format", json!("another"), (2, "BACKUP_FORMAT")),
        ("sealed_under", json!("00".repeat(16)), (2, "BACKUP_WRONG_KEY")),
        ("made_at", json!("2020-01-01T00:00:00.000Z"), (1, "BACKUP_CHANGED")),
        ("id", json!("b_1"), (1, "BACKUP_CHANGED")),
        ("counts", json!({"users": 9}), (1, "BACKUP_CHANGED")),
        ("parts", json!([{"name": "../../etc/passwd", "bytes": 1}]), (1, "BACKUP_CHANGED")),
    ];
    for (member, value, (status, code)) in cases {
        let bytes = with_header(&whole, |header| header[member] = value.clone());
        assert_eq!(judged(&server, &bytes).await, (status, code.to_owned()), "{member}");
    }
}

#[tokio::test]
async fn what_cannot_be_written_leaves_nothing() {
    let server = TestServer::new().await;
    server.listener("ada").await;
    let to = server.data.join("full.backup");
    // As a full disk: no file may grow beyond 64 KiB.
    let script = format!(
        "trap '' XFSZ; ulimit -f 64; exec \"$0\" backup create -o {} --format json --quiet",
        to.display()
    );
    let mut shell = tokio::process::Command::new("bash");
    shell.env_clear().envs(&server.environment).arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_spotify-mcp"));
    let (status, error) = refusal_of(&shell.output().await.unwrap());
    assert_eq!((status, &error["code"]), (3, &json!("BACKUP_IO")));
    let left: Vec<_> =
        std::fs::read_dir(&server.data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("backup")), "{left:?}");

    let taken = server.data.join("taken.backup");
    std::fs::write(&taken, "precious").unwrap();
    let refused = refusal(&server, &["backup", "create", "-o", taken.to_str().unwrap()]).await;
    assert_eq!((refused.0, &refused.1["code"]), (2, &json!("FILE_EXISTS")));
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "precious");
    let nowhere = server.data.join("no/such/folder/x.backup");
    let refused = refusal(&server, &["backup", "create", "-o", nowhere.to_str().unwrap()]).await;
    assert_eq!((refused.0, &refused.1["code"]), (3, &json!("BACKUP_IO")));
    let dump = refusal(&server, &["backup", "create", "--dump", "x"]).await;
    assert_eq!((dump.0, &dump.1["code"]), (2, &json!("BACKUP_NEEDS_NO_DUMP")));
}

#[tokio::test]
async fn without_a_database_a_file_or_a_key_there_is_a_message() {
    let server = Setup::default().prepare().await;
    let missing = refusal(&server, &["backup", "create"]).await;
    assert_eq!((missing.0, &missing.1["code"]), (3, &json!("DATABASE_MISSING")));
    assert!(!server.place.file().exists(), "a command makes no database");
    for verb in ["verify", "restore"] {
        let unread = refusal(&server, &["backup", verb, "/no/such.backup"]).await;
        assert_eq!((unread.0, &unread.1["code"]), (3, &json!("BACKUP_IO")), "{verb}");
        let folder = refusal(&server, &["backup", verb, "/tmp"]).await;
        assert_eq!((folder.0, &folder.1["code"]), (2, &json!("BACKUP_FORMAT")), "{verb}");
    }
    let folder = refusal(&server, &["backup", "list", "--dir", "/no/such"]).await;
    assert_eq!((folder.0, &folder.1["code"]), (3, &json!("BACKUP_IO")));

    let (server, file) = backed_up().await;
    let mut command = binary();
    command.args(["backup", "verify", "--format", "json", "--quiet"]).arg(&file);
    let keyless = server.environment.iter().filter(|(name, _)| *name != "SPOTIFY_MCP_MASTER_KEY");
    let (status, error) = refusal_of(&command.envs(keyless).output().await.unwrap());
    assert_eq!((status, &error["code"]), (2, &json!("MASTER_KEY_MISSING")));
    assert!(Path::exists(&file));
}

#[tokio::test]
async fn commands_beside_the_server_leave_warnings_of_the_environment_to_it() {
    let mut server = Setup::default().prepare().await;
    server.environment.remove("SPOTIFY_POLICY_ACKNOWLEDGED");
    for verb in [&["backup", "list"][..], &["api-keys", "list"], &["rotate-keys", "--status"]] {
        for flag in ["--sandbox", "--format=text"] {
            let output = super::command(&server, &[verb, &[flag]].concat()).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("DATABASE_MISSING"), "{said}");
            assert!(!said.contains("POLICY_UNACKNOWLEDGED"), "{verb:?} {flag}: {said}");
        }
    }
}
