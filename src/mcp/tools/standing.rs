//! What the status says of the Spotify app behind each account, and what there is to do. Pure.

use schemars::JsonSchema;
use serde::Serialize;

use crate::ambient::Timestamp;
use crate::app::AppStanding;
use crate::domain::own_app::LINK;
use crate::domain::permission::{enumerated, needed_for};
use crate::policy::Offer;
use crate::spotify::QuotaMode;
use crate::spotify::quota::{Bucket, Used};
use crate::store::{EVERYTHING, Link};
use crate::vault::OWN_APP_REFUSED;

/// So many days before Spotify ends a permission, the person is told to renew it.
const WARN_DAYS: u64 = 30;

/// The Spotify app that an account is linked through.
#[derive(Serialize, JsonSchema)]
pub(super) struct AppStatus {
    /// What the operator calls it, "your own", or "removed".
    name: String,
    /// Whether it is the person's own.
    own: bool,
    /// Of an own app: the end of its client id.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// Whether it may be used.
    in_use: bool,
    /// Under which regime Spotify serves it: development, development_legacy, extended. Of an own app nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quota_mode: Option<&'static str>,
    /// The places of an app of the operator's, where they are limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    seats: Option<Seats>,
    /// Calls of which Spotify answers no more for now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    closed: Vec<Closed>,
    /// Requests to Spotify of the last 24 hours, where the day's quota is shared with others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shares: Vec<Share>,
}

#[derive(Serialize, JsonSchema)]
struct Seats {
    taken: u64,
    of: u64,
    /// How many of them the person's accounts take.
    theirs: u64,
    /// How many they may; left out where that is as many as there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    each: Option<u64>,
}

/// Calls that Spotify answers no more for now.
#[derive(Serialize, JsonSchema)]
struct Closed {
    /// playlists, search, artist_albums or other; or everything, where Spotify told the app to wait.
    calls: &'static str,
    /// When it opens (RFC 3339, UTC).
    opens_at: String,
}

#[derive(Serialize, JsonSchema)]
struct Share {
    /// As in closed.
    calls: &'static str,
    /// How many the person made, with all accounts of this app.
    made: u64,
    /// How many are theirs.
    of: u64,
}

/// A permission that Spotify did not grant.
#[derive(Serialize, JsonSchema)]
pub(super) struct Missing {
    /// What Spotify calls it.
    permission: &'static str,
    /// What cannot be done without it.
    needed_for: &'static str,
}

impl AppStatus {
    pub(super) fn of(app: &AppStanding) -> Self {
        let own = app.own.is_some();
        let closed = |calls, until: &Timestamp| Closed { calls, opens_at: until.rfc3339() };
        let resting = app.rests_until.iter().map(|until| closed(EVERYTHING, until));
        let closed = app.closed.iter().map(|(bucket, until)| closed(bucket.name(), until));
        Self {
            name: app.name.clone().unwrap_or_else(|| if own { "your own" } else { "removed" }.to_owned()),
            own,
            client_id: app.own.clone(),
            in_use: app.in_use,
            quota_mode: app.quota.map(QuotaMode::name),
            seats: app.seats.map(|(taken, of)| {
                let (theirs, each) = app.theirs;
                Seats { taken, of, theirs, each }
            }),
            closed: resting.chain(closed).collect(),
            shares: app.used.iter().filter_map(Share::of).collect(),
        }
    }

    pub(super) fn line(&self) -> String {
        let id = self.client_id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
        let name = match (self.own, self.in_use) {
            (true, _) => format!("your own app{id}"),
            (false, true) => format!("the app '{}'", self.name),
            (false, false) => "an app".to_owned(),
        };
        let mode = self.quota_mode.map(|mode| format!(", {mode}")).unwrap_or_default();
        let gone = if self.in_use { "" } else { ", which is in use no more" };
        let seats = self.seats.as_ref().map(|Seats { taken, of, theirs, each }| {
            let each = each.map(|each| format!(", {theirs} of the {each} that one person may have"));
            format!(", {taken} of {of} places taken{}", each.unwrap_or_default())
        });
        let made: Vec<_> = self.shares.iter().filter(|share| share.made > 0).map(Share::told).collect();
        let made = match made.is_empty() {
            true => String::new(),
            false => format!("; requests to Spotify in 24 hours, of the person's share: {}", made.join(", ")),
        };
        format!("{name}{gone}{mode}{}{made}", seats.unwrap_or_default())
    }
}

