//! API keys and the nonces of their signatures.

use spotify_mcp::domain::event::{Event, EventCode};
use spotify_mcp::domain::{ApiKeyId, ScopeSet, UserId};
use spotify_mcp::store::{Added, KeyEnd, NewApiKey, Spent};

use super::fixtures::{Person, at, event, fresh, hash, person, race, waiting};
use crate::support::database::on_both;

const DAY: i64 = 86_400;

fn key(person: &Person, name: &str) -> NewApiKey {
    NewApiKey {
        id: ApiKeyId::mint(fresh()),
        user: person.user.clone(),
        name: format!("Key {name}"),
        prefix: "smcp_abcdef".to_owned(),
        hash: hash(name),
        scopes: ScopeSet::known("read player"),
        signing: Some((person.data_key.clone(), b"sealed".to_vec())),
        now: at(0),
        expires_at: Some(at(90 * DAY)),
        most: 20,
    }
}

#[tokio::test]
async fn a_key_is_found_by_its_hash_and_by_its_id() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let new = key(&arthur, "towel");
        assert_eq!(db.add_api_key(&new, &[event()]).await.unwrap(), Added::Done);
        let grant = db.key_grant(hash("towel")).await.unwrap().unwrap();
        assert_eq!((&grant.id, &grant.user, grant.scopes), (&new.id, &arthur.user, new.scopes));
        assert_eq!(
            (grant.link, grant.expires_at, grant.ended),
            (Some(arthur.link.clone()), new.expires_at, false)
        );
        assert_eq!(grant.signing, new.signing);
        assert_eq!(db.key_grant_by_id(&new.id).await.unwrap().unwrap().id, new.id);
        assert!(db.key_grant(hash("guess")).await.unwrap().is_none());
        assert!(db.key_grant_by_id(&ApiKeyId::mint(fresh())).await.unwrap().is_none());

        db.raw().await.run(&format!("UPDATE users SET disabled_at = 1 WHERE id = '{}'", arthur.user)).await;
        assert!(db.key_grant(hash("towel")).await.unwrap().unwrap().ended, "with its person");
        assert_eq!(db.add_api_key(&key(&arthur, "more"), &[event()]).await.unwrap(), Added::Nobody);
        assert_eq!(waiting(db).await, 1);
    })
    .await;
}

#[tokio::test]
async fn keys_end_once_and_only_for_their_owner() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        let new = key(&arthur, "towel");
        db.add_api_key(&new, &[]).await.unwrap();
        let epoch = db.epoch().await.unwrap();
        let revoke = async |user: Option<&UserId>, id: &ApiKeyId| {
            db.revoke_api_key(user, id, at(5), &[event()]).await.unwrap()
        };
        assert_eq!(revoke(Some(&ford.user), &new.id).await, KeyEnd::Unknown, "somebody else's");
        assert_eq!(revoke(None, &ApiKeyId::mint(fresh())).await, KeyEnd::Unknown);
        assert!(!db.key_grant(hash("towel")).await.unwrap().unwrap().ended);
        assert_eq!(db.epoch().await.unwrap(), epoch);
        assert_eq!(revoke(Some(&arthur.user), &new.id).await, KeyEnd::Done);
        assert_eq!(db.epoch().await.unwrap(), epoch + 1);
        assert_eq!(revoke(None, &new.id).await, KeyEnd::Before);
        assert!(db.key_grant(hash("towel")).await.unwrap().unwrap().ended);
        assert!(db.api_keys(None).await.unwrap().is_empty());
        assert_eq!(waiting(db).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_person_has_so_many_living_keys_even_in_a_race() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        let expired = NewApiKey { expires_at: Some(at(-1)), ..key(&arthur, "expired") };
        assert_eq!(db.add_api_key(&expired, &[]).await.unwrap(), Added::Done, "does not count later");
        let (store, node) = (db.store(), db.node().await);
        let keys: Vec<_> =
            (0..8).map(|n| NewApiKey { most: 3, ..key(&arthur, &format!("key {n}")) }).collect();
        let added = race(8, |n| {
            let (store, key) = (if n % 2 == 0 { store.clone() } else { node.clone() }, keys[n].clone());
            async move { store.add_api_key(&key, &[]).await.unwrap() }
        })
        .await;
        assert_eq!(added.iter().filter(|added| **added == Added::Done).count(), 3, "{added:?}");
        assert_eq!(added.iter().filter(|added| **added == Added::TooMany).count(), 5);
        assert_eq!(db.add_api_key(&key(&ford, "ford's"), &[]).await.unwrap(), Added::Done);
        assert_eq!(db.api_keys(Some(&arthur.user)).await.unwrap().len(), 4);
        assert_eq!(db.api_keys(None).await.unwrap().len(), 5);
    })
    .await;
}

