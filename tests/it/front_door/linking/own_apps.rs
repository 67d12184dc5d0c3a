//! A Spotify app of the person's own: typed on a page, used for that account alone, kept as safe as tokens, ended with it.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use spotify_mcp::spotify::sandbox::{Filter, NewApp, NewSecret};

use super::{PAGE, accounts, link_on, named, page_for};
use crate::front_door::api_keys::command;
use crate::front_door::quotas::used_up;
use crate::support::browser::{Browser, Page};
use crate::support::database::{Place, at_both};
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

const OWN: &str = "/auth/own-app";
const OPERATORS: &str = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b";
pub const MINE: &str = "0123456789abcdef0123456789abcdef";
pub const SECRET: &str = "the-secret-of-my-own-app";

/// A server whose one place Ada has, beside an app of somebody's own.
pub async fn server(place: Place) -> TestServer {
    let setup = Setup::on(place).people(5).env("SPOTIFY_CLIENT_ID", OPERATORS);
    let mut server = setup.env("SPOTIFY_MCP__SPOTIFY__SEATS", "1").prepare().await;
    app(&server, OPERATORS, None);
    app(&server, MINE, Some(SECRET));
    server.start().await;
    server
}

fn app(server: &TestServer, client_id: &str, secret: Option<&str>) {
    let rules = json!({"name": "An app", "any_loopback": true, "developer": client_id});
    let client_secret = secret.map(spotify_mcp::crypto::SecretString::new);
    server.control().create_app(NewApp { client_id: client_id.to_owned(), client_secret, rules }).unwrap();
}

/// Fills the form in; on a page that a tool asked for, with the name that it gave.
pub async fn types(browser: &Browser, page: &Page, action: &str, (id, secret): (&str, &str)) -> Page {
    let alias = if page.text.contains("name=\"page\"") { "work" } else { "" };
    browser.submit(page, action, &[("alias", alias), ("client_id", id), ("client_secret", secret)]).await
}

pub async fn link_own(listener: &Listener, person: &str, typed: (&str, &str)) -> Page {
    let page = listener.browser.open(&page_for(listener, "work").await).await;
    let spotify = types(&listener.browser, &page, PAGE, typed).await;
    assert!(listener.browser.is_spotify(&spotify.url), "{}", spotify.text);
    listener.browser.agree_as(&spotify, person).await
}

fn asked_as(server: &TestServer, app: &str, path: &str) -> usize {
    let filter = Filter { app: Some(app.to_owned()), path: Some(path.to_owned()), ..Filter::default() };
    server.control().journal(&filter).iter().filter(|entry| entry.status == Some(200)).count()
}

async fn plays(listener: &Listener, account: &str) -> Value {
    listener.call("get_current_track", json!({"account": account})).await.result()["structuredContent"]
        .clone()
}

