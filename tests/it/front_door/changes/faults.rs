//! Writes whose confirmation is lost, wrong or refused: said as it is, and never repeated.

use spotify_mcp::spotify::sandbox::{Fault, Filter, Injection};

use super::*;

const REMOVE: &str = "remove_tracks_from_playlist";

fn writes(server: &TestServer, method: &str) -> usize {
    let filter = Filter { method: Some(method.to_owned()), limit: Some(usize::MAX), ..Filter::default() };
    let entries = server.control().journal(&filter);
    entries.iter().filter(|entry| entry.path.ends_with("/items")).count()
}

async fn removing(server: &TestServer, who: &Listener, list: &str, fault: Option<Fault>) -> Value {
    let arguments = json!({"playlist_id": list, "track_uris": [uri(1)]});
    let plan = done(who, REMOVE, arguments.clone()).await;
    if let Some(fault) = fault {
        server.inject("DELETE /v1/playlists/*", 1, fault);
    }
    who.call(REMOVE, applying(&arguments, &plan)).await.result()
}

#[tokio::test]
async fn a_lost_confirmation_is_settled_by_reading_and_the_change_is_sent_once() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1, 2, 1]));
    let result = removing(&server, &ada, &list, Some(Fault::LoseReply)).await;
    assert_eq!(result["structuredContent"]["status"], "verified", "{result}");
    assert_eq!((held(&server, &list), writes(&server, "DELETE")), (uris(&[2]), 1));

    // The same where it was not done: not certain, and not sent again.
    replaced(&server, &list, uris(&[1, 2]));
    let result = removing(&server, &ada, &list, Some(Fault::Drop)).await;
    let output = &result["structuredContent"];
    assert_eq!(
        (&output["status"], &output["failure"]["code"]),
        (&json!("ambiguous"), &json!("AMBIGUOUS_WRITE"))
    );
    assert_eq!((held(&server, &list), writes(&server, "DELETE")), (uris(&[1, 2]), 2));
    let listed = done(&ada, "list_changes", json!({"limit": 1})).await;
    assert_eq!(listed["changes"][0]["state"], "ambiguous", "{listed}");
}

#[tokio::test]
async fn a_confirmation_that_is_not_true_is_found_out() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1, 2]));
    let result = removing(&server, &ada, &list, Some(Fault::Unapplied)).await;
    let output = &result["structuredContent"];
    assert_eq!(output["status"], "ambiguous", "{result}");
    assert!(output["failure"]["message"].as_str().unwrap().contains("something else"), "{output}");
    server.inject("PUT /v1/playlists/*", 1, Fault::Unapplied);
    let output = done(&ada, "update_playlist", json!({"playlist_id": list, "name": "New"})).await;
    assert_eq!(output["status"], "ambiguous", "{output}");
    server.inject("PUT /v1/me/library", 1, Fault::Unapplied);
    let public = PlaylistChange { public: Some(true), ..PlaylistChange::default() };
    let bens = server.control().create_playlist("ben", public).unwrap();
    let output = done(&ada, "follow_playlist", json!({"playlist_id": bens})).await;
    assert_eq!((&output["status"], &output["followed"]), (&json!("ambiguous"), &json!(false)), "{output}");
}

#[tokio::test]
async fn a_playlist_whose_making_was_not_confirmed_is_on_record_and_is_taken_back() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    server.inject("POST /v1/me/playlists", 1, Fault::LoseReply);
    let made = done(&ada, "create_playlist", json!({"name": "Half"})).await;
    assert_eq!(made["status"], "ambiguous", "{made}");
    let listed = done(&ada, "list_changes", json!({"limit": 1})).await;
    assert_eq!(
        (&listed["changes"][0]["change_id"], &listed["changes"][0]["state"]),
        (&made["change_id"], &json!("ambiguous")),
        "{listed}"
    );
    let undone = json!({"change_id": change_id(&made), "dry_run": false, "force": true});
    assert_eq!(done(&ada, "undo_change", undone).await["status"], "verified");
    let left = done(&ada, "get_user_playlists", json!({"query": "Half"})).await;
    assert_eq!(left["playlists"], json!([]), "{left}");
    // With tracks that were refused in the middle: how to go on without making another one.
    let body = r#"{"error":{"status":403,"message":"Forbidden"}}"#.to_owned();
    server.inject(
        "POST /v1/playlists/*",
        1,
        Fault::Status { status: 403, body, headers: Default::default() },
    );
    let half = ada.call("create_playlist", json!({"name": "Half", "track_uris": uris(&[1])})).await;
    let text = half.result()["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("To go on: add_tracks_to_playlist with playlist_id"), "{text}");
}

