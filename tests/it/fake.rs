//! An HTTP server that answers as told, down to the byte: whole, cut off, dripping or not at all.
//!
//! It speaks by hand, because a proper server would refuse to send what broken ones send.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The how-many-eth connection it came over, from 0.
    pub connection: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What to do with a request.
#[derive(Clone)]
pub enum Answer {
    /// Send this and keep the connection.
    Whole(Vec<u8>),
    /// Send this and close.
    Cut(Vec<u8>),
    /// Send this, then a byte again and again.
    Drip(Vec<u8>, Duration),
    /// Send this, then send `x` as fast as it is taken.
    Flood(Vec<u8>),
    /// Say nothing and keep the connection.
    Silence,
    /// Send this and keep the connection, but only when the test says so.
    Held(watch::Receiver<bool>, Vec<u8>),
}

impl Answer {
    pub fn new(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Whole(
            format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes(),
        )
    }

    pub fn json(status: u16, body: &str) -> Self {
        Self::new(status, "content-type: application/json\r\n", body)
    }

    /// The same, held back until `told` turns true.
    pub fn held(self, told: &watch::Receiver<bool>) -> Self {
        match self {
            Self::Whole(bytes) => Self::Held(told.clone(), bytes),
            other => other,
        }
    }
}

type Script = dyn Fn(usize, &Seen) -> Answer + Send + Sync;

/// A server on a port of its own, for as long as the test runs.
pub struct Fake {
    pub origin: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    /// `script` gets the how-many-eth request (from 0) and the request.
    pub async fn start(script: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, journal): (Arc<Script>, _) = (Arc::new(script), seen.clone());
        tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, connection, script.clone(), journal.clone()));
                connection += 1;
            }
        });
        Self { origin, seen }
    }

    /// The same over TLS, with a certificate of its own making, which comes along as PEM.
    pub async fn start_tls(
        script: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static,
    ) -> (Self, String) {
        let (acceptor, pem) = tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("https://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, journal): (Arc<Script>, _) = (Arc::new(script), seen.clone());
        tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, script, journal) = (acceptor.clone(), script.clone(), journal.clone());
                tokio::spawn(async move {
                    let stream = acceptor.accept(stream).await.ok()?;
                    serve(stream, connection, script, journal).await;
                    Some(())
                });
                connection += 1;
            }
        });
        (Self { origin, seen }, pem)
    }

    /// Answers everything alike.
    pub async fn always(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        Self::start(move |_, _| answer()).await
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// A certificate for 127.0.0.1 that signs itself.
fn tls() -> (TlsAcceptor, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let der = certificate.der().clone();
    let text = STANDARD.encode(&der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![der], key).unwrap();
    (TlsAcceptor::from(Arc::new(config)), pem)
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    connection: usize,
    script: Arc<Script>,
    journal: Arc<Mutex<Vec<Seen>>>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream, connection).await {
        let answer = {
            let mut journal = journal.lock().unwrap();
            let answer = script(journal.len(), &request);
            journal.push(request);
            answer
        };
        match answer {
            Answer::Whole(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                stream.flush().await.unwrap();
            }
            Answer::Cut(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Answer::Drip(bytes, pause) => {
                stream.write_all(&bytes).await.unwrap();
                while stream.write_all(b" ").await.is_ok() && stream.flush().await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
                return;
            }
            Answer::Flood(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
                return;
            }
            Answer::Silence => std::future::pending().await,
            Answer::Held(mut told, bytes) => {
                let _ = told.wait_for(|told| *told).await;
                // Whoever asked may have given up.
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    connection: usize,
) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut first = lines[0].split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<_> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { method, target, headers, body: String::from_utf8(body).unwrap(), connection })
}
