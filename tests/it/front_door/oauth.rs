//! The authorization server as a client's program sees it: discovery, codes, challenges, hosts.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::client::{Pair, RegisteredClient};
use crate::support::listener::{Era, Listener, speak};
use crate::support::server::TestServer;

async fn calls(listener: &Listener) -> StatusCode {
    listener.call("get_current_track", json!({})).await.status
}

#[tokio::test]
async fn both_documents_name_what_is_configured() {
    let server = TestServer::new().await;
    let origin = &server.origin;
    let get = async |path: &str| {
        let reply = server.http.get(format!("{origin}{path}")).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::OK, "{path}");
        assert_eq!(reply.headers()["access-control-allow-origin"], "*", "{path}");
        reply.json::<Value>().await.unwrap()
    };
    let metadata = get("/.well-known/oauth-authorization-server").await;
    assert_eq!(metadata["issuer"], *origin);
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    for (path, resource) in [("", "/mcp"), ("/mcp", "/mcp"), ("/claude-mcp", "/claude-mcp")] {
        let document = get(&format!("/.well-known/oauth-protected-resource{path}")).await;
        assert_eq!(document["resource"], format!("{origin}{resource}"));
        assert_eq!(document["authorization_servers"], json!([origin]));
    }
    for path in [
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration",
        "/mcp/.well-known/x",
    ] {
        let reply = server.http.get(format!("{origin}{path}")).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(reply.headers()["content-type"], "application/json", "{path}");
    }
}

