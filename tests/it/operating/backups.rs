//! `backup create`, `verify`, `list`, `restore` and `forget` with the real server and the real command.

use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use super::{refusal, result, told};
use crate::support::database::{Place, Raw};
use crate::support::server::{Setup, TestServer, master_key};

/// Deletes everything of whoever is logged in in this browser.
pub(super) async fn delete_data(browser: &crate::support::browser::Browser) {
    let page = browser.open("/account/delete").await;
    let end = browser.submit(&page, "/account/delete", &[("confirm", "delete my data")]).await;
    assert!(end.text.contains("Your data is deleted"), "{}", end.text);
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn a_backup_of_a_running_server_is_whole_sealed_and_listed() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let calls = async {
        for _ in 0..20 {
            ada.call("get_current_track", json!({})).await.content();
        }
    };
    let create = result(&server, &["backup", "create"]);
    let (made, ()) = futures_util::future::join(create, calls).await;
    let file = made["file"].as_str().unwrap();
    let header = &made["header"];
    let key = texts(&server, "SELECT id FROM master_keys").await.remove(0);
    assert_eq!((&header["sealed_under"], &header["key_ids"]), (&json!(key), &json!([key])));
    assert_eq!((&header["engine"], &header["counts"]["users"]), (&json!("sqlite"), &json!(1)));
    assert!(
        header["made_at"].as_str().unwrap().ends_with('Z') && header["schema_version"].as_i64() >= Some(13)
    );

    // Nothing of the content is readable, and nobody else may read the file.
    let bytes = read(file.as_ref());
    let person = texts(&server, "SELECT id FROM users").await.remove(0);
    for readable in [person.as_bytes(), b"CREATE TABLE", b"SQLite format"] {
        assert!(!bytes.windows(readable.len()).any(|window| window == readable));
    }
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(std::fs::metadata(file).unwrap().mode() & 0o777, 0o600);

    let verified = result(&server, &["backup", "verify", file]).await;
    assert_eq!((&verified["data_keys_opened"], &verified["data_keys_elsewhere"]), (&json!(1), &json!(0)));
    assert_eq!(verified["digest"], made["digest"]);
    let listed = result(&server, &["backup", "list"]).await;
    assert_eq!((&listed[0]["id"], &listed[0]["state"]), (&header["id"], &json!("there")));
    assert_eq!(listed[0]["key_ids"], json!([key]));
    let folder = Path::new(file).parent().unwrap().to_str().unwrap();
    let unproven = result(&server, &["backup", "list", "--dir", folder]).await;
    assert_eq!((&unproven[0]["proven"], &unproven[0]["header"]), (&json!(false), header));
    // Plain copies go.
    assert!(!server.data_dir().join("backup-scratch").exists());

    std::fs::remove_file(file).unwrap();
    assert_eq!(result(&server, &["backup", "list"]).await[0]["state"], "gone");
    let id = header["id"].as_str().unwrap();
    assert_eq!(result(&server, &["backup", "forget", id]).await["forgotten"], json!(id));
    assert_eq!(result(&server, &["backup", "list"]).await, json!([]));
    assert_eq!(refusal(&server, &["backup", "forget", id]).await.1["code"], "BACKUP_UNKNOWN");
    assert_eq!(refusal(&server, &["backup", "forget", "b_1"]).await.1["code"], "BACKUP_ID");
    tokio::time::sleep(Duration::from_millis(600)).await;
    for code in ["backup_created", "backup_verified", "backup_forgotten"] {
        assert_eq!(told(&server, code).len(), 1, "{code}");
    }
}

