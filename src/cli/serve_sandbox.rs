//! `serve --sandbox`: the simulated Spotify beside the server, with state, database and keys of its own.

use crate::config::{AnchorsConfig, Config, Engine, QuotaMode, SpotifyApp};
use crate::crypto::SecretString;
use crate::failure::Failure;
use crate::spotify::sandbox::{CLIENT_ID, RunningSandbox, Sandbox, SandboxOptions};

use super::output::Refused;

/// Gives the sandbox a folder, a database, a trail and a master key of its own.
pub(super) fn set_apart(config: &mut Config) -> Result<(), Refused> {
    if !(config.server.host.is_loopback() && is_loopback(&config.server.public_url)) {
        return Err(Refused::usage(
            "SANDBOX_OFF_LOOPBACK",
            "the sandbox lets anyone in as a pretend user, so it listens on loopback only",
            "remove SERVER_HOST, --listen and PUBLIC_URL, or start without --sandbox",
        ));
    }
    config.storage.data_dir = config.storage.data_dir.join("sandbox");
    config.audit.dir = config.storage.data_dir.join("audit");
    config.audit.anchors = AnchorsConfig::default();
    if config.storage.engine == Engine::Sqlite {
        let file = config.storage.data_dir.join("spotify-mcp.sqlite");
        config.storage.url = SecretString::new(format!("sqlite://{}", file.display()));
    }
    Ok(())
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The simulator while the server runs.
pub(super) struct Sandboxed(RunningSandbox);

impl Sandboxed {
    /// Starts the simulator on the port after the server's, where it is free (people are known by its address), and
    /// points the configuration at it.
    pub(super) async fn start(config: &mut Config) -> Result<Self, Refused> {
        let state = config.storage.data_dir.join("spotify.json");
        let beside = |port| SandboxOptions {
            port,
            users: 0,
            state_file: Some(state.clone()),
            clock: None,
            journal: 1000,
        };
        let running = match Sandbox::start(beside(config.server.port.saturating_add(1))).await {
            Ok(running) => running,
            Err(_) => Sandbox::start(beside(0)).await.map_err(refused)?,
        };
        let url = |text: &str| url::Url::parse(text).map_err(|error| refused(error.into()));
        config.spotify.accounts_url = url(&running.accounts_url)?;
        config.spotify.api_url = url(&running.api_url)?;
        config.spotify.apps = vec![SpotifyApp {
            name: "app 1".to_owned(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: None,
            seats: Some(5),
            quota_mode: QuotaMode::Development,
            developer: None,
        }];
        Ok(Self(running))
    }

    /// Says loudly what this is.
    pub(super) fn banner(&self, issuer: &str) -> String {
        format!(
            "\n  ==============================  SANDBOX  ==============================\n\
             \x20  Nothing here is Spotify: accounts, music and playback are pretended,\n\
             \x20  by a simulator at {}.\n\
             \x20  Open {issuer}/ and log in as Ada, Ben or Chiara.\n\
             \x20 =======================================================================\n",
            self.0.accounts_url
        )
    }
}

fn refused(failure: Failure) -> Refused {
    Refused::unexpected(
        "SANDBOX",
        &failure,
        "free a port next to the server's, or remove the sandbox's damaged state file",
    )
}
