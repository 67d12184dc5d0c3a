//! Opening: from nothing, again, from older versions, beside others; and what is refused, with a message.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use spotify_mcp::store::Store;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::fixtures::{person, race};
use crate::support::database::{Place, Raw, at_both, on_both};

/// The released texts, in order, as the database remembers them.
fn migrations(binary: &str) -> Vec<Migration> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let parse = |file: &std::path::PathBuf| {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let (version, description) = name.split_once('_').unwrap();
        let sql = AssertSqlSafe(fs::read_to_string(file).unwrap().replace("BYTEA", binary)).into_sql_str();
        let description = description.replace('_', " ").into();
        Migration::new(version.parse().unwrap(), description, MigrationType::Simple, sql, false)
    };
    files.iter().map(parse).collect()
}

#[tokio::test]
async fn from_every_older_version_the_schema_becomes_the_same() {
    at_both(async |place| {
        let binary = if place.is_postgres() { "BYTEA" } else { "BLOB" };
        let all = migrations(binary);
        let fresh = schema_after(&place, Vec::new()).await;
        assert!(fresh.len() > 100, "{fresh:?}");
        for until in 1..=all.len() {
            let place = if place.is_postgres() { Place::postgres().await.unwrap() } else { Place::sqlite() };
            assert_eq!(schema_after(&place, all[..until].to_vec()).await, fresh, "from version {until}");
        }
    })
    .await;
}

async fn schema_after(place: &Place, older: Vec<Migration>) -> Vec<String> {
    let raw = place.raw().await;
    if !older.is_empty() {
        let migrator = Migrator::with_migrations(older);
        match &raw {
            Raw::Sqlite(pool) => migrator.run(pool).await.unwrap(),
            Raw::Postgres(pool) => migrator.run(pool).await.unwrap(),
        }
    }
    Store::open(&place.url).await.unwrap().close().await;
    raw.schema().await
}

#[tokio::test]
async fn opening_again_changes_nothing() {
    on_both(async |db| {
        person(db, "arthur").await;
        let before = db.raw().await.dump().await;
        db.node().await.close().await;
        assert_eq!(db.raw().await.dump().await, before);
        assert_eq!(db.is_postgres(), db.place.is_postgres());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_that_start_at_once_on_an_empty_database_all_come_up() {
    for _ in 0..5 {
        at_both(async |place| assert_eq!(race(6, |_| open(place.url.clone())).await, vec![Ok(()); 6])).await;
    }
}

async fn open(url: String) -> Result<(), String> {
    Store::open(&url).await.map(drop).map_err(|error| format!("{error:?}"))
}

#[tokio::test]
async fn a_newer_or_altered_schema_is_refused() {
    on_both(async |db| {
        let raw = db.raw().await;
        let row =
            "INSERT INTO _sqlx_migrations SELECT 9999, 'of the future', installed_on, success, checksum,
            execution_time FROM _sqlx_migrations WHERE version = 1";
        raw.run(row).await;
        let error = Store::open(&db.place.url).await.map(drop).unwrap_err();
        assert_eq!(error.what, "the database cannot be brought to this version's schema");
        assert!(error.next.contains("newer version"), "{}", error.next);
        assert!(error.cause.chain().contains("9999"), "{:?}", error.cause);

        raw.run("DELETE FROM _sqlx_migrations WHERE version = 9999").await;
        raw.run("UPDATE _sqlx_migrations SET checksum = substr(checksum, 2) WHERE version = 1").await;
        let error = Store::open(&db.place.url).await.map(drop).unwrap_err();
        assert!(error.cause.chain().contains("modified"), "{:?}", error.cause);
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let place = Place::sqlite();
    fs::write(place.file(), "This is a shopping list.\n".repeat(1000)).unwrap();
    refused_and_left_alone(&place).await;
}

#[tokio::test]
async fn a_truncated_database_is_refused_and_left_alone() {
    let db = crate::support::database::TestDatabase::sqlite().await;
    person(&db, "arthur").await;
    db.close().await;
    let whole = fs::read(db.place.file()).unwrap();
    for length in [whole.len() / 2, whole.len() - 4096, 5000, 100, 10] {
        fs::write(db.place.file(), &whole[..length]).unwrap();
        refused_and_left_alone(&db.place).await;
    }
}

async fn refused_and_left_alone(place: &Place) {
    let before = fs::read(place.file()).unwrap();
    let error = Store::open(&place.url).await.map(drop).unwrap_err();
    assert!(error.what.contains("database cannot be"), "{}", error.what);
    assert!(error.next.contains("intact"), "{}", error.next);
    assert!(fs::read(place.file()).unwrap() == before, "the file was changed");
}

#[tokio::test]
async fn the_files_are_their_owners_only() {
    let db = crate::support::database::TestDatabase::sqlite().await;
    person(&db, "arthur").await;
    let folder = db.place.file().parent().unwrap().to_owned();
    let mut seen = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        seen.push(entry.file_name().into_string().unwrap());
    }
    seen.sort();
    assert_eq!(seen, ["store.db", "store.db-shm", "store.db-wal"]);
}

#[tokio::test]
async fn a_folder_that_is_missing_or_read_only_is_refused() {
    let place = Place::sqlite();
    let folder = place.file().parent().unwrap().to_owned();
    let refused = async |path: String| {
        let error = Store::open(&format!("sqlite://{path}")).await.map(drop).unwrap_err();
        assert_eq!(error.what, "the SQLite database cannot be opened");
        assert!(error.next.contains("writable"), "{}", error.next);
    };
    refused(format!("{}/missing/store.db", folder.display())).await;
    refused(format!("{}", folder.display())).await;
    if rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: a read-only folder (nothing is read-only to root)");
        return;
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    refused(format!("{}/store.db", folder.display())).await;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_is_refused_without_its_password() {
    let error = Store::open("postgres://someone:hunter2@127.0.0.1:1/x").await.map(drop).unwrap_err();
    assert_eq!(error.what, "the PostgreSQL database cannot be reached");
    assert!(!format!("{error:?}").contains("hunter2"));
    for url in ["mysql://someone:hunter2@host/x", "/var/lib/store.db", ""] {
        let error = Store::open(url).await.map(drop).unwrap_err();
        assert!(error.next.contains("sqlite://PATH or postgres://"), "{}", error.next);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn what_is_secret_is_kept_as_bytes() {
    at_both(async |place| {
        Store::open(&place.url).await.unwrap().close().await;
        let bytes = if place.is_postgres() { "bytea" } else { "BLOB" };
        let secret = |name: &str| {
            let words = ["hash", "verifier", "wrapped", "successor", "fingerprint", "client_secret"];
            words.iter().any(|word| name.contains(word)) || ["access_token", "refresh_token"].contains(&name)
        };
        let columns = place.raw().await.columns().await;
        let mut found = 0;
        for (table, column, kind) in columns.iter().filter(|(_, column, _)| secret(column)) {
            assert_eq!(kind, bytes, "{table}.{column}");
            found += 1;
        }
        assert!(found >= 14, "{found}");
    })
    .await;
}
