//! The control plane as a Rust API: move the clock, change apps and people, inject faults, read the journal. The
//! same over HTTP is in `control_http.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Scopes;
use super::accounts::{Tokens, issue};
use super::faults::Injection;
use super::journal::{Entry, Filter};
use super::world::World;
use super::world::app::{App, AppRules, Secrets};
use super::world::grants::Grant;
use super::world::people::{self, Traits};
use super::world::shards::read;
use crate::ambient::{Clock, Timestamp};
use crate::crypto::SecretString;
use crate::crypto::token::TokenHash;

/// Why the control plane does not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncontrollable {
    /// No app with this client id.
    #[error("there is no app with this client id")]
    NoApp,
    /// No pretend person with this id.
    #[error("there is no pretend person with this id")]
    NoPerson,
    /// No playlist with this id.
    #[error("there is no playlist with this id")]
    NoPlaylist,
    /// The id is taken or malformed, or there are too many.
    #[error("the id is taken or malformed, or there are too many")]
    NotAdded,
    /// The change has a key or a value that does not exist.
    #[error("the change names something that does not exist, or a value that it cannot have")]
    BadChange,
}

/// An app to be made.
#[derive(Deserialize)]
pub struct NewApp {
    /// Its client id.
    pub client_id: String,
    /// Its secret; without one it is a public app.
    #[serde(default)]
    pub client_secret: Option<SecretString>,
    /// Its rules; what is not named is as [`AppRules::default`] says.
    #[serde(flatten)]
    pub rules: Value,
}

/// Another secret for an app.
#[derive(Deserialize)]
pub struct NewSecret {
    /// The secret.
    pub client_secret: SecretString,
    /// Whether the one before is taken as well, until it is ended.
    #[serde(default)]
    pub keep_former: bool,
}

/// An app as the control plane shows it.
#[derive(Serialize)]
pub struct AppView {
    /// Its client id.
    pub client_id: Arc<str>,
    /// Whether it has no secret.
    pub is_public: bool,
    /// Its rules.
    pub rules: AppRules,
}

/// A person with their counters.
#[derive(Serialize)]
pub struct PersonView {
    /// The user id.
    pub id: Arc<str>,
    /// The immutable account id.
    pub account_id: String,
    /// What all ids of their content begin with.
    pub marker: String,
    /// The traits.
    pub traits: Traits,
    /// Codes exchanged.
    pub exchanges: u64,
    /// Tokens refreshed.
    pub refreshes: u64,
    /// Web API calls admitted.
    pub calls: u64,
}

/// The hand on a running sandbox.
#[derive(Clone)]
pub struct Control(pub(super) Arc<World>);

impl Control {
    /// Virtual time.
    pub fn clock(&self) -> Clock {
        self.0.clock.clone()
    }

    /// The present instant of virtual time.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Moves virtual time forward.
    pub fn advance(&self, by: Duration) {
        self.0.advance(by);
    }

    /// Makes an app.
    ///
    /// # Errors
    /// Rules that do not exist, or a client id that cannot be used.
    pub fn create_app(&self, app: NewApp) -> Result<(), Uncontrollable> {
        let rules = merged(&AppRules::default(), &app.rules)?;
        let present = app.client_secret.map(|secret| TokenHash::of(secret.expose()));
        let secrets = Secrets { present, former: None };
        let added = self.0.add_app(App::new(&app.client_id, secrets, rules));
        added.then_some(()).ok_or(Uncontrollable::NotAdded)
    }

    /// Changes the named rules of an app.
    ///
    /// # Errors
    /// No such app or rule.
    pub fn change_app(&self, client_id: &str, change: &Value) -> Result<(), Uncontrollable> {
        let app = self.0.app(client_id).ok_or(Uncontrollable::NoApp)?;
        self.0.set_rules(&app, merged(&*app.rules(), change)?);
        Ok(())
    }

    /// Gives an app another secret, as its owner does in the dashboard. The one before dies at once, or where it is
    /// kept, with [`Control::end_former_secret`].
    ///
    /// # Errors
    /// No such app.
    pub fn rotate_secret(&self, client_id: &str, secret: &NewSecret) -> Result<(), Uncontrollable> {
        let app = self.0.app(client_id).ok_or(Uncontrollable::NoApp)?;
        app.rotate_secret(TokenHash::of(secret.client_secret.expose()), secret.keep_former);
        self.0.saver.changed();
        Ok(())
    }

    /// Ends the secret that an app had before its present one.
    ///
    /// # Errors
    /// No such app.
    pub fn end_former_secret(&self, client_id: &str) -> Result<(), Uncontrollable> {
        self.0.app(client_id).ok_or(Uncontrollable::NoApp)?.end_former_secret();
        self.0.saver.changed();
        Ok(())
    }

