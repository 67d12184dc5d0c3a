//! The data keys' rotation: every person gets another key, and what the old one seals is sealed anew for the same row
//! and version. A refresh that is faster wins; what it wrote is looked at again.

use std::sync::Arc;

use super::facts::{Counts, Facts, Probe};
use super::{BATCH, Bench, Plan, Steps, Stopped, held, quarantined};
use crate::ambient::{Clock, Dice, Timestamp};
use crate::crypto::Key;
use crate::crypto::envelope::{self, OpenError};
use crate::crypto::keys::SealingKey;
use crate::domain::rotation::{self, Kind, State};
use crate::domain::{DataKeyId, UserId};
use crate::failure::Failure;
use crate::store::{
    DataKeyRow, ExceptionRow, OldDataKey, Resealed, RotationRow, SealedApiKey, SealedChange, SealedLink,
    Store,
};
use crate::vault::KeyRing;
use crate::vault::changes;
use crate::vault::seal::{Column, place, sealed_columns, version_of};
use crate::vault::signing;

/// People in one batch.
const PEOPLE: i64 = 100;

/// The rotation of everybody's data key.
pub struct Data {
    /// The roots that wrap them.
    pub ring: Arc<KeyRing>,
}

/// What one person's old key came to.
type Dealt = (Option<Resealed>, Vec<ExceptionRow>);

