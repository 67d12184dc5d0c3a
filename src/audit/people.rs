//! How the trail calls people, and where they came from: by pseudonyms, and sealed. Each person has an audit key of
//! their own; when it is deleted, nobody can tell any more who the pseudonym was, or read an address of theirs.
//!
//! Never: a person's id, name or address in the clear in a record; a key made again for who was deleted.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quick_cache::sync::Cache;

use crate::ambient::{Clock, Dice, Timestamp};
use crate::crypto::Key;
use crate::crypto::envelope::{self, OpenError, Place};
use crate::crypto::keys::{KeyId, SealingKey};
use crate::domain::event::Event;
use crate::domain::{KeyPurpose, UserId};
use crate::failure::Failure;
use crate::store::{AuditKeyOwner, AuditKeyRow, ERASED, Store};
use crate::vault::{KeyRing, key_id};

/// What stands in the place of an address that can be read no more, or never could.
pub(super) const ADDRESS_ERASED: &str = "erased";
/// What the trail calls a person whose key could not be looked up, because the database failed just then.
const UNRESOLVED: &str = "p_unresolved";
/// So many people are remembered.
const REMEMBERED: usize = 10_000;
/// So many addresses of each.
const ADDRESSES: usize = 8;
/// Milliseconds.
const DAY: i64 = 86_400_000;

/// The people of a trail. Cheap to clone.
#[derive(Clone)]
pub struct People(Arc<Inner>);

struct Inner {
    /// Without one, keys are in memory alone, and nobody can read what they sealed.
    database: Option<(Store, Arc<KeyRing>)>,
    clock: Clock,
    dice: Dice,
    known: Cache<String, Arc<Person>>,
    today: RwLock<Option<(i64, Arc<Person>)>>,
}

/// A person, or one day's unknown people.
struct Person {
    pseudonym: String,
    /// Nothing where it went, or cannot be opened.
    key: Option<SealingKey>,
    /// Sealed once, used for many records.
    addresses: Mutex<VecDeque<(IpAddr, Arc<str>)>>,
}

/// What a record says in the place of what must not stand in it.
#[derive(Clone, Default)]
pub(super) struct Hidden {
    people: Vec<(String, Arc<Person>)>,
    address: Option<Arc<str>>,
}

impl Hidden {
    /// What the trail calls whom, or what, an event names so.
    pub(super) fn name<'a>(&'a self, text: &'a str) -> &'a str {
        let known = self.people.iter().find(|(id, _)| id == text);
        known.map_or(text, |(_, person)| person.pseudonym.as_str())
    }

    /// The address as the record has it.
    pub(super) fn address(&self) -> &str {
        self.address.as_deref().unwrap_or(ADDRESS_ERASED)
    }
}

impl People {
    /// The people of a database.
    pub fn of(store: &Store, ring: &Arc<KeyRing>, (clock, dice): (&Clock, &Dice)) -> Self {
        Self::new(Some((store.clone(), ring.clone())), (clock, dice))
    }

    /// Keys in memory alone: what they seal cannot be read after the process, or by anybody else.
    pub fn of_nobody((clock, dice): (&Clock, &Dice)) -> Self {
        Self::new(None, (clock, dice))
    }

    fn new(database: Option<(Store, Arc<KeyRing>)>, (clock, dice): (&Clock, &Dice)) -> Self {
        let (clock, dice) = (clock.clone(), dice.clone());
        Self(Arc::new(Inner {
            database,
            clock,
            dice,
            known: Cache::new(REMEMBERED),
            today: RwLock::default(),
        }))
    }

