//! The status of each account: its app and the places there, what has run out, what is missing, what there is to do.

use serde_json::{Value, json};

use super::own_apps::{MINE, SECRET, link_own, server};
use crate::front_door::api_keys::command;
use crate::front_door::quotas::used_up;
use crate::support::database::at_both;
use crate::support::listener::Listener;
use crate::support::server::Setup;
use spotify_mcp::spotify::sandbox::CLIENT_ID;

async fn account(listener: &Listener, tool: &str, alias: &str) -> Value {
    let content = listener.call(tool, json!({})).await.content();
    let rows = content["accounts"].as_array().unwrap();
    rows.iter().find(|row| row["alias"] == alias).unwrap().clone()
}

#[tokio::test]
async fn each_account_tells_its_app_and_what_there_is_to_do() {
    at_both(async |place| {
        let server = server(place).await;
        server.control().change_app(MINE, &json!({"withheld": "user-top-read"})).unwrap();
        let ada = server.listener("ada").await;
        link_own(&ada, "user0001", (MINE, SECRET)).await;
        server.inject("GET /v1/search*", 1, used_up(48_925));
        let search = json!({"query": "rain", "limit": 1, "account": "work"});
        ada.call("search_tracks", search).await.result();
        let raw = server.place.raw().await;
        raw.run("UPDATE linked_accounts SET authorized_at = authorized_at - 14000000 WHERE alias = 'main'").await;

        for tool in ["get_status", "list_my_accounts"] {
            let main = account(&ada, tool, "main").await;
            let app = json!({"name": "app 0b0b", "own": false, "in_use": true, "quota_mode": "development", "seats": {"taken": 1, "of": 1, "theirs": 1, "each": 2}});
            assert_eq!((&main["app"], &main["days_until_reconnect"]), (&app, &json!(18)), "{main}");
            let to_do = main["to_do"].as_array().unwrap();
            assert_eq!(to_do.len(), 1, "{main}");
            assert!(to_do[0].as_str().unwrap().contains("in 18 days: renew it at"), "{main}");
            assert!(main.get("missing_permissions").is_none(), "{main}");

            let work = account(&ada, tool, "work").await;
            assert_eq!((&work["app"]["name"], &work["app"]["own"]), (&json!("your own"), &json!(true)), "{work}");
            assert_eq!((&work["app"]["client_id"], &work["app"]["seats"]), (&json!("…cdef"), &Value::Null));
            assert!(work["app"].get("quota_mode").is_none(), "nobody has said so: {work}");
            assert_eq!(work["app"]["closed"].as_array().unwrap().len(), 1, "{work}");
            assert_eq!(work["app"]["closed"][0]["calls"], "search");
            let opens = work["app"]["closed"][0]["opens_at"].as_str().unwrap();
            assert_eq!(work["missing_permissions"][0]["permission"], "user-top-read", "{work}");
            assert!(work["missing_permissions"][0]["needed_for"].as_str().unwrap().contains("most played"));
            let to_do = work["to_do"].to_string();
            assert!(to_do.contains("did not grant user-top-read") && to_do.contains(opens), "{work}");
        }
        let told = ada.call("get_status", json!({"account": "work"})).await.result();
        let text = told["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("through your own app (…cdef);") && text.contains("wait until"), "{text}");
        assert!(text.starts_with("1 of 2 linked Spotify accounts:"), "{text}");
        let all = ada.call("get_status", json!({})).await.content();
        assert!(all.get("quota_mode").is_none(), "not the same for both: {all}");
        let one = ada.call("get_status", json!({"account": "main"})).await.content();
        assert_eq!(one["quota_mode"], "development");
        assert!(!told.to_string().contains(MINE) && !told.to_string().contains(SECRET), "{told}");
        // Where it says to go, the person is sent to Spotify for that very account.
        let main = account(&ada, "get_status", "main").await;
        let url = main["to_do"][0].as_str().unwrap().split(' ').find(|word| word.starts_with("http")).unwrap().to_owned();
        let page = ada.browser.open(&url).await;
        let page = if ada.browser.is_spotify(&page.url) { ada.browser.agree_as(&page, "ada").await } else { page };
        assert_eq!(page.url.path(), "/account", "{}", page.text);
        assert!(account(&ada, "get_status", "main").await.get("to_do").is_none());
    })
    .await;
}

#[tokio::test]
async fn a_tool_that_lacks_a_permission_names_it_and_where_to_go() {
    let server = Setup::default().start().await;
    server.control().change_app(CLIENT_ID, &json!({"withheld": "playlist-modify-private"})).unwrap();
    let ada = server.listener("ada").await;
    let create = async || {
        let answer = ada.call("create_playlist", json!({"name": "Rain"})).await.result();
        answer["structuredContent"]["error"].clone()
    };
    let error = create().await;
    assert_eq!(error["code"], "SCOPE_MISSING", "{error}");
    let to_do = account(&ada, "get_status", "main").await["to_do"].to_string();
    let message = error["message"].as_str().unwrap();
    let url = message.split(' ').find(|word| word.starts_with("http")).unwrap();
    assert!(to_do.contains(url) && url.contains("?link=l_"), "{message} {to_do}");
    assert!(message.contains("playlist-modify-private is missing"), "{message}");
    server.control().change_app(CLIENT_ID, &json!({"withheld": ""})).unwrap();
    let spotify = ada.browser.open(url).await;
    assert!(ada.browser.is_spotify(&spotify.url), "{}", spotify.text);
    let page = ada.browser.agree_as(&spotify, "ada").await;
    assert_eq!(page.url.query(), Some("done=reconnected"), "{}", page.text);
    assert!(create().await.is_null());
}

#[tokio::test]
async fn an_account_without_a_permission_is_shown_so_and_has_a_button_to_give_it() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let withheld = json!({"withheld": "playlist-read-private user-library-read user-top-read"});
        server.control().change_app(CLIENT_ID, &withheld).unwrap();
        let ada = server.listener("ada").await;
        let answer = async |tool: &str, arguments: Value| ada.call(tool, arguments).await.result();
        let lists = answer("get_user_playlists", json!({"limit": 3})).await;
        let (content, text) = (&lists["structuredContent"], lists["content"][0]["text"].as_str().unwrap());
        assert_eq!(content["missing_permissions"], json!(["playlist-read-private"]), "{lists}");
        assert!(text.contains("Not among them: private playlists, because"), "{text}");
        let found = answer("find_in_playlists", json!({"query": "a", "limit": 1})).await;
        assert_eq!(found["structuredContent"]["missing_permissions"], json!(["playlist-read-private"]));
        let liked = answer("get_liked_songs", json!({})).await;
        let message = liked["structuredContent"]["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("(user-library-read is missing)") && !message.contains("top-read"),
            "{message}"
        );
        let song = json!({"uris": [format!("spotify:track:{:022}", 1)]});
        let saved = answer("save_to_library", song).await;
        let text = saved["content"][0]["text"].as_str().unwrap();
        assert!(
            text.contains("It cannot be undone, because") && text.contains("(user-library-read is"),
            "{text}"
        );
        // With all accounts, the note stays with the account that it is about.
        let all = answer("get_user_playlists", json!({"account": "all"})).await;
        let part = &all["structuredContent"]["by_account"][0];
        assert_eq!(part["missing_permissions"], json!(["playlist-read-private"]), "{all}");

        let page = ada.browser.open("/account").await;
        assert!(page.text.contains("Spotify did not grant everything"), "{}", page.text);
        for lacks in ["seeing private playlists", "seeing what is saved", "seeing the most played"] {
            assert!(page.text.contains(lacks), "{lacks}: {}", page.text);
        }
        let button = page.text.split("Give what is missing").next().unwrap();
        let url = button.rsplit("href=\"").next().unwrap().split('"').next().unwrap().to_owned();
        server.control().change_app(CLIENT_ID, &json!({"withheld": ""})).unwrap();
        let spotify = ada.browser.open(&url).await;
        assert!(ada.browser.is_spotify(&spotify.url), "{url}: {}", spotify.text);
        let page = ada.browser.agree_as(&spotify, "ada").await;
        assert_eq!(page.url.query(), Some("done=reconnected"), "{}", page.text);
        assert!(!page.text.contains("Give what is missing"), "{}", page.text);
        let lists = answer("get_user_playlists", json!({})).await;
        assert!(lists["structuredContent"].get("missing_permissions").is_none(), "{lists}");
        assert!(!lists.to_string().contains("Not among them"), "{lists}");
    })
    .await;
}

