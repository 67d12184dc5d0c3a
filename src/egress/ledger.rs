//! What passed the gate and what did not: counters for metrics, refusals for the audit trail.
//!
//! Never blocks: where nobody takes the refusals they are counted as lost.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::{EgressError, Refusal, RefusalReason};
use crate::ambient::Clock;

/// Refusals that wait to be audited, at most.
const WAITING: usize = 256;

/// What the gate has seen since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests asked for.
    pub requests: u64,
    /// Requests that got a complete answer, whatever its status.
    pub answers: u64,
    /// Bytes of answers' bodies read.
    pub bytes: u64,
    /// Connections opened.
    pub connections: u64,
    /// Requests refused for their host.
    pub hosts_refused: u64,
    /// Connections refused for an address.
    pub addresses_refused: u64,
    /// Names that could not be resolved, and hosts that could not be connected to.
    pub connect_failures: u64,
    /// TLS handshakes that failed for another reason than the certificate.
    pub tls_failures: u64,
    /// Certificates that were not trusted.
    pub certificate_failures: u64,
    /// Requests without a complete answer in time, also because too many others were under way.
    pub timeouts: u64,
    /// Answers larger than allowed.
    pub too_large: u64,
    /// Connections that broke.
    pub broken: u64,
    /// Refusals that nobody took in time to audit them.
    pub refusals_lost: u64,
}

impl Counters {
    /// What two gates have seen together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            answers: self.answers + other.answers,
            bytes: self.bytes + other.bytes,
            connections: self.connections + other.connections,
            hosts_refused: self.hosts_refused + other.hosts_refused,
            addresses_refused: self.addresses_refused + other.addresses_refused,
            connect_failures: self.connect_failures + other.connect_failures,
            tls_failures: self.tls_failures + other.tls_failures,
            certificate_failures: self.certificate_failures + other.certificate_failures,
            timeouts: self.timeouts + other.timeouts,
            too_large: self.too_large + other.too_large,
            broken: self.broken + other.broken,
            refusals_lost: self.refusals_lost + other.refusals_lost,
        }
    }
}

#[derive(Default)]
struct Cells {
    requests: AtomicU64,
    answers: AtomicU64,
    bytes: AtomicU64,
    connections: AtomicU64,
    hosts_refused: AtomicU64,
    addresses_refused: AtomicU64,
    connect_failures: AtomicU64,
    tls_failures: AtomicU64,
    certificate_failures: AtomicU64,
    timeouts: AtomicU64,
    too_large: AtomicU64,
    broken: AtomicU64,
    refusals_lost: AtomicU64,
}

pub(super) struct Ledger {
    clock: Clock,
    cells: Cells,
    refused: mpsc::Sender<Refusal>,
    taken: Mutex<Option<mpsc::Receiver<Refusal>>>,
}

impl Ledger {
    pub(super) fn new(clock: Clock) -> Self {
        let (refused, waiting) = mpsc::channel(WAITING);
        Self { clock, cells: Cells::default(), refused, taken: Mutex::new(Some(waiting)) }
    }

    pub(super) fn requested(&self) {
        self.cells.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, bytes: usize) {
        self.cells.answers.fetch_add(1, Ordering::Relaxed);
        self.cells.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn connected(&self) {
        self.cells.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an error, once per request.
    pub(super) fn failed(&self, error: &EgressError) {
        let cells = &self.cells;
        let cell = match error {
            EgressError::HostNotAllowed(_) | EgressError::NoTarget => &cells.hosts_refused,
            EgressError::AddressNotAllowed(_) => &cells.addresses_refused,
            EgressError::Resolve | EgressError::Connect => &cells.connect_failures,
            EgressError::Tls { certificate: true, .. } => &cells.certificate_failures,
            EgressError::Tls { .. } => &cells.tls_failures,
            EgressError::Busy | EgressError::Timeout => &cells.timeouts,
            EgressError::TooLarge { .. } => &cells.too_large,
            EgressError::Broken => &cells.broken,
        };
        cell.fetch_add(1, Ordering::Relaxed);
    }

    /// Hands a refusal to whoever audits.
    pub(super) fn refused(&self, host: &str, reason: RefusalReason) {
        let host = host.chars().filter(char::is_ascii_graphic).take(253).collect();
        if self.refused.try_send(Refusal { at: self.clock.now(), host, reason }).is_err() {
            self.cells.refusals_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn take_refusals(&self) -> Option<mpsc::Receiver<Refusal>> {
        self.taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    pub(super) fn counters(&self) -> Counters {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let cells = &self.cells;
        Counters {
            requests: read(&cells.requests),
            answers: read(&cells.answers),
            bytes: read(&cells.bytes),
            connections: read(&cells.connections),
            hosts_refused: read(&cells.hosts_refused),
            addresses_refused: read(&cells.addresses_refused),
            connect_failures: read(&cells.connect_failures),
            tls_failures: read(&cells.tls_failures),
            certificate_failures: read(&cells.certificate_failures),
            timeouts: read(&cells.timeouts),
            too_large: read(&cells.too_large),
            broken: read(&cells.broken),
            refusals_lost: read(&cells.refusals_lost),
        }
    }
}
