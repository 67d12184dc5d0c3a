//! Numbers with their noun, as a person would say them: "1 track", "3 tracks".

use std::fmt::Display;

/// So many of something whose plural ends in s.
pub(crate) fn amount<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let ending = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// So many of a whole, where that is known: "1 of 12 playlists".
pub(crate) fn share(count: usize, total: Option<u64>, noun: &str) -> String {
    match total {
        Some(total) => format!("{count} of {}", amount(total, noun)),
        None => amount(count, noun),
    }
}

/// So many with their verb: "1 was", "3 were".
pub(crate) fn were<N: Display + PartialEq + From<u8>>(count: N) -> String {
    let verb = if count == N::from(1) { "was" } else { "were" };
    format!("{count} {verb}")
}

/// The same in the present: "1 is", "3 are".
pub(crate) fn are<N: Display + PartialEq + From<u8>>(count: N) -> String {
    let verb = if count == N::from(1) { "is" } else { "are" };
    format!("{count} {verb}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!([0_u32, 1, 2].map(|n| amount(n, "row")), ["0 rows", "1 row", "2 rows"]);
        assert_eq!(share(1, Some(12), "playlist"), "1 of 12 playlists");
        assert_eq!(share(1, Some(1), "playlist"), "1 of 1 playlist");
        assert_eq!(share(1, None, "playlist"), "1 playlist");
        assert_eq!((were(1_usize), were(2_u64), are(1_u8)), ("1 was".into(), "2 were".into(), "1 is".into()));
    }
}
