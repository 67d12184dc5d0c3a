//! Backups of other versions: a newer one's are refused, an older one's migrated. And what of the sealed values in a
//! backup opens.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use spotify_mcp::crypto::Key;
use spotify_mcp::crypto::keys::{KeyId, Purpose, RootKey, SealingKey};
use spotify_mcp::crypto::stream::{CHUNK, ChunkPlace, StreamKey};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlitePool};

use super::{refusal, result};
use crate::support::server::{Setup, TestServer};

pub(super) fn root(server: &TestServer) -> RootKey {
    let bytes = STANDARD.decode(&server.environment["SPOTIFY_MCP_MASTER_KEY"]).unwrap();
    RootKey::new(Key::new(bytes.try_into().unwrap()))
}

/// Seals a backup as docs/backups.md says, whatever its header says.
fn sealed(header: &Value, content: &[u8], root: &RootKey) -> Vec<u8> {
    let line = format!("{header}\n").into_bytes();
    let salt = [7; 32];
    let key = StreamKey::derive(&root.derive(Purpose::Backups), &salt, &line);
    let mut file = [&line, &salt[..], key.commitment()].concat();
    let chunks: Vec<&[u8]> = content.chunks(CHUNK).collect();
    for (number, chunk) in chunks.iter().enumerate() {
        let place = ChunkPlace { number: u32::try_from(number).unwrap(), last: number + 1 == chunks.len() };
        file.extend(key.seal(place, chunk));
    }
    file
}

fn header(server: &TestServer, schema: i64, content: &[u8]) -> Value {
    let id = root(server).id().to_string();
    json!({
        "format": "spotify-mcp/backup/v1",
        "id": format!("b_{}", "0a".repeat(16)),
        "made_at": "2026-11-21T04:00:00.000Z",
        "made_by": "0.0.9",
        "engine": "sqlite",
        "schema_version": schema,
        "epoch": 1,
        "counts": {"users": 1, "linked_accounts": 0, "data_keys": 1, "clients": 0, "grants": 0, "api_keys": 0},
        "sealed_under": id,
        "key_ids": [id],
        "parts": [{"name": "database", "bytes": content.len()}],
    })
}

/// A database with one person in it as a version with this schema left it.
async fn database_of(server: &TestServer, schema: i64) -> Vec<u8> {
    let path = server.data.join(format!("schema-{schema}.db"));
    let pool = SqlitePool::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
    let mut migrations = Vec::new();
    for file in migrations_until(schema) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let sql = std::fs::read_to_string(&file).unwrap().replace("BYTEA", "BLOB");
        let sql = AssertSqlSafe(sql).into_sql_str();
        let version = name[..4].parse().unwrap();
        migrations.push(Migration::new(
            version,
            name[5..].to_owned().into(),
            MigrationType::Simple,
            sql,
            false,
        ));
    }
    Migrator::with_migrations(migrations).run(&pool).await.unwrap();
    let root = root(server);
    let key = SealingKey::new(KeyId::new([9; 16]), Key::new([8; 32]));
    let user = "u_00000000000000000000000000000001";
    let key_row = format!("k_{}", key.id());
    for sql in [
        "INSERT INTO master_keys (id, state, created_at) VALUES ($1, 'active', 1)",
        "INSERT INTO users (id, display_name, created_at, last_seen_at) VALUES ($2, 'Ada', 1, 1)",
        "INSERT INTO data_keys (id, user_id, master_key_id, wrapped, state, created_at, seal_count)
            VALUES ($3, $2, $1, $4, 'active', 1, 0)",
    ] {
        let wrapped = root.wrap(&key, user, &[5; 44]);
        sqlx::query(sql)
            .bind(root.id().to_string())
            .bind(user)
            .bind(&key_row)
            .bind(wrapped)
            .execute(&pool)
            .await
            .unwrap();
    }
    pool.close().await;
    std::fs::read(path).unwrap()
}

