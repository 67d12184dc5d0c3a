//! `security-check runtime`: what a process can see of how it, or the running server, is confined.
//!
//! Facts from `/proc` and `/sys` alone, read below one folder so that tests can write their own. Never: changing anything,
//! or asking the judged process.

mod cases;
pub mod cgroup;
mod engines;
#[cfg(test)]
mod fixtures;
mod gather;
pub mod isolation;
pub mod key_source;
pub mod limits;
pub mod mounts;
pub mod process;
mod rules;
pub mod sockets;
pub mod status;
pub mod system;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use cases::cases;
pub use gather::gather;
pub use rules::RULES;

use super::finding::Seen;

/// Everything that the rules stand on.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Whom it is about.
    pub who: Seen<process::Who>,
    /// Which program it is, where somebody named the process.
    pub program: Option<Seen<process::Program>>,
    /// What its system shows.
    pub system: System,
    /// What its configuration says.
    pub declared: Declared,
}

/// The kind of system.
#[derive(Clone, Debug)]
pub enum System {
    /// Linux, with what it shows.
    Linux(Box<Linux>),
    /// Another, by its name: it shows none of this.
    Other(&'static str),
}

/// What Linux shows of a process.
#[derive(Clone, Debug)]
pub struct Linux {
    /// Who it is and what it may do.
    pub status: Seen<status::Status>,
    /// What it sees of file systems.
    pub mounts: Seen<Vec<mounts::Mount>>,
    /// How large a core dump may be.
    pub core: Seen<limits::CoreLimit>,
    /// Whether it may be dumped and debugged by its own user.
    pub dumpable: Seen<bool>,
    /// Where core dumps of the machine go.
    pub core_pattern: Seen<String>,
    /// How far the machine restricts debuggers; `None`: not at all.
    pub ptrace_scope: Seen<Option<u8>>,
    /// Where the machine swaps to.
    pub swaps: Seen<Vec<limits::Swap>>,
    /// What it may use at most.
    pub bounds: Seen<cgroup::Bounds>,
    /// What a security module says of it.
    pub label: Seen<isolation::Label>,
    /// Container and namespaces.
    pub surroundings: isolation::Surroundings,
    /// Doors to container engines within reach.
    pub engine_sockets: Seen<Vec<String>>,
    /// Where it listens.
    pub listeners: Seen<sockets::Listening>,
    /// How the master key came.
    pub key: key_source::KeySource,
}

/// What the configuration, or the server's own arguments, say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Where the server may listen.
    pub listen: Vec<SocketAddr>,
    /// Where its own arguments say that it does (`serve --listen`), which goes before the configuration.
    pub flag: Option<SocketAddr>,
    /// Where metrics may be read.
    pub metrics: Option<SocketAddr>,
    /// Folders that are its own: it writes to them and below them.
    pub writable: Vec<PathBuf>,
    /// Folders in which it has a file: it writes there, and not below.
    pub beside: Vec<PathBuf>,
}
