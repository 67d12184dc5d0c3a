//! The key ring: every root that this server may use now, and the server's own keys. Readers choose by the id in the
//! envelope, never by trial; an id that is not known is asked for once in the database, where a successor is handed
//! over sealed under the root that this server has. Never: a key on disk, or in a log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::ambient::{Clock, Dice, Timestamp};
use crate::crypto::Key;
use crate::crypto::envelope::{self, OpenError};
use crate::crypto::keys::{KeyId, Purpose, RootKey, SealingKey};
use crate::domain::{DataKeyId, KeyPurpose, UserId};
use crate::failure::Failure;
use crate::store::{DataKeyRow, MasterKeyMismatch, MasterKeyRow, PurposeKeyRow, Store};

use super::standing::{Standing, active_of, reachable, weighed};

/// How long what a retired key of the server's own has made is still taken: longer than a form stays open.
pub const STILL_TAKEN: Duration = Duration::from_secs(3600);

/// The ring of one process.
pub struct KeyRing {
    store: Store,
    clock: Clock,
    dice: Dice,
    keys: RwLock<Arc<Keys>>,
    /// The id of the master key in use, where it is not at hand.
    missing: RwLock<Option<String>>,
    keyless: AtomicBool,
    /// Who reads later, replaces later.
    learning: Mutex<()>,
}

struct Keys {
    active: Arc<RootKey>,
    /// Being replaced, or about to replace the active one.
    others: Vec<Arc<RootKey>>,
    own: Vec<Own>,
}

struct Own {
    purpose: KeyPurpose,
    active: bool,
    key: Arc<SealingKey>,
}

impl KeyRing {
    /// Opens the ring of a database with the roots at hand, the configured one first; founds a new database.
    ///
    /// # Errors
    /// [`MasterKeyMismatch`] where none of them leads to the root in use.
    pub async fn open(
        store: &Store,
        given: &[RootKey],
        (clock, dice): (&Clock, &Dice),
    ) -> Result<Result<(Self, Standing), MasterKeyMismatch>, Failure> {
        let Some(first) = given.first() else { return Err(Failure::new("there is no master key")) };
        let now = clock.now();
        let first_id = first.id().to_string();
        let founded = store.adopt_master_key(&first_id, now).await?;
        let rows = store.master_keys().await?;
        let roots = reachable(given.iter().cloned().map(Arc::new).collect(), &rows, now);
        let (active, standing) = match weighed(&first_id, &roots, &rows) {
            Ok(weighed) => weighed,
            Err(mismatch) => return Ok(Err(mismatch)),
        };
        let ring = Self {
            store: store.clone(),
            clock: clock.clone(),
            dice: dice.clone(),
            keys: RwLock::new(Arc::new(Keys { active: active.clone(), others: Vec::new(), own: Vec::new() })),
            missing: RwLock::new(None),
            keyless: AtomicBool::new(false),
            learning: Mutex::new(()),
        };
        ring.make_own(&active, founded).await?;
        ring.take(active, roots, &rows).await?;
        Ok(Ok((ring, standing)))
    }

    /// Takes a root that is not handed over in the database.
    pub fn give(&self, root: Arc<RootKey>) {
        let keys = self.now();
        let others = keys.others.iter().cloned().chain([root]).collect();
        let own = keys.own.iter().map(|own| Own { key: own.key.clone(), ..*own }).collect();
        let with = Keys { active: keys.active.clone(), others, own };
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(with);
    }

