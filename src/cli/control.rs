//! How a command reaches the server of its data directory: `<data_dir>/control.sock`, a Unix socket for the server's own
//! user and root. One question, one line of JSON; one answer, one line of JSON.
//!
//! Never: a secret in either direction, or a question from another user.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::failure::{During as _, Failure};

/// No question is longer, in bytes.
const LONGEST_QUESTION: u64 = 4_096;
/// No answer is longer: every problem of a configuration fits.
const LONGEST_ANSWER: u64 = 4 << 20;
/// How long a command has to ask, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a command waits: the server may have to run the command that prints its key.
const ANSWERED_WITHIN: Duration = Duration::from_secs(90);

/// What a command may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Check and take over the changed configuration.
    Reload,
    /// Take the master key over, where its source has the one in use; nothing else.
    TakeKey,
    /// Which configuration and key are in use.
    Status,
    /// What Spotify says to the apps in use.
    Spotify,
}

impl Question {
    const fn name(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::TakeKey => "take-key",
            Self::Status => "status",
            Self::Spotify => "spotify",
        }
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let asked: Value = serde_json::from_slice(line).ok()?;
        let known = [Self::Reload, Self::TakeKey, Self::Status, Self::Spotify];
        known.into_iter().find(|question| asked == json!({ "ask": question.name() }))
    }
}

/// Where the socket of a data directory is.
fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// The server's end; the socket goes when it is dropped.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

/// A question that waits for its answer.
pub struct Asked {
    /// What is asked.
    pub question: Question,
    stream: UnixStream,
}

impl Control {
    /// Listens. Only the process that writes the trail may: a socket that is there was left behind by a dead one.
    ///
    /// # Errors
    /// Where the path is too long for a socket, or the folder refuses one.
    pub fn listen(data_dir: &Path) -> Result<Self, Failure> {
        let path = path(data_dir);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::caused("removing a stale control.sock", error));
            }
            _ => {}
        }
        let listener = UnixListener::bind(&path).during("listening on control.sock")?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .during("closing control.sock")?;
        Ok(Self { listener, path })
    }

    /// The next question of somebody who may ask. One asks at a time, and has five seconds.
    pub async fn asked(&self) -> Asked {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if let Ok(Some(asked)) = tokio::time::timeout(PATIENCE, listen_to(stream)).await {
                return asked;
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.path);
    }
}

/// The mode of the socket keeps others out; who the kernel says is there is asked all the same.
async fn listen_to(stream: UnixStream) -> Option<Asked> {
    let asker = stream.peer_cred().ok()?.uid();
    if asker != 0 && asker != rustix::process::geteuid().as_raw() {
        return None;
    }
    let mut reader = tokio::io::BufReader::new(stream);
    let mut line = Vec::new();
    (&mut reader).take(LONGEST_QUESTION).read_until(b'\n', &mut line).await.ok()?;
    let mut stream = reader.into_inner();
    match Question::parse(&line) {
        Some(question) => Some(Asked { question, stream }),
        None => {
            let _gone = stream.write_all(b"{\"ok\":false,\"code\":\"CONTROL_UNKNOWN\"}\n").await;
            None
        }
    }
}

impl Asked {
    /// Answers.
    pub async fn answer(mut self, answer: &Value) {
        let line = format!("{answer}\n");
        let write = async { self.stream.write_all(line.as_bytes()).await };
        // Who has gone away is told nothing.
        let _ = tokio::time::timeout(PATIENCE, write).await;
    }
}

/// Why a question has no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// No server runs on this data directory.
    NotRunning,
    /// Something does, and does not answer as a server.
    Failed(Failure),
}

/// Asks the server of a data directory and waits for its answer.
pub fn ask(data_dir: &Path, question: Question) -> Result<Value, NoAnswer> {
    let mut stream = match Blocking::connect(path(data_dir)) {
        Ok(stream) => stream,
        Err(error) if is_nobody(error.kind()) => return Err(NoAnswer::NotRunning),
        Err(error) => return Err(NoAnswer::Failed(Failure::caused("connecting to control.sock", error))),
    };
    let answer = || {
        stream.set_read_timeout(Some(ANSWERED_WITHIN))?;
        stream.write_all(format!("{}\n", json!({ "ask": question.name() })).as_bytes())?;
        let mut line = Vec::new();
        BufReader::new(stream).take(LONGEST_ANSWER).read_until(b'\n', &mut line)?;
        Ok::<_, std::io::Error>(line)
    };
    let line = answer().during("asking the server").map_err(NoAnswer::Failed)?;
    serde_json::from_slice(&line).during("reading the server's answer").map_err(NoAnswer::Failed)
}

const fn is_nobody(kind: std::io::ErrorKind) -> bool {
    matches!(kind, std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused)
}
