//! Several Spotify apps of the operator's: whoever comes ends up in one that has a place for them, or is told what to ask
//! for.

use futures_util::future::join_all;
use serde_json::{Value, json};
use spotify_mcp::spotify::sandbox::NewApp;

use super::{PAGE, accounts, named};
use crate::support::browser::{Browser, Page};
use crate::support::database::{Place, at_both};
use crate::support::server::{Setup, TestServer};

const KITCHEN: &str = "kitchen0000000000000000000000000";

/// A server with an app of the default name and one that is called Kitchen, with so many seats.
async fn server(place: Place, seats: (u32, u32)) -> TestServer {
    let kitchen = json!([{"client_id": KITCHEN, "name": "Kitchen", "seats": seats.1}]);
    let setup = Setup::on(place).people(10);
    let setup = setup.env("SPOTIFY_MCP__SPOTIFY__SEATS", &seats.0.to_string());
    let mut server = setup.env("SPOTIFY_MCP__SPOTIFY__APPS", &kitchen.to_string()).prepare().await;
    let rules = json!({"name": "Kitchen", "any_loopback": true, "developer": "sandbox-developer"});
    let app = NewApp { client_id: KITCHEN.to_owned(), client_secret: None, rules };
    server.control().create_app(app).unwrap();
    server.start().await;
    server
}

fn lists(server: &TestServer, client_id: &str, people: Value) {
    server.control().change_app(client_id, &json!({"allow_list": people})).unwrap();
}

/// Agrees at Spotify for as many apps as ask; tells how many did.
async fn agrees(browser: &Browser, mut page: Page, person: &str) -> (Page, usize) {
    for asked in 0..5 {
        if !browser.is_spotify(&page.url) {
            return (page, asked);
        }
        page = browser.agree_as(&page, person).await;
    }
    panic!("Spotify is asked for ever: {page:?}")
}

async fn comes(server: &TestServer, person: &str) -> (Page, usize) {
    let browser = server.browser();
    let page = browser.open("/auth/login").await;
    agrees(&browser, page, person).await
}

async fn filled(server: &TestServer) -> Vec<String> {
    let sql = "SELECT a.client_id || ' ' || l.spotify_user_id FROM linked_accounts l
        JOIN spotify_apps a ON a.id = l.app_id ORDER BY l.spotify_user_id";
    server.place.raw().await.texts(sql).await
}

#[tokio::test]
async fn people_are_placed_where_there_is_room_and_find_back() {
    at_both(async |place| {
        let server = server(place, (1, 2)).await;
        for person in ["ada", "ben", "chiara"] {
            let listener = server.listener(person).await;
            let playing = listener.call("get_current_track", json!({})).await.content();
            assert!(playing.to_string().contains(&listener.marker()), "{playing}");
        }
        let seated = ["sandbox-client ada".to_owned(), format!("{KITCHEN} ben"), format!("{KITCHEN} chiara")];
        assert_eq!(filled(&server).await, seated);
        let (page, asked) = comes(&server, "user0001").await;
        assert_eq!((page.code(), asked), ("NO_SEAT", 1), "{}", page.text);
        // Everything is full, and this browser tells nothing of who it is: the first app learns it, the second has them.
        let (page, _) = comes(&server, "chiara").await;
        assert_eq!(page.url.path(), "/account", "{}", page.text);
        assert_eq!(filled(&server).await, seated);
    })
    .await;
}

