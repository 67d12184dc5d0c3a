//! Clients that documents describe, and the names of configured ones.

use spotify_mcp::domain::client::{AuthMethod, ClientMetadata};
use spotify_mcp::domain::redirect::RedirectUri;
use spotify_mcp::domain::{ClientId, ScopeSet};
use spotify_mcp::store::{Client, NewDocument};

use super::fixtures::{REDIRECT, at, event, waiting};
use crate::support::database::on_both;

const DAY: i64 = 86_400;

fn id(name: &str) -> ClientId {
    ClientId::parse(&format!("https://client.example/{name}")).unwrap()
}

fn document(name: &str, now: i64) -> NewDocument {
    NewDocument {
        id: id(name),
        metadata: ClientMetadata {
            name: "A client".to_owned(),
            redirect_uris: vec![RedirectUri::parse(REDIRECT).unwrap()],
            auth_method: AuthMethod::None,
            scopes: ScopeSet::ALL,
            grant_types: vec!["authorization_code", "refresh_token"],
        },
        fetched_at: Some(at(now)),
        fresh_until: Some(at(now + 300)),
        now: at(now),
        expires_at: at(now + 7 * DAY),
    }
}

#[tokio::test]
async fn a_document_takes_the_place_of_the_one_before() {
    on_both(async |db| {
        assert!(db.client_document(&id("a")).await.unwrap().is_none());
        db.keep_document(&document("a", 0), &[event()]).await.unwrap();
        let mut changed = document("a", 400);
        changed.metadata.redirect_uris = vec![RedirectUri::parse("https://client.example/moved").unwrap()];
        changed.metadata.grant_types = vec!["authorization_code"];
        db.keep_document(&changed, &[event()]).await.unwrap();
        let kept = db.client_document(&id("a")).await.unwrap().unwrap();
        assert_eq!(kept.fresh_until, Some(at(700)));
        assert_eq!(kept.client.redirect_uris, changed.metadata.redirect_uris);
        assert!(!kept.client.refreshes && kept.client.secret.is_none());
        assert_eq!(waiting(db).await, 2);

        // A long life that use has earned is not cut short by a fetch.
        db.touch_client(&id("a"), at(500), at(90 * DAY)).await.unwrap();
        db.keep_document(&document("a", 600), &[]).await.unwrap();
        assert!(db.client(&id("a"), at(89 * DAY)).await.unwrap().is_some());
        assert!(db.client(&id("a"), at(90 * DAY)).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn unused_documents_go_when_they_expire() {
    on_both(async |db| {
        db.keep_document(&document("unused", 0), &[]).await.unwrap();
        db.keep_document(&document("used", 0), &[]).await.unwrap();
        db.touch_client(&id("used"), at(1), at(90 * DAY)).await.unwrap();
        assert_eq!(db.purge(at(7 * DAY - 1)).await.unwrap().clients, 0);
        assert_eq!(db.purge(at(7 * DAY)).await.unwrap().clients, 1);
        assert!(db.client_document(&id("unused")).await.unwrap().is_none());
        assert!(db.client_document(&id("used")).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn of_very_many_unused_documents_the_newest_stay() {
    on_both(async |db| {
        db.keep_document(&document("first", 0), &[]).await.unwrap();
        db.keep_document(&document("used", 0), &[]).await.unwrap();
        db.touch_client(&id("used"), at(1), at(90 * DAY)).await.unwrap();
        let many =
            "INSERT INTO clients (id, kind, name, redirect_uris, auth_method, grant_types, scope, created_at)
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
            SELECT 'https://flood.example/' || i, 'document', 'n', '[]', 'none', '[]', '', 1800000001 FROM n";
        db.raw().await.run(many).await;
        assert_eq!(db.purge(at(2)).await.unwrap().clients, 1);
        assert!(db.client_document(&id("first")).await.unwrap().is_none());
        assert!(db.client_document(&id("used")).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn configured_clients_are_names_alone_and_as_the_configuration_says() {
    on_both(async |db| {
        let client = |id: ClientId| Client {
            id,
            name: "Ours".to_owned(),
            redirect_uris: vec![RedirectUri::parse(REDIRECT).unwrap()],
            auth_method: AuthMethod::ClientSecretBasic,
            refreshes: true,
            scopes: ScopeSet::ALL,
            secret: Some(super::fixtures::hash("secret")),
        };
        db.keep_document(&document("a", 0), &[]).await.unwrap();
        let plain = ClientId::parse("plain").unwrap();
        db.write_configured(&[client(plain.clone()), client(id("a"))], at(1)).await.unwrap();
        // Known from the configuration, never from here.
        assert!(db.client(&plain, at(1)).await.unwrap().is_none());
        assert!(db.client_document(&id("a")).await.unwrap().is_none());
        let raw = db.raw().await;
        assert_eq!(raw.number("SELECT COUNT(*) FROM clients WHERE secret_hash IS NOT NULL").await, 0);
        assert_eq!(raw.number("SELECT COUNT(*) FROM clients WHERE kind = 'configured'").await, 2);
        assert_eq!(db.purge(at(1000 * DAY)).await.unwrap().clients, 0);
        db.write_configured(&[], at(2)).await.unwrap();
        assert_eq!(raw.number("SELECT COUNT(*) FROM clients").await, 0);
    })
    .await;
}
