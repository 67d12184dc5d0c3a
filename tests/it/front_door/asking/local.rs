//! The one person of `serve --stdio`, by a client of 2025: asked between their call and its result.

use std::process::Stdio;
use std::time::Duration;

use spotify_mcp::spotify::sandbox::Fault;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::*;
use crate::support::browser::{Browser, Page};
use crate::support::server::{Setup, binary};

/// The program, and a client that talks to it.
struct Local {
    child: Child,
    /// Until it is closed.
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Local {
    async fn start(server: &TestServer, offers: &Value) -> Self {
        let mut command = binary();
        command.args(["serve", "--stdio"]).envs(&server.environment).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let mut local = Self { child, input, output: BufReader::new(output).lines() };
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": offers,
            "clientInfo": {"name": "old", "version": "1"}});
        local.say(json!({"id": 0, "method": "initialize", "params": params})).await;
        assert_eq!(local.hear().await["result"]["protocolVersion"], "2025-11-25");
        local.say(json!({"method": "notifications/initialized"})).await;
        local
    }

    async fn say(&mut self, mut message: Value) {
        message["jsonrpc"] = json!("2.0");
        self.input.as_mut().unwrap().write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let line = timeout(Duration::from_secs(60), self.output.next_line()).await.expect("an answer");
        serde_json::from_str(&line.unwrap().unwrap()).unwrap()
    }

    async fn call(&mut self, tool: &str, arguments: &Value) {
        let params = json!({"name": tool, "arguments": arguments});
        self.say(json!({"id": 7, "method": "tools/call", "params": params})).await;
    }

    /// What the call comes to that is under way.
    async fn result(&mut self) -> Value {
        let message = self.hear().await;
        assert_eq!(message["id"], 7, "{message}");
        message["result"].clone()
    }

    /// What the person is asked meanwhile.
    async fn question(&mut self) -> Value {
        let question = self.hear().await;
        assert_eq!(question["method"], "elicitation/create", "{question}");
        question
    }

    /// The arguments that apply a plan which has just been made.
    async fn planned(&mut self, arguments: &Value) -> Value {
        self.call(REMOVE, arguments).await;
        let plan = self.result().await["structuredContent"]["plan_id"].clone();
        assert!(plan.is_string(), "{plan}");
        let mut arguments = arguments.clone();
        arguments["dry_run"] = json!(false);
        arguments["plan_id"] = plan;
        arguments
    }

    async fn end(self) {
        let Self { mut child, input, .. } = self;
        drop(input);
        assert!(timeout(Duration::from_secs(30), child.wait()).await.unwrap().unwrap().success());
    }
}

/// A data directory whose local person is Ada.
async fn logged_in() -> TestServer {
    let server = Setup::default().prepare().await;
    let mut local = Local::start(&server, &json!({})).await;
    local.call("get_status", &json!({})).await;
    assert_eq!(local.result().await["structuredContent"]["error"]["code"], "RECONNECT_REQUIRED");
    let browser = server.browser();
    let page = browser.open("/auth/login").await;
    let page = browser.agree_as(&page, "ada").await;
    assert!(page.text.contains("Spotify is connected"), "{}", page.text);
    local.end().await;
    server
}

#[tokio::test]
async fn a_yes_counts_and_nothing_else_does() {
    let server = logged_in().await;
    let list = filled(&server, "ada", &[1, 2, 3]);
    let wanted = json!({"playlist_id": list, "positions": [0]});
    let mut local = Local::start(&server, &json!({"elicitation": {}})).await;
    let replies = noes().map(|no| (json!({"result": no}), false)).into_iter();
    let error = json!({"error": {"code": -32000, "message": "no window"}});
    for (reply, goes) in replies.chain([(error, false), (json!({"result": yes()}), true)]) {
        let apply = local.planned(&wanted).await;
        local.call(REMOVE, &apply).await;
        let question = local.question().await;
        let message = question["params"]["message"].as_str().unwrap();
        assert!(message.starts_with("Remove 1 of 3 tracks"), "{question}");
        assert_eq!(held(&server, &list).len(), 3, "not before");
        let mut reply = reply;
        reply["id"] = question["id"].clone();
        local.say(reply.clone()).await;
        let result = local.result().await;
        assert_eq!(result["isError"] == false, goes, "{reply} {result}");
        assert_eq!(held(&server, &list).len() == 2, goes, "{reply}");
        let code = result["structuredContent"]["error"]["code"].as_str();
        assert_eq!(code, (!goes).then_some("DECLINED"), "{result}");
    }
    local.end().await;
}

#[tokio::test]
async fn a_call_that_is_cancelled_meanwhile_takes_nothing_away() {
    let server = logged_in().await;
    let list = filled(&server, "ada", &[1, 2, 3]);
    let mut local = Local::start(&server, &json!({"elicitation": {"form": {}}})).await;
    let apply = local.planned(&json!({"playlist_id": list, "positions": [0]})).await;
    local.call(REMOVE, &apply).await;
    let question = local.question().await;
    local.say(json!({"method": "notifications/cancelled", "params": {"requestId": 7}})).await;
    // A yes that comes later is nobody's.
    local.say(json!({"id": question["id"], "result": yes()})).await;
    local.say(json!({"id": 9, "method": "ping"})).await;
    while local.hear().await["id"] != 9 {}
    assert_eq!(held(&server, &list).len(), 3);
    local.end().await;
}

#[tokio::test]
async fn a_client_that_cannot_ask_is_not_asked() {
    let server = logged_in().await;
    let list = filled(&server, "ada", &[1, 2, 3]);
    for offers in [json!({}), json!({"elicitation": {"url": {}}})] {
        let mut local = Local::start(&server, &offers).await;
        let before = held(&server, &list).len();
        let apply = local.planned(&json!({"playlist_id": list, "positions": [0]})).await;
        local.call(REMOVE, &apply).await;
        assert_eq!(local.result().await["isError"], false);
        assert_eq!(held(&server, &list).len(), before - 1);
        local.end().await;
    }
}

