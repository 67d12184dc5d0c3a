//! One change of a person at a time, on all servers, and nobody pulls the account from under it: who comes meanwhile waits.

use reqwest::StatusCode;
use spotify_mcp::spotify::sandbox::{Fault, Injection};
use tokio::time::{Duration, sleep};

use super::*;
use crate::front_door::api_keys::{refusal, result};
use crate::front_door::elsewhere::Cable;
use crate::front_door::revoking::nodes::beside;
use crate::support::database::{Place, at_both};

const REMOVE: &str = "remove_tracks_from_playlist";

/// A removal that writes a list anew, for some seconds, and whose client has left. The list, its rows
/// but for the one that cannot come back, and those that stay.
async fn under_way(server: &TestServer, who: &Listener, rows: usize) -> (String, Vec<String>, Vec<String>) {
    let mut before: Vec<String> = (0..rows).map(uri).collect();
    before[5] = String::new();
    let list = filled(server, &who.person, before.clone());
    before.remove(5);
    let mut after = before.clone();
    after.remove(5);
    let arguments = json!({"playlist_id": list, "positions": [5, 6]});
    let plan = done(who, REMOVE, arguments.clone()).await;
    let fault = Fault::Delay { millis: 900 };
    let route = "POST /v1/playlists/*".to_owned();
    assert!(server.control().inject(Injection { route, skip: 0, times: 20, fault }));
    assert!(
        who.give_up(REMOVE, applying(&arguments, &plan), Duration::from_millis(600)).await,
        "it was quicker"
    );
    assert!(held(server, &list).len() < after.len(), "it is over already");
    (list, before, after)
}

#[tokio::test]
async fn who_comes_by_way_of_another_server_waits_for_the_change_that_is_under_way() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let (mut other, origin) = beside(&server, None).await;
        let ada = server.listener("ada").await;
        let (list, before, _) = under_way(&server, &ada, 400).await;
        let there =
            async |tool: &str, arguments: Value| called_at((&server, &origin), &ada, tool, arguments).await;
        let change = there("list_changes", json!({"limit": 1})).await["changes"][0].clone();
        assert_eq!(change["state"], "begun", "{change}");
        let undo = json!({"change_id": change["change_id"], "dry_run": false});
        assert_eq!(there("undo_change", undo).await["status"], "verified");
        assert_eq!(held(&server, &list), before, "no row is lost, and none is there twice");
        let listed = done(&ada, "list_changes", json!({})).await;
        let states: Vec<_> =
            listed["changes"].as_array().unwrap().iter().map(|change| &change["state"]).collect();
        assert_eq!(states, ["verified", "verified"], "{listed}");
        other.kill().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn two_people_never_write_one_collaborative_list_at_once() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let mut rows: Vec<String> = (0..250).map(uri).collect();
    rows[5] = String::new();
    let shared = PlaylistChange {
        uris: Some(rows.clone()),
        collaborative: Some(true),
        public: Some(false),
        ..PlaylistChange::default()
    };
    let list = server.control().create_playlist("ada", shared).unwrap();
    let arguments = json!({"playlist_id": list, "positions": [5]});
    let (hers, his) =
        (done(&ada, REMOVE, arguments.clone()).await, done(&ben, REMOVE, arguments.clone()).await);
    for route in ["PUT /v1/playlists/*", "POST /v1/playlists/*"] {
        let fault = Fault::Delay { millis: 700 };
        assert!(server.control().inject(Injection { route: route.to_owned(), skip: 0, times: 20, fault }));
    }
    let later = async {
        sleep(Duration::from_millis(200)).await;
        refused(&ben, REMOVE, applying(&arguments, &his)).await
    };
    let (first, told) = tokio::join!(done(&ada, REMOVE, applying(&arguments, &hers)), later);
    assert_eq!(first["status"], "verified", "{first}");
    assert!(told.contains("Somebody else is writing this playlist"), "{told}");
    rows.remove(5);
    assert_eq!(held(&server, &list), rows);
    let listed = done(&ben, "list_changes", json!({})).await;
    assert_eq!(listed["changes"], json!([]), "nothing of his is on record: {listed}");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_brings_to_its_end_what_nobody_waits_for() {
    let mut server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let (list, _, after) = under_way(&server, &ada, 400).await;
    assert!(server.stop().await.success());
    assert_eq!(held(&server, &list), after);
    server.start().await;
    let listed = done(&ada, "list_changes", json!({})).await;
    assert_eq!(listed["changes"][0]["state"], "verified", "{listed}");
}

#[tokio::test]
async fn an_account_goes_after_the_change_that_is_written_with_it() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let (list, _, after) = under_way(&server, &ada, 400).await;
    let page = ada.browser.open("/account").await;
    let page = ada.browser.submit(&page, "/account/links/disconnect", &[("confirm", "yes")]).await;
    assert_eq!((page.url.query(), held(&server, &list)), (Some("done=disconnected"), after));
    server.control().clear_faults();
    let (list, _, after) = under_way(&server, &ben, 400).await;
    result(&server, &["users", "delete", "ben", "--yes"]).await;
    assert_eq!(held(&server, &list), after);
}

