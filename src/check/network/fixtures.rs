//! TLS servers on loopback with a fault of the test's choice.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::hello;
use super::proof::old_server_hello;
use crate::config::certificate;

/// A certificate authority of a test's own, with one below it.
pub struct Authority {
    pub root: CertificateDer<'static>,
    pub between: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    below: Issuer<'static, KeyPair>,
}

/// What a server shows: its certificates and its key.
pub type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    pub fn new() -> Self {
        let authority = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let (root, between) = (authority("root"), authority("between"));
        let (root_key, between_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root_der = root.self_signed(&root_key).unwrap().der().clone();
        let issuer = Issuer::new(root, root_key);
        let between_der = between.signed_by(&between_key, &issuer).unwrap().der().clone();
        Self { root: root_der, between: between_der, issuer, below: Issuer::new(between, between_key) }
    }

    /// A certificate for a name or address, until 1 January of this year.
    pub fn issue(&self, name: &str, until: i32) -> Shown {
        Self::sign(name, until, Some(&self.issuer), Vec::new())
    }

    /// One from the authority below, with or without that one's certificate beside it.
    pub fn issue_below(&self, name: &str, complete: bool) -> Shown {
        let between = if complete { vec![self.between.clone()] } else { Vec::new() };
        Self::sign(name, 2100, Some(&self.below), between)
    }

    /// One that signs itself.
    pub fn alone(name: &str) -> Shown {
        Self::sign(name, 2100, None, Vec::new())
    }

    fn sign(
        name: &str,
        until: i32,
        issuer: Option<&Issuer<'static, KeyPair>>,
        more: Vec<CertificateDer<'static>>,
    ) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = match issuer {
            Some(issuer) => params.signed_by(&key, issuer).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        let chain = std::iter::once(certificate.der().clone()).chain(more).collect();
        (chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

/// A server that answers every request over TLS with 204.
pub async fn secured((chain, key): Shown, versions: &[&'static SupportedProtocolVersion]) -> SocketAddr {
    let config = ServerConfig::builder_with_provider(Arc::new(certificate::provider()));
    let config = config.with_protocol_versions(versions).unwrap().with_no_client_auth();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

/// Both versions.
pub const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// A server that answers each first message with these bytes.
pub async fn answering(bytes: Vec<u8>) -> SocketAddr {
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

/// A server of TLS 1.2 that goes on with this suite where it is offered, and refuses where it is not.
pub async fn agreeing(suite: u16) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut hello = vec![0; 4096];
                let read = stream.read(&mut hello).await.unwrap();
                // The suites, with their length, stand after the version, 32 bytes of chance and a session id.
                let suites = hello.get(76..read).unwrap_or_default();
                let length = usize::from(suites[0]) << 8 | usize::from(suites[1]);
                let offered = suites[2..2 + length].chunks(2).any(|one| one == suite.to_be_bytes());
                let answer = match offered {
                    true => old_server_hello(hello::TLS12, suite),
                    false => vec![21, 3, 3, 0, 2, 2, 40],
                };
                let _ = stream.write_all(&answer).await;
                let _ = stream.read(&mut [0; 64]).await;
            });
        }
    });
    address
}