    /// Forgets every key: some may have been deleted.
    pub fn forget(&self) {
        if self.0.database.is_some() {
            self.0.known.clear();
            *self.0.today.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// What stands in an event's record in the place of its people and its address.
    pub(super) async fn hide(&self, event: &Event, at: Timestamp) -> Result<Hidden, Failure> {
        let mut hidden = Hidden::default();
        let others = event.subject_text().into_iter().chain(event.details().values().map(String::as_str));
        for id in event.user_id().into_iter().chain(others).filter(|text| may_be_person(text)) {
            if hidden.people.iter().all(|(known, _)| known != id) {
                hidden.people.push((id.to_owned(), self.person(id).await?));
            }
        }
        let Some(address) = event.address() else { return Ok(hidden) };
        hidden.address = match event.user_id() {
            None => Some(self.unknown(at).await?.sealed(address, &self.0.dice)),
            // Of who was deleted meanwhile the event names the pseudonym, and nothing more can be sealed for.
            Some(id) => hidden
                .people
                .iter()
                .find(|(known, _)| known == id)
                .map(|(_, person)| person.sealed(address, &self.0.dice)),
        };
        Ok(hidden)
    }

    /// [`People::hide`] for an event that nobody waits for: where the database fails, its people stay unnamed.
    pub(super) async fn hide_anyhow(&self, event: &Event, at: Timestamp) -> Hidden {
        match self.hide(event, at).await {
            Ok(hidden) => hidden,
            Err(failure) => {
                tracing::error!(cause = failure.chain(), "an audit record does not name its person");
                let ids = event.user_id().into_iter().chain(event.subject_text());
                let ids = ids.chain(event.details().values().map(String::as_str));
                let people = ids.filter(|text| may_be_person(text));
                let nobody = Arc::new(Person::without_key(UNRESOLVED.to_owned()));
                Hidden { people: people.map(|id| (id.to_owned(), nobody.clone())).collect(), address: None }
            }
        }
    }

    /// Learns what the trail calls a person.
    pub(super) async fn know(&self, user: &UserId) -> Result<(), Failure> {
        self.person(user.as_str()).await.map(drop)
    }

    async fn person(&self, id: &str) -> Result<Arc<Person>, Failure> {
        if let Some(known) = self.0.known.get(id) {
            return Ok(known);
        }
        let Ok(user) = id.parse::<UserId>() else {
            return Ok(Arc::new(Person::without_key(ERASED.to_owned())));
        };
        let person = Arc::new(self.look_up(AuditKeyOwner::Person(user)).await?);
        self.0.known.insert(id.to_owned(), person.clone());
        Ok(person)
    }

    /// Those of whom only an address is known, on the day of an event.
    async fn unknown(&self, at: Timestamp) -> Result<Arc<Person>, Failure> {
        let day = at.millis().div_euclid(DAY);
        if let Some((of, person)) = &*self.0.today.read().unwrap_or_else(PoisonError::into_inner)
            && *of == day
        {
            return Ok(person.clone());
        }
        let person = Arc::new(self.look_up(AuditKeyOwner::Day(day)).await?);
        *self.0.today.write().unwrap_or_else(PoisonError::into_inner) = Some((day, person.clone()));
        Ok(person)
    }

    /// The key of an owner, made where there never was one.
    async fn look_up(&self, owner: AuditKeyOwner) -> Result<Person, Failure> {
        let fresh = SealingKey::new(KeyId::new(self.0.dice.bytes()), Key::new(self.0.dice.bytes()));
        let Some((store, ring)) = &self.0.database else { return Ok(Person::with(&owner, fresh)) };
        let wrapping = ring.own(KeyPurpose::AuditPeople)?;
        if let Some(row) = store.audit_key_of(&owner).await? {
            return Ok(Person::of(row, &wrapping));
        }
        let row = wrapped(&owner, &fresh, &wrapping, &self.0.dice);
        store.add_audit_key(&row, self.0.clock.now()).await?;
        // Of several servers one was first; and a person who was deleted has none.
        let row = store.audit_key_of(&owner).await?;
        Ok(row.map_or_else(|| Person::without_key(ERASED.to_owned()), |row| Person::of(row, &wrapping)))
    }
}

impl Person {
    fn with(owner: &AuditKeyOwner, key: SealingKey) -> Self {
        Self { pseudonym: pseudonym(owner, key.id()), key: Some(key), addresses: Mutex::default() }
    }

    fn without_key(pseudonym: String) -> Self {
        Self { pseudonym, key: None, addresses: Mutex::default() }
    }

    fn of(row: AuditKeyRow, wrapping: &SealingKey) -> Self {
        match open(&row, wrapping) {
            Ok(key) => Self { pseudonym: row.id, key: Some(key), addresses: Mutex::default() },
            Err(error) => {
                tracing::error!(%error, key = row.id, "an audit key does not open: addresses are left out");
                Self::without_key(row.id)
            }
        }
    }

    /// An address as records have it. The same one is sealed once.
    fn sealed(&self, address: IpAddr, dice: &Dice) -> Arc<str> {
        let Some(key) = &self.key else { return ADDRESS_ERASED.into() };
        let mut known = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, sealed)) = known.iter().find(|(one, _)| *one == address) {
            return sealed.clone();
        }
        let envelope = envelope::seal(
            key,
            &address_place(&self.pseudonym),
            address.to_string().as_bytes(),
            &dice.bytes(),
        );
        let sealed: Arc<str> = format!("{}.{}", self.pseudonym, URL_SAFE_NO_PAD.encode(envelope)).into();
        known.push_front((address, sealed.clone()));
        known.truncate(ADDRESSES);
        sealed
    }
}