#[tokio::test]
async fn a_restore_brings_back_the_past_without_those_who_left_since() {
    let mut server = TestServer::new().await;
    let (ada, ben, chiara) =
        (server.listener("ada").await, server.listener("ben").await, server.listener("chiara").await);
    let made = result(&server, &["backup", "create"]).await;
    let (file, id) = (made["file"].as_str().unwrap().to_owned(), made["header"]["id"].clone());
    let key = |name: &'static str| {
        let server = &server;
        async move { result(server, &["api-keys", "create", "--user", "ada", "--name", name]).await }
    };
    let after = key("after").await;
    delete_data(&ben.browser).await;
    let page = chiara.browser.open("/account").await;
    chiara.browser.submit(&page, "/account/links/disconnect", &[("confirm", "yes")]).await;
    let epoch: i64 = texts(&server, "SELECT CAST(epoch AS TEXT) FROM revocation").await[0].parse().unwrap();

    let busy = refusal(&server, &["backup", "restore", "--yes", &file]).await;
    assert_eq!((busy.0, &busy.1["code"]), (3, &json!("DATABASE_IN_USE")));
    assert_eq!(server.stop().await.code(), Some(0));
    let before = read(&server.place.file());
    let asks = refusal(&server, &["backup", "restore", &file]).await;
    assert_eq!((asks.0, &asks.1["code"]), (2, &json!("CONFIRMATION_NEEDED")));
    let would = result(&server, &["backup", "restore", "--dry-run", &file]).await;
    assert_eq!((&would["dry_run"], &would["kept"]), (&json!(true), &json!(null)));
    let done = result(&server, &["backup", "restore", "--yes", &file]).await;
    for field in ["people_deleted_again", "links_deleted_again", "grants_ended", "api_keys_ended"] {
        assert_eq!(would[field], done[field], "{field}");
    }
    assert_eq!((&done["people_deleted_again"], &done["links_deleted_again"]), (&json!(1), &json!(1)));
    assert!(done["epoch"].as_i64().unwrap() > epoch);
    let kept = Path::new(done["kept"].as_str().unwrap());
    assert!(read(kept)[4096..] == before[4096..], "the database that was replaced is kept");
    let beside = std::fs::read_dir(server.place.file().parent().unwrap()).unwrap();
    assert_eq!(beside.count(), 2, "nothing but the database and the one that it replaced");

    server.start().await;
    // Everybody's tokens have ended; who is still there logs in again, and their link works.
    assert_eq!(ada.call("get_current_track", json!({})).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ada.client.refresh(&ada.pair().refresh).await.1["error"], "invalid_grant");
    let again = server.listener("ada").await;
    again.call("get_current_track", json!({})).await.content();
    let left = texts(&server, "SELECT spotify_user_id FROM linked_accounts").await;
    assert_eq!(left, ["ada"]);
    assert!(texts(&server, "SELECT id FROM api_keys").await.is_empty(), "{after}");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let told = told(&server, "backup_restored");
    assert!(told.len() == 1 && told[0].contains(id.as_str().unwrap()), "{told:?}");
    // The index of backups survived, though the restored database is older than it.
    assert_eq!(result(&server, &["backup", "list"]).await[0]["id"], id);
}

/// What a query gives; nothing has the database open afterwards.
pub(super) async fn texts(server: &TestServer, sql: &str) -> Vec<String> {
    let raw = server.place.raw().await;
    let texts = raw.texts(sql).await;
    match raw {
        Raw::Sqlite(pool) => pool.close().await,
        Raw::Postgres(pool) => pool.close().await,
    }
    texts
}

#[tokio::test]
async fn a_lost_database_is_restored_and_a_key_that_nobody_knows_to_live_ends() {
    let mut server = TestServer::new().await;
    let (_ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    result(&server, &["api-keys", "create", "--user", "ada", "--name", "radio"]).await;
    let made = result(&server, &["backup", "create"]).await;
    let file = made["file"].as_str().unwrap();
    delete_data(&ben.browser).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    server.kill().await;
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", server.place.file().display()));
    }
    let done = result(&server, &["backup", "restore", "--yes", file]).await;
    // Whom to delete again, the file outside the database knows.
    assert_eq!((&done["people_deleted_again"], &done["api_keys_ended"]), (&json!(1), &json!(1)));
    assert_eq!(done["kept"], json!(null));
    server.start().await;
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
}

#[tokio::test]
async fn a_damaged_database_is_replaced_and_kept() {
    let mut server = TestServer::new().await;
    server.listener("ada").await;
    let made = result(&server, &["backup", "create"]).await;
    let file = made["file"].as_str().unwrap();
    assert_eq!(server.stop().await.code(), Some(0));
    let mut damaged = read(&server.place.file());
    damaged.truncate(damaged.len() / 2 / 4096 * 4096);
    std::fs::write(server.place.file(), &damaged).unwrap();
    let done = result(&server, &["backup", "restore", "--yes", file]).await;
    // But for the first page, where SQLite notes how its log is kept.
    let kept = read(Path::new(done["kept"].as_str().unwrap()));
    assert!(kept[4096..] == damaged[4096..]);
    server.start().await;
    server.listener("ada").await.call("get_current_track", json!({})).await.content();
}

#[tokio::test]
async fn the_configuration_file_travels_with_the_backup() {
    let server = Setup::default().prepare().await;
    let config = server.data.join("server.toml");
    std::fs::write(&config, "[telemetry]\nlog_level = \"warn\"\n").unwrap();
    let config = config.to_str().unwrap();
    let mut server = server;
    server.start().await;
    let made = result(&server, &["backup", "create", "--config", config]).await;
    assert_eq!(made["header"]["configuration"], json!({ "name": "server.toml" }));
    let file = made["file"].as_str().unwrap();
    assert!(!read(file.as_ref()).windows(9).any(|window| window == b"log_level"));
    assert_eq!(server.stop().await.code(), Some(0));
    let out = server.data.join("back.toml");
    let arguments = ["backup", "restore", "--yes", file, "--configuration-out", out.to_str().unwrap()];
    result(&server, &arguments).await;
    assert_eq!(read(&out), read(config.as_ref()));
    let again = refusal(&server, &arguments).await;
    assert_eq!((again.0, &again.1["code"]), (2, &json!("FILE_UNWRITABLE")), "never over another file");
    let without = result(&server, &["backup", "create"]).await;
    let none = without["file"].as_str().unwrap();
    let arguments = ["backup", "restore", "--yes", none, "--configuration-out", "/nowhere"];
    assert_eq!(refusal(&server, &arguments).await.1["code"], "BACKUP_NO_CONFIGURATION");
}

