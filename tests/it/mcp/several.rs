//! Reading tools for several linked accounts at once: rows of all of them, each marked; what is each one's own, and
//! one's failure beside the others' answers.

use std::time::Duration;

use serde_json::{Value, json};
use spotify_mcp::app::CallLimits;

use super::rig::Rig;
use super::schema::breaks;
use crate::fake::{Answer, Seen};

const LIST: &str = "37i9dQZF1DXcBWIGoYBM5M";

/// Two saved tracks of whoever asks; the token's end names them.
fn saved(_: usize, seen: &Seen) -> Answer {
    let token = seen.header("authorization").unwrap();
    let who = if token.ends_with("sentinel") { "home" } else { "other" };
    let row = |n: u32| {
        json!({"added_at": "2026-01-01T00:00:00Z", "track": {"uri": format!("spotify:track:{n:022}"),
            "name": format!("{who} {n}"), "artists": [{"name": "A"}]}})
    };
    let total = if who == "home" { 2 } else { 9 };
    let body = json!({"items": [row(1), row(2)], "total": total, "limit": 2, "offset": 0,
        "next": (who == "other").then_some("more")});
    Answer::json(200, &body.to_string())
}

async fn rig() -> Rig {
    let rig = Rig::new(saved).await;
    rig.links_also("work");
    rig
}

fn names(structured: &Value) -> Vec<(String, String)> {
    let rows = structured["tracks"].as_array().unwrap();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    rows.iter().map(|row| (text(row, "account"), text(row, "name"))).collect()
}

async fn schema(rig: &Rig, tool: &str) -> Value {
    let list = rig.modern("tools/list", json!({})).await.result();
    list["tools"].as_array().unwrap().iter().find(|known| known["name"] == tool).unwrap().clone()
}

#[tokio::test]
async fn rows_of_several_accounts_come_marked_each_asked_with_its_own_token() {
    let rig = rig().await;
    let listed = schema(&rig, "get_liked_songs").await;
    for asked in [json!("all"), json!(["home", "work"]), json!(["account-id-1", "WORK", "home"])] {
        let result = rig.call("get_liked_songs", json!({"account": asked, "limit": 2})).await;
        assert_eq!(result["isError"], false, "{result}");
        let structured = &result["structuredContent"];
        let expected = [("home", "home 1"), ("home", "home 2"), ("work", "other 1"), ("work", "other 2")];
        let expected = expected.map(|(account, name)| (account.to_owned(), name.to_owned()));
        assert_eq!(names(structured), expected, "{asked}");
        let parts = &structured["by_account"];
        assert_eq!((&parts[0]["account"], &parts[0]["total"]), (&json!("home"), &json!(2)));
        assert_eq!((&parts[1]["total"], &parts[1]["next_offset"]), (&json!(9), &json!(2)));
        assert!(parts[0].get("next_offset").is_none() && structured.get("total").is_none(), "{structured}");
        assert_eq!(breaks(&listed["outputSchema"], structured), [""; 0]);
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("Account home: ") && text.contains("\n\nAccount work: "), "{text}");
        assert_eq!(text.matches("Data from Spotify").count(), 1);
        assert!(text.contains("\n\nTo go on, name one account alone, with its own place."), "{text}");
    }
    for seen in rig.fake.seen().chunks(2) {
        let mut tokens: Vec<_> = seen.iter().map(|seen| seen.header("authorization").unwrap()).collect();
        tokens.dedup();
        assert_eq!(tokens.len(), 2, "one call with each account's token");
    }
}

#[tokio::test]
async fn one_account_is_answered_as_ever() {
    let rig = rig().await;
    for arguments in [json!({"limit": 2}), json!({"limit": 2, "account": "home"})] {
        let structured = rig.call("get_liked_songs", arguments).await["structuredContent"].clone();
        assert_eq!(structured["total"], 2);
        assert!(structured.get("by_account").is_none() && structured["tracks"][0].get("account").is_none());
    }
    let alone = rig.call("get_liked_songs", json!({"account": ["work"]})).await;
    assert_eq!(alone["structuredContent"]["by_account"].as_array().unwrap().len(), 1, "a list is a list");
}

