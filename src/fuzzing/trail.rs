//! What `audit verify` reads: lines of a trail, checkpoints, anchors, notes, keys and proofs that anybody could have
//! written. Whatever they are, nothing counts as whole that was changed.

use super::changed;
use crate::audit::line::Facts;
use crate::audit::merkle::{Frontier, Tree, leaf_hash, verify_inclusion};
use crate::audit::note::{Checkpoint, Note, Verifier, origin};
use crate::audit::proof::Proof;
use crate::audit::verify::claims::{Claim, Source, of_anchor, of_checkpoints};
use crate::audit::verify::judge::judge;
use crate::audit::verify::{Examination, Problem};
use crate::crypto::{Key, signature};

/// A trail's files in any state, and what signs and proves.
pub fn trail(data: &[u8]) {
    lines(data);
    let text = String::from_utf8_lossy(data);
    if let Ok(note) = Note::parse(&text) {
        assert_eq!(note.to_string(), text);
        assert!(note.check(&[]).is_err());
    }
    if let Some(key) = Verifier::parse(&text) {
        assert_eq!(Verifier::parse(&key.to_string()), Some(key));
    }
    if let Some(checkpoint) = Checkpoint::parse(&text) {
        assert_eq!(checkpoint.text(), text);
    }
    if let Ok(proof) = Proof::parse(&text) {
        assert_eq!(Proof::parse(&proof.encode()).as_ref(), Ok(&proof));
        assert!(proof.check(&[]).is_err());
    }
    let (mut claims, mut problems): (Vec<Claim>, Vec<Problem>) = (Vec::new(), Vec::new());
    of_checkpoints(0, data, &mut claims, &mut problems);
    let anchors = of_anchor(&text, &Source::Database).unwrap_or_default();
    assert!(claims.iter().chain(&anchors).all(|claim| claim.note.check(&[]).is_err()));
    proven(data);
}

/// Any lines as a trail: in one piece and in two they say the same, and nobody signed them.
fn lines(data: &[u8]) {
    let mut whole = Examination::new(vec![1, 2, 3]);
    whole.begin(1);
    whole.take(0, data, 1);
    let mut parts = Examination::new(vec![1, 2, 3]);
    parts.begin(1);
    parts.take(0, data, 3);
    assert_eq!(whole.problem(), parts.problem());
    assert_eq!((whole.size(), whole.frontier()), (parts.size(), parts.frontier()));
    let verdict = judge(&whole, &[], &[]);
    assert!(!verdict.problems.is_empty() || !verdict.doubts.is_empty());
    for line in data.split(|byte| *byte == b'\n') {
        assert_eq!(Facts::of(line, 0, "c").leaf, leaf_hash(line));
    }
}

/// The bytes as a record that is proven: they are, and no others.
fn proven(data: &[u8]) {
    let (index, size) = data.first().map_or((0, 1), |byte| (u64::from(byte >> 4), u64::from(byte & 15) + 16));
    let (mut tree, mut frontier) = (Tree::default(), Frontier::new());
    for at in 0..size {
        let leaf = if at == index { leaf_hash(data) } else { leaf_hash(&at.to_be_bytes()) };
        tree.push(leaf);
        frontier.append(leaf);
    }
    let (path, root) = (tree.inclusion(index, size).unwrap(), frontier.root());
    assert!(verify_inclusion(&leaf_hash(data), index, size, &path, &root));
    assert_eq!(Frontier::decode(size, &frontier.encode()).as_ref(), Some(&frontier));
    let (origin, seed) = (origin("c"), Key::new([1; 32]));
    let public = signature::sign(&seed, b"").unwrap().public_key;
    let text = Checkpoint { origin: origin.clone(), size, root }.text();
    let note = Note::signed(&text, &origin, &seed).unwrap();
    let proof = Proof { record: data.to_vec(), index, path, note };
    let keys = [Verifier::new(&origin, &public).unwrap()];
    assert!(Proof::parse(&proof.encode()).unwrap().check(&keys).is_ok());
    if let Some(other) = changed(data, data) {
        let forged = Proof { record: other, ..proof };
        assert!(forged.check(&keys).is_err());
    }
}
