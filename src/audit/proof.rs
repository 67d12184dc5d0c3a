//! The proof that one record is in a trail, as a file that stands alone (c2sp.org/tlog-proof): a path of hashes to the
//! root of a signed checkpoint. The record itself is beside it as `extra`, and counts only because it hashes to the leaf.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::line::LONGEST_LINE;
use super::merkle::{Hash, LONGEST_PATH, leaf_hash, verify_inclusion};
use super::note::{Checkpoint, Note, NoteError, Verifier};

const HEAD: &str = "c2sp.org/tlog-proof@v1";

/// A proof. Nothing in it is true until [`Proof::check`] has said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The record's exact bytes, without its newline.
    pub record: Vec<u8>,
    /// Its index in the tree, from 0: its number less one.
    pub index: u64,
    /// From the leaf's sibling up.
    pub path: Vec<Hash>,
    /// The signed checkpoint.
    pub note: Note,
}

/// What is wrong with a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The file is no proof of a record.
    #[error("this is no proof of a record")]
    Malformed,
    /// The checkpoint is not believed.
    #[error("the checkpoint in it is not believed: {0}")]
    Checkpoint(NoteError),
    /// The path does not lead from the record to the root.
    #[error("the record is not in the tree whose root was signed")]
    NotIncluded,
}

impl Proof {
    /// The file's text.
    pub fn encode(&self) -> String {
        let path: String = self.path.iter().map(|hash| format!("{}\n", STANDARD.encode(hash))).collect();
        format!(
            "{HEAD}\nextra {}\nindex {}\n{path}\n{}",
            STANDARD.encode(&self.record),
            self.index,
            self.note
        )
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// [`ProofError::Malformed`], or [`ProofError::Checkpoint`] where the note in it is none.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let (head, note) = text.split_once("\n\n").ok_or(ProofError::Malformed)?;
        let note = Note::parse(note).map_err(ProofError::Checkpoint)?;
        let mut lines = head.split('\n');
        let mut read = || {
            if lines.next()? != HEAD {
                return None;
            }
            let record = STANDARD.decode(lines.next()?.strip_prefix("extra ")?).ok()?;
            let index = lines.next()?.strip_prefix("index ")?;
            let number: u64 = index.parse().ok().filter(|number: &u64| number.to_string() == index)?;
            let path: Option<Vec<Hash>> =
                lines.by_ref().map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect();
            let path = path.filter(|path| path.len() <= LONGEST_PATH && record.len() <= LONGEST_LINE)?;
            Some((record, number, path))
        };
        let (record, index, path) = read().ok_or(ProofError::Malformed)?;
        Ok(Self { record, index, path, note })
    }

    /// What the checkpoint in it says, whoever signed that.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        Checkpoint::parse(self.note.text())
    }

    /// Whether one of the known keys signed a tree that has this record at this index: the checkpoint, and who.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check<'a>(&self, known: &'a [Verifier]) -> Result<(Checkpoint, Vec<&'a Verifier>), ProofError> {
        let by = self.note.check(known).map_err(ProofError::Checkpoint)?;
        let checkpoint = self.checkpoint().ok_or(ProofError::Malformed)?;
        // A key speaks for its own log alone.
        if by.iter().any(|key| key.name() != checkpoint.origin) {
            return Err(ProofError::Checkpoint(NoteError::UnknownKey));
        }
        let leaf = leaf_hash(&self.record);
        if verify_inclusion(&leaf, self.index, checkpoint.size, &self.path, &checkpoint.root) {
            Ok((checkpoint, by))
        } else {
            Err(ProofError::NotIncluded)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::merkle::{Frontier, Tree};
    use crate::audit::note::origin;
    use crate::crypto::{Key, signature};

    fn proof(index: u64, size: u64) -> (Proof, Verifier) {
        let (mut tree, mut frontier) = (Tree::default(), Frontier::new());
        for n in 0..size {
            let leaf = leaf_hash(format!("record {n}").as_bytes());
            tree.push(leaf);
            frontier.append(leaf);
        }
        let (origin, seed) = (origin("c"), Key::new([1; 32]));
        let text = Checkpoint { origin: origin.clone(), size, root: frontier.root() }.text();
        let note = Note::signed(&text, &origin, &seed).unwrap();
        let path = tree.inclusion(index, size).unwrap();
        let known = Verifier::new(&origin, &signature::sign(&seed, b"").unwrap().public_key).unwrap();
        (Proof { record: format!("record {index}").into_bytes(), index, path, note }, known)
    }

    #[test]
    fn a_proof_comes_back_as_it_was_and_holds() {
        for (index, size) in [(0, 1), (0, 2), (5, 8), (6, 7), (99, 1000)] {
            let (proof, known) = proof(index, size);
            let read = Proof::parse(&proof.encode()).unwrap();
            assert_eq!(read, proof);
            assert_eq!(read.check(&[known]).unwrap().0.size, size);
        }
    }

    #[test]
    fn another_record_index_path_root_or_key_proves_nothing() {
        let (proof, known) = proof(5, 9);
        let keys = [known];
        let wrong = |change: &dyn Fn(&mut Proof)| {
            let mut changed = proof.clone();
            change(&mut changed);
            changed.check(&keys).unwrap_err()
        };
        assert_eq!(wrong(&|proof| proof.record.push(b' ')), ProofError::NotIncluded);
        assert_eq!(wrong(&|proof| proof.index = 4), ProofError::NotIncluded);
        assert_eq!(wrong(&|proof| proof.path[0][0] ^= 1), ProofError::NotIncluded);
        assert_eq!(wrong(&|proof| proof.path.truncate(proof.path.len() - 1)), ProofError::NotIncluded);
        let text = proof.encode();
        let changed = Proof::parse(&text.replace("\n9\n", "\n8\n")).unwrap();
        assert_eq!(changed.check(&keys), Err(ProofError::Checkpoint(NoteError::BadSignature)));
        assert_eq!(proof.check(&[]), Err(ProofError::Checkpoint(NoteError::UnknownKey)));
        for malformed in
            ["", "x\n\ny", &text.replace("index 5", "index 05"), &text.replace("extra ", "xtra ")]
        {
            assert!(Proof::parse(malformed).is_err(), "{malformed}");
        }
    }
}