#[tokio::test]
async fn an_account_that_its_app_does_not_list_is_said_until_a_call_passes() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
        let current =
            async |listener: &Listener| listener.call("get_current_track", json!({})).await.result();
        let shown = async |what: &[&str]| String::from_utf8(command(&server, what).await.stdout).unwrap();
        server.control().change_user("ben", &json!({"allow_listed": false})).unwrap();
        for _ in 0..2 {
            assert_eq!(current(&ben).await["structuredContent"]["error"]["code"], "NOT_ALLOWLISTED");
        }
        let main = account(&ben, "get_status", "main").await;
        assert_eq!(main["state"], "not_allowlisted", "{main}");
        let to_do = main["to_do"].to_string();
        assert!(
            to_do.contains("operator of this server adds it") && to_do.contains("Users Management"),
            "{to_do}"
        );
        let page = ben.browser.open("/account").await;
        assert!(page.text.contains("does not name this account"), "{}", page.text);
        let told = shown(&["users", "show", "ben"]).await;
        assert!(told.contains("not on the app's list (Users Management)"), "{told}");
        let told = shown(&["usage", "--apps"]).await;
        assert!(told.contains("1 not listed at Spotify"), "{told}");
        let exported = shown(&["users", "export", "ben"]).await;
        assert!(exported.replace(" ", "").contains("\"unlisted_since\":\"20"), "{exported}");
        // Of him alone.
        assert_eq!(account(&ada, "get_status", "main").await["state"], "connected");
        assert!(!ada.browser.open("/account").await.text.contains("does not name"));

        server.control().change_user("ben", &json!({"allow_listed": true})).unwrap();
        assert_eq!(current(&ben).await["isError"], false);
        assert_eq!(account(&ben, "get_status", "main").await["state"], "connected");
        assert!(!ben.browser.open("/account").await.text.contains("does not name"));
        assert!(!shown(&["users", "show", "ben"]).await.contains("Users Management"));
    })
    .await;
}
