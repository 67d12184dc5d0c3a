//! What a program says to the OAuth endpoints, word for word, and what it gets back.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::support::client::RegisteredClient;
use crate::support::server::TestServer;

/// An answer of one of the endpoints for programs.
#[derive(Debug)]
pub struct Said {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Said {
    /// The error code.
    pub fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Posts these bytes with these headers. Whatever comes back is JSON (or nothing) that nobody may keep.
pub async fn post(server: &TestServer, path: &str, headers: &[(&str, &str)], body: &str) -> Said {
    let request = server.http.post(format!("{}{path}", server.origin)).body(body.to_owned());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let reply = request.send().await.unwrap();
    let (status, headers) = (reply.status(), reply.headers().clone());
    let text = reply.text().await.unwrap();
    assert!(!status.is_server_error(), "{path} {body}: {status} {text}");
    let said = Said { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null) };
    assert!(text.is_empty() || said.header("content-type") == "application/json", "{path}: {text}");
    assert_eq!(
        (said.header("cache-control"), said.header("pragma")),
        ("no-store", "no-cache"),
        "{path}: {text}"
    );
    said
}

/// Posts a form.
pub async fn post_form(server: &TestServer, path: &str, form: &[(&str, &str)]) -> Said {
    post(server, path, &[("content-type", "application/x-www-form-urlencoded")], &encoded(form)).await
}

/// Posts a form with HTTP Basic credentials.
pub async fn post_as(server: &TestServer, path: &str, client: &Confidential, form: &[(&str, &str)]) -> Said {
    let basic = client.basic();
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", &*basic)];
    post(server, path, &headers, &encoded(form)).await
}

/// A form as a body.
pub fn encoded(form: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// Registers this metadata.
pub async fn register(server: &TestServer, metadata: &Value) -> Said {
    post(server, "/register", &[("content-type", "application/json")], &metadata.to_string()).await
}

/// A client with a secret.
pub struct Confidential {
    pub client: RegisteredClient,
    pub secret: String,
}

impl Confidential {
    pub async fn register(server: &TestServer, method: &str) -> Self {
        let redirect_uri = "https://client.example/callback";
        let metadata = json!({"redirect_uris": [redirect_uri], "token_endpoint_auth_method": method});
        let said = register(server, &metadata).await;
        assert_eq!(said.status, StatusCode::CREATED, "{said:?}");
        let text = |name: &str| said.body[name].as_str().unwrap().to_owned();
        let client = RegisteredClient {
            http: server.http.clone(),
            origin: server.origin.clone(),
            id: text("client_id"),
            redirect_uri: redirect_uri.to_owned(),
        };
        Self { client, secret: text("client_secret") }
    }

    /// The `Authorization` header.
    pub fn basic(&self) -> String {
        use base64::Engine as _;
        let pair = format!("{}:{}", self.client.id, self.secret);
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    }
}
