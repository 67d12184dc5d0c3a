//! People, apps, grants and events to begin with, and a starting gun for races.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use spotify_mcp::ambient::Timestamp;
use spotify_mcp::crypto::token::TokenHash;
use spotify_mcp::domain::client::AuthMethod;
use spotify_mcp::domain::event::{Event, EventCode};
use spotify_mcp::domain::ids::EventId;
use spotify_mcp::domain::pkce::{CodeChallenge, CodeVerifier};
use spotify_mcp::domain::redirect::RedirectUri;
use spotify_mcp::domain::resource::Resource;
use spotify_mcp::domain::{
    AppId, ClientId, DataKeyId, GrantId, LinkId, Neighbourhood, ScopeSet, SessionId, UserId,
};
use spotify_mcp::store::{
    App, DataKeyRow, Leaving, NewBrowserSession, NewClient, NewCode, NewLink, NewTokens, Recorded,
    RegistrationBounds, SaveLink, Saved, Store,
};

pub const ACCOUNTS: &str = "https://accounts.example";
pub const REDIRECT: &str = "https://client.example/callback";

/// Seconds after the beginning of every test.
pub fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

/// At this second, with nobody to take the place of the account that goes.
pub fn leaving(secs: i64) -> Leaving<'static> {
    Leaving { former: None, heir: None, now: at(secs) }
}

pub fn hash(text: impl AsRef<str>) -> TokenHash {
    TokenHash::of(text.as_ref())
}

