//! Spotify apps, linked accounts, their tokens and the right to refresh them.

use spotify_mcp::domain::{AppId, LinkId, UserId};
use spotify_mcp::store::{App, LinkTokens, Reading, SaveLink, Saved};

use super::fixtures::{ACCOUNTS, Person, app, at, event, fresh, leaving, newcomer, person, waiting};
use crate::support::database::{TestDatabase, on_both};

#[tokio::test]
async fn an_app_keeps_its_id_and_takes_new_settings() {
    on_both(async |db| {
        let first = app(db, "app", Some(1)).await;
        assert_eq!(app(db, "app", Some(2)).await, first);
        assert_ne!(app(db, "other", None).await, first);
        let elsewhere = App {
            id: AppId::mint(fresh()),
            accounts_url: "https://sandbox.example".to_owned(),
            client_id: "app".to_owned(),
            own_name: "own:app".to_owned(),
            secret_id: None,
            quota_mode: "extended".to_owned(),
            seats: None,
        };
        assert_eq!(db.register_app(&elsewhere, at(0)).await.unwrap(), elsewhere.id);
        assert_eq!(db.save_link(&newcomer(&first, "arthur"), &[]).await.unwrap(), Saved::Done);
        assert_eq!(db.save_link(&newcomer(&first, "ford"), &[]).await.unwrap(), Saved::Done);
        assert_eq!(db.seats_taken(&first).await.unwrap(), 2);
        assert_eq!(db.seats_taken(&elsewhere.id).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_newcomer_is_saved_whole() {
    on_both(async |db| {
        let before = db.revocations().await.unwrap();
        let arthur = person(db, "arthur").await;
        let after = Reading { accounts: before.accounts + 1, ..before };
        assert_eq!(db.revocations().await.unwrap(), after, "of them alone servers forget what they knew");
        assert_eq!(db.people_changed(before.accounts).await.unwrap(), Some(vec![arthur.user.clone()]));
        let user = db.user(&arthur.user).await.unwrap().unwrap();
        assert_eq!(
            (user.display_name.as_str(), user.created_at, user.disabled_at),
            ("Name arthur", at(0), None)
        );
        assert_eq!((db.count_users().await.unwrap(), user.last_seen_at), (1, at(0)));
        assert!(db.user(&UserId::mint(fresh())).await.unwrap().is_none());

        let links = db.links(&arthur.user).await.unwrap();
        let [link] = links.as_slice() else { panic!("{links:?}") };
        assert_eq!((&link.id, &link.user, &link.app), (&arthur.link, &arthur.user, &arthur.app));
        assert_eq!(
            (link.identity.as_str(), link.spotify_user_id.as_str()),
            ("account-arthur", "user-arthur")
        );
        assert_eq!((link.display_name.as_str(), link.alias.as_str()), ("Name arthur", "main"));
        assert_eq!((link.primary, link.token_version, &link.reconnect), (true, 1, &None));
        assert_eq!((link.scope.as_str(), link.authorized_at), ("user-library-read", at(0)));

        let tokens = db.link_tokens(&arthur.link).await.unwrap().unwrap();
        assert_eq!(
            (&tokens.user, &tokens.app, &tokens.data_key),
            (&arthur.user, &arthur.app, &arthur.data_key)
        );
        assert_eq!((tokens.version, tokens.access_expires_at), (1, at(3600)));
        assert_eq!(tokens.access.as_deref(), Some(&b"sealed access 1"[..]));
        assert_eq!(tokens.refresh.as_deref(), Some(&b"sealed refresh 1"[..]));
        assert!(db.link_tokens(&LinkId::mint(fresh())).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn an_account_is_found_by_its_identity_first_and_then_by_its_old_one() {
    on_both(async |db| {
        let app = app(db, "app", None).await;
        let old = SaveLink { identity: "id:user-arthur".to_owned(), ..newcomer(&app, "arthur") };
        db.save_link(&old, &[]).await.unwrap();
        let found = db.link_of_identity(ACCOUNTS, "zzz", "user-arthur").await.unwrap().unwrap();
        assert_eq!(found.identity, "id:user-arthur");
        assert!(
            db.link_of_identity("https://sandbox.example", "zzz", "user-arthur").await.unwrap().is_none()
        );
        assert!(db.link_of_identity(ACCOUNTS, "zzz", "user-ford").await.unwrap().is_none());
        let new = SaveLink { identity: "zzz".to_owned(), ..newcomer(&app, "arthur") };
        db.save_link(&new, &[]).await.unwrap();
        assert_eq!(
            db.link_of_identity(ACCOUNTS, "zzz", "user-arthur").await.unwrap().unwrap().identity,
            "zzz"
        );
    })
    .await;
}

#[tokio::test]
async fn the_next_login_renews_the_link_if_nobody_changed_it_meanwhile() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        db.mark_reconnect(&arthur.link, 1, "revoked at Spotify", at(10), &[]).await.unwrap();
        let before = db.revocations().await.unwrap();
        assert_eq!(db.save_link(&arthur.again(1), &[event()]).await.unwrap(), Saved::Conflict);
        assert_eq!((db.revocations().await.unwrap(), waiting(db).await), (before, 0));
        let renamed = SaveLink { display_name: "New name".to_owned(), ..arthur.again(2) };
        assert_eq!(db.save_link(&renamed, &[event()]).await.unwrap(), Saved::Done);
        let after = Reading { accounts: before.accounts + 1, ..before };
        assert_eq!((db.revocations().await.unwrap(), waiting(db).await), (after, 1));
        let link = &db.links(&arthur.user).await.unwrap()[0];
        assert_eq!((link.token_version, &link.reconnect, link.authorized_at), (3, &None, at(50)));
        assert_eq!((link.primary, link.alias.as_str()), (true, "main"));
        let user = db.user(&arthur.user).await.unwrap().unwrap();
        assert_eq!((user.display_name.as_str(), user.last_seen_at), ("New name", at(50)));
        let tokens = db.link_tokens(&arthur.link).await.unwrap().unwrap();
        assert_eq!(tokens.access.as_deref(), Some(&b"sealed access 3"[..]));
    })
    .await;
}

#[tokio::test]
async fn a_full_app_keeps_its_people_and_takes_no_more() {
    on_both(async |db| {
        let (small, wide) = (app(db, "small", Some(1)).await, app(db, "app", None).await);
        let arthur = person(db, "arthur").await; // through "app"
        let ford = newcomer(&small, "ford");
        assert_eq!(db.save_link(&ford, &[]).await.unwrap(), Saved::Done);
        assert_eq!(db.save_link(&newcomer(&small, "trillian"), &[event()]).await.unwrap(), Saved::NoSeat);
        assert_eq!(db.count_users().await.unwrap(), 2, "nothing of the one without a seat");
        assert_eq!(db.save_link(&newcomer(&AppId::mint(fresh()), "x"), &[]).await.unwrap(), Saved::NoSeat);
        // Moving in needs a seat too, staying does not, even where the operator lowered the seats.
        let moving = SaveLink { app: small.clone(), ..arthur.again(1) };
        assert_eq!(db.save_link(&moving, &[event()]).await.unwrap(), Saved::NoSeat);
        app(db, "small", Some(0)).await;
        let Err(new) = &ford.link else { unreachable!() };
        let staying = SaveLink { link: Ok((new.id.clone(), 1)), ..ford.clone() };
        assert_eq!(db.save_link(&staying, &[]).await.unwrap(), Saved::Done);
        let leaving = SaveLink { link: Ok((new.id.clone(), 2)), app: wide.clone(), ..ford.clone() };
        assert_eq!(db.save_link(&leaving, &[]).await.unwrap(), Saved::Done);
        assert_eq!((db.seats_taken(&small).await.unwrap(), db.seats_taken(&wide).await.unwrap()), (0, 2));
        assert_eq!(waiting(db).await, 0);
    })
    .await;
}

#[tokio::test]
async fn unlinking_promotes_the_oldest_other_account() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        for (name, later) in [("second", 1), ("third", 2)] {
            let save = SaveLink { now: at(later), ..arthur.second(&arthur.app, name) };
            assert_eq!(db.save_link(&save, &[]).await.unwrap(), Saved::Done);
        }
        let clash = SaveLink { identity: "yet another".to_owned(), ..arthur.second(&arthur.app, "third") };
        assert_eq!(db.save_link(&clash, &[]).await.unwrap(), Saved::Conflict, "the alias is taken");
        assert_eq!(aliases(db, &arthur).await, [("main", true), ("second", false), ("third", false)]);

        let epoch = db.epoch().await.unwrap();
        let unlink = async |person: &Person, link: &LinkId| {
            db.unlink(&person.user, link, leaving(9), &[event()]).await.unwrap()
        };
        assert!(!unlink(&ford, &arthur.link).await, "somebody else's");
        assert!(!unlink(&arthur, &LinkId::mint(fresh())).await);
        assert_eq!((db.epoch().await.unwrap(), waiting(db).await), (epoch, 0));
        assert!(unlink(&arthur, &arthur.link).await);
        assert!(!unlink(&arthur, &arthur.link).await, "twice");
        assert_eq!((db.epoch().await.unwrap(), waiting(db).await), (epoch + 1, 1));
        assert_eq!(aliases(db, &arthur).await, [("second", true), ("third", false)]);
        let third = db.links(&arthur.user).await.unwrap()[1].id.clone();
        assert!(unlink(&arthur, &third).await);
        assert_eq!(aliases(db, &arthur).await, [("second", true)]);
        let last = db.links(&arthur.user).await.unwrap()[0].id.clone();
        assert!(unlink(&arthur, &last).await);
        assert!(db.links(&arthur.user).await.unwrap().is_empty());
        assert_eq!(db.links(&ford.user).await.unwrap().len(), 1);
    })
    .await;
}

async fn aliases(db: &TestDatabase, person: &Person) -> Vec<(&'static str, bool)> {
    let names = ["main", "second", "third"];
    let links = db.links(&person.user).await.unwrap();
    links.iter().map(|l| (*names.iter().find(|name| **name == l.alias).unwrap(), l.primary)).collect()
}

#[tokio::test]
async fn the_right_to_refresh_has_one_holder_for_a_while() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let lease = async |version: i64, holder: &str, now: i64| {
            db.lease_refresh(&arthur.link, version, holder, at(now), at(now + 10)).await.unwrap()
        };
        assert!(!lease(2, "one", 0).await, "another version");
        assert!(lease(1, "one", 0).await);
        assert!(!lease(1, "two", 9).await);
        assert!(lease(1, "one", 9).await, "the holder's own, after a restart in the middle");
        assert!(!lease(1, "two", 10).await, "longer by that");
        assert!(lease(1, "one", 0).await);
        db.release_refresh(&arthur.link, "two").await.unwrap();
        assert!(!lease(1, "two", 9).await, "not theirs to give back");
        assert!(lease(1, "two", 10).await, "expired");
        db.release_refresh(&arthur.link, "two").await.unwrap();
        assert!(lease(1, "three", 11).await);
        assert!(!db.lease_refresh(&LinkId::mint(fresh()), 1, "x", at(0), at(1)).await.unwrap());
    })
    .await;
}