#[tokio::test]
async fn a_replayed_code_ends_what_it_gave() {
    let server = TestServer::new().await;
    let (client, browser) = (server.client().await, server.browser());
    let attempt = client.attempt();
    let code = client.code(&attempt, &browser, "ada").await;
    let pair = Pair::of(&client.redeem(&code, &attempt.verifier).await);
    let ada = Listener::with(&client, pair.clone(), "ada", browser);
    assert_eq!(calls(&ada).await, StatusCode::OK);
    let replayed = client.redeem(&code, &attempt.verifier).await;
    assert_eq!(replayed.1["error"], "invalid_grant");
    assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
    assert_eq!(client.refresh(&pair.refresh).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn of_parallel_redemptions_one_wins() {
    let server = TestServer::new().await;
    let (client, browser) = (server.client().await, server.browser());
    let attempt = client.attempt();
    let code = client.code(&attempt, &browser, "ada").await;
    let tries = (0..8).map(|_| client.redeem(&code, &attempt.verifier));
    let answers = futures_util::future::join_all(tries).await;
    assert!(answers.iter().filter(|(status, _)| status.is_success()).count() <= 1, "{answers:?}");
    assert!(answers.iter().all(|(status, _)| !status.is_server_error()), "{answers:?}");
}

#[tokio::test]
async fn wrong_tries_do_not_consume_a_code_but_five_do() {
    let server = TestServer::new().await;
    let (client, other, browser) = (server.client().await, server.client().await, server.browser());
    for (tries, survives) in [(4, true), (5, false)] {
        let attempt = client.attempt();
        let code = client.code(&attempt, &browser, "ada").await;
        let wrong = "w".repeat(43);
        for _ in 0..tries - 1 {
            let refused = client.redeem(&code, &wrong).await;
            assert_eq!((refused.0, &refused.1["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
        }
        assert_eq!(other.redeem(&code, &attempt.verifier).await.1["error"], "invalid_grant");
        let redeemed = client.redeem(&code, &attempt.verifier).await;
        assert_eq!(redeemed.0.is_success(), survives, "after {tries}: {redeemed:?}");
    }
}

#[tokio::test]
async fn a_foreign_resource_is_refused_and_leaves_the_code() {
    let server = TestServer::new().await;
    let (client, browser) = (server.client().await, server.browser());
    let attempt = client.attempt();
    let foreign = attempt.clone().with("resource", Some("https://evil.example/mcp"));
    let brought = browser.open(&foreign.path()).await.brought();
    assert_eq!((brought["error"].as_str(), &brought["iss"]), ("invalid_target", &server.origin));
    let code = client.code(&attempt, &browser, "ada").await;
    let mut form = client.redemption(&code, &attempt.verifier).to_vec();
    form.push(("resource", "https://evil.example/mcp"));
    assert_eq!(client.token(&form).await.1["error"], "invalid_target");
    Pair::of(&client.redeem(&code, &attempt.verifier).await);
}

#[tokio::test]
async fn near_misses_of_the_redirect_uri_never_leave_the_server() {
    let server = TestServer::new().await;
    let browser = server.browser();
    let site = RegisteredClient::register(&server.origin, "https://client.example/callback").await;
    let program = server.client().await;
    for (client, near) in [
        (&site, "https://client.example/callback/"),
        (&site, "https://client.example/Callback"),
        (&site, "https://client.example/callback?x=1"),
        (&site, "https://client.example/callback#x"),
        (&site, "https://client.example:8443/callback"),
        (&site, "https://client.example.evil.example/callback"),
        (&site, "https://client.example@evil.example/callback"),
        (&site, "https://evil.example/callback"),
        (&site, "http://client.example/callback"),
        (&site, "https://client.example/callback/../callback"),
        (&site, "https://client.example/%63allback"),
        (&site, "javascript:alert(1)//client.example/callback"),
        (&program, "http://127.0.0.1:1/callback2"),
        (&program, "http://127.0.0.1.evil.example:1/callback"),
        (&program, "http://localhost:1/callback"),
        (&program, "https://127.0.0.1:1/callback"),
    ] {
        let page = browser.open(&client.attempt().with("redirect_uri", Some(near)).path()).await;
        assert_eq!((page.code(), page.status), ("REDIRECT_MISMATCH", StatusCode::BAD_REQUEST), "{near}");
    }
    // A program on loopback may listen on whatever port it got (RFC 8252 section 7.3).
    let moved = program.attempt().with("redirect_uri", Some("http://127.0.0.1:2/callback"));
    assert_eq!(browser.open(&moved.path()).await.status, StatusCode::OK);
    let unknown = site.attempt().with("client_id", Some("c_00000000000000000000000000000000"));
    assert_eq!(browser.open(&unknown.path()).await.code(), "UNKNOWN_CLIENT");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_goes_back_with_state_and_iss() {
    let server = TestServer::new().await;
    let (client, browser) = (server.client().await, server.browser());
    for (name, value, error) in [
        ("response_type", Some("token"), "unsupported_response_type"),
        ("response_type", None, "invalid_request"),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge", Some("short"), "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("code_challenge_method", None, "invalid_request"),
        ("request_uri", Some("https://evil.example/r"), "request_uri_not_supported"),
        ("request", Some("eyJ"), "request_not_supported"),
        ("response_mode", Some("fragment"), "invalid_request"),
        ("prompt", Some("none"), "interaction_required"),
    ] {
        let attempt = client.attempt().with(name, value);
        let brought = browser.open(&attempt.path()).await.brought();
        assert_eq!(brought["error"], error, "{name}={value:?}");
        assert_eq!((&brought["state"], &brought["iss"]), (&attempt.state, &server.origin), "{name}");
    }
    let repeated = format!("{}&scope=read&scope=write", client.attempt().path());
    assert_eq!(browser.open(&repeated).await.brought()["error"], "invalid_request");
}

#[tokio::test]
async fn challenges_say_where_to_go_and_errors_only_to_who_presented_something() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let ask = async |path: &str, header: Option<String>| {
        let request = server.http.post(format!("{}{path}", server.origin));
        let request = speak(request, Era::Modern, "tools/list", json!({}));
        let request = match header {
            Some(value) => request.header("authorization", value),
            None => request,
        };
        let reply = request.send().await.unwrap();
        let challenge =
            reply.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        (reply.status(), challenge.unwrap_or_default())
    };
    let Pair { access, refresh } = ada.pair();
    for (path, resource) in
        [("/mcp", "mcp"), ("/mcp/", "mcp"), ("/claude-mcp", "claude-mcp"), ("/claude-mcp/", "claude-mcp")]
    {
        let metadata = format!(
            "resource_metadata=\"{}/.well-known/oauth-protected-resource/{resource}\"",
            server.origin
        );
        let (status, bare) = ask(path, None).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(bare.contains(&metadata) && bare.contains("scope=\"read write player\""), "{bare}");
        assert!(!bare.contains("error="), "{bare}");
        let wrong = format!("{}x", &access[..access.len() - 1]);
        for bad in [wrong.as_str(), refresh.as_str(), "x", &"x".repeat(5000), "a b"] {
            let (status, challenge) = ask(path, Some(format!("Bearer {bad}"))).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{bad}");
            assert!(
                challenge.contains("error=\"invalid_token\"") && challenge.contains(&metadata),
                "{challenge}"
            );
        }
        let (status, challenge) = ask(path, Some(format!("Bearer {access}"))).await;
        assert_eq!((status, challenge.as_str()), (StatusCode::OK, ""), "{path}");
        assert_eq!(ask(&format!("{path}?access_token={access}"), None).await.0, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_narrow_token_is_told_which_scope_is_missing() {
    let server = TestServer::new().await;
    let (client, browser) = (server.client().await, server.browser());
    let attempt = client.attempt().with("scope", Some("read offline_access nonsense"));
    let code = client.code(&attempt, &browser, "ada").await;
    let answer = client.redeem(&code, &attempt.verifier).await;
    assert_eq!(answer.1["scope"], "read");
    let ada = Listener::with(&client, Pair::of(&answer), "ada", browser);
    assert_eq!(calls(&ada).await, StatusCode::OK);
    let refused = ada.call("create_playlist", json!({"name": "x"})).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let challenge = refused.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("insufficient_scope") && challenge.contains("scope=\"write\""), "{challenge}");
    assert_eq!(server.asked("/v1/me/playlists", 201), 0);
}

#[tokio::test]
async fn only_our_own_host_names_are_served() {
    let server = TestServer::new().await;
    let port = server.origin.rsplit(':').next().unwrap();
    let ask = async |path: &str, host: &str| {
        server.http.get(format!("{}{path}", server.origin)).header("host", host).send().await.unwrap()
    };
    for host in ["evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example"] {
        for path in ["/", "/mcp", "/authorize", "/.well-known/oauth-authorization-server"] {
            assert_eq!(ask(path, host).await.status(), StatusCode::FORBIDDEN, "{host}{path}");
        }
        for path in ["/health", "/livez", "/readyz"] {
            assert_eq!(ask(path, host).await.status(), StatusCode::OK, "{host}{path}");
        }
    }
    let alias = ask("/account?x=1", &format!("localhost:{port}")).await;
    assert_eq!(alias.headers()["location"], format!("{}/account?x=1", server.origin));
}
