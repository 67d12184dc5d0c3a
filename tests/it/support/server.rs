//! The real binary as a child process, on a database and a data directory of its own, with a simulated Spotify in
//! the test's own process so that clock, faults and journal are at hand.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, StatusCode};
use sha2::{Digest as _, Sha256};
use spotify_mcp::spotify::sandbox::{
    CLIENT_ID, Control, Fault, Filter, Injection, RunningSandbox, Sandbox, SandboxOptions,
};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::browser::Browser;
use super::client::RegisteredClient;
use super::database::Place;
use super::listener::Listener;

/// How long a start may take before the test gives up; a debug build on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to start a server.
pub struct Setup {
    place: Place,
    people: usize,
    environment: BTreeMap<String, String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self::on(Place::sqlite())
    }
}

impl Setup {
    /// On this database.
    pub fn on(place: Place) -> Self {
        let setup = Self { place, people: 0, environment: BTreeMap::new() };
        // Tests register as many clients and make as many mistakes as they like, all from one address.
        setup
            .env("SPOTIFY_MCP__LIMITS__REGISTRATIONS_PER_ADDRESS_PER_HOUR", "0")
            .env("SPOTIFY_MCP__LIMITS__UNUSED_CLIENTS_PER_ADDRESS_PER_DAY", "0")
            .env("SPOTIFY_MCP__LIMITS__CLIENT_DOCUMENTS_PER_ADDRESS_PER_MINUTE", "0")
            .env("SPOTIFY_MCP__LIMITS__FAILED_ATTEMPTS_PER_ADDRESS_PER_MINUTE", "0")
            .env("SPOTIFY_MCP__LIMITS__LOGINS_PER_ADDRESS_PER_MINUTE", "0")
    }

    /// With so many people `user0001` ... beside the friendly three, and a seat for each.
    pub fn people(mut self, people: usize) -> Self {
        self.people = people;
        self.env("SPOTIFY_MCP__SPOTIFY__SEATS", "0")
    }

    /// With this in its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts and waits until it is ready.
    pub async fn start(self) -> TestServer {
        let mut server = self.prepare().await;
        server.start().await;
        server
    }

    /// Everything but the start.
    pub async fn prepare(self) -> TestServer {
        let options = SandboxOptions { users: self.people, journal: 200_000, ..SandboxOptions::default() };
        let sandbox = Sandbox::start(options).await.unwrap();
        let data = folder();
        let port = free_port();
        let mut environment = BTreeMap::from([
            ("DATA_DIR".to_owned(), data.join("data").display().to_string()),
            ("DATABASE_URL".to_owned(), self.place.url.clone()),
            ("LOG_LEVEL".to_owned(), "trace".to_owned()),
            ("SERVER_PORT".to_owned(), port.to_string()),
            ("SPOTIFY_ACCOUNTS_URL".to_owned(), sandbox.accounts_url.clone()),
            ("SPOTIFY_API_URL".to_owned(), sandbox.api_url.clone()),
            ("SPOTIFY_CLIENT_ID".to_owned(), CLIENT_ID.to_owned()),
            ("SPOTIFY_MCP_MASTER_KEY".to_owned(), master_key("the tests' own")),
            ("SPOTIFY_POLICY_ACKNOWLEDGED".to_owned(), "true".to_owned()),
        ]);
        environment.extend(self.environment);
        let http = plain_http();
        let origin = format!("http://127.0.0.1:{port}");
        TestServer { sandbox, origin, place: self.place, data, environment, child: None, http }
    }
}

/// A master key as configurations write it; patterns and words are refused as such.
pub fn master_key(name: &str) -> String {
    STANDARD.encode(Sha256::digest(name))
}

