//! Changes of the library: what was there already is left alone and not undone; the rest comes back, or goes.

use spotify_mcp::spotify::sandbox::Fault;

use super::*;

const SAVE: &str = "save_to_library";
const REMOVE: &str = "remove_from_library";

/// Which of these tracks are in the library.
async fn kept(who: &Listener, numbers: &[usize]) -> Vec<usize> {
    let items = done(who, "check_library", json!({"uris": uris(numbers)})).await["items"].clone();
    let kept = numbers.iter().zip(items.as_array().unwrap());
    kept.filter(|(_, item)| item["saved"] == true).map(|(n, _)| *n).collect()
}

async fn undo(who: &Listener, change: &Value, more: Value) -> Answer {
    let mut arguments = json!({"change_id": change, "dry_run": false});
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    who.call("undo_change", arguments).await
}

#[tokio::test]
async fn only_what_a_change_did_is_undone_in_every_mode() {
    for mode in MODES {
        let server = in_mode(mode).await;
        let ada = server.listener("ada").await;
        done(&ada, SAVE, json!({"uris": uris(&[1, 2])})).await;
        let more = done(&ada, SAVE, json!({"uris": uris(&[1, 2, 3, 4])})).await;
        assert_eq!((&more["status"], &more["done"]), (&json!("verified"), &json!(4)), "{more}");
        let change = change_id(&more);
        let listed = done(&ada, "list_changes", json!({})).await["changes"][0].clone();
        assert_eq!((&listed["change_id"], &listed["done"]), (&change, &json!("2 tracks saved")), "{listed}");
        assert!(listed.get("playlist_id").is_none());

        let plan = done(&ada, "undo_change", json!({"change_id": change})).await;
        assert_eq!(plan["effect"], "2 tracks leave the library.");
        assert_eq!(kept(&ada, &[1, 2, 3, 4]).await, [1, 2, 3, 4], "a dry run");
        let undone = undo(&ada, &change, json!({})).await.content();
        assert_eq!(undone["status"], "verified", "{undone}");
        assert_eq!(kept(&ada, &[1, 2, 3, 4]).await, [1, 2]);
        let again = undo(&ada, &change, json!({})).await;
        assert_eq!(again.error(), "INVALID_ARGUMENT", "once");
        // The undoing is a change as well.
        undo(&ada, &change_id(&undone), json!({})).await.content();
        assert_eq!(kept(&ada, &[1, 2, 3, 4]).await, [1, 2, 3, 4]);

        let removed = agreed(&ada, REMOVE, &json!({"uris": uris(&[2, 3, 9])})).await;
        assert_eq!(kept(&ada, &[1, 2, 3, 4, 9]).await, [1, 4]);
        undo(&ada, &change_id(&removed), json!({})).await.content();
        assert_eq!(kept(&ada, &[1, 2, 3, 4, 9]).await, [1, 2, 3, 4], "9 was never there");

        let nothing = done(&ada, SAVE, json!({"uris": uris(&[1, 2])})).await;
        assert_eq!(nothing["status"], "verified");
        assert!(nothing.get("change_id").is_none(), "{nothing}");
    }
}

#[tokio::test]
async fn what_happened_since_is_told_and_only_the_rest_is_undone_where_it_is_forced() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let saved = done(&ada, SAVE, json!({"uris": uris(&[1, 2, 3])})).await;
    agreed(&ada, REMOVE, &json!({"uris": uris(&[2])})).await;
    let change = change_id(&saved);
    let told = refused(&ada, "undo_change", json!({"change_id": change})).await;
    assert!(told.contains("1 of 3 is not in the library any more"), "{told}");
    undo(&ada, &change, json!({"force": true})).await.content();
    assert_eq!(kept(&ada, &[1, 2, 3]).await, Vec::<usize>::new());
    // Nobody else's.
    assert_eq!(undo(&ben, &change, json!({})).await.error(), "NOT_FOUND");
}

#[tokio::test]
async fn a_change_that_stopped_half_way_is_undone_as_far_as_it_came() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let many: Vec<usize> = (1..=100).collect();
    done(&ada, SAVE, json!({"uris": uris(&[5])})).await;
    let refuse =
        Fault::Status { status: 429, body: "{}".to_owned(), headers: std::collections::BTreeMap::default() };
    let after_one = spotify_mcp::spotify::sandbox::Injection {
        route: "PUT /v1/me/library".to_owned(),
        skip: 1,
        times: 1,
        fault: refuse.clone(),
    };
    assert!(server.control().inject(after_one));
    let half = done(&ada, SAVE, json!({"uris": uris(&many)})).await;
    assert_eq!((&half["status"], &half["done"]), (&json!("partial"), &json!(41)), "5 was there: {half}");
    assert_eq!(half["resume"], json!({"from_index": 41, "remaining": 59}));
    undo(&ada, &change_id(&half), json!({})).await.content();
    assert_eq!(kept(&ada, &many).await, [5]);

    // What was refused as a whole leaves nothing behind.
    let before = done(&ada, "list_changes", json!({})).await["total"].clone();
    server.inject("PUT /v1/me/library", 1, refuse);
    assert_eq!(ada.call(SAVE, json!({"uris": uris(&[7])})).await.error(), "RATE_LIMITED");
    assert_eq!(done(&ada, "list_changes", json!({})).await["total"], before);
}

#[tokio::test]
async fn where_nothing_is_kept_nothing_is_looked_up_for_it() {
    let server = Setup::default().env("SPOTIFY_MCP__LIMITS__UNDO_DAYS", "0").start().await;
    let ada = server.listener("ada").await;
    let saved = done(&ada, SAVE, json!({"uris": uris(&[1])})).await;
    assert!(saved.get("change_id").is_none());
    assert_eq!(server.asked("/v1/me/library/contains", 200), 1, "what proves it");
}