impl Data {
    /// Plans it; `None` where a rotation is in progress already.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn plan(
        &self,
        at: (&Store, &Clock, &Dice),
        emergency: bool,
    ) -> Result<Option<String>, Failure> {
        // No rotation has this id: every data key is from before it.
        let before = counted(at.0, ("-", at.1.now())).await?;
        let (old_key, new_key) = ("everybody's", "everybody's");
        let before = Facts { before, ..Facts::default() };
        super::plan(Plan { kind: Kind::Data, emergency, old_key, new_key, before }, at).await
    }

    /// Seals anew what one old key seals. What does not open stays under it, and so does that key.
    async fn deal(&self, bench: &Bench<'_>, old: OldDataKey) -> Result<Dealt, Stopped> {
        let user: UserId = match old.user_id.parse() {
            Ok(user) => user,
            Err(_) => {
                return Ok((None, vec![exception("data_keys", (&old.id, &old.user_id), OpenError::Format)]));
            }
        };
        let Ok(id) = old.id.parse::<DataKeyId>() else {
            return Ok((None, vec![exception("data_keys", (&old.id, &old.user_id), OpenError::Format)]));
        };
        let row = DataKeyRow {
            id,
            user: user.clone(),
            master_key_id: old.master_key_id.clone(),
            wrapped: old.wrapped.clone(),
        };
        let key = match self.ring.unwrap(&row, &user).await? {
            Ok(key) => key,
            Err(error) => {
                return Ok((None, vec![exception("data_keys", (&old.id, &old.user_id), error)]));
            }
        };
        let Some((fresh, new)) = self.key_that_comes(bench, &old, &user).await? else {
            return Ok((None, Vec::new()));
        };
        let (links, api_keys, changes) = bench.store.sealed_under(&old.user_id, &old.id).await?;
        let (lists, new_id) = ((Vec::new(), Vec::new(), Vec::new()), data_key_id(new.id()));
        let mut resealed =
            Resealed { old, fresh, new: new_id, links: lists.0, api_keys: lists.1, changes: lists.2 };
        let mut exceptions = Vec::new();
        for link in links {
            match link_anew(&link, (&key, &new), bench.dice) {
                Ok(anew) => resealed.links.push((link, anew)),
                Err(error) => exceptions.push(exception("linked_accounts", (&link.id, &link.user_id), error)),
            }
        }
        for api_key in api_keys {
            match api_key_anew(&api_key, (&key, &new), bench.dice) {
                Ok(anew) => resealed.api_keys.push((api_key, anew)),
                Err(error) => exceptions.push(exception("api_keys", (&api_key.id, &api_key.user_id), error)),
            }
        }
        for change in changes {
            match change_anew(&change, (&key, &new), bench.dice) {
                Ok(anew) => resealed.changes.push((change, anew)),
                Err(error) => exceptions.push(exception("changes", (&change.id, &change.user_id), error)),
            }
        }
        Ok((Some(resealed), exceptions))
    }

    /// A fresh key for a person whose active one goes; the active one, where the old one was retired before.
    async fn key_that_comes(
        &self,
        bench: &Bench<'_>,
        old: &OldDataKey,
        user: &UserId,
    ) -> Result<Option<(Option<DataKeyRow>, SealingKey)>, Stopped> {
        if old.state != "active" {
            let Some(row) = bench.store.active_data_key(user).await? else { return Ok(None) };
            let opened = self.ring.unwrap(&row, user).await?;
            return Ok(opened.ok().map(|key| (None, key)));
        }
        let id = DataKeyId::mint(bench.dice.bytes());
        let key = SealingKey::new(id.key_id(), Key::new(bench.dice.bytes()));
        let root = self.ring.active();
        let wrapped = root.wrap(&key, user.as_str(), &bench.dice.bytes());
        let row = DataKeyRow { id, user: user.clone(), master_key_id: root.id().to_string(), wrapped };
        Ok(Some((Some(row), key)))
    }

    /// Opens every token and signing key with the data key that its row names.
    async fn open_all(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        let known = bench.store.rotation_exceptions(&row.id).await?;
        let is_known =
            |table: &str, id: &str| known.iter().any(|known| known.in_table == table && known.row_id == id);
        let mut facts = Facts::parse(&row.facts);
        let mut exceptions = Vec::new();
        let (mut after, mut opened) = (String::new(), 0);
        loop {
            let begun = bench.clock.now();
            let links = bench.store.sealed_links((&after, bench.pace.batch(BATCH))).await?;
            let Some(last) = links.last() else { break };
            after.clone_from(&last.id);
            for link in links.iter().filter(|link| !is_known("linked_accounts", &link.id)) {
                match self.opens(bench, link).await? {
                    Ok(()) => opened += 1,
                    Err(error) => {
                        exceptions.push(exception("linked_accounts", (&link.id, &link.user_id), error))
                    }
                }
            }
            bench.rest(links.len(), begun).await;
        }
        facts.verified.insert("linked_accounts".to_owned(), opened);
        (after, opened) = (String::new(), 0);
        loop {
            let begun = bench.clock.now();
            let keys = bench.store.sealed_api_keys((&after, bench.pace.batch(BATCH))).await?;
            let Some(last) = keys.last() else { break };
            after.clone_from(&last.id);
            for api_key in keys.iter().filter(|key| !is_known("api_keys", &key.id)) {
                let key = self.key_of(&api_key.data_key_id, &api_key.user_id).await?;
                match key.and_then(|key| signing::open_sealed(&key, api_key)) {
                    Ok(_) => opened += 1,
                    Err(error) => {
                        exceptions.push(exception("api_keys", (&api_key.id, &api_key.user_id), error))
                    }
                }
            }
            bench.rest(keys.len(), begun).await;
        }
        facts.verified.insert("api_keys".to_owned(), opened);
        let opened = self.open_changes(bench, &is_known, &mut exceptions).await?;
        facts.verified.insert("changes".to_owned(), opened);
        if !exceptions.is_empty() {
            let events: Vec<_> = exceptions.iter().map(|row_of| quarantined(bench, row, row_of)).collect();
            let now = bench.clock.now();
            let written =
                bench.store.write_resealed(bench.turn, (&[], &exceptions), "", (now, &events)).await?;
            written.ok_or(Stopped::TurnLost)?;
        }
        let now = bench.clock.now();
        held(bench.store.move_rotation(bench.turn, (State::Verifying, &facts.text()), now, &[]).await?)?;
        bench.witness.passed("verified");
        Ok(())
    }

    /// Opens the key of every change; says how many open.
    async fn open_changes(
        &self,
        bench: &Bench<'_>,
        is_known: &(dyn Fn(&str, &str) -> bool + Sync),
        exceptions: &mut Vec<ExceptionRow>,
    ) -> Result<u64, Stopped> {
        let (mut after, mut opened) = (String::new(), 0);
        loop {
            let begun = bench.clock.now();
            let rows = bench.store.sealed_changes((&after, bench.pace.batch(BATCH))).await?;
            let Some(last) = rows.last() else { return Ok(opened) };
            after.clone_from(&last.id);
            for row in rows.iter().filter(|row| !is_known("changes", &row.id)) {
                let key = self.key_of(&row.data_key_id, &row.user_id).await?;
                match key.and_then(|key| changes::open_content_key(&key, row)) {
                    Ok(_) => opened += 1,
                    Err(error) => exceptions.push(exception("changes", (&row.id, &row.user_id), error)),
                }
            }
            bench.rest(rows.len(), begun).await;
        }
    }

    /// Whether the sealed columns of a link open, or it is not any more what was read.
    async fn opens(&self, bench: &Bench<'_>, link: &SealedLink) -> Result<Result<(), OpenError>, Stopped> {
        let key = self.key_of(&link.data_key_id, &link.user_id).await?;
        let opened = key.and_then(|key| open_link(link, &key)).map(drop);
        if opened.is_err() && changed(bench.store, link).await? { Ok(Ok(())) } else { Ok(opened) }
    }

    async fn key_of(&self, id: &str, user: &str) -> Result<Result<SealingKey, OpenError>, Stopped> {
        let (Ok(id), Ok(user)) = (id.parse(), user.parse()) else { return Ok(Err(OpenError::Format)) };
        Ok(self.ring.data_key(&id, &user).await?)
    }
}