/// Wraps a fresh key for its row.
fn wrapped(owner: &AuditKeyOwner, key: &SealingKey, wrapping: &SealingKey, dice: &Dice) -> AuditKeyRow {
    let id = pseudonym(owner, key.id());
    let (user_id, day) = match owner {
        AuditKeyOwner::Person(user) => (Some(user.as_str().to_owned()), None),
        AuditKeyOwner::Day(day) => (None, Some(*day)),
    };
    let place = key_place(user_id.as_deref().unwrap_or_default(), &id);
    let wrapped = envelope::seal(wrapping, &place, key.key().expose(), &dice.bytes());
    AuditKeyRow { id, user_id, day, wrapped }
}

/// The key in a row.
///
/// # Errors
/// As [`envelope::open`].
pub fn open(row: &AuditKeyRow, wrapping: &SealingKey) -> Result<SealingKey, OpenError> {
    let id = row.id.get(2..).and_then(key_id).ok_or(OpenError::Format)?;
    let place = key_place(row.user_id.as_deref().unwrap_or_default(), &row.id);
    let opened = envelope::open(wrapping, &place, &row.wrapped)?;
    let bytes = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| OpenError::Format)?;
    Ok(SealingKey::new(id, Key::new(bytes)))
}

/// The address in a record's `src_endpoint.uid`, opened with the key of the pseudonym that it begins with; `None` where
/// that is not its key, or it was changed.
pub fn open_address(sealed: &str, key: &SealingKey) -> Option<IpAddr> {
    let (pseudonym, envelope) = sealed.split_once('.')?;
    let envelope = URL_SAFE_NO_PAD.decode(envelope).ok()?;
    let opened = envelope::open(key, &address_place(pseudonym), &envelope).ok()?;
    std::str::from_utf8(&opened).ok()?.parse().ok()
}

fn pseudonym(owner: &AuditKeyOwner, id: &KeyId) -> String {
    match owner {
        AuditKeyOwner::Person(_) => format!("p_{id}"),
        AuditKeyOwner::Day(_) => format!("d_{id}"),
    }
}

/// Our ids of people, and nothing else that an event has, look like this.
fn may_be_person(text: &str) -> bool {
    text.len() == 34 && text.starts_with("u_")
}

const fn key_place<'a>(user: &'a str, id: &'a str) -> Place<'a> {
    Place { table: "audit_keys", column: "wrapped", user, row: id, version: 0 }
}

const fn address_place(pseudonym: &str) -> Place<'_> {
    Place { table: "audit", column: "address", user: pseudonym, row: "", version: 0 }
}
