//! API keys: what a person or an operator may ask of a new one. Pure: the key itself is made elsewhere and never here.

use std::time::Duration;

use super::event::is_deceptive;
use super::{Scope, ScopeSet};

/// How long a key lives where nobody said.
pub const DEFAULT_LIFE: Duration = Duration::from_secs(90 * DAY);
/// The name's most characters.
pub const LONGEST_NAME: usize = 60;
/// Characters of a key that lists show: the kind and 36 of its 256 random bits.
pub const SHOWN: usize = 11;

const DAY: u64 = 86_400;
const SHORTEST_LIFE: u64 = 60;
const LONGEST_LIFE: u64 = 3_650 * DAY;

/// Why a key cannot be made as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Empty, too long, or with characters that hide or reorder.
    #[error("a name has 1 to {LONGEST_NAME} visible characters")]
    Name,
    /// Not a lifetime within bounds.
    #[error("a lifetime is from 1m to 3650d, such as 12h or 90d, or never")]
    Life,
    /// Not a scope of ours, or none at all.
    #[error("scopes are read, write and player")]
    Scope,
}

/// What a key is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyName(String);

impl KeyName {
    /// Takes a name as it was typed; white space around it goes.
    ///
    /// # Errors
    /// [`Unfit::Name`].
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        let text = text.trim();
        let fits = (1..=LONGEST_NAME).contains(&text.chars().count()) && !text.contains(is_deceptive);
        if fits { Ok(Self(text.to_owned())) } else { Err(Unfit::Name) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What it is called.
    pub name: KeyName,
    /// What it allows.
    pub scopes: ScopeSet,
    /// How long it lives; `None`: until it is revoked.
    pub life: Option<Duration>,
}

/// How long a key is to live: `12h`, `90d` (m, h and d), or `never` for a key that must be revoked by hand (`None`).
///
/// # Errors
/// [`Unfit::Life`].
pub fn life(text: &str) -> Result<Option<Duration>, Unfit> {
    if text == "never" {
        return Ok(None);
    }
    let unit = match text.as_bytes().last() {
        Some(b'm') => 60,
        Some(b'h') => 3_600,
        Some(b'd') => DAY,
        _ => return Err(Unfit::Life),
    };
    let digits = &text[..text.len() - 1];
    let number =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    let secs = number.and_then(|number| number.checked_mul(unit));
    match secs.filter(|secs| (SHORTEST_LIFE..=LONGEST_LIFE).contains(secs)) {
        Some(secs) => Ok(Some(Duration::from_secs(secs))),
        None => Err(Unfit::Life),
    }
}

/// The scopes of these names. Unlike a client's request, a name that is not known is a mistake to be told.
///
/// # Errors
/// [`Unfit::Scope`] for an unknown name or none at all.
pub fn scopes<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<ScopeSet, Unfit> {
    let one = |name: &str| Scope::ALL.into_iter().find(|scope| scope.name() == name).ok_or(Unfit::Scope);
    let set: ScopeSet = names.into_iter().map(one).collect::<Result<_, _>>()?;
    if set == ScopeSet::EMPTY { Err(Unfit::Scope) } else { Ok(set) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lifetimes_are_bounded_and_have_a_unit() {
        assert_eq!(life("90d"), Ok(Some(DEFAULT_LIFE)));
        assert_eq!(life("1m"), Ok(Some(Duration::from_secs(60))));
        assert_eq!(life("never"), Ok(None));
        for wrong in
            ["", "d", "0d", "90", "-1d", "+1d", "1.5d", "3651d", "99999999999999999999d", "1w", "1 d", "1é"]
        {
            assert_eq!(life(wrong), Err(Unfit::Life), "{wrong}");
        }
    }

    #[test]
    fn scopes_are_ours_and_at_least_one() {
        assert_eq!(scopes(["player", "read"]).unwrap().to_string(), "read player");
        assert_eq!(scopes(["reed"]), Err(Unfit::Scope));
        assert_eq!(scopes([]), Err(Unfit::Scope));
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text in "\\PC{0,80}") {
            let _ = life(&text);
            if let Ok(name) = KeyName::parse(&text) {
                prop_assert!((1..=LONGEST_NAME).contains(&name.as_str().chars().count()));
                prop_assert!(!name.as_str().contains(is_deceptive));
            }
        }

        #[test]
        fn every_lifetime_within_bounds_is_taken(days in 1_u64..=3_650) {
            prop_assert_eq!(life(&format!("{days}d")), Ok(Some(Duration::from_secs(days * DAY))));
        }
    }
}
