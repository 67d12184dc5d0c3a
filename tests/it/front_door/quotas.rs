//! Spotify's daily quotas: what has run out is not asked again, by nobody of that app, on no server, before the time
//! named; and what is left is shared.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::front_door::api_keys::{command, result};
use crate::front_door::revoking::nodes::beside;
use crate::support::database::{Place, at_both};
use crate::support::listener::{Era, Listener, speak};
use crate::support::server::{Setup, TestServer};
use spotify_mcp::spotify::sandbox::{CLIENT_ID, Fault, Filter, NewApp, PlaylistChange};

const SEARCH: &str = "/v1/search";

pub fn used_up(seconds: u64) -> Fault {
    let body = r#"{"error":{"status":429,"message":"Too many requests","reason":"QUOTA_EXCEEDED"}}"#;
    let headers = BTreeMap::from([("retry-after".to_owned(), seconds.to_string())]);
    Fault::Status { status: 429, body: body.to_owned(), headers }
}

async fn search(listener: &Listener) -> Value {
    listener.call("search_tracks", json!({"query": "rain", "limit": 1})).await.result()["structuredContent"]
        .clone()
}

/// The operator's other app, beside the one that every test has.
const OTHER: &str = "the-operators-other-app";

/// Two people, each through another app of the operator's; the other app is configured like this, and so at Spotify.
async fn through_two_apps(mut configured: Value, mut rules: Value) -> (TestServer, [Listener; 2]) {
    (configured["client_id"], configured["seats"]) = (json!(OTHER), json!(1));
    let setup = Setup::default().env("SPOTIFY_MCP__SPOTIFY__SEATS", "1");
    let mut server =
        setup.env("SPOTIFY_MCP__SPOTIFY__APPS", &json!([configured]).to_string()).prepare().await;
    rules["any_loopback"] = json!(true);
    let other = NewApp { client_id: OTHER.to_owned(), client_secret: None, rules };
    server.control().create_app(other).unwrap();
    server.start().await;
    let people = [server.listener("ada").await, server.listener("ben").await];
    (server, people)
}

fn asked(server: &TestServer) -> usize {
    server.asked(SEARCH, 200) + server.asked(SEARCH, 429)
}

#[tokio::test]
async fn an_app_that_is_told_to_wait_long_is_left_alone_until_then_by_everybody() {
    let (server, [ada, ben]) = through_two_apps(json!({"developer": "somebody-else"}), json!({})).await;
    let headers = BTreeMap::from([("retry-after".to_owned(), "120".to_owned())]);
    server.inject("GET /v1/search*", 1, Fault::Status { status: 429, body: String::new(), headers });
    let refused = search(&ada).await;
    assert_eq!(
        (&refused["error"]["code"], &refused["error"]["retry_after_seconds"]),
        (&json!("RATE_LIMITED"), &json!(120))
    );
    let before = server.control().journal(&Filter::default()).len();
    for tool in ["search_tracks", "pause"] {
        let arguments = if tool == "pause" { json!({}) } else { json!({"query": "rain"}) };
        let again = ada.call(tool, arguments).await.result()["structuredContent"]["error"].clone();
        assert_eq!(again["code"], "RATE_LIMITED", "{again}");
        let wait = again["retry_after_seconds"].as_u64().unwrap();
        assert!((60..=120).contains(&wait), "what is left of it: {wait}");
    }
    assert_eq!(server.control().journal(&Filter::default()).len(), before, "Spotify was not asked");
    assert!(search(&ben).await["tracks"].is_array(), "the other app was told nothing");
}