#[tokio::test]
async fn a_backup_vouches_for_a_dump_of_postgresql() {
    let Some(place) = Place::postgres().await else { return };
    let url = place.url.clone();
    let mut server = Setup::on(place).start().await;
    let ben = {
        server.listener("ada").await;
        server.listener("ben").await
    };
    let needs = refusal(&server, &["backup", "create"]).await;
    assert_eq!((needs.0, &needs.1["code"]), (2, &json!("BACKUP_NEEDS_DUMP")));
    let dump = server.data.join("monday.dump");
    std::fs::write(&dump, "-- not one of pg_dump").unwrap();
    let dump = dump.to_str().unwrap();
    assert_eq!(refusal(&server, &["backup", "create", "--dump", dump]).await.1["code"], "BACKUP_BROKEN");
    if !pg("pg_dump", &["-Fc", "-f", dump, &url]).await {
        return;
    }
    let made = result(&server, &["backup", "create", "--dump", dump]).await;
    assert_eq!(
        (&made["header"]["engine"], &made["header"]["dump"]["name"]),
        (&json!("postgres"), &json!("monday.dump"))
    );
    let file = made["file"].as_str().unwrap();
    result(&server, &["backup", "verify", file]).await;
    assert_eq!(result(&server, &["backup", "list"]).await[0]["engine"], "postgres");

    delete_data(&ben.browser).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(server.stop().await.code(), Some(0));
    assert!(pg("pg_restore", &["--clean", "--if-exists", "-d", &url, dump]).await);
    let done = result(&server, &["backup", "restore", "--yes", file]).await;
    assert_eq!((&done["people_deleted_again"], &done["grants_ended"]), (&json!(1), &json!(1)));
    server.start().await;
    server.listener("ada").await.call("get_current_track", json!({})).await.content();

    let whole = read(dump.as_ref());
    std::fs::write(dump, &whole[..whole.len() - 1]).unwrap();
    let broken = refusal(&server, &["backup", "verify", file]).await;
    assert_eq!((broken.0, &broken.1["code"]), (1, &json!("BACKUP_BROKEN")));
    std::fs::remove_file(dump).unwrap();
    let gone = refusal(&server, &["backup", "verify", file]).await;
    assert_eq!((gone.0, &gone.1["code"]), (3, &json!("BACKUP_DUMP_MISSING")));
}

/// Runs one of PostgreSQL's tools; `false`, said plainly, where it is not installed.
async fn pg(tool: &str, arguments: &[&str]) -> bool {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = installed.filter_map(|entry| entry.ok()).map(|entry| entry.path().join("bin")).max();
    let path = newest.map(|folder| folder.join(tool)).filter(|path| path.exists());
    match tokio::process::Command::new(path.unwrap_or_else(|| tool.into())).args(arguments).output().await {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(error) => {
            eprintln!("SKIPPED: {tool} is not installed ({error})");
            false
        }
    }
}

#[tokio::test]
async fn a_backup_under_a_retired_key_opens_with_that_key_alone() {
    let mut server = TestServer::new().await;
    server.listener("ada").await;
    let made = result(&server, &["backup", "create"]).await;
    let file = made["file"].as_str().unwrap().to_owned();
    assert_eq!(server.stop().await.code(), Some(0));
    let old = server.environment["SPOTIFY_MCP_MASTER_KEY"].clone();
    let key_file = server.data.join("old.key");
    std::fs::write(&key_file, &old).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    server.environment.insert("SPOTIFY_MCP_MASTER_KEY".to_owned(), master_key("a newer one"));
    let wrong = refusal(&server, &["backup", "verify", &file]).await;
    assert_eq!((wrong.0, &wrong.1["code"]), (2, &json!("BACKUP_WRONG_KEY")));
    assert!(wrong.1["message"].as_str().unwrap().contains(made["header"]["sealed_under"].as_str().unwrap()));
    assert!(!wrong.1.to_string().contains(&old));
    result(&server, &["backup", "verify", &file, "--key-file", key_file.to_str().unwrap()]).await;
    // A key that is not the database's seals nothing.
    assert_eq!(refusal(&server, &["backup", "create"]).await.1["code"], "MASTER_KEY_WRONG");
}
