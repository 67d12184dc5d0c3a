//! Where upstream is: an origin and a path prefix from the configuration, the only addresses a token is sent to.
//!
//! Paths are joined from segments that are percent-encoded here; nothing from upstream becomes part of an address.

use std::fmt::Write as _;

use url::Url;

/// A base address such as `https://api.spotify.com/v1`: http(s), no user name, no query, no fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

/// The text is no base address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an http(s) URL without user name, query and fragment")]
pub struct NotABaseUrl;

impl BaseUrl {
    /// Parses and normalizes; a trailing slash does not matter.
    ///
    /// # Errors
    /// Where it is not absolute http(s), or carries a user name, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, NotABaseUrl> {
        let url = Url::parse(text).map_err(|_| NotABaseUrl)?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let web = matches!(url.scheme(), "http" | "https") && url.has_host();
        if bare && web { Ok(Self(url.as_str().trim_end_matches('/').to_owned())) } else { Err(NotABaseUrl) }
    }

    /// The address without trailing slash, for example to allow its host at the egress gate.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Starts an address below this one.
    pub(crate) fn at(&self, segments: &[&str]) -> Address {
        let mut text = String::with_capacity(self.0.len() + 96);
        text.push_str(&self.0);
        for segment in segments {
            text.push('/');
            match *segment {
                // Encoded once they would still climb (WHATWG URL, "double-dot URL path segment"): no spelling keeps
                // them in their place, so they name what is not there.
                "." => text.push_str("%252E"),
                ".." => text.push_str("%252E%252E"),
                segment => encode(segment, &mut text),
            }
        }
        Address { text, queried: false }
    }
}

/// An address below a [`BaseUrl`], being written.
pub(crate) struct Address {
    text: String,
    queried: bool,
}

impl Address {
    /// Adds a query parameter.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.text.push(if self.queried { '&' } else { '?' });
        self.queried = true;
        encode(name, &mut self.text);
        self.text.push('=');
        encode(value, &mut self.text);
        self
    }

    /// Adds a numeric query parameter.
    pub(super) fn with_number(self, name: &str, value: u32) -> Self {
        self.with(name, &value.to_string())
    }

    /// The whole text.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 section 2.3.
fn encode(text: &str, out: &mut String) {
    if text.bytes().all(is_unreserved) {
        return out.push_str(text);
    }
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

const fn is_unreserved(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_base_is_an_origin_and_a_path() {
        assert_eq!(
            BaseUrl::parse("https://api.spotify.com/v1/").unwrap().as_str(),
            "https://api.spotify.com/v1"
        );
        for wrong in
            ["api.spotify.com", "ftp://x/", "https://u@x/", "https://x/?a", "https://x/#a", "file:///etc"]
        {
            assert_eq!(BaseUrl::parse(wrong), Err(NotABaseUrl), "{wrong}");
        }
    }

    #[test]
    fn segments_and_parameters_cannot_break_out() {
        let base = BaseUrl::parse("https://h/v1").unwrap();
        let text = base.at(&["users", "a/../b?c#d", ".."]).with("q", "Don't & Stop+é").into_text();
        assert_eq!(text, "https://h/v1/users/a%2F..%2Fb%3Fc%23d/%252E%252E?q=Don%27t%20%26%20Stop%2B%C3%A9");
        // A browser's reading of it stays below the base too.
        assert_eq!(Url::parse(&text).unwrap().as_str(), text);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_again(value: String) {
            let text = BaseUrl::parse("https://h/v1").unwrap().at(&["x"]).with("q", &value).into_text();
            let url = Url::parse(&text).unwrap();
            prop_assert_eq!(url.query_pairs().next().unwrap().1.into_owned(), value);
        }
    }
}