fn migrations_until(schema: i64) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
    let number = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap()[..4].parse::<i64>().unwrap();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "sql") && number(path) <= schema);
    files.sort();
    files
}

fn write(server: &TestServer, name: &str, bytes: &[u8]) -> String {
    let path = server.data.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_backup_of_a_newer_schema_is_left_to_a_newer_version() {
    let server = Setup::default().prepare().await;
    let database = database_of(&server, 13).await;
    let file = write(
        &server,
        "newer.backup",
        &sealed(&header(&server, 9_999, &database), &database, &root(&server)),
    );
    for arguments in
        [&["backup", "verify"][..], &["backup", "restore", "--yes"], &["backup", "restore", "--dry-run"]]
    {
        let (status, error) = refusal(&server, &[arguments, &[&file]].concat()).await;
        assert_eq!((status, &error["code"]), (2, &json!("BACKUP_NEWER")), "{arguments:?}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("schema 9999") && message.contains("newer than this program"), "{message}");
        assert!(error["next"].as_str().unwrap().contains("the version of spotify-mcp that made it"));
    }
    assert!(!server.place.file().exists());
    // A header that says less than the database in it is no older backup.
    let lying =
        write(&server, "lying.backup", &sealed(&header(&server, 10, &database), &database, &root(&server)));
    let (status, error) = refusal(&server, &["backup", "verify", &lying]).await;
    assert_eq!((status, &error["code"]), (1, &json!("BACKUP_BROKEN")), "{error}");
    // Nor does a server, or a backup, of this version work with a newer database.
    let server = TestServer::new().await;
    let sql = "INSERT INTO _sqlx_migrations SELECT 9999, 'of the future', installed_on, success, checksum,
        execution_time FROM _sqlx_migrations WHERE version = 1";
    server.place.raw().await.run(sql).await;
    let refused = refusal(&server, &["backup", "create"]).await;
    assert_eq!((refused.0, &refused.1["code"]), (3, &json!("DATABASE_UNAVAILABLE")));
}

#[tokio::test]
async fn a_backup_of_an_older_schema_is_migrated_and_that_is_said() {
    for schema in [13, 14] {
        let mut server = Setup::default().prepare().await;
        let database = database_of(&server, schema).await;
        let bytes = sealed(&header(&server, schema, &database), &database, &root(&server));
        let file = write(&server, "older.backup", &bytes);
        let verified = result(&server, &["backup", "verify", &file]).await;
        assert_eq!((&verified["migrated_from"], &verified["data_keys_opened"]), (&json!(schema), &json!(1)));
        let output = super::command(&server, &["backup", "verify", &file]).await;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(&format!("Its schema {schema} is older")), "{said}");
        assert_eq!(std::fs::read(&file).unwrap(), bytes, "the backup stays as it is");

        let done = result(&server, &["backup", "restore", "--yes", &file]).await;
        assert_eq!(done["migrated_from"], schema);
        server.start().await;
        server.listener("ada").await.call("get_current_track", json!({})).await.content();
    }
}

#[tokio::test]
async fn everything_sealed_is_opened_or_counted_and_what_does_not_open_is_named() {
    let mut server = TestServer::new().await;
    let ada = server.listener("ada").await;
    ada.refresh().await;
    ada.call("create_playlist", json!({"name": "Example"})).await.content();
    result(&server, &["api-keys", "create", "--user", "ada", "--name", "radio"]).await;
    let made = result(&server, &["backup", "create"]).await;
    let file = made["file"].as_str().unwrap().to_owned();
    let verified = result(&server, &["backup", "verify", &file]).await;
    let sealed = &verified["sealed"];
    let opened =
        |kind: &str| (sealed[kind]["opened"].as_u64().unwrap(), sealed[kind]["elsewhere"].as_u64().unwrap());
    assert_eq!(opened("data_keys.wrapped"), (1, 0));
    let own = server.place.raw().await.number("SELECT COUNT(*) FROM purpose_keys").await;
    assert_eq!(opened("purpose_keys.wrapped"), (own.unsigned_abs(), 0));
    assert_eq!(
        (opened("linked_accounts.access_token"), opened("linked_accounts.refresh_token")),
        ((1, 0), (1, 0))
    );
    assert_eq!(opened("api_keys.signing_key"), (1, 0));
    for kind in ["changes.content_key", "changes.summary", "changes.pre_image"] {
        assert_eq!(opened(kind), (1, 0), "{kind}");
    }
    assert_eq!(opened("refresh_tokens.successor").0, 0, "only who has the token opens it");
    assert!(opened("refresh_tokens.successor").1 >= 1);
    // Every column that the schema calls sealed is among them.
    let mut marked = marked_as_sealed();
    marked.sort();
    let kinds: Vec<&String> = sealed.as_object().unwrap().keys().collect();
    assert_eq!(kinds, marked.iter().collect::<Vec<_>>());

    // Values that were changed or moved in the database: the backup of it tells.
    assert_eq!(server.stop().await.code(), Some(0));
    let damage = [
        ("UPDATE linked_accounts SET token_version = token_version + 1", "linked_accounts.access_token"),
        ("UPDATE api_keys SET signing_key = zeroblob(145)", "api_keys.signing_key"),
        ("UPDATE changes SET version = version + 1", "changes.summary"),
        ("UPDATE purpose_keys SET purpose = 'other' WHERE purpose = 'limit-buckets'", "purpose_keys.wrapped"),
    ];
    let before = std::fs::read(server.place.file()).unwrap();
    for (sql, kind) in damage {
        std::fs::write(server.place.file(), &before).unwrap();
        // What the database holds is not what a backup says it should be: so the backup is made past the program.
        let raw = server.place.raw().await;
        raw.run(sql).await;
        raw.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
        drop(raw);
        let database = std::fs::read(server.place.file()).unwrap();
        let mut head = made["header"].clone();
        head["parts"] = json!([{ "name": "database", "bytes": database.len() }]);
        let bytes = self::sealed(&head, &database, &root(&server));
        let broken = write(&server, "damaged.backup", &bytes);
        let (status, error) = refusal(&server, &["backup", "verify", &broken]).await;
        assert_eq!((status, &error["code"]), (1, &json!("BACKUP_BROKEN")), "{kind}");
        assert!(error["message"].as_str().unwrap().contains(kind), "{kind}: {error}");
        let restored = super::command(&server, &["backup", "restore", "--dry-run", &broken]).await;
        let said = String::from_utf8_lossy(&restored.stderr);
        // One person's value is theirs alone; without a key of its own no server starts.
        let is_fatal = kind.starts_with("purpose_keys");
        assert_eq!(restored.status.success(), !is_fatal, "{said}");
        assert!(said.contains(if is_fatal { "BACKUP_BROKEN" } else { "BACKUP_SEALED_DAMAGED" }), "{said}");
    }
}

/// `table.column` of everything that a comment in the migrations calls sealed, and the wrapped data keys.
fn marked_as_sealed() -> Vec<String> {
    let mut found = vec!["data_keys.wrapped".to_owned()];
    for file in migrations_until(i64::MAX) {
        let mut table = String::new();
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["CREATE", "TABLE", name, ..] => table = (*name).to_owned(),
                ["ALTER", "TABLE", name, "ADD", "COLUMN", column, ..] if line.contains("; -- sealed") => {
                    found.push(format!("{name}.{column}"));
                }
                ["ALTER", "TABLE", name, "DROP", "COLUMN", column] => {
                    let dropped = format!("{name}.{}", column.trim_end_matches(';'));
                    found.retain(|known| *known != dropped);
                }
                [column, "BYTEA" | "BYTEA,", ..] if line.contains("-- sealed") => {
                    found.push(format!("{table}.{column}"));
                }
                _ => {}
            }
        }
    }
    found
}
