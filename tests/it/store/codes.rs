//! Authorization codes, and the grants that they become.

use spotify_mcp::domain::resource::Resource;
use spotify_mcp::domain::{GrantId, ScopeSet, UserId};
use spotify_mcp::store::NewCode;

use super::fixtures::{
    REDIRECT, at, client_id, event, fresh, grant, hash, new_client, person, tokens, waiting,
};
use crate::support::database::on_both;

#[tokio::test]
async fn a_code_comes_back_as_issued_and_names_its_grant_once_used() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let new = NewCode { resource: Resource::ClaudeMcp, ..arthur.code("c") };
        db.issue_code(&new, &[event()]).await.unwrap();
        let row = db.code(hash("c")).await.unwrap().unwrap();
        assert_eq!((row.user, row.scopes), (arthur.user.clone(), new.scopes));
        assert_eq!((&row.code.client, &row.code.redirect_uri), (&new.client, &new.redirect_uri));
        assert_eq!((&row.code.challenge, row.code.resource), (&new.challenge, Resource::ClaudeMcp));
        assert_eq!((row.code.expires_at, row.code.redeemed, row.code.failures), (at(60), None, 0));
        assert!(db.code(hash("other")).await.unwrap().is_none());

        let id = GrantId::mint(fresh());
        assert!(db.redeem_code(hash("c"), &id, at(1000), &tokens("c", 5), &[event()]).await.unwrap());
        assert_eq!(db.code(hash("c")).await.unwrap().unwrap().code.redeemed, Some(id.clone()));
        assert_eq!(db.grant_resource(&id).await.unwrap(), Some(Resource::ClaudeMcp));
        assert_eq!(db.grant_resource(&GrantId::mint(fresh())).await.unwrap(), None);
        assert_eq!(waiting(db).await, 2);

        let access = db.access_grant(hash("access-c")).await.unwrap().unwrap();
        assert_eq!((access.user, access.client, access.grant), (arthur.user, client_id(), id));
        assert_eq!((access.scopes, access.link), (new.scopes, Some(arthur.link)));
        assert_eq!((access.expires_at, access.ended), (at(3605), false));
        assert!(db.access_grant(hash("refresh-c")).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_code_is_not_redeemed_twice_late_or_after_five_failures() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let redeem = async |code: &str, now: i64| {
            let id = GrantId::mint(fresh());
            let name = format!("{code}-{now}");
            db.redeem_code(hash(code), &id, at(1000), &tokens(&name, now), &[event()]).await.unwrap()
        };
        for code in ["used", "late", "tried", "almost"] {
            db.issue_code(&arthur.code(code), &[]).await.unwrap();
        }
        assert!(redeem("used", 1).await);
        assert!(!redeem("used", 2).await);
        assert!(!redeem("late", 60).await);
        assert!(!redeem("unknown", 1).await);
        for (code, failures) in [("tried", 5), ("almost", 4)] {
            for _ in 0..failures {
                db.count_code_failure(hash(code)).await.unwrap();
            }
            assert_eq!(db.code(hash(code)).await.unwrap().unwrap().code.failures, failures);
        }
        assert!(!redeem("tried", 1).await);
        assert!(redeem("almost", 1).await);
        assert_eq!(waiting(db).await, 2);
        assert_eq!(db.raw().await.number("SELECT COUNT(*) FROM grants").await, 2);
    })
    .await;
}

#[tokio::test]
async fn tokens_end_with_their_grant() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        let id = grant(db, &arthur, "a").await;
        let epoch = db.epoch().await.unwrap();
        let revoke = async |user: &UserId| {
            db.revoke_grant(user, &id, "disconnected", at(10), &[event()]).await.unwrap()
        };
        assert!(!revoke(&ford.user).await, "somebody else's");
        assert_eq!((db.epoch().await.unwrap(), waiting(db).await), (epoch, 0));
        assert!(revoke(&arthur.user).await);
        assert!(!revoke(&arthur.user).await, "twice");
        assert_eq!((db.epoch().await.unwrap(), waiting(db).await), (epoch + 1, 1));
        assert!(db.access_grant(hash("access-a")).await.unwrap().unwrap().ended);
        assert!(db.refresh_token(hash("refresh-a")).await.unwrap().unwrap().token.grant_revoked);
        // What was withdrawn is not remembered.
        assert_eq!(db.consent(&arthur.user, &client_id(), REDIRECT).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn an_access_token_ends_alone_and_is_reported_once() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        grant(db, &arthur, "a").await;
        let epoch = db.epoch().await.unwrap();
        db.revoke_access_token(hash("unknown"), at(1), &[event()]).await.unwrap();
        assert_eq!((db.epoch().await.unwrap(), waiting(db).await), (epoch, 0));
        for _ in 0..2 {
            db.revoke_access_token(hash("access-a"), at(1), &[event()]).await.unwrap();
        }
        assert_eq!((db.epoch().await.unwrap(), waiting(db).await), (epoch + 1, 1));
        assert!(db.access_grant(hash("access-a")).await.unwrap().unwrap().ended);
        assert!(!db.refresh_token(hash("refresh-a")).await.unwrap().unwrap().token.grant_revoked);
    })
    .await;
}

#[tokio::test]
async fn a_disabled_person_has_no_living_token() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        grant(db, &arthur, "a").await;
        db.begin_browser_session(&arthur.session("cookie", 0, 3), &[]).await.unwrap();
        db.issue_code(&arthur.code("pending"), &[]).await.unwrap();
        db.raw().await.run("UPDATE users SET disabled_at = 1").await;

        assert!(db.user(&arthur.user).await.unwrap().unwrap().disabled_at.is_some());
        assert!(db.access_grant(hash("access-a")).await.unwrap().unwrap().ended);
        assert!(db.refresh_token(hash("refresh-a")).await.unwrap().unwrap().token.grant_revoked);
        assert!(db.browser_session(hash("cookie"), at(1)).await.unwrap().is_none());
        let id = GrantId::mint(fresh());
        assert!(!db.redeem_code(hash("pending"), &id, at(99), &tokens("p", 1), &[]).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn connected_clients_are_the_living_grants_last_used_first() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        db.register_client(&new_client(client_id()), &[]).await.unwrap();
        let (old, new, gone) =
            (grant(db, &arthur, "a").await, grant(db, &arthur, "b").await, grant(db, &arthur, "c").await);
        db.touch_grant(&new, at(100)).await.unwrap();
        db.revoke_grant(&arthur.user, &gone, "disconnected", at(1), &[]).await.unwrap();

        let connected = db.connected_clients(&arthur.user, at(200)).await.unwrap();
        let ids: Vec<_> = connected.iter().map(|client| &client.grant).collect();
        assert_eq!(ids, [&new, &old]);
        let first = &connected[0];
        assert_eq!((first.name.as_str(), first.redirect_uri.as_str()), ("Client of nobody", REDIRECT));
        assert_eq!((first.created_at, first.last_used_at), (at(0), at(100)));
        assert_eq!(first.scopes, ScopeSet::known("read player"));
        assert!(db.connected_clients(&arthur.user, at(90 * 86_400)).await.unwrap().is_empty());
        assert!(db.connected_clients(&UserId::mint(fresh()), at(0)).await.unwrap().is_empty());
    })
    .await;
}
