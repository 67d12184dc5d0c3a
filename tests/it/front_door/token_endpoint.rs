//! `/token` and `/revoke` to the letter: what each malformed request is told, and that it changes nothing.

use reqwest::StatusCode;
use serde_json::json;

use super::programs::{Confidential, encoded, post, post_as, post_form};
use crate::support::client::Pair;
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn calls(listener: &Listener) -> StatusCode {
    listener.call("get_status", json!({})).await.status
}

#[tokio::test]
async fn bodies_that_are_no_plain_form_are_oauth_errors() {
    let server = TestServer::new().await;
    let large = format!("grant_type=refresh_token&x={}", "y".repeat(70_000));
    let (bad, large_status) = (StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE);
    for path in ["/token", "/revoke", "/introspect", "/register"] {
        let kind = if path == "/register" { "application/json" } else { FORM.1 };
        let typed = ("content-type", kind);
        let both = format!("{kind}, application/json");
        for (headers, body, status) in [
            (&[][..], "x=1", bad),
            (&[("content-type", "text/plain")], "x=1", bad),
            (&[("content-type", "multipart/form-data; boundary=x")], "x=1", bad),
            (&[("content-type", &*both)], "x=1", bad),
            (&[typed, ("content-encoding", "gzip")], "x=1", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            (&[typed], &large, large_status),
        ] {
            let said = post(&server, path, headers, body).await;
            assert_eq!((said.status, said.error()), (status, "invalid_request"), "{path} {headers:?}");
            assert_eq!(said.header("www-authenticate"), "", "{path} {headers:?}");
        }
        for method in
            [reqwest::Method::GET, reqwest::Method::HEAD, reqwest::Method::PUT, reqwest::Method::DELETE]
        {
            let reply =
                server.http.request(method.clone(), format!("{}{path}", server.origin)).send().await.unwrap();
            assert_eq!(reply.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(reply.headers()["content-type"], "application/json", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn malformed_parameters_are_told_apart() {
    let server = TestServer::new().await;
    let client = server.client().await;
    let id = &client.id;
    let scopes =
        format!("grant_type=refresh_token&client_id={id}&refresh_token=x&scope={}", "read+".repeat(12_000));
    let unknown = "c_00000000000000000000000000000000";
    let many = (0..70).map(|n| format!("p{n}=1&")).collect::<String>();
    for (body, status, error) in [
        (String::new(), 400, "invalid_request"),
        (format!("client_id={id}"), 400, "invalid_request"),
        (format!("grant_type=refresh_token&client_id={id}&client_id={id}"), 400, "invalid_request"),
        (
            format!("grant_type=refresh_token&grant_type=authorization_code&client_id={id}"),
            400,
            "invalid_request",
        ),
        (format!("grant_type=authorization_code&client_id={id}&code=%zz"), 400, "invalid_request"),
        (format!("grant_type=authorization_code&client_id={id}&code=%ff"), 400, "invalid_request"),
        (many, 400, "invalid_request"),
        (format!("grant_type=authorization_code&client_id={id}"), 400, "invalid_request"),
        (format!("grant_type=authorization_code&client_id={id}&code="), 400, "invalid_request"),
        (format!("grant_type=authorization_code&client_id={id}&code=x"), 400, "invalid_grant"),
        (format!("grant_type=refresh_token&client_id={id}"), 400, "invalid_request"),
        (format!("grant_type=refresh_token&client_id={id}&refresh_token=x"), 400, "invalid_grant"),
        (scopes, 400, "invalid_grant"),
        (format!("grant_type=password&client_id={id}&username=a&password=b"), 400, "unsupported_grant_type"),
        (format!("grant_type=client_credentials&client_id={id}"), 400, "unsupported_grant_type"),
        (
            format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&client_id={id}"),
            400,
            "unsupported_grant_type",
        ),
        ("grant_type=authorization_code&code=x".to_owned(), 400, "invalid_request"),
        (format!("grant_type=authorization_code&client_id={unknown}&code=x"), 401, "invalid_client"),
        ("grant_type=authorization_code&client_id=%00&code=x".to_owned(), 401, "invalid_client"),
        (
            format!("grant_type=authorization_code&client_id={}&code=x", "c".repeat(5_000)),
            401,
            "invalid_client",
        ),
    ] {
        let said = post(&server, "/token", &[FORM], &body).await;
        assert_eq!((said.status.as_u16(), said.error()), (status, error), "{}", &body[..body.len().min(200)]);
        assert_eq!(said.header("www-authenticate"), "", "no challenge for who sent no header: {said:?}");
    }
    // Parameters count in the body alone (RFC 6749 section 3.2).
    let query = format!("/token?grant_type=refresh_token&client_id={id}&refresh_token=x");
    assert_eq!(post(&server, &query, &[FORM], "").await.error(), "invalid_request");
}

#[tokio::test]
async fn a_client_proves_itself_in_one_way_or_is_challenged() {
    let server = TestServer::new().await;
    let client = Confidential::register(&server, "client_secret_basic").await;
    let (id, secret, basic) = (&client.client.id, &client.secret, client.basic());
    let code = [("grant_type", "authorization_code"), ("code", "x")];
    let with = |more: &[(&'static str, &str)]| {
        let all: Vec<(&str, &str)> = code.iter().chain(more).copied().collect();
        encoded(&all)
    };
    let lower = basic.replacen("Basic", "bAsIc", 1);
    let wrong = Confidential { client: client.client.clone(), secret: format!("{secret}x") }.basic();
    for (authorization, body, status, error) in [
        ("", with(&[("client_id", id)]), 401, "invalid_client"),
        ("", with(&[("client_id", id), ("client_secret", "wrong")]), 401, "invalid_client"),
        ("", with(&[("client_id", id), ("client_secret", secret)]), 400, "invalid_grant"),
        (&*basic, with(&[]), 400, "invalid_grant"),
        (&*lower, with(&[]), 400, "invalid_grant"),
        (&*basic, with(&[("client_id", id)]), 400, "invalid_grant"),
        (&*basic, with(&[("client_id", id), ("client_secret", secret)]), 400, "invalid_request"),
        (&*basic, with(&[("client_id", "c_00000000000000000000000000000000")]), 400, "invalid_request"),
        (&*wrong, with(&[]), 401, "invalid_client"),
        ("Basic", with(&[("client_id", id)]), 401, "invalid_client"),
        ("Basic !!!", with(&[("client_id", id)]), 401, "invalid_client"),
        ("Basic bm9jb2xvbg==", with(&[("client_id", id)]), 401, "invalid_client"),
        ("Basic JXp6Ong=", with(&[]), 401, "invalid_client"),
        ("Bearer x", with(&[("client_id", id)]), 401, "invalid_client"),
    ] {
        let mut headers = vec![FORM];
        headers.extend(Some(("authorization", authorization)).filter(|(_, value)| !value.is_empty()));
        let said = post(&server, "/token", &headers, &body).await;
        assert_eq!((said.status.as_u16(), said.error()), (status, error), "{authorization} {body}");
        let challenged = said.header("www-authenticate").starts_with("Basic realm=");
        assert_eq!(challenged, status == 401 && !authorization.is_empty(), "{authorization}: {said:?}");
        assert!(!said.body.to_string().contains(&**secret), "the secret came back");
    }
}

#[tokio::test]
async fn what_does_not_fit_leaves_a_code_usable() {
    let server = TestServer::new().await;
    let (client, stranger, browser) = (server.client().await, server.client().await, server.browser());
    let attempt = client.attempt();
    let code = client.code(&attempt, &browser, "ada").await;
    let good = client.redemption(&code, &attempt.verifier);
    let resource = |value: &str| format!("{}&resource={value}", encoded(&good));
    let ours = encoded(&[("resource", &format!("{}/mcp", server.origin))]);
    for (body, error) in [
        (resource("https%3A%2F%2Fevil.example%2Fmcp"), "invalid_target"),
        (resource("x"), "invalid_target"),
        (format!("{}&{ours}&{ours}", encoded(&good)), "invalid_target"),
        (encoded(&stranger.redemption(&code, &attempt.verifier)), "invalid_grant"),
        (encoded(&client.redemption(&code, &"w".repeat(43))), "invalid_grant"),
        (encoded(&client.redemption(&code, "short")), "invalid_grant"),
        (encoded(&good[..4]), "invalid_grant"),
    ] {
        let said = post(&server, "/token", &[FORM], &body).await;
        assert_eq!((said.status, said.error()), (StatusCode::BAD_REQUEST, error), "{body}");
    }
    let pair = Pair::of(&client.redeem(&code, &attempt.verifier).await);
    // A stranger who replays it ends nothing; its own client does.
    assert_eq!(stranger.redeem(&code, &attempt.verifier).await.1["error"], "invalid_grant");
    let ada = Listener::with(&client, pair, "ada", browser);
    assert_eq!(calls(&ada).await, StatusCode::OK);
    assert_eq!(client.redeem(&code, &attempt.verifier).await.1["error"], "invalid_grant");
    assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_refresh_may_ask_for_less_and_never_for_more() {
    let server = TestServer::new().await;
    let (client, browser) = (server.client().await, server.browser());
    let attempt = client.attempt().with("scope", Some("read player"));
    let code = client.code(&attempt, &browser, "ada").await;
    let mut pair = Pair::of(&client.redeem(&code, &attempt.verifier).await);
    let refresh = async |pair: &Pair, more: &[(&str, &str)]| {
        let refreshing = client.refreshing(&pair.refresh);
        let form: Vec<_> = refreshing.iter().chain(more).copied().collect();
        client.token(&form).await
    };
    for scope in ["read write", "write", "read player write"] {
        let refused = refresh(&pair, &[("scope", scope)]).await;
        assert_eq!(
            (refused.0, &refused.1["error"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_scope")),
            "{scope}"
        );
    }
    assert_eq!(
        refresh(&pair, &[("resource", "https://evil.example/mcp")]).await.1["error"],
        "invalid_target"
    );
    let stranger = server.client().await;
    let theirs = [("grant_type", "refresh_token"), ("client_id", &*stranger.id), ("scope", "write")];
    let theirs: Vec<_> = theirs.into_iter().chain([("refresh_token", &*pair.refresh)]).collect();
    assert_eq!(
        client.token(&theirs).await.1["error"],
        "invalid_grant",
        "a stranger learns nothing of its scopes"
    );

    for (scope, granted) in
        [("read", "read"), ("", "read player"), ("offline_access nonsense", "read player")]
    {
        let answer = refresh(&pair, &[("scope", scope)]).await;
        assert_eq!(answer.1["scope"], granted, "asked for {scope:?}");
        let again = refresh(&pair, &[("scope", scope)]).await;
        assert_eq!(Pair::of(&again), Pair::of(&answer), "the grace answers the same");
        assert_eq!(again.1["scope"], granted);
        pair = Pair::of(&answer);
    }
    // What is narrow is narrow: the token itself, not only what the answer says.
    let narrow = Pair::of(&refresh(&pair, &[("scope", "player")]).await);
    let ada = Listener::with(&client, narrow.clone(), "ada", browser);
    assert_eq!(ada.call("get_user_playlists", json!({})).await.status, StatusCode::FORBIDDEN);
    ada.keep(Pair::of(&refresh(&narrow, &[]).await));
    ada.call("get_user_playlists", json!({})).await.content();
}

#[tokio::test]
async fn each_kind_of_token_works_in_its_own_place_only() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let Pair { access, refresh } = ada.pair();
    assert_eq!(ada.client.refresh(&access).await.1["error"], "invalid_grant");
    assert_eq!(ada.client.redeem(&refresh, &"v".repeat(43)).await.1["error"], "invalid_grant");
    for bearer in [&refresh, "c_00000000000000000000000000000000"] {
        let thief = Listener::with(
            &ada.client,
            Pair { access: bearer.to_string(), refresh: String::new() },
            "ada",
            server.browser(),
        );
        assert_eq!(calls(&thief).await, StatusCode::UNAUTHORIZED, "{bearer}");
    }
    assert_eq!(calls(&ada).await, StatusCode::OK);
    ada.refresh().await;
}

#[tokio::test]
async fn giving_a_token_back_ends_ones_own_and_tells_nothing() {
    let server = TestServer::new().await;
    let (ada, ben) = (server.listener("ada").await, server.listener("ben").await);
    let (hers, his) = (ada.pair(), ben.pair());
    let id = &*ada.client.id;
    for (form, status, error) in [
        (vec![("token", &*hers.refresh)], 400, "invalid_request"),
        (vec![("client_id", id)], 400, "invalid_request"),
        (vec![("client_id", id), ("token", "")], 400, "invalid_request"),
        (vec![("client_id", id), ("token", "x"), ("token", "y")], 400, "invalid_request"),
        (
            vec![("client_id", "c_00000000000000000000000000000000"), ("token", &*hers.refresh)],
            401,
            "invalid_client",
        ),
        (vec![("client_id", id), ("token", "unknown")], 200, ""),
        (vec![("client_id", id), ("token", "x"), ("token_type_hint", "nonsense")], 200, ""),
        (vec![("client_id", id), ("token", &*his.refresh)], 200, ""),
        (vec![("client_id", id), ("token", &*his.access), ("token_type_hint", "refresh_token")], 200, ""),
    ] {
        let said = post_form(&server, "/revoke", &form).await;
        assert_eq!((said.status.as_u16(), said.error()), (status, error), "{form:?}");
    }
    assert_eq!((calls(&ada).await, calls(&ben).await), (StatusCode::OK, StatusCode::OK), "nothing has ended");

    // An access token ends alone, at once; whatever the hint says.
    let form = [("client_id", id), ("token", &*hers.access), ("token_type_hint", "refresh_token")];
    for _ in 0..2 {
        assert_eq!(post_form(&server, "/revoke", &form).await.status, StatusCode::OK);
        assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
    }
    ada.refresh().await;
    assert_eq!(calls(&ada).await, StatusCode::OK);
    // A refresh token, even one that was exchanged, ends the whole family.
    let form = [("client_id", id), ("token", &*hers.refresh)];
    assert_eq!(post_form(&server, "/revoke", &form).await.status, StatusCode::OK);
    assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ada.client.refresh(&ada.pair().refresh).await.1["error"], "invalid_grant");
    assert_eq!(calls(&ben).await, StatusCode::OK);
}

#[tokio::test]
async fn a_client_with_a_secret_gives_nothing_back_without_it() {
    let server = Setup::default().start().await;
    let holder = Confidential::register(&server, "client_secret_post").await;
    let (client, browser) = (&holder.client, server.browser());
    let attempt = client.attempt();
    let code = client.code(&attempt, &browser, "ada").await;
    let form = client.redemption(&code, &attempt.verifier);
    assert_eq!(client.token(&form).await.0, StatusCode::UNAUTHORIZED, "no proof, and the code stays");
    let said =
        post_as(&server, "/token", &holder, &form[2..].iter().chain(&form[..1]).copied().collect::<Vec<_>>())
            .await;
    let pair = Pair::of(&(said.status, said.body.clone()));
    let ada = Listener::with(client, pair.clone(), "ada", browser);
    assert_eq!(client.revoke(&pair.refresh).await, StatusCode::UNAUTHORIZED);
    assert_eq!(client.refresh(&pair.refresh).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(calls(&ada).await, StatusCode::OK);
    assert_eq!(
        post_as(&server, "/revoke", &holder, &[("token", &pair.refresh)]).await.status,
        StatusCode::OK
    );
    assert_eq!(calls(&ada).await, StatusCode::UNAUTHORIZED);
}
