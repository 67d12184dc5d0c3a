//! The server apart: this program as a child process, a simulated Spotify in this one, everything of both in a folder that
//! goes with them. Never: a value of the judged configuration but its limits and lifetimes, or its environment.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::visitor::Wire;
use crate::ambient::Dice;
use crate::check::temporary::Folder;
use crate::check::{Request, Seen, Unseen};
use crate::config::{Config, master_key};
use crate::reading::io_cause;
use crate::spotify::sandbox::{CLIENT_ID, RunningSandbox, Sandbox, SandboxOptions};

/// A start takes a fraction of a second.
const START: Duration = Duration::from_secs(20);
/// More sessions of a person are not opened, whatever the configuration allows.
const MOST_SESSIONS: u32 = 5;
/// Fewer wrong tokens or clients than these would stop what is tried before; more are not sent.
const FLOOD: (u32, u32) = (60, 120);

/// Larger requests are not sent, whatever the configuration allows.
const LARGEST: u64 = 1 << 20;
/// A second life begins so long after everything of the first is over.
const AFTERWARDS: u64 = 120;

/// The server apart, ended and removed on drop; where this process is killed, it ends itself with its standard input.
pub(super) struct Apart {
    /// Where it is served, also its issuer.
    pub origin: String,
    /// How it is asked.
    pub wire: Wire,
    /// Its simulated Spotify.
    pub spotify: RunningSandbox,
    /// Chance, for verifiers and names.
    pub dice: Dice,
    /// What the judged configuration limits, as far as it is tried.
    pub limits: Limits,
    /// Its master key, which must be nowhere.
    pub key: String,
    port: u16,
    child: Child,
    // Goes after the child that writes in it.
    folder: Folder,
}

/// Limits and lifetimes of the judged configuration, no larger than what is tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Browser sessions of a person; 0: no limit.
    pub sessions: u32,
    /// Wrong tokens from an address in a minute; 0: no limit.
    pub failed: u32,
    /// Registrations from an address in an hour; 0: no limit.
    pub registrations: u32,
    /// An access token's life in seconds.
    pub access_token: u64,
    /// The largest request to the protocol, in bytes; 0: no limit.
    pub call_bytes: u64,
    /// The largest other request; 0: no limit.
    pub other_bytes: u64,
}

impl Limits {
    fn of(config: &Config) -> Self {
        let flood = |limit: u32| if limit == 0 { 0 } else { limit.clamp(FLOOD.0, FLOOD.1) };
        Self {
            sessions: config.security.max_sessions_per_user.min(MOST_SESSIONS),
            failed: flood(config.limits.failed_attempts_per_address_per_minute),
            registrations: flood(config.limits.registrations_per_address_per_hour),
            access_token: config.auth.lifetimes.access_token.as_secs(),
            call_bytes: config.limits.mcp_body_bytes.min(LARGEST),
            other_bytes: config.limits.body_bytes.min(LARGEST),
        }
    }
}

impl Apart {
    /// Starts it and waits until it is ready. Another program may take the port meanwhile: then on another one.
    pub async fn start(request: &Request) -> Seen<Self> {
        let mut started = Self::start_once(request).await;
        for _ in 0..2 {
            if started.is_ok() {
                break;
            }
            started = Self::start_once(request).await;
        }
        started
    }

    async fn start_once(request: &Request) -> Seen<Self> {
        let folder = Folder::fresh(&request.dice)?;
        let spotify = Sandbox::start(SandboxOptions::default())
            .await
            .map_err(|failure| Unseen::because(format!("no simulated Spotify: {failure}")))?;
        let port = free_port()?;
        let key = master_key::generate(&request.dice).expose().to_owned();
        let limits = Limits::of(request.loaded.as_far_as_valid());
        let child = spawn(&folder.0, (port, &key, 0), &spotify, limits).map_err(unstarted)?;
        let (origin, wire) = (format!("http://127.0.0.1:{port}"), Wire::new());
        let mut apart =
            Self { origin, wire, spotify, dice: request.dice.clone(), limits, key, port, child, folder };
        apart.wait_until_ready().await?;
        Ok(apart)
    }

