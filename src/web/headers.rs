//! Security headers as one table: a class of route, and what its answers carry.
//!
//! HSTS alone depends on the deployment: it is added where the public URL is https.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// What kind of answer a route gives. Files to be saved get a class of their own with the first route that has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A page whose forms post to this server and stay here.
    Page,
    /// A page whose form ends in a redirect to another origin: the consent page, and the one that links an account. Chromium applies `form-action` to
    /// the whole redirect chain after a POST, so this page goes without it (every other source is still closed).
    Consent,
    /// A redirect, possibly amid a login that runs in a popup of its client.
    Redirect,
    /// A stylesheet, script or icon whose name carries the hash of its content.
    Asset,
    /// Tokens, metadata and health: JSON for programs, never kept.
    Json,
    /// The MCP endpoint.
    Protocol,
    /// Plain text such as `security.txt`.
    Text,
}

impl Class {
    /// Every class, for tables and tests.
    pub const ALL: [Self; 7] =
        [Self::Page, Self::Consent, Self::Redirect, Self::Asset, Self::Json, Self::Protocol, Self::Text];

    /// What answers so, in the words of SECURITY.md's table.
    pub const fn answers(self) -> &'static str {
        match self {
            Self::Page => "pages, problem pages too; refusals of their routes",
            Self::Consent => "the consent page, the page that links an account",
            Self::Redirect => "redirects",
            Self::Asset => "stylesheet, script and icon, named by their hash",
            Self::Json => {
                "`/token`, `/register`, `/revoke`, `/introspect`, metadata, health, `/metrics`; an asset that is not there"
            }
            Self::Protocol => "`/mcp`, `/claude-mcp`",
            Self::Text => "`security.txt`",
        }
    }
}

/// One year, this host alone: other hosts under its name are not ours to bind.
const HSTS: &str = "max-age=31536000";

const PAGE_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const CONSENT_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     base-uri 'none'; frame-ancestors 'none'";
const NOTHING_CSP: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// No page here needs any of these of the browser.
const NO_PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), display-capture=(), geolocation=(), \
     gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()";

/// A header, made once: every answer carries some of them.
type Row = (HeaderName, HeaderValue);

const fn row(name: &'static str, value: &'static str) -> Row {
    (HeaderName::from_static(name), HeaderValue::from_static(value))
}

static ALWAYS: [Row; 2] = [row("x-content-type-options", "nosniff"), row("x-frame-options", "DENY")];

/// `same-origin`, not `no-referrer`: under the latter browsers send `Origin: null` with our own forms (Fetch, "append a
/// request `Origin` header"), and an Origin check on POST could not tell them from a stranger's.
static PAGE: [Row; 6] = [
    row("content-security-policy", PAGE_CSP),
    row("cross-origin-opener-policy", "same-origin"),
    row("cross-origin-resource-policy", "same-origin"),
    row("permissions-policy", NO_PERMISSIONS),
    row("referrer-policy", "same-origin"),
    row("cache-control", "no-store"),
];

/// A client may open the consent page in a popup and wait for its redirect: `same-origin` would cut it off from its
/// opener for good, so popups keep theirs.
static CONSENT: [Row; 6] = [
    row("content-security-policy", CONSENT_CSP),
    row("cross-origin-opener-policy", "unsafe-none"),
    row("cross-origin-resource-policy", "same-origin"),
    row("permissions-policy", NO_PERMISSIONS),
    row("referrer-policy", "same-origin"),
    row("cache-control", "no-store"),
];

/// No opener policy: browsers heed it on redirects too, and one hop would cut the popup off.
static REDIRECT: [Row; 3] = [
    row("content-security-policy", NOTHING_CSP),
    row("referrer-policy", "no-referrer"),
    row("cache-control", "no-store"),
];

static ASSET: [Row; 4] = [
    row("content-security-policy", NOTHING_CSP),
    row("cross-origin-resource-policy", "same-origin"),
    row("referrer-policy", "no-referrer"),
    row("cache-control", "public, max-age=31536000, immutable"),
];

