//! OAuth clients and consents.

use spotify_mcp::domain::client::AuthMethod;
use spotify_mcp::domain::{ClientId, ScopeSet, UserId};
use spotify_mcp::store::{NewClient, Registered, RegistrationBounds};

use super::fixtures::{
    REDIRECT, at, client_id, event, fresh, hash, neighbourhood, new_client, person, waiting,
};
use crate::support::database::on_both;

#[tokio::test]
async fn a_client_comes_back_as_registered() {
    on_both(async |db| {
        let new = NewClient {
            auth_method: AuthMethod::ClientSecretBasic,
            secret: Some(hash("secret")),
            grant_types: vec!["authorization_code"],
            scopes: ScopeSet::known("read"),
            ..new_client(client_id())
        };
        db.register_client(&new, &[event()]).await.unwrap();
        let client = db.client(&new.id, at(1)).await.unwrap().unwrap();
        assert_eq!((client.id, client.name), (new.id.clone(), new.name.clone()));
        assert_eq!(client.redirect_uris, new.redirect_uris);
        assert_eq!(client.auth_method, AuthMethod::ClientSecretBasic);
        assert_eq!((client.refreshes, client.scopes), (false, new.scopes));
        assert!(client.secret == Some(hash("secret")));
        assert_eq!(waiting(db).await, 1);
        // An id is taken once, and a refused registration reports nothing.
        assert!(db.register_client(&new, &[event()]).await.is_err());
        assert_eq!(waiting(db).await, 1);

        let public = new_client(ClientId::parse("c_public").unwrap());
        db.register_client(&public, &[]).await.unwrap();
        let public = db.client(&public.id, at(1)).await.unwrap().unwrap();
        assert!(public.refreshes && public.secret.is_none());
    })
    .await;
}

#[tokio::test]
async fn the_same_registration_is_known_to_its_own_address_while_nobody_uses_it() {
    on_both(async |db| {
        let named = |id: &str| new_client(ClientId::parse(id).unwrap());
        let alike = |id: &str| NewClient { fingerprint: Some([7; 32]), ..named(id) };
        let known = Registered::Known { id: ClientId::parse("c_1").unwrap(), issued_at: at(0) };
        let new = Registered::New { evicted: Vec::new() };
        assert_eq!(db.register_client(&alike("c_1"), &[event()]).await.unwrap(), new);
        let later = NewClient { now: at(86_399), ..alike("c_2") };
        assert_eq!(db.register_client(&later, &[event()]).await.unwrap(), known);
        assert_eq!(waiting(db).await, 1, "nothing happened");
        let neighbour = NewClient { registered_from: neighbourhood("192.0.2.2"), ..alike("c_3") };
        assert_eq!(db.register_client(&neighbour, &[]).await.unwrap(), new, "a stranger");
        let other = NewClient { fingerprint: Some([8; 32]), ..named("c_4") };
        assert_eq!(db.register_client(&other, &[]).await.unwrap(), new);
        db.touch_client(&ClientId::parse("c_1").unwrap(), at(5), at(900)).await.unwrap();
        assert_eq!(db.register_client(&alike("c_5"), &[]).await.unwrap(), new, "somebody uses it");
        let next_day = NewClient { now: at(86_400), ..alike("c_6") };
        assert_eq!(db.register_client(&next_day, &[]).await.unwrap(), new, "a day later");
    })
    .await;
}

