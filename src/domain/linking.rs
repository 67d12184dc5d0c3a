//! Linking further Spotify accounts to a person: what an alias may be, how many there may be, and whether an account
//! that came back from Spotify may be linked.
//!
//! Never decides who the person is.

use super::UserId;

/// Most Spotify accounts that one person may link.
pub const MOST_ACCOUNTS: usize = 10;

/// What stands for every linked account in a tool's arguments; no alias is called so.
pub const ALL_ACCOUNTS: &str = "all";

/// Where whoever wants an account for themselves that somebody else has linked goes on.
pub const ONESELF: &str = "/auth/login?as=myself";

/// Longest alias, in characters.
const LONGEST_ALIAS: usize = 40;

/// A person's own name for a linked account: 1 to 40 letters, digits, spaces and `- _ . ' & +`, not `all`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias(String);

/// Why a text is no alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has 1 to {LONGEST_ALIAS} letters, digits, spaces or any of - _ . ' & +, and is not '{ALL_ACCOUNTS}'"
)]
pub struct BadAlias;

impl Alias {
    /// Reads one; blanks around it do not count.
    ///
    /// # Errors
    /// [`BadAlias`].
    pub fn parse(text: &str) -> Result<Self, BadAlias> {
        let text = text.trim();
        let fits = (1..=LONGEST_ALIAS).contains(&text.chars().count())
            && text.chars().all(|c| c.is_alphanumeric() || " -_.'&+".contains(c))
            && !text.eq_ignore_ascii_case(ALL_ACCOUNTS);
        if fits { Ok(Self(text.to_owned())) } else { Err(BadAlias) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why an account that Spotify brought back is not linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLinked {
    /// It is another person's of this server.
    SomebodyElses,
    /// The person has [`MOST_ACCOUNTS`].
    TooMany,
}

/// What linking an account comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    /// It becomes the person's.
    Added,
    /// It was theirs already: its permission is renewed.
    Renewed,
    /// It was theirs, and answered no more: it does again.
    Reconnected,
}

/// Decides whether an account may be linked to a person who has so many; `owner` is whose it is now.
///
/// # Errors
/// [`NotLinked`]: then nothing changes for anybody.
pub fn linking(person: &UserId, owner: Option<&UserId>, has: usize) -> Result<Linking, NotLinked> {
    match owner {
        Some(owner) if owner == person => Ok(Linking::Renewed),
        Some(_) => Err(NotLinked::SomebodyElses),
        None if has >= MOST_ACCOUNTS => Err(NotLinked::TooMany),
        None => Ok(Linking::Added),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_short_plain_and_not_all() {
        for good in ["work", " Café 2 ", "Ada's", "R&B_+.-", &"x".repeat(LONGEST_ALIAS)] {
            assert_eq!(Alias::parse(good).unwrap().as_str(), good.trim());
        }
        for bad in
            ["", "  ", "all", "ALL", "a\u{202e}b", "a\nb", "<b>", "a/b", &"x".repeat(LONGEST_ALIAS + 1)]
        {
            assert_eq!(Alias::parse(bad), Err(BadAlias), "{bad}");
        }
    }

    #[test]
    fn an_account_is_linked_once_and_to_one_person() {
        let (ada, ben) = (UserId::mint([1; 16]), UserId::mint([2; 16]));
        assert_eq!(linking(&ada, None, 1), Ok(Linking::Added));
        assert_eq!(linking(&ada, Some(&ada), MOST_ACCOUNTS), Ok(Linking::Renewed));
        assert_eq!(linking(&ada, Some(&ben), 1), Err(NotLinked::SomebodyElses));
        assert_eq!(linking(&ada, None, MOST_ACCOUNTS), Err(NotLinked::TooMany));
    }
}
