//! A mail server that takes mails, or does what it is told instead, and keeps what it was given.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

/// When TLS begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    #[default]
    Never,
    Asked,
    Always,
}

/// What it does.
#[derive(Clone, Default)]
pub struct Ways {
    pub tls: Tls,
    /// Who may log in, with which password; others may not hand anything over.
    pub login: Option<(&'static str, &'static str)>,
    /// The mechanisms that it names.
    pub mechanisms: &'static str,
    /// What it answers to a line that begins so, in place of what it would.
    pub answers: BTreeMap<&'static str, &'static str>,
    /// The line at whose beginning it falls silent; `GREETING` for none at all.
    pub silent_at: Option<&'static str>,
    /// What it slips in behind its word that TLS may begin.
    pub slips_in: &'static str,
}

/// What it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    pub secure: bool,
    pub hello: String,
    pub login: Option<String>,
    pub from: String,
    pub to: Vec<String>,
    pub mail: String,
}

impl Given {
    /// A line of the head.
    pub fn header(&self, name: &str) -> &str {
        let head = self.mail.split("\r\n\r\n").next().unwrap();
        let found = head.split("\r\n").find_map(|line| line.strip_prefix(&format!("{name}: ")));
        found.unwrap_or_else(|| panic!("no {name} in\n{head}"))
    }
}

/// The authority that vouches for these servers, in a file, and what they present.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub fn pem(&self) -> String {
        let der = STANDARD.encode(self.issuer.der());
        format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n")
    }

    /// What a server of this name speaks TLS with.
    pub fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate: CertificateDer<'static> =
            params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()))
    }
}

/// The server.
#[derive(Clone)]
pub struct MailServer {
    pub port: u16,
    given: Arc<Mutex<Vec<Given>>>,
}

impl MailServer {
    /// Listens on a port of its own.
    pub async fn start(ways: Ways, acceptor: Option<TlsAcceptor>) -> Self {
        Self::start_at(0, ways, acceptor).await
    }

    /// Listens on this port.
    pub async fn start_at(port: u16, ways: Ways, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), given: Arc::default() };
        let given = server.given.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (ways, acceptor, given) = (ways.clone(), acceptor.clone(), given.clone());
                tokio::spawn(async move { serve(stream, &ways, acceptor, &given).await });
            }
        });
        server
    }

    pub fn given(&self) -> Vec<Given> {
        self.given.lock().unwrap().clone()
    }

    /// Waits until it was given so many.
    pub async fn expect(&self, count: usize) -> Vec<Given> {
        let until = Instant::now() + Duration::from_secs(20);
        while self.given().len() < count && Instant::now() < until {
            sleep(Duration::from_millis(50)).await;
        }
        let given = self.given();
        assert_eq!(given.len(), count, "{given:#?}");
        given
    }
}

async fn serve(stream: TcpStream, ways: &Ways, acceptor: Option<TlsAcceptor>, given: &Mutex<Vec<Given>>) {
    let mut stream = stream;
    let mut session = Session { ways, given, now: Given::default() };
    if ways.tls == Tls::Always {
        let Ok(mut stream) = acceptor.unwrap().accept(stream).await else { return };
        session.now.secure = true;
        let _ = session.talk(&mut stream, true).await;
    } else if let Ok(true) = session.talk(&mut stream, true).await {
        let Ok(mut stream) = acceptor.unwrap().accept(stream).await else { return };
        session.now = Given { secure: true, ..Given::default() };
        let _ = session.talk(&mut stream, false).await;
    }
}

struct Session<'a> {
    ways: &'a Ways,
    given: &'a Mutex<Vec<Given>>,
    now: Given,
}

impl Session<'_> {
    /// Until the end, or until TLS is to begin: `true`.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        greet: bool,
    ) -> io::Result<bool> {
        if greet {
            self.answer(stream, "GREETING", "220-mail.test\r\n220 ready").await?;
        }
        loop {
            let line = line(stream).await?;
            let offers = self.offers();
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let usual = match verb {
                "EHLO" => {
                    self.now.hello = rest.to_owned();
                    offers.as_str()
                }
                "STARTTLS" => {
                    let word = format!("220 go ahead\r\n{}", self.ways.slips_in);
                    stream.write_all(word.as_bytes()).await?;
                    return Ok(true);
                }
                "AUTH" => self.login(stream, rest).await?,
                "MAIL" | "RCPT" if self.ways.login.is_some() && self.now.login.is_none() => "530 who are you",
                "MAIL" => {
                    self.now.from = rest.to_owned();
                    "250 fine"
                }
                "RCPT" => "250 known",
                "DATA" => "354 go on",
                "QUIT" => "221 bye",
                _ => "500 what",
            };
            let said = self.answer(stream, &line, usual).await?;
            if verb == "RCPT" && said.starts_with('2') {
                self.now.to.push(rest.to_owned());
            }
            if verb == "DATA" && said.starts_with('3') {
                self.take(stream).await?;
            }
            if verb == "QUIT" {
                return Ok(false);
            }
        }
    }

    fn offers(&self) -> String {
        let mut offers = String::from("250-mail.test\r\n250-SIZE 1000000\r\n");
        if self.ways.tls == Tls::Asked && !self.now.secure {
            offers += "250-STARTTLS\r\n";
        }
        if self.ways.login.is_some() && (self.now.secure || self.ways.tls == Tls::Never) {
            offers += &format!("250-AUTH {}\r\n", self.ways.mechanisms);
        }
        offers + "250 8BITMIME"
    }

    async fn login<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        rest: &str,
    ) -> io::Result<&'static str> {
        let decoded = |text: &str| String::from_utf8(STANDARD.decode(text.trim()).unwrap()).unwrap();
        let said = if let Some(plain) = rest.strip_prefix("PLAIN ") {
            decoded(plain)
        } else {
            assert_eq!(rest, "LOGIN");
            stream.write_all(b"334 VXNlcm5hbWU6\r\n").await?;
            let name = decoded(&line(stream).await?);
            stream.write_all(b"334 UGFzc3dvcmQ6\r\n").await?;
            format!("\0{name}\0{}", decoded(&line(stream).await?))
        };
        let (name, password) = self.ways.login.unwrap();
        if said != format!("\0{name}\0{password}") {
            return Ok("535 5.7.8 no, your password is known to be wrong");
        }
        self.now.login = Some(name.to_owned());
        Ok("235 welcome")
    }

    async fn take<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) -> io::Result<()> {
        let mut mail = String::new();
        loop {
            let line = line(stream).await?;
            if line == "." {
                break;
            }
            mail += line.strip_prefix('.').unwrap_or(&line);
            mail += "\r\n";
        }
        let said = self.answer(stream, "MESSAGE", "250 kept").await?;
        if said.starts_with('2') {
            self.given.lock().unwrap().push(Given { mail, ..self.now.clone() });
        }
        Ok(())
    }

    /// Answers as usual, or as it was told to answer what begins so; what it said.
    async fn answer<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        to: &str,
        usual: &str,
    ) -> io::Result<String> {
        if self.ways.silent_at.is_some_and(|at| to.starts_with(at)) {
            std::future::pending::<()>().await;
        }
        let told = self.ways.answers.iter().find(|(at, _)| to.starts_with(**at)).map(|(_, says)| *says);
        let said = told.unwrap_or(usual);
        stream.write_all(format!("{said}\r\n").as_bytes()).await?;
        Ok(said.to_owned())
    }
}

async fn line<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<String> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => return Ok(String::from_utf8(line).unwrap().trim_end_matches('\r').to_owned()),
            byte => line.push(byte),
        }
    }
}
