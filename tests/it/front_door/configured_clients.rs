//! Clients that the operator registered by hand: they come first, and their secrets are nowhere at rest.

use reqwest::StatusCode;
use serde_json::json;

use super::{contains, files};
use crate::support::client::{Pair, RegisteredClient};
use crate::support::server::{Setup, TestServer, plain_http};

const CLIENTS: &str = "SPOTIFY_MCP__AUTH__CLIENTS";
const SECRET: &str = "a-secret-of-the-operators-own";
const SITE: &str = "https://client.example/callback";

fn client(server: &TestServer, id: &str) -> RegisteredClient {
    RegisteredClient {
        http: plain_http(),
        origin: server.origin.clone(),
        id: id.to_owned(),
        redirect_uri: SITE.to_owned(),
    }
}

#[tokio::test]
async fn a_public_and_a_confidential_client_connect() {
    let clients = json!([
        {"id": "plain-client", "name": "The plain one", "redirect_uris": [SITE]},
        {"id": "secret-client", "name": "The secret one", "redirect_uris": [SITE], "secret": SECRET},
    ]);
    let server = Setup::default().env(CLIENTS, &clients.to_string()).start().await;
    let plain = client(&server, "plain-client");
    let attempt = plain.attempt();
    let asked = server.browser().open(&attempt.path()).await.text;
    assert!(asked.contains("registered by this server") && !asked.contains("not verified"), "{asked}");
    let code = plain.code(&attempt, &server.browser(), "ada").await;
    let pair = Pair::of(&plain.redeem(&code, &attempt.verifier).await);
    Pair::of(&plain.refresh(&pair.refresh).await);

    let secret = client(&server, "secret-client");
    let (attempt, browser) = (secret.attempt(), server.browser());
    let code = secret.code(&attempt, &browser, "ada").await;
    let form = secret.redemption(&code, &attempt.verifier);
    assert_eq!(secret.token(&form).await.1["error"], "invalid_client");
    let mut wrong = form.to_vec();
    wrong.push(("client_secret", "a-secret-of-somebody-elses"));
    assert_eq!(secret.token(&wrong).await.0, StatusCode::UNAUTHORIZED);
    let mut right = form.to_vec();
    right.push(("client_secret", SECRET));
    Pair::of(&secret.token(&right).await);
    let account = browser.open("/account").await.text;
    assert!(account.contains("The secret one") && account.contains("The plain one"), "{account}");

    assert!(!server.logged().contains(SECRET));
    let database = server.place.file();
    for file in files(&[&server.data, database.parent().unwrap()]) {
        assert!(!contains(&std::fs::read(&file).unwrap(), SECRET.as_bytes()), "{}", file.display());
    }
}

#[tokio::test]
async fn what_is_configured_comes_before_any_other_description_and_ends_with_the_configuration() {
    let claude = "https://claude.ai/oauth/mcp-oauth-client-metadata";
    let clients = json!([{"id": claude, "name": "Ours", "redirect_uris": [SITE]}]);
    let setup = Setup::default().env(CLIENTS, &clients.to_string());
    let mut server = setup.env("SPOTIFY_MCP__AUTH__CLIENT_DOCUMENTS", "builtin_only").start().await;
    let ours = client(&server, claude);
    let page = server.browser().open(&ours.attempt().path()).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    assert!(page.text.contains("Ours"), "{}", page.text);

    server.stop().await;
    server.environment.remove(CLIENTS);
    server.start().await;
    let page = server.browser().open(&ours.attempt().path()).await;
    assert_eq!(page.code(), "REDIRECT_MISMATCH");
}

#[tokio::test]
async fn a_client_that_is_no_longer_configured_is_gone() {
    let clients = json!([{"id": "plain-client", "name": "The plain one", "redirect_uris": [SITE]}]);
    let mut server = Setup::default().env(CLIENTS, &clients.to_string()).start().await;
    let plain = client(&server, "plain-client");
    let attempt = plain.attempt();
    let code = plain.code(&attempt, &server.browser(), "ada").await;
    let pair = Pair::of(&plain.redeem(&code, &attempt.verifier).await);
    server.stop().await;
    server.environment.remove(CLIENTS);
    server.start().await;
    assert_eq!(server.browser().open(&plain.attempt().path()).await.code(), "UNKNOWN_CLIENT");
    assert_eq!(plain.refresh(&pair.refresh).await.1["error"], "invalid_client");
}