/// Every link of a page of ours leads somewhere.
async fn no_link_is_dead(browser: &Browser, page: &Page) {
    assert!(!browser.is_spotify(&page.url), "{}", page.text);
    for rest in page.text.split("<a ").skip(1).filter_map(|rest| rest.split_once("href=\"")) {
        let address = rest.1.split('"').next().unwrap().replace("&#38;", "&");
        if address.starts_with('/') {
            let led = browser.peek(&address).await;
            assert_ne!(led.status, reqwest::StatusCode::NOT_FOUND, "{address} of {}", page.text);
        }
    }
}

/// The address that an answer tells the person to open.
fn address(result: &Value) -> String {
    let text = result["content"][0]["text"].as_str().unwrap();
    let word =
        text.split(' ').find(|word| word.contains("/auth/login?link=")).unwrap_or_else(|| panic!("{text}"));
    word.trim_end_matches(['.', ',', ':']).to_owned()
}

#[tokio::test]
async fn the_address_that_an_answer_names_is_served_at_once() {
    let server = logged_in().await;
    server.control().revoke("ada", None);
    server.control().advance(Duration::from_secs(3700));
    let mut local = Local::start(&server, &json!({})).await;
    local.call("get_current_track", &json!({})).await;
    let result = local.result().await;
    assert_eq!(result["structuredContent"]["error"]["code"], "RECONNECT_REQUIRED", "{result}");
    let (browser, url) = (server.browser(), address(&result));
    let spotify = browser.open(&url).await;
    let refused = browser.agree_as(&spotify, "ben").await;
    assert_eq!(refused.code(), "WRONG_ACCOUNT");
    assert!(!refused.text.contains("log out here"), "{}", refused.text);
    no_link_is_dead(&browser, &refused).await;
    no_link_is_dead(&browser, &browser.open("/auth/own-app").await).await;
    no_link_is_dead(&browser, &browser.open("/nowhere").await).await;

    let spotify = browser.open(&url).await;
    let fields = [("other", "ada"), ("decision", "approve"), ("withhold", "playlist-modify-private")];
    let done = browser.submit(&spotify, "/authorize", &fields).await;
    assert!(done.text.contains("Spotify is connected"), "{}", done.text);
    no_link_is_dead(&browser, &done).await;
    // What was not granted is given at the address that says so, which listens though nothing else is amiss.
    local.end().await;
    let mut local = Local::start(&server, &json!({})).await;
    assert!(browser.try_open(&url).await.is_err(), "nothing listens unless it is named");
    local.call("create_playlist", &json!({"name": "p"})).await;
    let result = local.result().await;
    assert_eq!(result["structuredContent"]["error"]["code"], "SCOPE_MISSING", "{result}");
    let spotify = browser.open(&address(&result)).await;
    let done = browser.agree_as(&spotify, "ada").await;
    assert!(done.text.contains("Spotify is connected"), "{}", done.text);
    local.call("create_playlist", &json!({"name": "p"})).await;
    assert_eq!(local.result().await["isError"], false);
    local.end().await;
}

/// A list that is being written anew, slowly: what it is when that is done.
async fn under_way(local: &mut Local, server: &TestServer) -> (String, usize) {
    let mut rows: Vec<String> = (0..900).map(|n| format!("spotify:track:{n:022}")).collect();
    rows[5] = String::new();
    let change = PlaylistChange { uris: Some(rows), ..PlaylistChange::default() };
    let list = server.control().create_playlist("ada", change).unwrap();
    let apply = local.planned(&json!({"playlist_id": list, "positions": [5]})).await;
    server.inject("POST /v1/playlists/*", 20, Fault::Delay { millis: 500 });
    local.call(REMOVE, &apply).await;
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    while held(server, &list).len() != 200 {
        assert!(tokio::time::Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (list, 899)
}

impl Local {
    fn signal(&self) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Its exit status.
    async fn ended(&mut self) -> std::process::ExitStatus {
        timeout(Duration::from_secs(60), self.child.wait()).await.unwrap().unwrap()
    }
}

/// How the latest change ended.
async fn state(server: &TestServer) -> Value {
    let mut local = Local::start(server, &json!({})).await;
    local.call("list_changes", &json!({"limit": 1})).await;
    let state = local.result().await["structuredContent"]["changes"][0]["state"].clone();
    local.end().await;
    state
}

#[tokio::test]
async fn a_signal_ends_what_has_begun_no_sooner_than_the_end_of_the_input() {
    let server = logged_in().await;
    for input_ends in [false, true] {
        let mut local = Local::start(&server, &json!({})).await;
        let (list, rows) = under_way(&mut local, &server).await;
        if input_ends {
            // As clients do it: the input first, a signal soon after it.
            drop(local.input.take());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        local.signal();
        assert!(local.ended().await.success());
        assert_eq!(held(&server, &list).len(), rows, "{input_ends}");
        server.control().clear_faults();
        assert_eq!(state(&server).await, "verified");
    }
}

#[tokio::test]
async fn a_second_signal_ends_what_has_begun_between_two_requests() {
    let server = logged_in().await;
    let mut local = Local::start(&server, &json!({})).await;
    let (list, rows) = under_way(&mut local, &server).await;
    local.signal();
    tokio::time::sleep(Duration::from_millis(300)).await;
    local.signal();
    assert!(local.ended().await.success());
    assert!(held(&server, &list).len() < rows);
    server.control().clear_faults();
    assert_eq!(state(&server).await, "partial");
}
