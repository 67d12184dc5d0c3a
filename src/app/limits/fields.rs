//! What a client is told about limits: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11,
//! structured fields of RFC 9651), the older `X-RateLimit` three, and `Retry-After`.
//!
//! All values are written into one piece of memory: every answer of the protocol carries them.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use hyper::body::Bytes;

use crate::domain::limit::Standing;

use super::{Budget, Limit};

static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static LEFT: HeaderName = HeaderName::from_static("ratelimit");
static OLD_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
static OLD_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static OLD_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

impl Budget {
    /// Writes how a caller stands; nothing where nothing limits them.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let named = [("user", self.user), ("tool", self.tool), ("client", self.client)];
        write(headers, named.iter().filter_map(|(name, standing)| Some((*name, (*standing)?))));
    }
}

/// Writes the limit that was exceeded.
pub fn tell(limit: &Limit, headers: &mut HeaderMap) {
    let name = match limit.name {
        "reads" | "writes" | "player" => "tool",
        name => name,
    };
    write(headers, std::iter::once((name, limit.standing)));
    retry_after(limit.standing.resets_in, headers);
}

/// Writes `Retry-After`, in seconds and at least one (RFC 9110 section 10.2.3).
pub fn retry_after(seconds: u32, headers: &mut HeaderMap) {
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
}

fn write<'a>(headers: &mut HeaderMap, named: impl Iterator<Item = (&'a str, Standing)> + Clone) {
    // The narrowest is what the older headers, which know only one, say.
    let Some((_, narrow)) = named.clone().min_by_key(|(_, standing)| standing.left) else { return };
    let mut text = Vec::with_capacity(192);
    let mut ends = [0; 5];
    for (at, (name, Standing { quota, .. })) in named.clone().enumerate() {
        push(&mut text, (at, name), [(";q=", quota.most), (";w=", quota.window)]);
    }
    ends[0] = text.len();
    for (at, (name, Standing { left, resets_in, .. })) in named.enumerate() {
        push(&mut text, (at, name), [(";r=", left), (";t=", resets_in)]);
    }
    ends[1] = text.len();
    for (end, number) in ends[2..].iter_mut().zip([narrow.quota.most, narrow.left, narrow.resets_in]) {
        push_number(&mut text, number);
        *end = text.len();
    }
    let text = Bytes::from(text);
    let mut start = 0;
    for (name, end) in [&POLICY, &LEFT, &OLD_LIMIT, &OLD_REMAINING, &OLD_RESET].into_iter().zip(ends) {
        if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(start..end)) {
            headers.insert(name, value);
        }
        start = end;
    }
}

/// One member of a list: a quoted name with two parameters. By hand, because every call pays for it.
fn push(text: &mut Vec<u8>, (at, name): (usize, &str), parameters: [(&str, u32); 2]) {
    text.extend_from_slice(if at == 0 { b"\"" } else { b", \"" });
    text.extend_from_slice(name.as_bytes());
    text.push(b'"');
    for (parameter, number) in parameters {
        text.extend_from_slice(parameter.as_bytes());
        push_number(text, number);
    }
}

fn push_number(text: &mut Vec<u8>, mut number: u32) {
    let start = text.len();
    loop {
        text.push(b"0123456789"[(number % 10) as usize]);
        number /= 10;
        if number == 0 {
            break text[start..].reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limit::Quota;

    fn standing(most: u32, left: u32, resets_in: u32) -> Standing {
        Standing { quota: Quota::per_minute(most), left, resets_in }
    }

    #[test]
    fn a_budget_is_told_in_both_forms() {
        let mut headers = HeaderMap::new();
        Budget::default().tell(&mut headers);
        assert!(headers.is_empty());
        let budget =
            Budget { user: Some(standing(600, 37, 12)), tool: Some(standing(120, 90, 12)), client: None };
        budget.tell(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"user\";q=600;w=60, \"tool\";q=120;w=60");
        assert_eq!(headers["ratelimit"], "\"user\";r=37;t=12, \"tool\";r=90;t=12");
        assert_eq!(headers["x-ratelimit-limit"], "600");
        assert_eq!(headers["x-ratelimit-remaining"], "37");
        assert_eq!(headers["x-ratelimit-reset"], "12");
        assert!(!headers.contains_key("retry-after"));
    }

    #[test]
    fn what_was_exceeded_is_told_with_when_to_come_again() {
        let mut headers = HeaderMap::new();
        tell(&Limit { name: "writes", standing: standing(120, 0, 9) }, &mut headers);
        assert_eq!(headers["ratelimit"], "\"tool\";r=0;t=9");
        assert_eq!(headers["retry-after"], "9");
        retry_after(0, &mut headers);
        assert_eq!(headers["retry-after"], "1");
    }
}
