//! What makes one piece of text a valid value. Each check says why not, and what to write instead.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::Network;
use super::problem::Wrong;
use super::quoting::{quoted, shown};
use crate::policy::Toolset;

/// Judges one piece of text.
pub type Check = fn(&str) -> Result<(), Wrong>;

/// What Spotify allows an app.
pub const QUOTA_MODES: &[&str] = &["development", "development_legacy", "extended"];
/// Names of environments.
pub const ENVIRONMENTS: &[&str] = &["development", "staging", "production"];
/// Log levels, the quietest first.
pub const LOG_LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];

/// Anything but nothing, without control characters.
pub fn plain(text: &str) -> Result<(), Wrong> {
    if text.is_empty() {
        return Err(Wrong::new("it is empty", "write a value, or remove the key"));
    }
    if text.chars().any(char::is_control) {
        return Err(Wrong::new("it contains a control character", "write it on one line"));
    }
    Ok(())
}

/// A Spotify client id.
pub fn client_id(text: &str) -> Result<(), Wrong> {
    let valid = (8..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if valid {
        return Ok(());
    }
    Err(Wrong::new(
        format!("{} is no client id", quoted(text)),
        "copy the 32 letters and digits from your app's page at developer.spotify.com/dashboard",
    ))
}

/// What an app is called: it is told in errors of OAuth, which take plain ASCII only (RFC 6749 section 4.1.2.1).
pub fn app_name(text: &str) -> Result<(), Wrong> {
    let valid = (1..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -_.".contains(&byte))
        && text.trim() == text;
    if valid {
        return Ok(());
    }
    Err(Wrong::new(
        format!("{} is no name of an app", quoted(text)),
        "write 1 to 40 of the letters a to z, digits, spaces and - _ .",
    ))
}

/// A name for a developer account at Spotify, as the operator likes.
pub fn developer(text: &str) -> Result<(), Wrong> {
    let valid = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if valid {
        return Ok(());
    }
    let why = format!("{} is no name for a developer account", quoted(text));
    Err(Wrong::new(
        why,
        "write 1 to 64 letters, digits, '-', '_' or '.', the same for all apps of one account",
    ))
}

/// An address to listen on.
pub fn ip(text: &str) -> Result<(), Wrong> {
    if text == "localhost" || text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(Wrong::new(
        format!("{} is not an IP address", shown(text)),
        "write 127.0.0.1, or 0.0.0.0 for every interface",
    ))
}

/// An address and port to listen on.
pub fn socket(text: &str) -> Result<(), Wrong> {
    if text.parse::<SocketAddr>().is_ok() {
        return Ok(());
    }
    Err(Wrong::new(format!("{} is not an address and port", shown(text)), "write for example 127.0.0.1:9464"))
}

/// What a program presents as a bearer token (RFC 6750 2.1); never quoted.
pub fn bearer(text: &str) -> Result<(), Wrong> {
    let fix = "write at least 16 random letters and digits, for example from 'openssl rand -hex 32'";
    if text.len() < 16 {
        return Err(Wrong::new("it is shorter than 16 characters", fix));
    }
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)) {
        return Ok(());
    }
    Err(Wrong::new("it has characters that no bearer token has", fix))
}

/// An http or https origin: scheme, host, optional port.
pub fn origin(text: &str) -> Result<(), Wrong> {
    let fix = "write only scheme, host and port, for example https://music.example.org";
    let url = web_url(text, fix)?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || text.contains(['?', '#']) {
        return Err(Wrong::new(format!("{} has a path, query or fragment", shown(text)), fix));
    }
    Ok(())
}

/// Where Spotify sends the browser back.
pub fn redirect_uri(text: &str) -> Result<(), Wrong> {
    let fix =
        "write the URI that is registered at Spotify, for example https://music.example.org/auth/callback";
    let url = web_url(text, fix)?;
    if url.fragment().is_some() || url.query().is_some() || url.path() == "/" {
        return Err(Wrong::new(format!("{} needs a path, and no query or fragment", shown(text)), fix));
    }
    Ok(())
}

/// An upstream service.
pub fn upstream(text: &str) -> Result<(), Wrong> {
    let fix = "write the service's URL without query or fragment, or remove the key for Spotify's own";
    let url = web_url(text, fix)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Wrong::new(format!("{} has a query or fragment", shown(text)), fix));
    }
    Ok(())
}

/// Who is posted what.
pub fn receiver(text: &str) -> Result<(), Wrong> {
    let fix = "write the receiver's https URL without query or fragment; a bearer token has a key of its own";
    let url = web_url(text, fix)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Wrong::new(format!("{} has a query or fragment", shown(text)), fix));
    }
    Ok(())
}

/// Where a syslog server listens.
pub fn syslog(text: &str) -> Result<(), Wrong> {
    if crate::domain::SyslogPlace::parse(text).is_some() {
        return Ok(());
    }
    let fix = "write unix:/dev/log, udp://192.0.2.1:514 or tcp://[2001:db8::1]:514: an address, because no name is looked up";
    Err(Wrong::new(format!("{} is no syslog server", shown(text)), fix))
}

fn web_url(text: &str, fix: &str) -> Result<Url, Wrong> {
    let url = Url::parse(text)
        .map_err(|error| Wrong::new(format!("{} is not a URL: {error}", shown(text)), fix))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(Wrong::new(format!("{} is not an http or https URL", shown(text)), fix));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("it contains a user name or password", fix));
    }
    Ok(url)
}

