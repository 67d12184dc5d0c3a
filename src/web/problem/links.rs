//! What problem pages say where linking a Spotify account did not work.

use http::StatusCode;

use super::{Problem, Said};

impl Problem {
    pub(super) const fn said_of_links(self) -> Said {
        match self {
            Self::AccountTaken => Said(
                "ACCOUNT_TAKEN",
                StatusCode::CONFLICT,
                "That Spotify account belongs to somebody else here",
                "The Spotify account that came back is linked to another person of this server, so nothing was \
                 changed for either.",
                "If that is you too: log in here with that Spotify account, disconnect it on the account page, then link it \
                 again from this one.",
            ),
            Self::TooManyAccounts => Said(
                "TOO_MANY_ACCOUNTS",
                StatusCode::CONFLICT,
                "You have linked as many accounts as fit",
                "One person may link ten Spotify accounts. Nothing was changed.",
                "Disconnect one that you no longer use on your account page, then try again.",
            ),
            Self::LinkNotYours => Said(
                "LINK_NOT_YOURS",
                StatusCode::FORBIDDEN,
                "This link was made for somebody else",
                "Another person asked for this page to link a Spotify account of theirs. Nothing was changed, for them or \
                 for you.",
                "If somebody sent you this link, close this tab: never log in for them. To link an account of your own, go \
                 to your account page.",
            ),
            _ => Said(
                "LINK_EXPIRED",
                StatusCode::GONE,
                "This link is used or too old",
                "A link for linking a Spotify account works once, and for ten minutes.",
                "Ask your app for a new one, or link the account on your account page.",
            ),
        }
    }
}
