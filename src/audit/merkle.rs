//! The hash tree over a trail's records (RFC 6962 section 2.1): its root, and proofs that a record is in it or that a
//! larger tree begins with a smaller one. Pure. Never: reading files, or judging who signed a root.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// A node of the tree: SHA-256.
pub type Hash = [u8; 32];

/// The longest path of a proof: a tree has at most 2^64 leaves, and a consistency proof one hash more.
pub const LONGEST_PATH: usize = 65;

/// The hash of a leaf: SHA-256(0x00 || line), the line being a record's exact bytes without its newline.
pub fn leaf_hash(line: &[u8]) -> Hash {
    Sha256::new_with_prefix([0_u8]).chain_update(line).finalize().into()
}

/// The hash of an inner node: SHA-256(0x01 || left || right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut text = [1; 65];
    text[1..33].copy_from_slice(left);
    text[33..].copy_from_slice(right);
    Sha256::digest(text).into()
}

/// The tree over the first leaves of a trail, as the roots of its perfect subtrees, largest first: enough to append
/// and to tell the root, in memory that grows with the logarithm of the size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// How many leaves the tree has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its [`leaf_hash`].
    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root of the tree; of the one without leaves, the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Sha256::digest([]).into() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }

    /// The peaks one after the other, in base64 (RFC 4648 section 4); the size is kept beside it.
    pub fn encode(&self) -> String {
        STANDARD.encode(self.peaks.concat())
    }

    /// What [`Frontier::encode`] wrote of a tree of this size; `None` where it cannot be of such a tree.
    pub fn decode(size: u64, text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        let (peaks, rest) = bytes.as_chunks::<32>();
        let fits = rest.is_empty() && u32::try_from(peaks.len()).ok()? == size.count_ones();
        fits.then(|| Self { size, peaks: peaks.to_vec() })
    }

    /// The peak that is the subtree of exactly these leaves.
    fn peak(&self, start: u64, end: u64) -> Option<&Hash> {
        let width =
            end.checked_sub(start).filter(|width| width.is_power_of_two() && self.size & width != 0)?;
        // The leaves before it are those of the larger peaks.
        let before = self.size & !(width | (width - 1));
        let larger = usize::try_from(before.count_ones()).ok()?;
        (start == before).then(|| self.peaks.get(larger)).flatten()
    }
}

/// A tree with its leaves, for making proofs. Of those before a trail's oldest segment only the frontier is known.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    base: Frontier,
    leaves: Vec<Hash>,
}

impl Tree {
    /// A tree that begins with leaves of which only this is known.
    pub const fn new(base: Frontier) -> Self {
        Self { base, leaves: Vec::new() }
    }

    /// Adds a leaf by its [`leaf_hash`].
    pub fn push(&mut self, leaf: Hash) {
        self.leaves.push(leaf);
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.base.size + self.leaves.len() as u64
    }

    /// The leaf of this index (from 0), where it is known.
    pub fn leaf(&self, index: u64) -> Option<&Hash> {
        self.leaves.get(usize::try_from(index.checked_sub(self.base.size)?).ok()?)
    }

    /// The path that proves the leaf of this index in the tree of the first `size` leaves (RFC 6962 section 2.1.1),
    /// the leaf's sibling first; `None` where that is no such tree, or what it takes is not known.
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        let mut path = Vec::new();
        if index >= size || size > self.size() || index < self.base.size {
            return None;
        }
        self.include(index, (0, size), &mut path)?;
        Some(path)
    }

    /// The path that proves that the tree of `new` leaves begins with that of `old` (RFC 6962 section 2.1.2); `None`
    /// where there are no such trees, or what it takes is not known.
    pub fn consistency(&self, old: u64, new: u64) -> Option<Vec<Hash>> {
        let mut path = Vec::new();
        if old > new || new > self.size() {
            return None;
        }
        if old > 0 && old < new {
            self.connect(old, (0, new), true, &mut path)?;
        }
        Some(path)
    }

    fn include(&self, index: u64, (start, end): (u64, u64), path: &mut Vec<Hash>) -> Option<()> {
        if end - start == 1 {
            return Some(());
        }
        let middle = start + split(end - start);
        if index < middle {
            self.include(index, (start, middle), path)?;
            path.push(self.subtree(middle, end)?);
        } else {
            self.include(index, (middle, end), path)?;
            path.push(self.subtree(start, middle)?);
        }
        Some(())
    }

    /// `whole`: the old tree is this one, and its root is known to whoever checks.
    fn connect(&self, old: u64, (start, end): (u64, u64), whole: bool, path: &mut Vec<Hash>) -> Option<()> {
        if old == end - start {
            if !whole {
                path.push(self.subtree(start, end)?);
            }
            return Some(());
        }
        let half = split(end - start);
        if old <= half {
            self.connect(old, (start, start + half), whole, path)?;
            path.push(self.subtree(start + half, end)?);
        } else {
            self.connect(old - half, (start + half, end), false, path)?;
            path.push(self.subtree(start, start + half)?);
        }
        Some(())
    }

    fn subtree(&self, start: u64, end: u64) -> Option<Hash> {
        if let Some(peak) = self.base.peak(start, end) {
            return Some(*peak);
        }
        if end - start == 1 {
            return self.leaf(start).copied();
        }
        let middle = start + split(end - start);
        Some(node_hash(&self.subtree(start, middle)?, &self.subtree(middle, end)?))
    }
}

/// The largest power of two below `width`, which is at least 2.
const fn split(width: u64) -> u64 {
    1 << (63 - (width - 1).leading_zeros())
}

/// Whether the path proves the leaf at this index (from 0) of the tree with this size and root (RFC 9162 section
/// 2.1.3.2, the same tree).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut node) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            node = node_hash(sibling, &node);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            node = node_hash(&node, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && node == *root
}

/// Whether the path proves that the new tree begins with the old one, each a size and a root (RFC 9162 section 2.1.4.2,
/// the same tree). Every tree begins with the one without leaves.
pub fn verify_consistency(old: (u64, &Hash), new: (u64, &Hash), path: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == 0 || old_size >= new_size {
        let same = old_size == new_size && old_root == new_root;
        let from_nothing = old_size == 0 && *old_root == Frontier::new().root();
        return path.is_empty() && (same || (from_nothing && new_size > 0));
    }
    // The old tree, where it is perfect, is the first node itself and not in the path.
    let (first, rest) = match path.split_first() {
        _ if old_size.is_power_of_two() => (old_root, path),
        Some(split) => split,
        None => return false,
    };
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (mut old_node, mut new_node) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_node = node_hash(sibling, &old_node);
            new_node = node_hash(sibling, &new_node);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            new_node = node_hash(&new_node, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old_node == *old_root && new_node == *new_root
}

#[cfg(test)]
mod tests;
