//! `security-check network`: TLS of ours and of those we call, the egress gate's refusals, a live server's answers.
//!
//! Connects where the configuration or the command line points, and holds no secret. Never: trusting what webpki does not.

mod cases;
mod connecting;
#[cfg(test)]
mod fixtures;
mod gather;
pub mod hello;
pub mod live;
pub mod proof;
mod rules;
pub mod signing;
mod staged;
mod suites;
mod targets;
pub mod tls;
pub mod web;

pub use cases::cases;
pub use gather::gather;
pub use rules::RULES;
pub use staged::{Staged, staged};

use std::net::SocketAddr;

use super::finding::{Seen, Unseen};
use crate::config::Network;

/// Why no server was looked at, where that was not asked.
const OFFLINE: &str = "--offline";

/// Everything that the rules stand on.
#[derive(Clone, Debug)]
pub struct Facts {
    /// TLS servers of ours: the one that was named or the public URL's, or the addresses that were named.
    pub servers: Vec<Looked>,
    /// Why there are none, where there are none.
    pub no_server: &'static str,
    /// Those that the server calls.
    pub upstreams: Vec<Looked>,
    /// The difference between this machine's clock and that of an upstream that was trusted, in seconds.
    pub skew: Seen<i64>,
    /// What was tried in this process against the way out.
    pub proof: proof::Proof,
    /// The same against signed requests.
    pub signing: Vec<proof::Outcome>,
    /// What a live server answered; `None`: none is named.
    pub live: Option<Seen<live::Live>>,
    /// What the configuration says.
    pub declared: Declared,
}

/// A server that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// `host:port`.
    pub name: String,
    /// Whether it is meant to speak TLS at all.
    pub kind: Kind,
    /// What it showed at each of its addresses; never empty.
    pub at: Vec<At>,
    /// Addresses of it to which this machine has no way at all, where it has to others.
    pub without_way: Vec<SocketAddr>,
    /// How many more addresses it has than are looked at.
    pub more: usize,
}

/// What a server showed at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// Which; `None`: none is known.
    pub address: Option<SocketAddr>,
    /// `Err`: it could not be reached, or need not be.
    pub shown: Seen<tls::Shown>,
}

impl Looked {
    /// One that nobody looked at.
    fn unseen(target: &targets::Target, why: Unseen) -> Self {
        let at = vec![At { address: None, shown: Err(why) }];
        Self { name: target.name.clone(), kind: target.kind, at, without_way: Vec::new(), more: 0 }
    }
}

/// What kind of server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It speaks TLS.
    Secured,
    /// Plain HTTP, on this machine.
    PlainLoopback,
    /// Plain HTTP, elsewhere.
    Plain,
}

/// What the configuration says about the way in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Whether TLS ends here.
    pub own_tls: bool,
    /// Whether the public URL is https.
    pub public_tls: bool,
    /// Whether only this machine reaches the listener.
    pub listens_on_loopback: bool,
    /// The proxies whose forwarded headers count.
    pub proxies: Vec<Network>,
    /// Limits that are switched off.
    pub unlimited: Vec<&'static str>,
}
