//! Two people with two accounts each, their calls interleaved, access tokens dying meanwhile: every row is of the account
//! that it is marked with, and Spotify was asked with that account's own credential.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use spotify_mcp::spotify::sandbox::Filter;

use super::link;
use crate::support::database::at_both;
use crate::support::listener::Listener;
use crate::support::server::Setup;

const CALLS: usize = 60;

/// A listener, and whose each of their accounts is at Spotify.
struct Person {
    listener: Listener,
    accounts: BTreeMap<&'static str, &'static str>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_with_two_accounts_each_never_mix() {
    at_both(async |place| {
        let server = Setup::on(place).people(4).start().await;
        let mut people = Vec::new();
        for (first, second) in [("user0001", "user0002"), ("user0003", "user0004")] {
            let listener = server.listener(first).await;
            link(&listener, "other", second).await;
            people.push(Person { listener, accounts: [("main", first), ("other", second)].into() });
        }
        server.control().clear_journal();
        for round in 0..3 {
            let calls = (0..CALLS / 3).map(|n| ask(&people[n % 2], round * CALLS + n));
            join_all(calls).await;
            server.control().advance(Duration::from_secs(3700));
        }
        let filter =
            Filter { path: Some("/v1/search".to_owned()), limit: Some(usize::MAX), ..Filter::default() };
        let mut searched = BTreeSet::new();
        for entry in server.control().journal(&filter).iter().filter(|entry| entry.status == Some(200)) {
            let user = entry.user.clone().unwrap();
            let query = entry.query.clone().unwrap();
            let may = people.iter().find(|person| query.contains(person.accounts["main"])).unwrap();
            assert!(may.accounts.values().any(|own| **own == *user), "{query} was asked as {user}");
            searched.insert(user);
        }
        assert_eq!(searched.len(), 4, "all four were asked");
        assert_eq!(server.asked("/api/token", 400), 0, "no refresh token was spent twice");
    })
    .await;
}

async fn ask(person: &Person, n: usize) {
    let query = format!("{} number {n}", person.accounts["main"]);
    let (asked, answered): (Value, Vec<&str>) = match n % 5 {
        0 => (json!("main"), vec!["main"]),
        1 => (json!("other"), vec!["other"]),
        2 => (json!(["other"]), vec!["other"]),
        _ => (json!("all"), vec!["main", "other"]),
    };
    let (tool, rows, arguments) = match n % 3 {
        0 => ("get_liked_songs", "tracks", json!({"limit": 2, "account": asked})),
        1 => ("get_user_playlists", "playlists", json!({"limit": 2, "account": asked})),
        _ => ("search_tracks", "tracks", json!({"query": query, "limit": 2, "account": asked})),
    };
    let content = person.listener.call(tool, arguments).await.content();
    let seen = marked(&content.to_string());
    let expected: BTreeSet<_> = answered.iter().map(|alias| person.accounts[alias].to_owned()).collect();
    assert_eq!(seen, expected, "{tool} {asked}: {content}");
    for row in content[rows].as_array().unwrap() {
        let Some(account) = row.get("account").and_then(Value::as_str) else {
            assert_eq!(answered.len(), 1, "{content}");
            continue;
        };
        let whose = BTreeSet::from([person.accounts[account].to_owned()]);
        assert_eq!(marked(&row.to_string()), whose, "a row of another account: {row}");
    }
}

/// Whose content appears: ids of a person's begin with their id and a `Z`.
fn marked(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("user0").filter_map(|(at, _)| text[at..].get(..9));
    starts.filter_map(|mark| mark.strip_suffix('Z')).map(str::to_owned).collect()
}
