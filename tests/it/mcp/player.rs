//! The player's tools before the simulated Spotify: commands are looked after, devices are found by name, and what
//! Spotify cannot or will not do is said.

use futures_util::future::join_all;
use serde_json::{Value, json};
use spotify_mcp::spotify::sandbox::Fault;

use super::stage::{GRANTED, MODES, Stage, status};

#[tokio::test]
async fn commands_take_effect_and_are_seen_to_in_every_mode_and_however_they_are_confirmed() {
    let evening = async |(mode, confirmation)| {
        let stage = Stage::of("ada", mode).await;
        stage.change_app(&json!({ "confirmation": confirmation }));
        let (fern, gold) = (stage.track("Fern").await, stage.track("Porch Swing Physics").await);
        for (tool, arguments) in [
            ("pause", json!({})),
            ("play", json!({})),
            ("play", json!({"uris": [fern, gold], "offset": 1, "position_ms": 5_000})),
            ("skip_to_previous", json!({})),
            ("skip_to_next", json!({})),
            ("seek", json!({"position_ms": 60_000})),
            ("set_player", json!({"volume": 15, "shuffle": true, "repeat": "track"})),
            ("transfer_playback", json!({"device": "kitchen"})),
            ("add_to_queue", json!({"uris": [fern, gold, fern]})),
        ] {
            let done = stage.ask(tool, arguments).await;
            assert_eq!(done["status"], "verified", "{confirmation} {tool}: {done}");
        }
        let state = stage.ask("get_playback_state", json!({})).await;
        assert_eq!((&state["state"], &state["track"]["uri"]), (&json!("playing"), &json!(gold)));
        assert_eq!((&state["shuffle"], &state["repeat"]), (&json!(true), &json!("track")));
        assert_eq!(state["device"]["name"], "Kitchen");
        let queue = stage.ask("get_queue", json!({})).await;
        let next: Vec<_> = queue["queue"].as_array().unwrap().iter().map(|track| &track["uri"]).collect();
        assert_eq!(next, [&fern, &gold, &fern]);
        assert!(queue["queue"][0]["url"].as_str().unwrap().starts_with("https://open.spotify.com/track/"));
    };
    join_all(MODES.into_iter().zip(["no_content", "junk", "accepted"]).map(evening)).await;
}

#[tokio::test]
async fn what_plays_may_be_an_episode_an_advertisement_something_private_or_nothing() {
    let stage = Stage::new().await;
    stage.change(&json!({"playing": "episode"}));
    let state = stage.ask("get_playback_state", json!({})).await;
    assert_eq!(state["kind"], "episode");
    assert!(state["track"]["url"].as_str().unwrap().contains("/episode/"));
    stage.change(&json!({"playing": "ad"}));
    assert_eq!(stage.ask("get_playback_state", json!({})).await["kind"], "ad");
    assert_eq!(stage.refused("skip_to_next", json!({})).await, "RESTRICTED");
    let private = json!([{"name": "Den", "active": true, "private_session": true}]);
    stage.change(&json!({"playing": "track", "devices": private}));
    let state = stage.ask("get_playback_state", json!({})).await;
    assert_eq!((&state["kind"], &state["device"]["private_session"]), (&json!("unknown"), &json!(true)));
    assert!(state.get("track").is_none());
    stage.change(&json!({"playing": "nothing", "devices": [{"name": "Den"}]}));
    let state = stage.ask("get_playback_state", json!({})).await;
    assert_eq!((&state["state"], &state["devices"][0]["name"]), (&json!("nothing"), &json!("Den")));
    assert_eq!(stage.ask("get_queue", json!({})).await, json!({"queue": []}));
}

#[tokio::test]
async fn a_place_that_is_not_there_is_said_to_be_none() {
    let stage = Stage::new().await;
    stage.ask("play", json!({"uris": [stage.track("Fern").await]})).await;
    let past = stage.rig.call("seek", json!({"position_ms": 86_400_000})).await;
    let told = past["content"][0]["text"].as_str().unwrap();
    assert!(told.starts_with("1440:00 is past its end, so that Spotify goes to the next one."), "{told}");
    let albums =
        stage.ask("search_catalog", json!({"query": "Understory", "types": ["album"], "limit": 1})).await;
    let album = &albums["results"][0]["items"][0]["uri"];
    let refused = stage.rig.call("play", json!({"context_uri": album, "offset": 9_999})).await;
    let error = &refused["structuredContent"]["error"];
    assert_eq!(error["code"], "INVALID_ARGUMENT", "{refused}");
    assert!(
        error["message"].as_str().unwrap().contains("the argument 'offset' (9999, counted from 0)"),
        "{refused}"
    );
}

