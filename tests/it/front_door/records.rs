//! What anybody can cause without end is recorded within bounds: the trail's disk is everybody's.

use std::collections::HashMap;

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::json;
use spotify_mcp::ambient::Clock;

use super::signatures::{BODY, Draft, post, signing};
use crate::support::browser::Browser;
use crate::support::client::{Pair, RegisteredClient};
use crate::support::database::{Place, at_both};
use crate::support::listener::{Era, speak};
use crate::support::server::{Setup, TestServer};
use crate::support::trail;

/// How many of each kind are sent, and how many of them may be recorded in a minute.
const SENT: usize = 300;
const LIMIT: usize = 100;
/// Beside the limit: that it was reached.
const FEW: usize = 3;

const FAILURES: &str = "SPOTIFY_MCP__LIMITS__FAILED_ATTEMPTS_PER_ADDRESS_PER_MINUTE";
const CALLS: &str = "SPOTIFY_MCP__LIMITS__CALLS_PER_USER_PER_MINUTE";
const PROXIES: &str = "SPOTIFY_MCP__SERVER__TRUSTED_PROXIES";

/// Sends so many from one address, and counts what was answered by status.
struct Flood {
    address: String,
    first_minute: i64,
    /// What was answered, each kind once.
    statuses: Vec<StatusCode>,
}

fn minute() -> i64 {
    Clock::system().now().secs() / 60
}

impl Flood {
    /// `n` stands for the kind: each comes from an address of its own, as the trusted proxy tells it.
    async fn of(n: u8, request: impl Fn(usize) -> RequestBuilder) -> Self {
        let address = format!("203.0.113.{n}");
        let first_minute = minute();
        let sending = (0..SENT).map(|at| request(at).header("x-forwarded-for", &address).send());
        let sent = stream::iter(sending).buffered(8).map(|reply| reply.unwrap().status());
        let mut statuses: Vec<_> = sent.collect().await;
        statuses.sort();
        statuses.dedup();
        Self { address, first_minute, statuses }
    }

    /// Something was recorded, and no more than fits into the minutes that it took.
    fn assert_bounded(&self, written: &Written, kind: &str, most: usize, statuses: &[u16]) {
        let recorded = written.get(&self.address).copied().unwrap_or_default();
        let minutes = usize::try_from(minute() - self.first_minute + 1).unwrap();
        assert!((1..=(most + FEW) * minutes).contains(&recorded), "{kind}: {recorded} in {minutes}");
        let expected: Vec<_> = statuses.iter().map(|code| StatusCode::from_u16(*code).unwrap()).collect();
        assert_eq!(self.statuses, expected, "{kind}");
    }
}

/// How many records came from each address.
type Written = HashMap<String, usize>;

async fn until_written(server: &TestServer) -> Written {
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let mut reader = trail::Reader::of(server).await;
    let mut written = Written::new();
    for record in trail::records(&server.data_dir().join("audit")) {
        if let Some(address) = reader.address(&record).await {
            *written.entry(address).or_default() += 1;
        }
    }
    written
}

fn setup(place: Place) -> Setup {
    let limit = LIMIT.to_string();
    let setup = Setup::on(place).env(FAILURES, &limit).env(CALLS, &limit);
    setup.env(PROXIES, "127.0.0.1").env("LOG_LEVEL", "error")
}

#[tokio::test]
async fn what_strangers_are_refused_is_recorded_within_bounds() {
    let server = setup(Place::sqlite()).start().await;
    let client = server.client().await;
    let (mcp, token) = (format!("{}/mcp", server.origin), format!("{}/token", server.origin));
    let input = |created: i64| {
        let id = format!("ak_{}", "0".repeat(32));
        let covered = "(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\")";
        let nonce = "nonce-of-a-stranger";
        format!("sig={covered};created={created};nonce=\"{nonce}\";keyid=\"{id}\";alg=\"hmac-sha256\"")
    };
    let now = Clock::system().now().secs();
    let signed = |input: String| {
        server.http.post(&mcp).header("signature-input", input).header("signature", "sig=:AAAA:")
    };
    let floods = [
        ("bearers", Flood::of(1, |n| server.http.post(&mcp).bearer_auth(n)).await, [401, 429]),
        ("signatures that cannot be read", Flood::of(2, |_| signed("!".to_owned())).await, [401, 429]),
        ("signatures without a digest", Flood::of(3, |_| signed(input(now))).await, [401, 429]),
        (
            "codes",
            {
                let form = client.redemption("smac_0", "v");
                Flood::of(4, |_| server.http.post(&token).form(&form)).await
            },
            [400, 429],
        ),
    ];
    let old = Flood::of(5, |_| signed(input(now - 4000))).await;
    let early = Flood::of(6, |_| signed(input(now + 4000))).await;
    let callback = format!("{}/auth/callback", server.origin);
    let empty = Flood::of(7, |_| server.http.get(&callback)).await;
    let state = format!("{callback}?code=x&state=smhd_{}", "A".repeat(43));
    let guessed = Flood::of(8, |_| server.http.get(&state)).await;
    let written = until_written(&server).await;
    for (kind, flood, statuses) in floods {
        flood.assert_bounded(&written, kind, LIMIT, &statuses);
    }
    old.assert_bounded(&written, "old signatures", LIMIT, &[401]);
    early.assert_bounded(&written, "early signatures", LIMIT, &[401]);
    // The page stays the page, however many came before.
    for (kind, flood) in [("callbacks", empty), ("callbacks with a state", guessed)] {
        flood.assert_bounded(&written, kind, LIMIT, &[flood.statuses[0].as_u16()]);
        assert!(flood.statuses[0].is_client_error() && flood.statuses[0] != StatusCode::TOO_MANY_REQUESTS);
    }
    // Whoever logs in from there still can.
    let ada = server.listener("ada").await;
    ada.call("get_status", json!({})).await.content();
}