#[tokio::test]
async fn an_account_stands_on_ones_own_app_until_it_is_unlinked() {
    at_both(async |place| {
        let server = server(place).await;
        let ada = server.listener("ada").await;
        let raw = server.place.raw().await;
        let page = link_own(&ada, "user0001", (&format!(" {} ", MINE.to_uppercase()), SECRET)).await;
        assert_eq!(page.url.query(), Some("done=linked"), "{}", page.text);
        assert!(page.text.contains("…cdef") && !page.text.contains(MINE), "{}", page.text);
        assert_eq!(accounts(&ada).await, named(&[("main", true), ("work", false)]));
        assert!(plays(&ada, "work").await.to_string().contains("user0001Z"));
        let clear = |line: &String| line.contains(SECRET) || line.contains(MINE);
        assert!(!raw.dump().await.iter().any(clear), "id and secret are sealed");
        let exported = command(&server, &["users", "export", "ada"]).await.stdout;
        let exported = String::from_utf8(exported).unwrap();
        assert!(exported.contains("\"…cdef\"") && !exported.contains(MINE), "{exported}");
        assert!(!exported.contains(SECRET), "{exported}");

        // Everything is sealed anew, and then refreshed at that app, in the name of that app.
        command(&server, &["rotate-keys", "--what", "data", "--format", "json"]).await;
        server.control().advance(Duration::from_secs(3700));
        server.control().clear_journal();
        assert!(plays(&ada, "work").await.to_string().contains("user0001Z"));
        assert!(plays(&ada, "main").await.to_string().contains("adaZ"));
        let refreshed = |app| asked_as(&server, app, "/api/token");
        assert_eq!((refreshed(MINE), refreshed(OPERATORS)), (1, 1));
        assert!(asked_as(&server, MINE, "/v1/me/player") > 0);

        // The operator's place is still one, and hers.
        let by_app = "SELECT a.client_id FROM linked_accounts l JOIN spotify_apps a ON a.id = l.app_id
            WHERE a.brought_at IS NULL";
        assert_eq!(raw.texts(by_app).await, [OPERATORS]);
        ada.call("unlink_account", json!({"account": "work", "confirm": true})).await.content();
        let of_it =
            |line: &String| line.contains("work") || line.contains(":cdef") || line.starts_with("logins.");
        let left: Vec<_> = raw.dump().await.into_iter().filter(of_it).collect();
        assert!(left.is_empty(), "nothing of it is left: {left:#?}");
        let logged = server.logged();
        assert!(!logged.contains(SECRET) && !logged.contains(MINE), "{logged}");
    })
    .await;
}

#[tokio::test]
async fn what_is_typed_wrong_is_said_and_nothing_is_kept() {
    let server = server(Place::sqlite()).await;
    let ada = server.listener("ada").await;
    let page = ada.browser.open(&page_for(&ada, "work").await).await;
    assert!(page.text.contains(&format!("{}/auth/callback", server.origin)), "{}", page.text);
    let unknown = "ffffffffffffffffffffffffffffffff";
    for (typed, said) in [
        ((&MINE[1..], ""), "32 digits"),
        ((&*format!("{MINE}0"), ""), "32 digits"),
        (("<b>", ""), "32 digits"),
        ((&*"x".repeat(5000), ""), "32 digits"),
        ((MINE, "with blanks"), "no spaces"),
        ((MINE, "with\u{1}control"), "no spaces"),
        ((MINE, &*"x".repeat(129)), "no spaces"),
        (("", SECRET), "needs the client id"),
        ((unknown, ""), "knows no app"),
        ((unknown, SECRET), "knows no app"),
        ((MINE, "not-the-one"), "is not its"),
        ((OPERATORS, ""), "server’s own"),
    ] {
        let refused = types(&ada.browser, &page, PAGE, typed).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{typed:?}");
        assert!(refused.text.contains(said) && refused.text.contains("value=\"work\""), "{}", refused.text);
        assert!(typed.1.is_empty() || !refused.text.contains(typed.1), "a secret is shown: {}", refused.text);
    }
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM logins WHERE purpose = 'link'").await, 0);
    assert_eq!(raw.number("SELECT COUNT(*) FROM spotify_apps").await, 1);
    // The page still works, once.
    let spotify = types(&ada.browser, &page, PAGE, (MINE, "")).await;
    assert!(ada.browser.is_spotify(&spotify.url), "{}", spotify.text);
    assert_eq!(types(&ada.browser, &page, PAGE, (MINE, "")).await.code(), "LINK_EXPIRED", "a second click");
    let done = ada.browser.agree_as(&spotify, "user0001").await;
    assert_eq!(done.url.query(), Some("done=linked"), "{}", done.text);
    assert_eq!(
        raw.number("SELECT COUNT(*) FROM linked_accounts WHERE own_client_secret IS NOT NULL").await,
        0
    );
    assert!(plays(&ada, "work").await.to_string().contains("user0001Z"), "without a secret");
    // Forms that are not ours.
    for csrf in ["", "x"] {
        let fields = [("csrf", csrf), ("client_id", MINE)];
        assert_eq!(ada.browser.post(PAGE, &fields).await.code(), "FORM_EXPIRED");
        let stranger = server.browser();
        stranger.open(OWN).await;
        assert_eq!(stranger.post(OWN, &fields).await.code(), "FORM_EXPIRED");
    }
}

