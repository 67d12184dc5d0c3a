//! Checkpoints outside this machine: appended to a file elsewhere, sent to a syslog server, posted to a URL. What one of
//! these was told it keeps, however the trail is changed here.
//!
//! Each is told every checkpoint in order; one that fails is told again later, and holds nobody else up. Never: a record,
//! or anything of a person: a checkpoint is a size, a hash and a signature.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Request;
use url::Url;

use super::checkpoints::{CHECKPOINTS, Signed};
use super::segment::private;
use crate::ambient::Timestamp;
use crate::crypto::SecretString;
use crate::domain::SyslogPlace;
use crate::egress::{Bytes, Gate, Limits, send_syslog};
use crate::failure::{During as _, Failure};

/// How long one telling may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most of an answer that is read, in bytes.
const ANSWER: usize = 16 << 10;
/// Syslog: facility 13 (log audit), severity 5 (notice) in RFC 5424 section 6.2.1.
const PRIORITY: u8 = 13 * 8 + 5;

/// A place outside that is told of checkpoints.
#[derive(Clone)]
pub enum Anchor {
    /// A file that is appended to, best on another machine's disk.
    File(PathBuf),
    /// A syslog server (RFC 5424).
    Syslog(SyslogPlace),
    /// A URL that takes a POST of JSON.
    Webhook(Box<Webhook>),
}

/// A URL that takes a POST of JSON.
#[derive(Clone)]
pub struct Webhook {
    /// The way out.
    pub gate: Gate,
    /// The URL.
    pub url: Url,
    /// A bearer token, where it wants one.
    pub token: Option<SecretString>,
}

impl Anchor {
    /// Its stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Syslog(_) => "syslog",
            Self::Webhook(_) => "webhook",
        }
    }

    /// Tells it of one checkpoint.
    ///
    /// # Errors
    /// Where it cannot be told: nothing, or only this one, arrived.
    pub async fn tell(&self, signed: &Signed, now: Timestamp) -> Result<(), Failure> {
        match self {
            Self::File(path) => {
                let (path, line) = (path.clone(), signed.line() + "\n");
                tokio::task::spawn_blocking(move || append(&path, &line)).await?
            }
            Self::Syslog(place) => {
                let sent = tokio::time::timeout(PATIENCE, send_syslog(place, &message(signed, now))).await;
                sent.map_err(|_| Failure::new("the syslog server takes too long"))?
                    .during("sending a checkpoint to the syslog server")
            }
            Self::Webhook(webhook) => post(webhook, signed).await,
        }
    }
}

fn append(path: &Path, line: &str) -> Result<(), Failure> {
    let mut file =
        private().create(true).append(true).open(path).during("opening the file of checkpoints elsewhere")?;
    file.write_all(line.as_bytes()).and_then(|()| file.sync_data()).during("writing a checkpoint elsewhere")
}

/// One message (RFC 5424 section 6): the checkpoint's line as its text.
fn message(signed: &Signed, now: Timestamp) -> String {
    format!(
        "<{PRIORITY}>1 {} - spotify-mcp {} audit-checkpoint - {}",
        now.rfc3339(),
        std::process::id(),
        signed.line()
    )
}

async fn post(Webhook { gate, url, token }: &Webhook, signed: &Signed) -> Result<(), Failure> {
    let mut request = Request::post(url.as_str()).header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {}", token.expose()));
    }
    let request = request.body(Bytes::from(signed.line())).during("writing a checkpoint's request")?;
    let answer = gate.send(request, Limits::within(PATIENCE, ANSWER)).await;
    let status = answer.map_err(|error| Failure::caused("posting a checkpoint", error))?.status();
    if status.is_success() {
        return Ok(());
    }
    Err(Failure::caused("posting a checkpoint", format!("the answer was {status}")))
}

/// The checkpoints of a trail after the first `size` records, the oldest first, at most `most`.
///
/// # Errors
/// Where the file cannot be read.
pub fn after(dir: &Path, size: u64, most: usize) -> Result<Vec<Signed>, Failure> {
    use std::io::{BufRead as _, BufReader};
    let file = private().read(true).open(dir.join(CHECKPOINTS)).during("reading the checkpoints")?;
    let mut found = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.during("reading the checkpoints")?;
        // A line that is being written is not there yet.
        let Ok(signed) = serde_json::from_str::<Signed>(&line) else { continue };
        if signed.size > size {
            found.push(signed);
        }
        if found.len() == most {
            break;
        }
    }
    Ok(found)
}
