//! Clients of 2025: asked on the stream of their call, replied by a message of its own in the same session, to any server.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::{Instant, sleep};

use super::*;
use crate::front_door::revoking::nodes::beside;
use crate::support::database::at_both;
use crate::support::server::Setup;

/// One client's session.
struct Session<'a> {
    who: &'a Listener,
    id: String,
}

/// The answer to a call, as it comes.
struct Reading {
    response: reqwest::Response,
    text: String,
}

impl<'a> Session<'a> {
    async fn open(who: &'a Listener, offers: &Value) -> Self {
        let capabilities = json!({"elicitation": offers});
        let client = json!({"name": "old", "version": "1"});
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": client});
        let answer = who.request(Era::Legacy, "initialize", params).await;
        let id = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
        Self { who, id }
    }

    async fn post(&self, origin: &str, body: &Value) -> reqwest::Response {
        let request = self.who.client.http.post(format!("{origin}/mcp")).bearer_auth(&self.who.pair().access);
        let request = request.header("accept", "application/json, text/event-stream");
        let request = request.header("mcp-protocol-version", "2025-11-25").header("mcp-session-id", &self.id);
        request.json(body).send().await.unwrap()
    }

    async fn call(&self, origin: &str, tool: &str, arguments: &Value) -> Reading {
        let params = json!({"name": tool, "arguments": arguments});
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
        Reading { response: self.post(origin, &body).await, text: String::new() }
    }

    /// Replies to a question; whether that was taken.
    async fn reply(&self, origin: &str, question: &Value, result: &Value) -> StatusCode {
        let body = json!({"jsonrpc": "2.0", "id": question["id"], "result": result});
        self.post(origin, &body).await.status()
    }
}

impl Reading {
    fn streams(&self) -> bool {
        self.response.headers()["content-type"] == "text/event-stream"
    }

    /// The next message on the stream; `None` where it ends.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
                self.text = rest.to_owned();
                match data {
                    Some(data) => return Some(serde_json::from_str(&data).unwrap()),
                    None => continue,
                }
            }
            let piece = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// What the person is asked.
    async fn question(&mut self) -> Value {
        assert!(self.streams(), "{:?}", self.response);
        let question = self.next().await.expect("a question");
        assert_eq!(question["method"], "elicitation/create", "{question}");
        question
    }

    /// The call's result, which ends the stream.
    async fn result(mut self) -> Value {
        let message = self.next().await.expect("the result");
        assert_eq!(message["id"], 7, "{message}");
        assert_eq!(self.next().await, None);
        message["result"].clone()
    }
}

fn code(result: &Value) -> &str {
    result["structuredContent"]["error"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn the_call_waits_for_the_reply_which_may_come_to_another_server() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let ada = server.listener("ada").await;
        let (_second, other) = beside(&server, None).await;
        let list = filled(&server, "ada", &[1, 2, 3]);
        let session = Session::open(&ada, &json!({"form": {}})).await;
        let wanted = json!({"playlist_id": list, "positions": [0]});
        for (reply, goes) in noes().into_iter().map(|no| (no, false)).chain([(yes(), true)]) {
            let apply = planned(&ada, REMOVE, &wanted).await;
            let mut reading = session.call(&server.origin, REMOVE, &apply).await;
            let question = reading.question().await;
            let asked = &question["params"];
            assert!(asked["message"].as_str().unwrap().starts_with("Remove 1 of 3 tracks"), "{question}");
            assert_eq!(held(&server, &list).len(), 3, "not before");
            assert_eq!(session.reply(&other, &question, &reply).await, StatusCode::ACCEPTED);
            // Once: whoever comes later is not heard.
            assert_eq!(session.reply(&server.origin, &question, &yes()).await, StatusCode::BAD_REQUEST);
            let result = reading.result().await;
            assert_eq!(result["isError"] == false, goes, "{result}");
            assert_eq!(held(&server, &list).len() == 2, goes);
            assert!(goes || code(&result) == "DECLINED", "{result}");
        }
        let raw = server.place.raw().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM questions").await, 0);
        // What asks nothing is answered in one piece, as ever.
        let reading = session.call(&server.origin, "get_status", &json!({})).await;
        assert!(!reading.streams());
    })
    .await;
}

#[tokio::test]
async fn only_the_session_that_was_asked_replies() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let list = filled(&server, "ada", &[1, 2, 3]);
    let offers = json!({});
    let session = Session::open(&ada, &offers).await;
    let (sibling, bens) = (Session::open(&ada, &offers).await, Session::open(&ben, &offers).await);
    let stolen = Session { who: &ben, id: session.id.clone() };
    let apply = planned(&ada, REMOVE, &json!({"playlist_id": list, "positions": [0]})).await;
    let mut reading = session.call(&server.origin, REMOVE, &apply).await;
    let question = reading.question().await;
    for (other, status) in [(&sibling, 400), (&bens, 400), (&stolen, 404)] {
        assert_eq!(other.reply(&server.origin, &question, &yes()).await.as_u16(), status);
    }
    let invented = json!({"id": format!("qn_{}", "0".repeat(32))});
    assert_eq!(session.reply(&server.origin, &invented, &yes()).await, StatusCode::BAD_REQUEST);
    assert_eq!(session.reply(&server.origin, &json!({"id": 7}), &yes()).await, StatusCode::BAD_REQUEST);
    assert_eq!(held(&server, &list).len(), 3);
    // A client that cannot show it after all says so with an error.
    let error = json!({"code": -32601, "message": "no such method"});
    let failed = json!({"jsonrpc": "2.0", "id": question["id"], "error": error});
    assert_eq!(session.post(&server.origin, &failed).await.status(), StatusCode::ACCEPTED);
    assert_eq!(code(&reading.result().await), "DECLINED");
    assert_eq!(held(&server, &list).len(), 3);
}

