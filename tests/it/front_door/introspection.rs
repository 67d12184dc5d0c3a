//! `/introspect`: who may ask, and how little anybody but the token's own client learns.

use reqwest::StatusCode;
use serde_json::json;

use super::programs::{Confidential, post_as, post_form};
use crate::support::browser::Browser;
use crate::support::client::Pair;
use crate::support::database::at_both;
use crate::support::server::{Setup, TestServer};

/// Tokens for a client with a secret, and the browser in which they were given.
async fn connect(server: &TestServer, holder: &Confidential, person: &str, scope: &str) -> (Pair, Browser) {
    let (client, browser) = (&holder.client, server.browser());
    let attempt = client.attempt().with("scope", Some(scope));
    let code = client.code(&attempt, &browser, person).await;
    let said = post_as(server, "/token", holder, &client.redemption(&code, &attempt.verifier)).await;
    (Pair::of(&(said.status, said.body.clone())), browser)
}

#[tokio::test]
async fn a_client_with_a_secret_learns_of_its_own_living_tokens_alone() {
    at_both(async |place| {
        let server = Setup::on(place).start().await;
        let holder = Confidential::register(&server, "client_secret_basic").await;
        let other = Confidential::register(&server, "client_secret_post").await;
        let (pair, browser) = connect(&server, &holder, "ada", "read player").await;
        let ask = async |who: &Confidential, token: &str| {
            let said =
                post_as(&server, "/introspect", who, &[("token", token), ("token_type_hint", "nonsense")])
                    .await;
            assert_eq!(said.status, StatusCode::OK, "{said:?}");
            said.body
        };
        let inactive = json!({"active": false});

        let access = ask(&holder, &pair.access).await;
        assert_eq!((&access["active"], &access["token_type"]), (&json!(true), &json!("Bearer")));
        assert_eq!(access["scope"], "read player");
        assert_eq!(access["client_id"], *holder.client.id);
        assert_eq!(
            (&access["iss"], &access["aud"]),
            (&json!(server.origin), &json!(format!("{}/mcp", server.origin)))
        );
        assert!(access["sub"].as_str().unwrap().starts_with("u_"));
        assert_eq!(access["exp"].as_i64().unwrap() - access["iat"].as_i64().unwrap(), 3600);
        let refresh = ask(&holder, &pair.refresh).await;
        assert_eq!((&refresh["active"], refresh.get("token_type")), (&json!(true), None));
        assert_eq!(refresh["sub"], access["sub"]);

        // Unknown, malformed and somebody else's look alike.
        for token in [&*pair.access, &*pair.refresh, "x", &"x".repeat(5000), &holder.secret] {
            assert_eq!(ask(&other, token).await, inactive, "{token}");
        }
        assert_eq!(ask(&holder, "x").await, inactive);
        // Of another person: the page below then has one client to end.
        let listener = server.listener("ben").await;
        assert_eq!(ask(&holder, &listener.pair().access).await, inactive, "another client's");

        // Exchanged, ended, and out of time.
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*pair.refresh), ("scope", "read")];
        let said = post_as(&server, "/token", &holder, &form).await;
        let next = Pair::of(&(said.status, said.body.clone()));
        assert_eq!(ask(&holder, &pair.refresh).await, inactive, "exchanged");
        assert_eq!(ask(&holder, &next.access).await["scope"], "read", "what this very token allows");
        assert_eq!(ask(&holder, &next.refresh).await["scope"], "read player");
        let raw = server.place.raw().await;
        raw.run("UPDATE access_tokens SET expires_at = 1").await;
        assert_eq!(ask(&holder, &next.access).await, inactive, "out of time");
        let page = browser.open("/account").await;
        browser.submit(&page, "/account/clients/revoke", &[]).await;
        browser.submit(&page, "/account/approvals/withdraw", &[]).await;
        assert_eq!(ask(&holder, &next.refresh).await, inactive, "ended");
    })
    .await;
}

#[tokio::test]
async fn nobody_else_is_told_anything() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    let token = ada.pair().access;
    let holder = Confidential::register(&server, "client_secret_post").await;
    let (public, confidential) = (&*ada.client.id, &*holder.client.id);
    for (form, status, error) in [
        (vec![("token", &*token)], 400, "invalid_request"),
        (vec![("token", &*token), ("client_id", public)], 401, "invalid_client"),
        (vec![("token", &*token), ("client_id", public), ("client_secret", "x")], 401, "invalid_client"),
        (vec![("token", &*token), ("client_id", confidential)], 401, "invalid_client"),
        (
            vec![("token", &*token), ("client_id", confidential), ("client_secret", "x")],
            401,
            "invalid_client",
        ),
        (vec![("client_id", confidential), ("client_secret", &*holder.secret)], 400, "invalid_request"),
        (
            vec![
                ("token", "a"),
                ("token", "b"),
                ("client_id", confidential),
                ("client_secret", &*holder.secret),
            ],
            400,
            "invalid_request",
        ),
    ] {
        let said = post_form(&server, "/introspect", &form).await;
        assert_eq!((said.status.as_u16(), said.error()), (status, error), "{form:?}");
        assert!(said.body.get("active").is_none(), "{said:?}");
    }
}
