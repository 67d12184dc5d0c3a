//! Saving a completed login at Spotify: who is it, whose account is it, and its tokens sealed.

use std::sync::Arc;

use crate::crypto::keys::SealingKey;
use crate::crypto::token::TokenHash;
use crate::domain::event::{Event, EventCode};
use crate::domain::own_app::OwnApp;
use crate::domain::{AppId, DataKeyId, KeyPurpose, LinkId, UserId};
use crate::failure::Failure;
use crate::spotify::TokenSet;
use crate::store::{DataKeyRow, Link, NewLink, SaveLink, Saved};

use super::Vault;
use super::seal::Column;

/// A login that Spotify completed.
#[derive(Clone, Debug)]
pub struct LoginAtSpotify {
    /// Through which app.
    pub app: AppId,
    /// That app, where it is the person's own.
    pub own: Option<OwnApp>,
    /// What Spotify issued.
    pub tokens: TokenSet,
    /// The scopes granted, or asked for where Spotify does not say.
    pub scope: String,
    /// Spotify's immutable account id, where it tells one.
    pub account_id: Option<String>,
    /// Spotify's user id.
    pub spotify_user_id: String,
    /// Spotify's display name, cleaned.
    pub display_name: String,
    /// The person whose account it must be or become; `None`: whoever it is.
    pub expected: Option<UserId>,
    /// What they want to call it, where it is new and they have no other of that name.
    pub alias: Option<String>,
}

/// The person and the account.
#[derive(Clone, Debug)]
pub struct Linked {
    /// Who.
    pub user: UserId,
    /// Which account.
    pub link: LinkId,
    /// Whether the person was not known before.
    pub newcomer: bool,
    /// Whether logging in with it is logging in as the person.
    pub opens: bool,
}

/// Why a login was not taken.
#[derive(Debug)]
pub enum LinkError {
    /// The account belongs to another person than the one who is logged in here.
    SomebodyElses,
    /// The Spotify app has no seat left.
    NoSeat,
    /// The person has as many of its seats as one person takes.
    HasEnough,
    /// The person has as many accounts as one may have.
    TooMany,
    /// The person whose account it is was deleted meanwhile.
    Gone,
    /// Unexpected.
    Failure(Failure),
}

impl<E: Into<Failure>> From<E> for LinkError {
    fn from(cause: E) -> Self {
        Self::Failure(cause.into())
    }
}

/// Logins of one account that race: each loser reads again.
const ATTEMPTS: u32 = 8;

impl Vault {
    /// The person of a Spotify account, where it is linked.
    pub async fn person_of(&self, login: &LoginAtSpotify) -> Result<Option<Link>, Failure> {
        let url = self.0.apps.accounts_url();
        self.0.store.link_of_identity(url, &identity(login), &login.spotify_user_id).await
    }

    /// What is kept of an account that a person disconnects, so that only it may come back to them.
    pub fn former(&self, identity: &str) -> Option<TokenHash> {
        let parts = [self.0.apps.accounts_url().as_bytes(), identity.as_bytes()];
        let key = self.0.ring.own(KeyPurpose::FormerIdentities).ok()?;
        TokenHash::from_slice(&key.authenticate(&parts))
    }

