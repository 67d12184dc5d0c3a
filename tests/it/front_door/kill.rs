//! `kill -9` at random instants during logins, refreshes and tool calls. After each restart everything that was
//! acknowledged is there, and nobody has to log in again except where Spotify's own answer was lost.
//!
//! Ten rounds by default on each engine; `scripts/kill N` sets `KILLS=N`.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use reqwest::StatusCode;
use serde_json::{Value, json};
use spotify_mcp::spotify::sandbox::Filter;
use tokio::time::sleep;

use super::status;
use crate::support::browser::{Browser, Page};
use crate::support::client::{Pair, RegisteredClient};
use crate::support::database::at_both;
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

const PEOPLE: usize = 6;

/// What was acknowledged in a round, by the one who heard it.
#[derive(Default)]
struct Heard {
    /// Clients that were told their id.
    clients: Vec<RegisteredClient>,
    /// Codes that came back, with verifier, client and browser.
    codes: Vec<(RegisteredClient, String, String)>,
    /// Browsers that were given a session.
    browsers: Vec<(String, Browser)>,
    /// Pairs of tokens that came back.
    pairs: Vec<(RegisteredClient, Pair)>,
    /// Playlists of which their owner was told.
    playlists: Vec<(String, String)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    let rounds: u64 = std::env::var("KILLS").map_or(10, |count| count.parse().unwrap());
    at_both(async |place| {
        let setup = Setup::on(place).people(PEOPLE).env("LOG_LEVEL", "info");
        // They call for minutes without a pause.
        let mut server = setup.env("SPOTIFY_MCP__LIMITS__CALLS_PER_USER_PER_MINUTE", "0").env("SPOTIFY_MCP__SPOTIFY__DAILY_QUOTA", "1000000").start().await;
        let names: Vec<_> = (1..=PEOPLE).map(|n| format!("user{n:04}")).collect();
        let listeners = join_all(names.iter().map(|name| server.listener(name))).await;
        let (mut logins_again, mut acknowledged, began) = (0, 0, Instant::now());
        for round in 0..rounds {
            // Between the first byte and well after the last, never twice the same.
            let instant = Duration::from_micros(500 + (round * 7919 * 37) % 400_000);
            let heard = Mutex::new(Heard::default());
            let before = newest(&server);
            server.control().advance(Duration::from_secs(3700));
            let killing = async {
                sleep(instant).await;
                server.kill().await;
            };
            join(killing, everybody(&listeners, &heard, round)).await;
            server.start().await;
            let heard = heard.into_inner().unwrap();
            acknowledged += heard.codes.len() + heard.pairs.len() + heard.browsers.len() + heard.playlists.len();
            all_there(&server, &heard).await;
            logins_again += goes_on(&server, &listeners, before).await;
        }
        println!(
            "{rounds} kills in {} s: {acknowledged} acknowledgements, all there; {logins_again} logins again, each \
             because Spotify's answer was lost",
            began.elapsed().as_secs()
        );
        assert!(server.logged().matches("panicked").count() == 0);
        assert_eq!(server.stop().await.code(), Some(0));
    })
    .await;
}

/// Everybody at once: half of them use what they have, and strangers' browsers log in.
async fn everybody(listeners: &[Listener], heard: &Mutex<Heard>, round: u64) {
    let uses = listeners.iter().enumerate().map(|(at, listener)| async move {
        for turn in 0..3 {
            if (at as u64 + round + turn).is_multiple_of(3) {
                refresh(listener, heard).await;
            } else {
                use_a_tool(listener, heard, (at as u64 + round + turn) % 3 == 1).await;
            }
        }
    });
    let logins = listeners.iter().take(3).map(|listener| log_in(listener, heard));
    join(join_all(uses), join_all(logins)).await;
}

async fn refresh(listener: &Listener, heard: &Mutex<Heard>) {
    let old = listener.pair().refresh;
    if let Ok(answer) = listener.client.try_token(&listener.client.refreshing(&old)).await {
        let pair = Pair::of(&answer);
        listener.keep(pair.clone());
        heard.lock().unwrap().pairs.push((listener.client.clone(), pair));
    }
}

async fn use_a_tool(listener: &Listener, heard: &Mutex<Heard>, creates: bool) {
    if !creates {
        let _ = listener.try_call("get_current_track", json!({})).await;
        return;
    }
    let Ok(answer) = listener.try_call("create_playlist", json!({"name": "Made in a storm"})).await else {
        return;
    };
    let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    if let Some(id) = body.pointer("/result/structuredContent/playlist/id").and_then(Value::as_str) {
        heard.lock().unwrap().playlists.push((listener.person.clone(), id.to_owned()));
    }
}

