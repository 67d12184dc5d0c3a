//! Who signs a trail's checkpoints: the key in use, and how trust came to it from the keys before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::about::KeyChange;
use super::note::{self, Note, Verifier};
use crate::crypto::keys::SealingKey;
use crate::crypto::{Key, signature};
use crate::failure::Failure;
use crate::vault::rotation::Succession;

/// An Ed25519 key pair that signs checkpoints.
#[derive(Clone, Debug)]
pub struct Signer {
    seed: Key,
    public_key: [u8; 32],
    successions: Vec<Succession>,
}

impl Signer {
    /// The key pair that `seed` stands for, with all that is known of how evidence keys followed one another.
    ///
    /// # Errors
    /// Never for a key of 32 bytes.
    pub fn new(seed: &SealingKey, successions: Vec<Succession>) -> Result<Self, Failure> {
        let of_no_use = || Failure::new("the key that signs evidence cannot sign");
        let signed = signature::sign(seed.key(), b"").ok_or_else(of_no_use)?;
        let public_key = signed.public_key.try_into().map_err(|_| of_no_use())?;
        Ok(Self { seed: seed.key().clone(), public_key, successions })
    }

    /// What a chain's checkpoints by this key are verified with.
    pub(super) fn verifier(&self, chain_uid: &str) -> Option<Verifier> {
        Verifier::new(&note::origin(chain_uid), &self.public_key)
    }

    /// The same in its text form.
    pub(super) fn vkey(&self, chain_uid: &str) -> String {
        // The name of a chain has no character that a key's name may not have.
        self.verifier(chain_uid).map(|verifier| verifier.to_string()).unwrap_or_default()
    }

    /// Signs a checkpoint's text, and `also` does where a key has just changed, the old one first.
    pub(super) fn sign(&self, origin: &str, text: &str, also: Option<&Self>) -> Option<Note> {
        match also {
            Some(old) => Note::signed(text, origin, &old.seed)?.and_signed(origin, &self.seed),
            None => Note::signed(text, origin, &self.seed),
        }
    }

    /// Whether this is the same key.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.public_key == other.public_key
    }

    /// The changes that lead from a chain's key (in its text form) to this one, each with the words of both keys. One
    /// without words where no way is known: the database was put back to before a change, or is another.
    pub(super) fn path_from(&self, chain_uid: &str, vkey: &str) -> Vec<KeyChange> {
        let origin = note::origin(chain_uid);
        let name = |key: &[u8]| Verifier::new(&origin, key).map(|it| it.to_string()).unwrap_or_default();
        let mut changes: Vec<KeyChange> = Vec::new();
        let mut at = Verifier::parse(vkey).map(|verifier| *verifier.public_key());
        // Each step takes another succession: no more than there are.
        for _ in 0..=self.successions.len() {
            let Some(key) = at.filter(|key| *key != self.public_key) else { break };
            let old = STANDARD.encode(key);
            let Some(step) = self.successions.iter().find(|step| step.old_public_key == old) else { break };
            at = STANDARD.decode(&step.new_public_key).ok().and_then(|new| new.try_into().ok());
            let words = (step.predecessor.clone(), step.signature.clone());
            let new = at.map(|new| name(&new)).unwrap_or_default();
            changes.push(KeyChange { new, old: name(&key), words: Some(words) });
        }
        if at == Some(self.public_key) {
            return changes;
        }
        vec![KeyChange { new: name(&self.public_key), old: vkey.to_owned(), words: None }]
    }
}
