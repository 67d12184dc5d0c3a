//! How the Spotify app stands that an account is linked through: whose it is, its places, what has run out. Asks nobody
//! upstream.

use std::sync::Arc;

use super::App;
use crate::ambient::Timestamp;
use crate::domain::placement::Further;
use crate::failure::Failure;
use crate::spotify::QuotaMode;
use crate::spotify::quota::{Bucket, Charge, Used};
use crate::store::Link;

/// Where one more account of a person's would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Whether it fits into the operator's apps.
    pub further: Further,
    /// How many places of one app a person takes.
    pub each: i64,
    /// Whether it may stand on a Spotify app of the person's own.
    pub own: bool,
}

/// An app as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppStanding {
    /// What the operator calls it; `None`: it is the person's own, or none that may be used any more.
    pub name: Option<String>,
    /// The shortened client id of an app that is the person's own.
    pub own: Option<String>,
    /// Whether it may be used.
    pub in_use: bool,
    /// Under which regime Spotify serves it; `None`: nobody said so, as of people's own apps.
    pub quota: Option<QuotaMode>,
    /// How many places are taken, of how many.
    pub seats: Option<(u64, u64)>,
    /// How many of them accounts of the person's take, and how many they may; `None`: as many as there are.
    pub theirs: (u64, Option<u64>),
    /// Until when Spotify wants no call with it at all, from nobody.
    pub rests_until: Option<Timestamp>,
    /// The kinds of calls that Spotify answers no more of, and until when.
    pub closed: Vec<(Bucket, Timestamp)>,
    /// How the person stands with the daily quotas that they share with others; empty where there are none.
    pub used: Vec<(Bucket, Used)>,
}

impl Room {
    /// Why none of the operator's apps takes one more; `None` where one does.
    pub fn lacks(self) -> Option<String> {
        match (self.further, self.each) {
            (Further::Fits, _) => None,
            (Further::Full, _) => Some("no place is left in this server's Spotify apps".to_owned()),
            (Further::HasEnough, 1) => {
                Some("one person has one place of a Spotify app here, and it is taken".to_owned())
            }
            (Further::HasEnough, each) => {
                Some(format!("one person has {each} places of a Spotify app here, and they are taken"))
            }
        }
    }
}

impl App {
    /// Where one more account would go of a person who has these.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn room_for_further(&self, links: &[Link]) -> Result<Room, Failure> {
        let apps = self.vault.apps();
        Ok(Room {
            further: apps.room_for_further(&self.store, links).await?,
            each: apps.places_each(),
            own: apps.own_ones_may_come(),
        })
    }

    /// The app of each link of a person, in their order.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn standings(&self, links: &[Link]) -> Result<Vec<AppStanding>, Failure> {
        let Some(first) = links.first() else { return Ok(Vec::new()) };
        let payer: Arc<str> = self.store.payer_of(&first.user).await?.unwrap_or_default().into();
        let (apps, now) = (self.vault.apps(), self.now());
        let taken = self.store.seats_taken_by_app().await?;
        let all = self.store.links(&first.user).await?;
        let each = u64::try_from(apps.places_each()).ok().filter(|each| *each != i64::MAX.unsigned_abs());
        let standing = |link: &Link| {
            let operators = apps.get(&link.app);
            let own = link.own_app.as_ref().filter(|_| operators.is_none());
            let pool = self.vault.pool_of(&link.app);
            let closed = pool.as_ref().map(|pool| self.quotas.gate.closed(pool, now));
            let used = pool.map(|pool| self.quotas.gate.used(&Charge { pool, payer: payer.clone() }, now));
            let seats = operators.as_ref().and_then(|app| app.seats);
            let taken = taken.get(&link.app).copied().unwrap_or_default();
            AppStanding {
                in_use: apps.in_use(&link.app, link.own_app.is_some()),
                quota: operators.as_ref().map(|app| app.quota),
                name: operators.map(|app| app.name),
                own: own.cloned(),
                rests_until: self.quotas.gate.rest().left(link.app.as_str(), now).map(|wait| now.plus(wait)),
                theirs: (all.iter().filter(|other| other.app == link.app).count() as u64, each),
                seats: seats.map(|seats| (taken, seats.unsigned_abs())),
                used: used.unwrap_or_default(),
                closed: closed.into_iter().flatten().map(|(bucket, wait)| (bucket, now.plus(wait))).collect(),
            }
        };
        Ok(links.iter().map(standing).collect())
    }
}
