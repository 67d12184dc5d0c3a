//! Faults on demand: what a route does wrong, and how often (spotify.md 6, "control plane").

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::world::shards::lock;

/// Most faults in waiting.
const MOST: usize = 1000;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Another answer instead of the real one, which is never computed.
    Status {
        /// The status.
        status: u16,
        /// The body; empty by default.
        #[serde(default)]
        body: String,
        /// More headers, for instance `retry-after` in any spelling, `location`, `content-type`.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// The real answer, later.
    Delay {
        /// Milliseconds; at most ten minutes.
        millis: u64,
    },
    /// The connection ends without an answer; nothing was done.
    Drop,
    /// A change of a playlist is confirmed as ever, and nothing was done.
    Unapplied,
    /// The request is carried out, then the connection ends without an answer.
    LoseReply,
    /// The request is carried out; half of the answer's body comes, then the connection ends.
    Truncate,
    /// The request is carried out; the body is noise that is neither JSON nor UTF-8.
    Garbage,
    /// The request is carried out; the body is endless blanks up to this size.
    Oversize {
        /// Bytes.
        bytes: u64,
    },
    /// The request is carried out; the body is small, gzip, and says that it is; unpacked it is blanks of this size,
    /// rounded up to a mebibyte.
    Compressed {
        /// Bytes, unpacked; at most four gibibytes.
        bytes: u64,
    },
    /// The request is carried out; the body comes in 16-byte drops.
    Drip {
        /// Milliseconds between two drops.
        millis: u64,
    },
}

impl Fault {
    /// Its name in the journal.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Delay { .. } => "delay",
            Self::Drop => "drop",
            Self::Unapplied => "unapplied",
            Self::LoseReply => "lose_reply",
            Self::Truncate => "truncate",
            Self::Garbage => "garbage",
            Self::Oversize { .. } => "oversize",
            Self::Compressed { .. } => "compressed",
            Self::Drip { .. } => "drip",
        }
    }
}

/// A fault with where and how often.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Injection {
    /// Method and path, for instance `GET /v1/me/player*` or `* /api/token`; `*` in the path stands for anything.
    pub route: String,
    /// How many matching requests to let pass first.
    #[serde(default)]
    pub skip: u32,
    /// How many to spoil; one by default.
    #[serde(default = "once")]
    pub times: u32,
    /// What goes wrong.
    pub fault: Fault,
}

const fn once() -> u32 {
    1
}

/// The faults in waiting, in the order in which they were injected.
#[derive(Default)]
pub struct Faults {
    waiting: Mutex<Vec<Injection>>,
    count: AtomicUsize,
}

impl Faults {
    /// Adds a fault; `false` where too many wait already.
    pub fn inject(&self, injection: Injection) -> bool {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= MOST {
            return false;
        }
        waiting.push(injection);
        self.count.store(waiting.len(), Ordering::Release);
        true
    }

    /// The fault for this request, if one is due; it is used up.
    pub fn take(&self, method: &str, path: &str) -> Option<Fault> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut waiting = lock(&self.waiting);
        let at = waiting.iter().position(|injection| matches(&injection.route, method, path))?;
        let injection = &mut waiting[at];
        if injection.skip > 0 {
            injection.skip -= 1;
            return None;
        }
        let fault = injection.fault.clone();
        injection.times = injection.times.saturating_sub(1);
        if injection.times == 0 {
            waiting.remove(at);
        }
        self.count.store(waiting.len(), Ordering::Release);
        Some(fault)
    }

    /// The faults in waiting.
    pub fn waiting(&self) -> Vec<Injection> {
        lock(&self.waiting).clone()
    }

    /// Removes all faults.
    pub fn clear(&self) {
        lock(&self.waiting).clear();
        self.count.store(0, Ordering::Release);
    }
}

fn matches(route: &str, method: &str, path: &str) -> bool {
    let (wanted, pattern) = route.split_once(' ').unwrap_or(("*", route));
    (wanted == "*" || wanted == method) && fits(pattern, path)
}

/// Whether `text` fits a pattern in which `*` stands for any run of characters.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_paths() {
        assert!(matches("GET /v1/me", "GET", "/v1/me"));
        assert!(!matches("GET /v1/me", "GET", "/v1/me/tracks"));
        assert!(matches("* /v1/playlists/*/items", "PUT", "/v1/playlists/x/items"));
        assert!(!matches("* /v1/playlists/*/items", "PUT", "/v1/playlists/x"));
        assert!(matches("/v1/*", "GET", "/v1/search"));
        assert!(!matches("POST /v1/*", "GET", "/v1/search"));
    }

    #[test]
    fn faults_are_skipped_counted_and_used_up() {
        let faults = Faults::default();
        let route = "GET /v1/me".to_owned();
        assert!(faults.inject(Injection { route, skip: 1, times: 2, fault: Fault::Drop }));
        let taken: Vec<_> = (0..4).map(|_| faults.take("GET", "/v1/me")).collect();
        assert_eq!(taken, [None, Some(Fault::Drop), Some(Fault::Drop), None]);
        assert!(faults.waiting().is_empty());
    }
}
