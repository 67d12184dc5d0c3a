//! `security-check network` as an operator runs it: against a live server, against TLS servers with one fault each, and
//! where nobody can be reached. No test needs the Internet.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use spotify_mcp::check::network::proof::old_server_hello;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::runtime::{Judged, judged};
use crate::support::server::{Setup, binary, folder};

/// A certificate authority of the test's own, and one below it.
struct Authority {
    folder: PathBuf,
    root: Issuer<'static, KeyPair>,
    below: Issuer<'static, KeyPair>,
    below_der: CertificateDer<'static>,
}

impl Authority {
    /// Its certificate lies in `ca.pem`.
    fn new() -> Self {
        let authority = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            (params, KeyPair::generate().unwrap())
        };
        let ((root, root_key), (below, below_key)) = (authority("root"), authority("below"));
        let folder = folder();
        let der = root.self_signed(&root_key).unwrap().der().clone();
        let pem =
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&der));
        std::fs::write(folder.join("ca.pem"), pem).unwrap();
        let root = Issuer::new(root, root_key);
        let below_der = below.signed_by(&below_key, &root).unwrap().der().clone();
        Self { folder, root, below: Issuer::new(below, below_key), below_der }
    }

    /// A certificate until 1 January of this year; `by`: none signs itself.
    fn issue(
        name: &str,
        until: i32,
        by: Option<&Issuer<'static, KeyPair>>,
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let issued = match by {
            Some(by) => params.signed_by(&key, by),
            None => params.self_signed(&key),
        };
        (issued.unwrap().der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A TLS server on loopback.
async fn serve(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
) -> SocketAddr {
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_protocol_versions(versions).unwrap().with_no_client_auth();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { acceptor.accept(stream).await.is_ok() });
        }
    });
    address
}

/// A server that answers each first message with these bytes.
async fn answering(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(&bytes).await;
                let _ = stream.read(&mut [0; 64]).await;
            });
        }
    });
    address
}

/// TLS 1.2 with RSA key exchange and CBC.
fn weak_suite() -> Vec<u8> {
    old_server_hello(0x0303, 0x002f)
}

async fn looked(authority: &Authority, more: &[&str]) -> Judged {
    let mut command = binary();
    command.args(["security-check", "network", "--only", "SMC4001,SMC4002,SMC4003"]).args(more);
    command.arg("--ca").arg(authority.folder.join("ca.pem")).env("DATA_DIR", authority.folder.join("data"));
    judged(command).await
}

/// What a check says about an address: state and observation.
fn about<'a>(judged: &'a Judged, id: &str, address: SocketAddr) -> (&'a str, &'a str) {
    let subject = address.to_string();
    let found =
        judged.findings(id).into_iter().find(|finding| finding["subject"] == subject.as_str()).unwrap();
    (found["state"].as_str().unwrap(), found["observed"].as_str().unwrap())
}

