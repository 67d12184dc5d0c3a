//! Cipher suites that a server should refuse, by their numbers in the registry of IANA (TLS Cipher Suites). Every suite of
//! TLS 1.2 and older is here but those with an ephemeral key exchange and authenticated encryption.

use std::ops::RangeInclusive;

/// Without encryption, without authentication, or with keys that were made to be broken (export, DES).
const UNPROTECTED: &[RangeInclusive<u16>] = &[
    0x0001..=0x0003,
    0x0006..=0x0006,
    0x0008..=0x0009,
    0x000b..=0x000c,
    0x000e..=0x000f,
    0x0011..=0x0012,
    0x0014..=0x0015,
    0x0017..=0x001b,
    0x001e..=0x001e,
    0x0022..=0x0022,
    0x0026..=0x002e,
    0x0034..=0x0034,
    0x003a..=0x003b,
    0x0046..=0x0046,
    0x0060..=0x0066,
    0x006c..=0x006d,
    0x0089..=0x0089,
    0x009b..=0x009b,
    0x00a6..=0x00a7,
    0x00b0..=0x00b1,
    0x00b4..=0x00b5,
    0x00b8..=0x00b9,
    0x00bf..=0x00bf,
    0x00c5..=0x00c5,
    0xc001..=0xc001,
    0xc006..=0xc006,
    0xc00b..=0xc00b,
    0xc010..=0xc010,
    0xc015..=0xc019,
    0xc039..=0xc03b,
    0xc046..=0xc047,
    0xc05a..=0xc05b,
    0xc084..=0xc085,
];

/// Without forward secrecy, without authenticated encryption, or with tags of eight bytes: CCM_8, CBC, RC4, 3DES, IDEA, SEED, ARIA, Camellia, and every
/// key exchange by RSA, static Diffie-Hellman or a key that both have.
const WEAK: &[RangeInclusive<u16>] = &[
    0x0004..=0x0005,
    0x0007..=0x0007,
    0x000a..=0x000a,
    0x000d..=0x000d,
    0x0010..=0x0010,
    0x0013..=0x0013,
    0x0016..=0x0016,
    0x001f..=0x0021,
    0x0023..=0x0025,
    0x002f..=0x0033,
    0x0035..=0x0039,
    0x003c..=0x0045,
    0x0067..=0x006b,
    0x0084..=0x0088,
    0x008a..=0x009a,
    0x009c..=0x009d,
    0x00a0..=0x00a1,
    0x00a4..=0x00a5,
    0x00a8..=0x00a9,
    0x00ac..=0x00af,
    0x00b2..=0x00b3,
    0x00b6..=0x00b7,
    0x00ba..=0x00be,
    0x00c0..=0x00c4,
    0xc002..=0xc005,
    0xc007..=0xc00a,
    0xc00c..=0xc00f,
    0xc011..=0xc014,
    0xc01a..=0xc02a,
    0xc02d..=0xc02e,
    0xc031..=0xc038,
    0xc03c..=0xc045,
    0xc048..=0xc051,
    0xc054..=0xc055,
    0xc058..=0xc059,
    0xc05e..=0xc05f,
    0xc062..=0xc06b,
    0xc06e..=0xc07b,
    0xc07e..=0xc07f,
    0xc082..=0xc083,
    0xc088..=0xc089,
    0xc08c..=0xc08f,
    0xc092..=0xc09d,
    0xc0a0..=0xc0a3,
    0xc0a4..=0xc0a5,
    0xc0a8..=0xc0ab,
    0xc0ae..=0xc0af,
    0xc100..=0xc102,
    0xccab..=0xccab,
    0xccae..=0xccae,
];

/// Those without protection.
pub fn unprotected() -> Vec<u16> {
    UNPROTECTED.iter().cloned().flatten().collect()
}

/// Those with too little.
pub fn weak() -> Vec<u16> {
    WEAK.iter().cloned().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ephemeral Diffie-Hellman with GCM, CCM with whole tags or ChaCha20-Poly1305, in the registry's order.
    const SOUND: [u16; 36] = [
        0x009e, 0x009f, 0x00a2, 0x00a3, 0x00aa, 0x00ab, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xc052, 0xc053,
        0xc056, 0xc057, 0xc05c, 0xc05d, 0xc060, 0xc061, 0xc06c, 0xc06d, 0xc07c, 0xc07d, 0xc080, 0xc081,
        0xc086, 0xc087, 0xc08a, 0xc08b, 0xc090, 0xc091, 0xc09e, 0xc09f, 0xc0a6, 0xc0a7, 0xccac, 0xccad,
    ];

    #[test]
    fn every_suite_is_of_one_kind() {
        let (weak, unprotected) = (weak(), unprotected());
        for (list, name) in [(&weak, "weak"), (&unprotected, "unprotected")] {
            assert!(list.is_sorted_by(|one, next| one < next), "{name}");
        }
        let both = weak.iter().find(|suite| unprotected.contains(suite));
        assert_eq!(both, None);
        // In the blocks that the registry has filled, what is neither is sound.
        for block in [0x0001..=0x0046, 0x0084..=0x00c5, 0xc001..=0xc0a9] {
            for suite in block {
                let kinds = [weak.contains(&suite), unprotected.contains(&suite), SOUND.contains(&suite)];
                let reserved = (0x001c..=0x001d).contains(&suite);
                assert_eq!(kinds.iter().filter(|is| **is).count(), usize::from(!reserved), "{suite:#06x}");
            }
        }
        for (suite, list) in [
            (0x0002, &unprotected),
            (0x0018, &unprotected),
            (0x0003, &unprotected),
            (0x003b, &unprotected),
            (0x0041, &weak),
            (0x0004, &weak),
            (0x0067, &weak),
            (0xc076, &weak),
            (0xc09c, &weak),
        ] {
            assert!(list.contains(&suite), "{suite:#06x}");
        }
    }
}