pub fn fresh() -> [u8; 16] {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    u128::from(COUNT.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
}

pub fn client_id() -> ClientId {
    ClientId::parse("c_00000000000000000000000000000001").unwrap()
}

pub fn event() -> Recorded {
    Recorded { id: EventId::mint(fresh()), at: at(0), event: Event::new(EventCode::AuthnLoginSuccess) }
}

/// How many events wait.
pub async fn waiting(store: &Store) -> usize {
    store.outbox(1000).await.unwrap().len()
}

pub async fn app(store: &Store, name: &str, seats: Option<i64>) -> AppId {
    let app = App {
        id: AppId::mint(fresh()),
        accounts_url: ACCOUNTS.to_owned(),
        client_id: name.to_owned(),
        own_name: format!("own:{name}"),
        secret_id: None,
        quota_mode: "development".to_owned(),
        seats,
    };
    store.register_app(&app, at(0)).await.unwrap()
}

/// The first login of the owner of a Spotify account.
pub fn newcomer(app: &AppId, name: &str) -> SaveLink {
    let (user, data_key) = (UserId::mint(fresh()), DataKeyId::mint(fresh()));
    let new_data_key = DataKeyRow {
        id: data_key.clone(),
        user: user.clone(),
        master_key_id: "m1".to_owned(),
        wrapped: vec![7; 60],
    };
    let new = NewLink {
        id: LinkId::mint(fresh()),
        user,
        new_user: true,
        new_data_key: Some(new_data_key),
        alias: "main".to_owned(),
        opens: true,
    };
    SaveLink {
        link: Err(new),
        app: app.clone(),
        own: None,
        places_each: i64::MAX,
        accounts_url: ACCOUNTS.to_owned(),
        identity: format!("account-{name}"),
        payer: Some(format!("p_{name}")),
        spotify_user_id: format!("user-{name}"),
        display_name: format!("Name {name}"),
        scope: "user-library-read".to_owned(),
        data_key,
        instead: None,
        access: b"sealed access 1".to_vec(),
        access_expires_at: at(3600),
        refresh: Some(b"sealed refresh 1".to_vec()),
        now: at(0),
    }
}

/// A person with one linked account.
pub struct Person {
    pub user: UserId,
    pub link: LinkId,
    pub data_key: DataKeyId,
    pub app: AppId,
    pub name: String,
}

pub async fn person(store: &Store, name: &str) -> Person {
    let app = app(store, "app", None).await;
    let save = newcomer(&app, name);
    assert_eq!(store.save_link(&save, &[]).await.unwrap(), Saved::Done);
    let Err(new) = save.link else { unreachable!() };
    Person { user: new.user, link: new.id, data_key: save.data_key, app, name: name.to_owned() }
}

impl Person {
    /// One more account of theirs, through `app`.
    pub fn second(&self, app: &AppId, name: &str) -> SaveLink {
        let new = NewLink {
            id: LinkId::mint(fresh()),
            user: self.user.clone(),
            new_user: false,
            new_data_key: None,
            alias: name.to_owned(),
            opens: false,
        };
        SaveLink { link: Err(new), data_key: self.data_key.clone(), ..newcomer(app, name) }
    }

    /// The next login with their account, for the version that was read.
    pub fn again(&self, version: i64) -> SaveLink {
        SaveLink {
            link: Ok((self.link.clone(), version)),
            data_key: self.data_key.clone(),
            access: format!("sealed access {}", version + 1).into_bytes(),
            refresh: Some(format!("sealed refresh {}", version + 1).into_bytes()),
            now: at(50),
            ..newcomer(&self.app, &self.name)
        }
    }

    pub fn session(&self, cookie: &str, now: i64, most: i64) -> NewBrowserSession {
        NewBrowserSession {
            id: SessionId::mint(fresh()),
            hash: hash(cookie),
            user: self.user.clone(),
            agent: format!("Browser of {}", self.name),
            now: at(now),
            expires_at: at(now + 30 * 86_400),
            most,
            login: None,
        }
    }

    pub fn code(&self, code: &str) -> NewCode {
        NewCode {
            hash: hash(code),
            user: self.user.clone(),
            client: client_id(),
            redirect_uri: RedirectUri::parse(REDIRECT).unwrap(),
            challenge: CodeChallenge::of(&CodeVerifier::mint(&[1; 32])),
            resource: Resource::Mcp,
            scopes: ScopeSet::known("read player"),
            now: at(0),
            expires_at: at(60),
            login: None,
        }
    }
}

/// A pair of tokens that are called `access-<name>` and `refresh-<name>`.
pub fn tokens(name: &str, now: i64) -> NewTokens {
    NewTokens {
        access: hash(format!("access-{name}")),
        access_expires_at: at(now + 3600),
        refresh: Some(hash(format!("refresh-{name}"))),
        refresh_expires_at: at(now + 30 * 86_400),
        scopes: None,
        now: at(now),
    }
}

/// A grant of a person, begun with the code and the tokens of this name.
pub async fn grant(store: &Store, person: &Person, name: &str) -> GrantId {
    let id = GrantId::mint(fresh());
    store.issue_code(&person.code(&format!("code-{name}")), &[]).await.unwrap();
    let won =
        store.redeem_code(hash(format!("code-{name}")), &id, at(90 * 86_400), &tokens(name, 0), &[]).await;
    assert!(won.unwrap());
    id
}

pub fn neighbourhood(address: &str) -> Neighbourhood {
    Neighbourhood::of(address.parse().unwrap())
}

pub fn new_client(id: ClientId) -> NewClient {
    NewClient {
        id,
        name: "Client of nobody".to_owned(),
        redirect_uris: vec![RedirectUri::parse(REDIRECT).unwrap()],
        auth_method: AuthMethod::None,
        grant_types: vec!["authorization_code", "refresh_token"],
        scopes: ScopeSet::ALL,
        secret: None,
        registered_from: neighbourhood("192.0.2.1"),
        now: at(0),
        expires_at: at(7 * 86_400),
        fingerprint: None,
        bounds: RegistrationBounds::default(),
    }
}

/// Starts every contender at one instant and returns how each fared.
pub async fn race<T, F>(contenders: usize, run: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let gun = Arc::new(tokio::sync::Barrier::new(contenders));
    let runs: Vec<_> = (0..contenders)
        .map(|contender| {
            let (gun, run) = (gun.clone(), run(contender));
            tokio::spawn(async move {
                gun.wait().await;
                run.await
            })
        })
        .collect();
    let mut results = Vec::new();
    for run in runs {
        results.push(run.await.unwrap());
    }
    results
}
