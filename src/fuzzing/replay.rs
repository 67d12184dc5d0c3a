//! Every target on its seeds in `fuzz/corpus`, and on mutations of them: the same with every run, without libFuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::TARGETS;

/// Mutations of each target; each takes microseconds, but for the few that derive keys.
const MUTATIONS: u32 = 3_000;

#[test]
fn every_target_holds_on_its_seeds_and_on_mutations_of_them() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        let mut chance = Chance(0x5eed);
        for seed in &seeds {
            let _shown = Shown { name, input: seed };
            target(seed);
        }
        for _ in 0..MUTATIONS {
            let input = mutated(&seeds, &mut chance);
            let _shown = Shown { name, input: &input };
            target(&input);
        }
    }
}

#[test]
fn every_target_has_its_program_its_seeds_and_its_place_in_the_manifest() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let known: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(self::folder().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("fuzz_targets"), known);
    assert_eq!(names("corpus"), known);
    for name in known {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let program = fs::read_to_string(folder().join("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(program.contains(&format!("run(\"{name}\", data)")), "{name}");
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(folder().join("corpus").join(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!((1..=100).contains(&paths.len()), "{name} has {} seeds", paths.len());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Says which input it was, where a target panics.
struct Shown<'a> {
    name: &'a str,
    input: &'a [u8],
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("target {} does not hold on \"{}\"", self.name, self.input.escape_ascii());
        }
    }
}

/// SplitMix64: the same numbers with every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(most.max(1)).unwrap()).unwrap()
    }
}

/// Pieces that parsers trip over.
const PIECES: [&[u8]; 24] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"%2e%2e",
    b"%00",
    b"%",
    b"../",
    b"#",
    b"@",
    b"//",
    b"[",
    b"{",
    b"]",
    b"}",
    b",",
    b"null",
    b"1e999",
    b"18446744073709551616",
    "\u{202e}".as_bytes(),
    "\u{e0041}".as_bytes(),
];

/// A seed with one to four changes: a byte flipped, a piece put in, a part dropped, doubled, or taken from another.
fn mutated(seeds: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(4) {
        let (one, two) = (chance.below(bytes.len() + 1), chance.below(bytes.len() + 1));
        let (from, to) = (one.min(two), one.max(two));
        match chance.below(6) {
            0 if from < bytes.len() => bytes[from] ^= 1 << chance.below(8),
            1 if from < bytes.len() => bytes[from] = chance.next().to_le_bytes()[0],
            2 => drop(bytes.splice(from..from, PIECES[chance.below(PIECES.len())].iter().copied())),
            3 => drop(bytes.drain(from..to.min(from + 16))),
            4 => {
                let part = bytes[from..to.min(from + 64)].to_vec();
                bytes.splice(to..to, part);
            }
            _ => {
                let other = &seeds[chance.below(seeds.len())];
                let at = chance.below(other.len() + 1);
                bytes.splice(from..to, other[at..].iter().copied());
            }
        }
        bytes.truncate(4096);
    }
    bytes
}
