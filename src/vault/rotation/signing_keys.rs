//! The rotation of the keys that authenticate and sign what the server itself makes: in one transaction, because there
//! are a handful of them. What they made before is taken for an hour, in an emergency not at all.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::facts::{Counts, Facts, Probe, Succession};
use super::{Bench, Stopped, held};
use crate::ambient::{Clock, Dice};
use crate::crypto::keys::{KeyId, SealingKey};
use crate::crypto::{Key, signature};
use crate::domain::event::{Event, EventCode};
use crate::domain::rotation::{self, Kind, State, Step};
use crate::domain::{KeyPurpose, RotationId};
use crate::failure::Failure;
use crate::store::{NewRotation, PurposeKeyRow, Recorded, RotationRow, Store};
use crate::vault::KeyRing;
use crate::vault::ring::own_row;

/// What the old evidence key signs of the new one, before the new one's public key.
pub const SUCCESSION: &[u8] = b"spotify-mcp/evidence-key-succession/v1";

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
        (store, clock, dice): (&Store, &Clock, &Dice),
        emergency: bool,
    ) -> Result<Option<String>, Failure> {
        let id = RotationId::mint(dice.bytes());
        let event = Event::new(EventCode::KeyRotationStarted)
            .subject(id.as_str())
            .detail("kind", Kind::Signing.name())
            .detail("emergency", if emergency { "yes" } else { "no" });
        let recorded = Recorded::now(event, clock, dice);
        let (old, new) =
            (self.ring.own(KeyPurpose::Evidence)?.id().to_string(), KeyId::new(dice.bytes()).to_string());
        let before = counted(&store.purpose_keys().await?);
        let facts =
            Facts { before, events: vec![recorded.id.as_str().to_owned()], ..Facts::default() }.text();
        let rotation = NewRotation {
            id: id.as_str(),
            kind: Kind::Signing,
            emergency,
            old_key: &old,
            new_key: &new,
            facts: &facts,
            now: clock.now(),
        };
        let begun = store.begin_rotation(&rotation, &[recorded]).await?;
        Ok(begun.then(|| id.as_str().to_owned()))
    }

    /// Works until the rotation is over.
    ///
    /// # Errors
    /// [`Stopped`]; what was done stays done.
    pub async fn run(&self, bench: &Bench<'_>) -> Result<(), Stopped> {
        loop {
            let row = bench.row().await?;
            let state = State::named(&row.state).ok_or(Failure::new("a rotation is in an unknown state"))?;
            match rotation::next(state, rotation::Facts::default()) {
                Step::Stage => bench.to(&row, State::Staged).await?,
                Step::Promote => self.replace(bench, &row).await?,
                Step::Begin => bench.to(&row, State::Rewrapping).await?,
                Step::Batch | Step::Again | Step::Verify => bench.to(&row, State::Verifying).await?,
                Step::Retire => self.retire(bench, &row).await?,
                Step::Nothing => return Ok(()),
            }
        }
    }

    async fn replace(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
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

    /// The old evidence key's word for the new one.
    fn succession(&self, seed: &Key) -> Result<Option<Succession>, Failure> {
        let old = self.ring.own(KeyPurpose::Evidence)?;
        let Some(new) = signature::sign(seed, b"") else { return Ok(None) };
        let message = [SUCCESSION, &new.public_key[..]].concat();
        let signed = signature::sign(old.key(), &message);
        Ok(signed.map(|signed| Succession {
            old_public_key: STANDARD.encode(signed.public_key),
            new_public_key: STANDARD.encode(new.public_key),
            signature: STANDARD.encode(signed.signature),
        }))
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
