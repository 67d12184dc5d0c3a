//! Dynamic registration: what is refused, what shipped clients send, and how much of it there can be.

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::programs::{Confidential, post, register};
use crate::support::client::{Pair, RegisteredClient};
use crate::support::database::at_both;
use crate::support::server::{Setup, TestServer};

const JSON: (&str, &str) = ("content-type", "application/json");

fn local(name: &str) -> Value {
    json!({"client_name": name, "redirect_uris": ["http://127.0.0.1/callback"]})
}

fn id(said: &super::programs::Said) -> String {
    assert_eq!(said.status, StatusCode::CREATED, "{said:?}");
    said.body["client_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_no_clients_metadata_is_refused() {
    let server = TestServer::new().await;
    let deep =
        format!(r#"{{"redirect_uris":["https://a.example/cb"],"x":{}1{}}}"#, "[".repeat(20), "]".repeat(20));
    let many = json!({"redirect_uris": vec!["https://a.example/cb"; 17]}).to_string();
    let uri = "invalid_redirect_uri";
    let metadata = "invalid_client_metadata";
    for (body, error, says) in [
        ("", metadata, "JSON object"),
        ("null", metadata, "JSON object"),
        (r#"[["https://a.example/cb"]]"#, metadata, "JSON object"),
        (r#"{"redirect_uris":"https://a.example/cb"}"#, metadata, "JSON object"),
        (r#"{"redirect_uris":["https://a.example/cb"],"client_name":1}"#, metadata, "JSON object"),
        (
            r#"{"redirect_uris":["https://a.example/cb"],"redirect_uris":["https://evil.example/cb"]}"#,
            metadata,
            "twice",
        ),
        (r#"{"redirect_uris":["https://a.example/cb"],"redirect\u005furis":[]}"#, metadata, "twice"),
        (r#"{"redirect_uris":["https://a.example/cb"],"jwks":{"a":1,"a":2}}"#, metadata, "twice"),
        (&deep, metadata, "deeply"),
        ("{}", uri, "1 to 16"),
        (r#"{"redirect_uris":[]}"#, uri, "1 to 16"),
        (&many, uri, "1 to 16"),
        (r#"{"redirect_uris":["https://a.example/cb","javascript:alert(1)"]}"#, uri, "redirect_uris[1]"),
        (r#"{"redirect_uris":["http://evil.example/cb"]}"#, uri, "redirect_uris[0]"),
        (r#"{"redirect_uris":["https://a.example/*"]}"#, uri, "wildcard"),
        (r#"{"redirect_uris":["https://user@a.example/cb"]}"#, uri, "user information"),
        (r#"{"redirect_uris":["https://1.2.3.4/cb"]}"#, uri, "host name"),
        (r#"{"redirect_uris":["https://a.example/cb"],"logo_uri":"javascript:x"}"#, metadata, "logo_uri"),
        (
            r#"{"redirect_uris":["https://a.example/cb"],"jwks_uri":"file:///etc/passwd"}"#,
            metadata,
            "jwks_uri",
        ),
        (r#"{"redirect_uris":["https://a.example/cb"],"client_uri#de":"data:x"}"#, metadata, "client_uri"),
        (
            r#"{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt"}"#,
            metadata,
            "token_endpoint_auth_method",
        ),
        (r#"{"redirect_uris":["https://a.example/cb"],"grant_types":["implicit"]}"#, metadata, "grant_types"),
        (
            r#"{"redirect_uris":["https://a.example/cb"],"response_types":["token"]}"#,
            metadata,
            "response_types",
        ),
    ] {
        let said = post(&server, "/register", &[JSON], body).await;
        assert_eq!((said.status, said.error()), (StatusCode::BAD_REQUEST, error), "{body}");
        let description = said.body["error_description"].as_str().unwrap();
        assert!(description.contains(says), "{body}: {description}");
        assert!(!said.body.to_string().contains("evil"), "the caller's text came back: {description}");
    }
    assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM clients").await, 0);
}

#[tokio::test]
async fn what_shipped_clients_register_is_accepted_and_nothing_is_null() {
    let server = TestServer::new().await;
    let cursor = json!({"client_name": "Cursor", "redirect_uris": [
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://www.cursor.com/agents/mcp/oauth/callback",
        "http://localhost:8787/callback",
    ]});
    let vs_code = json!({
        "client_name": "Visual Studio Code", "client_uri": "https://code.visualstudio.com",
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code"], "token_endpoint_auth_method": "none", "application_type": "native",
        "redirect_uris": ["https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect", "http://localhost/",
            "http://127.0.0.1/", "http://localhost:33418/", "http://127.0.0.1:33418/"],
    });
    let gemini = json!({"client_name": "Gemini CLI", "scope": "", "redirect_uris": ["http://localhost:7777/oauth/callback"]});
    let nulls = json!({"client_name": null, "scope": null, "logo_uri": null, "grant_types": null, "software_id": 7,
        "redirect_uris": ["http://127.0.0.1:19876/mcp/oauth/callback"]});
    let named = json!({"client_id": "https://evil.example/client.json", "client_secret": "mine",
        "registration_access_token": "x", "redirect_uris": ["http://localhost:6274/oauth/callback"]});
    for metadata in [cursor, vs_code, gemini, nulls, named] {
        let said = register(&server, &metadata).await;
        assert!(id(&said).starts_with("c_"), "{said:?}");
        let answer = said.body.as_object().unwrap();
        assert!(answer.values().all(|value| !value.is_null()), "{said:?}");
        assert_eq!(answer["redirect_uris"], metadata["redirect_uris"]);
        assert_eq!(answer["grant_types"], json!(["authorization_code", "refresh_token"]));
        assert_eq!(answer["scope"], "read write player");
        assert!(answer["client_id_issued_at"].is_u64());
        for absent in ["client_secret", "client_secret_expires_at", "registration_client_uri", "logo_uri"] {
            assert!(!answer.contains_key(absent), "{absent}: {said:?}");
        }
    }
    for method in ["client_secret_post", "client_secret_basic"] {
        let metadata =
            json!({"redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": method});
        let said = register(&server, &metadata).await;
        assert_eq!(said.body["token_endpoint_auth_method"], method);
        assert!(said.body["client_secret_expires_at"].is_u64(), "an integer: {said:?}");
        assert!(said.body["client_secret"].as_str().unwrap().len() > 40);
    }
    // Nothing in the request but its body counts, and nothing that it points to is fetched.
    for header in
        ["Bearer", "Bearer \u{e9}", "Basic !!!", "x", "Bearer a b c"].map(|value| ("authorization", value))
    {
        let said = post(&server, "/register", &[JSON, header], &local("With a header").to_string()).await;
        id(&said);
    }
}

#[tokio::test]
async fn hostile_names_are_harmless_and_bounded() {
    let server = TestServer::new().await;
    let name = format!("Cla\u{202e}ude\r\nSet-Cookie: x\u{0}\u{e0041}<b>{}", "A".repeat(10_000));
    let said = register(&server, &local(&name)).await;
    let kept = said.body["client_name"].as_str().unwrap();
    assert!(kept.chars().count() <= 100 && !kept.chars().any(char::is_control), "{kept:?}");
    assert!(kept.starts_with("ClaudeSet-Cookie: x<b>AAA") || kept.starts_with("Claude"), "{kept:?}");
}

#[tokio::test]
async fn a_server_for_local_clients_names_the_site_that_it_refuses_and_a_closed_one_says_so() {
    let metadata = async |server: &TestServer| {
        let url = format!("{}/.well-known/oauth-authorization-server", server.origin);
        server.http.get(url).send().await.unwrap().json::<Value>().await.unwrap()
    };
    let server = Setup::default().env("SPOTIFY_MCP__AUTH__REGISTRATION", "local_only").start().await;
    id(&register(&server, &local("A program")).await);
    let site = "https://www.cursor.com/agents/mcp/oauth/callback";
    let set = json!({"redirect_uris": ["http://localhost:8787/callback", site]});
    let refused = register(&server, &set).await;
    assert_eq!((refused.status, refused.error()), (StatusCode::BAD_REQUEST, "invalid_redirect_uri"));
    let says = refused.body["error_description"].as_str().unwrap();
    assert!(says.contains("redirect_uris[1]") && says.contains(site), "{says}");
    assert!(metadata(&server).await["registration_endpoint"].is_string());

    let server = Setup::default().env("SPOTIFY_MCP__AUTH__REGISTRATION", "off").start().await;
    for body in ["", "{", &local("A program").to_string()] {
        let refused = post(&server, "/register", &[JSON], body).await;
        assert_eq!((refused.status, refused.error()), (StatusCode::FORBIDDEN, "access_denied"), "{body}");
    }
    assert!(metadata(&server).await.get("registration_endpoint").is_none());
    assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM clients").await, 0);
}

#[tokio::test]
async fn who_registers_again_is_the_same_client_until_somebody_approves_it() {
    let server = TestServer::new().await;
    let metadata = json!({"client_name": "Restarts often", "redirect_uris": ["http://127.0.0.1:1/callback"]});
    let first = register(&server, &metadata).await;
    let again = register(&server, &metadata).await;
    assert_eq!(first.body, again.body, "the same client, and nothing else in the answer");
    let other = json!({"client_name": "Restarts often", "redirect_uris": ["http://127.0.0.1:2/callback"]});
    assert_ne!(id(&register(&server, &other).await), id(&first));
    let secrets = [(); 2].map(|()| Confidential::register(&server, "client_secret_post"));
    let [one, two] = <[_; 2]>::try_from(join_all(secrets).await).ok().unwrap();
    assert!(one.client.id != two.client.id && one.secret != two.secret, "a secret has one holder");

    let client = RegisteredClient {
        http: server.http.clone(),
        origin: server.origin.clone(),
        id: id(&first),
        redirect_uri: "http://127.0.0.1:1/callback".to_owned(),
    };
    let (attempt, browser) = (client.attempt(), server.browser());
    let code = client.code(&attempt, &browser, "ada").await;
    let fresh = id(&register(&server, &metadata).await);
    assert_ne!(fresh, client.id, "what a person approved is not handed out");
    Pair::of(&client.redeem(&code, &attempt.verifier).await);
    assert_eq!(id(&register(&server, &metadata).await), fresh);
    let raw = server.place.raw().await;
    raw.run("UPDATE clients SET created_at = created_at - 86401").await;
    assert_ne!(id(&register(&server, &metadata).await), fresh, "for a day");
}

#[tokio::test]
async fn an_address_has_so_many_unused_clients_a_day() {
    let server =
        Setup::default().env("SPOTIFY_MCP__LIMITS__UNUSED_CLIENTS_PER_ADDRESS_PER_DAY", "3").start().await;
    for n in 0..2 {
        id(&register(&server, &local(&format!("number {n}"))).await);
    }
    let client = server.client().await;
    let refused = register(&server, &local("one more")).await;
    assert_eq!((refused.status, refused.error()), (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"));
    assert_eq!(refused.header("retry-after"), "86400");
    id(&register(&server, &local("number 1")).await);
    // Whoever is used no longer counts.
    let (attempt, browser) = (client.attempt(), server.browser());
    let code = client.code(&attempt, &browser, "ada").await;
    Pair::of(&client.redeem(&code, &attempt.verifier).await);
    id(&register(&server, &local("one more")).await);
    assert_eq!(register(&server, &local("and one")).await.status, StatusCode::TOO_MANY_REQUESTS);
    let raw = server.place.raw().await;
    raw.run("UPDATE clients SET created_at = created_at - 86401").await;
    id(&register(&server, &local("and one")).await);
}

#[tokio::test]
async fn the_oldest_unused_client_goes_for_a_new_one_and_none_that_registered_again() {
    let server = Setup::default().env("SPOTIFY_MCP__LIMITS__UNUSED_CLIENTS", "3").start().await;
    let raw = server.place.raw().await;
    for n in 0..3 {
        id(&register(&server, &local(&format!("number {n}"))).await);
    }
    let moved = "UPDATE clients SET created_at = created_at - 3700, registered_at = registered_at - 3700";
    raw.run(moved).await;
    raw.run("UPDATE clients SET registered_at = registered_at - 10 WHERE name = 'number 1'").await;
    raw.run("UPDATE clients SET registered_at = registered_at - 20 WHERE name = 'number 0'").await;
    id(&register(&server, &local("number 0")).await);
    id(&register(&server, &local("one more")).await);
    let left = |name: &str| format!("SELECT COUNT(*) FROM clients WHERE name = '{name}'");
    for (name, count) in [("number 0", 1), ("number 1", 0), ("number 2", 1), ("one more", 1)] {
        assert_eq!(raw.number(&left(name)).await, count, "{name}");
    }
}

#[tokio::test]
async fn networks_that_flood_push_out_their_own_clients_and_refuse_nobody() {
    let setup = Setup::default()
        .env("SPOTIFY_MCP__LIMITS__UNUSED_CLIENTS", "30")
        .env("SPOTIFY_MCP__SERVER__TRUSTED_PROXIES", "127.0.0.1");
    let server = setup.start().await;
    let victim = server.client().await;
    let raw = server.place.raw().await;
    for network in 1..=5 {
        for n in 0..15 {
            let from = format!("2001:{network:x}:1:{n:x}::1");
            let body = local(&format!("flood {network} {n}")).to_string();
            id(&post(&server, "/register", &[JSON, ("x-forwarded-for", &from)], &body).await);
        }
        let clients = raw.number("SELECT COUNT(*) FROM clients WHERE kind = 'dynamic'").await;
        assert_eq!(clients, (1 + 10 * network).min(30));
    }
    let newcomer = RegisteredClient::register(&server.origin, "https://client.example/callback").await;
    for client in [victim, newcomer] {
        let (attempt, browser) = (client.attempt(), server.browser());
        let code = client.code(&attempt, &browser, "ada").await;
        Pair::of(&client.redeem(&code, &attempt.verifier).await);
    }
}

#[tokio::test]
async fn parallel_registrations_keep_to_their_bounds() {
    at_both(async |place| {
        let setup = Setup::on(place).env("SPOTIFY_MCP__LIMITS__UNUSED_CLIENTS_PER_ADDRESS_PER_DAY", "5");
        let server = setup.start().await;
        let alike = local("All alike");
        let same = join_all((0..16).map(|_| register(&server, &alike))).await;
        assert!(same.iter().all(|said| id(said) == id(&same[0])), "{same:?}");
        let metadata: Vec<_> = (0..16).map(|n| local(&format!("number {n}"))).collect();
        let others = join_all(metadata.iter().map(|metadata| register(&server, metadata))).await;
        let taken = others.iter().filter(|said| said.status == StatusCode::CREATED).count();
        let refused = others.iter().filter(|said| said.status == StatusCode::TOO_MANY_REQUESTS).count();
        assert_eq!((taken, refused), (4, 12), "{others:?}");
        assert_eq!(server.place.raw().await.number("SELECT COUNT(*) FROM clients").await, 5);
    })
    .await;
}
