//! Tokens put back or moved by SQL: an older version of the same row, another person's, the other column's, another
//! row's. Each is noticed when it is used, named in the trail, and its account alone has to be connected again.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{forgets, listens, three};
use crate::support::database::{Raw, at_both};
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

/// The account of the n-th person.
fn of(n: usize) -> String {
    format!("WHERE spotify_user_id = 'user000{n}'")
}

async fn link(raw: &Raw, n: usize) -> String {
    raw.texts(&format!("SELECT id FROM linked_accounts {}", of(n))).await.remove(0)
}

/// Its owner is told to connect again and can; nobody else notices; the trail names the account.
async fn noticed(server: &TestServer, listeners: &[Listener], (bad, what): (usize, &str)) {
    let raw = server.place.raw().await;
    let id = link(&raw, bad + 1).await;
    let before = told(server, &id);
    forgets(server).await;
    for (n, listener) in listeners.iter().enumerate().filter(|(n, _)| *n != bad) {
        let answer = listener.call("get_current_track", json!({})).await;
        assert!(answer.text.contains(&listener.marker()), "{what}: {n}: {answer:?}");
    }
    let answer = listeners[bad].call("get_current_track", json!({})).await;
    assert_eq!(answer.error(), "RECONNECT_REQUIRED", "{what}: {answer:?}");
    let until = Instant::now() + Duration::from_secs(20);
    while told(server, &id) == before && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(told(server, &id) > before, "{what}: the trail does not name {id}");
    let page = listeners[bad].browser.open("/auth/login?link=again").await;
    if listeners[bad].browser.is_spotify(&page.url) {
        listeners[bad].browser.agree_as(&page, &listeners[bad].person).await;
    }
    listens(&listeners[bad]).await;
}

/// How often the trail says that something of this account does not open.
fn told(server: &TestServer, link: &str) -> usize {
    let text = super::tampered::trail(server);
    text.lines().filter(|line| line.contains("\"crypt_decrypt_fail\"") && line.contains(link)).count()
}

#[tokio::test]
async fn tokens_put_back_or_moved_by_sql_are_noticed_and_their_account_alone_reconnects() {
    at_both(async |place| {
        let server = Setup::on(place).people(3).start().await;
        let listeners = three(&server).await;
        let raw = server.place.raw().await;
        raw.run("CREATE TABLE aside AS SELECT * FROM linked_accounts").await;
        // Everybody's tokens get another version.
        server.control().advance(Duration::from_secs(3700));
        forgets(&server).await;
        for listener in &listeners {
            listens(listener).await;
        }
        let older = |column: &str, n: usize| format!("{column} = (SELECT {column} FROM aside {})", of(n));
        let put_back = format!("{}, {}", older("access_token", 1), older("refresh_token", 1));
        raw.run(&format!("UPDATE linked_accounts SET {put_back} {}", of(1))).await;
        noticed(&server, &listeners, (0, "an older version")).await;

        // The refresh token alone: noticed when it is needed.
        raw.run(&format!("UPDATE linked_accounts SET {} {}", older("refresh_token", 2), of(2))).await;
        server.control().advance(Duration::from_secs(3700));
        noticed(&server, &listeners, (1, "an older refresh token")).await;

        raw.run("DROP TABLE aside").await;
        raw.run("CREATE TABLE aside AS SELECT * FROM linked_accounts").await;
        let theirs = |column: &str| format!("{column} = (SELECT {column} FROM aside {})", of(2));
        let moved = ["access_token", "refresh_token", "data_key_id"].map(theirs).join(", ");
        raw.run(&format!("UPDATE linked_accounts SET {moved} {}", of(1))).await;
        noticed(&server, &listeners, (0, "another person's, with their key")).await;

        raw.run(&format!("UPDATE linked_accounts SET access_token = refresh_token {}", of(3))).await;
        noticed(&server, &listeners, (2, "the other column")).await;

        let (id, key) = (link(&raw, 2).await, "data_key_id");
        let other = format!("l_{}", "ab".repeat(16));
        raw.run(&format!("UPDATE linked_accounts SET id = '{other}' WHERE id = '{id}'")).await;
        noticed(&server, &listeners, (1, "another row")).await;

        let foreign = format!("{key} = (SELECT {key} FROM aside {})", of(1));
        raw.run(&format!("UPDATE linked_accounts SET {foreign} {}", of(3))).await;
        noticed(&server, &listeners, (2, "another person's key alone")).await;
    })
    .await;
}
