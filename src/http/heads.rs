//! What RFC 9110 and 9112 want of a request's head beyond what the parser sees to: one host, a target in the form that
//! belongs to its method, and a body in no coding but `chunked`.
//!
//! Two readers of one head must not read two requests. So whatever fails here is not read on: its connection closes.

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// RFC 9112, 3.2: no `Host`, more than one, one that is no host; RFC 9113, 8.3.1: another than `:authority`.
    Host,
    /// RFC 9112, 3.2: a target in a form that is for other methods, or of another scheme than HTTP's.
    Target,
    /// RFC 9112, 7: `chunked` other than once and last.
    Chunks,
    /// RFC 9112, 6.1: a transfer coding that is not known here.
    Coding,
}

impl Fault {
    /// Whether two readers would end the body in different places, which smuggles a request in.
    pub(super) const fn smuggles(self) -> bool {
        matches!(self, Self::Chunks | Self::Coding)
    }

    /// What is told of it.
    pub(super) fn answer(self) -> Response {
        let (status, said) = match self {
            Self::Host => (StatusCode::BAD_REQUEST, "400: a request names one host.\n"),
            Self::Target => (StatusCode::BAD_REQUEST, "400: this is no target of a request here.\n"),
            Self::Chunks => (StatusCode::BAD_REQUEST, "400: a body is chunked once.\n"),
            Self::Coding => (StatusCode::NOT_IMPLEMENTED, "501: this transfer coding is not known here.\n"),
        };
        // hyper keeps it from answers over HTTP/2, where a stream ends by itself.
        (status, [(CONNECTION, HeaderValue::from_static("close"))], said).into_response()
    }
}

/// What is wrong with the head of a request.
pub(super) fn fault(request: &Request) -> Option<Fault> {
    let (version, headers) = (request.version(), request.headers());
    if !has_good_host(version, request.uri(), headers) {
        return Some(Fault::Host);
    }
    if !is_target(request.method(), request.uri()) {
        return Some(Fault::Target);
    }
    coding_fault(headers)
}

fn has_good_host(version: Version, uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).into_iter();
    let (host, another) = (hosts.next(), hosts.next());
    match host {
        _ if another.is_some() => false,
        None => version != Version::HTTP_11,
        Some(host) if version == Version::HTTP_2 => {
            let host = host.as_bytes();
            uri.authority().is_none_or(|authority| authority.as_str().as_bytes().eq_ignore_ascii_case(host))
        }
        Some(host) => is_host(host),
    }
}

/// `uri-host [ ":" port ]`; empty where the target's scheme has no host.
fn is_host(value: &HeaderValue) -> bool {
    value.is_empty() || Authority::try_from(value.as_bytes()).is_ok_and(|host| !has_user(&host))
}

fn has_user(authority: &Authority) -> bool {
    authority.as_str().contains('@')
}

/// A path, or a whole URL of HTTP; an authority for `CONNECT` and `*` for `OPTIONS`, which no route answers.
fn is_target(method: &Method, uri: &Uri) -> bool {
    let form = match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if !has_user(authority) => uri.path().starts_with('/'),
        (None, None) if uri.path() == "*" => *method == Method::OPTIONS,
        (None, None) => uri.path().starts_with('/'),
        (None, Some(_)) => *method == Method::CONNECT,
        _ => false,
    };
    form && (*method != Method::CONNECT || uri.scheme().is_none())
}

fn coding_fault(headers: &HeaderMap) -> Option<Fault> {
    let values = headers.get_all(TRANSFER_ENCODING).into_iter();
    let codings =
        values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let mut chunked = 0;
    for coding in codings {
        if !coding.eq_ignore_ascii_case(b"chunked") {
            return Some(Fault::Coding);
        }
        chunked += 1;
    }
    (chunked > 1).then_some(Fault::Chunks)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn fault_of(version: Version, method: &str, target: &str, headers: &[(&str, &str)]) -> Option<Fault> {
        let request = Request::builder().version(version).method(method).uri(target);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        fault(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn one_good_host_is_named() {
        let of = |version, hosts: &[&str]| {
            let hosts: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            fault_of(version, "GET", "/", &hosts)
        };
        for good in ["x", "x:1", "127.0.0.1:80", "[::1]:80", ""] {
            assert_eq!(of(Version::HTTP_11, &[good]), None, "{good}");
        }
        for bad in ["u@x", "x y", "x/y", "http://x", "x:y:z", "x#y", "x?y"] {
            assert_eq!(of(Version::HTTP_11, &[bad]), Some(Fault::Host), "{bad}");
        }
        assert_eq!(of(Version::HTTP_11, &[]), Some(Fault::Host));
        assert_eq!(of(Version::HTTP_10, &[]), None);
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            assert_eq!(of(version, &["x", "x"]), Some(Fault::Host));
        }
        let twice = |host| fault_of(Version::HTTP_2, "GET", "https://x.example/", &[("host", host)]);
        assert_eq!(twice("X.example"), None);
        assert_eq!(twice("y.example"), Some(Fault::Host));
    }

    #[test]
    fn a_target_has_the_form_of_its_method() {
        let of = |method, target| fault_of(Version::HTTP_11, method, target, &[("host", "x")]);
        for (method, target) in [
            ("GET", "/"),
            ("GET", "//x/y?z"),
            ("GET", "http://x/y"),
            ("POST", "https://x"),
            ("OPTIONS", "*"),
            ("OPTIONS", "/mcp"),
            ("CONNECT", "x:22"),
            ("CONNECT", "/mcp"),
        ] {
            assert_eq!(of(method, target), None, "{method} {target}");
        }
        for (method, target) in [
            ("GET", "*"),
            ("GET", "x"),
            ("GET", "x:22"),
            ("OPTIONS", "x:22"),
            ("GET", "ftp://x/y"),
            ("GET", "http://u@x/y"),
            ("CONNECT", "http://x/y"),
        ] {
            assert_eq!(of(method, target), Some(Fault::Target), "{method} {target}");
        }
    }

    #[test]
    fn a_body_is_chunked_once_and_nothing_else() {
        let of = |codings: &[&str]| {
            let host = [("host", "x")].into_iter();
            let headers: Vec<_> =
                host.chain(codings.iter().map(|coding| ("transfer-encoding", *coding))).collect();
            fault_of(Version::HTTP_11, "POST", "/", &headers)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["Chunked"]), None);
        for twice in [&["chunked, chunked"][..], &["chunked", "chunked"]] {
            assert_eq!(of(twice), Some(Fault::Chunks), "{twice:?}");
        }
        for unknown in [&["gzip, chunked"][..], &["identity", "chunked"], &[", chunked"]] {
            assert_eq!(of(unknown), Some(Fault::Coding), "{unknown:?}");
        }
    }
}
