//! Clients that introduce themselves by a metadata document: fetched from a server that lies, judged, remembered.

mod believed;
mod refused;
mod waiting;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::fake::{Answer, Fake, Seen};
use crate::support::browser::Page;
use crate::support::client::{Pair, RegisteredClient};
use crate::support::database::{Place, at_both};
use crate::support::listener::Listener;
use crate::support::server::{Setup, TestServer, folder, plain_http};

const PATH: &str = "/oauth/client.json";
const REDIRECT: &str = "http://127.0.0.1:1/callback";
const JSON: &str = "content-type: application/json\r\n";

/// What a document server answers with, changed by the test as it goes on.
type Said = Arc<Mutex<Box<dyn Fn(&Seen) -> Answer + Send>>>;

struct World {
    server: TestServer,
    site: Fake,
    said: Said,
}

impl World {
    async fn new() -> Self {
        Self::on(Place::sqlite(), &[]).await
    }

    async fn on(place: Place, environment: &[(&str, &str)]) -> Self {
        let said: Said = Arc::new(Mutex::new(Box::new(|_| Answer::Silence)));
        let script = said.clone();
        let (site, pem) = Fake::start_tls(move |_, seen| (script.lock().unwrap())(seen)).await;
        let ca = folder().join("ca.pem");
        std::fs::write(&ca, pem).unwrap();
        let mut setup =
            Setup::on(place).env("SPOTIFY_MCP__AUTH__CLIENT_DOCUMENT_CA", &ca.display().to_string());
        for (name, value) in environment {
            setup = setup.env(name, value);
        }
        let world = Self { server: setup.start().await, site, said };
        world.says(world.document());
        world
    }

    /// The id of the client that the document describes.
    fn id(&self) -> String {
        format!("{}{PATH}", self.site.origin)
    }

    fn document(&self) -> Value {
        json!({"client_id": self.id(), "client_name": "A site's client", "redirect_uris": [REDIRECT]})
    }

    fn answers(&self, answer: impl Fn() -> Answer + Send + 'static) {
        *self.said.lock().unwrap() = Box::new(move |_| answer());
    }

    /// Every target is a client's document, and none is answered before `told`.
    fn holds_documents_of_all(&self, told: watch::Receiver<bool>) {
        let (origin, document) = (self.site.origin.clone(), self.document());
        *self.said.lock().unwrap() = Box::new(move |seen| {
            let mut document = document.clone();
            document["client_id"] = json!(format!("{origin}{}", seen.target));
            Answer::json(200, &document.to_string()).held(&told)
        });
    }

    fn says(&self, document: Value) {
        self.answers(move || {
            Answer::new(200, &format!("{JSON}cache-control: max-age=300\r\n"), &document.to_string())
        });
    }

    fn client(&self) -> RegisteredClient {
        self.client_of(&self.id())
    }

    fn client_of(&self, id: &str) -> RegisteredClient {
        RegisteredClient {
            http: plain_http(),
            origin: self.server.origin.clone(),
            id: id.to_owned(),
            redirect_uri: REDIRECT.to_owned(),
        }
    }

    /// What a browser that was never here sees.
    async fn asks(&self, client: &RegisteredClient) -> Page {
        self.server.browser().open(&client.attempt().path()).await
    }

    fn fetches(&self) -> usize {
        self.site.seen().len()
    }

    /// Makes time pass for what was fetched.
    async fn it_is_stale(&self) {
        self.server.place.raw().await.run("UPDATE clients SET fresh_until = 1 WHERE kind = 'document'").await;
    }
}

fn is_consent(page: &Page) -> bool {
    page.status == StatusCode::OK && !page.forms("/authorize").is_empty()
}

#[tokio::test]
async fn a_client_connects_by_its_document_alone() {
    at_both(async |place| {
        let world = World::on(place, &[]).await;
        let (server, client) = (&world.server, world.client());
        let metadata: Value = server
            .http
            .get(format!("{}/.well-known/oauth-authorization-server", server.origin))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(metadata["client_id_metadata_document_supported"], true);
        assert!(
            metadata["token_endpoint_auth_methods_supported"].as_array().unwrap().contains(&json!("none"))
        );

        let page = world.asks(&client).await;
        assert!(is_consent(&page), "{page:?}");
        for shown in ["A site&#39;s client", "Published by", "127.0.0.1:1", "program on this computer"] {
            assert!(page.text.contains(shown), "{shown}: {}", page.text);
        }
        let ada = Listener::connect("ada", server.browser(), client.clone()).await;
        assert_eq!(ada.call("get_current_track", json!({})).await.status, StatusCode::OK);
        assert!(ada.browser.open("/account").await.text.contains("A site&#39;s client"));

        // Another port of loopback is the same program's (RFC 8252); another path is not.
        let other = |uri: &str| RegisteredClient { redirect_uri: uri.to_owned(), ..client.clone() };
        assert!(is_consent(&world.asks(&other("http://127.0.0.1:50000/callback")).await));
        assert_eq!(world.asks(&other("http://127.0.0.1:1/other")).await.code(), "REDIRECT_MISMATCH");
        assert_eq!(world.fetches(), 1);

        // The token endpoint needs no document server.
        world.answers(|| Answer::Cut(Vec::new()));
        world.it_is_stale().await;
        ada.refresh().await;
        assert_eq!(ada.call("get_current_track", json!({})).await.status, StatusCode::OK);
        assert_eq!(world.fetches(), 1);
        let seen = &world.site.seen()[0];
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", PATH));
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
        assert_eq!((seen.header("authorization"), seen.header("cookie")), (None, None));
    })
    .await;
}
