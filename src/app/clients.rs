//! What is known of OAuth clients beside the database: configured ones, built-in descriptions, and the state that
//! keeps strangers from using us to fetch whatever they name. Never asks the network itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::ambient::{Clock, Timestamp};
use crate::config::{Config, ConfiguredClient};
use crate::crypto::token::TokenHash;
use crate::domain::client::AuthMethod;
use crate::domain::client_document::DocumentUrl;
use crate::domain::{ClientId, ScopeSet};
use crate::egress::{Gate, GatePolicy, authorities};
use crate::policy::WellKnownClients;
use crate::store::Client;
use quick_cache::sync::Cache;

use super::BuildError;
use super::flights::{Flights, Place};

/// Documents being fetched at once; further ones wait for their turn, but not for long.
const MOST_FETCHES: usize = 32;

/// Failed fetches remembered, and addresses, networks and regions counted in one minute.
const MOST_FAILURES: usize = 2_048;
const MOST_ADDRESSES: usize = 100_000;

/// Why a document does not describe a client. The codes are for the log and stable; neither holds a word of what
/// was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentProblem {
    /// It could not be fetched.
    Unavailable(&'static str),
    /// It was fetched and breaks a rule.
    Refused(&'static str),
    /// The address that asks has made us fetch too much in this minute, or waits for too many.
    TooMany,
    /// Too much is fetched or waited for at this moment. It says nothing of the document.
    Busy,
    /// The database did not take it; its cause is in the log.
    NotKept,
}

impl DocumentProblem {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unavailable(code) | Self::Refused(code) => code,
            Self::TooMany => "too_many",
            Self::Busy => "busy",
            Self::NotKept => "not_kept",
        }
    }
}

/// What a fetch gives to everybody who waits for it.
pub type Fetched = Result<Client, DocumentProblem>;

/// Clients beside the database.
pub struct Clients {
    configured: HashMap<ClientId, Client>,
    well_known: WellKnownClients,
    web: Gate,
    loopback: Option<Gate>,
    flights: Flights,
    failures: Cache<ClientId, (Timestamp, DocumentProblem)>,
    asking: Mutex<Asking>,
}

#[derive(Default)]
struct Asking {
    minute: i64,
    fetches: HashMap<Place, u32>,
}

impl Clients {
    /// From the configuration.
    ///
    /// # Errors
    /// Where the file of loopback authorities cannot be used.
    pub fn build(config: &Config, clock: &Clock) -> Result<Self, BuildError> {
        let configured = config.auth.clients.iter().map(|client| (client.id.clone(), known(client)));
        let ca = config.auth.documents.loopback_ca.as_deref();
        Ok(Self {
            configured: configured.collect(),
            well_known: WellKnownClients::embedded()?,
            web: Gate::new(documents_policy(), clock.clone()),
            loopback: ca.map(|path| loopback_gate(path, clock)).transpose()?,
            flights: Flights::default(),
            failures: Cache::new(MOST_FAILURES),
            asking: Mutex::default(),
        })
    }

    /// A configured client: it comes before every other description of its id.
    pub fn configured(&self, id: &ClientId) -> Option<&Client> {
        self.configured.get(id)
    }

    /// Every configured client.
    pub fn all_configured(&self) -> Vec<Client> {
        self.configured.values().cloned().collect()
    }

    /// What the program itself says of a well-known client.
    pub fn well_known(&self, id: &ClientId) -> Option<Client> {
        let metadata = self.well_known.of(id)?;
        Some(Client::described(id, metadata))
    }

    /// The way to this document; `None`: it is on loopback, and none may be there.
    pub fn gate(&self, url: &DocumentUrl) -> Option<&Gate> {
        if url.is_on_loopback() { self.loopback.as_ref() } else { Some(&self.web) }
    }

    /// Every way out, for who audits their refusals.
    pub fn gates(&self) -> impl Iterator<Item = &Gate> {
        std::iter::once(&self.web).chain(&self.loopback)
    }

    /// The fetches that are under way.
    pub const fn flights(&self) -> &Flights {
        &self.flights
    }

    /// Why this document was not accepted a moment ago.
    pub fn failed_lately(&self, id: &ClientId, now: Timestamp) -> Option<DocumentProblem> {
        self.failures.get(id).filter(|(until, _)| now < *until).map(|(_, problem)| problem)
    }

    /// Remembers for `time` that this document was not accepted.
    pub fn note_failure(&self, id: &ClientId, problem: DocumentProblem, until: Timestamp) {
        self.failures.insert(id.clone(), (until, problem));
    }

    /// Counts a fetch that an address (IPv6: its /64) asks for; `false`: it has asked for `most` in this minute, 0
    /// being no limit, or what is around it has asked for many times as much (IPv4 /24 and IPv6 /48: ten, /16 and
    /// /32: fifty). Counted on each server by itself: what is bounded is what this one sends.
    pub fn may_fetch(&self, address: IpAddr, most: u32, now: Timestamp) -> bool {
        if most == 0 {
            return true;
        }
        let places = Place::around(address);
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.secs().div_euclid(60);
        if asking.minute != minute {
            *asking = Asking { minute, fetches: HashMap::new() };
        }
        let fetches = &mut asking.fetches;
        let has_room = |place: &Place| match fetches.get(place) {
            Some(fetches) => *fetches < most.saturating_mul(place.share()),
            None => fetches.len() < MOST_ADDRESSES,
        };
        // What is refused is not counted: nobody fills the book with it.
        let may = places.iter().all(has_room);
        if may {
            for place in places {
                *fetches.entry(place).or_default() += 1;
            }
        }
        may
    }
}

fn known(client: &ConfiguredClient) -> Client {
    Client {
        id: client.id.clone(),
        name: client.name.clone(),
        redirect_uris: client.redirect_uris.clone(),
        auth_method: match client.secret {
            Some(_) => AuthMethod::ClientSecretBasic,
            None => AuthMethod::None,
        },
        refreshes: true,
        scopes: ScopeSet::ALL,
        secret: client.secret.as_ref().map(|secret| TokenHash::of(secret.expose())),
    }
}

/// One connection for one document: nothing is kept open to hosts that strangers name.
fn documents_policy() -> GatePolicy {
    let mut policy = GatePolicy::new().with_any_public_host();
    policy.concurrent = MOST_FETCHES;
    policy.idle_per_host = 0;
    policy.idle_timeout = Duration::from_secs(1);
    policy
}

fn loopback_gate(ca: &Path, clock: &Clock) -> Result<Gate, BuildError> {
    let refused = |why: String| BuildError::Host("auth.client_document_ca", why);
    let authorities = authorities(ca).map_err(refused)?;
    Gate::trusting(documents_policy().with_loopback(), clock.clone(), &authorities)
        .map_err(|error| refused(error.to_string()))
}
