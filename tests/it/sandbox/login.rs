//! Logging in: the dialog, codes, refreshes, and how long tokens live.

use super::*;

#[tokio::test]
async fn a_person_logs_in_and_only_they_are_seen() {
    let b = browser().await;
    let query = b.query("user-read-currently-playing playlist-read-private", "state=a%2Fb+c%20%3D");
    let page = b.ask(&query).await;
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(
        page.contains("not Spotify") && page.contains("value=\"ada\"") && page.contains("value=\"chiara\"")
    );
    let back = b.decide(&query, &[("person", "ben"), ("decision", "approve")]).await;
    assert!(location(&back).ends_with("&state=a%2Fb+c%20%3D"), "{}", location(&back));
    let (_, tokens) = b.exchange(&code(&back), VERIFIER).await;
    assert_eq!(tokens["expires_in"], 3600);
    assert_eq!(tokens["scope"], "playlist-read-private user-read-currently-playing");
    let access = text(&tokens, "/access_token");
    assert!((190..=300).contains(&access.len()));
    let me = b.json(access, "/me").await;
    assert_eq!((text(&me, "/id"), me.get("product")), ("ben", None));
    assert_eq!(text(&me, "/account_id").len(), 22);
    let playing = b.json(access, "/me/player/currently-playing").await;
    assert!(text(&playing, "/item/id").starts_with("benZ"));
    let lists = b.json(access, "/me/playlists").await;
    for list in lists["items"].as_array().unwrap() {
        assert!(text(list, "/id").starts_with("benZ"));
    }
    assert_eq!(b.status(access, "/me/tracks").await, 403);
}

#[tokio::test]
async fn the_browser_is_remembered_and_the_dialog_can_be_forced() {
    let b = browser().await;
    let query = b.query("user-top-read", "state=1");
    b.decide(&query, &[("person", "chiara"), ("decision", "approve")]).await;
    let silent = b.ask(&query).await;
    let (_, tokens) = b.exchange(&code(&silent), VERIFIER).await;
    assert_eq!(text(&b.json(text(&tokens, "/access_token"), "/me").await, "/id"), "chiara");
    assert_eq!(b.ask(&format!("{query}&show_dialog=true")).await.status(), 200);
    assert_eq!(b.ask(&b.query("user-top-read user-library-read", "")).await.status(), 200);
    b.sandbox.control.revoke("chiara", None);
    assert_eq!(b.ask(&query).await.status(), 200);
    assert_eq!(b.status(text(&tokens, "/access_token"), "/me").await, 401);
}

#[tokio::test]
async fn what_is_refused_at_the_door() {
    let b = browser().await;
    let good = b.query("", "state=s");
    let denied = b.decide(&good, &[("person", "ada"), ("decision", "deny")]).await;
    assert_eq!(location(&denied), format!("{REDIRECT}?error=access_denied&state=s"));
    for (from, to) in [("sandbox-client", "nobody"), ("127.0.0.1", "localhost"), ("http://127", "http://10")]
    {
        let reply = b.ask(&good.replace(from, to)).await;
        assert_eq!((reply.status().as_u16(), reply.headers().get("location")), (400, None));
        assert!(reply.text().await.unwrap().contains("INVALID_CLIENT"));
    }
    let implicit = b.ask(&good.replace("response_type=code", "response_type=token")).await;
    assert!(location(&implicit).contains("error=unsupported_response_type"));
    let no_pkce = b.ask(&good.replace("code_challenge=", "x=")).await;
    assert!(location(&no_pkce).contains("error=invalid_request"));
}

#[tokio::test]
async fn fewer_scopes_may_be_granted_than_asked() {
    let b = browser().await;
    let query = b.query("user-top-read user-library-read", "");
    let fields = [("person", "ada"), ("withhold", "user-top-read"), ("decision", "approve")];
    let (_, tokens) = b.exchange(&code(&b.decide(&query, &fields).await), VERIFIER).await;
    assert_eq!(tokens["scope"], "user-library-read");
}

