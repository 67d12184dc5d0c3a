//! Several Spotify accounts of one person: linked on a page that serves only who asked for it, chosen by name, and ended.

mod apart;
mod ended;
mod opening;
mod own_apps;
mod placement;
mod sealed_ids;
mod standing;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::status;
use crate::support::browser::{Browser, Page};
use crate::support::database::at_both;
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};
use crate::support::trail;

const PAGE: &str = "/account/link";

async fn server() -> TestServer {
    Setup::default().people(12).start().await
}

/// The address that the tool gives.
async fn page_for(listener: &Listener, alias: &str) -> String {
    let content = listener.call("link_account", json!({"alias": alias})).await.content();
    content["url"].as_str().unwrap().to_owned()
}

/// On the page that a tool gave, in a browser where nobody is logged in: who reads that they log in first, does.
async fn log_in_first(browser: &Browser, url: &str) -> Page {
    let page = browser.open(url).await;
    assert!(page.text.contains("the new one comes after"), "{}", page.text);
    let spotify = browser.open(&format!("{url}&login=yes")).await;
    assert!(browser.is_spotify(&spotify.url), "{}", spotify.text);
    assert!(page.text.contains("&amp;login=yes") || page.text.contains("&#38;login=yes"), "{}", page.text);
    spotify
}

/// From the page through Spotify, where this person agrees.
async fn link_on(browser: &Browser, page: &Page, alias: &str, person: &str) -> Page {
    let spotify = browser.submit(page, PAGE, &[("alias", alias)]).await;
    assert!(browser.is_spotify(&spotify.url), "{}", spotify.text);
    assert!(spotify.url.query().unwrap().contains("show_dialog=true"));
    browser.agree_as(&spotify, person).await
}

/// Links this person's account to the listener, as a tool and its page do.
pub(super) async fn link(listener: &Listener, alias: &str, person: &str) -> Page {
    let page = listener.browser.open(&page_for(listener, alias).await).await;
    assert_eq!((page.status, page.url.path()), (StatusCode::OK, PAGE), "{}", page.text);
    let page = link_on(&listener.browser, &page, alias, person).await;
    assert_eq!(page.url.query(), Some("done=linked"), "{}", page.text);
    page
}

async fn accounts(listener: &Listener) -> Vec<(String, bool)> {
    let content = listener.call("list_my_accounts", json!({})).await.content();
    let rows = content["accounts"].as_array().unwrap();
    rows.iter().map(|row| (row["alias"].as_str().unwrap().to_owned(), row["primary"] == true)).collect()
}

fn named(rows: &[(&str, bool)]) -> Vec<(String, bool)> {
    rows.iter().map(|(alias, primary)| ((*alias).to_owned(), *primary)).collect()
}

async fn plays(listener: &Listener, account: Value) -> String {
    listener.call("get_current_track", json!({"account": account})).await.content().to_string()
}

