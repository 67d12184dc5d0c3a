//! Opening sessions of a 2025-era client and leaving them open: each with the handshake, and all used once more when
//! the last is there.

use std::time::Instant;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{Outcome, Person, report};

const REVISION: &str = "2025-11-25";
/// Requests at once.
const AT_ONCE: usize = 16;

pub(super) async fn open(url: &str, people: &[Person], count: usize) -> Outcome<()> {
    let began = Instant::now();
    let http = Client::builder().no_proxy().build()?;
    let post = |person: &Person, message: &Value| {
        let request = http.post(url).bearer_auth(&person.token).json(message);
        request.header("accept", "application/json, text/event-stream")
    };
    let owners = || (0..count).map(|number| &people[number % people.len()]);
    let sessions: Vec<String> =
        stream::iter(owners().map(|person| one(&post, person))).buffered(AT_ONCE).try_collect().await?;
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    stream::iter(owners().zip(&sessions).map(|(person, session)| {
        let request = within(post(person, &ping), session);
        async move { expect(request, StatusCode::OK).await.map(drop) }
    }))
    .buffered(AT_ONCE)
    .try_for_each(|()| std::future::ready(Ok(())))
    .await?;
    report::sessions(sessions.len(), began.elapsed());
    Ok(())
}

/// The handshake; the session's id.
async fn one(post: &impl Fn(&Person, &Value) -> RequestBuilder, person: &Person) -> Outcome<String> {
    let us = json!({"name": "load", "version": "1"});
    let params = json!({"protocolVersion": REVISION, "capabilities": {}, "clientInfo": us});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let answer = expect(post(person, &hello), StatusCode::OK).await?;
    let session = answer.headers().get("mcp-session-id").ok_or("no session was opened")?.to_str()?.to_owned();
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    expect(within(post(person, &ready), &session), StatusCode::ACCEPTED).await?;
    Ok(session)
}

fn within(request: RequestBuilder, session: &str) -> RequestBuilder {
    request.header("mcp-session-id", session).header("mcp-protocol-version", REVISION)
}

async fn expect(request: RequestBuilder, status: StatusCode) -> Outcome<reqwest::Response> {
    let answer = request.send().await?;
    if answer.status() == status {
        return Ok(answer);
    }
    Err(format!("{} instead of {status}: {}", answer.status(), answer.text().await?).into())
}
