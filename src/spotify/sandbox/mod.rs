//! A simulated Spotify (accounts service and Web API) on loopback: for newcomers without a Spotify app, for tests,
//! load tests and demos. What it does and why is in `docs/sandbox.md`. Knows nothing of our own users, and never
//! listens beyond loopback.

mod accounts;
mod api;
mod control;
mod control_http;
mod control_playlists;
mod faults;
mod journal;
mod limits;
mod scopes;
mod server;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::accounts::Tokens;
pub use self::control::{AppView, Control, NewApp, NewSecret, PersonView, Uncontrollable};
pub use self::control_playlists::{PlaylistChange, PlaylistView};
pub use self::faults::{Fault, Injection};
pub use self::journal::{Entry, Filter};
pub use self::scopes::Scopes;
use self::world::World;
use self::world::app::{App, Secrets};
pub use self::world::app::{AppRules, Confirmation, Mode, RefreshMode};
pub use self::world::people::{Playing, Traits};
pub use self::world::player::Gadget;
use self::world::save::{self, Saver};
use crate::ambient::{Clock, Hand};
use crate::failure::{During as _, Failure};

/// The client id of the app that every sandbox has: public, any loopback redirect, development mode.
pub const CLIENT_ID: &str = "sandbox-client";

/// How to start a sandbox.
pub struct SandboxOptions {
    /// The port on 127.0.0.1; 0 takes any that is free.
    pub port: u16,
    /// How many plain people (`user0001` ...) to add to the friendly three.
    pub users: usize,
    /// Where to keep the state, so that tokens and playlists survive a restart; `None`: in memory only.
    pub state_file: Option<PathBuf>,
    /// A clock shared with others; `None`: the sandbox's own, which runs with the system's.
    pub clock: Option<(Clock, Hand)>,
    /// How many requests the journal remembers; 0: none.
    pub journal: usize,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self { port: 0, users: 0, state_file: None, clock: None, journal: 10_000 }
    }
}

/// A simulated Spotify, not yet running.
pub struct Sandbox;

impl Sandbox {
    /// Starts a sandbox on 127.0.0.1.
    ///
    /// # Errors
    /// The port is taken, or the state file is damaged (it is left as it is).
    pub async fn start(options: SandboxOptions) -> Result<RunningSandbox, Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let listener = TcpListener::bind(address).await.during("binding the sandbox's port")?;
        let addr = listener.local_addr().during("binding the sandbox's port")?;
        let origin = format!("http://{addr}");
        let clock = options.clock.unwrap_or_else(Clock::shifted_by_hand);
        let saver = Saver::new(options.state_file);
        let world = Arc::new(World::new(clock, origin.clone(), options.journal, saver));
        if !save::load(&world)? {
            populate(&world);
        }
        let control = Control(world.clone());
        control.create_users("user", options.users);
        let tasks =
            vec![tokio::spawn(Saver::run(world.clone())), tokio::spawn(server::run(listener, world.clone()))];
        world.saver.settled().await;
        Ok(RunningSandbox {
            addr,
            accounts_url: origin.clone(),
            api_url: format!("{origin}/v1"),
            control,
            tasks,
        })
    }
}

/// A sandbox that serves until it is dropped.
pub struct RunningSandbox {
    /// Where it listens.
    pub addr: SocketAddr,
    /// For `spotify.accounts_url`.
    pub accounts_url: String,
    /// For `spotify.api_url`.
    pub api_url: String,
    /// The control plane.
    pub control: Control,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for RunningSandbox {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn populate(world: &World) {
    let rules = AppRules {
        name: "Spotify MCP".to_owned(),
        any_loopback: true,
        developer: "sandbox-developer".to_owned(),
        ..AppRules::default()
    };
    world.add_app(App::new(CLIENT_ID, Secrets::default(), rules));
    for (id, traits, starters, liked) in world::people::friendly() {
        world.add_person(id, traits, &starters, &liked);
    }
}
