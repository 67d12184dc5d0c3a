//! The tree against the vectors of RFC 6962's reference implementation, and against the definition itself.

use proptest::prelude::*;

use super::*;

/// The leaves that the reference implementation of Certificate Transparency is tested with, and the roots after each.
const KNOWN: [(&str, &str); 8] = [
    ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
    ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
    ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
    ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
    ("5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
    ("606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hash(hex: &str) -> Hash {
    bytes(hex).try_into().unwrap()
}

fn known_tree() -> Tree {
    let mut tree = Tree::default();
    KNOWN.iter().for_each(|(leaf, _)| tree.push(leaf_hash(&bytes(leaf))));
    tree
}

/// MTH of RFC 6962 section 2.1, word for word.
fn defined(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        more => {
            let mut k = 1;
            while k * 2 < more.len() {
                k *= 2;
            }
            node_hash(&defined(&more[..k]), &defined(&more[k..]))
        }
    }
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|n| leaf_hash(n.to_string().as_bytes())).collect()
}

fn frontier(leaves: &[Hash]) -> Frontier {
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.append(*leaf));
    frontier
}

#[test]
fn roots_are_those_of_the_reference_implementation() {
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    for (size, (leaf, root)) in (1..).zip(KNOWN) {
        frontier.append(leaf_hash(&bytes(leaf)));
        assert_eq!((frontier.size(), frontier.root()), (size, hash(root)));
    }
}

#[test]
fn paths_are_those_of_the_reference_implementation() {
    let tree = known_tree();
    let expect = |path: Option<Vec<Hash>>, known: &[&str]| {
        assert_eq!(path.unwrap(), known.iter().map(|hex| hash(hex)).collect::<Vec<_>>());
    };
    expect(tree.inclusion(0, 1), &[]);
    expect(
        tree.inclusion(0, 8),
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    );
    expect(
        tree.inclusion(5, 8),
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    );
    expect(tree.consistency(1, 1), &[]);
    expect(
        tree.consistency(1, 8),
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    );
    expect(
        tree.consistency(6, 8),
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    );
}

#[test]
fn every_proof_in_every_small_tree_holds_and_only_for_what_it_proves() {
    let leaves = leaves(33);
    let roots: Vec<Hash> = (0..=33).map(|size| defined(&leaves[..size])).collect();
    let mut tree = Tree::default();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    for size in 1..=33_usize {
        let root = &roots[size];
        for index in 0..size as u64 {
            let path = tree.inclusion(index, size as u64).unwrap();
            for (other, leaf) in (0..).zip(&leaves) {
                let holds = verify_inclusion(leaf, other, size as u64, &path, root);
                assert_eq!(holds, other == index, "{other} for {index} of {size}");
            }
        }
        for old in 0..=size {
            let path = tree.consistency(old as u64, size as u64).unwrap();
            for (other, old_root) in roots.iter().enumerate().take(34) {
                let holds = verify_consistency((other as u64, old_root), (size as u64, root), &path);
                let nothing = (other == 0 || other == size) && path.is_empty();
                assert_eq!(holds, other == old || nothing, "{other} for {old} in {size}");
            }
        }
    }
}

#[test]
fn what_is_not_there_has_no_proof() {
    let tree = known_tree();
    assert_eq!(tree.inclusion(8, 8), None);
    assert_eq!(tree.inclusion(0, 9), None);
    assert_eq!(tree.consistency(8, 9), None);
    assert_eq!(tree.consistency(5, 4), None);
    assert!(!verify_inclusion(&[0; 32], u64::MAX, u64::MAX, &[], &[0; 32]));
    assert!(!verify_inclusion(&[0; 32], 0, u64::MAX, &[[0; 32]; 65], &[0; 32]));
}

proptest! {
    #[test]
    fn a_frontier_is_the_tree_it_was_made_of(count in 0_usize..300) {
        let leaves = leaves(count);
        let frontier = frontier(&leaves);
        prop_assert_eq!(frontier.root(), defined(&leaves));
        let text = frontier.encode();
        let size = frontier.size();
        prop_assert_eq!(Frontier::decode(size, &text), Some(frontier));
        prop_assert!(Frontier::decode(size ^ 1, &text).is_none());
        let longer = text + "AAAA";
        prop_assert!(Frontier::decode(size, &longer).is_none());
    }

    #[test]
    fn proofs_from_a_frontier_on_are_those_of_the_whole_tree(
        base in 0_usize..130, more in 1_usize..130, choice: prop::sample::Index, other: prop::sample::Index,
    ) {
        let leaves = leaves(base + more);
        let mut whole = Tree::default();
        leaves.iter().for_each(|leaf| whole.push(*leaf));
        let mut tree = Tree::new(frontier(&leaves[..base]));
        leaves[base..].iter().for_each(|leaf| tree.push(*leaf));
        let index = (base + choice.index(more)) as u64;
        let size = index + 1 + other.index(leaves.len() - usize::try_from(index).unwrap()) as u64;
        prop_assert_eq!(tree.inclusion(index, size), whole.inclusion(index, size));
        prop_assert_eq!(tree.consistency(index, size), whole.consistency(index, size));
        if let Some(before) = base.checked_sub(1) {
            prop_assert_eq!(tree.inclusion(before as u64, size), None, "its leaf is not known");
        }
    }

    #[test]
    fn a_changed_path_proves_nothing(
        count in 2_usize..200, choice: prop::sample::Index, node: prop::sample::Index, bit in 0_usize..256,
    ) {
        let leaves = leaves(count);
        let mut tree = Tree::default();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        let (index, size, root) = (choice.index(count), count as u64, defined(&leaves));
        let mut path = tree.inclusion(index as u64, size).unwrap();
        prop_assert!(verify_inclusion(&leaves[index], index as u64, size, &path, &root));
        prop_assert!(!verify_inclusion(&leaves[index], index as u64, size, &path[1..], &root));
        prop_assert!(!verify_inclusion(&leaves[index], index as u64, size, &[&path[..], &[root]].concat(), &root));
        let at = node.index(path.len());
        path[at][bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!verify_inclusion(&leaves[index], index as u64, size, &path, &root));
    }
}