#[tokio::test]
async fn who_was_used_or_approved_neither_counts_nor_goes() {
    on_both(async |db| {
        let bounds = RegistrationBounds { per_address: 0, total: 2 };
        let named = |id: &str, now: i64| NewClient {
            now: at(now),
            bounds,
            ..new_client(ClientId::parse(id).unwrap())
        };
        let arthur = person(db, "arthur").await;
        for (n, id) in [client_id().as_str(), "c_used", "c_old", "c_young"].into_iter().enumerate() {
            let now = i64::try_from(n).unwrap();
            db.register_client(&named(id, now), &[]).await.unwrap();
            if id == "c_used" {
                db.touch_client(&ClientId::parse(id).unwrap(), at(2), at(900_000)).await.unwrap();
            }
            // Approved by a person who is still on the way back to the client.
            if n == 0 {
                db.issue_code(&arthur.code("c"), &[]).await.unwrap();
            }
        }
        let evicted = vec![ClientId::parse("c_old").unwrap()];
        assert_eq!(db.register_client(&named("c_new", 60), &[]).await.unwrap(), Registered::New { evicted });
        let left = "SELECT COUNT(*) FROM clients";
        assert_eq!(db.raw().await.number(left).await, 4);
        let few = RegistrationBounds { per_address: 2, total: 0 };
        let full = NewClient { bounds: few, ..named("c_newer", 3_700) };
        assert_eq!(db.register_client(&full, &[]).await.unwrap(), Registered::TooManyFromAddress);
        let neighbour = NewClient { registered_from: neighbourhood("2001:db8:0:1::1"), ..full };
        assert_eq!(
            db.register_client(&neighbour, &[]).await.unwrap(),
            Registered::New { evicted: Vec::new() }
        );
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_registrations_pushes_out_its_own_network_alone() {
    on_both(async |db| {
        let from = |id: &str, address: &str, now: i64| NewClient {
            now: at(now),
            registered_from: neighbourhood(address),
            bounds: RegistrationBounds { per_address: 0, total: 40 },
            ..new_client(ClientId::parse(id).unwrap())
        };
        db.register_client(&from("c_victim", "198.51.100.7", 0), &[]).await.unwrap();
        let count = async |and: &str| {
            db.raw().await.number(&format!("SELECT COUNT(*) FROM clients WHERE {and}")).await
        };
        // One district fills its share, then its own oldest go.
        for n in 0..15 {
            let new = from(&format!("c_one_{n}"), &format!("2001:db8:1:{n}::1"), 1 + n);
            db.register_client(&new, &[]).await.unwrap();
        }
        assert_eq!((count("id LIKE 'c_one%'").await, count("id = 'c_one_5'").await), (10, 1));
        assert_eq!(count("id = 'c_one_4'").await, 0);
        // Several fill the total, then the oldest of those that have the most go.
        for n in 0..45 {
            let new = from(&format!("c_many_{n}"), &format!("2001:{}:1:{n}::1", 2 + n % 5), 100 + n);
            db.register_client(&new, &[]).await.unwrap();
        }
        assert_eq!((count("id LIKE 'c_%'").await, count("id = 'c_victim'").await), (40, 1));
        let newcomer = from("c_newcomer", "203.0.113.9", 200);
        let Registered::New { evicted } = db.register_client(&newcomer, &[]).await.unwrap() else { panic!() };
        assert!(evicted.len() == 1 && evicted[0].as_str().starts_with("c_many"), "{evicted:?}");
        assert_eq!(count("id IN ('c_victim', 'c_newcomer')").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_region_of_many_networks_pushes_out_its_own_clients_alone() {
    on_both(async |db| {
        let from = |id: &str, address: &str, now: i64| NewClient {
            now: at(now),
            registered_from: neighbourhood(address),
            bounds: RegistrationBounds { per_address: 0, total: 100 },
            ..new_client(ClientId::parse(id).unwrap())
        };
        let count = async |and: &str| {
            db.raw().await.number(&format!("SELECT COUNT(*) FROM clients WHERE {and}")).await
        };
        for n in 0..80 {
            let new = from(&format!("c_other_{n}"), &format!("198.{n}.100.7"), n);
            db.register_client(&new, &[]).await.unwrap();
        }
        // No network has more than one, and all of them together no more than their region's share.
        for n in 0..60 {
            let new = from(&format!("c_wide_{n}"), &format!("2001:db8:{n}::1"), 100 + n);
            db.register_client(&new, &[]).await.unwrap();
        }
        assert_eq!((count("id LIKE 'c_other%'").await, count("id LIKE 'c_wide%'").await), (80, 20));
        assert_eq!(count("id IN ('c_wide_39', 'c_wide_40')").await, 1);
        // Within it, whoever has the most goes first.
        for n in 0..5 {
            let new = from(&format!("c_more_{n}"), &format!("2001:db8:59:{n}::1"), 200 + n);
            db.register_client(&new, &[]).await.unwrap();
        }
        assert_eq!((count("id = 'c_wide_59'").await, count("id = 'c_wide_58'").await), (0, 1));
        assert_eq!((count("id LIKE 'c_other%'").await, count("TRUE").await), (80, 100));
    })
    .await;
}

#[tokio::test]
async fn who_registers_again_keeps_their_place_and_their_life_as_a_newcomer_would() {
    on_both(async |db| {
        let named = |id: &str, now: i64| NewClient {
            now: at(now),
            expires_at: at(now + 7_200),
            bounds: RegistrationBounds { per_address: 0, total: 2 },
            ..new_client(ClientId::parse(id).unwrap())
        };
        let again = |id: &str, now: i64| NewClient { fingerprint: Some([7; 32]), ..named(id, now) };
        db.register_client(&again("c_again", 0), &[]).await.unwrap();
        db.register_client(&named("c_other", 1), &[]).await.unwrap();
        let id = ClientId::parse("c_again").unwrap();
        let known = Registered::Known { id: id.clone(), issued_at: at(0) };
        assert_eq!(db.register_client(&again("c_more", 7_199), &[]).await.unwrap(), known);
        let evicted = vec![ClientId::parse("c_other").unwrap()];
        let said = db.register_client(&named("c_new", 7_200), &[]).await.unwrap();
        assert_eq!(said, Registered::New { evicted });
        assert!(db.client(&id, at(7_199 + 7_199)).await.unwrap().is_some());
        assert!(db.client(&id, at(7_199 + 7_200)).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_client_expires_unless_it_is_used() {
    on_both(async |db| {
        let new = new_client(client_id());
        db.register_client(&new, &[]).await.unwrap();
        assert!(db.client(&new.id, new.expires_at).await.unwrap().is_none());
        db.touch_client(&new.id, at(10), at(90 * 86_400)).await.unwrap();
        assert!(db.client(&new.id, new.expires_at).await.unwrap().is_some());
        assert!(db.client(&ClientId::parse("unknown").unwrap(), at(0)).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn consent_is_for_this_person_client_and_redirect_uri() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        assert_eq!(db.consent(&arthur.user, &client_id(), REDIRECT).await.unwrap(), None);
        db.issue_code(&arthur.code("c1"), &[]).await.unwrap();
        let approved = Some(ScopeSet::known("read player"));
        assert_eq!(db.consent(&arthur.user, &client_id(), REDIRECT).await.unwrap(), approved);
        let elsewhere = "https://client.example/elsewhere";
        assert_eq!(db.consent(&arthur.user, &client_id(), elsewhere).await.unwrap(), None);
        assert_eq!(db.consent(&UserId::mint(fresh()), &client_id(), REDIRECT).await.unwrap(), None);

        let more = spotify_mcp::store::NewCode { scopes: ScopeSet::ALL, ..arthur.code("c2") };
        db.issue_code(&more, &[]).await.unwrap();
        assert_eq!(db.consent(&arthur.user, &client_id(), REDIRECT).await.unwrap(), Some(ScopeSet::ALL));
    })
    .await;
}