#[tokio::test]
async fn what_ends_while_the_person_thinks_is_not_done() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", &[1, 2, 3]);
    let wanted = json!({"playlist_id": list, "positions": [0]});
    let offers = json!({"form": {}});

    // Cancelled.
    let session = Session::open(&ada, &offers).await;
    let apply = planned(&ada, REMOVE, &wanted).await;
    let mut reading = session.call(&server.origin, REMOVE, &apply).await;
    let question = reading.question().await;
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
    assert_eq!(session.post(&server.origin, &cancel).await.status(), StatusCode::ACCEPTED);
    assert_eq!(reading.next().await.unwrap()["error"]["message"], "cancelled");
    assert_eq!(reading.next().await, None);
    session.reply(&server.origin, &question, &yes()).await;

    // Left alone by its client.
    let apply = planned(&ada, REMOVE, &wanted).await;
    let mut reading = session.call(&server.origin, REMOVE, &apply).await;
    let question = reading.question().await;
    drop(reading);
    sleep(Duration::from_millis(500)).await;
    session.reply(&server.origin, &question, &yes()).await;

    // Its session ended.
    let apply = planned(&ada, REMOVE, &wanted).await;
    let mut reading = session.call(&server.origin, REMOVE, &apply).await;
    let question = reading.question().await;
    let ended = ada.client.http.delete(format!("{}/mcp", server.origin)).bearer_auth(&ada.pair().access);
    let ended = ended.header("mcp-session-id", &session.id).send().await.unwrap();
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    assert_eq!(session.reply(&server.origin, &question, &yes()).await, StatusCode::NOT_FOUND);
    let began = Instant::now();
    while reading.next().await.is_some() {}
    assert!(began.elapsed() < Duration::from_secs(5));

    // Its person revoked.
    let session = Session::open(&ada, &offers).await;
    let apply = planned(&ada, REMOVE, &wanted).await;
    let mut reading = session.call(&server.origin, REMOVE, &apply).await;
    reading.question().await;
    let page = ada.browser.open("/account").await;
    ada.browser.submit(&page, "/account/clients/revoke", &[]).await;
    while reading.next().await.is_some() {}
    assert_eq!(held(&server, &list).len(), 3);
}

#[tokio::test]
async fn who_offers_nothing_or_sends_no_session_is_not_asked() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let list = filled(&server, "ada", &[1, 2, 3]);
    let wanted = json!({"playlist_id": list, "positions": [0]});
    let silent = Session::open(&ada, &Value::Null).await;
    let apply = planned(&ada, REMOVE, &wanted).await;
    let reading = silent.call(&server.origin, REMOVE, &apply).await;
    assert!(!reading.streams());
    assert_eq!(held(&server, &list).len(), 2);
    let apply = planned(&ada, REMOVE, &wanted).await;
    let done = ada.call_in(Era::Legacy, REMOVE, apply).await.content();
    assert_eq!(done["status"], "verified");
    assert_eq!(held(&server, &list).len(), 1);
}

#[tokio::test]
async fn a_page_is_shown_within_the_call() {
    let server = Setup::default().people(12).start().await;
    let ada = server.listener("ada").await;
    let session = Session::open(&ada, &json!({"form": {}, "url": {}})).await;
    let mut reading = session.call(&server.origin, "link_account", &json!({"alias": "work"})).await;
    let question = reading.question().await;
    let asked = &question["params"];
    assert_eq!(asked["mode"], "url");
    assert!(asked["elicitationId"].as_str().is_some_and(|id| !id.is_empty()));
    let page = ada.browser.open(asked["url"].as_str().unwrap()).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let accepted = session.reply(&server.origin, &question, &json!({"action": "accept"})).await;
    assert_eq!(accepted, StatusCode::ACCEPTED);
    assert_eq!(reading.result().await["structuredContent"], json!({"opened": true}));
}

#[tokio::test]
async fn replies_count_as_calls_do() {
    let server = Setup::default().env("SPOTIFY_MCP__LIMITS__CALLS_PER_USER_PER_MINUTE", "20").start().await;
    let ada = server.listener("ada").await;
    let session = Session::open(&ada, &json!({})).await;
    let nobodys = json!({"id": format!("qn_{}", "0".repeat(32))});
    let mut refused = 0;
    for _ in 0..45 {
        match session.reply(&server.origin, &nobodys, &yes()).await {
            StatusCode::TOO_MANY_REQUESTS => refused += 1,
            status => assert_eq!(status, StatusCode::BAD_REQUEST),
        }
    }
    assert!(refused >= 4, "a minute may begin in between: {refused}");
}
