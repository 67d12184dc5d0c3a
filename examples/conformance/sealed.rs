//! `requestState`: what a talk over several rounds must remember, kept by the client and sealed by us.
//!
//! It comes back from outside: its seal is checked before anything in it is believed (2026-07-28, MRTR).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use spotify_mcp::ambient::{Clock, Dice};

/// How long a person may take to answer, in seconds.
const LIFETIME: i64 = 600;
const TAG: usize = 32;

/// Where a talk is.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Whose talk.
    pub user: String,
    /// About which tool or prompt.
    pub subject: String,
    /// Which round was asked.
    pub round: usize,
    /// Until when answers are taken, in seconds since 1970.
    until: i64,
}

/// Seals and opens places with a key of this process.
pub struct Seal([u8; 32]);

impl Seal {
    pub fn new() -> Self {
        Self(Dice::system().bytes())
    }

    pub fn seal(&self, user: &str, subject: &str, round: usize) -> String {
        let until = now() + LIFETIME;
        let place = Place { user: user.to_owned(), subject: subject.to_owned(), round, until };
        let mut sealed = serde_json::to_vec(&place).expect("a place is JSON");
        sealed.extend(self.mac(&sealed).finalize().into_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(sealed)
    }

    /// The place, where we sealed it for this person and subject, and not too long ago.
    pub fn open(&self, sealed: &str, user: &str, subject: &str) -> Option<Place> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (place, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        self.mac(place).verify_slice(tag).ok()?;
        let place: Place = serde_json::from_slice(place).ok()?;
        (place.user == user && place.subject == subject && place.until >= now()).then_some(place)
    }

    fn mac(&self, content: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256>>::new_from_slice(&self.0).expect("a key of any length");
        mac.update(content);
        mac
    }
}

fn now() -> i64 {
    Clock::system().now().secs()
}
