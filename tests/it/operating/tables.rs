//! What people read: tables within 80 columns, whole ids in them, and what happened in the table of records.

use serde_json::{Value, json};

use super::{command, refusal, result, trail};
use crate::support::server::{Setup, TestServer};

async fn shown(server: &TestServer, arguments: &[&str]) -> String {
    let output = command(server, arguments).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Columns as a terminal gives them to what stands in these tests.
fn wide(line: &str) -> usize {
    line.chars().map(|c| if c >= '\u{3000}' { 2 } else { 1 }).sum()
}

#[tokio::test]
async fn every_list_fits_80_columns_and_cuts_no_id() {
    let server = Setup::default().start().await;
    let long = "A name as long as anybody may have one, and then some more of it";
    server
        .control()
        .create_user("spotifys-longest-name-of-a-person", &json!({"display_name": long}))
        .unwrap();
    server.control().create_user("ongaku", &json!({"display_name": "音楽プレーヤーの人"})).unwrap();
    let ada = server.listener("ada").await;
    let listener = server.listener("spotifys-longest-name-of-a-person").await;
    let _other = server.listener("ongaku").await;
    let name = "the key of the machine in the cellar";
    let key = result(&server, &["api-keys", "create", "--user", "ada", "--name", name]).await;
    let folder = server.data.join("backups-of-a-folder-with-a-long-name");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("monday.backup").display().to_string();
    result(&server, &["backup", "create", "-o", &file]).await;
    result(&server, &["rotate-keys", "--what", "signing", "--yes"]).await;
    listener.call("get_status", json!({})).await.content();

    let whole = [key["id"].as_str().unwrap(), ada.client.id.as_str()];
    let mut all = String::new();
    for list in [
        &["users", "list"][..],
        &["clients", "list"],
        &["api-keys", "list"],
        &["backup", "list"],
        &["alerts", "rules"],
        &["alerts", "list"],
        &["rotate-keys", "--status"],
        &["incident", "list"],
        &["audit", "query"],
        &["audit", "tail", "-n", "100"],
    ] {
        let table = shown(&server, list).await;
        for line in table.lines() {
            // The file's name is what other commands take.
            assert!(wide(line) <= 80 || line.contains(&file), "{list:?}: {line}\n{table}");
        }
        all += &table;
    }
    assert!(whole.iter().all(|id| all.contains(id)) && all.contains(&file), "{all}");
    assert!(
        all.contains("ROTATION") && all.contains("redirects to") && all.contains("音楽プレーヤーの人"),
        "{all}"
    );
}

#[tokio::test]
async fn the_table_of_records_says_what_happened() {
    let mut server = Setup::default().start().await;
    let ada = server.listener("ada").await;
    ada.call("search_tracks", json!({"query": "x", "limit": 0})).await;
    let id = result(&server, &["users", "show", "ada"]).await["id"].as_str().unwrap().to_owned();
    result(&server, &["users", "disable", "ada", "--yes", "--reason", "lost laptop"]).await;
    server.stop().await;
    let records = trail(&server);
    let of = |code: &str| records.iter().find(|one| one["metadata"]["event_code"] == code).unwrap();
    let (called, disabled) = (of("tool_called"), of("user_disabled"));
    let pseudonym = called["actor"]["user"]["uid"].as_str().unwrap();

    let calls = shown(&server, &["audit", "query", "--code", "tool_called"]).await;
    assert!(calls.contains(&format!("by {pseudonym}")), "{calls}");
    assert!(calls.contains(&format!("via {}", ada.client.id)) && calls.contains("search_tracks"), "{calls}");
    let ended = shown(&server, &["audit", "query", "--code", "user_disabled"]).await;
    assert!(ended.contains("medium") || ended.contains("high"), "{ended}");
    assert!(ended.contains("because: lost laptop") && ended.contains("by: uid "), "{ended}");
    assert!(ended.contains(&format!("of {pseudonym}")) && !ended.contains(&id), "{ended}");
    assert_eq!(disabled["unmapped"]["outcome"], "success");

    // A part of an id would find nothing, and look as if there were nothing.
    for wrong in [
        ["--user", &pseudonym[..12]],
        ["--user", "p_"],
        ["--client", &ada.client.id[..8]],
        ["--session", "s_0123"],
        ["--session", "ada"],
    ] {
        for verb in ["query", "tail"] {
            let (status, error) = refusal(&server, &[&["audit", verb][..], &wrong].concat()).await;
            assert_eq!((status, &error["code"]), (2, &json!("AUDIT_ID_WRONG")), "{wrong:?}");
        }
    }
    let found = shown(&server, &["audit", "query", "--user", pseudonym, "--format", "json"]).await;
    assert!(found.lines().count() > 1, "{found}");
}

/// Somebody calls all the time: the newest records are never signed yet.
#[tokio::test]
async fn a_busy_trail_is_exported_up_to_where_it_is_signed() {
    let server = Setup::default().env("SPOTIFY_MCP__AUDIT__CHECKPOINT_SECONDS", "1").start().await;
    let ada = server.listener("ada").await;
    let calls = async {
        loop {
            ada.call("get_status", json!({})).await;
        }
    };
    let exported = async {
        let folder = server.data.join("export").display().to_string();
        // The first checkpoint comes within a second.
        let mut told = Value::Null;
        for _ in 0..50 {
            let output = command(
                &server,
                &["audit", "export", "--from", "1h", "--to", "2100-01-01", "-o", &folder, "--format", "json"],
            )
            .await;
            if output.status.code() == Some(0) {
                told = serde_json::from_slice(&output.stdout).unwrap();
                break;
            }
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("AUDIT_NOT_SIGNED"), "{said}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        told
    };
    let told = tokio::select! {
        told = exported => told,
        () = calls => unreachable!(),
    };
    assert_eq!((&told["first"], &told["last"]), (&json!(1), &told["size"]), "{told}");
    assert!(told["unsigned_left_out"].is_u64(), "{told}");
}