/// A client that follows nothing and remembers nothing.
pub fn plain_http() -> Client {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

/// A server under test; ended, and everything of it removed, on drop.
pub struct TestServer {
    /// The simulated Spotify.
    pub sandbox: RunningSandbox,
    /// Where it is served, also its issuer.
    pub origin: String,
    /// Its database.
    pub place: Place,
    /// A folder with its data directory and its log.
    pub data: PathBuf,
    /// What its environment says.
    pub environment: BTreeMap<String, String>,
    /// For callers that are nobody.
    pub http: Client,
    child: Option<Child>,
}

impl TestServer {
    /// A server with the defaults, on SQLite.
    pub async fn new() -> Self {
        Setup::default().start().await
    }

    /// The hand on the simulated Spotify.
    pub fn control(&self) -> &Control {
        &self.sandbox.control
    }

    /// The command that serves, not yet running; what it prints goes to its log.
    pub fn command(&self) -> Command {
        let mut command = binary();
        command.arg("serve").envs(&self.environment);
        command.stdin(Stdio::null()).stdout(self.log()).stderr(self.log()).kill_on_drop(true);
        command
    }

    /// Starts, or starts again on the same data, and waits until it is ready.
    pub async fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let mut child = self.command().spawn().unwrap();
        let until = Instant::now() + PATIENCE;
        while self.ready().await != Some(StatusCode::OK) {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", self.logged());
            }
            assert!(Instant::now() < until, "not ready in time:\n{}", self.logged());
            sleep(Duration::from_millis(5)).await;
        }
        self.child = Some(child);
    }

    /// What `/readyz` says; `None`: nothing answers.
    pub async fn ready(&self) -> Option<StatusCode> {
        let asked = self.http.get(format!("{}/readyz", self.origin)).send().await;
        asked.ok().map(|reply| reply.status())
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).unwrap()
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
    }

    /// SIGTERM, without waiting.
    pub fn ask_to_stop(&self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for the end of the process.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        timeout(PATIENCE, child.wait()).await.expect("it does not end").unwrap()
    }

    /// SIGTERM, and its exit status.
    pub async fn stop(&mut self) -> ExitStatus {
        self.ask_to_stop();
        self.ended().await
    }

    /// A browser that was never here.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.origin, &self.sandbox.accounts_url)
    }

    /// A client that has just registered.
    pub async fn client(&self) -> RegisteredClient {
        RegisteredClient::register(&self.origin, "http://127.0.0.1:1/callback").await
    }

    /// A person who has connected a client of their own in a browser of their own.
    pub async fn listener(&self, person: &str) -> Listener {
        let (browser, client) = (self.browser(), self.client().await);
        Listener::connect(person, browser, client).await
    }

    /// Makes the simulated Spotify misbehave, so many times.
    pub fn inject(&self, route: &str, times: u32, fault: Fault) {
        let injection = Injection { route: route.to_owned(), skip: 0, times, fault };
        assert!(self.control().inject(injection));
    }

    /// How often Spotify was asked for this path, with this status.
    pub fn asked(&self, path: &str, status: u16) -> usize {
        let filter = Filter { path: Some(path.to_owned()), limit: Some(usize::MAX), ..Filter::default() };
        self.control().journal(&filter).iter().filter(|entry| entry.status == Some(status)).count()
    }

    /// Everything it printed and logged so far.
    pub fn logged(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// Waits until it has said so: what it prints and logs is written beside what it answers.
    pub async fn says(&self, words: &str) {
        let said = async {
            while !self.logged().contains(words) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(timeout(PATIENCE, said).await.is_ok(), "it never said {words:?}:\n{}", self.logged());
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        Path::new(&self.environment["DATA_DIR"])
    }

    fn log_path(&self) -> PathBuf {
        self.data.join("server.log")
    }

    fn log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.logged();
            let tail = log.char_indices().rev().nth(6000).map_or(0, |(at, _)| at);
            eprintln!("--- the server's log ends with\n{}", &log[tail..]);
        }
        if let Some(mut child) = self.child.take() {
            // Dropping only asks; the data may go when the process has.
            let _ = child.start_kill();
            while matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// The binary with nothing of this process's environment that it could mistake for its own.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spotify-mcp"));
    command.env_clear();
    for kept in ["PATH", "HOME", "TMPDIR", "LLVM_PROFILE_FILE"] {
        command.envs(std::env::var_os(kept).map(|value| (kept, value)));
    }
    command
}

/// A folder of this test's own.
pub fn folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("spotify-mcp-e2e-{}-{number}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    folder
}

/// A port below the range from which the system serves outgoing connections, so that nothing takes it meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id() * 64;
    loop {
        let offset = (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let port = u16::try_from(20_000 + offset).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
