//! Words that somebody thought up and that everybody tries: known ones with something around them, the same again and
//! again, rows of keys. Pure. Never: a measure of strength; what passes here may still be weak.

/// So much around a known word makes no secret of it.
const AROUND: usize = 12;

/// Neighbours on a keyboard, its columns included, and in the alphabet.
const ROWS: [&str; 12] = [
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
];

/// What is left of a text without case, separators, common substitutions, repetition, and a few digits or signs at its
/// beginning and end: two texts with the same core are as easily guessed.
pub fn core(text: &str) -> String {
    let bare = text.trim_matches(|c: char| !c.is_alphabetic());
    let around = text.chars().count() - bare.chars().count();
    let kept = if bare.is_empty() || around > AROUND { text } else { bare };
    let folded: Vec<char> = kept.chars().filter(|c| !is_separator(*c)).map(folded).collect();
    unit(&folded).iter().collect()
}

/// Whether a text is a short piece again and again, or made of rows of keys.
pub fn is_pattern(text: &str) -> bool {
    let plain = |text: &str| -> Vec<char> {
        text.chars().filter(|c| !is_separator(*c)).map(|c| c.to_ascii_lowercase()).collect()
    };
    let (whole, bare) = (plain(text), plain(text.trim_matches(|c: char| !c.is_alphabetic())));
    let repeats = |text: &[char]| text.len() >= 8 && unit(text).len() <= text.len().min(24) / 2;
    let leaps = whole.windows(2).filter(|two| !are_neighbours(two[0], two[1])).count();
    let is_around = bare.len() + AROUND >= whole.len();
    repeats(&whole) || (is_around && repeats(&bare)) || whole.len() >= 3 * (leaps + 1)
}

const fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '_' | '.' | ',' | '/')
}

/// In small letters, signs and digits as the letter that they often stand for.
const fn folded(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' | '|' | 'l' | 'L' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other.to_ascii_lowercase(),
    }
}

/// The shortest beginning that a text repeats to its end.
fn unit(text: &[char]) -> &[char] {
    let repeats = |length: &usize| {
        text.len().is_multiple_of(*length) && text.chunks(*length).all(|part| part == &text[..*length])
    };
    let length = (1..=text.len() / 2).find(repeats).unwrap_or(text.len());
    &text[..length]
}

fn are_neighbours(one: char, other: char) -> bool {
    let beside = |row: &&str| {
        let at = |wanted: char| row.chars().position(|c| c == wanted);
        at(one).zip(at(other)).is_some_and(|(one, other)| one.abs_diff(other) <= 1)
    };
    one == other || ROWS.iter().any(beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_a_word_or_for_a_letter_changes_nothing() {
        for text in [
            "Password",
            "password123456789",
            "P@ssw0rd!!",
            "pa55word-2026",
            "passwordpassword",
            "pass word 1",
        ] {
            assert_eq!(core(text), core("password"), "{text}");
        }
        assert_eq!(core("My-Secret_Key1"), core("mysecretkey"));
        assert_eq!(core("123456"), core("123456123456"));
        assert_ne!(core("password of the day"), core("password"));
        assert_ne!(
            core("test 7315 9021 4482 6670"),
            core("test"),
            "that many digits are a secret of their own"
        );
    }

    #[test]
    fn rows_of_keys_and_repetitions_are_seen() {
        for text in [
            "aaaaaaaaaaaaaa",
            "qwertyuiopasdf",
            "QWERTY-uiop-asdf",
            "1qaz2wsx3edc4rfv",
            "12345678901234",
            "98765432109876",
            "abcdefghijklmn",
            "giraffegiraffe",
            "giraffe giraffe 1",
            "abcabcabcabcabc",
        ] {
            assert!(is_pattern(text), "{text}");
        }
    }

    #[test]
    fn what_chance_or_a_person_with_care_made_is_none() {
        for text in [
            "b1946ac92492d2347c6235b4d2611184",
            "5d1f3c0be2a74f6e9b8a0c1d2e3f4a5b",
            "vivid otter pressing lemon tiles",
            "qX7!vR2#mK9$wZ",
            "giraffe lantern giraffe",
            "",
        ] {
            assert!(!is_pattern(text), "{text}");
        }
        // As a generator makes them: none of a thousand is taken for a pattern.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..1_000 {
            let mut text = String::new();
            for _ in 0..2 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text += &format!("{:08x}", state >> 32);
            }
            assert!(!is_pattern(&text), "{text}");
        }
    }
}