    /// Ends it, and starts it again over the same data when every access token of its first life is past its time.
    pub async fn start_later(&mut self) -> Seen<()> {
        self.stop().await;
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        let ahead = self.limits.access_token.saturating_add(AFTERWARDS);
        let life = (self.port, self.key.as_str(), ahead);
        self.child = spawn(&self.folder.0, life, &self.spotify, self.limits).map_err(unstarted)?;
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&mut self) -> Seen<()> {
        let until = Instant::now() + START;
        loop {
            let ready = self.wire.get(&format!("{}/readyz", self.origin), &[]).await;
            if ready.is_ok_and(|reply| reply.status == 200) {
                return Ok(());
            }
            if !matches!(self.child.try_wait(), Ok(None)) {
                return Err(Unseen::because("this program, started apart, ended at once"));
            }
            if Instant::now() > until {
                return Err(Unseen::because("this program, started apart, was not ready in time"));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.0.join("data")
    }

    /// Where its alerts go; `None`: this machine has no program that would write them down.
    pub fn alerts(&self) -> Option<PathBuf> {
        teller().map(|_| self.folder.0.join("alerts"))
    }

    /// What it wrote to its log so far.
    pub fn log(&self) -> Vec<u8> {
        std::fs::read(self.folder.0.join("log")).unwrap_or_default()
    }

    /// Ends it gently, so that all it has to write is written; on drop it is killed.
    pub async fn stop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let asked = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
        let until = Instant::now() + Duration::from_secs(5);
        while matches!(asked, Some(Ok(())))
            && matches!(self.child.try_wait(), Ok(None))
            && Instant::now() < until
        {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn free_port() -> Seen<u16> {
    let none = |error: std::io::Error| Unseen::because(format!("no port on loopback: {}", io_cause(&error)));
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(none)?;
    Ok(listener.local_addr().map_err(none)?.port())
}

/// A program that writes what it is told to a file.
fn teller() -> Option<&'static str> {
    ["/usr/bin/tee", "/bin/tee"].into_iter().find(|path| Path::new(path).exists())
}

fn unstarted(error: std::io::Error) -> Unseen {
    Unseen::because(format!("this program cannot be started apart: {}", io_cause(&error)))
}

/// Starts it on a port, with a master key, as if it were so many seconds later.
fn spawn(
    folder: &Path,
    (port, key, ahead): (u16, &str, u64),
    spotify: &RunningSandbox,
    limits: Limits,
) -> std::io::Result<Child> {
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    let said = [
        ("DATA_DIR", folder.join("data").display().to_string()),
        ("SERVER_PORT", port.to_string()),
        ("DEPLOYMENT_ENVIRONMENT", "development".to_owned()),
        ("SPOTIFY_CLIENT_ID", CLIENT_ID.to_owned()),
        ("SPOTIFY_ACCOUNTS_URL", spotify.accounts_url.clone()),
        ("SPOTIFY_API_URL", spotify.api_url.clone()),
        ("SPOTIFY_POLICY_ACKNOWLEDGED", "true".to_owned()),
        ("SPOTIFY_MCP_MASTER_KEY", key.to_owned()),
        ("LOG_LEVEL", "debug".to_owned()),
        ("SPOTIFY_MCP__TELEMETRY__LOG_FORMAT", "json".to_owned()),
        ("SPOTIFY_MCP__AUDIT__CHECKPOINT_SECONDS", "1".to_owned()),
        ("SECURITY_MAX_SESSIONS_PER_USER", limits.sessions.to_string()),
        ("SPOTIFY_MCP__AUTH__LIFETIMES__ACCESS_TOKEN", format!("{}s", limits.access_token)),
        ("SPOTIFY_MCP__LIMITS__FAILED_ATTEMPTS_PER_ADDRESS_PER_MINUTE", limits.failed.to_string()),
        ("SPOTIFY_MCP__LIMITS__MCP_BODY_BYTES", limits.call_bytes.to_string()),
        ("SPOTIFY_MCP__LIMITS__BODY_BYTES", limits.other_bytes.to_string()),
        ("SPOTIFY_MCP__LIMITS__REGISTRATIONS_PER_ADDRESS_PER_HOUR", limits.registrations.to_string()),
        ("SPOTIFY_MCP__LIMITS__UNUSED_CLIENTS_PER_ADDRESS_PER_DAY", "0".to_owned()),
        ("SPOTIFY_MCP__LIMITS__LOGINS_PER_ADDRESS_PER_MINUTE", "0".to_owned()),
    ];
    let told = |tee: &str| serde_json::json!([tee, "-a", folder.join("alerts")]).to_string();
    let alerts = teller().map(|tee| ("SPOTIFY_MCP__ALERTS__COMMAND", told(tee)));
    Command::new(std::env::current_exe()?)
        .args(["serve", "--while-stdin", "--clock-ahead", &ahead.to_string()])
        .env_clear()
        .envs(said)
        .envs(alerts)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}
