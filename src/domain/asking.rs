//! What a client can show its person, and what the person did with a question.

use serde::{Deserialize, Serialize};

/// What a client can show its person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offers {
    /// Words and a box to tick.
    pub form: bool,
    /// A page to open.
    pub page: bool,
}

/// What a person did with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// They went along, and ticked the box or not.
    Accepted {
        /// Whether they ticked it.
        ticked: bool,
    },
    /// They said no.
    Declined,
    /// They closed it, or did not reply in time.
    Closed,
}

impl Reply {
    const WORDS: [(Self, &'static str); 4] = [
        (Self::Accepted { ticked: true }, "ticked"),
        (Self::Accepted { ticked: false }, "accepted"),
        (Self::Declined, "declined"),
        (Self::Closed, "closed"),
    ];

    /// The word in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted { ticked: true } => "ticked",
            Self::Accepted { ticked: false } => "accepted",
            Self::Declined => "declined",
            Self::Closed => "closed",
        }
    }

    /// The reply of this word.
    pub fn of(word: &str) -> Option<Self> {
        Self::WORDS.into_iter().find_map(|(reply, known)| (known == word).then_some(reply))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for (reply, word) in Reply::WORDS {
            assert_eq!((reply.word(), Reply::of(word)), (word, Some(reply)));
        }
        assert_eq!(Reply::of("yes"), None);
    }
}
