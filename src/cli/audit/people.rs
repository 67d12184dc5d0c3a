//! Who the trail's pseudonyms are, and where requests came from: with the database, the latter with the master key too.
//! Reading that is itself an event, kept before anything is shown.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::filter::{Record, not_whole};
use super::table::INDENT;
use crate::audit::people;
use crate::cli::administer::{Desk, Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::cli::serve_start;
use crate::domain::KeyPurpose;
use crate::domain::event::{Event, EventCode};
use crate::store::AuditKeyOwner;

/// What personal fields of some records say.
#[derive(Default)]
pub(super) struct Opened {
    /// Our ids by pseudonyms.
    people: BTreeMap<String, String>,
    /// Addresses by what stands in the records.
    addresses: BTreeMap<String, String>,
}

/// The pseudonym by which the trail calls a person: as it stands, or looked up by the ids that people go by.
pub(super) fn pseudonym(named: &str, place: &Place<'_>) -> Result<String, Refused> {
    if let Some(rest) = named.strip_prefix("p_") {
        let is_key = rest.len() == 32 && rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        return match is_key || matches!(rest, "erased" | "unresolved") {
            true => Ok(named.to_owned()),
            false => Err(not_whole("--user", named, "'p_' and 32 hexadecimal digits")),
        };
    }
    let mut found = None;
    at_database(place, async |desk| {
        let user = desk.person(named).await?;
        let row = desk.store.audit_key_of(&AuditKeyOwner::Person(user.clone())).await;
        found = row.map_err(|failure| broken(&failure))?.map(|row| row.id);
        if found.is_none() {
            // Records of before there were pseudonyms have the id itself.
            found = Some(user.to_string());
        }
        Ok(Exit::Done)
    })?;
    Ok(found.unwrap_or_default())
}

/// Opens what these records hide, as far as the keys are still there.
pub(super) fn open(records: &[Record<'_>], place: &Place<'_>) -> Result<Opened, Refused> {
    let mut opened = Opened::default();
    at_database(place, async |desk| {
        let roots = serve_start::roots_at_hand(&desk.config, &desk.output)?.ok_or_else(|| {
            Refused::incomplete(
                "AUDIT_MASTER_KEY_AWAY",
                "personal fields are sealed, and the master key is not at hand",
                "run it with the server's environment, or leave out --personal",
            )
        })?;
        let (ring, _) = serve_start::ring(&desk.store, &roots, (&desk.clock, &desk.dice)).await?;
        let event = Event::new(EventCode::AuditPersonalRead)
            .operation("audit query")
            .detail("records", records.len().to_string())
            .detail("first", records.first().map_or(0, |one| one.metadata.sequence).to_string())
            .detail("last", records.last().map_or(0, |one| one.metadata.sequence).to_string());
        desk.store.record(&[desk.stamp(event)]).await.map_err(|failure| broken(&failure))?;
        let wrapping = ring.own(KeyPurpose::AuditPeople).map_err(|failure| broken(&failure))?;
        for record in records {
            for name in record.pseudonyms() {
                learn(desk, name, &mut opened).await?;
            }
            if let Some(sealed) = record.address() {
                address(desk, sealed, &wrapping, &mut opened).await?;
            }
        }
        Ok(Exit::Done)
    })?;
    Ok(opened)
}

async fn learn(desk: &Desk, name: &str, opened: &mut Opened) -> Result<(), Refused> {
    if opened.people.contains_key(name) {
        return Ok(());
    }
    let row = desk.store.audit_key(name).await.map_err(|failure| broken(&failure))?;
    if let Some(user) = row.and_then(|row| row.user_id) {
        opened.people.insert(name.to_owned(), user);
    }
    Ok(())
}

async fn address(
    desk: &Desk,
    sealed: &str,
    wrapping: &crate::crypto::keys::SealingKey,
    opened: &mut Opened,
) -> Result<(), Refused> {
    let Some((name, _)) = sealed.split_once('.').filter(|_| !opened.addresses.contains_key(sealed)) else {
        return Ok(());
    };
    let row = desk.store.audit_key(name).await.map_err(|failure| broken(&failure))?;
    let key = row.and_then(|row| people::open(&row, wrapping).ok());
    if let Some(address) = key.and_then(|key| people::open_address(sealed, &key)) {
        opened.addresses.insert(sealed.to_owned(), address.to_string());
    }
    Ok(())
}

impl Opened {
    /// A second line for people: who and from where, as far as that can still be told.
    pub(super) fn row(&self, record: &Record<'_>) -> String {
        let who: Vec<&str> =
            record.pseudonyms().filter_map(|name| self.people.get(name)).map(String::as_str).collect();
        let from = record.address().and_then(|sealed| self.addresses.get(sealed));
        let from = from.map(|address| format!("from {address}"));
        let words: Vec<String> = who.into_iter().map(str::to_owned).chain(from).collect();
        if words.is_empty() { String::new() } else { format!("{:INDENT$}{}\n", "", words.join("  ")) }
    }

    /// The record and what it hides, for programs: one line.
    pub(super) fn line(&self, line: &[u8], record: &Record<'_>) -> String {
        let people: BTreeMap<&str, &String> =
            record.pseudonyms().filter_map(|name| Some((name, self.people.get(name)?))).collect();
        let address = record.address().and_then(|sealed| self.addresses.get(sealed));
        let whole: Value = serde_json::from_slice(line).unwrap_or_default();
        format!("{}\n", json!({ "address": address, "people": people, "record": whole }))
    }
}
