//! A database that goes away under a running server: everything is refused, nothing is invented.

use std::fs;

use super::fixtures::{at, event, hash, person};
use crate::support::database::{TestDatabase, on_both};

#[tokio::test]
async fn a_removed_file_is_noticed_and_not_made_anew() {
    let db = TestDatabase::sqlite().await;
    let arthur = person(&db, "arthur").await;
    db.ping().await.unwrap();
    fs::remove_file(db.place.file()).unwrap();
    refuses_changes(&db, &arthur).await;
    assert!(!db.place.file().exists());
}

#[tokio::test]
async fn a_replaced_file_is_noticed_and_left_alone() {
    let db = TestDatabase::sqlite().await;
    let arthur = person(&db, "arthur").await;
    fs::rename(db.place.file(), db.place.file().with_extension("old")).unwrap();
    fs::write(db.place.file(), b"").unwrap();
    refuses_changes(&db, &arthur).await;
    assert!(fs::read(db.place.file()).unwrap().is_empty());
}

async fn refuses_changes(db: &TestDatabase, arthur: &super::fixtures::Person) {
    assert!(db.ping().await.unwrap_err().to_string().contains("database"));
    assert!(db.epoch().await.is_err());
    assert!(db.record(&[event()]).await.is_err());
    assert!(db.touch_browser_session(&arthur.session("c", 0, 3).id, at(1)).await.is_err());
    assert!(db.count_code_failure(hash("c")).await.is_err());
    assert!(db.delete_user(&arthur.user, at(9), &[]).await.is_err());
}

#[tokio::test]
async fn a_closed_database_refuses_everything() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        db.close().await;
        assert!(db.ping().await.is_err());
        assert!(db.user(&arthur.user).await.is_err());
        assert!(db.record(&[event()]).await.is_err());
        assert!(db.purge(at(0)).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_postgres_database_that_is_dropped_is_noticed() {
    let Some(db) = TestDatabase::postgres().await else { return };
    let arthur = person(&db, "arthur").await;
    let raw = db.raw().await;
    raw.run("ALTER TABLE revocation RENAME TO gone").await;
    assert!(db.ping().await.is_err());
    // A change that cannot move the epoch is not made.
    assert!(db.delete_user(&arthur.user, at(9), &[event()]).await.is_err());
    raw.run("ALTER TABLE gone RENAME TO revocation").await;
    db.ping().await.unwrap();
    assert!(db.user(&arthur.user).await.unwrap().is_some());
    assert_eq!(super::fixtures::waiting(&db).await, 0);
    raw.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'spotify-mcp' AND datname = current_database()").await;
    // The connections were cut; the pool finds new ones.
    assert!(db.user(&arthur.user).await.unwrap().is_some());
}
