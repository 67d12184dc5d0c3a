//! What was asked of the sandbox: a bounded ring, without any token, code or secret.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use http::{HeaderName, Request, Response};
use serde::{Deserialize, Serialize, Serializer};

use super::world::shards::lock;
use crate::ambient::Timestamp;

/// Who asked, as far as the answer knows; handlers put it into the response's extensions.
#[derive(Clone)]
pub struct Who {
    /// The pretend person.
    pub user: Option<Arc<str>>,
    /// The app.
    pub app: Arc<str>,
}

/// One request.
#[derive(Clone, Serialize)]
pub struct Entry {
    /// Grows by one with each request.
    pub seq: u64,
    /// When it came, milliseconds of virtual time.
    pub at: i64,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query of a Web API call. That of the accounts service is left out: it carries state and challenge.
    pub query: Option<String>,
    /// The names of the headers that were there.
    #[serde(serialize_with = "names")]
    pub headers: Vec<HeaderName>,
    /// The pretend person, where the credential told.
    pub user: Option<Arc<str>>,
    /// The app, where the credential told.
    pub app: Option<Arc<str>>,
    /// Bytes of the request's body as announced.
    pub body: u64,
    /// The answer's status; `None` where the connection was dropped instead.
    pub status: Option<u16>,
    /// The fault that was injected.
    pub fault: Option<&'static str>,
}

fn names<S: Serializer>(headers: &[HeaderName], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(headers.iter().map(HeaderName::as_str))
}

/// Which entries to read; all conditions must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// By this person.
    pub user: Option<String>,
    /// By this app.
    pub app: Option<String>,
    /// With this method.
    pub method: Option<String>,
    /// With a path that begins so.
    pub path: Option<String>,
    /// Later than this sequence number.
    pub after: Option<u64>,
    /// At most so many, the newest; 1000 unless told.
    pub limit: Option<usize>,
}

/// The ring.
pub struct Journal {
    ring: Mutex<VecDeque<Entry>>,
    size: usize,
    seq: AtomicU64,
}

impl Journal {
    /// A ring of so many entries; zero keeps none.
    pub fn new(size: usize) -> Self {
        Self { ring: Mutex::default(), size, seq: AtomicU64::new(0) }
    }

    /// Begins an entry from a request; `None` where nothing is kept.
    pub fn begin<B>(&self, request: &Request<B>, now: Timestamp) -> Option<Entry> {
        let length = request.headers().get(http::header::CONTENT_LENGTH);
        let web_api = request.uri().path().starts_with("/v1/");
        (self.size > 0).then(|| Entry {
            seq: 0,
            at: now.millis(),
            method: request.method().to_string(),
            path: request.uri().path().chars().take(500).collect(),
            query: request.uri().query().filter(|_| web_api).map(|query| query.chars().take(500).collect()),
            headers: request.headers().keys().take(50).cloned().collect(),
            user: None,
            app: None,
            body: length.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or_default(),
            status: None,
            fault: None,
        })
    }

    /// Ends an entry with what became of it.
    pub fn end<B>(&self, entry: Option<Entry>, reply: Option<&Response<B>>, fault: Option<&'static str>) {
        let Some(mut entry) = entry else { return };
        entry.status = reply.map(|reply| reply.status().as_u16());
        entry.fault = fault;
        if let Some(who) = reply.and_then(|reply| reply.extensions().get::<Who>()) {
            entry.user.clone_from(&who.user);
            entry.app = Some(who.app.clone());
        }
        let mut ring = lock(&self.ring);
        entry.seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        if ring.len() >= self.size {
            ring.pop_front();
        }
        ring.push_back(entry);
    }

    /// The entries that pass, oldest first.
    pub fn read(&self, filter: &Filter) -> Vec<Entry> {
        let ring = lock(&self.ring);
        let passing = ring.iter().rev().filter(|entry| filter.passes(entry));
        let mut found: Vec<_> = passing.take(filter.limit.unwrap_or(1000)).cloned().collect();
        found.reverse();
        found
    }

    /// Forgets all entries; the numbers go on.
    pub fn clear(&self) {
        lock(&self.ring).clear();
    }
}

impl Filter {
    fn passes(&self, entry: &Entry) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        same(&self.user, entry.user.as_deref())
            && same(&self.app, entry.app.as_deref())
            && same(&self.method, Some(&entry.method))
            && self.path.as_ref().is_none_or(|start| entry.path.starts_with(start.as_str()))
            && self.after.is_none_or(|after| entry.seq > after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_bounded_filters_and_keeps_no_credential() {
        let journal = Journal::new(3);
        for n in 0..5 {
            let request = Request::get(format!("/v1/me?n={n}"))
                .header("authorization", "Bearer sesame")
                .body(())
                .unwrap();
            let mut reply = Response::new(());
            reply.extensions_mut().insert(Who { user: Some("ada".into()), app: "app".into() });
            journal.end(journal.begin(&request, Timestamp::default()), Some(&reply), None);
        }
        assert_eq!(journal.read(&Filter::default()).len(), 3);
        let last = journal.read(&Filter { after: Some(4), user: Some("ada".into()), ..Filter::default() });
        let text = serde_json::to_string(&last).unwrap();
        assert_eq!(last.len(), 1);
        assert!(text.contains("authorization") && !text.contains("sesame"));
    }
}
