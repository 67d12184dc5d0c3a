//! Housekeeping: what goes, and above all what stays.

use spotify_mcp::domain::refresh::{RefreshOutcome, present};
use spotify_mcp::domain::{ClientId, GrantId};
use spotify_mcp::store::{NewClient, Purged};

use super::fixtures::{REDIRECT, at, client_id, event, fresh, grant, hash, new_client, person, waiting};
use super::logins::login;
use super::refresh_tokens::rotation;
use crate::support::database::on_both;

const DAY: i64 = 86_400;

#[tokio::test]
async fn nothing_living_goes() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        grant(db, &arthur, "a").await;
        db.begin_login(&login("s", None)).await.unwrap();
        db.begin_browser_session(&arthur.session("cookie", 0, 3), &[event()]).await.unwrap();
        db.register_client(&new_client(client_id()), &[]).await.unwrap();
        let before = db.raw().await.dump().await;
        assert_eq!(db.purge(at(59)).await.unwrap(), Purged::default());
        assert_eq!(db.raw().await.dump().await, before);
        assert_eq!(waiting(db).await, 1);
    })
    .await;
}

#[tokio::test]
async fn logins_and_sessions_go_when_they_end() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        for state in ["used", "late"] {
            db.begin_login(&login(state, None)).await.unwrap();
        }
        let used = login("used", None);
        db.take_login(used.state, used.browser, at(1)).await.unwrap().unwrap();
        for cookie in ["ended", "expired"] {
            db.begin_browser_session(&arthur.session(cookie, 0, 1), &[]).await.unwrap();
        }
        let first = db.purge(at(2)).await.unwrap();
        assert_eq!(
            (first.logins, first.sessions, first.timed_out),
            (0, 1, 0),
            "Spotify has answered, and it is not completed yet"
        );
        assert_eq!(db.purge(at(121)).await.unwrap().logins, 1);
        assert_eq!(db.purge(at(300)).await.unwrap(), Purged { logins: 1, timed_out: 1, ..Purged::default() });
        let last = db.purge(at(30 * DAY)).await.unwrap();
        assert_eq!(last, Purged { sessions: 1, timed_out: 1, ..Purged::default() });
    })
    .await;
}

#[tokio::test]
async fn a_used_code_is_known_for_a_day() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let id = grant(db, &arthur, "a").await;
        assert_eq!(db.purge(at(60 + DAY - 1)).await.unwrap().codes, 0);
        assert_eq!(db.code(hash("code-a")).await.unwrap().unwrap().code.redeemed, Some(id));
        assert_eq!(db.purge(at(60 + DAY)).await.unwrap().codes, 1);
        assert!(db.code(hash("code-a")).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_rotated_token_is_recognised_as_long_as_its_family_lives() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let id = grant(db, &arthur, "a").await;
        assert!(db.rotate(&rotation("a", "b", &id, 100), &[]).await.unwrap());
        // The pair is kept for the grace of sixty seconds, and not longer.
        db.purge(at(159)).await.unwrap();
        assert!(db.successor(hash("refresh-a")).await.unwrap().is_some());
        db.purge(at(160)).await.unwrap();
        assert!(db.successor(hash("refresh-a")).await.unwrap().is_none());

        // Both expired long ago: the rotated one tells theft apart, the other one is only old.
        let now = at(89 * DAY);
        let purged = db.purge(now).await.unwrap();
        assert_eq!((purged.tokens, purged.grants), (3, 0));
        let stolen = db.refresh_token(hash("refresh-a")).await.unwrap().unwrap();
        assert_eq!(present(&stolen.token, &client_id(), now), RefreshOutcome::Reused);
        assert!(db.refresh_token(hash("refresh-b")).await.unwrap().is_none());
        // With the family it goes, a day later.
        assert_eq!(db.purge(at(91 * DAY - 1)).await.unwrap().grants, 0);
        assert_eq!(db.purge(at(91 * DAY)).await.unwrap().grants, 1);
        assert_eq!(db.raw().await.number("SELECT COUNT(*) FROM refresh_tokens").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_revoked_family_is_known_for_a_day() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let id = grant(db, &arthur, "a").await;
        db.revoke_grant(&arthur.user, &id, "reuse", at(10), &[]).await.unwrap();
        assert_eq!(db.purge(at(10 + DAY - 1)).await.unwrap().grants, 0);
        assert!(db.refresh_token(hash("refresh-a")).await.unwrap().unwrap().token.grant_revoked);
        assert_eq!(db.purge(at(10 + DAY)).await.unwrap().grants, 1);
        assert!(db.refresh_token(hash("refresh-a")).await.unwrap().is_none());
        assert!(db.access_grant(hash("access-a")).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_client_goes_when_nobody_has_it_connected() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let (used, unused) = (client_id(), ClientId::parse("c_unused").unwrap());
        let lasting =
            NewClient { expires_at: at(1000 * DAY), ..new_client(ClientId::parse("c_lasting").unwrap()) };
        for client in [new_client(used.clone()), new_client(unused.clone()), lasting.clone()] {
            db.register_client(&client, &[]).await.unwrap();
        }
        let id = grant(db, &arthur, "a").await;
        assert_eq!(db.purge(at(7 * DAY)).await.unwrap().clients, 1);
        db.touch_client(&used, at(7 * DAY), at(8 * DAY)).await.unwrap();
        assert!(db.client(&used, at(7 * DAY)).await.unwrap().is_some());
        // Its end takes the consents with it.
        let another = GrantId::mint(fresh());
        assert!(!db.revoke_grant(&arthur.user, &another, "x", at(7 * DAY), &[]).await.unwrap());
        db.raw().await.run("UPDATE grants SET revoked_at = 1").await;
        assert!(db.consent(&arthur.user, &used, REDIRECT).await.unwrap().is_some());
        assert!(db.grant_resource(&id).await.unwrap().is_some());
        assert_eq!(db.purge(at(8 * DAY)).await.unwrap().clients, 1);
        assert!(db.consent(&arthur.user, &used, REDIRECT).await.unwrap().is_none());
        assert!(db.client(&lasting.id, at(8 * DAY)).await.unwrap().is_some());
        // Who did not register by themselves is not theirs to lose.
        db.raw().await.run("UPDATE clients SET kind = 'configured', expires_at = 1").await;
        assert_eq!(db.purge(at(8 * DAY)).await.unwrap().clients, 0);
    })
    .await;
}
