//! Codes and tokens at the accounts service.

use super::*;

fn accounts(fake: &Fake) -> Accounts {
    let base = BaseUrl::parse(&fake.origin).unwrap();
    Accounts::new(gate(fake), Clock::system(), base, Duration::from_millis(500))
}

fn app(secret: Option<&str>) -> AppCredentials {
    AppCredentials { client_id: "cid".to_owned(), client_secret: secret.map(SecretString::new) }
}

fn refresh_token() -> SecretString {
    SecretString::new("AQ-sentinel+refresh")
}

#[tokio::test]
async fn the_browser_is_sent_with_pkce_state_and_scopes() {
    let fake = Fake::always(|| Answer::Silence).await;
    let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
    let url = accounts(&fake).authorize_url(&AuthorizeRequest {
        client_id: "cid",
        redirect_uri: "http://127.0.0.1:8000/auth/callback",
        scopes: &["user-read-private", "user-library-read"],
        state: &SecretString::new("st"),
        verifier: &verifier,
        show_dialog: true,
    });
    let expected = "/authorize?response_type=code&client_id=cid\
        &redirect_uri=http%3A%2F%2F127.0.0.1%3A8000%2Fauth%2Fcallback\
        &scope=user-read-private%20user-library-read&state=st&code_challenge_method=S256\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&show_dialog=true";
    assert_eq!(url, format!("{}{expected}", fake.origin));
}

#[tokio::test]
async fn public_apps_name_themselves_and_secret_apps_use_basic() {
    let body =
        r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"n","scope":"x"}"#;
    let fake = Fake::always(|| Answer::new(200, "set-cookie: a=b\r\n", body)).await;
    let accounts = accounts(&fake);
    let set = accounts.refresh(&app(None), &refresh_token()).await.unwrap();
    assert_eq!(set.refresh_token, Some(SecretString::new("n")));
    accounts.refresh(&app(Some("s:x")), &refresh_token()).await.unwrap();
    let verifier = CodeVerifier::mint(&[7; 32]);
    let code = SecretString::new("the code");
    accounts.exchange(&app(None), &code, &verifier, "https://us/cb").await.unwrap();
    let seen = fake.seen();
    assert_eq!(seen[0].header("authorization"), None);
    let refresh = "grant_type=refresh_token&refresh_token=AQ-sentinel%2Brefresh";
    assert_eq!(seen[0].body, format!("{refresh}&client_id=cid"));
    assert_eq!(seen[1].header("authorization"), Some("Basic Y2lkOnM6eA=="));
    assert_eq!(seen[1].body, refresh);
    let verifier = verifier.expose();
    assert_eq!(
        seen[2].body,
        format!(
            "grant_type=authorization_code&code=the+code&redirect_uri=https%3A%2F%2Fus%2Fcb\
             &code_verifier={verifier}&client_id=cid"
        )
    );
    for request in &seen {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/api/token"));
        assert_eq!(request.header("cookie"), None);
        assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    }
}

#[tokio::test]
async fn only_invalid_grant_ends_a_grant() {
    use AccountsError::*;
    let table: [(u16, &str, AccountsError); 6] = [
        (
            400,
            r#"{"error":"invalid_grant","error_description":"Refresh token expired"}"#,
            InvalidGrant(GrantFault::Expired),
        ),
        (
            400,
            r#"{"error":"invalid_grant","error_description":"Refresh token revoked"}"#,
            InvalidGrant(GrantFault::Revoked),
        ),
        (400, r#"{"error":"invalid_grant"}"#, InvalidGrant(GrantFault::Other)),
        (400, r#"{"error":"invalid_client","error_description":"Invalid client"}"#, InvalidClient),
        (401, r#"{"error":"invalid_client"}"#, InvalidClient),
        (400, r#"{"error":"unsupported_grant_type"}"#, Refused("unsupported_grant_type".to_owned())),
    ];
    for (status, body, expected) in table {
        let fake = Fake::always(move || Answer::json(status, body)).await;
        let error = accounts(&fake).refresh(&app(None), &refresh_token()).await.unwrap_err();
        assert_eq!(error.is_final(), matches!(expected, InvalidGrant(_)));
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn outages_and_lost_answers_leave_the_grant_alone() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"access_token\":\"a\"";
    // The answer, and whether Spotify may have rotated the token.
    let table: [(fn() -> Answer, bool); 9] = [
        (|| Answer::json(503, "{}"), true),
        (|| Answer::new(500, "", "<html>oops"), true),
        (|| Answer::new(429, "retry-after: 9\r\n", ""), false),
        (|| Answer::new(400, "content-type: text/html\r\n", "<html>invalid_grant"), true),
        (|| Answer::json(302, ""), true),
        (|| Answer::json(200, "<html>"), true),
        (|| Answer::json(200, "{}"), true),
        (|| Answer::Cut(Vec::new()), true),
        (|| Answer::Silence, true),
    ];
    for (at, (answer, may_have_acted)) in table.into_iter().enumerate() {
        let fake = Fake::always(answer).await;
        let error = accounts(&fake).refresh(&app(Some("s3cret")), &refresh_token()).await.unwrap_err();
        assert_eq!((error.is_final(), error.may_have_acted()), (false, may_have_acted), "{at} {error:?}");
        assert_eq!(fake.seen().len(), 1, "a token request is never sent twice");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("sentinel") && !shown.contains("s3cret"), "{shown}");
    }
    let fake = Fake::start(|_, _| Answer::Cut(head.to_vec())).await;
    assert!(accounts(&fake).refresh(&app(None), &refresh_token()).await.unwrap_err().may_have_acted());

    let nowhere = BaseUrl::parse("http://127.0.0.1:1").unwrap();
    let policy = GatePolicy::new().with_loopback().allow(nowhere.as_str()).unwrap();
    let gate = Gate::new(policy, Clock::system());
    let accounts = Accounts::new(gate, Clock::system(), nowhere, Duration::from_secs(1));
    let error = accounts.refresh(&app(None), &refresh_token()).await.unwrap_err();
    assert!(!error.is_final() && !error.may_have_acted());
}