/// Whether a URL's host is this machine: a loopback address, or the name `localhost`.
pub fn is_on_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A database. Never quoted: it may carry a password.
pub fn database(text: &str) -> Result<(), Wrong> {
    let fix = "write sqlite:///path/to/file.db or postgres://user:password@host/name";
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return match path {
            "" | ":memory:" => {
                Err(Wrong::new("it names no file, and everything would be lost at every stop", fix))
            }
            _ => plain(path),
        };
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") && url.host().is_some() => Ok(()),
        Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") => Ok(()),
        _ => Err(Wrong::new("it is neither a SQLite nor a PostgreSQL URL", fix)),
    }
}

/// A transport of MCP.
pub fn transport(text: &str) -> Result<(), Wrong> {
    match text {
        "http" => Ok(()),
        "sse" | "ws" => {
            Err(Wrong::new(format!("this version does not serve {text}"), "write http, or remove the key"))
        }
        _ => Err(Wrong::new(format!("{} is no transport", quoted(text)), "write http, or remove the key")),
    }
}

/// A group of tools.
pub fn toolset(text: &str) -> Result<(), Wrong> {
    text.parse::<Toolset>().map(|_| ()).map_err(|why| {
        Wrong::new(format!("{} is no toolset: {why}", quoted(text)), "write for example playlists,library")
    })
}

/// A proxy's address or range.
pub fn network(text: &str) -> Result<(), Wrong> {
    text.parse::<Network>()
        .map(|_| ())
        .map_err(|why| Wrong::new(format!("{}: {why}", shown(text)), "write 10.0.0.0/8, 127.0.0.1 or ::1"))
}

/// A host name with an optional port.
pub fn host(text: &str) -> Result<(), Wrong> {
    let fix =
        "write an exact host such as api.example.org or api.example.org:8443, without scheme, path or *";
    let url = Url::parse(&format!("https://{text}"));
    let exact = url.as_ref().is_ok_and(|url| {
        url.path() == "/" && url.username().is_empty() && url.query().is_none() && url.fragment().is_none()
    });
    if exact && !text.contains(['/', '*', '@', '?', '#']) {
        return Ok(());
    }
    Err(Wrong::new(format!("{} is not a host", shown(text)), fix))
}

/// The host of clients' metadata documents, or `*.` and a host for everything below it.
pub fn document_host(text: &str) -> Result<(), Wrong> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let labels = name.split('.').all(|label| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    let address = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    // An address is possible on loopback alone, where documents are while a client is being developed.
    let loopback = text.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    if labels && name.contains('.') && name.len() <= 253 && (!address || loopback) {
        return Ok(());
    }
    Err(Wrong::new(
        format!("{} is not a host", shown(text)),
        "write a host such as claude.ai, or *.example.org for all below example.org",
    ))
}

/// The contact of security.txt (RFC 9116 2.5.3).
pub fn contact(text: &str) -> Result<(), Wrong> {
    let known = ["mailto:", "https://", "tel:"]
        .iter()
        .any(|scheme| text.starts_with(scheme) && text.len() > scheme.len());
    if known && text.is_ascii() && !text.contains(char::is_whitespace) {
        return Ok(());
    }
    Err(Wrong::new(
        format!("{} is no contact URI", shown(text)),
        "write mailto:security@example.org or an https:// page",
    ))
}

/// A passphrase; never quoted.
pub fn passphrase(text: &str) -> Result<(), Wrong> {
    if text.len() >= 14 {
        return Ok(());
    }
    Err(Wrong::new("it is shorter than 14 bytes", "write several random words, or use a master key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(check: Check, valid: &[&str], invalid: &[&str]) {
        for text in valid {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in invalid {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn origins_have_no_path() {
        all(
            origin,
            &["https://a.example", "https://a.example/", "http://127.0.0.1:8000", "http://[::1]:1"],
            &["a.example", "https://a.example/x", "https://a.example?", "https://u@a.example", "ftp://a", ""],
        );
    }

    #[test]
    fn redirect_uris_have_a_path() {
        all(
            redirect_uri,
            &["https://a.example/auth/callback"],
            &["https://a.example", "https://a.example/c?x=1", "x"],
        );
    }

    #[test]
    fn databases() {
        all(
            database,
            &[
                "sqlite:///a.db",
                "sqlite://a.db",
                "sqlite:a.db",
                "postgres://u:p@h/n",
                "postgresql:///n?host=/run",
            ],
            &["", "mysql://x", "sqlite://", "sqlite::memory:", "/a.db"],
        );
    }

    #[test]
    fn hosts_are_exact() {
        all(
            host,
            &["a.example", "a.example:8443"],
            &["https://a.example", "*.example", "a/b", "", "u@h", "a:99999"],
        );
    }

    #[test]
    fn hosts_of_documents() {
        all(
            document_host,
            &["claude.ai", "*.example.org", "xn--bcher-kva.example", "127.0.0.1"],
            &[
                "",
                "example",
                "*",
                "*.org.",
                "a.*.org",
                "a.org:1",
                "https://a.org",
                "*.",
                "a..b",
                "8.8.8.8",
                "*.1.1",
            ],
        );
    }

    #[test]
    fn contacts_addresses_and_ids() {
        all(
            contact,
            &["mailto:s@e.org", "https://e.org/s"],
            &["s@e.org", "mailto:", "http://e.org", "mailto:a b"],
        );
        all(ip, &["127.0.0.1", "::1", "localhost", "0.0.0.0"], &["example.org", "127.0.0.1:80", ""]);
        all(client_id, &["0123456789abcdef0123456789abcdef"], &["", "abc", "your client id here"]);
        all(passphrase, &["correct horse battery"], &["short"]);
        all(socket, &["127.0.0.1:9464", "[::1]:0"], &["9464", "127.0.0.1", "localhost:9464", ""]);
        all(
            bearer,
            &["0123456789abcdef", "YWJjZGVmZ2hpamtsbW5v+/=="],
            &["short", "0123456789 abcdef", "0123456789abcdé"],
        );
    }
}