#[tokio::test]
async fn who_is_linked_stays_on_their_app_whichever_is_asked_first() {
    at_both(async |place| {
        let server = server(place, (5, 5)).await;
        let ada = server.listener("ada").await;
        let at_the_first = ["sandbox-client ada".to_owned()];
        assert_eq!(filled(&server).await, at_the_first);
        let raw = server.place.raw().await;
        let version = "SELECT MAX(token_version) FROM linked_accounts";
        for _ in 0..3 {
            let before = raw.number(version).await;
            server.control().clear_journal();
            let (page, _) = comes(&server, "ada").await;
            assert_eq!((page.url.path(), page.url.query()), ("/account", None), "{}", page.text);
            assert_eq!(filled(&server).await, at_the_first, "the other one is emptier, and asked first");
            assert_eq!(server.asked("/api/token", 200), 2, "both were asked");
            assert_eq!(raw.number(version).await, before + 1, "and the permission is renewed at hers");
        }
        let again = server.listener("ada").await;
        again.call("get_current_track", json!({})).await.content();
        ada.call("get_current_track", json!({})).await.content();
        // Linking what is linked already does not move it either.
        let page = again.browser.open(PAGE).await;
        let page = again.browser.submit(&page, PAGE, &[("alias", "work")]).await;
        let (page, _) = agrees(&again.browser, page, "ada").await;
        assert_eq!(page.url.query(), Some("done=linked-before"), "{}", page.text);
        assert_eq!(filled(&server).await, at_the_first);

        // Where hers does not take her any more, another one does.
        lists(&server, "sandbox-client", json!([]));
        let (page, _) = comes(&server, "ada").await;
        assert_eq!(page.url.path(), "/account", "{}", page.text);
        assert_eq!(filled(&server).await, [format!("{KITCHEN} ada")]);
        ada.call("get_current_track", json!({})).await.content();
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 1);
    })
    .await;
}

