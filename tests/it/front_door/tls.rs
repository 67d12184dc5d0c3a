//! Built-in TLS through the real binary: versions, protocols, renewal without a restart, starts that must fail.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use spotify_mcp::ambient::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::server::{Setup, TestServer, binary};

const PATIENCE: Duration = Duration::from_secs(30);

/// A certificate that signs itself, and its key, both as PEM.
struct Pair {
    der: CertificateDer<'static>,
    certificate: String,
    key: String,
}

impl Pair {
    fn new(name: &str, until: i32) -> Self {
        Self::signed(name, |params| params.not_after = rcgen::date_time_ymd(until, 1, 1))
    }

    /// Ends in so many days.
    fn ending(name: &str, days: u64) -> Self {
        let now = Duration::from_secs(u64::try_from(Clock::system().now().secs()).unwrap());
        Self::signed(name, |params| {
            params.not_after = rcgen::date_time_ymd(1970, 1, 1) + now + Duration::from_secs(days * 86_400);
        })
    }

    fn signed(name: &str, until: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        until(&mut params);
        let der = params.self_signed(&key).unwrap().der().clone();
        let (certificate, key) = (pem("CERTIFICATE", &der), pem("PRIVATE KEY", &key.serialize_der()));
        Self { der, certificate, key }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let lines = STANDARD.encode(der);
    let lines: Vec<&str> =
        lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A server that ends TLS itself.
struct Secured {
    server: TestServer,
    port: u16,
    roots: RootCertStore,
    child: Option<Child>,
}

impl Secured {
    async fn prepare(pair: &Pair) -> Self {
        let mut server = Setup::default().prepare().await;
        let port = server.environment["SERVER_PORT"].parse().unwrap();
        for (name, file) in [("SERVER_TLS_CERTIFICATE", "cert.pem"), ("SERVER_TLS_KEY", "key.pem")] {
            let path = server.data.join(file).display().to_string();
            server.environment.insert(name.to_owned(), path);
        }
        let mut secured = Self { server, port, roots: RootCertStore::empty(), child: None };
        secured.write(pair);
        secured
    }

    async fn start(pair: &Pair) -> Self {
        let mut secured = Self::prepare(pair).await;
        secured.child = Some(secured.server.command().spawn().unwrap());
        let until = Instant::now() + PATIENCE;
        while !matches!(secured.ask("/readyz").await, Some((_, answer)) if answer.starts_with("HTTP/1.1 200"))
        {
            assert!(Instant::now() < until, "not ready in time:\n{}", secured.server.logged());
            sleep(Duration::from_millis(20)).await;
        }
        secured
    }

    fn file(&self, name: &str) -> PathBuf {
        self.server.data.join(name)
    }

    fn write(&mut self, pair: &Pair) {
        self.roots.add(pair.der.clone()).unwrap();
        std::fs::write(self.file("cert.pem"), &pair.certificate).unwrap();
        std::fs::write(self.file("key.pem"), &pair.key).unwrap();
    }

    async fn connect(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocol: Option<&str>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let mut config = config.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = protocol.map(|name| name.as_bytes().to_vec()).into_iter().collect();
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// The certificate that a new connection gets, and an answer.
    async fn ask(&self, path: &str) -> Option<(CertificateDer<'static>, String)> {
        let mut stream = self.connect(&[&version::TLS13], None).await.ok()?;
        let certificate = stream.get_ref().1.peer_certificates()?[0].clone().into_owned();
        Some((certificate, get(&mut stream, self.port, path).await?))
    }

    async fn healthcheck(&self) -> Option<i32> {
        let mut command = binary();
        command.arg("healthcheck").envs(&self.server.environment);
        command.output().await.unwrap().status.code()
    }

    /// Starts where it must fail: status and what is said.
    async fn refused(&self) -> (Option<i32>, String) {
        let mut command = binary();
        command.arg("serve").envs(&self.server.environment).env("LOG_LEVEL", "error").kill_on_drop(true);
        let output = timeout(PATIENCE, command.output()).await.expect("it started after all").unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    fn trail(&self) -> String {
        let files = super::files(&[&self.server.data_dir().join("audit")]);
        files.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
    }

    /// How many records of this event the trail has.
    fn recorded(&self, event: &str) -> usize {
        self.trail().lines().filter(|line| line.contains(event)).count()
    }

    fn hang_up(&self) {
        let pid = self.child.as_ref().and_then(Child::id).unwrap();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::HUP).unwrap();
    }

    async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(Instant::now() < until, "{what}:\n{}", self.server.logged());
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Asks on a connection that stays open; the head of the answer.
async fn get(stream: &mut TlsStream<TcpStream>, port: u16, path: &str) -> Option<String> {
    let asked = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n");
    stream.write_all(asked.as_bytes()).await.ok()?;
    let mut answer = vec![0; 16 * 1024];
    let read = timeout(PATIENCE, stream.read(&mut answer)).await.ok()?.ok()?;
    Some(String::from_utf8_lossy(&answer[..read]).into_owned())
}

#[tokio::test]
async fn both_versions_and_both_protocols_are_spoken_and_nothing_in_the_clear() {
    let secured = Secured::start(&Pair::new("127.0.0.1", 2100)).await;
    for versions in [[&version::TLS13], [&version::TLS12]] {
        let mut stream = secured.connect(&versions, Some("http/1.1")).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = get(&mut stream, secured.port, "/").await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("strict-transport-security: max-age"),
            "{answer}"
        );

        let mut stream = secured.connect(&versions, Some("h2")).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame[3], 4, "settings come first");
    }
    assert!(secured.connect(&[&version::TLS13], Some("imap")).await.is_err(), "no protocol in common");
    let issuer = secured.ask("/.well-known/oauth-protected-resource").await.unwrap().1;
    assert!(issuer.contains(&format!("https://127.0.0.1:{}", secured.port)), "{issuer}");
    assert_eq!(secured.healthcheck().await, Some(0));

    let mut clear = TcpStream::connect(("127.0.0.1", secured.port)).await.unwrap();
    clear.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, clear.read_to_end(&mut answer)).await.expect("it stays open");
    assert!(!answer.starts_with(b"HTTP"), "answered in the clear");
    // Nobody is waited for in the middle of a handshake either.
    let mut silent = TcpStream::connect(("127.0.0.1", secured.port)).await.unwrap();
    silent.write_all(&[22, 3, 1, 2]).await.unwrap();
    let ended = timeout(PATIENCE, silent.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "the handshake is waited for");
    assert!(!secured.server.logged().contains("panicked"));
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_over_and_a_broken_one_is_not() {
    let first = Pair::new("127.0.0.1", 2100);
    let mut secured = Secured::start(&first).await;
    let mut kept = secured.connect(&[&version::TLS13], Some("http/1.1")).await.unwrap();
    get(&mut kept, secured.port, "/livez").await.unwrap();

    let second = Pair::new("127.0.0.1", 2101);
    secured.write(&second);
    let serves = async |pair: &Pair| secured.ask("/livez").await.is_some_and(|(der, _)| der == pair.der);
    secured.until("the new certificate is not served", async || serves(&second).await).await;
    assert!(
        get(&mut kept, secured.port, "/livez").await.unwrap().starts_with("HTTP/1.1 200"),
        "the old one ended"
    );
    secured.until("no event", async || secured.trail().contains("certificate_replaced")).await;

    std::fs::write(secured.file("key.pem"), &first.key).unwrap();
    secured.hang_up();
    secured.until("no event", async || secured.trail().contains("certificate_refused")).await;
    assert!(secured.trail().contains("TLS_KEY_MISMATCH"));
    assert!(serves(&second).await);
    let logged = secured.server.logged();
    assert!(logged.contains("the certificate before stays") && !logged.contains("PRIVATE KEY"), "{logged}");

    std::fs::write(secured.file("key.pem"), &second.key).unwrap();
    let replaced = async || secured.trail().matches("certificate_replaced").count() >= 2;
    secured.hang_up();
    secured.until("not mended", replaced).await;
    assert_eq!(secured.healthcheck().await, Some(0));
}

#[tokio::test]
async fn the_end_of_a_certificate_is_announced_two_weeks_ahead_until_it_is_renewed() {
    let mut secured = Secured::start(&Pair::ending("127.0.0.1", 10)).await;
    secured.until("no event", async || secured.recorded("certificate_expires") == 1).await;
    let trail = secured.trail();
    let event = trail.lines().find(|line| line.contains("certificate_expires")).unwrap();
    assert!(event.contains("not_after"), "{event}");
    secured.server.says("the TLS certificate ends soon").await;

    // One that ends later is nothing to speak of; the next one that ends soon is.
    for (days, replaced, events) in [(20, 1, 1), (13, 2, 2)] {
        secured.write(&Pair::ending("127.0.0.1", days));
        secured.hang_up();
        let done = async || secured.recorded("certificate_replaced") == replaced;
        secured.until("not taken over", done).await;
        let announced = async || secured.recorded("certificate_expires") == events;
        secured.until("not announced", announced).await;
    }
    // Said once, not at every look at the files.
    sleep(Duration::from_secs(6)).await;
    assert_eq!(secured.recorded("certificate_expires"), 2);
}

#[tokio::test]
async fn a_start_with_files_that_do_not_serve_says_which_and_why() {
    let good = Pair::new("127.0.0.1", 2100);
    let (expired, other) = (Pair::new("127.0.0.1", 2020), Pair::new("127.0.0.1", 2100));
    let mut secured = Secured::prepare(&good).await;
    for (certificate, key, code, named) in [
        (&expired.certificate, &expired.key, "TLS_CERTIFICATE_EXPIRED", "server.tls.certificate"),
        (&good.certificate, &other.key, "TLS_KEY_MISMATCH", "server.tls.key"),
        (&good.key, &good.key, "TLS_CERTIFICATE_MISSING", "server.tls.certificate"),
        (&good.certificate, &"nothing".to_owned(), "TLS_KEY_MISSING", "server.tls.key"),
    ] {
        std::fs::write(secured.file("cert.pem"), certificate).unwrap();
        std::fs::write(secured.file("key.pem"), key).unwrap();
        let (status, said) = secured.refused().await;
        assert_eq!(status, Some(2), "{code}: {said}");
        assert!(
            said.contains(code) && said.contains(named) && said.contains("SERVER_TLS_"),
            "{code}: {said}"
        );
        assert!(!said.contains("BEGIN PRIVATE") || said.contains("-----BEGIN PRIVATE KEY-----)"), "{said}");
    }
    secured.write(&good);
    let environment = secured.server.environment.clone();
    secured.server.environment.remove("SERVER_TLS_KEY");
    let (status, said) = secured.refused().await;
    assert!(
        status == Some(2) && said.contains("CONFIG_MISSING") && said.contains("server.tls.key"),
        "{said}"
    );
    secured.server.environment = environment;
    let public_url = format!("http://127.0.0.1:{}", secured.port);
    secured.server.environment.insert("PUBLIC_URL".to_owned(), public_url);
    let (status, said) = secured.refused().await;
    assert!(status == Some(2) && said.contains("TLS_PUBLIC_URL"), "{said}");
    // Every account of the machine may read the key: a warning here, a refusal elsewhere.
    secured.server.environment.insert("PUBLIC_URL".to_owned(), format!("https://127.0.0.1:{}", secured.port));
    secured.server.environment.insert("DEPLOYMENT_ENVIRONMENT".to_owned(), "staging".to_owned());
    let mut mode = std::fs::metadata(secured.file("key.pem")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o644);
    std::fs::set_permissions(secured.file("key.pem"), mode).unwrap();
    let (status, said) = secured.refused().await;
    assert!(status == Some(2) && said.contains("SECRET_FILE_READABLE_BY_OTHERS"), "{said}");
}