#[tokio::test]
async fn devices_that_cannot_be_used_are_named_with_what_to_do() {
    let stage = Stage::new().await;
    let devices = json!([
        {"name": "Desk"}, {"name": "Phone", "kind": "Smartphone", "has_volume": false},
        {"name": "Television", "restricted": true}, {"name": "Car", "has_id": false},
    ]);
    stage.change(&json!({ "devices": devices }));
    let told = stage.ask("list_devices", json!({})).await;
    assert_eq!(told["devices"].as_array().unwrap().len(), 4);
    assert!(told["devices"][3].get("id").is_none());
    for tool in ["pause", "skip_to_next", "play"] {
        let refused = stage.rig.call(tool, json!({})).await;
        assert_eq!(refused["structuredContent"]["error"]["code"], "NO_ACTIVE_DEVICE", "{refused}");
        assert!(refused["content"][0]["text"].as_str().unwrap().contains("Desk"), "{refused}");
    }
    let to = async |device: &str| stage.refused("transfer_playback", json!({ "device": device })).await;
    assert_eq!(to("Television").await, "RESTRICTED");
    assert_eq!(to("Car").await, "RESTRICTED");
    assert_eq!(to("Attic").await, "NOT_FOUND");
    let fern = stage.track("Fern").await;
    let done = stage.ask("play", json!({"uris": [fern], "device": "phone"})).await;
    assert_eq!((&done["status"], &done["device"]["name"]), (&json!("verified"), &json!("Phone")));
    let refused = stage.rig.call("set_player", json!({"volume": 10, "shuffle": true})).await;
    let error = &refused["structuredContent"]["error"];
    assert_eq!(error["code"], "RESTRICTED", "{refused}");
    let why = "The device \"Phone\", which is active, does not let its volume be set from elsewhere";
    assert!(error["message"].as_str().unwrap().starts_with(why), "{refused}");
    let restriction = r#"{"error":{"status":403,"message":"Player command failed: Restriction violated"}}"#;
    stage.inject("PUT /v1/me/player/repeat", 1, status(403, restriction));
    let half = stage.ask("set_player", json!({"shuffle": true, "repeat": "track"})).await;
    assert_eq!((&half["status"], &half["applied"]), (&json!("partial"), &json!(["shuffle"])));
    assert_eq!(half["failure"]["code"], "RESTRICTED");
}

#[tokio::test]
async fn without_premium_or_the_scope_or_any_device_a_command_says_so() {
    let stage = Stage::new().await;
    stage.change(&json!({"premium": false}));
    for (tool, arguments) in commands(&stage).await {
        assert_eq!(stage.refused(tool, arguments).await, "PREMIUM_REQUIRED", "{tool}");
    }
    stage.change(&json!({"premium": true}));
    stage.grant(&GRANTED.replace("user-modify-playback-state", ""));
    for (tool, arguments) in commands(&stage).await {
        assert_eq!(stage.refused(tool, arguments).await, "SCOPE_MISSING", "{tool}");
    }
    stage.grant(GRANTED);
    stage.change(&json!({"device": false}));
    for (tool, arguments) in commands(&stage).await {
        assert_eq!(stage.refused(tool, arguments).await, "NO_ACTIVE_DEVICE", "{tool}");
    }
    assert_eq!(stage.ask("list_devices", json!({})).await, json!({"devices": []}));
    assert_eq!(stage.ask("get_playback_state", json!({})).await["state"], "nothing");
}

async fn commands(stage: &Stage) -> Vec<(&'static str, Value)> {
    let fern = stage.track("Fern").await;
    vec![
        ("add_to_queue", json!({"uris": [fern]})),
        ("pause", json!({})),
        ("play", json!({"uris": [fern]})),
        ("seek", json!({"position_ms": 1})),
        ("set_player", json!({"shuffle": true})),
        ("skip_to_next", json!({})),
        ("transfer_playback", json!({"device": "Kitchen"})),
    ]
}