/// Read from other origins by browser-based clients (CORS decides), hence `cross-origin`. RFC 6749 section 5.1
/// wants `Pragma` beside `Cache-Control`.
static JSON: [Row; 5] = [
    row("content-security-policy", NOTHING_CSP),
    row("cross-origin-resource-policy", "cross-origin"),
    row("referrer-policy", "no-referrer"),
    row("cache-control", "no-store"),
    row("pragma", "no-cache"),
];

static PROTOCOL: [Row; 4] = [
    row("content-security-policy", NOTHING_CSP),
    row("cross-origin-resource-policy", "cross-origin"),
    row("referrer-policy", "no-referrer"),
    row("cache-control", "no-store"),
];

static TEXT: [Row; 3] = [
    row("content-security-policy", NOTHING_CSP),
    row("referrer-policy", "no-referrer"),
    row("cache-control", "public, max-age=3600"),
];

/// The headers of a class, without HSTS.
pub fn of(class: Class) -> impl Iterator<Item = (&'static str, &'static str)> {
    rows(class).map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
}

fn rows(class: Class) -> impl Iterator<Item = &'static Row> {
    let own: &[Row] = match class {
        Class::Page => &PAGE,
        Class::Consent => &CONSENT,
        Class::Redirect => &REDIRECT,
        Class::Asset => &ASSET,
        Class::Json => &JSON,
        Class::Protocol => &PROTOCOL,
        Class::Text => &TEXT,
    };
    ALWAYS.iter().chain(own)
}

/// Sets the headers of a class where the answer does not have them yet.
pub fn fill(headers: &mut HeaderMap, class: Class) {
    for (name, value) in rows(class) {
        headers.entry(name).or_insert_with(|| value.clone());
    }
}

/// Gives an answer its class, where it is another than its route's: the headers of this class and of no other.
pub fn mark<B>(response: &mut http::Response<B>, class: Class) {
    fill(response.headers_mut(), class);
    response.extensions_mut().insert(class);
}

/// What [`mark`] said, else `of_route`: a redirect must not have the opener policy of the pages around it.
pub fn class_of<B>(response: &http::Response<B>, of_route: Class) -> Class {
    response.extensions().get().copied().unwrap_or(of_route)
}

/// Adds HSTS where the public URL is https (RFC 6797 section 7.2: never over plain http).
pub fn fill_hsts(headers: &mut HeaderMap, public_url_is_https: bool) {
    if public_url_is_https {
        headers.insert(http::header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(class: Class) -> HeaderMap {
        let mut headers = HeaderMap::new();
        fill(&mut headers, class);
        headers
    }

    #[test]
    fn every_class_refuses_sniffing_and_framing() {
        for class in Class::ALL {
            let headers = filled(class);
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["x-frame-options"], "DENY");
            let csp = headers["content-security-policy"].to_str().unwrap();
            assert!(csp.starts_with("default-src 'none'"), "{class:?}");
            assert!(csp.contains("frame-ancestors 'none'") && csp.contains("base-uri 'none'"), "{class:?}");
            assert!(!csp.contains("unsafe") && !csp.contains('*'), "{class:?}");
        }
    }

    #[test]
    fn only_assets_and_public_text_may_be_kept() {
        for class in Class::ALL {
            let kept = filled(class)["cache-control"] != "no-store";
            assert_eq!(kept, matches!(class, Class::Asset | Class::Text), "{class:?}");
        }
    }

    #[test]
    fn only_the_consent_page_goes_without_form_action() {
        for class in Class::ALL {
            let headers = filled(class);
            let csp = headers["content-security-policy"].to_str().unwrap();
            assert_eq!(!csp.contains("form-action"), class == Class::Consent, "{class:?}");
        }
    }

    #[test]
    fn the_answer_wins_over_its_route_and_hsts_needs_https() {
        let mut response = http::Response::new(());
        assert_eq!(class_of(&response, Class::Page), Class::Page);
        mark(&mut response, Class::Redirect);
        assert_eq!(class_of(&response, Class::Page), Class::Redirect);
        let headers = response.headers_mut();
        assert_eq!(headers["referrer-policy"], "no-referrer");
        fill_hsts(headers, false);
        assert!(!headers.contains_key("strict-transport-security"));
        fill_hsts(headers, true);
        assert!(headers.contains_key("strict-transport-security"));
    }
}
