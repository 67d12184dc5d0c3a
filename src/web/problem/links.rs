//! What problem pages say where linking a Spotify account did not work, or a person's own app did not.

use http::StatusCode;

use super::{Problem, Said};

impl Problem {
    pub(super) const fn said_of_own_apps(self) -> Said {
        match self {
            Self::OwnAppRefused => Said(
                "OWN_APP_REFUSED",
                StatusCode::BAD_GATEWAY,
                "Spotify refuses your app",
                "Spotify did not accept the client id or the client secret of your own app, or its owner has no Spotify \
                 Premium any more. Nothing was connected and nothing kept.",
                "On the app’s page in Spotify’s dashboard, check that it is still there and that the redirect URI is the one \
                 that this server names. Copy the client id and the secret again, or leave the secret out.",
            ),
            Self::NotListedAtOwn => Said(
                "NOT_LISTED_AT_OWN_APP",
                StatusCode::FORBIDDEN,
                "Your app does not list this account",
                "You logged in, but your own Spotify app answers only for the people on its list. Nothing was connected and \
                 nothing kept.",
                "On the app’s page in Spotify’s dashboard, under Settings, Users Management, add the name and e-mail address \
                 of the Spotify account. It takes some minutes to act; then try again.",
            ),
            _ => Said(
                "NO_OWN_APPS",
                StatusCode::FORBIDDEN,
                "This server takes no Spotify apps of others",
                "Its operator lets nobody bring a Spotify app of their own. Nothing was connected and nothing kept.",
                "Ask the operator for a place in an app of theirs.",
            ),
        }
    }

    const fn said_of_further(self) -> Said {
        match self {
            Self::FurtherAccount => Said(
                "FURTHER_ACCOUNT",
                StatusCode::FORBIDDEN,
                "This Spotify account does not log in here",
                "It is linked on this server as a further account of somebody who logs in with another one. A further account \
                 opens nothing: nobody is logged in, and nothing was changed.",
                "If it was you who linked it, log in with the Spotify account that you began with here: choose “Not you?” on \
                 Spotify’s page, or log out at spotify.com first. If you want to use it here for yourself, ask whoever linked \
                 it to disconnect it on their account page, or end their access yourself: remove this server’s app at \
                 spotify.com/account/apps. Then log in with it as yourself.",
            ),
            _ => Said(
                "FURTHER_ACCOUNT_ENDED",
                StatusCode::FORBIDDEN,
                "This Spotify account does not log in here yet",
                "Somebody who logs in with another one linked it on this server as a further account. Spotify no longer \
                 answers to them for it. Nobody is logged in, and nothing was changed.",
                "If it was you who linked it, log in with the Spotify account that you began with here, and connect this one \
                 again on your account page. To use it here for yourself, go on below: it is then disconnected from whoever \
                 linked it, with what is kept of it there, and you begin as yourself.",
            ),
        }
    }

    pub(super) const fn said_of_links(self) -> Said {
        match self {
            Self::FurtherAccount | Self::FurtherAccountEnded => self.said_of_further(),
            Self::AccountTaken => Said(
                "ACCOUNT_TAKEN",
                StatusCode::CONFLICT,
                "That Spotify account belongs to somebody else here",
                "The Spotify account that came back is linked to another person of this server, so nothing was \
                 changed for either.",
                "If that is you too: log in here as you did when you linked it there, disconnect it on the account page, then \
                 link it again from this one.",
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
            Self::ChangeUnderWay => Said(
                "CHANGE_UNDER_WAY",
                StatusCode::CONFLICT,
                "A change of yours is still being written",
                "An app is changing something at Spotify with your account. Without the account it would be left half \
                 written, and could not be taken back. Nothing was disconnected or deleted.",
                "Wait until it has ended, four minutes at most, then try again.",
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