#[tokio::test]
async fn strangers_make_the_server_ask_little_and_learn_of_no_secret() {
    let server = server(Place::sqlite()).await;
    let browser = server.browser();
    let form = browser.open(OWN).await;
    let probes = || {
        let path = Some("/api/token".to_owned());
        server.control().journal(&Filter { path, ..Filter::default() }).len()
    };
    let before = probes();
    for secret in ["", SECRET, "not-the-one"] {
        let spotify = types(&browser, &form, OWN, (MINE, secret)).await;
        assert!(browser.is_spotify(&spotify.url), "{}", spotify.text);
    }
    assert_eq!(probes(), before + 3, "one request each");
    let unknown = types(&browser, &form, OWN, ("ffffffffffffffffffffffffffffffff", SECRET)).await;
    assert!(unknown.text.contains("knows no app"), "{}", unknown.text);
    assert_eq!(probes(), before + 4);
}

#[tokio::test]
async fn who_finds_no_place_brings_an_app_and_stays_by_it() {
    at_both(async |place| {
        let server = server(place).await;
        server.listener("ada").await;
        let browser = server.browser();
        let spotify = browser.open("/auth/login").await;
        let page = browser.agree_as(&spotify, "ben").await;
        assert_eq!(page.code(), "NO_SEAT");
        assert!(page.text.contains(&format!("href=\"{OWN}\"")), "{}", page.text);
        assert!(page.text.contains("This server has one place for a Spotify account"), "{}", page.text);
        let form = browser.open(OWN).await;
        assert_eq!(types(&browser, &form, OWN, ("", "")).await.status, StatusCode::BAD_REQUEST);
        let refused = types(&browser, &form, OWN, (OPERATORS, "")).await;
        assert!(refused.text.contains("log in without typing it"), "{}", refused.text);
        assert!(refused.text.contains("href=\"/auth/login\"") && !refused.text.contains("both fields empty"));
        let other = server.browser();
        let spotify = types(&other, &other.open(OWN).await, OWN, (MINE, "not-the-one")).await;
        assert!(other.is_spotify(&spotify.url), "whether a secret fits is told to who has been there alone");
        assert_eq!(other.agree_as(&spotify, "user0002").await.code(), "OWN_APP_REFUSED");
        let spotify = types(&browser, &form, OWN, (MINE, SECRET)).await;
        let page = browser.agree_as(&spotify, "ben").await;
        assert_eq!((page.status, page.url.path()), (StatusCode::OK, "/account"), "{}", page.text);
        assert_eq!(browser.open(OWN).await.url.path(), PAGE, "who is logged in links one more");

        // A client that he connects now goes by his app, without being told.
        let client = server.client().await;
        let attempt = client.attempt();
        server.control().clear_journal();
        let code = client.code(&attempt, &browser, "ben").await;
        assert_eq!(client.redeem(&code, &attempt.verifier).await.0, 200);
        assert_eq!(
            (asked_as(&server, MINE, "/api/token"), asked_as(&server, OPERATORS, "/api/token")),
            (1, 0)
        );

        // A client of somebody else's is told where to.
        let (client, stranger) = (server.client().await, server.browser());
        let brought = client.send_away(&client.attempt(), &stranger, "chiara").await.brought();
        let told = format!("client id at {}{OWN}", server.origin);
        assert!(brought["error_description"].ends_with(&told), "{brought:?}");
        // An app answers for the people on its list alone.
        server.control().change_app(MINE, &json!({"allow_list": ["ben"]})).unwrap();
        let form = stranger.open(OWN).await;
        let spotify = types(&stranger, &form, OWN, (MINE, SECRET)).await;
        let refused = stranger.agree_as(&spotify, "chiara").await;
        assert_eq!(refused.code(), "NOT_LISTED_AT_OWN_APP");
        assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM users").await, 2);
        // Listed, she goes on without typing it again.
        server.control().change_app(MINE, &json!({"allow_list": ["ben", "chiara"]})).unwrap();
        assert!(refused.text.contains("Try again with …cdef"), "{}", refused.text);
        let page = stranger.submit(&refused, OWN, &[]).await;
        assert_eq!(page.url.path(), "/account", "{}", page.text);
    })
    .await;
}