/// Nothing has to be known before it is used: a data key lies beside what it seals.
impl Steps for Data {
    async fn look(
        &self,
        bench: &Bench<'_>,
        row: &RotationRow,
        state: State,
    ) -> Result<rotation::Facts, Stopped> {
        let store = bench.store;
        match state {
            State::Rewrapping => {
                let ahead = store.count_old_data_keys(of(row), &row.position).await?;
                Ok(rotation::Facts { ahead, remaining: ahead })
            }
            State::Verifying => {
                self.open_all(bench, row).await?;
                let remaining = store.count_old_data_keys(of(row), "").await?;
                Ok(rotation::Facts { ahead: 0, remaining })
            }
            _ => Ok(rotation::Facts::default()),
        }
    }

    async fn batch(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        let mut after = row.position.clone();
        let ahead = bench.store.count_old_data_keys(of(row), &after).await?;
        let mut done = 0;
        loop {
            let begun = bench.clock.now();
            let most = bench.pace.batch(PEOPLE);
            let old = bench.store.old_data_keys(of(row), (&after, most)).await?;
            let Some(last) = old.last() else { return Ok(()) };
            let rows = old.len();
            after.clone_from(&last.id);
            done += rows as u64;
            let (mut people, mut exceptions) = (Vec::new(), Vec::new());
            for key in old {
                let (resealed, unopened) = self.deal(bench, key).await?;
                people.extend(resealed);
                exceptions.extend(unopened);
            }
            let events: Vec<_> = exceptions.iter().map(|row_of| quarantined(bench, row, row_of)).collect();
            let now = bench.clock.now();
            let written = bench
                .store
                .write_resealed(bench.turn, (&people, &exceptions), &after, (now, &events))
                .await?;
            if written.is_none() {
                // Another runner, or another master key: a new look tells which.
                self.ring.learn().await?;
                let still = bench.store.move_rotation(
                    bench.turn,
                    (State::Rewrapping, &row.facts),
                    bench.clock.now(),
                    &[],
                );
                return held(still.await?);
            }
            bench.witness.progress(done, ahead);
            bench.witness.passed("batch");
            bench.rest(rows, begun).await;
        }
    }

