//! Query parameters and pages: `href`, `limit`, `offset`, `total`, `next`, `previous` (spotify.md 6.12).

use serde_json::{Value, json};
use url::form_urlencoded;

use super::caller::Caller;
use super::refusal::Refusal;

/// The query of a call.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of a URI.
    pub fn of(uri: &http::Uri) -> Self {
        Self(form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// A parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The page asked for: `limit` from 1 to `most`, `offset` up to `furthest`.
    pub fn page(&self, usual: usize, most: usize, furthest: usize) -> Result<Page, Refusal> {
        let number =
            |name, usual| self.get(name).map_or(Some(usual), |text: &str| text.parse::<usize>().ok());
        let limit = number("limit", usual).filter(|limit| (1..=most).contains(limit));
        let offset = number("offset", 0).filter(|offset| *offset <= furthest);
        Ok(Page {
            limit: limit.ok_or(Refusal::Bad("Invalid limit"))?,
            offset: offset.ok_or(Refusal::Bad("Invalid offset"))?,
        })
    }

    /// The other parameters, to be repeated in links.
    fn rest(&self) -> impl Iterator<Item = &(String, String)> {
        self.0.iter().filter(|(key, _)| key != "limit" && key != "offset")
    }
}

/// A window into a list.
#[derive(Clone, Copy)]
pub struct Page {
    /// Most entries.
    pub limit: usize,
    /// The first.
    pub offset: usize,
}

impl Page {
    /// The envelope around the entries of this page, at `path` under `/v1`.
    pub fn wrap(self, caller: &Caller, path: &str, query: &Query, total: usize, items: Vec<Value>) -> Value {
        let link = |offset: usize| {
            let mut text = form_urlencoded::Serializer::new(String::new());
            text.extend_pairs(query.rest());
            text.append_pair("offset", &offset.to_string()).append_pair("limit", &self.limit.to_string());
            format!("{}{path}?{}", caller.base, text.finish())
        };
        let next = self.offset + self.limit;
        json!({
            "href": link(self.offset),
            "limit": self.limit,
            "next": (next < total).then(|| link(next)),
            "offset": self.offset,
            "previous": (self.offset > 0).then(|| link(self.offset.saturating_sub(self.limit))),
            "total": total,
            "items": items,
        })
    }
}
