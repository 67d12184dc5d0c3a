//! Whether everything sealed in a database opens: each value is opened, or counted as one that needs another key.
//! Never: keeping or showing what was opened.

use std::collections::BTreeMap;

use crate::audit::people;
use crate::crypto::envelope::{self, OpenError};
use crate::crypto::keys::{KeyId, RootKey, SealingKey};
use crate::crypto::succession::Passage;
use crate::failure::Failure;
use crate::store::{MasterKeyRow, PurposeKeyRow, Store};
use crate::vault::{api_key_opens, change_opens, key_id, link_opens, login_opens};

/// Values that are looked at together.
const BATCH: i64 = 1_000;
/// Values that do not open of which the name is kept.
const NAMED: usize = 20;

/// What became of the values of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// They open.
    pub opened: u64,
    /// They need a key that is not at hand: another master key, or one that is gone.
    pub elsewhere: u64,
    /// They should open, and do not.
    pub damaged: u64,
}

/// Everything sealed in a database, by kind, and what does not open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedThings {
    /// By `table.column`; kinds without a value are there too.
    pub kinds: BTreeMap<&'static str, Tally>,
    /// The first values that do not open, each with its row and why.
    pub damaged: Vec<String>,
    /// Whether one of these is a key of the server's own: no server starts with it.
    pub is_fatal: bool,
    /// So many values of a kind are opened, about; 0: all of them.
    pub most: u64,
    /// Whether there are more.
    pub are_more: bool,
}

impl SealedThings {
    /// The tally of one kind.
    pub fn of(&self, kind: &str) -> Tally {
        self.kinds.get(kind).copied().unwrap_or_default()
    }

    /// The sum of all kinds.
    pub fn total(&self) -> Tally {
        let add = |sum: Tally, one: &Tally| Tally {
            opened: sum.opened + one.opened,
            elsewhere: sum.elsewhere + one.elsewhere,
            damaged: sum.damaged + one.damaged,
        };
        self.kinds.values().fold(Tally::default(), add)
    }

    /// What does not open, in words; `None`: everything opens or needs another key.
    pub fn in_words(&self) -> Option<String> {
        let damaged = self.total().damaged;
        let more = damaged.saturating_sub(self.damaged.len() as u64);
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        (damaged > 0)
            .then(|| format!("{damaged} sealed values do not open: {}{more}", self.damaged.join("; ")))
    }

    /// Whether so many of a kind were opened as are wanted.
    fn are_enough(&mut self, kind: &str) -> bool {
        let Tally { opened, elsewhere, damaged } = self.of(kind);
        let enough = self.most > 0 && opened + elsewhere + damaged >= self.most;
        self.are_more |= enough;
        enough
    }

    fn note(&mut self, kind: &'static str, row: &str, opens: Result<(), OpenError>) {
        let tally = self.kinds.entry(kind).or_default();
        match opens {
            Ok(()) => tally.opened += 1,
            Err(OpenError::WrongKey) => tally.elsewhere += 1,
            Err(why) => {
                tally.damaged += 1;
                if self.damaged.len() < NAMED {
                    self.damaged.push(format!("{kind} of {row}: {why}"));
                }
            }
        }
    }
}

/// Opens everything with one master key, and the keys that it opens.
///
/// # Errors
/// Where the database fails.
pub async fn open_all(store: &Store, root: &RootKey) -> Result<SealedThings, Failure> {
    open_most(store, root, 0).await
}

/// The same, of a column no more than `most` values and what is read with them (0: all).
///
/// # Errors
/// As [`open_all`].
pub async fn open_most(store: &Store, root: &RootKey, most: u64) -> Result<SealedThings, Failure> {
    let mut things = SealedThings { most, ..SealedThings::default() };
    let own = own_keys(&mut things, root, &store.purpose_keys().await?);
    things.is_fatal = things.of("purpose_keys.wrapped").damaged > 0;
    for row in store.master_keys().await? {
        passages(&mut things, root, &row);
    }
    data_keys(&mut things, store, root).await?;
    tokens(&mut things, store, root).await?;
    signing_keys(&mut things, store, root).await?;
    changes(&mut things, store, root).await?;
    logins(&mut things, store, &own).await?;
    audit_keys(&mut things, store, &own).await?;
    let elsewhere = |count: i64| Tally { elsewhere: count.unsigned_abs(), ..Tally::default() };
    things.kinds.insert("refresh_tokens.successor", elsewhere(store.count_sealed_successors().await?));
    Ok(things)
}