/// Waits until the trail has told of this so often: events are saved with their change and chained a moment later.
async fn told(server: &TestServer, code: &str, times: usize) {
    let code = format!("\"{code}\"");
    let dir = server.data_dir().join("audit");
    for _ in 0..400 {
        let records = trail::records(&dir);
        if records.iter().filter(|record| record.to_string().contains(&code)).count() == times {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the trail does not tell {times} times of {code}");
}

#[tokio::test]
async fn a_tool_links_a_second_account_on_a_page_that_works_once() {
    at_both(async |place| {
        let server = Setup::on(place).people(3).start().await;
        let ada = server.listener("ada").await;
        let url = page_for(&ada, "work").await;
        let page = ada.browser.open(&url).await;
        assert!(page.text.contains("Ada") && page.text.contains("value=\"work\""), "{}", page.text);
        let done = link_on(&ada.browser, &page, "work", "user0001").await;
        assert!(done.text.contains("is linked") && done.text.contains("value=\"work\""), "{}", done.text);
        assert_eq!(accounts(&ada).await, named(&[("main", true), ("work", false)]));
        assert!(plays(&ada, json!("work")).await.contains("user0001Z"));
        assert!(plays(&ada, Value::Null).await.contains("adaZ"), "the first stays the primary one");
        let both = plays(&ada, json!("all")).await;
        assert!(both.contains("user0001Z") && both.contains("adaZ"), "{both}");

        assert_eq!(ada.browser.open(&url).await.code(), "LINK_EXPIRED", "once");
        let raw = server.place.raw().await;
        let url = page_for(&ada, "third").await;
        raw.run("UPDATE link_pages SET expires_at = 1").await;
        assert_eq!(ada.browser.open(&url).await.code(), "LINK_EXPIRED", "in time");
        assert_eq!(ada.browser.open("/account/link?page=lp_x").await.code(), "LINK_EXPIRED");
        assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 1);
        assert_eq!(raw.texts("SELECT display_name FROM users").await, ["Ada"], "as the primary account");
    })
    .await;
}

#[tokio::test]
async fn of_two_who_go_on_from_one_page_one_does() {
    let server = server().await;
    let ada = server.listener("ada").await;
    let page = ada.browser.open(&page_for(&ada, "work").await).await;
    let form = page.form(PAGE);
    let fields: Vec<_> = form.pairs().chain([("alias", "work")]).collect();
    let answers = join_all((0..6).map(|_| ada.browser.post(PAGE, &fields))).await;
    let left = answers.iter().filter(|page| page.status == StatusCode::SEE_OTHER).count();
    assert_eq!(left, 1);
    for page in answers.iter().filter(|page| page.status != StatusCode::SEE_OTHER) {
        assert_eq!(page.code(), "LINK_EXPIRED");
    }
}

#[tokio::test]
async fn somebody_elses_page_is_refused_and_stays_its_owners() {
    let server = server().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let url = page_for(&ada, "work").await;
    let page = ben.browser.open(&url).await;
    assert_eq!((page.code(), page.status), ("LINK_NOT_YOURS", StatusCode::FORBIDDEN));
    let csrf = ben.browser.open("/account").await.form("/auth/logout").get("csrf").to_owned();
    let id = url.split_once("page=").unwrap().1;
    let posted = ben.browser.post(PAGE, &[("csrf", &csrf), ("page", id)]).await;
    assert_eq!(posted.code(), "LINK_EXPIRED");

    // In a browser where nobody is logged in, the way to it leads through a login as its owner.
    let stranger = server.browser();
    for other in ["ben", "user0002"] {
        stranger.forget("sandbox");
        let spotify = log_in_first(&stranger, &url).await;
        let refused = stranger.agree_as(&spotify, other).await;
        assert_eq!(refused.code(), "WRONG_ACCOUNT", "{other}");
        assert!(!refused.text.contains("log out here"), "nobody is logged in: {}", refused.text);
        assert!(refused.text.contains(&format!("page={}&#38;login=yes", url.split_once("page=").unwrap().1)));
        assert_eq!(status(&stranger).await["authenticated"], false, "{other} is not logged in by it");
    }
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM linked_accounts").await, 2);
    assert_eq!(raw.number("SELECT COUNT(*) FROM users").await, 2, "nobody new came by it");
    let elsewhere = server.browser();
    let spotify = log_in_first(&elsewhere, &url).await;
    let page = elsewhere.agree_as(&spotify, "ada").await;
    assert_eq!((page.url.path(), page.status), (PAGE, StatusCode::OK), "{}", page.text);
    let page = link_on(&elsewhere, &page, "work", "user0001").await;
    assert_eq!(page.url.query(), Some("done=linked"), "{}", page.text);
    assert_eq!(accounts(&ada).await.len(), 2);
    assert_eq!(accounts(&ben).await.len(), 1);
    told(&server, "account_mismatch", 3).await;
}

#[tokio::test]
async fn the_page_of_one_who_has_disconnected_lets_only_them_in() {
    let server = server().await;
    let ada = server.listener("ada").await;
    let url = page_for(&ada, "work").await;
    let page = ada.browser.open("/account").await;
    ada.browser.submit(&page, "/account/links/disconnect", &[("confirm", "yes")]).await;
    let stranger = server.browser();
    let spotify = log_in_first(&stranger, &url).await;
    let refused = stranger.agree_as(&spotify, "user0001").await;
    assert_eq!(refused.code(), "WRONG_ACCOUNT");
    assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM users").await, 1);
}

#[tokio::test]
async fn an_account_that_is_somebody_elses_is_refused_and_nothing_changes() {
    let server = server().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let raw = server.place.raw().await;
    let before =
        raw.texts("SELECT id || user_id || alias || token_version FROM linked_accounts ORDER BY id").await;
    let page = ada.browser.open(PAGE).await;
    let page = link_on(&ada.browser, &page, "bens", "ben").await;
    assert_eq!((page.code(), page.status), ("ACCOUNT_TAKEN", StatusCode::CONFLICT));
    let after =
        raw.texts("SELECT id || user_id || alias || token_version FROM linked_accounts ORDER BY id").await;
    assert_eq!(after, before);
    assert!(plays(&ben, Value::Null).await.contains("benZ"));
    assert!(plays(&ada, Value::Null).await.contains("adaZ"));
    assert_eq!(status(&ada.browser).await["display_name"], "Ada");
    // Both are one human: what is disconnected there may be linked here.
    let page = ben.browser.open("/account").await;
    ben.browser.submit(&page, "/account/links/disconnect", &[("confirm", "yes")]).await;
    link(&ada, "second", "ben").await;
    assert!(plays(&ada, json!("second")).await.contains("benZ"));
    assert_eq!(ben.call("get_current_track", json!({})).await.error(), "RECONNECT_REQUIRED");
}

#[tokio::test]
async fn spotify_that_comes_back_with_the_same_account_only_renews_it() {
    let server = server().await;
    let ada = server.listener("ada").await;
    let page = ada.browser.open(PAGE).await;
    let page = link_on(&ada.browser, &page, "work", "ada").await;
    assert_eq!(page.url.query(), Some("done=linked-before"));
    assert!(page.text.contains("linked already"), "{}", page.text);
    assert_eq!(accounts(&ada).await, named(&[("main", true)]));
}

#[tokio::test]
async fn a_link_is_finished_by_who_began_it_or_not_at_all() {
    let server = server().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let callback = async |browser: &Browser, person: &str| -> String {
        let page = browser.open(PAGE).await;
        let spotify = browser.submit(&page, PAGE, &[("alias", "")]).await;
        let fields = [("other", person), ("decision", "approve")];
        browser.submit_only(&spotify, "/authorize", &fields).await.redirect().unwrap().into()
    };
    // A callback that somebody else began, in one's own browser: login CSRF.
    let url = callback(&ben.browser, "user0001").await;
    assert_eq!(ada.browser.open(&url).await.code(), "WRONG_BROWSER");
    assert_eq!(server.browser().open(&url).await.code(), "WRONG_BROWSER");
    // Logged out, or somebody else, by the time that Spotify answers.
    let url = callback(&ada.browser, "user0002").await;
    let page = ada.browser.open("/account").await;
    ada.browser.submit(&page, "/auth/logout", &[]).await;
    assert_eq!(ada.browser.open(&url).await.code(), "FORM_EXPIRED");
    let url = callback(&ben.browser, "user0003").await;
    let page = ben.browser.open("/account").await;
    ben.browser.submit(&page, "/auth/logout", &[]).await;
    ben.browser.log_in("user0004").await;
    assert_eq!(ben.browser.open(&url).await.code(), "FORM_EXPIRED");
    // A form that is not our own page's.
    for csrf in ["", "x"] {
        assert_eq!(ben.browser.post(PAGE, &[("csrf", csrf), ("alias", "x")]).await.code(), "FORM_EXPIRED");
    }
    let raw = server.place.raw().await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM linked_accounts").await, 3, "nothing was linked");
    // Refused at Spotify: nothing either.
    let page = ben.browser.open(PAGE).await;
    let spotify = ben.browser.submit(&page, PAGE, &[("alias", "x")]).await;
    let denied = ben.browser.submit(&spotify, "/authorize", &[("decision", "deny")]).await;
    assert_eq!(denied.code(), "SPOTIFY_DENIED");
    assert!(denied.text.contains("href=\"/account/link?alias=x\""), "{}", denied.text);
    let again = ben.browser.open("/account/link?alias=x").await;
    assert!(again.text.contains("value=\"x\""), "{}", again.text);
    assert_eq!(raw.number("SELECT COUNT(*) FROM linked_accounts").await, 3);
}

#[tokio::test]
async fn names_have_their_form_and_are_the_persons_alone() {
    let server = server().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    for alias in ["all", "a/b", "\u{202e}x", &"x".repeat(41), "", "main", "ada"] {
        assert_eq!(
            ada.call("link_account", json!({"alias": alias})).await.error(),
            "INVALID_ARGUMENT",
            "{alias}"
        );
    }
    let page = ada.browser.open(PAGE).await;
    for alias in ["ALL", "<b>", "Main"] {
        let refused = ada.browser.submit(&page, PAGE, &[("alias", alias)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{alias}");
        assert!(refused.text.contains("Nothing was changed"), "{}", refused.text);
    }
    link(&ada, "work", "user0001").await;
    link(&ben, "work", "user0002").await;
    let page = ada.browser.open("/account").await;
    let rename = page.forms("/account/links/rename").into_iter().next().unwrap();
    let post = async |browser: &Browser, alias: &str| {
        let fields: Vec<_> = rename.pairs().chain([("alias", alias)]).collect();
        browser.post("/account/links/rename", &fields).await
    };
    for alias in ["WORK", "all", "x\ny"] {
        assert_eq!(post(&ada.browser, alias).await.status, StatusCode::BAD_REQUEST, "{alias}");
    }
    assert_eq!(post(&ada.browser, " home ").await.status, StatusCode::SEE_OTHER);
    assert_eq!(accounts(&ada).await, named(&[("home", true), ("work", false)]));
    let csrf = ben.browser.open("/account").await.form("/auth/logout").get("csrf").to_owned();
    let hers = [("csrf", csrf.as_str()), ("link", rename.get("link")), ("alias", "mine")];
    for action in ["/account/links/rename", "/account/links/default"] {
        assert_eq!(ben.browser.post(action, &hers).await.code(), "NOT_FOUND", "{action}");
    }
    told(&server, "account_renamed", 1).await;
    told(&server, "account_link_requested", 2).await;
}

#[tokio::test]
async fn a_name_means_one_account_or_nothing_is_done() {
    let server = server().await;
    let ada = server.listener("ada").await;
    link(&ada, "user0002", "user0001").await;
    link(&ada, "USER0003", "user0004").await;
    link(&ada, "x", "user0002").await;
    link(&ada, "y", "user0003").await;
    // Called exactly so, though another one has that id at Spotify.
    assert!(plays(&ada, json!("user0002")).await.contains("user0001Z"));
    assert!(plays(&ada, json!(["user0002", "x"])).await.contains("user0002Z"));
    let named = json!({"account": "user0003"});
    for tool in ["get_current_track", "get_status", "set_default_account", "unlink_account"] {
        let refused = ada.call(tool, named.clone()).await;
        assert_eq!(refused.error(), "ACCOUNT_UNKNOWN", "{tool}");
    }
    let refused = ada.call("get_current_track", named).await.result();
    let said = refused["structuredContent"]["error"]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("Two linked Spotify accounts fit that name: USER0003 and y."), "{said}");
    assert!(plays(&ada, json!("USER0003")).await.contains("user0004Z"));
    let unknown = ada.call("unlink_account", json!({"account": "z"})).await.result();
    let said = unknown["structuredContent"]["error"]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("Linked: main (Ada, the default), ") && !said.contains("Leave"), "{said}");
}