    /// How a root that a source has now stands to the database, as a start with it would find; nothing changes.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn weigh(&self, root: &RootKey) -> Result<Result<Standing, MasterKeyMismatch>, Failure> {
        let rows = self.store.master_keys().await?;
        let roots = reachable(vec![Arc::new(root.clone())], &rows, self.clock.now());
        Ok(weighed(&root.id().to_string(), &roots, &rows).map(|(_, standing)| standing))
    }

    /// Takes a root that was weighed, and reads which keys there are with it.
    ///
    /// # Errors
    /// As [`KeyRing::learn`].
    pub async fn take_over(&self, root: RootKey) -> Result<(), Failure> {
        self.give(Arc::new(root));
        self.learn().await
    }

    /// The id of the master key in use, where this process was not given it: nothing can be opened or sealed.
    pub fn missing(&self) -> Option<String> {
        self.missing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether [`KeyRing::missing`] names one; asked for every request.
    pub fn is_keyless(&self) -> bool {
        self.keyless.load(Ordering::Acquire)
    }

    /// The root that wraps what is new.
    pub fn active(&self) -> Arc<RootKey> {
        self.now().active.clone()
    }

    /// The root with this id, where it may be used now.
    pub fn root(&self, id: KeyId) -> Option<Arc<RootKey>> {
        let keys = self.now();
        std::iter::once(&keys.active).chain(&keys.others).find(|root| *root.id() == id).cloned()
    }

    /// The server's own key for a purpose.
    ///
    /// # Errors
    /// Never after [`KeyRing::open`], which makes what is missing.
    pub fn own(&self, purpose: KeyPurpose) -> Result<Arc<SealingKey>, Failure> {
        self.taken(purpose).into_iter().next().ok_or(Failure::new("a key of the server's own is missing"))
    }

    /// The keys for a purpose whose work is still taken, the active one first.
    pub fn taken(&self, purpose: KeyPurpose) -> Vec<Arc<SealingKey>> {
        let keys = self.now();
        let mut own: Vec<_> = keys.own.iter().filter(|own| own.purpose == purpose).collect();
        own.sort_by_key(|own| !own.active);
        own.into_iter().map(|own| own.key.clone()).collect()
    }

    /// Reads again which keys there are: something about them may have changed.
    ///
    /// # Errors
    /// Where the database fails, or does not hold what it should.
    pub async fn learn(&self) -> Result<(), Failure> {
        let _turn = self.learning.lock().await;
        // A whole rotation may pass between two statements: then the second try sees its end.
        let mut last = self.read_again().await;
        for _ in 0..2 {
            if last.is_ok() {
                break;
            }
            last = self.read_again().await;
        }
        last
    }

    async fn read_again(&self) -> Result<(), Failure> {
        let rows = self.store.master_keys().await?;
        let keys = self.now();
        let known = std::iter::once(&keys.active).chain(&keys.others).cloned().collect();
        let roots = reachable(known, &rows, self.clock.now());
        match active_of(&roots, &rows) {
            Some(active) => {
                self.take(active, roots, &rows).await?;
                self.note_missing(None);
                Ok(())
            }
            None => {
                let in_use = rows.into_iter().find(|row| row.state == "active").map(|row| row.id);
                self.note_missing(Some(in_use.unwrap_or_default()));
                Err(Failure::new("another master key is in use, and this server was not given it"))
            }
        }
    }

    fn note_missing(&self, missing: Option<String>) {
        let mut noted = self.missing.write().unwrap_or_else(PoisonError::into_inner);
        if *noted == missing {
            return;
        }
        match &missing {
            Some(in_use) => tracing::error!(
                in_use,
                held = %self.active().id(),
                "another master key is in use, and this server was not given it: it answers 503 until its key's source \
                 has that key and 'config reload' or SIGHUP says so, or it is started with it; nothing is lost"
            ),
            None => tracing::info!("the master key in use is at hand again"),
        }
        self.keyless.store(missing.is_some(), Ordering::Release);
        *noted = missing;
    }

    /// A person's data key, unwrapped. `Ok(Err(_))` where it is not there or does not open.
    ///
    /// # Errors
    /// Where the database fails, or the key is wrapped under a root that this server was not given.
    pub async fn data_key(
        &self,
        id: &DataKeyId,
        user: &UserId,
    ) -> Result<Result<SealingKey, OpenError>, Failure> {
        let mut before: Option<Vec<u8>> = None;
        loop {
            let Some(row) = self.store.data_key(id).await? else { return Ok(Err(OpenError::Format)) };
            let opened = self.unwrap(&row, user).await?;
            // It may have been wrapped anew between reading it and looking for the root.
            if opened.is_ok() || before.as_ref() == Some(&row.wrapped) {
                return Ok(opened);
            }
            before = Some(row.wrapped);
        }
    }

    /// Unwraps a person's data key that was read.
    ///
    /// # Errors
    /// As [`KeyRing::data_key`].
    pub async fn unwrap(
        &self,
        row: &DataKeyRow,
        user: &UserId,
    ) -> Result<Result<SealingKey, OpenError>, Failure> {
        let id = match envelope::key_id(&row.wrapped) {
            Ok(id) => id,
            Err(error) => return Ok(Err(error)),
        };
        if self.root(id).is_none() {
            self.learn().await?;
        }
        let Some(root) = self.root(id) else {
            let rows = self.store.master_keys().await?;
            let id = id.to_string();
            return match rows.iter().any(|row| row.id == id && row.state != "retired") {
                true => Err(Failure::new(
                    "a data key is wrapped under a master key that this server was not given",
                )),
                false => Ok(Err(OpenError::WrongKey)),
            };
        };
        Ok(root.unwrap(row.id.key_id(), user.as_str(), &row.wrapped))
    }

    fn now(&self) -> Arc<Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn take(
        &self,
        active: Arc<RootKey>,
        roots: Vec<Arc<RootKey>>,
        rows: &[MasterKeyRow],
    ) -> Result<(), Failure> {
        let of_use = |root: &Arc<RootKey>| {
            let id = root.id().to_string();
            root.id() != active.id() && rows.iter().any(|row| row.id == id && row.state != "retired")
        };
        let others: Vec<_> = roots.into_iter().filter(of_use).collect();
        let now = self.clock.now();
        let mut own = Vec::new();
        for row in self.store.purpose_keys().await? {
            let retired_at = row.retired_at.map(Timestamp::from_secs);
            if retired_at.is_none_or(|at| now < at.plus(STILL_TAKEN)) {
                own.extend(open_own(&row, std::iter::once(&active).chain(&others))?);
            }
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Keys { active, others, own });
        Ok(())
    }

    /// Makes the server's own keys that are missing. A database from before they existed remembers identities under
    /// a key that was derived from its root, which stays that one.
    async fn make_own(&self, root: &RootKey, founded: bool) -> Result<(), Failure> {
        let there = self.store.purpose_keys().await?;
        let missing = |purpose: &KeyPurpose| !there.iter().any(|row| row.purpose == purpose.name());
        let now = self.clock.now();
        let fresh = |purpose: KeyPurpose| {
            let key = match purpose {
                KeyPurpose::FormerIdentities if !founded => {
                    let derived = root.derive(Purpose::FormerIdentities);
                    SealingKey::new(KeyId::new(self.dice.bytes()), derived.key().clone())
                }
                _ => SealingKey::new(KeyId::new(self.dice.bytes()), Key::new(self.dice.bytes())),
            };
            own_row(root, &key, purpose, (now, &self.dice))
        };
        let rows: Vec<_> = KeyPurpose::ALL.into_iter().filter(missing).map(fresh).collect();
        if rows.is_empty() { Ok(()) } else { self.store.add_purpose_keys(&rows).await }
    }
}