#[tokio::test]
async fn a_login_in_another_browser_leaves_ones_own_app_as_it_is() {
    at_both(async |place| {
        let server = server(place).await;
        let browser = server.browser();
        let form = browser.open(OWN).await;
        let spotify = types(&browser, &form, OWN, (MINE, SECRET)).await;
        assert_eq!(browser.agree_as(&spotify, "ben").await.url.path(), "/account");
        let raw = server.place.raw().await;
        let through = "SELECT a.client_id FROM linked_accounts l JOIN spotify_apps a ON a.id = l.app_id
            WHERE l.sealed_client_id IS NOT NULL AND l.own_client_id IS NULL";
        let own = raw.texts(through).await;
        assert!(own.len() == 1 && own[0].starts_with("own:") && own[0].ends_with(":cdef"), "{own:?}");
        // The operator's app has a place and would take him.
        for _ in 0..2 {
            server.control().clear_journal();
            let ben = server.listener("ben").await;
            assert_eq!(raw.texts(through).await, own);
            let asked = |app| asked_as(&server, app, "/v1/me");
            assert_eq!((asked(OPERATORS), asked(MINE)), (1, 1));
            assert!(plays(&ben, "main").await.to_string().contains("benZ"));
        }

        // Spotify does not know it any more: he comes in, and links it again himself.
        let new = json!({"client_secret": "second", "keep_former": false});
        server.control().rotate_secret(MINE, &serde_json::from_value::<NewSecret>(new).unwrap()).unwrap();
        let ben = server.listener("ben").await;
        assert_eq!(raw.texts(through).await, own, "never silently another");
        server.control().advance(Duration::from_secs(3700));
        assert_eq!(plays(&ben, "main").await["error"]["code"], "RECONNECT_REQUIRED");
        let elsewhere = server.browser();
        let page = elsewhere.log_in("ben").await;
        assert!(page.text.contains("no longer knows your own app"), "{}", page.text);
        assert_eq!(raw.texts(through).await, own);
        let spotify = types(&elsewhere, &elsewhere.open(PAGE).await, PAGE, (MINE, "second")).await;
        let page = elsewhere.agree_as(&spotify, "ben").await;
        assert_eq!(page.url.query(), Some("done=reconnected"), "{}", page.text);
        assert!(plays(&ben, "main").await.to_string().contains("benZ"));
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 1);
    })
    .await;
}