impl Share {
    fn of((bucket, used): &(Bucket, Used)) -> Option<Self> {
        used.share.map(|of| Self { calls: bucket.name(), made: used.made, of })
    }

    fn told(&self) -> String {
        format!("{} {} of {}", Bucket::named(self.calls).map_or("", words), self.made, self.of)
    }
}

/// What Spotify did not grant of what the tools use that are offered.
pub(super) fn missing(link: &Link, offer: &Offer) -> Vec<Missing> {
    let missing = offer.missing(&link.scope).into_iter();
    missing.map(|permission| Missing { permission, needed_for: needed_for(permission) }).collect()
}

/// Where exactly this account is connected again.
pub(super) fn reconnect_at(reconnect_url: &str, link: &Link) -> String {
    format!("{reconnect_url}?link={}", link.id)
}

/// What to do about an account, in sentences; nothing where everything is in order. `days` are left of the permission.
pub(super) fn to_do(
    (link, app): (&Link, &AppStanding),
    days: Option<u64>,
    missing: &[Missing],
    reconnect_url: &str,
) -> Vec<String> {
    let url = reconnect_at(reconnect_url, link);
    let mut to_do = Vec::new();
    match (&link.reconnect, days) {
        _ if !app.in_use => {
            to_do.push(format!("The Spotify app of this account is in use no more: connect again at {url}."));
        }
        (Some((_, why)), _) if why == OWN_APP_REFUSED => to_do.push(format!(
            "Spotify no longer knows the person's own app by the client id and secret that they gave: they link the account \
             again at {}{LINK}?again={} with its present ones.",
            reconnect_url.trim_end_matches("/auth/login"),
            link.id
        )),
        (_, None) => to_do.push(format!("Spotify no longer accepts the permission: connect again at {url}.")),
        (_, Some(days)) if days < WARN_DAYS => {
            to_do.push(format!("Spotify ends the permission in {days} days: renew it at {url} before then."));
        }
        (_, Some(_)) => {}
    }
    if let (Some(since), Some(_)) = (link.unlisted, days) {
        let who = if app.own.is_some() { "the person adds" } else { "the operator of this server adds" };
        to_do.push(format!(
            "Spotify refuses every call since {}, because the list of the app does not name this account: {who} it in Spotify's \
             developer dashboard, under Settings, Users Management. It takes some minutes to act; then any call shows.",
            since.rfc3339()
        ));
    }
    if !missing.is_empty() && days.is_some() {
        let names: Vec<_> = missing.iter().map(|missing| missing.permission).collect();
        let names = enumerated(&names);
        to_do.push(format!("Spotify did not grant {names}: connect again at {url} and agree to everything."));
    }
    if let Some(until) = app.rests_until {
        let whose = if app.own.is_some() { "the person's own app" } else { "the app, which others share," };
        to_do.push(format!(
            "Spotify told {whose} to wait: nothing at all is asked before {}, and asking again does not help.",
            until.rfc3339()
        ));
    }
    for (bucket, until) in &app.closed {
        to_do.push(format!(
            "The day's quota of Spotify's for {} has run out: wait until {}, asking again does not help.",
            words(*bucket),
            until.rfc3339()
        ));
    }
    to_do
}

const fn words(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Playlists => "playlists",
        Bucket::Search => "searches",
        Bucket::ArtistAlbums => "albums of artists",
        Bucket::Other => "everything else",
    }
}
