//! Fetches the advisory database's archive through the egress gate, and keeps it in the data directory.
//!
//! Only on request, never with `--offline`, and only from a host that the configuration allows. No redirect is
//! followed, and no more is read than an archive may hold.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderValue, Request, StatusCode, header};

use super::archive;
use super::collected::Unusable;
use super::database::KEPT_AS;
use crate::egress::{Bytes, EgressError, Gate, Limits};

/// Where RustSec's database is published as an archive.
pub const PUBLISHED: &str = "https://codeload.github.com/rustsec/advisory-db/tar.gz/refs/heads/main";

/// For the whole fetch, connecting included.
const WITHIN: Duration = Duration::from_secs(60);

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("spotify-mcp/", env!("CARGO_PKG_VERSION")));

/// Fetches an archive.
///
/// # Errors
/// Why it cannot be had, with what to do about it.
pub(super) async fn fetch(gate: &Gate, url: &str) -> Result<Vec<u8>, Unusable> {
    let request = Request::get(url).header(header::USER_AGENT, USER_AGENT).body(Bytes::new());
    let request = request.map_err(|_| Unusable::because("its address is none"))?;
    let host = request.uri().host().unwrap_or_default().to_owned();
    let most = usize::try_from(archive::PACKED).unwrap_or(usize::MAX);
    let answer = gate.send(request, Limits::within(WITHIN, most)).await.map_err(|error| match error {
        EgressError::HostNotAllowed(_) => Unusable::because(format!(
            "{host} may not be reached: add it to network.allowed_hosts, or give --advisory-db a copy"
        )),
        other => Unusable::because(format!("{host} cannot be reached: {other}")),
    })?;
    if answer.status() != StatusCode::OK {
        return Err(Unusable::because(format!("{host} answered {}", answer.status().as_u16())));
    }
    Ok(answer.into_body().to_vec())
}

/// Keeps an archive that was read without complaint, for later runs. Written beside and renamed, synced, 0600.
///
/// # Errors
/// Where it cannot be written: it is used all the same.
pub(super) fn keep(bytes: &[u8], data_dir: &Path) -> Result<PathBuf, std::io::Error> {
    let path = data_dir.join(KEPT_AS[0]);
    let fresh = data_dir.join(format!("{}.{}", KEPT_AS[0], std::process::id()));
    let written = write(bytes, &fresh).and_then(|()| fs::rename(&fresh, &path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written.map(|()| path)
}

fn write(bytes: &[u8], path: &Path) -> Result<(), std::io::Error> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::folder::tests::Scratch;
    use super::*;
    use crate::ambient::Clock;
    use crate::egress::GatePolicy;

    /// A server that answers once with these bytes; its address.
    async fn server(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/db.tar.gz", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer).await;
        });
        url
    }

    fn gate(allowed: Option<&str>) -> Gate {
        let policy = GatePolicy::new().with_loopback();
        let policy = allowed.into_iter().fold(policy, |policy, url| policy.allow(url).unwrap());
        Gate::new(policy, Clock::system())
    }

    #[tokio::test]
    async fn only_an_allowed_host_is_asked_and_only_success_counts() {
        let good = server(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntext").await;
        assert_eq!(fetch(&gate(Some(&good)), &good).await, Ok(b"text".to_vec()));
        let refused = fetch(&gate(None), &good).await.unwrap_err().to_string();
        assert!(refused.contains("network.allowed_hosts"), "{refused}");
        let moved =
            server(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
        assert!(fetch(&gate(Some(&moved)), &moved).await.unwrap_err().to_string().contains("answered 302"));
        let huge = server(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\ntext").await;
        assert!(fetch(&gate(Some(&huge)), &huge).await.is_err());
        assert!(fetch(&gate(None), "no address").await.is_err());
    }

    #[test]
    fn what_was_fetched_replaces_what_was_kept_and_nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Scratch::new("keep");
        let path = keep(b"one", &folder.0).unwrap();
        assert_eq!(keep(b"two", &folder.0).unwrap(), path);
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
        assert!(keep(b"one", &folder.0.join("nowhere")).is_err());
    }
}
