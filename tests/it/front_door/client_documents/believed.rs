//! For how long a document is believed, and whose.

use spotify_mcp::ambient::Clock;

use super::*;

#[tokio::test]
async fn a_changed_document_counts_when_the_old_one_is_no_longer_fresh() {
    let world = World::new().await;
    let (old, client) =
        (Listener::connect("ada", world.server.browser(), world.client()).await, world.client());
    let moved = RegisteredClient { redirect_uri: "http://127.0.0.1:1/moved".to_owned(), ..client.clone() };
    let mut document = world.document();
    document["redirect_uris"] = json!([moved.redirect_uri]);
    world.says(document);

    assert!(is_consent(&world.asks(&client).await));
    assert_eq!(world.asks(&moved).await.code(), "REDIRECT_MISMATCH");
    assert_eq!(world.fetches(), 1);
    world.it_is_stale().await;
    assert_eq!(world.asks(&client).await.code(), "REDIRECT_MISMATCH");
    assert!(is_consent(&world.asks(&moved).await));
    assert_eq!(world.fetches(), 2);

    // Stale and gone: no authorization, but those who have tokens go on.
    world.it_is_stale().await;
    world.answers(|| Answer::json(404, "{}"));
    assert_eq!(world.asks(&moved).await.code(), "CLIENT_DOCUMENT_UNAVAILABLE");
    old.refresh().await;
    assert_eq!(old.call("get_current_track", json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_form_that_waited_is_judged_by_what_the_document_says_now() {
    let world = World::new().await;
    let (browser, client) = (world.server.browser(), world.client());
    let waiting = browser.open(&client.attempt().path()).await;
    let mut document = world.document();
    document["redirect_uris"] = json!(["http://127.0.0.1:1/moved"]);
    world.says(document);
    world.it_is_stale().await;
    assert_eq!(world.asks(&client).await.code(), "REDIRECT_MISMATCH");
    let page = browser.submit(&waiting, "/authorize", &[("decision", "approve")]).await;
    assert_eq!(page.code(), "REDIRECT_MISMATCH");
}

#[tokio::test]
async fn a_document_is_believed_for_as_long_as_it_says_within_bounds() {
    let world = World::new().await;
    let raw = world.server.place.raw().await;
    for (number, (headers, expected)) in [
        ("cache-control: max-age=300\r\n", 300),
        ("cache-control: no-store\r\n", 60),
        ("cache-control: max-age=1\r\n", 60),
        ("cache-control: max-age=31536000\r\n", 86_400),
        ("cache-control: public\r\ncache-control: max-age=300\r\n", 300),
        ("expires: 0\r\n", 60),
        ("", 3_600),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("{}?{number}", world.id());
        let mut document = world.document();
        document["client_id"] = json!(id);
        world.answers(move || Answer::new(200, &format!("{JSON}{headers}"), &document.to_string()));
        assert!(is_consent(&world.asks(&world.client_of(&id)).await), "{headers}");
        let fresh = format!("SELECT fresh_until - fetched_at FROM clients WHERE id = '{id}'");
        assert_eq!(raw.number(&fresh).await, expected, "{headers}");
    }
}

#[tokio::test]
async fn the_operator_says_whose_documents_are_believed() {
    let claude = "https://claude.ai/oauth/mcp-oauth-client-metadata";
    let asks = async |world: &World, id: &str, redirect: &str| {
        let client = RegisteredClient { redirect_uri: redirect.to_owned(), ..world.client_of(id) };
        world.asks(&client).await
    };
    let home = "https://claude.ai/api/mcp/auth_callback";

    let world = World::on(Place::sqlite(), &[("SPOTIFY_MCP__AUTH__CLIENT_DOCUMENTS", "builtin_only")]).await;
    let page = asks(&world, claude, home).await;
    assert!(is_consent(&page) && page.text.contains("claude.ai"), "{page:?}");
    assert_eq!(asks(&world, claude, "https://claude.ai/other").await.code(), "REDIRECT_MISMATCH");
    assert_eq!(asks(&world, &world.id(), REDIRECT).await.code(), "CLIENT_NOT_ALLOWED");
    assert_eq!(world.fetches(), 0);

    for (key, hosts, allowed) in [
        ("CLIENT_DOCUMENT_HOSTS", "claude.ai,*.example.org", false),
        ("CLIENT_DOCUMENT_HOSTS", "127.0.0.1", true),
        ("CLIENT_DOCUMENT_HOSTS_DENIED", "127.0.0.1", false),
    ] {
        let world = World::on(Place::sqlite(), &[(&format!("SPOTIFY_MCP__AUTH__{key}"), hosts)]).await;
        let page = asks(&world, &world.id(), REDIRECT).await;
        assert_eq!(is_consent(&page), allowed, "{key}={hosts}");
        assert_eq!(world.fetches(), usize::from(allowed));
    }
}

#[tokio::test]
async fn switched_off_nobody_introduces_themselves_so_and_tokens_of_before_end() {
    let mut world = World::new().await;
    let ada = Listener::connect("ada", world.server.browser(), world.client()).await;
    world.server.stop().await;
    world.server.environment.insert("SPOTIFY_MCP__AUTH__CLIENT_DOCUMENTS".to_owned(), "off".to_owned());
    world.server.start().await;
    let url = format!("{}/.well-known/oauth-authorization-server", world.server.origin);
    let metadata: Value = world.server.http.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["client_id_metadata_document_supported"], false);
    assert_eq!(world.asks(&world.client()).await.code(), "CLIENT_NOT_ALLOWED");
    let refused = ada.client.refresh(&ada.pair().refresh).await;
    assert_eq!(refused.1["error"], "invalid_client");
    world.server.stop().await;
    world.server.environment.remove("SPOTIFY_MCP__AUTH__CLIENT_DOCUMENTS");
    world.server.start().await;
    Pair::of(&ada.client.refresh(&ada.pair().refresh).await);
}

#[tokio::test]
async fn a_built_in_description_does_not_replace_a_document_that_was_fetched() {
    let claude = "https://claude.ai/oauth/mcp-oauth-client-metadata";
    let mut world =
        World::on(Place::sqlite(), &[("SPOTIFY_MCP__AUTH__CLIENT_DOCUMENTS", "builtin_only")]).await;
    let asks = async |world: &World, redirect: &str| {
        let client = RegisteredClient { redirect_uri: redirect.to_owned(), ..world.client_of(claude) };
        world.asks(&client).await
    };
    let (built_in, fetched) = ("https://claude.ai/api/mcp/auth_callback", "https://claude.ai/moved");
    assert!(is_consent(&asks(&world, built_in).await));
    assert_eq!(asks(&world, fetched).await.code(), "REDIRECT_MISMATCH");

    // As if its own document had been fetched a minute ago, which says something else.
    let now = Clock::system().now().secs();
    let raw = world.server.place.raw().await;
    raw.run(&format!(
        "INSERT INTO clients (id, kind, name, redirect_uris, auth_method, grant_types, scope, created_at,
            expires_at, fetched_at, fresh_until)
        VALUES ('{claude}', 'document', 'Claude', '[\"{fetched}\"]', 'none', '[\"authorization_code\"]', 'read',
            {}, {}, {}, {})",
        now - 60,
        now + 86_400,
        now - 60,
        now + 3_600,
    ))
    .await;
    world.server.stop().await;
    world.server.environment.remove("SPOTIFY_MCP__AUTH__CLIENT_DOCUMENTS");
    world.server.start().await;
    assert!(is_consent(&asks(&world, fetched).await));
    assert_eq!(asks(&world, built_in).await.code(), "REDIRECT_MISMATCH");
    let kept = raw.number(&format!("SELECT COUNT(*) FROM clients WHERE id = '{claude}'")).await;
    assert_eq!(kept, 1);
}