/// A key of the server's own as its row keeps it.
pub(super) fn own_row(
    root: &RootKey,
    key: &SealingKey,
    purpose: KeyPurpose,
    (now, dice): (Timestamp, &Dice),
) -> PurposeKeyRow {
    PurposeKeyRow {
        id: key.id().to_string(),
        purpose: purpose.name().to_owned(),
        master_key_id: root.id().to_string(),
        wrapped: root.wrap_own(key, purpose.name(), &dice.bytes()),
        state: "active".to_owned(),
        created_at: now.secs(),
        retired_at: None,
    }
}

/// One of the server's own keys, by the root that its envelope names; `None` for a purpose of another version.
fn open_own<'a>(
    row: &PurposeKeyRow,
    mut roots: impl Iterator<Item = &'a Arc<RootKey>>,
) -> Result<Option<Own>, Failure> {
    let Some(purpose) = KeyPurpose::named(&row.purpose) else { return Ok(None) };
    let unopened = || Failure::new("a key of the server's own does not open: its row was changed or moved");
    let wrapped_by = envelope::key_id(&row.wrapped).map_err(|_| unopened())?;
    let root = roots.find(|root| *root.id() == wrapped_by).ok_or_else(unopened)?;
    let id = key_id(&row.id).ok_or_else(unopened)?;
    let key = root.unwrap_own(id, &row.purpose, &row.wrapped).map_err(|_| unopened())?;
    Ok(Some(Own { purpose, active: row.state == "active", key: Arc::new(key) }))
}

/// A key id from its hexadecimal form.
pub fn key_id(hex: &str) -> Option<KeyId> {
    let bytes: Option<Vec<u8>> = (0..16)
        .map(|at| hex.get(at * 2..at * 2 + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    bytes.filter(|_| hex.len() == 32).and_then(|bytes| KeyId::from_slice(&bytes))
}
