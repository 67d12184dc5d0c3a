//! OAuth clients and consents.

use spotify_mcp::domain::client::AuthMethod;
use spotify_mcp::domain::{ClientId, ScopeSet, UserId};
use spotify_mcp::store::NewClient;

use super::fixtures::{REDIRECT, at, client_id, event, fresh, hash, new_client, person, waiting};
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