#[tokio::test]
async fn errors_of_ones_own_app_say_so() {
    let server = server(Place::sqlite()).await;
    let ada = server.listener("ada").await;
    link_own(&ada, "user0001", (MINE, SECRET)).await;
    let said = async |account: &str| {
        let asked = json!({"query": "rain", "limit": 1, "account": account});
        let error = ada.call("search_tracks", asked).await.result()["structuredContent"]["error"].clone();
        let text = |field: &str| error[field].as_str().unwrap_or_else(|| panic!("{error}")).to_owned();
        (text("code"), text("message"))
    };
    server.control().change_app(MINE, &json!({"allow_list": ["nobody"]})).unwrap();
    let (code, message) = said("work").await;
    assert!(code == "NOT_ALLOWLISTED" && message.contains("own Spotify app does not list"), "{message}");
    assert!(!message.contains("operator"), "{message}");
    server.control().change_app(MINE, &json!({"allow_list": ["user0001"], "owner_premium": false})).unwrap();
    let (code, message) = said("work").await;
    assert!(
        code == "FORBIDDEN" && message.contains("they renew it") && !message.contains("operator"),
        "{message}"
    );
    server.control().change_app(MINE, &json!({"owner_premium": true})).unwrap();
    server.control().change_app(OPERATORS, &json!({"allow_list": ["nobody"]})).unwrap();
    let (code, message) = said("main").await;
    assert!(code == "NOT_ALLOWLISTED" && message.contains("Ask the operator"), "{message}");
    assert!(message.contains(&format!("{}{OWN}", server.origin)), "{message}");
    server.inject("GET /v1/search*", 1, used_up(48_925));
    let (code, message) = said("work").await;
    assert!(code == "QUOTA_EXCEEDED" && message.contains("person's own app"), "{message}");
    assert!(!message.contains("this server"), "{message}");
}

#[tokio::test]
async fn an_app_that_spotify_refuses_is_named_and_mended_by_linking_again() {
    let server = server(Place::sqlite()).await;
    let ada = server.listener("ada").await;
    link_own(&ada, "user0001", (MINE, SECRET)).await;
    let another = |secret: &str| {
        let new = json!({"client_secret": secret, "keep_former": false});
        server.control().rotate_secret(MINE, &serde_json::from_value::<NewSecret>(new).unwrap()).unwrap();
    };
    another("second");
    server.control().advance(Duration::from_secs(3700));
    let refused = plays(&ada, "work").await["error"].clone();
    assert_eq!(refused["code"], "RECONNECT_REQUIRED");
    assert!(refused["message"].as_str().unwrap().contains("person's own app"), "{refused}");
    let page = ada.browser.open("/account").await;
    assert!(page.text.contains("no longer knows your own app"), "{}", page.text);
    let button = page.text.split("href=\"").find(|rest| rest.contains(">Link again<")).unwrap();
    let form = ada.browser.open(button.split('"').next().unwrap()).await;
    assert!(
        form.text.contains("<bdi>work</bdi> again") && !form.text.contains("id=\"alias\""),
        "{}",
        form.text
    );
    assert!(form.text.contains("<details class=\"more\" open>"), "{}", form.text);
    let wrong = types(&ada.browser, &form, PAGE, (MINE, "not-the-one")).await;
    assert!(
        wrong.text.contains("is not its") && wrong.text.contains("<bdi>work</bdi> again"),
        "{}",
        wrong.text
    );
    let spotify = types(&ada.browser, &form, PAGE, (MINE, "second")).await;
    let page = ada.browser.agree_as(&spotify, "user0001").await;
    assert_eq!(page.url.query(), Some("done=reconnected"), "{}", page.text);
    assert!(page.text.contains("Spotify is connected again."), "{}", page.text);
    assert_eq!(accounts(&ada).await, named(&[("main", true), ("work", false)]));
    assert!(plays(&ada, "work").await.to_string().contains("user0001Z"));

    // Between typing it and coming back.
    let raw = server.place.raw().await;
    let before = raw.texts("SELECT id || token_version FROM linked_accounts ORDER BY id").await;
    let spotify = types(&ada.browser, &ada.browser.open(PAGE).await, PAGE, (MINE, "second")).await;
    another("third");
    let refused = ada.browser.agree_as(&spotify, "user0002").await;
    assert_eq!(refused.code(), "OWN_APP_REFUSED");
    let again = refused.form(PAGE);
    assert!(again.fields.contains(&("client_id".to_owned(), MINE.to_owned())), "{again:?}");
    assert!(!refused.text.contains("second"), "never a secret: {}", refused.text);
    server.control().change_app(MINE, &json!({"owner_premium": false})).unwrap();
    let spotify = types(&ada.browser, &ada.browser.open(PAGE).await, PAGE, (MINE, "third")).await;
    assert_eq!(ada.browser.agree_as(&spotify, "user0002").await.code(), "OWN_APP_REFUSED");
    assert_eq!(raw.texts("SELECT id || token_version FROM linked_accounts ORDER BY id").await, before);
}