#[tokio::test]
async fn an_account_stays_while_a_change_does_not_end() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    // As a server has it that writes for ever.
    server.place.raw().await.run("UPDATE users SET changing_by = 'x', changing_until = 9999999999999").await;
    let page = ada.browser.open("/account").await;
    let (page, deleted) = tokio::join!(
        ada.browser.submit(&page, "/account/links/disconnect", &[("confirm", "yes")]),
        refusal(&server, &["users", "delete", "ada", "--yes"]),
    );
    assert_eq!((page.code(), page.status), ("CHANGE_UNDER_WAY", StatusCode::CONFLICT));
    assert_eq!(deleted.1, "CHANGE_UNDER_WAY");
    done(&ada, "get_current_track", json!({})).await;
    server.place.raw().await.run("UPDATE users SET changing_until = 1").await;
    done(&ada, "create_playlist", json!({"name": "New"})).await;
}

#[tokio::test]
async fn a_change_ends_between_two_requests_when_its_person_is_disabled() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let (list, before, _) = under_way(&server, &ada, 900).await;
    result(&server, &["users", "disable", "ada", "--reason", "x", "--yes"]).await;
    sleep(Duration::from_millis(2_500)).await;
    let left = held(&server, &list);
    assert!(left.len() < before.len(), "nothing was left to be stopped");
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(held(&server, &list), left, "nothing more is written");
    server.control().clear_faults();
    result(&server, &["users", "enable", "ada"]).await;
    let ada = server.listener("ada").await;
    let change = done(&ada, "list_changes", json!({"limit": 1})).await["changes"][0].clone();
    assert_eq!(change["state"], "partial", "{change}");
    let undo = json!({"change_id": change["change_id"], "dry_run": false});
    assert_eq!(done(&ada, "undo_change", undo).await["status"], "verified");
    assert_eq!(held(&server, &list), before);
}

#[tokio::test]
async fn a_credential_whose_time_is_over_meanwhile_stops_no_change_that_has_begun() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    done(&ben, "get_user_playlists", json!({})).await;
    // As if it had been issued an hour ago, but for some seconds.
    let raw = server.place.raw().await;
    let now = raw.number("SELECT CAST(strftime('%s', 'now') AS BIGINT)").await;
    raw.run(&format!("UPDATE access_tokens SET expires_at = {}", now + 5)).await;
    let (list, _, after) = under_way(&server, &ada, 1_200).await;
    while ada.try_call("get_status", json!({})).await.unwrap().status != StatusCode::UNAUTHORIZED {
        sleep(Duration::from_millis(100)).await;
    }
    // Something of somebody's ends, so that everything is looked at again.
    result(&server, &["users", "disable", "ben", "--reason", "x", "--yes"]).await;
    assert!(held(&server, &list).len() < after.len(), "it is over already");
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    while held(&server, &list) != after {
        assert!(tokio::time::Instant::now() < until, "{} rows", held(&server, &list).len());
        sleep(Duration::from_millis(100)).await;
    }
    let ada = server.listener("ada").await;
    let change = done(&ada, "list_changes", json!({"limit": 1})).await["changes"][0].clone();
    assert!(["verified", "begun"].contains(&change["state"].as_str().unwrap()), "{change}");
}

#[tokio::test]
async fn a_server_that_cannot_keep_its_turn_writes_nothing_more_and_another_mends_it() {
    let Some(place) = Place::postgres().await else { return };
    let mut url = url::Url::parse(&place.url).unwrap();
    let cable = Cable::to(format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432))).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(cable.port)).unwrap();
    let server = Setup::on(place).start().await;
    let (mut other, origin) = beside(&server, Some(url.as_str())).await;
    let ada = server.listener("ada").await;
    let mut before: Vec<String> = (0..3_000).map(uri).collect();
    before[5] = String::new();
    let list = filled(&server, "ada", before.clone());
    before.remove(5);
    let arguments = json!({"playlist_id": list, "positions": [5]});
    let plan = done(&ada, REMOVE, arguments.clone()).await;
    server.inject("POST /v1/playlists/*", 12, Fault::Delay { millis: 900 });
    let there = called_at((&server, &origin), &ada, REMOVE, applying(&arguments, &plan));
    assert!(tokio::time::timeout(Duration::from_secs(2), there).await.is_err(), "it was quicker");
    cable.whole.send(false).unwrap();

    sleep(Duration::from_secs(10)).await;
    let left = held(&server, &list);
    assert!((1..before.len()).contains(&left.len()), "{} rows", left.len());
    sleep(Duration::from_secs(2)).await;
    assert_eq!(held(&server, &list), left, "nothing is begun by a turn that may be another's");
    let change = done(&ada, "list_changes", json!({"limit": 1})).await["changes"][0].clone();
    assert_eq!(change["state"], "begun", "{change}");
    let undo = json!({"change_id": change["change_id"], "dry_run": false});
    let undone = ada.call("undo_change", undo).await.result();
    // One that could not be written again stays away.
    assert_eq!(undone["structuredContent"]["status"], "verified", "{undone}");
    assert_eq!(held(&server, &list), before, "no row is lost, and none is there twice");

    cable.whole.send(true).unwrap();
    sleep(Duration::from_secs(6)).await;
    assert_eq!(held(&server, &list), before, "the other one has heard that the turn is not its own any more");
    other.kill().await.unwrap();
}