    /// Under which name the share of whoever comes with this account first is counted.
    fn payer(&self, identity: &str) -> Option<String> {
        let parts = [self.0.apps.accounts_url().as_bytes(), identity.as_bytes(), b"payer"];
        let key = self.0.ring.own(KeyPurpose::FormerIdentities).ok()?;
        let hash = key.authenticate(&parts);
        Some(format!("p_{}", hash[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }

    /// What would be kept of this login's account if it were disconnected.
    pub fn former_of(&self, login: &LoginAtSpotify) -> Option<TokenHash> {
        self.former(&identity(login))
    }

    /// Whether the account of this login is the one that the person logged in with before they disconnected it.
    pub fn comes_back(&self, login: &LoginAtSpotify, former: Option<TokenHash>) -> bool {
        former.is_some() && former == self.former(&identity(login))
    }

    /// Takes a completed login: finds or makes the person, seals and stores the tokens.
    pub async fn take_login(&self, login: &LoginAtSpotify) -> Result<Linked, LinkError> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 && self.is_gone(login).await? {
                return Err(LinkError::Gone);
            }
            let known = self.person_of(login).await?;
            let (save, linked) = match known {
                Some(link) => self.known(login, link).await?,
                None => self.new_link(login).await?,
            };
            match self.0.store.save_link(&save, &self.events(&linked, login)).await? {
                Saved::Done => {
                    self.0.open.remove(&linked.link);
                    return Ok(linked);
                }
                Saved::NoSeat => return Err(LinkError::NoSeat),
                Saved::HasEnough => return Err(LinkError::HasEnough),
                Saved::TooMany => return Err(LinkError::TooMany),
                // Somebody was faster, or a key that this server still used has been replaced.
                Saved::Conflict => self.0.ring.learn().await?,
            }
        }
        Err(LinkError::Failure(Failure::new("the account kept changing while it was saved")))
    }

    /// Whether the person that it must be is not there any more.
    async fn is_gone(&self, login: &LoginAtSpotify) -> Result<bool, Failure> {
        let Some(expected) = &login.expected else { return Ok(false) };
        Ok(self.0.store.user(expected).await?.is_none())
    }

    async fn known(&self, login: &LoginAtSpotify, link: Link) -> Result<(SaveLink, Linked), LinkError> {
        if login.expected.as_ref().is_some_and(|expected| *expected != link.user) {
            return Err(LinkError::SomebodyElses);
        }
        let Some(row) = self.0.store.active_data_key(&link.user).await? else {
            return Err(match self.0.store.user(&link.user).await? {
                None => LinkError::Gone,
                Some(_) => LinkError::Failure(Failure::new("a person has no data key")),
            });
        };
        let opened = self.data_key(&row.id, &link.user).await?;
        let linked = Linked { user: link.user, link: link.id, newcomer: false, opens: link.opens };
        let version = link.token_version + 1;
        let known = Ok((linked.link.clone(), link.token_version));
        let save = match opened {
            Ok(key) => self.sealed(login, (&linked, row.id, &key), version, known)?,
            // Somebody has been at their key in the database: what it sealed is lost, and they are here again.
            Err(_) => {
                let (key, fresh) = self.mint_data_key(&linked.user);
                let save = self.sealed(login, (&linked, fresh.id.clone(), &key), version, known)?;
                SaveLink { instead: Some((fresh, row.id)), ..save }
            }
        };
        Ok((save, linked))
    }

    async fn new_link(&self, login: &LoginAtSpotify) -> Result<(SaveLink, Linked), LinkError> {
        let user = login.expected.clone();
        let linked = Linked {
            newcomer: user.is_none(),
            opens: match &user {
                None => true,
                Some(user) => self.would_open(user, login).await?,
            },
            user: user.unwrap_or_else(|| UserId::mint(self.0.dice.bytes())),
            link: LinkId::mint(self.0.dice.bytes()),
        };
        let (key, id, row) = self.key_for(&linked).await?;
        let new = NewLink {
            id: linked.link.clone(),
            user: linked.user.clone(),
            new_user: linked.newcomer,
            new_data_key: row,
            alias: self.free_alias(&linked, login.alias.as_deref()).await?,
            opens: linked.opens,
        };
        Ok((self.sealed(login, (&linked, id, &key), 1, Err(new))?, linked))
    }

    /// Whether a person logs in with an account that is new to them: where they have no other, or come back with the one
    /// that they logged in with before.
    async fn would_open(&self, user: &UserId, login: &LoginAtSpotify) -> Result<bool, Failure> {
        let links = self.0.store.links(user).await?;
        if links.iter().any(|link| link.opens) {
            return Ok(false);
        }
        let former = self.0.store.user(user).await?.and_then(|user| user.former_identity);
        Ok(links.is_empty() || self.comes_back(login, former))
    }

    async fn key_for(
        &self,
        linked: &Linked,
    ) -> Result<(Arc<SealingKey>, DataKeyId, Option<DataKeyRow>), LinkError> {
        if !linked.newcomer
            && let Some(row) = self.0.store.active_data_key(&linked.user).await?
        {
            let key = self.data_key(&row.id, &linked.user).await?;
            let key = key.map_err(|_| Failure::new("a person's data key does not open"))?;
            return Ok((key, row.id, None));
        }
        let (key, row) = self.mint_data_key(&linked.user);
        Ok((key, row.id.clone(), Some(row)))
    }

    /// What the person wants; else `main` for the first account, then `account-2` and so on.
    async fn free_alias(&self, linked: &Linked, wanted: Option<&str>) -> Result<String, Failure> {
        let taken = if linked.newcomer { Vec::new() } else { self.0.store.links(&linked.user).await? };
        let free = |alias: &String| {
            taken.iter().all(|link| {
                !link.alias.eq_ignore_ascii_case(alias)
                    && ![&link.identity, &link.spotify_user_id].contains(&alias)
            })
        };
        let names = std::iter::once("main".to_owned()).chain((2..1000).map(|n| format!("account-{n}")));
        let names = wanted.map(str::to_owned).into_iter().chain(names);
        names.into_iter().find(free).ok_or(Failure::new("a person has too many linked accounts"))
    }

    fn sealed(
        &self,
        login: &LoginAtSpotify,
        (linked, data_key, key): (&Linked, DataKeyId, &SealingKey),
        version: i64,
        link: Result<(LinkId, i64), NewLink>,
    ) -> Result<SaveLink, Failure> {
        let now = self.0.clock.now();
        let own = login.own.as_ref();
        let own = own.map(|own| self.brought(own, (&linked.user, &linked.link, key), now)).transpose()?;
        let at = |column| (column, &linked.user, &linked.link, version);
        let refresh = login.tokens.refresh_token.as_ref();
        Ok(SaveLink {
            link,
            app: login.app.clone(),
            own,
            places_each: self.0.apps.places_each(),
            accounts_url: self.0.apps.accounts_url().to_owned(),
            identity: identity(login),
            payer: self.payer(&identity(login)),
            spotify_user_id: login.spotify_user_id.clone(),
            display_name: login.display_name.clone(),
            scope: login.scope.clone(),
            data_key,
            instead: None,
            access: self.seal(key, at(Column::Access), login.tokens.access_token.expose()),
            access_expires_at: now.plus(login.tokens.expires_in),
            refresh: refresh.map(|token| self.seal(key, at(Column::Refresh), token.expose())),
            now,
        })
    }

    fn events(&self, linked: &Linked, login: &LoginAtSpotify) -> Vec<crate::store::Recorded> {
        let mut events = Vec::new();
        if linked.newcomer {
            events.push(self.event(Event::new(EventCode::UserCreated).by(&linked.user)));
        }
        let event = Event::new(EventCode::AccountLinked).by(&linked.user).link(&linked.link);
        let event = if login.own.is_some() { event.detail("app", "own") } else { event };
        events.push(self.event(event.detail("scope", &login.scope)));
        events
    }
}

/// Spotify says to link accounts by `account_id`; what has none is known by its user id, marked as such.
fn identity(login: &LoginAtSpotify) -> String {
    login.account_id.clone().unwrap_or_else(|| format!("id:{}", login.spotify_user_id))
}
