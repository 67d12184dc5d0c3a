//! A canary of this emergency: credentials of every kind that are good, of a person who can do nothing, to be tried
//! before and after. Their secrets live in this process alone.

use std::time::Duration;

use crate::cli::administer::Desk;
use crate::crypto::Key;
use crate::crypto::keys::SealingKey;
use crate::crypto::token::{Token, TokenKind};
use crate::domain::api_key::{self, KeyName, Wanted};
use crate::domain::mcp_session::Owner;
use crate::domain::{
    ApiKeyId, ClientId, DataKeyId, DynamicClientId, GrantId, KeyPurpose, ScopeSet, SessionId, UserId,
};
use crate::failure::Failure;
use crate::store::{self, DataKeyRow, NewApiKey, NewBrowserSession, NewMcpSession};
use crate::vault::{KeyRing, seal_signing_key};

/// How long one lives, were it forgotten.
const LIFE: Duration = Duration::from_secs(3600);

/// What a canary holds.
pub(in crate::cli::rotate_keys) struct Canary {
    pub(in crate::cli::rotate_keys) access: Token,
    pub(in crate::cli::rotate_keys) refresh: Token,
    pub(in crate::cli::rotate_keys) client: ClientId,
    pub(in crate::cli::rotate_keys) browser: Token,
    pub(in crate::cli::rotate_keys) session: Token,
    pub(in crate::cli::rotate_keys) api_key: Token,
    pub(in crate::cli::rotate_keys) api_key_id: ApiKeyId,
    /// The key of forms at its time, and its id.
    pub(in crate::cli::rotate_keys) forms: std::sync::Arc<SealingKey>,
}

/// Who a canary is, to be removed again.
#[derive(Clone, Debug)]
pub(in crate::cli::rotate_keys) struct Name {
    pub(in crate::cli::rotate_keys) user: UserId,
    pub(in crate::cli::rotate_keys) client: ClientId,
}

impl Name {
    pub(in crate::cli::rotate_keys) fn mint(desk: &Desk) -> Self {
        let client = ClientId::from(DynamicClientId::mint(desk.dice.bytes()));
        Self { user: UserId::mint(desk.dice.bytes()), client }
    }
}

impl Canary {
    /// Stores one as a server would have issued its credentials.
    pub(in crate::cli::rotate_keys) async fn plant(
        desk: &Desk,
        ring: &KeyRing,
        name: &Name,
    ) -> Result<Self, Failure> {
        let (now, dice) = (desk.clock.now(), &desk.dice);
        let token = |kind| Token::mint(kind, &dice.bytes());
        let canary = Self {
            access: token(TokenKind::Access),
            refresh: token(TokenKind::Refresh),
            client: name.client.clone(),
            browser: token(TokenKind::BrowserSession),
            session: token(TokenKind::McpSession),
            api_key: token(TokenKind::ApiKey),
            api_key_id: ApiKeyId::mint(dice.bytes()),
            forms: ring.own(KeyPurpose::BrowserTickets)?,
        };
        let (grant, expires_at) = (GrantId::mint(dice.bytes()), now.plus(LIFE));
        let stored = store::Canary {
            user: name.user.clone(),
            data_key: data_key(desk, ring, &name.user),
            client: name.client.clone(),
            grant: grant.clone(),
            access: canary.access.hash(),
            refresh: canary.refresh.hash(),
            now,
            expires_at,
        };
        desk.store.plant(&stored).await?;
        let session = NewMcpSession {
            id: SessionId::mint(dice.bytes()),
            hash: canary.session.hash(),
            owner: Owner { user: name.user.clone(), client: name.client.clone(), grant: Some(grant) },
            metadata: "{}".to_owned(),
            now,
            expires_at,
            most_unused: 10,
        };
        desk.store.open_mcp_session(&session).await?;
        let browser = NewBrowserSession {
            id: SessionId::mint(dice.bytes()),
            hash: canary.browser.hash(),
            user: name.user.clone(),
            agent: "canary".to_owned(),
            now,
            expires_at,
            most: 10,
            login: None,
        };
        desk.store.begin_browser_session(&browser, &[]).await?;
        canary.add_key(desk, ring, name).await?;
        Ok(canary)
    }

    async fn add_key(&self, desk: &Desk, ring: &KeyRing, name: &Name) -> Result<(), Failure> {
        let unfit = |_: api_key::Unfit| Failure::new("a canary's key has no name");
        let wanted = Wanted {
            name: KeyName::parse("canary").map_err(unfit)?,
            scopes: ScopeSet::ALL,
            life: Some(LIFE),
        };
        let (id, now) = (self.api_key_id.clone(), desk.clock.now());
        let at = (&name.user, &id);
        let signing = seal_signing_key(&desk.store, (ring, &desk.dice), at, &self.api_key).await?;
        let made = NewApiKey::of(&self.api_key, &wanted, (id.clone(), name.user.clone()), now);
        desk.store.add_api_key(&NewApiKey { signing, most: 10, ..made }, &[]).await.map(drop)
    }
}

fn data_key(desk: &Desk, ring: &KeyRing, user: &UserId) -> DataKeyRow {
    let id = DataKeyId::mint(desk.dice.bytes());
    let key = SealingKey::new(id.key_id(), Key::new(desk.dice.bytes()));
    let root = ring.active();
    let wrapped = root.wrap(&key, user.as_str(), &desk.dice.bytes());
    DataKeyRow { id, user: user.clone(), master_key_id: root.id().to_string(), wrapped }
}