#[tokio::test]
async fn who_is_not_let_in_by_an_app_of_their_own_is_not_sent_to_make_one() {
    let mut server = server(Place::sqlite()).await;
    server.listener("ada").await;
    server.stop().await;
    server.environment.insert("SPOTIFY_MCP__AUTH__SIGNUP".to_owned(), "invite".to_owned());
    server.start().await;
    server.control().change_app(OPERATORS, &json!({"allow_list": ["ada"]})).unwrap();
    let browser = server.browser();
    let page = browser.agree_as(&browser.open("/auth/login").await, "ben").await;
    assert_eq!(page.code(), "NO_SEAT", "{}", page.text);
    assert!(!page.text.contains("Bring your own"), "{}", page.text);
    assert!(page.text.contains("If your account here stands on a Spotify app of your own"), "{}", page.text);
    assert!(page.text.contains("add you again to the list"), "{}", page.text);
    let form = browser.open(OWN).await;
    assert!(form.text.contains("lets nobody new in"), "{}", form.text);
    let spotify = types(&browser, &form, OWN, (MINE, SECRET)).await;
    assert_eq!(browser.agree_as(&spotify, "ben").await.code(), "SIGNUP_CLOSED");
    let client = server.client().await;
    let brought = client.send_away(&client.attempt(), &server.browser(), "ben").await.brought();
    assert!(!brought["error_description"].contains("bring your own"), "{brought:?}");
}

#[tokio::test]
async fn an_operator_who_takes_none_says_so() {
    let mut server = server(Place::sqlite()).await;
    let ada = server.listener("ada").await;
    link_own(&ada, "user0001", (MINE, SECRET)).await;
    let left = server.browser();
    let form = left.open(OWN).await;
    let pending = types(&left, &form, OWN, (MINE, SECRET)).await;
    server.stop().await;
    server.environment.insert("SPOTIFY_MCP__SPOTIFY__OWN_APPS".to_owned(), "false".to_owned());
    server.start().await;
    assert_eq!(left.agree_as(&pending, "ben").await.code(), "NO_OWN_APPS");
    assert_eq!(left.open(OWN).await.code(), "NO_OWN_APPS");
    assert_eq!(types(&left, &form, OWN, (MINE, SECRET)).await.code(), "NO_OWN_APPS");
    let page = ada.browser.open(PAGE).await;
    assert!(!page.text.contains("client_id"), "{}", page.text);
    assert_eq!(types(&ada.browser, &page, PAGE, (MINE, SECRET)).await.code(), "NO_OWN_APPS");
    // What was linked through one has to be connected again, at once.
    let refused = plays(&ada, "work").await["error"].clone();
    assert_eq!(refused["code"], "RECONNECT_REQUIRED");
    assert!(refused["message"].as_str().unwrap().contains("in use no more"), "{refused}");
    let shown = ada.browser.open("/account").await;
    assert!(shown.text.contains("in use no more") && shown.text.contains(">Reconnect<"), "{}", shown.text);
    let status = ada.call("get_status", json!({"account": "work"})).await.content();
    let work = &status["accounts"][0];
    assert_eq!((&work["state"], &work["app"]["in_use"]), (&json!("reconnect_required"), &json!(false)));
    let refused = link_on(&ada.browser, &page, "second", "ben").await;
    assert_eq!(refused.code(), "NO_SEAT");
    assert!(!refused.text.contains(OWN), "{}", refused.text);
    server.control().advance(Duration::from_secs(3700));
    assert_eq!(plays(&ada, "work").await["error"]["code"], "RECONNECT_REQUIRED");
    assert!(plays(&ada, "main").await.to_string().contains("adaZ"));
}