    async fn retire(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        let mut facts = Facts::parse(&row.facts);
        facts.after = counted(bench.store, of(row)).await?;
        // An old key opens nothing because it is no more: looked for, not taken for granted. What could not be opened
        // keeps its own.
        facts.probe = Probe { tried: from_before(&facts.before), opened: from_before(&facts.after) };
        let row = RotationRow { facts: facts.text(), ..row.clone() };
        bench.to(&row, State::Retired).await
    }
}

fn from_before(counts: &Counts) -> u64 {
    let count = counts.get("data_keys").and_then(|keys| keys.get("before"));
    count.copied().unwrap_or_default().unsigned_abs()
}

fn of(row: &RotationRow) -> (&str, Timestamp) {
    (&row.id, Timestamp::from_millis(row.started_at))
}

/// Data keys from before the rotation, and those since.
async fn counted(store: &Store, of: (&str, Timestamp)) -> Result<Counts, Failure> {
    let all: i64 = store.count_data_keys().await?.iter().map(|count| count.keys).sum();
    let since = store.count_new_data_keys(of).await?;
    let by = [("before".to_owned(), all - since), ("since".to_owned(), since)];
    Ok([("data_keys".to_owned(), by.into_iter().collect())].into_iter().collect())
}

fn data_key_id(id: &crate::crypto::keys::KeyId) -> String {
    format!("k_{id}")
}

/// The plaintexts of a link's sealed columns, for what they are sealed for at present.
fn open_link(
    link: &SealedLink,
    key: &SealingKey,
) -> Result<[Option<zeroize::Zeroizing<Vec<u8>>>; 4], OpenError> {
    let [access, refresh, secret, client_id] = sealed_columns(link).map(|(column, sealed)| {
        let place = place(column, &link.user_id, &link.id, version_of(column, link));
        sealed.map(|sealed| envelope::open(key, &place, sealed)).transpose()
    });
    Ok([access?, refresh?, secret?, client_id?])
}

fn link_anew(
    link: &SealedLink,
    (old, new): (&SealingKey, &SealingKey),
    dice: &Dice,
) -> Result<SealedLink, OpenError> {
    let [access, refresh, secret, client_id] = open_link(link, old)?;
    let seal = |column, plain: Option<zeroize::Zeroizing<Vec<u8>>>| {
        let place = place(column, &link.user_id, &link.id, version_of(column, link));
        plain.map(|plain| envelope::seal(new, &place, &plain, &dice.bytes()))
    };
    Ok(SealedLink {
        access_token: seal(Column::Access, access),
        refresh_token: seal(Column::Refresh, refresh),
        own_client_secret: seal(Column::ClientSecret, secret),
        sealed_client_id: seal(Column::ClientId, client_id),
        ..link.clone()
    })
}

fn api_key_anew(
    api_key: &SealedApiKey,
    (old, new): (&SealingKey, &SealingKey),
    dice: &Dice,
) -> Result<SealedApiKey, OpenError> {
    let plain = signing::open_sealed(old, api_key)?;
    let signing_key = signing::seal_anew(new, api_key, &plain, dice);
    Ok(SealedApiKey { signing_key, ..api_key.clone() })
}

fn change_anew(
    change: &SealedChange,
    (old, new): (&SealingKey, &SealingKey),
    dice: &Dice,
) -> Result<SealedChange, OpenError> {
    let key = changes::open_content_key(old, change)?;
    let content_key = changes::seal_content_key(new, change, &key, dice);
    Ok(SealedChange { content_key, ..change.clone() })
}

/// Whether a link is not what was read.
async fn changed(store: &Store, read: &SealedLink) -> Result<bool, Failure> {
    let Ok(id) = read.id.parse() else { return Ok(false) };
    let now = store.link_tokens(&id).await?;
    Ok(now.is_none_or(|now| now.version != read.token_version || now.data_key.as_str() != read.data_key_id))
}

fn exception(table: &str, (row, owner): (&str, &str), error: OpenError) -> ExceptionRow {
    ExceptionRow {
        in_table: table.to_owned(),
        row_id: row.to_owned(),
        user_id: owner.to_owned(),
        reason: super::reason(error).to_owned(),
    }
}