#[tokio::test]
async fn an_app_that_waits_is_told_to_people_and_the_operator_and_waits_on_every_server_and_after_a_kill() {
    at_both(async |place| {
        let mut server = Setup::on(place).start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        let headers = BTreeMap::from([("retry-after".to_owned(), "900".to_owned())]);
        server.inject("GET /v1/search*", 1, Fault::Status { status: 429, body: String::new(), headers });
        let message = search(&ada).await["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("for everybody who shares it and not for this person alone"), "{message}");
        let before = server.control().journal(&Filter::default()).len();
        server.kill().await;
        server.start().await;
        let second = if server.place.is_postgres() { Some(beside(&server, None).await) } else { None };
        let origins =
            std::iter::once(server.origin.clone()).chain(second.iter().map(|(_, origin)| origin.clone()));
        for origin in origins {
            assert!(!is_answered_at(&origin, &ben).await, "{origin}");
        }
        assert_eq!(server.control().journal(&Filter::default()).len(), before, "Spotify was not asked");

        let status = ben.call("get_status", json!({})).await.result();
        let account = &status["structuredContent"]["accounts"][0];
        assert_eq!(account["app"]["closed"][0]["calls"], "everything", "{account}");
        let opens = account["app"]["closed"][0]["opens_at"].as_str().unwrap();
        let to_do = account["to_do"][0].as_str().unwrap();
        assert!(to_do.contains("the app, which others share, to wait") && to_do.contains(opens), "{to_do}");
        assert!(status["content"][0]["text"].as_str().unwrap().contains(to_do), "{status}");
        let told = async |what: &[&str]| String::from_utf8(command(&server, what).await.stdout).unwrap();
        assert!(told(&["usage", "--apps"]).await.contains("everything until 20"));
        let would = told(&["usage", "--apps", "--reopen", CLIENT_ID, "--dry-run"]).await;
        assert!(would.contains("everything"), "{would}");
        told(&["usage", "--apps", "--reopen", CLIENT_ID]).await;
        for _ in 0..75 {
            if search(&ben).await["tracks"].is_array() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("an operator ended the wait, and nothing is asked");
    })
    .await;
}

#[tokio::test]
async fn what_ran_out_is_not_asked_again_by_anybody_not_even_after_a_kill() {
    let both = [Some(Place::sqlite()), Place::postgres().await];
    for place in both.into_iter().flatten() {
        let mut server = Setup::on(place).start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        server.inject("GET /v1/search*", 1, used_up(48_925));
        let refused = search(&ada).await;
        assert_eq!(refused["error"]["code"], "QUOTA_EXCEEDED", "{refused}");
        assert_eq!(refused["error"]["retry_after_seconds"], 48_925);
        server.kill().await;
        server.start().await;

        for listener in [&ada, &ben] {
            let refused = search(listener).await;
            assert_eq!(refused["error"]["code"], "QUOTA_EXCEEDED", "{refused}");
            let wait = refused["error"]["retry_after_seconds"].as_u64().unwrap();
            assert!((48_800..=48_925).contains(&wait), "{wait}");
        }
        assert_eq!(asked(&server), 1, "Spotify was asked once");
        // Another kind of calls has a quota of its own.
        assert!(ben.call("get_user_playlists", json!({})).await.content()["playlists"].is_array());
    }
}

#[tokio::test]
async fn a_quota_that_ran_out_is_open_again_when_spotify_said() {
    let server = Setup::default().start().await;
    let ada = server.listener("ada").await;
    server.inject("GET /v1/search*", 1, used_up(6));
    assert_eq!(search(&ada).await["error"]["code"], "QUOTA_EXCEEDED");
    let open = async {
        while search(&ada).await["error"].is_object() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), open).await.unwrap();
    assert_eq!(server.asked(SEARCH, 429), 1);
}

/// Where a size that was learned counts though it is small, because the operator says that another one would.
fn small(setup: Setup) -> Setup {
    setup.env("SPOTIFY_MCP__SPOTIFY__DAILY_QUOTA", "40")
}

/// Stops the server, has it known that so many searches fit into a day and that none was made today, does this to the
/// database, and starts it again.
async fn learn(server: &mut TestServer, size: &str, further: &str) {
    server.stop().await;
    let raw = server.place.raw().await;
    let now = raw.number("SELECT MAX(last_seen_at) FROM users").await;
    let columns = "pool, bucket, closed_until, learned_size, learned_at";
    for table in ["quotas", "quota_calls"] {
        raw.run(&format!("DELETE FROM {table}")).await;
    }
    raw.run(&format!("INSERT INTO quotas ({columns}) VALUES ('operator', 'search', NULL, {size}, {now})"))
        .await;
    if !further.is_empty() {
        raw.run(further).await;
    }
    server.start().await;
}

/// How many searches are answered before one is refused, and why it is.
async fn answered(listener: &Listener, most: usize) -> (usize, String) {
    for had in 0..most {
        let answer = search(listener).await;
        if !answer["error"].is_null() {
            assert_eq!(answer["error"]["code"], "QUOTA_EXCEEDED", "{answer}");
            return (had, answer["error"]["message"].as_str().unwrap_or_default().to_owned());
        }
    }
    (most, String::new())
}

#[tokio::test]
async fn whoever_used_more_than_a_share_leaves_the_rest_to_others() {
    let mut server = small(Setup::default()).start().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    learn(&mut server, "22", "").await;
    search(&ben).await;
    let (had, message) = answered(&ada, 30).await;
    assert_eq!(had, 11);
    assert!(message.contains("share") && message.contains("others"), "{message}");
    let before = asked(&server);
    assert!(search(&ben).await["error"].is_null(), "whose share is theirs");
    assert_eq!(asked(&server), before + 1);
}

#[tokio::test]
async fn whoever_is_linked_and_came_by_lately_has_a_share_before_the_first_call() {
    at_both(async |place| {
        let mut server = small(Setup::on(place)).start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        let chiara = server.listener("chiara").await;
        let away = "UPDATE linked_accounts SET access_expires_at = access_expires_at - 700000
            WHERE spotify_user_id = 'chiara'";
        learn(&mut server, "30", "").await;
        assert_eq!(answered(&ada, 40).await.0, 10, "all night, while the others sleep");
        assert_eq!(answered(&ben, 10).await.0, 10);
        assert_eq!(answered(&chiara, 9).await.0, 9);

        learn(&mut server, "30", away).await;
        assert_eq!(answered(&ada, 40).await.0, 15, "nothing is kept for who has been away");
        assert_eq!(answered(&chiara, 1).await.0, 1, "until they come back");
    })
    .await;
}

#[tokio::test]
async fn whoever_deletes_themselves_and_comes_back_has_the_same_share() {
    at_both(async |place| {
        let mut server = small(Setup::on(place)).start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        learn(&mut server, "20", "").await;
        assert_eq!((answered(&ada, 20).await.0, answered(&ben, 1).await.0), (10, 1));
        let raw = server.place.raw().await;
        let ids = raw.texts("SELECT id FROM users").await;
        let gone = command(&server, &["users", "delete", "ada", "--reason", "wants to", "--yes"]).await;
        assert!(gone.status.success(), "{gone:?}");
        let again = server.listener("ada").await;
        assert_eq!(answered(&again, 1).await.0, 0, "it is used up still");
        server.stop().await;
        server.start().await;
        assert_eq!((answered(&again, 1).await.0, answered(&ben, 9).await.0), (0, 9), "and ben's is ben's");

        // What is kept for that says whose it is to nobody, and for no longer than it counts.
        server.stop().await;
        let kept = raw.texts("SELECT payer FROM quota_calls").await;
        assert_eq!(kept.len(), 2, "{kept:?}");
        assert!(kept.iter().all(|payer| payer.starts_with("p_") && !ids.contains(payer)), "{kept:?}");
        raw.run("UPDATE quota_calls SET hour = hour - 25").await;
        server.start().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM quota_calls").await, 0);
    })
    .await;
}

#[tokio::test]
async fn where_the_operator_knows_the_size_shares_hold_before_anything_runs_out() {
    let mut server = Setup::default().env("SPOTIFY_MCP__SPOTIFY__DAILY_QUOTA", "20").start().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    server.stop().await;
    server.start().await;
    assert_eq!(answered(&ada, 20).await.0, 10);
    server.stop().await;
    server.start().await;
    assert_eq!((answered(&ada, 1).await.0, answered(&ben, 10).await.0), (0, 10), "counted over a restart");
    assert_eq!((answered(&ada, 5).await.0, server.asked(SEARCH, 429)), (5, 0), "then Spotify is asked");
}

#[tokio::test]
async fn a_lesson_of_a_day_with_few_calls_counts_for_nothing_and_the_operator_can_have_any_forgotten() {
    at_both(async |place| {
        let mut server = Setup::on(place).env("SPOTIFY_MCP__SPOTIFY__DAILY_QUOTA", "60").start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        learn(&mut server, "10", "").await;
        assert_eq!(answered(&ada, 25).await.0, 25, "ten is less than a fourth of what the operator knows");
        learn(&mut server, "20", "").await;
        let (had, message) = answered(&ada, 25).await;
        assert_eq!(had, 10);
        assert!(message.contains("is the latest"), "{message}");
        assert_eq!(answered(&ben, 3).await.0, 3);
        server.stop().await;
        let apps = result(&server, &["usage", "--apps"]).await;
        let day = &apps[0]["requests_of_a_day"];
        let search = day.as_array().unwrap().iter().find(|quota| quota["calls"] == "search").unwrap();
        assert_eq!((&search["size"], &search["made"]), (&json!(20), &json!(13)), "{day}");
        assert!(search["learned_at"].is_string(), "{day}");
        let people = search["people"].as_array().unwrap();
        let rows: Vec<_> =
            people.iter().map(|who| (&who["display_name"], &who["made"], &who["of"])).collect();
        let (ada_had, ben_had) =
            ((&json!("Ada"), &json!(10), &json!(10)), (&json!("Ben"), &json!(3), &json!(10)));
        assert_eq!(rows, [ada_had, ben_had], "{day}");
        let table = String::from_utf8(command(&server, &["usage", "--apps"]).await.stdout).unwrap();
        assert!(table.contains("20 fit into a day") && table.contains("Ada"), "{table}");
        server.start().await;

        let forgotten = json!([{"calls": "search", "size": 20}]);
        for (dry_run, arguments) in [(true, &["--dry-run"][..]), (false, &[])] {
            let arguments = [&["usage", "--apps", "--reopen", "app ient"], arguments].concat();
            let done = result(&server, &arguments).await;
            assert_eq!(
                (&done["forgotten"], &done["reopened"]),
                (&forgotten, &json!([])),
                "{dry_run}: {done}"
            );
        }
        let until = tokio::time::Instant::now() + Duration::from_secs(15);
        while answered(&ada, 1).await.0 == 0 {
            assert!(tokio::time::Instant::now() < until, "not forgotten");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let told = String::from_utf8(command(&server, &["usage", "--apps"]).await.stdout).unwrap();
        assert!(told.contains("search: 60 fit into a day, as spotify.daily_quota says"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn beyond_the_known_size_nobody_is_a_share_ahead_of_who_had_theirs() {
    let mut server = Setup::default().env("SPOTIFY_MCP__SPOTIFY__DAILY_QUOTA", "20").start().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    server.stop().await;
    server.start().await;
    assert_eq!(answered(&ada, 30).await.0, 10, "the rest is kept for ben");
    assert_eq!(answered(&ben, 40).await.0, 20, "his ten, and as many of what nobody knew of");
    assert_eq!(answered(&ada, 40).await.0, 20, "who obeyed goes on");
}

#[tokio::test]
async fn where_nothing_is_known_one_of_several_leaves_enough_and_one_alone_is_not_held_back() {
    let mut server = Setup::default().start().await;
    let ada = server.listener("ada").await;
    let titles = |round: usize| -> Vec<Value> {
        (0..50).map(|n| json!({"title": format!("Title {round} {n}"), "artist": "Nobody"})).collect()
    };
    let searched = |server: &TestServer| server.asked(SEARCH, 200);
    for round in 0..9 {
        let matched = ada.call("match_tracks", json!({ "items": titles(round) })).await.content();
        assert_eq!(matched["matches"].as_array().map(Vec::len), Some(50), "alone: {matched}");
    }
    assert!(searched(&server) >= 450);
    let ben = server.listener("ben").await;
    // Counted anew, with ben linked.
    learn(&mut server, "NULL", "DELETE FROM quotas").await;
    let before = searched(&server);
    for round in 10..16 {
        let matched = ada.call("match_tracks", json!({ "items": titles(round) })).await.result();
        if matched["structuredContent"]["error"]["code"] == "QUOTA_EXCEEDED" {
            break;
        }
    }
    assert_eq!(searched(&server) - before, 200, "requests count, not calls");
    let refused = search(&ada).await["error"].clone();
    let wait = refused["retry_after_seconds"].as_u64().unwrap();
    assert!((82_000..=86_400).contains(&wait), "until the first of them are a day old: {refused}");
    let status = ada.call("get_status", json!({})).await.content();
    let shares = status["accounts"][0]["app"]["shares"].as_array().unwrap();
    assert!(shares.contains(&json!({"calls": "search", "made": 200, "of": 200})), "{shares:?}");
    assert_eq!(answered(&ben, 30).await.0, 30);
}

/// Whether a search at this server is answered.
async fn is_answered_at(origin: &str, who: &Listener) -> bool {
    let request = who.client.http.post(format!("{origin}/mcp")).bearer_auth(&who.pair().access);
    let params = json!({"name": "search_tracks", "arguments": {"query": "rain", "limit": 1}});
    let answer = speak(request, Era::Modern, "tools/call", params).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    answer["result"]["isError"] == false
}

#[tokio::test]
async fn a_share_is_one_on_all_servers_and_newcomers_have_theirs_at_once() {
    let Some(place) = Place::postgres().await else { return };
    let server = Setup::on(place).env("SPOTIFY_MCP__SPOTIFY__DAILY_QUOTA", "96").start().await;
    let (_other, origin) = beside(&server, None).await;
    // Nobody was there when the servers were started.
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let mut had = 0;
    for _ in 0..90 {
        for at in [&server.origin, &origin] {
            had += usize::from(is_answered_at(at, &ada).await);
        }
    }
    assert!((48..84).contains(&had), "{had} of 48");
    assert!(is_answered_at(&server.origin, &ben).await && is_answered_at(&origin, &ben).await);
}

#[tokio::test]
async fn a_list_is_not_left_half_written_because_a_share_is_used_up() {
    let mut server = Setup::default().env("SPOTIFY_MCP__SPOTIFY__DAILY_QUOTA", "60").start().await;
    let (ada, _ben) = (server.listener("ada").await, server.listener("ben").await);
    server.stop().await;
    server.start().await;
    // A row that names nothing goes only where all of them are written anew, in ten requests.
    let mut uris: Vec<_> = (0..1_000).map(|n| format!("spotify:track:{n:022}")).collect();
    uris[5] = String::new();
    let change = PlaylistChange { uris: Some(uris.clone()), ..PlaylistChange::default() };
    let list = server.control().create_playlist("ada", change).unwrap();
    let tool = "remove_tracks_from_playlist";
    let plan = ada.call(tool, json!({"playlist_id": list, "positions": [5]})).await.content();
    let apply = json!({"playlist_id": list, "positions": [5], "dry_run": false, "plan_id": plan["plan_id"]});
    let refused = ada.call(tool, apply).await.result()["structuredContent"]["error"].clone();
    assert_eq!(refused["code"], "QUOTA_EXCEEDED", "{refused}");
    assert_eq!(server.control().playlist(&list).unwrap().uris, uris, "nothing was written");
    // There was room for some of it.
    let looked = ada.call("get_playlist", json!({"playlist_id": list})).await.content();
    assert_eq!(looked["playlist"]["total_tracks"], 1_000, "{looked}");
}

#[tokio::test]
async fn what_was_counted_for_a_part_of_a_day_holds_nobody_back() {
    at_both(async |place| {
        let mut server = Setup::on(place).start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        // The quota went before this server was started.
        server.inject("GET /v1/search*", 1, used_up(1));
        assert_eq!(search(&ada).await["error"]["code"], "QUOTA_EXCEEDED");
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        assert_eq!((answered(&ben, 1).await.0, answered(&ada, 12).await.0), (1, 12));
        server.stop().await;
        server.start().await;
        assert_eq!(answered(&ada, 6).await.0, 6, "after a restart neither");

        // From then on it was counted. A day later it is a day's number.
        server.stop().await;
        let raw = server.place.raw().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM quotas WHERE learned_size IS NULL").await, 1);
        raw.run("UPDATE quotas SET learned_at = learned_at - 86400, closed_until = NULL").await;
        server.start().await;
        server.inject("GET /v1/search*", 1, used_up(1));
        assert_eq!(search(&ada).await["error"]["code"], "QUOTA_EXCEEDED");
        server.stop().await;
        assert_eq!(raw.number("SELECT learned_size FROM quotas").await, 21);
    })
    .await;
}

#[tokio::test]
async fn extended_quota_has_no_shares_and_a_lapse_of_it_closes_nothing() {
    let server = Setup::default().env("SPOTIFY_QUOTA_MODE", "extended").start().await;
    let ada = server.listener("ada").await;
    server.inject("GET /v1/search*", 1, used_up(48_925));
    assert_eq!(search(&ada).await["error"]["code"], "QUOTA_EXCEEDED");
    assert!(search(&ada).await["error"].is_null());
}

#[tokio::test]
async fn a_quota_is_its_developer_accounts_and_apps_that_name_none_are_of_one() {
    for (configured, is_shared) in [(json!({}), true), (json!({"developer": "somebody-else"}), false)] {
        let (server, [ada, ben]) = through_two_apps(configured, json!({})).await;
        server.inject("GET /v1/search*", 1, used_up(48_925));
        assert_eq!(search(&ada).await["error"]["code"], "QUOTA_EXCEEDED");
        let other = search(&ben).await;
        assert_eq!(other["error"]["code"] == "QUOTA_EXCEEDED", is_shared, "{other}");
        assert_eq!(asked(&server), if is_shared { 1 } else { 2 });
    }
}

#[tokio::test]
async fn each_account_is_served_by_the_mode_of_its_app() {
    let extended = json!({"quota_mode": "extended"});
    let (server, people) = through_two_apps(extended, json!({"mode": "extended"})).await;
    for listener in &people {
        let found = listener.call("search_tracks", json!({"query": "rain", "limit": 20})).await.content();
        assert_eq!(found["tracks"].as_array().unwrap().len(), 20, "{found}");
        let uris: Vec<_> =
            found["tracks"].as_array().unwrap()[..5].iter().map(|track| &track["uri"]).collect();
        let items = listener.call("get_items", json!({ "uris": uris })).await.content();
        assert_eq!(items["items"].as_array().unwrap().len(), 5, "{items}");
    }
    // In development mode pages of ten, and one thing at a time.
    for (app, searches, lookups) in [(CLIENT_ID, 2, 5), (OTHER, 1, 1)] {
        let asked = |path: &str| {
            let (app, path) = (Some(app.to_owned()), Some(path.to_owned()));
            server.control().journal(&Filter { app, path, ..Filter::default() }).len()
        };
        assert_eq!((asked(SEARCH), asked("/v1/tracks")), (searches, lookups), "{app}");
    }
}
