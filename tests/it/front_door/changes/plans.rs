//! Plans: for one person, account, playlist, state and arguments, once, for some minutes.

use super::*;

const REMOVE: &str = "remove_tracks_from_playlist";

#[tokio::test]
async fn a_destructive_change_is_applied_only_as_it_was_planned() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let list = filled(&server, "ada", uris(&[1, 2, 3, 4]));
    let arguments = json!({"playlist_id": list, "track_uris": [uri(1), uri(2)]});
    let without = json!({"playlist_id": list, "track_uris": [uri(1)], "dry_run": false});
    let told = refused(&ada, REMOVE, without).await;
    assert!(told.contains("a plan is needed"), "{told}");

    let plan = done(&ada, REMOVE, arguments.clone()).await;
    assert!(plan["expires_in_seconds"].as_u64().unwrap() >= 60, "{plan}");
    let mut other = applying(&arguments, &plan);
    other["track_uris"] = json!([uri(1)]);
    assert!(refused(&ada, REMOVE, other).await.contains("other arguments"));
    let dedupe = json!({"playlist_id": list, "dry_run": false, "plan_id": plan["plan_id"]});
    replaced(&server, &list, uris(&[1, 2, 3, 4, 4]));
    assert!(refused(&ada, "deduplicate_playlist", dedupe).await.contains("other arguments"));
    assert!(refused(&ada, REMOVE, applying(&arguments, &plan)).await.contains("has changed since"));

    // Somebody else's plan is one that does not exist, also on their own playlist.
    let plan = done(&ada, REMOVE, arguments.clone()).await;
    let bens = filled(&server, "ben", uris(&[1, 2]));
    let of_ben = json!({"playlist_id": bens, "track_uris": [uri(1), uri(2)]});
    let stolen = refused(&ben, REMOVE, applying(&of_ben, &plan)).await;
    let invented = json!({"plan_id": format!("pl_{}", "0".repeat(32))});
    let nonsense = json!({"plan_id": "nonsense"});
    for nothing in [invented, nonsense] {
        assert_eq!(refused(&ben, REMOVE, applying(&of_ben, &nothing)).await, stolen);
    }
    assert_eq!(held(&server, &bens).len(), 2);

    // Named in another order, it is the same plan; and it is used up by being applied.
    let mut turned = applying(&arguments, &plan);
    turned["track_uris"] = json!([uri(2), uri(1), uri(2)]);
    assert_eq!(done(&ada, REMOVE, turned).await["status"], "verified");
    replaced(&server, &list, uris(&[1, 2, 3, 4, 4]));
    assert!(refused(&ada, REMOVE, applying(&arguments, &plan)).await.contains("used before"));

    let plan = done(&ada, REMOVE, arguments.clone()).await;
    server.place.raw().await.run("UPDATE plans SET expires_at = 1 WHERE used_at IS NULL").await;
    assert!(refused(&ada, REMOVE, applying(&arguments, &plan)).await.contains("has expired"));
    assert_eq!(held(&server, &list).len(), 5);
}

#[tokio::test]
async fn what_has_no_dry_run_is_shown_first_too_where_nobody_can_be_asked() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let list = filled(&server, "ada", uris(&[1, 2]));
    let song =
        ada.call("search_tracks", json!({"query": "rain", "limit": 1})).await.content()["tracks"][0].clone();
    done(&ada, "save_to_library", json!({"uris": [song["uri"]]})).await;
    let picture = "/9j/4AAEAQL//8AACwgAAgADAQERAP/aAAIHB//Z";
    let cases = [
        (
            "set_playlist_cover",
            json!({"playlist_id": list, "jpeg_base64": picture}),
            "cannot be brought back",
        ),
        ("remove_from_library", json!({"uris": [song["uri"]]}), song["name"].as_str().unwrap()),
        ("unfollow_playlist", json!({"playlist_id": list}), "\"Mine\" (2 tracks)"),
    ];
    for (tool, arguments, shown) in cases {
        let before = writes(&server);
        let answer = ada.call(tool, arguments.clone()).await;
        let plan = answer.content();
        let text = answer.result()["content"][0]["text"].as_str().unwrap().to_owned();
        assert!(text.contains(shown) && text.contains(plan["plan_id"].as_str().unwrap()), "{tool}: {text}");
        let mut apply = arguments.clone();
        apply["plan_id"] = plan["plan_id"].clone();
        // For somebody else, for something else and invented it is none.
        let mut other = apply.clone();
        match tool {
            "remove_from_library" => other["uris"] = json!([uri(9)]),
            _ => other["playlist_id"] = json!(filled(&server, "ada", uris(&[3]))),
        }
        assert!(refused(&ada, tool, other).await.contains("other arguments"), "{tool}");
        if tool == "remove_from_library" {
            assert!(refused(&ben, tool, apply.clone()).await.contains("no such plan"), "{tool}");
        }
        assert_eq!(writes(&server), before, "{tool}: nothing was changed");
        let status = done(&ada, tool, apply.clone()).await["status"].clone();
        assert!(["verified", "accepted"].contains(&status.as_str().unwrap()), "{tool}: {status}");
        if tool != "unfollow_playlist" {
            let again = refused(&ada, tool, apply).await;
            assert!(again.contains("used before") && again.contains("without plan_id"), "{again}");
        }
    }
    // What is not there any more needs no plan.
    let gone = done(&ada, "unfollow_playlist", json!({"playlist_id": list})).await;
    assert_eq!((&gone["status"], &gone["plan_id"]), (&json!("verified"), &Value::Null));
}

#[tokio::test]
async fn of_two_who_apply_a_plan_at_once_one_does() {
    crate::support::database::at_both(async |place| {
        let server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        let list = filled(&server, "ada", uris(&[1, 2, 1]));
        let arguments = json!({"playlist_id": list, "positions": [0]});
        let plan = done(&ada, REMOVE, arguments.clone()).await;
        let apply = || ada.call(REMOVE, applying(&arguments, &plan));
        let (one, other) = tokio::join!(apply(), apply());
        let worked = [one, other].into_iter().filter(|answer| answer.result()["isError"] == false).count();
        assert_eq!(worked, 1);
        assert_eq!(held(&server, &list), uris(&[2, 1]));
    })
    .await;
}