    /// All apps.
    pub fn apps(&self) -> Vec<AppView> {
        let view = |app: &Arc<App>| AppView {
            client_id: app.client_id.clone(),
            is_public: app.is_public(),
            rules: (*app.rules()).clone(),
        };
        self.0.apps().iter().map(view).collect()
    }

    /// Makes `count` plain people `<prefix>0001`, `<prefix>0002` ..., skipping those that are there. Says how many
    /// were added.
    pub fn create_users(&self, prefix: &str, count: usize) -> usize {
        let plain = (1..=count.min(people::MOST)).map(|n| people::plain(prefix, n));
        plain.filter(|(id, traits, lists, liked)| self.0.add_person(id, traits.clone(), lists, liked)).count()
    }

    /// Makes one person with these traits and nothing else.
    ///
    /// # Errors
    /// Traits that do not exist, or an id that cannot be used.
    pub fn create_user(&self, id: &str, traits: &Value) -> Result<(), Uncontrollable> {
        let usual = Traits { display_name: id.to_owned(), ..Traits::default() };
        let added = self.0.add_person(id, merged(&usual, traits)?, &[], &[]);
        added.then_some(()).ok_or(Uncontrollable::NotAdded)
    }

    /// Changes the named traits of a person.
    ///
    /// # Errors
    /// No such person or trait.
    pub fn change_user(&self, id: &str, change: &Value) -> Result<(), Uncontrollable> {
        let person = self.0.person(id).ok_or(Uncontrollable::NoPerson)?;
        self.0.set_traits(&person, merged(&person.state().traits, change)?);
        Ok(())
    }

    /// All people, with their counters.
    pub fn users(&self) -> Vec<PersonView> {
        let people = read(&self.0.people);
        let view = |person: &Arc<people::Person>| PersonView {
            id: person.id.clone(),
            account_id: person.account_id.clone(),
            marker: person.marker.clone(),
            traits: person.state().traits.clone(),
            exchanges: person.counts.exchanges.load(Ordering::Relaxed),
            refreshes: person.counts.refreshes.load(Ordering::Relaxed),
            calls: person.counts.calls.load(Ordering::Relaxed),
        };
        people.iter().map(view).collect()
    }

    /// Sets all counters, rate and quota windows to zero.
    pub fn reset_counters(&self) {
        read(&self.0.people).iter().for_each(|person| person.reset_counts());
        self.0.limits.reset();
    }

    /// Ends what a person granted, to one app or to all: tokens die at once, the next login asks again. Says how
    /// many tokens died.
    pub fn revoke(&self, user: &str, client_id: Option<&str>) -> usize {
        let ended = self.0.grants.revoke(user, client_id);
        self.0.saver.changed();
        ended
    }

    /// Grants an app access without a browser, for tests that are not about logging in.
    ///
    /// # Errors
    /// No such app or person, or a scope that does not exist.
    pub fn grant(&self, client_id: &str, user: &str, scopes: &str) -> Result<Tokens, Uncontrollable> {
        let grant = Arc::new(Grant {
            app: self.0.app(client_id).ok_or(Uncontrollable::NoApp)?,
            person: self.0.person(user).ok_or(Uncontrollable::NoPerson)?,
            scopes: Scopes::parse(scopes).ok_or(Uncontrollable::BadChange)?,
            authorized_at: self.0.now(),
            revoked: AtomicBool::new(false),
        });
        Ok(issue(&self.0, &grant, true))
    }

    /// Injects a fault; `false` where too many wait already.
    pub fn inject(&self, injection: Injection) -> bool {
        self.0.faults.inject(injection)
    }

    /// The faults in waiting.
    pub fn faults(&self) -> Vec<Injection> {
        self.0.faults.waiting()
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.0.faults.clear();
    }

    /// The journal's entries that pass, oldest first.
    pub fn journal(&self, filter: &Filter) -> Vec<Entry> {
        self.0.journal.read(filter)
    }

    /// Forgets the journal.
    pub fn clear_journal(&self) {
        self.0.journal.clear();
    }
}

/// A record with some of its fields replaced; unknown fields and wrong values are refused.
fn merged<T: Serialize + serde::de::DeserializeOwned>(old: &T, change: &Value) -> Result<T, Uncontrollable> {
    let mut value = serde_json::to_value(old).map_err(|_| Uncontrollable::BadChange)?;
    let (Value::Object(fields), Value::Object(change)) = (&mut value, change) else {
        return Err(Uncontrollable::BadChange);
    };
    fields.extend(change.clone());
    serde_json::from_value(value).map_err(|_| Uncontrollable::BadChange)
}