#[tokio::test]
async fn arguments_that_do_not_go_together_ask_spotify_nothing() {
    let stage = Stage::new().await;
    let (track, artist) = ("a".repeat(22), format!("spotify:artist:{}", "a".repeat(22)));
    for (tool, arguments) in [
        ("play", json!({"uris": [track], "context_uri": artist})),
        ("play", json!({"offset": 1})),
        ("play", json!({"uris": [track], "offset": 1})),
        ("play", json!({"context_uri": artist, "offset": 0})),
        ("play", json!({"context_uri": format!("spotify:track:{track}")})),
        ("play", json!({"context_uri": track})),
        ("set_player", json!({})),
    ] {
        assert_eq!(stage.refused(tool, arguments.clone()).await, "INVALID_ARGUMENT", "{arguments}");
    }
    assert_eq!(stage.asked("PUT", "/v1/"), 0);
}

#[tokio::test]
async fn the_end_that_was_wanted_is_no_error_and_an_effect_that_does_not_show_is_not_claimed() {
    let stage = Stage::new().await;
    stage.change(&json!({"paused": true}));
    let paused = stage.ask("pause", json!({})).await;
    assert_eq!((&paused["status"], &paused["now"]["state"]), (&json!("verified"), &json!("paused")));
    assert_eq!(stage.refused("skip_to_previous", json!({})).await, "RESTRICTED");
    stage.change(&json!({"paused": false, "effect_millis": 60_000}));
    for (tool, arguments) in
        [("pause", json!({})), ("skip_to_next", json!({})), ("seek", json!({"position_ms": 90_000}))]
    {
        assert_eq!(stage.ask(tool, arguments).await["status"], "accepted", "{tool}");
    }
    let fern = stage.track("Fern").await;
    let queued = stage.ask("add_to_queue", json!({"uris": [fern]})).await;
    assert_eq!((&queued["status"], &queued["added"]), (&json!("accepted"), &json!(1)));
}

#[tokio::test]
async fn a_lost_confirmation_is_settled_by_looking_and_nothing_is_sent_twice() {
    let stage = Stage::new().await;
    for (tool, arguments) in
        [("pause", json!({})), ("skip_to_next", json!({})), ("set_player", json!({"volume": 9}))]
    {
        for method in ["PUT", "POST"] {
            stage.inject(&format!("{method} /v1/me/player/*"), 1, Fault::LoseReply);
        }
        assert_eq!(stage.ask(tool, arguments).await["status"], "verified", "{tool}");
        stage.control().clear_faults();
    }
    let (fern, gold, foghorn) =
        (stage.track("Fern").await, stage.track("Gold").await, stage.track("Foghorn Lullaby").await);
    stage.control().clear_journal();
    stage.inject_after(1, "POST /v1/me/player/queue", Fault::LoseReply);
    let queued = stage.ask("add_to_queue", json!({"uris": [fern, gold, foghorn]})).await;
    assert_eq!((&queued["status"], &queued["added"]), (&json!("verified"), &json!(3)));
    assert_eq!(stage.asked("POST", "/v1/me/player/queue"), 3);
}

#[tokio::test]
async fn a_queue_that_is_cut_short_says_where_to_go_on() {
    let stage = Stage::new().await;
    let fern = stage.track("Fern").await;
    let five = json!({"uris": vec![fern.clone(); 5]});
    stage.inject_after(2, "POST /v1/me/player/queue", status(429, "{}"));
    let cut = stage.ask("add_to_queue", five.clone()).await;
    assert_eq!((&cut["status"], &cut["added"]), (&json!("partial"), &json!(2)));
    assert_eq!(cut["resume"], json!({"from_index": 2, "remaining": 3}));
    assert_eq!(cut["failure"]["code"], "RATE_LIMITED");
    stage.inject_after(1, "POST /v1/me/player/queue", Fault::Drop);
    let lost = stage.ask("add_to_queue", five).await;
    assert_eq!((&lost["status"], &lost["added"]), (&json!("ambiguous"), &json!(1)));
    assert_eq!(lost["resume"], json!({"from_index": 1, "remaining": 4}));
    let other = stage.track("Foghorn Lullaby").await;
    stage.inject("POST /v1/me/player/queue", 1, Fault::Drop);
    let lost = stage.ask("add_to_queue", json!({"uris": [other]})).await;
    assert_eq!((&lost["status"], &lost["added"]), (&json!("ambiguous"), &json!(0)));
}

#[tokio::test]
async fn the_largest_command_to_play_is_one_that_spotify_takes() {
    let stage = Stage::new().await;
    let uris: Vec<_> = (0..200).map(|n| format!("spotify:episode:{n:022}")).collect();
    let done = stage.ask("play", json!({ "uris": uris })).await;
    assert_ne!(done["status"], "ambiguous", "{done}");
    assert_eq!(stage.asked("PUT", "/v1/me/player/play"), 1);
}
