//! Which `client_id` is the URL of a metadata document. Pure; never resolves and never fetches.

use url::{Host, Url};

use crate::domain::ClientId;
use crate::domain::redirect::encoded_dot_segment;

/// The lowest port beside 443: below it live protocols that are not HTTP, and no stranger makes us knock there.
const LOWEST_PORT: u16 = 1024;

/// The URL of a metadata document (section 3): https, a host name of the web, a path, nothing that two readers could
/// read differently. A loopback address is a URL too; whether it may be fetched is not decided here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DocumentUrl {
    id: ClientId,
    host: String,
    loopback: bool,
}

/// Why a `client_id` is not the URL of a metadata document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADocumentUrl {
    /// Not https, or not in its canonical spelling (case, dot segments, default port, escapes, numeric hosts).
    #[error("it must be an https URL in canonical form")]
    Form,
    /// User information or a fragment.
    #[error("it must not have user information or a fragment")]
    Forbidden,
    /// No path.
    #[error("it must have a path")]
    Path,
    /// An address, a local name, or a port of another protocol.
    #[error("it must name a host of the web, on port 443 or above 1023")]
    Host,
}

impl DocumentUrl {
    /// Judges a client id that [`ClientId::is_url`].
    ///
    /// # Errors
    /// The rule that it breaks; nothing is fetched for such an id.
    pub fn parse(id: &ClientId) -> Result<Self, NotADocumentUrl> {
        let text = id.as_str();
        let url = Url::parse(text).map_err(|_| NotADocumentUrl::Form)?;
        if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(NotADocumentUrl::Forbidden);
        }
        let odd = text.contains(['\\', '<', '>', '"', '`', '{', '}', '|', '^', '*']);
        if url.scheme() != "https" || odd || encoded_dot_segment(url.path()) {
            return Err(NotADocumentUrl::Form);
        }
        if url.path() == "/" {
            return Err(NotADocumentUrl::Path);
        }
        if url.as_str() != text {
            return Err(NotADocumentUrl::Form);
        }
        let loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            _ => false,
        };
        let named = matches!(url.host(), Some(Host::Domain(name)) if is_of_the_web(name));
        if !(named || loopback) || url.port().is_some_and(|port| port < LOWEST_PORT) {
            return Err(NotADocumentUrl::Host);
        }
        Ok(Self { id: id.clone(), host: url.host_str().unwrap_or_default().to_owned(), loopback })
    }

    /// The client id, which is the URL.
    pub const fn id(&self) -> &ClientId {
        &self.id
    }

    /// The host, lower-case ASCII: whoever controls it published the document.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the host is a loopback address.
    pub const fn is_on_loopback(&self) -> bool {
        self.loopback
    }
}

/// A name with a dot that is not the local zone's. What it resolves to is judged when it is connected to.
fn is_of_the_web(name: &str) -> bool {
    name.contains('.') && !name.ends_with('.') && !name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Result<DocumentUrl, NotADocumentUrl> {
        DocumentUrl::parse(&ClientId::parse(text).unwrap())
    }

    #[test]
    fn what_shipped_clients_use_is_a_document_url() {
        for text in [
            "https://claude.ai/oauth/mcp-oauth-client-metadata",
            "https://claude.ai/oauth/claude-code-client-metadata",
            "https://chatgpt.com/oauth/abc_DEF-1/client.json",
            "https://vscode.dev/oauth/client-metadata.json",
            "https://client.example:8443/c",
            "https://client.example/c?v=1",
            "https://xn--bcher-kva.example/c/",
        ] {
            assert!(!url(text).unwrap().is_on_loopback(), "{text}");
        }
        for text in ["https://127.0.0.1:4000/c", "https://127.8.9.1/c", "https://[::1]:4000/c"] {
            assert!(url(text).unwrap().is_on_loopback(), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_before_any_fetch() {
        use NotADocumentUrl::{Forbidden, Form, Host, Path};
        for (text, why) in [
            ("https://client.example", Path),
            ("https://client.example/", Path),
            ("https://client.example?x=/c", Path),
            ("https://client.example/c#x", Forbidden),
            ("https://client.example/c#", Forbidden),
            ("https://me@client.example/c", Forbidden),
            ("https://me:pw@client.example/c", Forbidden),
            ("https://@client.example/c", Form),
            ("https://client.example/./c", Form),
            ("https://client.example/a/../c", Form),
            ("https://client.example/a/..", Path),
            ("https://client.example/a/%2e%2e/c", Form),
            ("https://client.example/%2E/c", Form),
            ("https://client.example/a%2fb", Form),
            ("https://client.example/a%5Cb", Form),
            ("https://client.example\\c", Form),
            ("https://client.example/a\\c", Form),
            ("https://Client.example/c", Form),
            ("HTTPS://client.example/c", Form),
            ("https:client.example/c", Form),
            ("https:///client.example/c", Form),
            ("https://client.example:443/c", Form),
            ("https://client.example:/c", Form),
            ("https://*.example/c", Form),
            ("https://client.example/{c}", Form),
            ("http://client.example/c", Form),
            ("ftp://client.example/c", Form),
            ("https://client.example:25/c", Host),
            ("https://client.example:80/c", Host),
            ("https://client.example./c", Host),
            ("https://localhost/c", Host),
            ("https://a.localhost/c", Host),
            ("https://intranet/c", Host),
            ("https://10.0.0.1/c", Host),
            ("https://8.8.8.8/c", Host),
            ("https://169.254.169.254/latest", Host),
            ("https://[::ffff:127.0.0.1]/c", Form),
            ("https://[::ffff:7f00:1]/c", Host),
            ("https://[64:ff9b::7f00:1]/c", Host),
            ("https://[2002:7f00:1::]/c", Host),
            ("https://[2001::1]/c", Host),
            ("https://[fe80::1]/c", Host),
            ("https://[::]/c", Host),
            ("https://0.0.0.0/c", Host),
            ("https://2130706433/c", Form),
            ("https://0x7f000001/c", Form),
            ("https://0x7f.1/c", Form),
            ("https://0177.0.0.1/c", Form),
            ("https://127.1/c", Form),
            ("https://127.0.0.1:25/c", Host),
        ] {
            assert_eq!(url(text), Err(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_id_is_judged_without_a_panic_and_alike_by_every_reader(text in "[!-~]{1,80}") {
            if let Some(id) = ClientId::parse(&format!("https://{text}"))
                && let Ok(url) = DocumentUrl::parse(&id)
            {
                let uri: http::Uri = url.id().as_str().parse().unwrap();
                prop_assert_eq!(uri.host(), Some(url.host()));
                prop_assert!(!id.as_str().contains('@') || uri.authority().is_some_and(|a| !a.as_str().contains('@')));
            }
        }
    }
}
