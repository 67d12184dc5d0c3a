//! What there was before a change, as little of it as can be: thousands of names that begin alike.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::domain::change::{LARGEST, LARGEST_UNPACKED, PreImage};
use crate::failure::{During as _, Failure};

/// What is packed begins with this; JSON never does.
const PACKED: u8 = 0x78;

/// Packs it; `None` where it is too large to be kept.
pub(super) fn packed(pre_image: &PreImage) -> Result<Option<Vec<u8>>, Failure> {
    let plain = serde_json::to_vec(pre_image).during("writing a change down")?;
    if plain.len() > LARGEST_UNPACKED {
        return Ok(None);
    }
    let mut packing = ZlibEncoder::new(Vec::new(), Compression::default());
    packing.write_all(&plain).during("writing a change down")?;
    let packed = packing.finish().during("writing a change down")?;
    Ok((packed.len() <= LARGEST).then_some(packed))
}

/// Unpacks it; `None` where it is none.
pub(super) fn unpacked(stored: &[u8]) -> Option<PreImage> {
    if stored.first() != Some(&PACKED) {
        return serde_json::from_slice(stored).ok();
    }
    let mut plain = Vec::new();
    ZlibDecoder::new(stored).take(LARGEST_UNPACKED as u64).read_to_end(&mut plain).ok()?;
    serde_json::from_slice(&plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names as unlike each other as Spotify's ids are.
    fn ids(count: u64, before: &str) -> Vec<String> {
        let id = |n: u64| {
            let mut state = n;
            (0..22)
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    char::from(b'0' + u8::try_from((state >> 33) % 10).unwrap_or_default())
                })
                .collect::<String>()
        };
        (0..count).map(|n| format!("{before}{}", id(n))).collect()
    }

    #[test]
    fn the_largest_playlist_fits_and_comes_back_as_it_was() {
        for before in ["spotify:episode:", &format!("spotify:local:{}:", "%E6%9B%B2".repeat(25))] {
            let pre_image = PreImage::Removed { before: ids(12_000, before), gone: (0..12_000).collect() };
            let stored = packed(&pre_image).unwrap().unwrap();
            assert!(stored.len() < LARGEST, "{}", stored.len());
            assert_eq!(unpacked(&stored), Some(pre_image));
        }
        let endless = PreImage::Removed { before: vec!["x".repeat(LARGEST_UNPACKED)], gone: vec![] };
        assert!(packed(&endless).unwrap().is_none());
    }

    #[test]
    fn what_was_stored_as_it_is_is_read_as_well_and_nonsense_is_not() {
        let plain = br#"{"added":{"at":1,"rows":["a"]}}"#;
        assert!(matches!(unpacked(plain), Some(PreImage::Added { total: None, there: None, .. })));
        assert_eq!(unpacked(br#""made""#), Some(PreImage::Made));
        for nonsense in [&b""[..], b"{", &[PACKED], &[PACKED, 0x9c, 1, 2]] {
            assert_eq!(unpacked(nonsense), None);
        }
    }
}
