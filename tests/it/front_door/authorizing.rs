//! `/authorize` and the discovery documents, asked in every way that clients, browsers and strangers ask.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::client::{Pair, RegisteredClient};
use crate::support::server::{Setup, TestServer};

/// `Set-Cookie` of an answer as a request would send it.
fn cookie(reply: &reqwest::Response) -> String {
    let set = reply.headers()["set-cookie"].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn two_tabs_opened_at_once_in_a_new_browser_both_work() {
    let server = TestServer::new().await;
    let client = server.client().await;
    let open = async || {
        server.http.get(format!("{}{}", server.origin, client.attempt().path())).send().await.unwrap()
    };
    // Both are asked before either is answered: neither has a cookie.
    let (one, two) = futures_util::future::join(open(), open()).await;
    let jar = format!("{}; {}", cookie(&one), cookie(&two));
    assert_ne!(cookie(&one), cookie(&two));
    for page in [one, two] {
        let text = page.text().await.unwrap();
        let field = |name: &str| {
            let rest = text.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let form = [("csrf", field("csrf")), ("ticket", field("ticket")), ("decision", "approve".to_owned())];
        let post = |jar: &str| {
            let request = server.http.post(format!("{}/authorize", server.origin));
            request.header("cookie", jar).form(&form).send()
        };
        let approved = post(&jar).await.unwrap();
        assert_eq!(approved.status(), StatusCode::SEE_OTHER);
        assert!(approved.headers()["location"].to_str().unwrap().starts_with(&server.sandbox.accounts_url));
        assert_eq!(post("smcp-browser-00000000=x").await.unwrap().status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn only_a_browser_that_goes_there_for_its_person_is_sent_on() {
    let server = TestServer::new().await;
    let site = RegisteredClient::register(&server.origin, "https://client.example/callback").await;
    let browser = server.browser();
    site.code(&site.attempt(), &browser, "ada").await;
    let raw = server.place.raw().await;
    raw.run("DELETE FROM logins").await;
    let jar: Vec<_> = browser.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let ask = async |method: Method, headers: &[(&str, &str)]| {
        let request = server.http.request(method, format!("{}{}", server.origin, site.attempt().path()));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.header("cookie", jar.join("; ")).send().await.unwrap().status()
    };
    for headers in [
        &[("sec-purpose", "prefetch")][..],
        &[("sec-purpose", "prefetch;prerender")],
        &[("purpose", "prefetch")],
        &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
        &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
        &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
    ] {
        assert_eq!(ask(Method::GET, headers).await, StatusCode::OK, "{headers:?}");
    }
    assert_eq!(ask(Method::HEAD, &[]).await, StatusCode::OK);
    assert_eq!(raw.number("SELECT COUNT(*) FROM logins").await, 0, "nothing has begun");
    let goes =
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert_eq!(ask(Method::GET, &goes).await, StatusCode::SEE_OTHER);
    assert_eq!(ask(Method::GET, &[]).await, StatusCode::SEE_OTHER, "an older browser");
}

#[tokio::test]
async fn a_form_that_another_site_sends_is_refused() {
    let server = TestServer::new().await;
    let (client, browser) = (server.client().await, server.browser());
    let page = browser.open(&client.attempt().path()).await;
    let form: Vec<_> = page.form("/authorize").fields;
    let jar: Vec<_> = browser.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let post = async |name: &str, value: &str| {
        let request = server.http.post(format!("{}/authorize", server.origin)).form(&form);
        request.header("cookie", jar.join("; ")).header(name, value).send().await.unwrap().status()
    };
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        assert_eq!(post(name, value).await, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    // Ours is taken: without a decision it is a refusal, told to the client.
    assert_eq!(post("sec-fetch-site", "same-origin").await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn what_cannot_be_proven_stays_here_and_the_rest_goes_back() {
    let server = TestServer::new().await;
    let site = RegisteredClient::register(&server.origin, "https://client.example/callback").await;
    let browser = server.browser();
    let path = || site.attempt().path();
    let long = "s".repeat(2049);
    let other = format!("resource={}", "https%3A%2F%2Fevil.example%2Fmcp");
    for (query, code) in [
        (format!("{}&client_id={}", path(), site.id), "INVALID_REQUEST"),
        (site.attempt().with("client_id", None).path(), "INVALID_REQUEST"),
        (
            site.attempt().with("client_id", Some("c_00000000000000000000000000000000")).path(),
            "UNKNOWN_CLIENT",
        ),
        (format!("{}&redirect_uri=https%3A%2F%2Fevil.example%2F", path()), "INVALID_REQUEST"),
        (format!("{}&redirect_uri=https%3A%2F%2Fclient.example%2Fcallback", path()), "INVALID_REQUEST"),
        (site.attempt().with("redirect_uri", Some("javascript:alert(1)")).path(), "REDIRECT_MISMATCH"),
    ] {
        let page = browser.open(&query).await;
        assert_eq!((page.code(), page.status), (code, StatusCode::BAD_REQUEST), "{query}");
    }
    for (query, error, echoed) in [
        (format!("{}&{other}", path()), "invalid_target", true),
        (site.attempt().with("resource", Some("https://evil.example/mcp")).path(), "invalid_target", true),
        (format!("{}&nonce=%zz", path()), "invalid_request", true),
        (format!("{}&scope=read&scope=read", path()), "invalid_request", true),
        (format!("{}&state=second", path()), "invalid_request", false),
        (site.attempt().with("state", Some(&long)).path(), "invalid_request", false),
        (site.attempt().with("prompt", Some("none login")).path(), "interaction_required", true),
        (site.attempt().with("code_challenge", Some(&"c".repeat(44))).path(), "invalid_request", true),
        (site.attempt().with("code_challenge", Some(&"+".repeat(43))).path(), "invalid_request", true),
        (site.attempt().with("response_mode", Some("form_post")).path(), "invalid_request", true),
        (site.attempt().with("response_type", Some("code token")).path(), "unsupported_response_type", true),
    ] {
        let page = browser.open(&query).await;
        let brought = page.brought();
        let short = &query[..query.len().min(300)];
        assert_eq!((&*brought["error"], &brought["iss"]), (error, &server.origin), "{short}");
        assert_eq!(brought.contains_key("state"), echoed, "{short}");
        assert!(page.left_for.unwrap().as_str().starts_with("https://client.example/callback?"), "{short}");
    }
    // What OpenID clients add is not ours to judge.
    let chatty = "nonce=n&max_age=0&ui_locales=de&login_hint=a%40b&claims=%7B%7D&acr_values=x&display=popup&scope=openid+email";
    let page = browser.open(&format!("{}&{chatty}", site.attempt().with("state", None).path())).await;
    assert_eq!((page.status, page.left_for), (StatusCode::OK, None));
}

#[tokio::test]
async fn every_address_that_clients_probe_is_a_document_or_a_plain_no() {
    let server = TestServer::new().await;
    let there = [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource/claude-mcp",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server",
    ];
    let not_there = [
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/mcp",
        "/mcp/.well-known/openid-configuration",
        "/mcp/.well-known/oauth-protected-resource",
        "/mcp/.well-known/oauth-authorization-server",
        "/claude-mcp/.well-known/openid-configuration",
        "/.well-known/jwks.json",
    ];
    for (path, status) in there.map(|path| (path, 200)).into_iter().chain(not_there.map(|path| (path, 404))) {
        for method in [Method::GET, Method::HEAD] {
            let request = server.http.request(method.clone(), format!("{}{path}", server.origin));
            let reply = request.header("mcp-protocol-version", "2025-11-25").send().await.unwrap();
            assert_eq!(reply.status().as_u16(), status, "{method} {path}");
            assert_eq!(reply.headers()["content-type"], "application/json", "{method} {path}");
            assert!(!reply.headers().contains_key("www-authenticate"), "{method} {path}");
        }
    }
    for path in
        there.iter().chain(&not_there).chain(&["/mcp", "/register", "/token", "/revoke", "/introspect"])
    {
        let request = server.http.request(Method::OPTIONS, format!("{}{path}", server.origin));
        let request =
            request.header("origin", "https://client.example").header("access-control-request-method", "GET");
        let reply =
            request.header("access-control-request-headers", "mcp-protocol-version").send().await.unwrap();
        assert!(reply.status().is_success(), "OPTIONS {path}: {}", reply.status());
        assert_eq!(reply.headers()["access-control-allow-origin"], "*", "{path}");
    }
}

#[tokio::test]
async fn the_metadata_tells_the_truth() {
    let server = Setup::default().start().await;
    let url = format!("{}/.well-known/oauth-authorization-server", server.origin);
    let metadata = server.http.get(url).send().await.unwrap().json::<Value>().await.unwrap();
    for (member, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("registration_endpoint", "/register"),
        ("revocation_endpoint", "/revoke"),
        ("introspection_endpoint", "/introspect"),
    ] {
        assert_eq!(metadata[member], format!("{}{path}", server.origin));
        let reply = server.http.post(format!("{}{path}", server.origin)).send().await.unwrap();
        assert!(![404, 405].contains(&reply.status().as_u16()), "{path}: {}", reply.status());
    }
    let secret = json!(["client_secret_post", "client_secret_basic"]);
    assert_eq!(metadata["introspection_endpoint_auth_methods_supported"], secret);
    let all = json!(["none", "client_secret_post", "client_secret_basic"]);
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], all);
    assert_eq!(metadata["grant_types_supported"], json!(["authorization_code", "refresh_token"]));
    assert!(metadata.as_object().unwrap().values().all(|value| !value.is_null()));
    // Every scope that is offered can be asked for.
    let (client, browser) = (server.client().await, server.browser());
    let scopes: Vec<_> =
        metadata["scopes_supported"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let attempt = client.attempt().with("scope", Some(&scopes.join(" ")));
    let code = client.code(&attempt, &browser, "ada").await;
    Pair::of(&client.redeem(&code, &attempt.verifier).await);
}