#[tokio::test]
async fn what_one_account_cannot_does_not_hide_what_the_other_can() {
    let rig = Rig::new(|n, seen| match seen.header("authorization").unwrap().ends_with("sentinel") {
        true => saved(n, seen),
        false => Answer::json(403, r#"{"error":{"status":403,"message":"Insufficient client scope"}}"#),
    })
    .await;
    rig.links_also("work");
    let result = rig.call("get_liked_songs", json!({"account": "all"})).await;
    let structured = &result["structuredContent"];
    assert_eq!((&result["isError"], names(structured).len()), (&json!(false), 2), "{result}");
    assert_eq!(structured["by_account"][1]["error"]["code"], "SCOPE_MISSING");
    assert!(result["content"][0]["text"].as_str().unwrap().contains("Account work: "), "{result}");
    assert_eq!(breaks(&schema(&rig, "get_liked_songs").await["outputSchema"], structured), [""; 0]);
    let work = rig.call("get_liked_songs", json!({"account": ["work"]})).await;
    assert_eq!(work["structuredContent"]["error"]["code"], "SCOPE_MISSING", "nothing came at all");
    let trail = rig.trail().await;
    assert!(trail.contains("\"link_1\":") && trail.contains("\"link_2\":"), "{trail}");
    assert!(trail.contains("SCOPE_MISSING"), "{trail}");
}

#[tokio::test]
async fn an_account_that_hangs_costs_the_others_nothing_but_time() {
    let limits = CallLimits { per_minute: 600, concurrent: 32, ..CallLimits::default() };
    let rig = Rig::with(limits, Duration::from_millis(1500), saved).await;
    let work = rig.links_also("work");
    *rig.upstream.stuck.lock().unwrap() = Some(work);
    let result = rig.call("get_liked_songs", json!({"account": "all"})).await;
    assert_eq!(names(&result["structuredContent"]).len(), 2, "{result}");
    assert_eq!(result["structuredContent"]["by_account"][1]["error"]["code"], "UPSTREAM_TIMEOUT");
}

#[tokio::test]
async fn what_is_no_choice_of_accounts_is_refused_and_nothing_is_asked() {
    let rig = Rig::quiet().await;
    rig.links_also("work");
    let many: Vec<_> = (0..11).map(|n| format!("account {n}")).collect();
    for (tool, account, code) in [
        ("get_liked_songs", json!([]), "INVALID_ARGUMENT"),
        ("get_liked_songs", json!([1]), "INVALID_ARGUMENT"),
        ("get_liked_songs", json!({"a": 1}), "INVALID_ARGUMENT"),
        ("get_liked_songs", json!(many), "INVALID_ARGUMENT"),
        ("get_liked_songs", json!(["home", "neighbour"]), "ACCOUNT_UNKNOWN"),
        ("create_playlist", json!(["home", "work"]), "INVALID_ARGUMENT"),
        ("create_playlist", json!("all"), "INVALID_ARGUMENT"),
        ("get_status", json!([]), "INVALID_ARGUMENT"),
        ("get_status", json!(["home", "neighbour"]), "ACCOUNT_UNKNOWN"),
    ] {
        let result = rig.call(tool, json!({"account": account, "name": "x"})).await;
        let result = if tool == "create_playlist" {
            result
        } else {
            rig.call(tool, json!({"account": account})).await
        };
        assert_eq!(result["structuredContent"]["error"]["code"], code, "{tool} {account}: {result}");
    }
    let result = rig.call("create_playlist", json!({"account": "all", "name": "x"})).await;
    assert!(result["content"][0]["text"].as_str().unwrap().contains("one account at a time"), "{result}");
    rig.upstream.links.lock().unwrap().clear();
    let result = rig.call("get_liked_songs", json!({"account": "all"})).await;
    assert_eq!(result["structuredContent"]["error"]["code"], "RECONNECT_REQUIRED");
}

#[tokio::test]
async fn what_goes_on_differs_from_account_to_account_and_is_asked_of_one() {
    let rig = rig().await;
    let all = json!({"account": "all", "limit": 2, "offset": 2});
    let result = rig.call("get_liked_songs", all).await;
    assert_eq!(result["structuredContent"]["error"]["code"], "INVALID_ARGUMENT", "{result}");
    let told = result["content"][0]["text"].as_str().unwrap();
    assert!(told.contains("one account at a time, and its own place out of by_account"), "{told}");
    let artists = json!({"kind": "artists", "account": ["home", "work"], "after": "0".repeat(22)});
    let result = rig.call("list_library", artists).await;
    assert_eq!(result["structuredContent"]["error"]["code"], "INVALID_ARGUMENT", "{result}");
    assert!(rig.fake.seen().is_empty(), "nobody was asked");
    for one in [json!("work"), json!(["work"])] {
        let arguments = json!({"account": one, "limit": 2, "offset": 2});
        assert_eq!(rig.call("get_liked_songs", arguments).await["isError"], false);
    }
    // From the beginning, and from a time on, all of them can be asked.
    let first = json!({"account": "all", "limit": 2, "offset": 0});
    assert_eq!(rig.call("get_liked_songs", first).await["isError"], false);
    let told = schema(&rig, "get_liked_songs").await["inputSchema"]["properties"]["account"].clone();
    assert!(told["description"].as_str().unwrap().ends_with("or \"all\": first pages."), "{told}");
}

#[tokio::test]
async fn where_several_are_linked_it_is_said_which_one_it_was() {
    let rig = Rig::new(|_, seen| match seen.target.contains("/player") {
        true => Answer::new(204, "", ""),
        false => Answer::json(404, r#"{"error":{"status":404,"message":"Resource not found"}}"#),
    })
    .await;
    let text = async |tool: &str, arguments: Value| {
        let result = rig.call(tool, arguments).await;
        result["content"][0]["text"].as_str().unwrap().to_owned()
    };
    let list = json!({"playlist_id": LIST});
    assert!(!text("get_playlist_tracks", list.clone()).await.contains("account home"), "there is one alone");
    assert!(!text("pause", json!({})).await.contains("account home"));
    rig.links_also("work");
    let told = text("get_playlist_tracks", list).await;
    assert!(
        told.contains("Asked with the account home; also linked: work. Where one of those is meant"),
        "{told}"
    );
    let told = text("get_playlist_tracks", json!({"playlist_id": LIST, "account": "work"})).await;
    assert!(told.contains("Asked with the account work; also linked: home."), "{told}");
    let told = text("pause", json!({})).await;
    assert!(told.contains("\nWith the account home."), "{told}");
    assert!(text("pause", json!({"account": "work"})).await.contains("\nWith the account work."));
}

#[tokio::test]
async fn the_list_of_tools_says_which_take_several() {
    let rig = rig().await;
    let list = rig.modern("tools/list", json!({})).await.result();
    for tool in list["tools"].as_array().unwrap() {
        let Some(account) = tool["inputSchema"]["properties"].get("account") else { continue };
        let reads = tool["annotations"]["readOnlyHint"] == true;
        assert_eq!(account.get("anyOf").is_some(), reads, "{tool}");
        let about_accounts = tool["name"] == "get_status";
        let parts = tool["outputSchema"]["properties"].get("by_account").is_some();
        assert_eq!(parts, reads && !about_accounts, "{tool}");
    }
    let status = rig.call("get_status", json!({"account": ["work"]})).await["structuredContent"].clone();
    assert_eq!(
        (status["accounts"].as_array().unwrap().len(), &status["accounts"][0]["alias"]),
        (1, &json!("work"))
    );
    let status = rig.call("get_status", json!({"account": "all"})).await["structuredContent"].clone();
    assert_eq!(status["accounts"].as_array().unwrap().len(), 2);
    let playlist =
        rig.call("get_playlist_tracks", json!({"playlist_id": LIST, "account": "all", "limit": 2})).await;
    assert_eq!(playlist["structuredContent"]["by_account"].as_array().unwrap().len(), 2, "{playlist}");
}
