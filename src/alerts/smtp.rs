//! The conversation with a mail server (RFC 5321, 3207, 4954) over a connection that a gate opened.
//!
//! Never: going on without TLS where it was asked for, taking what came before TLS for what came through it, or the
//! server's words beyond its codes.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{timeout, timeout_at};

use crate::crypto::SecretString;
use crate::egress::{EgressError, Opened};

use super::Undelivered;

/// For the farewell, after everything is done.
const FAREWELL: Duration = Duration::from_secs(2);

/// Longest line of an answer before TLS.
const LINE: usize = 1_000;

/// What stands for the greeting after STARTTLS, where a server says none: it was greeted before.
const GREETED: &[u8] = b"220 TLS\r\n";

/// Why a conversation came to no good end.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The connection failed.
    Way(EgressError),
    /// The server said no.
    Answered(Undelivered),
}

/// What is handed over beside the mail itself.
pub(super) struct Envelope<'a> {
    pub(super) hello: &'a ClientId,
    pub(super) login: Option<&'a (String, SecretString)>,
    pub(super) from: &'a Address,
    pub(super) to: &'a [Address],
    /// Whether the server has greeted already, before TLS.
    pub(super) greeted: bool,
}

impl Stopped {
    pub(super) fn undelivered(self) -> Undelivered {
        match self {
            Self::Way(error) => error.into(),
            Self::Answered(why) => why,
        }
    }
}

/// Has the server expect TLS next (RFC 3207). Reads to the end of its answer and not a byte further: what somebody
/// slips in behind it goes to the handshake, which it fails.
pub(super) async fn ask_for_tls(opened: &mut Opened, hello: &ClientId) -> Result<(), Stopped> {
    let deadline = opened.deadline();
    let asked = async {
        answer(opened, "220").await?;
        opened.write_all(format!("EHLO {hello}\r\n").as_bytes()).await.map_err(|error| broken(&error))?;
        let offers = answer(opened, "250").await?;
        if !offers.iter().any(|offer| offer.eq_ignore_ascii_case("STARTTLS")) {
            let why = "the mail server offers no STARTTLS, and nothing is told without it";
            return Err(Undelivered::new("tls_not_offered", why).into());
        }
        opened.write_all(b"STARTTLS\r\n").await.map_err(|error| broken(&error))?;
        answer(opened, "220").await.map(drop)
    };
    timeout_at(deadline, asked).await.unwrap_or(Err(Stopped::Way(EgressError::Timeout)))
}

/// One answer before TLS; its lines without their code.
async fn answer(opened: &mut Opened, wanted: &str) -> Result<Vec<String>, Stopped> {
    let mut lines = Vec::new();
    loop {
        let line = line(opened).await?;
        let (code, rest) = line.split_at_checked(3).ok_or(Stopped::Way(EgressError::Broken))?;
        if code != wanted {
            let known = code.bytes().all(|byte| byte.is_ascii_digit());
            return Err(if known {
                refused("server_refused", code)
            } else {
                Stopped::Way(EgressError::Broken)
            });
        }
        lines.push(rest.get(1..).unwrap_or_default().trim_end().to_owned());
        if !rest.starts_with('-') {
            return Ok(lines);
        }
    }
}

async fn line(opened: &mut Opened) -> Result<String, Stopped> {
    let mut line = Vec::new();
    loop {
        match opened.read_u8().await.map_err(|error| broken(&error))? {
            b'\n' => return String::from_utf8(line).map_err(|_| Stopped::Way(EgressError::Broken)),
            _ if line.len() >= LINE => return Err(Stopped::Way(EgressError::TooLarge { limit: LINE })),
            byte => line.push(byte),
        }
    }
}

/// Hands a mail over, and says how many of its recipients were refused, where not all of them were.
pub(super) async fn hand_over(
    opened: Opened,
    envelope: &Envelope<'_>,
    mail: &[u8],
) -> Result<usize, Stopped> {
    let deadline = opened.deadline();
    let handed = async {
        let greeting = if envelope.greeted { GREETED } else { b"" };
        let line: Box<dyn AsyncTokioStream> = Box::new(Line { greeting, opened });
        let connected = AsyncSmtpConnection::connect_with_transport(line, envelope.hello).await;
        let mut server = connected.map_err(|error| stopped("server_refused", &error))?;
        let refused = talk(&mut server, envelope, mail).await;
        Ok((server, refused?))
    };
    let ended = timeout_at(deadline, handed).await.unwrap_or(Err(Stopped::Way(EgressError::Timeout)));
    let (mut server, refused) = ended?;
    // It has the mail: whatever it says to a farewell changes nothing.
    let _ = timeout(FAREWELL, server.quit()).await;
    Ok(refused)
}

async fn talk(
    server: &mut AsyncSmtpConnection,
    envelope: &Envelope<'_>,
    mail: &[u8],
) -> Result<usize, Stopped> {
    let at = |code: &'static str| move |error: Error| stopped(code, &error);
    if let Some((name, password)) = envelope.login {
        let credentials = Credentials::new(name.clone(), password.expose().to_owned());
        let login = server.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
        login.map_err(at("login_refused"))?;
    }
    let from = Mail::new(Some(envelope.from.clone()), Vec::new());
    server.command(from).await.map_err(at("sender_refused"))?;
    let mut refusals = Vec::new();
    for address in envelope.to {
        match server.command(Rcpt::new(address.clone(), Vec::new())).await {
            Ok(_) => {}
            Err(error) if error.status().is_some() => refusals.push(stopped("recipient_refused", &error)),
            Err(error) => return Err(stopped("recipient_refused", &error)),
        }
    }
    let refused = refusals.len();
    if let Some(first) = refusals.into_iter().next().filter(|_| refused == envelope.to.len()) {
        return Err(first);
    }
    server.command(Data).await.map_err(at("message_refused"))?;
    server.message(mail).await.map_err(at("message_refused"))?;
    Ok(refused)
}

/// What a failed step means: the server's code, or that the connection is no good.
fn stopped(step: &'static str, error: &Error) -> Stopped {
    match error.status() {
        Some(code) => refused(step, &code.to_string()),
        None if error.is_client() && step == "login_refused" => {
            let why = "the mail server offers no way to log in that is known here (PLAIN, LOGIN)";
            Stopped::Answered(Undelivered::new("login_not_offered", why))
        }
        None => broken(error),
    }
}

fn refused(step: &'static str, code: &str) -> Stopped {
    let what = match step {
        "login_refused" => "the name and password",
        "sender_refused" => "the sender",
        "recipient_refused" => "the recipients",
        "message_refused" => "the mail",
        _ => "the conversation",
    };
    Stopped::Answered(Undelivered::new(step, format!("the mail server refused {what} with code {code}")))
}

fn broken(error: &(dyn std::error::Error + 'static)) -> Stopped {
    Stopped::Way(EgressError::of_connection(error))
}

/// What the client library talks through.
#[derive(Debug)]
struct Line {
    /// What is read first.
    greeting: &'static [u8],
    opened: Opened,
}

impl AsyncTokioStream for Line {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.opened.address())
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.opened).poll_read(cx, buffer);
        }
        let (now, later) = self.greeting.split_at(self.greeting.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.greeting = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.opened).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.opened).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.opened).poll_shutdown(cx)
    }
}