#[tokio::test]
async fn every_seeded_fault_of_a_tls_server_is_found_and_named() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let both = &[&version::TLS13, &version::TLS12][..];
    let (root, below) = (Some(&authority.root), Some(&authority.below));
    let (sound, sound_key) = Authority::issue("127.0.0.1", 2100, root);
    let (chained, chained_key) = Authority::issue("127.0.0.1", 2100, below);
    let (older, older_key) = Authority::issue("127.0.0.1", 2100, root);
    let mut faults = Vec::new();
    for (name, until, by, word) in [
        ("127.0.0.1", 2020, root, "expired"),
        ("other.example", 2100, root, "other names"),
        ("127.0.0.1", 2100, None, "signs itself"),
        ("127.0.0.1", 2100, below, "those between it and the authority are missing"),
        ("127.0.0.1", 2100, Some(&stranger.root), "no trusted authority"),
    ] {
        let (certificate, key) = Authority::issue(name, until, by);
        faults.push((serve(vec![certificate], key, both).await, word));
    }
    let good = [
        serve(vec![sound], sound_key, both).await,
        serve(vec![chained, authority.below_der.clone()], chained_key, both).await,
        serve(vec![older], older_key, &[&version::TLS12]).await,
    ];
    let old = [
        answering(old_server_hello(0x0301, 0xc013)).await,
        answering(old_server_hello(0x0302, 0xc013)).await,
    ];
    let weak = answering(weak_suite()).await;
    let all = good.iter().chain(faults.iter().map(|(address, _)| address)).chain(&old).chain([&weak]);
    let addresses: Vec<String> = all.map(|address| format!("--address={address}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let judged = looked(&authority, &addresses).await;
    assert_eq!(judged.status, 1, "{:#}", judged.report);
    for address in good {
        for id in ["SMC4001", "SMC4002", "SMC4003"] {
            assert_eq!(about(&judged, id, address).0, "pass", "{id}: {:#}", judged.report);
        }
    }
    for (address, word) in faults {
        let (state, observed) = about(&judged, "SMC4003", address);
        assert!(state == "fail" && observed.contains(word), "{word}: {observed}");
        assert_eq!(about(&judged, "SMC4001", address).0, "pass", "{word}");
    }
    for (address, word) in old.into_iter().zip(["TLS 1.0", "TLS 1.1"]) {
        let (state, observed) = about(&judged, "SMC4001", address);
        assert!(state == "fail" && observed.contains(word), "{observed}");
    }
    let (state, observed) = about(&judged, "SMC4002", weak);
    assert!(state == "fail" && observed.contains("0x002f"), "{observed}");
}

#[tokio::test]
async fn a_live_server_of_ours_passes_what_a_stranger_can_see() {
    let server = Setup::default().start().await;
    let mut command = binary();
    command.args(["security-check", "network", "--skip", "SMC6004", "--live", &server.origin]);
    let judged = judged({
        command.envs(&server.environment);
        command
    })
    .await;
    for id in [
        "SMC3004", "SMC4018", "SMC4004", "SMC4005", "SMC4006", "SMC4007", "SMC4009", "SMC4010", "SMC4012",
        "SMC4013", "SMC4014", "SMC4016",
    ] {
        assert_eq!(judged.state(id), "pass", "{id}: {:#?}", judged.findings(id));
    }
    for id in ["SMC4001", "SMC4002", "SMC4003", "SMC4015", "SMC4017"] {
        assert_eq!(judged.state(id), "not_applicable", "{id}: plain HTTP on this machine");
    }
    // The tests' own server has limits switched off, which is said; those of heads hold all the same.
    let limits = judged.findings("SMC4011");
    let state =
        |subject: &str| limits.iter().find(|finding| finding["subject"] == subject).unwrap()["state"].clone();
    assert_eq!((state("configured"), state("live")), ("fail".into(), "pass".into()));
    assert_eq!(judged.in_state("error").len(), 0, "{:#}", judged.report);
}

#[tokio::test]
async fn where_nobody_is_reached_nothing_passes_and_offline_nothing_is_asked() {
    let authority = Authority::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let alone = looked(&authority, &[&format!("--address={closed}")]).await;
    assert_eq!((alone.status, alone.in_state("error").len()), (3, 3), "{:#}", alone.report);

    let network = |more: &[&str]| {
        let mut command = binary();
        command.args(["security-check", "network"]).args(more).env("DATA_DIR", authority.folder.join("data"));
        // Where no upstream can be: neither the Internet nor its absence decides this test.
        command
            .env("SPOTIFY_ACCOUNTS_URL", "https://no-upstream.invalid")
            .env("SPOTIFY_API_URL", "https://no-upstream.invalid/v1");
        judged(command)
    };
    let live = network(&["--live", &format!("https://{closed}")]).await;
    assert_eq!(live.status, 3, "{:#}", live.report);
    for id in [
        "SMC3004", "SMC4018", "SMC4001", "SMC4003", "SMC4010", "SMC4012", "SMC4014", "SMC4016", "SMC4017",
        "SMC6004",
    ] {
        assert_eq!(live.state(id), "error", "{id}");
    }
    let none: [&str; 0] = [];
    let offline = network(&["--offline"]).await;
    assert_eq!((offline.status, offline.in_state("error")), (0, none.to_vec()), "{:#}", offline.report);
    for id in ["SMC4004", "SMC4005", "SMC4006", "SMC4007"] {
        assert_eq!(offline.state(id), "pass", "{id}: tried in the process itself");
    }
    let out = offline.report["left_out"].as_array().unwrap();
    assert!(out.iter().any(|check| check["id"] == "SMC4003"), "{out:?}");
    assert!(offline.findings("SMC4003").is_empty());
}
