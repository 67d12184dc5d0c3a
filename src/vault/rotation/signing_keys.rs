//! The rotation of the keys that authenticate and sign what the server itself makes: in one transaction, because there
//! are a handful of them. What they made before is taken for an hour, in an emergency not at all.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::facts::{Counts, Facts, Probe, Succession};
use super::{Bench, Plan, Steps, Stopped, held};
use crate::ambient::{Clock, Dice};
use crate::crypto::keys::{KeyId, SealingKey};
use crate::crypto::{Key, signature};
use crate::domain::KeyPurpose;
use crate::domain::rotation::{Kind, State};
use crate::failure::Failure;
use crate::store::{PurposeKeyRow, RotationRow, Store};
use crate::vault::KeyRing;
use crate::vault::ring::own_row;

/// What the old evidence key signs of the new one, before the new one's public key.
pub const SUCCESSION: &[u8] = b"spotify-mcp/evidence-key-succession/v1";

/// What the new evidence key signs of the old one, before the old one's public key.
pub const PREDECESSOR: &[u8] = b"spotify-mcp/evidence-key-predecessor/v1";

/// The rotation of the server's own keys.
pub struct Signing {
    /// The ring that they are on.
    pub ring: Arc<KeyRing>,
}

impl Signing {
    /// Plans it; `None` where a rotation is in progress already.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn plan(
        &self,
        at: (&Store, &Clock, &Dice),
        emergency: bool,
    ) -> Result<Option<String>, Failure> {
        let old_key = self.ring.own(KeyPurpose::Evidence)?.id().to_string();
        let new_key = KeyId::new(at.2.bytes()).to_string();
        let before = Facts { before: counted(&at.0.purpose_keys().await?), ..Facts::default() };
        let (old_key, new_key) = (old_key.as_str(), new_key.as_str());
        super::plan(Plan { kind: Kind::Signing, emergency, old_key, new_key, before }, at).await
    }

    /// The old evidence key's word for the new one.
    fn succession(&self, seed: &Key) -> Result<Option<Succession>, Failure> {
        let old = self.ring.own(KeyPurpose::Evidence)?;
        let Some(new) = signature::sign(seed, b"") else { return Ok(None) };
        let message = [SUCCESSION, &new.public_key[..]].concat();
        let Some(signed) = signature::sign(old.key(), &message) else { return Ok(None) };
        let back = signature::sign(seed, &[PREDECESSOR, &signed.public_key[..]].concat());
        Ok(back.map(|back| Succession {
            old_public_key: STANDARD.encode(signed.public_key),
            new_public_key: STANDARD.encode(new.public_key),
            signature: STANDARD.encode(signed.signature),
            predecessor: STANDARD.encode(back.signature),
        }))
    }
}

impl Steps for Signing {
    async fn promote(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        self.ring.learn().await?;
        let (root, now) = (self.ring.active(), bench.clock.now());
        let mut facts = Facts::parse(&row.facts);
        let mut fresh = Vec::new();
        for purpose in KeyPurpose::ALL.into_iter().filter(|purpose| purpose.rotates()) {
            let seed = Key::new(bench.dice.bytes());
            let id = if purpose == KeyPurpose::Evidence {
                facts.succession = self.succession(&seed)?;
                crate::vault::key_id(&row.new_key).ok_or(Failure::new("a rotation names no key"))?
            } else {
                KeyId::new(bench.dice.bytes())
            };
            fresh.push(own_row(&root, &SealingKey::new(id, seed), purpose, (now, bench.dice)));
        }
        let events = bench.step(&mut facts, row, State::Active);
        let replaced =
            bench.store.replace_purpose_keys(bench.turn, &fresh, (&facts.text(), now), &events).await?;
        held(replaced)?;
        bench.witness.passed("active");
        Ok(())
    }

    async fn retire(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        // Every key opens, the new ones among them: else this fails.
        self.ring.learn().await?;
        let rows = bench.store.purpose_keys().await?;
        let mut facts = Facts::parse(&row.facts);
        facts.verified.insert("purpose_keys".to_owned(), rows.len() as u64);
        // A retired evidence key signs nothing any more; in an emergency what the others made is worth nothing either.
        bench.store.drop_retired_purpose_keys(bench.turn, row.emergency.is_some()).await?;
        let kept = bench.store.purpose_keys().await?;
        let still_there = kept.iter().filter(|kept| kept.id == row.old_key).count();
        facts.probe = Probe { tried: 1, opened: still_there as u64 };
        facts.after = counted(&kept);
        bench.to(&RotationRow { facts: facts.text(), ..row.clone() }, State::Retired).await
    }
}

fn counted(rows: &[PurposeKeyRow]) -> Counts {
    let active = rows.iter().filter(|row| row.state == "active").map(|row| (row.id.clone(), 1)).collect();
    [("purpose_keys".to_owned(), active)].into_iter().collect()
}
