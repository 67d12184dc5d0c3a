//! Roots that follow one another, and the server's own keys: each sealed under a root, for its row alone.
//!
//! Never: deciding when a root follows another, or keeping one longer than its caller does.

use super::Key;
use super::envelope::{self, OpenError, Place, SealEntropy};
use super::keys::{KeyId, Purpose, RootKey, SealingKey};

/// Which way a root is passed while another takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// The new one under the old: who still starts with the old one learns it.
    Over,
    /// The old one under the new, until nothing is wrapped under the old one any more.
    Back,
}

impl Passage {
    const fn column(self) -> &'static str {
        match self {
            Self::Over => "handed_over",
            Self::Back => "handed_back",
        }
    }
}

impl RootKey {
    /// Seals another root under this one.
    pub fn pass(&self, other: &Self, way: Passage, entropy: &SealEntropy) -> Vec<u8> {
        let row = other.id().to_string();
        envelope::seal(
            &self.derive(Purpose::Succession),
            &root_place(way, &row),
            other.master().expose(),
            entropy,
        )
    }

    /// Opens what [`RootKey::pass`] sealed under this root, for the row of `id`.
    ///
    /// # Errors
    /// As [`envelope::open`]; [`OpenError::Tampered`] where another root comes out than the row says.
    pub fn receive(&self, id: &str, way: Passage, sealed: &[u8]) -> Result<Self, OpenError> {
        let opened = envelope::open(&self.derive(Purpose::Succession), &root_place(way, id), sealed)?;
        let root = Self::new(exactly(&opened)?);
        if root.id().to_string() == id { Ok(root) } else { Err(OpenError::Tampered) }
    }

    /// This key under another's name, for probes alone: what that other sealed must not open with it.
    pub fn posing_as(&self, other: &Self) -> Self {
        Self::named(*other.id(), self.master().clone())
    }

    /// Wraps one of the server's own keys for its row.
    pub fn wrap_own(&self, key: &SealingKey, purpose: &str, entropy: &SealEntropy) -> Vec<u8> {
        let row = key.id().to_string();
        envelope::seal(
            &self.derive(Purpose::WrapPurposeKeys),
            &own_place(purpose, &row),
            key.key().expose(),
            entropy,
        )
    }

    /// Unwraps what [`RootKey::wrap_own`] wrapped for the same purpose and key id.
    ///
    /// # Errors
    /// As [`envelope::open`].
    pub fn unwrap_own(&self, id: KeyId, purpose: &str, wrapped: &[u8]) -> Result<SealingKey, OpenError> {
        let row = id.to_string();
        let opened =
            envelope::open(&self.derive(Purpose::WrapPurposeKeys), &own_place(purpose, &row), wrapped)?;
        Ok(SealingKey::new(id, exactly(&opened)?))
    }
}

fn exactly(bytes: &[u8]) -> Result<Key, OpenError> {
    <[u8; 32]>::try_from(bytes).map(Key::new).map_err(|_| OpenError::Format)
}

const fn root_place(way: Passage, row: &str) -> Place<'_> {
    Place { table: "master_keys", column: way.column(), user: "", row, version: 0 }
}

/// Where a record names a person, these name their purpose: a key moved to another purpose does not open.
const fn own_place<'a>(purpose: &'a str, row: &'a str) -> Place<'a> {
    Place { table: "purpose_keys", column: "wrapped", user: purpose, row, version: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(byte: u8) -> RootKey {
        RootKey::new(Key::new([byte; 32]))
    }

    #[test]
    fn a_root_is_received_by_whom_it_was_passed_to_for_its_own_row_and_way() {
        let (old, new) = (root(1), root(2));
        let id = new.id().to_string();
        let sealed = old.pass(&new, Passage::Over, &[3; 44]);
        assert_eq!(old.receive(&id, Passage::Over, &sealed).unwrap().id(), new.id());
        assert_eq!(root(4).receive(&id, Passage::Over, &sealed).unwrap_err(), OpenError::WrongKey);
        assert_eq!(old.receive(&id, Passage::Back, &sealed).unwrap_err(), OpenError::Tampered);
        let other = root(5).id().to_string();
        assert_eq!(old.receive(&other, Passage::Over, &sealed).unwrap_err(), OpenError::Tampered);
    }

    #[test]
    fn a_key_of_the_servers_own_keeps_its_purpose_and_id() {
        let key = SealingKey::new(KeyId::new([7; 16]), Key::new([8; 32]));
        let wrapped = root(1).wrap_own(&key, "browser-tickets", &[9; 44]);
        assert!(root(1).unwrap_own(*key.id(), "browser-tickets", &wrapped).unwrap().key() == key.key());
        for (purpose, id) in [("pending-logins", *key.id()), ("browser-tickets", KeyId::new([6; 16]))] {
            assert_eq!(root(1).unwrap_own(id, purpose, &wrapped).unwrap_err(), OpenError::Tampered);
        }
    }
}