fn own_keys(things: &mut SealedThings, root: &RootKey, rows: &[PurposeKeyRow]) -> Vec<SealingKey> {
    const KIND: &str = "purpose_keys.wrapped";
    things.kinds.entry(KIND).or_default();
    let mut keys = Vec::new();
    for row in rows {
        let opened = match key_id(&row.id) {
            Some(id) => root.unwrap_own(id, &row.purpose, &row.wrapped),
            None => Err(OpenError::Format),
        };
        things.note(KIND, &row.id, opened.map(|key| keys.push(key)));
    }
    keys
}

/// A root that is passed on is there while a rotation goes on, and for a while after it.
fn passages(things: &mut SealedThings, root: &RootKey, row: &MasterKeyRow) {
    let ways = [
        ("master_keys.handed_over", Passage::Over, &row.handed_over),
        ("master_keys.handed_back", Passage::Back, &row.handed_back),
    ];
    for (kind, way, sealed) in ways {
        things.kinds.entry(kind).or_default();
        if let Some(sealed) = sealed {
            things.note(kind, &row.id, root.receive(&row.id, way, sealed).map(drop));
        }
    }
}

async fn data_keys(things: &mut SealedThings, store: &Store, root: &RootKey) -> Result<(), Failure> {
    const KIND: &str = "data_keys.wrapped";
    things.kinds.entry(KIND).or_default();
    let mut after = String::new();
    while !things.are_enough(KIND) {
        let rows = store.data_keys_after(&after, BATCH).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.id.to_string();
        for row in &rows {
            let opened = root.unwrap(row.id.key_id(), row.user.as_str(), &row.wrapped);
            things.note(KIND, row.id.as_str(), opened.map(drop));
        }
    }
    Ok(())
}

async fn tokens(things: &mut SealedThings, store: &Store, root: &RootKey) -> Result<(), Failure> {
    for kind in [ACCESS, REFRESH, OWN_SECRET, OWN_ID] {
        things.kinds.entry(kind).or_default();
    }
    let mut after = String::new();
    while !(things.are_enough(ACCESS) || things.are_enough(REFRESH)) {
        let rows = store.sealed_links_after(&after, BATCH).await?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after.clone_from(&last.id);
        for (link, beside) in &rows {
            let key = data_key(root, (&link.data_key_id, &link.user_id), beside.as_deref());
            let [access, refresh, own_secret, own_id] = match &key {
                Ok(key) => link_opens(key, link).map(|opens| opens.map(|opens| opens.map_err(under_its_own))),
                Err(why) => {
                    let own = [&link.own_client_secret, &link.sealed_client_id];
                    let sealed = [&link.access_token, &link.refresh_token, own[0], own[1]];
                    sealed.map(|sealed| sealed.as_ref().map(|_| Err(*why)))
                }
            };
            let kinds = [(ACCESS, access), (REFRESH, refresh), (OWN_SECRET, own_secret), (OWN_ID, own_id)];
            for (kind, opens) in kinds {
                if let Some(opens) = opens {
                    things.note(kind, &link.id, opens);
                }
            }
        }
    }
    Ok(())
}

const ACCESS: &str = "linked_accounts.access_token";
const REFRESH: &str = "linked_accounts.refresh_token";
const OWN_SECRET: &str = "linked_accounts.own_client_secret";
const OWN_ID: &str = "linked_accounts.sealed_client_id";

async fn signing_keys(things: &mut SealedThings, store: &Store, root: &RootKey) -> Result<(), Failure> {
    const KIND: &str = "api_keys.signing_key";
    things.kinds.entry(KIND).or_default();
    let mut after = String::new();
    while !things.are_enough(KIND) {
        let rows = store.sealed_api_keys_after(&after, BATCH).await?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after.clone_from(&last.id);
        for (api_key, beside) in &rows {
            let key = data_key(root, (&api_key.data_key_id, &api_key.user_id), beside.as_deref());
            let opens = key.and_then(|key| api_key_opens(&key, api_key).map_err(under_its_own));
            things.note(KIND, &api_key.id, opens);
        }
    }
    Ok(())
}

