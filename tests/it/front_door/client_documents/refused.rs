//! What is no document, and what is no place for one.

use super::*;

#[tokio::test]
async fn what_breaks_a_rule_of_the_document_is_refused_and_kept_by_nobody() {
    let world = World::new().await;
    let with = |name: &str, value: Value| {
        let mut document = world.document();
        document[name] = value;
        document.to_string()
    };
    let twice = world.document().to_string().replacen('{', "{\"client_name\":\"Another\",", 1);
    let bodies = [
        with("client_id", json!("https://client.example/other.json")),
        with("client_id", json!(world.id().replace("client.json", "client.json?"))),
        with("client_secret", json!("published")),
        with("client_secret_expires_at", json!(0)),
        with("client_name", json!(null)),
        with("redirect_uris", json!([])),
        with("redirect_uris", json!(["javascript:alert(1)"])),
        with("token_endpoint_auth_method", json!("client_secret_basic")),
        with("token_endpoint_auth_method", json!("private_key_jwt")),
        with("grant_types", json!(["client_credentials"])),
        with("jwks", json!([[[[[[[[[1]]]]]]]]])),
        twice,
        "[]".to_owned(),
        "<html>".to_owned(),
        String::new(),
    ];
    for (number, body) in bodies.into_iter().enumerate() {
        // A document that was refused is not fetched again for ten seconds: each has an id of its own.
        let id = format!("{}?{number}", world.id());
        let body = body.replace(&format!("\"{}\"", world.id()), &format!("\"{id}\""));
        let sent = body.clone();
        world.answers(move || Answer::new(200, JSON, &sent));
        let page = world.asks(&world.client_of(&id)).await;
        assert_eq!(
            (page.code(), page.status),
            ("CLIENT_DOCUMENT_REFUSED", StatusCode::BAD_REQUEST),
            "{body}"
        );
    }
    let kept = world.server.place.raw().await.number("SELECT COUNT(*) FROM clients").await;
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn an_answer_that_is_not_the_document_itself_is_none() {
    let world = World::new().await;
    let trap = Fake::always(|| Answer::json(200, "{}")).await;
    let location = format!("{JSON}location: {}/stolen\r\n", trap.origin);
    let good = world.document().to_string();
    let answers = [
        ("redirect", Answer::new(302, &location, &good)),
        ("redirect for good", Answer::new(308, &location, &good)),
        ("not found", Answer::json(404, &good)),
        ("broken", Answer::json(500, &good)),
        ("created", Answer::json(201, &good)),
        ("a page", Answer::new(200, "content-type: text/html\r\n", &good)),
        ("no type", Answer::new(200, "", &good)),
        ("two types", Answer::new(200, &format!("{JSON}content-type: text/html\r\n"), &good)),
        ("gzip", Answer::new(200, &format!("{JSON}content-encoding: gzip\r\n"), &good)),
        ("too large", Answer::json(200, &format!("{good}{}", " ".repeat(6_000)))),
        ("endless", Answer::Flood(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".to_vec())),
        ("cut", Answer::Cut(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec())),
        ("no HTTP", Answer::Cut(b"SSH-2.0-OpenSSH_9\r\n".to_vec())),
    ];
    for (number, (what, answer)) in answers.into_iter().enumerate() {
        world.answers(move || answer.clone());
        let page = world.asks(&world.client_of(&format!("{}?{number}", world.id()))).await;
        assert_eq!(
            (page.code(), page.status),
            ("CLIENT_DOCUMENT_UNAVAILABLE", StatusCode::BAD_GATEWAY),
            "{what}"
        );
        assert!(!page.text.contains(&world.site.origin), "{what}: {}", page.text);
    }
    assert!(trap.seen().is_empty());
}

#[tokio::test]
async fn nobody_and_a_stranger_with_another_certificate_describe_no_client() {
    let world = World::new().await;
    let nobody = world.client_of("https://127.0.0.1:2345/c");
    assert_eq!(world.asks(&nobody).await.code(), "CLIENT_DOCUMENT_UNAVAILABLE");
    let (stranger, _) = Fake::start_tls(|_, _| Answer::json(200, "{}")).await;
    let page = world.asks(&world.client_of(&format!("{}{PATH}", stranger.origin))).await;
    assert_eq!(page.code(), "CLIENT_DOCUMENT_UNAVAILABLE");
    assert!(stranger.seen().is_empty());
}

#[tokio::test]
async fn an_id_that_is_no_documents_url_is_refused_without_a_fetch() {
    let world = World::new().await;
    let site = &world.site.origin;
    let host = site.strip_prefix("https://").unwrap();
    let port = host.rsplit(':').next().unwrap();
    for id in [
        site.clone(),
        format!("{site}/"),
        format!("{site}/c#x"),
        format!("{site}/./c"),
        format!("{site}/a/../c"),
        format!("{site}/a/%2e%2e/c"),
        format!("{site}/a%2fc"),
        format!("{site}\\c"),
        format!("https://me@{host}/c"),
        format!("https://me:pw@{host}/c"),
        format!("HTTPS://{host}/c"),
        format!("http://{host}/c"),
        format!("https://localhost:{port}/c"),
        format!("https://2130706433:{port}/c"),
        format!("https://0x7f.1:{port}/c"),
        format!("https://127.1:{port}/c"),
        format!("https://[::ffff:127.0.0.1]:{port}/c"),
        format!("https://[64:ff9b::7f00:1]:{port}/c"),
        "https://10.0.0.1/c".to_owned(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://127.0.0.1:25/c".to_owned(),
        "ftp://client.example/c".to_owned(),
    ] {
        let page = world.asks(&world.client_of(&id)).await;
        assert_eq!(page.code(), "CLIENT_DOCUMENT_REFUSED", "{id}");
        let (status, answer) = world.client_of(&id).redeem("smac_x", &"v".repeat(43)).await;
        assert_eq!((status, &answer["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")), "{id}");
    }
    let long = format!("{site}/{}", "x".repeat(600));
    assert_eq!(world.asks(&world.client_of(&long)).await.code(), "UNKNOWN_CLIENT");
    assert_eq!(world.fetches(), 0);
}

#[tokio::test]
async fn without_its_authorities_loopback_is_no_place_for_a_document() {
    let server = Setup::default().start().await;
    let (site, _) = Fake::start_tls(|_, _| Answer::json(200, "{}")).await;
    for id in [format!("{}{PATH}", site.origin), "https://[::1]:4000/c".to_owned()] {
        let client = RegisteredClient {
            http: plain_http(),
            origin: server.origin.clone(),
            id,
            redirect_uri: REDIRECT.to_owned(),
        };
        let page = server.browser().open(&client.attempt().path()).await;
        assert_eq!(page.code(), "CLIENT_DOCUMENT_REFUSED");
    }
    assert!(site.seen().is_empty());
}