/// Connects another client in another browser, as far as it gets.
async fn log_in(listener: &Listener, heard: &Mutex<Heard>) {
    let browser = Browser::new(&listener.client.origin, listener.browser.spotify());
    let Ok(client) = RegisteredClient::try_register(&listener.client.origin, "http://127.0.0.1:1/cb").await
    else {
        return;
    };
    heard.lock().unwrap().clients.push(client.clone());
    let attempt = client.attempt();
    let Ok(page) = journey(&attempt.path(), &browser, &listener.person).await else { return };
    let Some(code) = page.brought().remove("code") else {
        assert!(page.brought().contains_key("error"), "{page:?}");
        return;
    };
    heard.lock().unwrap().browsers.push((listener.person.clone(), browser));
    heard.lock().unwrap().codes.push((client.clone(), code.clone(), attempt.verifier.clone()));
    let redeemed = client.try_token(&client.redemption(&code, &attempt.verifier)).await;
    // Asked for, and perhaps used up although the answer was lost: no longer a code that must work.
    heard.lock().unwrap().codes.retain(|(_, kept, _)| *kept != code);
    if let Ok(answer) = redeemed {
        heard.lock().unwrap().pairs.push((client, Pair::of(&answer)));
    }
}

async fn journey(path: &str, browser: &Browser, person: &str) -> reqwest::Result<Page> {
    let consent = browser.try_open(path).await?;
    let spotify = browser.try_submit(&consent, "/authorize", &[("decision", "approve")]).await?;
    browser.try_submit(&spotify, "/authorize", &[("other", person), ("decision", "approve")]).await
}

/// Everything that somebody was told is so.
async fn all_there(server: &TestServer, heard: &Heard) {
    for client in &heard.clients {
        let page = server.browser().open(&client.attempt().path()).await;
        assert_eq!(page.status, StatusCode::OK, "a client was forgotten: {}", page.text);
    }
    for (person, browser) in &heard.browsers {
        // Of more than three sessions the oldest go; those of this round are the youngest, at most one a person.
        assert_eq!(status(browser).await["authenticated"], true, "a session of {person} was lost");
    }
    for (client, code, verifier) in &heard.codes {
        Pair::of(&client.redeem(code, verifier).await);
    }
    for (client, pair) in &heard.pairs {
        // Refresh tokens that were meanwhile exchanged are not presented: that would count as another exchange.
        let request = server.http.post(format!("{}/mcp", server.origin)).bearer_auth(&pair.access);
        let ping = crate::support::listener::speak(
            request,
            crate::support::listener::Era::Legacy,
            "ping",
            json!({}),
        );
        assert_eq!(ping.send().await.unwrap().status(), StatusCode::OK, "a token of {} was lost", client.id);
    }
    for (person, id) in &heard.playlists {
        let grant = server.control().grant("sandbox-client", person, "playlist-read-private").unwrap();
        let url = format!("{}/playlists/{id}", server.sandbox.api_url);
        let reply = server.http.get(url).bearer_auth(grant.access_token).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK, "a playlist of {person} was never made");
    }
}

/// Everybody goes on with what they have. Says how many had to log in again, each for a reason in the journal.
async fn goes_on(server: &TestServer, listeners: &[Listener], before: u64) -> usize {
    let mut again = 0;
    for listener in listeners {
        // A refresh whose answer was lost is asked for again with the old token.
        listener.refresh().await;
        let answer = listener.call("get_current_track", json!({})).await;
        if answer.result()["isError"] != true {
            assert!(answer.text.contains(&listener.marker()), "{answer:?}");
            continue;
        }
        assert_eq!(answer.error(), "RECONNECT_REQUIRED", "{answer:?}");
        let lost = answer_was_lost(server, &listener.person, before);
        assert!(lost, "{} has to log in again for nothing", listener.person);
        let page = listener.browser.open("/auth/login?link=again").await;
        if listener.browser.is_spotify(&page.url) {
            listener.browser.agree_as(&page, &listener.person).await;
        }
        assert!(listener.call("get_current_track", json!({})).await.text.contains(&listener.marker()));
        again += 1;
    }
    again
}

fn newest(server: &TestServer) -> u64 {
    let last = Filter { limit: Some(1), ..Filter::default() };
    server.control().journal(&last).last().map_or(0, |entry| entry.seq)
}

/// Whether Spotify's last answer with tokens for this person may have been lost: nothing was asked with them. To
/// ask who somebody is comes before their tokens can be kept; everything else must come after.
fn answer_was_lost(server: &TestServer, person: &str, after: u64) -> bool {
    let filter = Filter {
        user: Some(person.to_owned()),
        after: Some(after),
        limit: Some(usize::MAX),
        ..Filter::default()
    };
    let entries = server.control().journal(&filter);
    let good: Vec<_> =
        entries.iter().filter(|entry| entry.status.is_some_and(|status| status < 300)).collect();
    let Some(tokens) = good.iter().rposition(|entry| entry.path == "/api/token") else { return false };
    good[tokens..].iter().all(|entry| entry.path == "/api/token" || entry.path == "/v1/me")
}
