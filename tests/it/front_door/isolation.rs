//! Nobody ever sees anything of anybody else: many people, interleaved calls, refreshes in flight on both sides,
//! calls given up half way, one person's client revoked in the middle.
//!
//! A short form by default; `ISOLATION=50,5000` runs it with 50 people and 5,000 calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use spotify_mcp::spotify::sandbox::Filter;

use tokio::sync::RwLock;

use crate::support::database::at_both;
use crate::support::listener::{Era, Listener};
use crate::support::server::{Setup, TestServer};

const AT_ONCE: usize = 24;
/// Every so many calls Spotify's clock jumps past the life of its access tokens.
const EXPIRY_EVERY: usize = 150;

/// What was answered, for the comparison with Spotify's journal.
#[derive(Default)]
struct Ledger {
    next: AtomicUsize,
    revoked: AtomicBool,
    answered: AtomicUsize,
    given_up: AtomicUsize,
    refused: AtomicUsize,
    /// Written when Spotify's clock jumps: no token dies twice within one call.
    time: RwLock<()>,
    /// The searches that were answered, by what was searched for.
    searches: Mutex<BTreeMap<String, String>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_the_callers_own() {
    let form = std::env::var("ISOLATION").unwrap_or_else(|_| "20,800".to_owned());
    let (people, calls) = form.split_once(',').unwrap();
    let (people, calls): (usize, usize) = (people.parse().unwrap(), calls.parse().unwrap());
    at_both(async |place| {
        let setup = Setup::on(place).people(people).env("LOG_LEVEL", "info");
        let server = setup
            .env("SPOTIFY_MCP__LIMITS__CALLS_PER_USER_PER_MINUTE", "0")
            .env("SPOTIFY_MCP__SPOTIFY__DAILY_QUOTA", "1000000")
            .start()
            .await;
        let names: Vec<_> = (1..=people).map(|n| format!("user{n:04}")).collect();
        let mut listeners = Vec::new();
        for some in names.chunks(8) {
            listeners.extend(join_all(some.iter().map(|name| server.listener(name))).await);
        }
        server.control().clear_journal();
        let ledger = Ledger::default();
        join_all((0..AT_ONCE).map(|worker| work(&server, &listeners, calls, worker, &ledger))).await;
        agree(&server, &listeners, &ledger);
        let [answered, given_up, refused] =
            [&ledger.answered, &ledger.given_up, &ledger.refused].map(|count| count.load(Ordering::SeqCst));
        println!("{answered} answered, {given_up} given up, {refused} refused to the one who was revoked");
        assert_eq!(answered + given_up + refused, calls);
        assert!(answered > calls * 2 / 3 && given_up > calls / 40 && refused > 0);
    })
    .await;
}

async fn work(server: &TestServer, listeners: &[Listener], calls: usize, worker: usize, ledger: &Ledger) {
    let mut dice = Dice(worker as u64 + 1);
    loop {
        let number = ledger.next.fetch_add(1, Ordering::SeqCst);
        if number >= calls {
            return;
        }
        if number % EXPIRY_EVERY == EXPIRY_EVERY - 1 {
            let _nobody_calls = ledger.time.write().await;
            server.control().advance(Duration::from_secs(3700));
        }
        if number == calls / 2 {
            let victim = &listeners[0];
            let page = victim.browser.open("/account").await;
            victim.browser.submit(&page, "/account/clients/revoke", &[]).await;
            ledger.revoked.store(true, Ordering::SeqCst);
        }
        // The one who is revoked calls a little more often than the others.
        let who = if number.is_multiple_of(20) { 0 } else { dice.below(listeners.len()) };
        let _time_stands = ledger.time.read().await;
        call(&listeners[who], who == 0, number, &mut dice, ledger).await;
    }
}

async fn call(listener: &Listener, is_victim: bool, number: usize, dice: &mut Dice, ledger: &Ledger) {
    let was_revoked = is_victim && ledger.revoked.load(Ordering::SeqCst);
    if dice.below(12) == 0 && !is_victim {
        listener.refresh().await;
    }
    let query = format!("{} number {number}", listener.person);
    let (tool, arguments) = match dice.below(5) {
        0 => ("get_current_track", json!({})),
        1 => ("get_user_playlists", json!({"limit": 5})),
        2 => ("get_liked_songs", json!({"limit": 3})),
        _ => ("search_tracks", json!({"query": query, "limit": 2})),
    };
    let era = if dice.below(3) == 0 { Era::Legacy } else { Era::Modern };
    if dice.below(12) == 0 && !is_victim {
        let after = Duration::from_micros(300 * dice.below(20) as u64 + 100);
        if listener.give_up(tool, arguments.clone(), after).await {
            ledger.given_up.fetch_add(1, Ordering::SeqCst);
            return;
        }
    }
    let answer = listener.call_in(era, tool, arguments).await;
    if is_victim && answer.status == StatusCode::UNAUTHORIZED {
        assert!(ledger.revoked.load(Ordering::SeqCst) || markers(&answer.text).is_empty());
        ledger.refused.fetch_add(1, Ordering::SeqCst);
        return;
    }
    assert!(!was_revoked, "a revoked client was answered: {answer:?}");
    let text = answer.content().to_string();
    let seen = markers(&text);
    assert_eq!(seen, BTreeSet::from([listener.marker()]), "{tool} of {}: {text}", listener.person);
    if tool == "search_tracks" {
        ledger.searches.lock().unwrap().insert(query, listener.person.clone());
    }
    ledger.answered.fetch_add(1, Ordering::SeqCst);
}

/// Every person whose content appears.
fn markers(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("user").map(|(at, _)| &text[at..]);
    let marked = starts
        .filter_map(|rest| rest.get(..9))
        .filter(|mark| mark.ends_with('Z') && mark.as_bytes()[4..8].iter().all(u8::is_ascii_digit));
    marked.map(str::to_owned).collect()
}

/// Spotify's journal: each search came with the credential of the one who searched, each answered search was
/// really made, and no grant was refreshed by two at once.
fn agree(server: &TestServer, listeners: &[Listener], ledger: &Ledger) {
    let filter = Filter { path: Some("/v1/search".to_owned()), limit: Some(usize::MAX), ..Filter::default() };
    let mut made = BTreeSet::new();
    for entry in server.control().journal(&filter).iter().filter(|entry| entry.status == Some(200)) {
        let query = entry.query.as_deref().unwrap_or_default();
        let pairs: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let searched = &pairs["q"];
        let person = searched.split(' ').next().unwrap();
        assert_eq!(entry.user.as_deref(), Some(person), "Spotify was asked as somebody else: {searched}");
        made.insert(searched.clone());
    }
    let searches = ledger.searches.lock().unwrap();
    assert!(!searches.is_empty());
    for query in searches.keys() {
        assert!(made.contains(query), "answered without asking Spotify: {query}");
    }
    assert_eq!(server.asked("/api/token", 400), 0, "a spent refresh token was presented to Spotify");
    let refreshed = server.control().users().iter().filter(|user| user.refreshes > 0).count();
    assert!(refreshed > listeners.len() / 2, "refreshes were in flight");
}

/// Repeatable chance.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}