/// What tools changed: a key for each, and what that seals. Few at a time, because they may be large.
async fn changes(things: &mut SealedThings, store: &Store, root: &RootKey) -> Result<(), Failure> {
    const KINDS: [&str; 3] = ["changes.content_key", "changes.summary", "changes.pre_image"];
    const FEW: i64 = 20;
    for kind in KINDS {
        things.kinds.entry(kind).or_default();
    }
    if store.schema_version().await? < CHANGES {
        return Ok(());
    }
    let mut after = String::new();
    loop {
        let rows = store.sealed_changes_after(&after, FEW).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after.clone_from(&last.change.id);
        for row in &rows {
            let named = (row.change.data_key_id.as_str(), row.change.user_id.as_str());
            let opens = match data_key(root, named, row.wrapped.as_deref()) {
                Ok(key) => change_opens(&key, row).map(|opens| opens.map_err(under_its_own)),
                Err(why) => [Err(why); 3],
            };
            for (kind, opens) in KINDS.into_iter().zip(opens) {
                things.note(kind, &row.change.id, opens);
            }
        }
    }
}

/// The schema that brought changes: a copy may be from before it.
const CHANGES: i64 = 26;

async fn logins(things: &mut SealedThings, store: &Store, own: &[SealingKey]) -> Result<(), Failure> {
    const KIND: &str = "logins.verifier";
    things.kinds.entry(KIND).or_default();
    let mut after = Vec::new();
    while !things.are_enough(KIND) {
        let rows = store.sealed_logins_after(&after, BATCH).await?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after.clone_from(last);
        for (state, verifier) in &rows {
            let key = envelope::key_id(verifier).map(|id| own.iter().find(|key| *key.id() == id));
            let opens = match key {
                Ok(Some(key)) => login_opens(key, state, verifier),
                Ok(None) => Err(OpenError::WrongKey),
                Err(why) => Err(why),
            };
            things.note(KIND, "a login in progress", opens);
        }
    }
    Ok(())
}

async fn audit_keys(things: &mut SealedThings, store: &Store, own: &[SealingKey]) -> Result<(), Failure> {
    const KIND: &str = "audit_keys.wrapped";
    things.kinds.entry(KIND).or_default();
    let mut after = String::new();
    while !things.are_enough(KIND) {
        let rows = store.audit_keys_after(&after, BATCH).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after.clone_from(&last.id);
        for row in &rows {
            let key = envelope::key_id(&row.wrapped).map(|id| own.iter().find(|key| *key.id() == id));
            let opens = match key {
                Ok(Some(key)) => people::open(row, key).map(drop),
                Ok(None) => Err(OpenError::WrongKey),
                Err(why) => Err(why),
            };
            things.note(KIND, &row.id, opens);
        }
    }
    Ok(())
}

/// A value under another data key than its row names was moved there.
const fn under_its_own(why: OpenError) -> OpenError {
    match why {
        OpenError::WrongKey => OpenError::Tampered,
        other => other,
    }
}

/// The data key that a row names, from beside it.
fn data_key(
    root: &RootKey,
    (id, user): (&str, &str),
    wrapped: Option<&[u8]>,
) -> Result<SealingKey, OpenError> {
    let id = id.strip_prefix("k_").and_then(key_id).ok_or(OpenError::Format)?;
    root.unwrap(id, user, wrapped.ok_or(OpenError::Format)?)
}

/// The keys in `rows` for one purpose that these roots open.
pub fn own_keys_for(purpose: &str, rows: &[PurposeKeyRow], roots: &[RootKey]) -> Vec<SealingKey> {
    let open = |row: &PurposeKeyRow| {
        let under: KeyId = envelope::key_id(&row.wrapped).ok()?;
        let root = roots.iter().find(|root| *root.id() == under)?;
        root.unwrap_own(key_id(&row.id)?, &row.purpose, &row.wrapped).ok()
    };
    rows.iter().filter(|row| row.purpose == purpose).filter_map(open).collect()
}