#[tokio::test]
async fn codes_work_once_for_their_owner_only() {
    let b = browser().await;
    let approve = [("person", "ada"), ("decision", "approve")];
    let fresh = async || code(&b.decide(&b.query("", ""), &approve).await);
    let wrong = "another-verifier-that-is-long-enough-to-be-one-0123";
    let (status, body) = b.exchange(&fresh().await, wrong).await;
    assert_eq!((status.as_u16(), text(&body, "/error")), (400, "invalid_grant"));
    let once = fresh().await;
    assert_eq!(b.exchange(&once, VERIFIER).await.0, 200);
    assert_eq!(b.exchange(&once, VERIFIER).await.0, 400);
    let late = fresh().await;
    b.sandbox.control.advance(Duration::from_secs(600));
    assert_eq!(
        text(&b.exchange(&late, VERIFIER).await.1, "/error_description"),
        "Authorization code expired"
    );
    let (status, body) = b.token(&[("grant_type", "authorization_code"), ("client_id", "nobody")]).await;
    assert_eq!((status.as_u16(), text(&body, "/error")), (400, "invalid_client"));
    let (_, body) = b.token(&[("grant_type", "password"), ("client_id", CLIENT_ID)]).await;
    assert_eq!(text(&body, "/error"), "unsupported_grant_type");
}

#[tokio::test]
async fn the_token_endpoint_takes_forms_alone_and_a_code_seen_twice_may_end_what_it_gave() {
    let b = browser().await;
    let url = format!("{}/api/token", b.sandbox.accounts_url);
    let json = b.http.post(&url).json(&json!({ "grant_type": "authorization_code" })).send().await.unwrap();
    assert_eq!(json.status(), 415);
    b.sandbox.control.change_app(CLIENT_ID, &json!({ "code_reuse_revokes": true })).unwrap();
    let approved = b.decide(&b.query("", ""), &[("person", "ada"), ("decision", "approve")]).await;
    let code = code(&approved);
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT_ID),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let first = b.http.post(&url).form(&form).send().await.unwrap();
    assert!(first.headers().contains_key("set-cookie"));
    let tokens: Value = first.json().await.unwrap();
    let access = text(&tokens, "/access_token");
    assert_eq!(b.status(access, "/me").await, 200);
    assert_eq!(b.http.post(&url).form(&form).send().await.unwrap().status(), 400);
    assert_eq!(b.status(access, "/me").await, 401);
}

#[tokio::test]
async fn refresh_tokens_rotate_are_left_out_or_stay() {
    let b = browser().await;
    let control = &b.sandbox.control;
    let tokens = b.log_in("ada", "user-top-read").await;
    let first = text(&tokens, "/refresh_token");
    let (_, rotated) = b.refresh(first).await;
    let second = text(&rotated, "/refresh_token");
    assert_ne!(first, second);
    assert_eq!(text(&b.refresh(first).await.1, "/error_description"), "Refresh token revoked");
    control.change_app(CLIENT_ID, &json!({ "refresh": "omit" })).unwrap();
    let (status, omitted) = b.refresh(second).await;
    assert_eq!((status.as_u16(), omitted.get("refresh_token")), (200, None));
    control.change_app(CLIENT_ID, &json!({ "refresh": "same" })).unwrap();
    assert_eq!(text(&b.refresh(second).await.1, "/refresh_token"), second);
    let ada = control.users().into_iter().find(|user| &*user.id == "ada").unwrap();
    assert_eq!((ada.exchanges, ada.refreshes), (1, 3));
    control.advance(Duration::from_secs(184 * 86_400));
    assert_eq!(text(&b.refresh(second).await.1, "/error_description"), "Refresh token expired");
}

#[tokio::test]
async fn an_access_token_lives_3600_seconds_of_virtual_time() {
    let b = browser().await;
    let token = b.grant("ada");
    b.sandbox.control.advance(Duration::from_secs(3590));
    assert_eq!(b.status(&token, "/me").await, 200);
    b.sandbox.control.advance(Duration::from_secs(10));
    let reply = b.get(&token, "/me").send().await.unwrap();
    assert_eq!(reply.status(), 401);
    let challenge = reply.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.contains("invalid_token") && challenge.contains("The access token expired"));
    let body: Value = reply.json().await.unwrap();
    assert_eq!(text(&body, "/error/message"), "Missing/invalid/expired access token");
}
