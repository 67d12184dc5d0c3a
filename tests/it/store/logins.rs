//! Logins in progress: taken once, by the browser that began them, in time.

use spotify_mcp::domain::{AppId, UserId};
use spotify_mcp::store::NewLogin;

use super::fixtures::{at, fresh, hash, person};
use crate::support::database::on_both;

pub fn login(state: &str, user: Option<UserId>) -> NewLogin {
    NewLogin {
        most: None,
        state: hash(state),
        browser: hash(format!("browser of {state}")),
        purpose: "client",
        app: AppId::mint(fresh()),
        verifier: b"sealed verifier".to_vec(),
        request: Some(r#"{"client_id":"c"}"#.to_owned()),
        user,
        spotify_scope: "user-library-read".to_owned(),
        now: at(0),
        expires_at: at(300),
    }
}

#[tokio::test]
async fn a_login_is_taken_once_and_whole() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let begun = login("s", Some(arthur.user.clone()));
        db.begin_login(&begun).await.unwrap();
        let taken = db.take_login(begun.state, begun.browser, at(299)).await.unwrap().unwrap();
        assert_eq!((taken.purpose.as_str(), &taken.app), ("client", &begun.app));
        assert_eq!((taken.verifier, taken.request), (begun.verifier, begun.request));
        assert_eq!((taken.user, taken.spotify_scope), (begun.user, begun.spotify_scope));
        assert!(db.take_login(begun.state, begun.browser, at(299)).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_login_is_not_taken_late_by_another_browser_or_under_another_state() {
    on_both(async |db| {
        let begun = login("s", None);
        db.begin_login(&begun).await.unwrap();
        assert!(db.take_login(begun.state, begun.browser, at(300)).await.unwrap().is_none());
        assert!(db.take_login(begun.state, hash("thief"), at(1)).await.unwrap().is_none());
        assert!(db.take_login(hash("guess"), begun.browser, at(1)).await.unwrap().is_none());
        // None of that used it up.
        assert!(db.take_login(begun.state, begun.browser, at(1)).await.unwrap().is_some());
        // A state is never reused.
        assert!(db.begin_login(&begun).await.is_err());
    })
    .await;
}