/// Refuses at the consent page, as a browser at another address would.
fn denial(server: &TestServer, (browser, fields): &(Browser, Vec<(String, String)>)) -> RequestBuilder {
    let cookies: Vec<_> = browser.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let url = format!("{}/authorize", server.origin);
    let request = server.http.post(url).header("origin", &server.origin).header("cookie", cookies.join("; "));
    request.form(fields)
}

async fn shown(server: &TestServer, client: &RegisteredClient) -> (Browser, Vec<(String, String)>) {
    let browser = server.browser();
    let page = browser.open(&client.attempt().path()).await;
    let form = page.form("/authorize");
    let mut fields: Vec<_> = form.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    fields.push(("decision".to_owned(), "deny".to_owned()));
    (browser, fields)
}

#[tokio::test]
async fn one_consent_page_is_refused_once_in_the_trail_and_many_within_bounds() {
    let server = setup(Place::sqlite()).start().await;
    let client = server.client().await;
    let one = shown(&server, &client).await;
    let again = Flood::of(1, |_| denial(&server, &one)).await;
    let many = join_all((0..SENT).map(|_| shown(&server, &client))).await;
    let each = Flood::of(2, |n| denial(&server, &many[n])).await;
    let written = until_written(&server).await;
    again.assert_bounded(&written, "one page", 1, &[303]);
    each.assert_bounded(&written, "many pages", LIMIT, &[303]);
}

#[tokio::test]
async fn what_people_are_refused_is_recorded_within_their_quota() {
    at_both(async |place| {
        let server = setup(place).start().await;
        let mcp = format!("{}/mcp", server.origin);
        let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);

        let client = server.client().await;
        let attempt = client.attempt().with("scope", Some("read"));
        let code = client.code(&attempt, &server.browser(), "ada").await;
        let narrow = Pair::of(&client.redeem(&code, &attempt.verifier).await).access;
        let write = json!({"name": "create_playlist", "arguments": {"name": "x"}});
        let scopes = Flood::of(1, |_| {
            let request = server.http.post(&mcp).bearer_auth(&narrow);
            speak(request, Era::Modern, "tools/call", write.clone())
        })
        .await;

        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"}});
        let bens = ben.pair().access;
        let sessions = Flood::of(2, |_| {
            speak(server.http.post(&mcp).bearer_auth(&bens), Era::Legacy, "initialize", hello.clone())
        })
        .await;

        let over = ada.pair().access;
        ada.client.revoke(&over).await;
        let ended = Flood::of(3, |_| server.http.post(&mcp).bearer_auth(&over)).await;
        let written = until_written(&server).await;
        scopes.assert_bounded(&written, "scopes", LIMIT, &[403, 429]);
        // Each session is opened, and an unused one that makes room for it may end.
        sessions.assert_bounded(&written, "sessions", 2 * LIMIT, &[200, 429]);
        ended.assert_bounded(&written, "a token that is over", 1, &[401]);
    })
    .await;
}

#[tokio::test]
async fn what_a_key_or_its_signatures_are_refused_is_recorded_within_bounds() {
    let (server, key) = signing(setup(Place::sqlite())).await;
    let mcp = format!("{}/mcp", server.origin);
    let fresh = || Draft::new(&server, &key);
    let unsigned = Flood::of(1, |_| server.http.post(&mcp).bearer_auth(&key.1)).await;
    let unknown = Draft { id: format!("ak_{}", "0".repeat(32)), ..fresh() }.headers();
    let wrong = Flood::of(2, |_| post(&server, "/mcp", &unknown, BODY)).await;
    let once = fresh().headers();
    post(&server, "/mcp", &once, BODY).send().await.unwrap();
    let replayed = Flood::of(3, |_| post(&server, "/mcp", &once, BODY)).await;
    let body = Flood::of(4, |_| post(&server, "/mcp", &fresh().headers(), "{}")).await;
    let written = until_written(&server).await;
    unsigned.assert_bounded(&written, "keys without a signature", LIMIT, &[401, 429]);
    wrong.assert_bounded(&written, "wrong signatures", LIMIT, &[401, 429]);
    // Who proved the key is told what is wrong, however often.
    replayed.assert_bounded(&written, "replays", LIMIT, &[401]);
    body.assert_bounded(&written, "other bodies", LIMIT, &[401]);
    assert_eq!(post(&server, "/mcp", &fresh().headers(), BODY).send().await.unwrap().status(), 200);
}