/// What a refresh at Spotify brought, sealed for the version after `version`.
pub fn refreshed(person: &Person, version: i64) -> LinkTokens {
    LinkTokens {
        user: person.user.clone(),
        payer: format!("p_{}", person.name),
        app: person.app.clone(),
        own: None,
        data_key: person.data_key.clone(),
        version: version + 1,
        access: Some(format!("refreshed access {}", version + 1).into_bytes()),
        access_expires_at: at(7200),
        refresh: Some(format!("refreshed refresh {}", version + 1).into_bytes()),
        scope: "user-library-read user-top-read".to_owned(),
        unlisted: false,
        reconnect_reason: None,
    }
}

#[tokio::test]
async fn refreshed_tokens_are_saved_for_the_version_that_was_read() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        db.lease_refresh(&arthur.link, 1, "one", at(0), at(10)).await.unwrap();
        let save = async |version: i64| {
            db.save_refreshed(&arthur.link, version, &refreshed(&arthur, version), &[event()]).await.unwrap()
        };
        assert!(!save(2).await);
        assert!(save(1).await);
        assert!(!save(1).await, "twice");
        assert_eq!(waiting(db).await, 1);
        let tokens = db.link_tokens(&arthur.link).await.unwrap().unwrap();
        assert_eq!((tokens.version, tokens.access_expires_at), (2, at(7200)));
        assert_eq!(tokens.access.as_deref(), Some(&b"refreshed access 2"[..]));
        assert_eq!(tokens.scope, "user-library-read user-top-read");
        // The lease ended with it.
        assert!(db.lease_refresh(&arthur.link, 2, "two", at(1), at(10)).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_link_that_needs_a_login_has_no_tokens_left() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let mark = async |version: i64| {
            db.mark_reconnect(&arthur.link, version, "revoked", at(10), &[event()]).await.unwrap()
        };
        assert!(!mark(2).await);
        assert!(mark(1).await);
        assert!(!mark(1).await, "twice");
        assert_eq!(waiting(db).await, 1);
        let tokens = db.link_tokens(&arthur.link).await.unwrap().unwrap();
        assert_eq!((tokens.version, &tokens.access, &tokens.refresh), (2, &None, &None));
        assert_eq!(tokens.reconnect_reason.as_deref(), Some("revoked"));
        let link = &db.links(&arthur.user).await.unwrap()[0];
        assert_eq!(link.reconnect, Some((at(10), "revoked".to_owned())));
    })
    .await;
}