#[tokio::test]
async fn a_refused_change_is_an_error_and_leaves_no_entry() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[1, 2]));
    let refusals = [
        (403, r#"{"error":{"status":403,"message":"Insufficient client scope"}}"#, "SCOPE_MISSING"),
        (403, r#"{"error":{"status":403,"message":"Forbidden"}}"#, "FORBIDDEN"),
        (404, r#"{"error":{"status":404,"message":"Resource not found"}}"#, "NOT_FOUND"),
        (429, r#"{"error":{"status":429,"message":"x","reason":"QUOTA_EXCEEDED"}}"#, "QUOTA_EXCEEDED"),
    ];
    for (status, body, code) in refusals {
        let headers = [("retry-after".to_owned(), "86207".to_owned())].into();
        let fault = Fault::Status { status, body: body.to_owned(), headers };
        let result = removing(&server, &ada, &list, Some(fault.clone())).await;
        assert_eq!(result["structuredContent"]["error"]["code"], code, "{result}");
        server.inject("PUT /v1/playlists/*", 1, fault);
        assert_eq!(
            ada.call("update_playlist", json!({"playlist_id": list, "name": "New"})).await.error(),
            code
        );
    }
    assert_eq!(held(&server, &list), uris(&[1, 2]));
    assert_eq!(done(&ada, "list_changes", json!({})).await["total"], 0);
}

#[tokio::test]
async fn a_change_that_stops_half_way_says_so_and_is_undone_to_the_last_row() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let rows: Vec<_> = (0..150).chain(0..150).map(uri).collect();
    let list = filled(&server, "ada", rows.clone());
    let arguments = json!({"playlist_id": list});
    let plan = done(&ada, "deduplicate_playlist", arguments.clone()).await;
    let headers = Default::default();
    let fault =
        Fault::Status { status: 403, body: r#"{"error":{"message":"Forbidden"}}"#.to_owned(), headers };
    let route = "POST /v1/playlists/*".to_owned();
    assert!(server.control().inject(Injection { route, skip: 1, times: 1, fault }));
    let output = done(&ada, "deduplicate_playlist", applying(&arguments, &plan)).await;
    assert_eq!(
        (&output["status"], &output["failure"]["code"]),
        (&json!("partial"), &json!("FORBIDDEN")),
        "{output}"
    );
    assert!(held(&server, &list).len() < 150);
    let undo = json!({"change_id": change_id(&output), "dry_run": false});
    let undone = done(&ada, "undo_change", undo.clone()).await;
    assert_eq!(undone["status"], "verified", "{undone}");
    assert_eq!(held(&server, &list), rows);
    assert!(refused(&ada, "undo_change", undo).await.contains("undone before"));
}

#[tokio::test]
async fn the_journal_tells_what_was_added_and_not_what_was_asked_for() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", uris(&[500]));
    let headers = Default::default();
    let fault =
        Fault::Status { status: 403, body: r#"{"error":{"message":"Forbidden"}}"#.to_owned(), headers };
    let route = "POST /v1/playlists/*".to_owned();
    assert!(server.control().inject(Injection { route, skip: 1, times: 1, fault }));
    let arguments = json!({"playlist_id": list, "track_uris": (0..150).map(uri).collect::<Vec<_>>()});
    let output = done(&ada, "add_tracks_to_playlist", arguments).await;
    assert_eq!((&output["status"], &output["added"]), (&json!("partial"), &json!(100)), "{output}");
    let changes = ada.call("list_changes", json!({})).await;
    let change = &changes.content()["changes"][0];
    assert_eq!(change["done"], "only 100 of 150 tracks added from position 1 on");
    let text = changes.result()["content"][0]["text"].as_str().unwrap().to_owned();
    let link = format!("https://open.spotify.com/playlist/{list}");
    assert!(text.contains(": \"Mine\": only 100 of 150") && text.contains(&link), "{text}");
}