#[tokio::test]
async fn the_last_use_only_moves_forward() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let new = key(&arthur, "towel");
        db.add_api_key(&new, &[]).await.unwrap();
        let last = async || db.api_keys(None).await.unwrap()[0].last_used_at;
        assert_eq!(last().await, None);
        let gone = ApiKeyId::mint(fresh());
        db.touch_api_keys(&[(new.id.clone(), at(70)), (gone, at(70))]).await.unwrap();
        db.touch_api_keys(&[(new.id.clone(), at(60))]).await.unwrap();
        assert_eq!(last().await, Some(at(70)));
    })
    .await;
}

#[tokio::test]
async fn dead_keys_go_after_a_while() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let (revoked, expires, lasts) = (key(&arthur, "revoked"), key(&arthur, "expires"), key(&arthur, "l"));
        let lasts = NewApiKey { expires_at: None, ..lasts };
        for key in [&revoked, &expires, &lasts] {
            db.add_api_key(key, &[]).await.unwrap();
        }
        db.revoke_api_key(None, &revoked.id, at(0), &[]).await.unwrap();
        assert_eq!(db.purge(at(DAY - 1)).await.unwrap().keys, 0);
        assert_eq!(db.purge(at(DAY)).await.unwrap().keys, 1);
        assert_eq!(db.purge(at(120 * DAY - 1)).await.unwrap().keys, 0, "its owner still sees it");
        assert_eq!(db.purge(at(120 * DAY)).await.unwrap().keys, 1);
        assert_eq!(db.api_keys(None).await.unwrap()[0].id, lasts.id);
    })
    .await;
}

#[tokio::test]
async fn people_are_found_by_each_of_their_names() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        for name in [arthur.user.as_str(), "user-arthur", "account-arthur"] {
            assert_eq!(db.people_called(name).await.unwrap(), [(arthur.user.clone(), true)], "{name}");
        }
        assert!(db.people_called("Name arthur").await.unwrap().is_empty(), "names are not unique");
        // The same user id at two accounts services, or a hostile id that looks like another person's.
        let raw = db.raw().await;
        raw.run(&format!(
            "UPDATE linked_accounts SET spotify_user_id = '{}' WHERE user_id = '{}'",
            arthur.user, ford.user
        ))
        .await;
        assert_eq!(db.people_called(arthur.user.as_str()).await.unwrap().len(), 2, "ambiguous");
    })
    .await;
}

#[tokio::test]
async fn events_stand_in_the_outbox_with_the_change() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let mut created = event();
        created.event = Event::new(EventCode::ApiKeyCreated).by(&arthur.user);
        db.add_api_key(&key(&arthur, "towel"), &[created]).await.unwrap();
        let twice = key(&arthur, "towel");
        assert!(db.add_api_key(&twice, &[event()]).await.is_err(), "the same hash");
        let outbox = db.outbox(10).await.unwrap();
        assert_eq!(outbox.len(), 1);
        assert_eq!(outbox[0].event.code(), EventCode::ApiKeyCreated);
    })
    .await;
}

#[tokio::test]
async fn a_nonce_is_spent_once_whoever_comes_and_however_many() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let (new, other) = (key(&arthur, "towel"), key(&arthur, "other"));
        for key in [&new, &other] {
            db.add_api_key(key, &[]).await.unwrap();
        }
        let (store, node) = (db.store(), db.node().await);
        let spent = race(8, |n| {
            let (store, id) = (if n % 2 == 0 { store.clone() } else { node.clone() }, new.id.clone());
            async move { store.spend_nonce(&id, hash("nonce"), at(60), 3).await.unwrap() }
        })
        .await;
        assert_eq!(spent.iter().filter(|spent| **spent == Spent::Fresh).count(), 1, "{spent:?}");
        assert_eq!(spent.iter().filter(|spent| **spent == Spent::Before).count(), 7);
        let spend =
            async |id: &ApiKeyId, nonce: &str| db.spend_nonce(id, hash(nonce), at(60), 3).await.unwrap();
        assert_eq!(spend(&other.id, "nonce").await, Spent::Fresh, "each key's own");
        assert_eq!(spend(&new.id, "second").await, Spent::Fresh);
        assert_eq!(spend(&new.id, "third").await, Spent::Fresh);
        assert_eq!(spend(&new.id, "fourth").await, Spent::TooMany, "bounded");
        assert_eq!(spend(&new.id, "third").await, Spent::Before);
        assert_eq!(db.purge(at(59)).await.unwrap().keys, 0);
        assert_eq!(db.purge(at(60)).await.unwrap().keys, 4, "forgotten when they are too old to count");
        assert_eq!(spend(&new.id, "fourth").await, Spent::Fresh);
        assert!(db.spend_nonce(&ApiKeyId::mint(fresh()), hash("x"), at(60), 3).await.is_err(), "of no key");
    })
    .await;
}
