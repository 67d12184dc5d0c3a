//! A person with a client that holds their tokens and calls tools, in the protocol of either era.

use std::sync::Mutex;
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::browser::Browser;
use super::client::{Pair, RegisteredClient};

/// Which revision of the protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28.
    Modern,
    /// 2025-11-25.
    Legacy,
}

/// A person who has connected a client.
pub struct Listener {
    pub person: String,
    pub browser: Browser,
    pub client: RegisteredClient,
    pair: Mutex<Pair>,
}

/// An answer of the MCP endpoint.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Listener {
    /// Connects: consent, Spotify, code, tokens.
    pub async fn connect(person: &str, browser: Browser, client: RegisteredClient) -> Self {
        let attempt = client.attempt();
        let code = client.code(&attempt, &browser, person).await;
        let pair = Pair::of(&client.redeem(&code, &attempt.verifier).await);
        Self { person: person.to_owned(), browser, client, pair: Mutex::new(pair) }
    }

    /// Somebody who holds these tokens already.
    pub fn with(client: &RegisteredClient, pair: Pair, person: &str, browser: Browser) -> Self {
        Self { person: person.to_owned(), browser, client: client.clone(), pair: Mutex::new(pair) }
    }

    /// The tokens in use.
    pub fn pair(&self) -> Pair {
        self.pair.lock().unwrap().clone()
    }

    /// Uses these tokens from now on.
    pub fn keep(&self, pair: Pair) {
        *self.pair.lock().unwrap() = pair;
    }

    /// Refreshes our tokens.
    pub async fn refresh(&self) {
        let answer = self.client.refresh(&self.pair().refresh).await;
        self.keep(Pair::of(&answer));
    }

    /// What Spotify calls the content of this person: ids of theirs begin so.
    pub fn marker(&self) -> String {
        format!("{}Z", self.person)
    }

    /// A tool call in today's protocol.
    pub async fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.call_in(Era::Modern, tool, arguments).await
    }

    /// A tool call.
    pub async fn call_in(&self, era: Era, tool: &str, arguments: Value) -> Answer {
        self.request(era, "tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// A request of the protocol.
    pub async fn request(&self, era: Era, method: &str, params: Value) -> Answer {
        self.try_request(era, method, params).await.unwrap()
    }

    /// The same where the server may die meanwhile.
    pub async fn try_call(&self, tool: &str, arguments: Value) -> reqwest::Result<Answer> {
        self.try_request(Era::Modern, "tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// A tool call that the client gives up after this long; `true` where it was given up.
    pub async fn give_up(&self, tool: &str, arguments: Value, after: Duration) -> bool {
        tokio::time::timeout(after, self.try_call(tool, arguments)).await.is_err()
    }

    async fn try_request(&self, era: Era, method: &str, params: Value) -> reqwest::Result<Answer> {
        let url = format!("{}/mcp", self.client.origin);
        let request = self.client.http.post(url).bearer_auth(&self.pair().access);
        let reply = speak(request, era, method, params).send().await?;
        let (status, headers) = (reply.status(), reply.headers().clone());
        Ok(Answer { status, headers, text: reply.text().await? })
    }
}

/// Adds what a revision of the protocol wants of a request.
pub fn speak(request: RequestBuilder, era: Era, method: &str, mut params: Value) -> RequestBuilder {
    let request = request.header("accept", "application/json, text/event-stream");
    let request = match era {
        Era::Legacy => request.header("mcp-protocol-version", "2025-11-25"),
        Era::Modern => {
            let name = params["name"].as_str().or_else(|| params["uri"].as_str()).map(str::to_owned);
            let capabilities = params["_meta"]["capabilities"].take();
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities":
                    if capabilities.is_object() { capabilities } else { json!({}) },
            });
            let request = request.header("mcp-protocol-version", "2026-07-28").header("mcp-method", method);
            match name {
                Some(name) => request.header("mcp-name", name),
                None => request,
            }
        }
    };
    request.json(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
}

impl Answer {
    /// The whole message, a protocol's error too.
    pub fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The result of the request.
    pub fn result(&self) -> Value {
        let body: Value = serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"));
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        body.get("result").unwrap_or_else(|| panic!("no result: {self:?}")).clone()
    }

    /// The structured content of a tool call that worked.
    pub fn content(&self) -> Value {
        let result = self.result();
        assert_ne!(result["isError"], true, "{self:?}");
        result["structuredContent"].clone()
    }

    /// The code of a tool call that failed.
    pub fn error(&self) -> String {
        let result = self.result();
        assert_eq!(result["isError"], true, "{self:?}");
        result["structuredContent"]["error"]["code"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}