#[tokio::test]
async fn who_is_not_listed_at_one_app_goes_on_to_the_other() {
    at_both(async |place| {
        let server = server(place, (5, 5)).await;
        lists(&server, "sandbox-client", json!(["ada"]));
        lists(&server, KITCHEN, json!(["ben"]));
        let (page, asked) = comes(&server, "ben").await;
        assert_eq!((page.url.path(), asked), ("/account", 2), "{}", page.text);
        assert_eq!(filled(&server).await, [format!("{KITCHEN} ben")]);
        // Logged in here, he goes straight to his own app.
        let ben = server.listener("ben").await;
        server.control().clear_journal();
        server
            .place
            .raw()
            .await
            .run("UPDATE linked_accounts SET reconnect_since = 1, reconnect_reason = 'x'")
            .await;
        ben.browser.log_in("ben").await;
        assert_eq!(server.asked("/api/token", 200), 1);

        server.control().clear_journal();
        let (page, asked) = comes(&server, "chiara").await;
        assert_eq!((page.code(), asked), ("NOT_ALLOWLISTED", 2));
        assert!(page.text.contains(">app ient</"), "the one with more room: {}", page.text);
        assert_eq!(server.asked("/api/token", 200), 2, "each app once");
        // The operator does as they were told.
        lists(&server, "sandbox-client", json!(["ada", "chiara"]));
        assert_eq!(comes(&server, "chiara").await.0.url.path(), "/account");
        // A waiting client is told the same.
        let (client, browser) = (server.client().await, server.browser());
        let consent = browser.open(&client.attempt().path()).await;
        let page = browser.submit(&consent, "/authorize", &[("decision", "approve")]).await;
        let brought = agrees(&browser, page, "user0001").await.0.brought();
        assert_eq!(brought["error"], "access_denied");
        assert!(brought["error_description"].contains("NOT_ALLOWLISTED"), "{brought:?}");
        assert!(brought["error_description"].contains("'app ient'"), "{brought:?}");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_waits_gets_its_code_whichever_app_it_was() {
    let server = server(Place::sqlite(), (5, 5)).await;
    lists(&server, "sandbox-client", json!([]));
    let (client, browser) = (server.client().await, server.browser());
    let attempt = client.attempt();
    let consent = browser.open(&attempt.path()).await;
    let page = browser.submit(&consent, "/authorize", &[("decision", "approve")]).await;
    let (page, asked) = agrees(&browser, page, "ada").await;
    let brought = page.brought();
    assert_eq!((asked, &brought["state"]), (2, &attempt.state));
    assert_eq!(client.redeem(&brought["code"], &attempt.verifier).await.0, 200);
    assert!(browser.cookie("smcp-login").is_none(), "both logins are over");
}

#[tokio::test]
async fn a_further_account_is_linked_where_there_is_a_place_for_it() {
    let server = server(Place::sqlite(), (1, 3)).await;
    lists(&server, KITCHEN, json!(["user0001"]));
    let ada = server.listener("ada").await;
    let page = ada.browser.open(PAGE).await;
    let page = ada.browser.submit(&page, PAGE, &[("alias", "work")]).await;
    let (page, asked) = agrees(&ada.browser, page, "user0001").await;
    assert_eq!((page.url.query(), asked), (Some("done=linked"), 1), "{}", page.text);
    assert_eq!(accounts(&ada).await, named(&[("main", true), ("work", false)]));
    // For the next there is room, and Spotify does not know them there.
    let page = ada.browser.open(PAGE).await;
    let page = ada.browser.submit(&page, PAGE, &[("alias", "third")]).await;
    let (page, asked) = agrees(&ada.browser, page, "user0002").await;
    assert_eq!((page.code(), asked), ("NOT_ALLOWLISTED", 2));
    assert!(page.text.contains(">Kitchen</"), "{}", page.text);
    assert_eq!(accounts(&ada).await.len(), 2);
}

#[tokio::test]
async fn one_person_takes_no_more_places_than_leave_some_for_others() {
    at_both(async |place| {
        let setup = Setup::on(place).people(10).env("SPOTIFY_MCP__SPOTIFY__SEATS", "5");
        let mut server = setup.start().await;
        let ada = server.listener("ada").await;
        let links = async |alias: &str, person: &str| {
            let page = ada.browser.open(PAGE).await;
            let page = ada.browser.submit(&page, PAGE, &[("alias", alias)]).await;
            agrees(&ada.browser, page, person).await.0
        };
        assert_eq!(links("second", "user0001").await.url.query(), Some("done=linked"));
        // Told before Spotify is.
        let page = ada.browser.open(PAGE).await;
        let enough = "one person has 2 places of a Spotify app here, and they are taken";
        assert!(
            page.text.contains(enough) && page.text.contains("Use a Spotify app of your own below"),
            "{}",
            page.text
        );
        let told = ada.call("link_account", json!({})).await.result().to_string();
        assert!(told.contains(enough) && told.contains("/account/link?page="), "{told}");
        let status = ada.call("get_status", json!({"account": "second"})).await.result();
        let seats = json!({"taken": 2, "of": 5, "theirs": 2, "each": 2});
        assert_eq!(status["structuredContent"]["accounts"][0]["app"]["seats"], seats);
        let text = status["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("2 of 5 places taken, 2 of the 2 that one person may have"), "{text}");
        let refused = links("third", "user0002").await;
        assert!(refused.text.contains("Disconnect one of your accounts"), "{}", refused.text);
        assert!(!refused.text.contains("stands on one already"), "{}", refused.text);
        assert_eq!(refused.code(), "NO_SEAT");
        assert!(refused.text.contains("One person has 2 places of an app here"), "{}", refused.text);
        assert!(refused.text.contains("href=\"/account/link?alias=third&#38;own=yes\""), "{}", refused.text);
        let bring = ada.browser.open("/account/link?alias=third&own=yes").await;
        assert!(
            bring.text.contains("<details class=\"more\" open>") && bring.text.contains("value=\"third\"")
        );
        assert_eq!(
            links("", "user0001").await.url.query(),
            Some("done=linked-before"),
            "renewed where it sits"
        );
        for person in ["ben", "chiara", "user0005"] {
            let (page, _) = comes(&server, person).await;
            assert_eq!(page.url.path(), "/account", "{person}: {}", page.text);
        }
        let (page, _) = comes(&server, "user0003").await;
        assert!(page.code() == "NO_SEAT" && page.text.contains("This server has 5 places"), "{}", page.text);
        // An operator who wants it otherwise says so.
        server.stop().await;
        server.environment.insert("SPOTIFY_MCP__SPOTIFY__SEATS".to_owned(), "6".to_owned());
        server.environment.insert("SPOTIFY_MCP__SPOTIFY__SEATS_PER_PERSON".to_owned(), "3".to_owned());
        server.environment.insert("SPOTIFY_MCP__SPOTIFY__OWN_APPS".to_owned(), "false".to_owned());
        server.start().await;
        assert_eq!(links("third", "user0002").await.url.query(), Some("done=linked"));
        assert_eq!(accounts(&ada).await.len(), 3);
        assert_eq!(ada.call("link_account", json!({})).await.error(), "RESTRICTED", "nothing would fit");
        assert!(ada.browser.open(PAGE).await.text.contains("Disconnect one of yours"), "nor there");
    })
    .await;
}

#[tokio::test]
async fn a_race_for_the_last_seats_of_two_apps_fills_both_and_no_more() {
    at_both(async |place| {
        let server = server(place, (2, 3)).await;
        let tries = (1..=10).map(async |n| comes(&server, &format!("user{n:04}")).await.0);
        let pages = join_all(tries).await;
        let seated = pages.iter().filter(|page| page.url.path() == "/account").count();
        let refused = pages.iter().filter(|page| page.text.contains("<code>NO_SEAT</code>")).count();
        assert_eq!((seated, refused), (5, 5));
        let filled = filled(&server).await;
        let of_kitchen = filled.iter().filter(|row| row.starts_with(KITCHEN)).count();
        assert_eq!((of_kitchen, filled.len()), (3, 5));
    })
    .await;
}

#[tokio::test]
async fn whose_app_the_operator_took_away_connects_again_through_another() {
    for seats in [1, 2] {
        let mut server = server(Place::sqlite(), (5, 5)).await;
        let ada = server.listener("ada").await;
        server.stop().await;
        let kitchen = json!([{"client_id": KITCHEN, "name": "Kitchen", "seats": seats}]).to_string();
        server.environment.remove("SPOTIFY_CLIENT_ID");
        server.environment.remove("SPOTIFY_MCP__SPOTIFY__SEATS");
        server.environment.insert("SPOTIFY_MCP__SPOTIFY__APPS".to_owned(), kitchen);
        server.environment.insert("SPOTIFY_MCP__SPOTIFY__OWN_APPS".to_owned(), "true".to_owned());
        server.start().await;
        let error =
            ada.call("get_current_track", json!({})).await.result()["structuredContent"]["error"].clone();
        assert!(error["message"].as_str().unwrap().contains("in use no more"), "{error}");
        let status = ada.call("get_status", json!({})).await;
        let text = status.result()["content"][0]["text"].as_str().unwrap().to_owned();
        let app = &status.content()["accounts"][0]["app"];
        assert_eq!((&app["own"], &app["in_use"]), (&json!(false), &json!(false)), "{app}");
        assert!(
            !text.contains("your own") && text.contains("through an app, which is in use no more"),
            "{text}"
        );
        if seats == 2 {
            comes(&server, "ben").await;
            comes(&server, "chiara").await;
        }
        let page = ada.browser.open("/auth/login").await;
        let (page, asked) = agrees(&ada.browser, page, "ada").await;
        assert_eq!(asked, 1);
        if seats == 2 {
            assert_eq!(page.code(), "NO_SEAT");
            assert!(page.text.contains("You have an account here"), "{}", page.text);
            continue;
        }
        assert_eq!(page.url.path(), "/account", "{}", page.text);
        assert_eq!(filled(&server).await, [format!("{KITCHEN} ada")]);
        ada.call("get_current_track", json!({})).await.content();
    }
}

#[tokio::test]
async fn a_login_whose_app_the_operator_took_away_goes_on_to_another() {
    let mut server = server(Place::sqlite(), (5, 5)).await;
    let browser = server.browser();
    let pending = browser.open("/auth/login").await;
    server.stop().await;
    let kitchen = json!([{"client_id": KITCHEN, "name": "Kitchen"}]).to_string();
    server.environment.remove("SPOTIFY_CLIENT_ID");
    server.environment.remove("SPOTIFY_MCP__SPOTIFY__SEATS");
    server.environment.insert("SPOTIFY_MCP__SPOTIFY__APPS".to_owned(), kitchen);
    server.start().await;
    let (page, asked) = agrees(&browser, pending, "ada").await;
    assert_eq!((page.url.path(), asked), ("/account", 2), "{}", page.text);
    assert_eq!(filled(&server).await, [format!("{KITCHEN} ada")]);
}
