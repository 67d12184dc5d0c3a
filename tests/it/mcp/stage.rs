//! The server before the simulated Spotify, with one of its pretend people: real MCP calls in front, real HTTP behind,
//! the hand on people, apps and faults beside.

use std::time::Duration;

use serde_json::{Value, json};
use spotify_mcp::spotify::QuotaMode;
use spotify_mcp::spotify::sandbox::{
    CLIENT_ID, Control, Fault, Filter, Injection, PlaylistChange, RunningSandbox, Sandbox, SandboxOptions,
    Scopes,
};

use super::rig::{Rig, Spotify};

/// What our people grant: all of the server's scopes.
pub const GRANTED: &str = "playlist-read-private playlist-read-collaborative user-library-read \
    user-read-playback-state user-read-currently-playing user-read-recently-played user-top-read user-follow-read \
    playlist-modify-public playlist-modify-private user-library-modify user-follow-modify ugc-image-upload \
    user-modify-playback-state";

pub const MODES: [QuotaMode; 3] = [QuotaMode::Development, QuotaMode::DevelopmentLegacy, QuotaMode::Extended];

pub struct Stage {
    pub rig: Rig,
    pub sandbox: RunningSandbox,
    person: String,
}

impl Stage {
    /// Ada, in development mode.
    pub async fn new() -> Self {
        Self::of("ada", QuotaMode::Development).await
    }

    pub async fn of(person: &str, mode: QuotaMode) -> Self {
        Self::with((person, mode), Duration::from_secs(5)).await
    }

    /// Where one request to Spotify may take so long.
    pub async fn with((person, mode): (&str, QuotaMode), timeout: Duration) -> Self {
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        sandbox.control.change_app(CLIENT_ID, &json!({ "mode": mode.name() })).unwrap();
        let token = sandbox.control.grant(CLIENT_ID, person, GRANTED).unwrap().access_token;
        let spotify = Spotify { api_url: sandbox.api_url.clone(), mode, token, timeout };
        let rig = Rig::beside(spotify).await;
        rig.upstream.links.lock().unwrap()[0].spotify_user_id = person.to_owned();
        Self { rig, sandbox, person: person.to_owned() }
    }

    pub fn control(&self) -> &Control {
        &self.sandbox.control
    }

    /// The person is like this from now on.
    pub fn change(&self, traits: &Value) {
        self.control().change_user(&self.person, traits).unwrap();
    }

    /// The app is like this from now on.
    pub fn change_app(&self, rules: &Value) {
        self.control().change_app(CLIENT_ID, rules).unwrap();
    }

    /// Calls are made with a grant of these scopes from now on.
    pub fn grant(&self, scopes: &str) {
        let scopes = Scopes::parse(scopes).unwrap().to_string();
        let tokens = self.control().grant(CLIENT_ID, &self.person, &scopes).unwrap();
        *self.rig.upstream.token.lock().unwrap() = tokens.access_token;
        self.rig.upstream.links.lock().unwrap()[0].scope = scopes;
    }

    pub fn inject(&self, route: &str, times: u32, fault: Fault) {
        assert!(self.control().inject(Injection { route: route.to_owned(), skip: 0, times, fault }));
    }

    /// Lets some requests pass first.
    pub fn inject_after(&self, skip: u32, route: &str, fault: Fault) {
        assert!(self.control().inject(Injection { route: route.to_owned(), skip, times: 1, fault }));
    }

    /// The structured content of a call that worked, at least in part.
    pub async fn ask(&self, tool: &str, arguments: Value) -> Value {
        let result = self.rig.call(tool, arguments).await;
        assert_eq!(result["isError"], false, "{tool}: {result}");
        result["structuredContent"].clone()
    }

    /// The code of a call that did not.
    pub async fn refused(&self, tool: &str, arguments: Value) -> String {
        let result = self.rig.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{tool}: {result}");
        result["structuredContent"]["error"]["code"].as_str().unwrap().to_owned()
    }

    /// How often Spotify was asked so.
    pub fn asked(&self, method: &str, path: &str) -> usize {
        let filter = Filter {
            method: Some(method.to_owned()),
            path: Some(path.to_owned()),
            limit: Some(usize::MAX),
            ..Filter::default()
        };
        self.control().journal(&filter).len()
    }

    /// The first ids of the person's own playlists.
    pub async fn playlist(&self, at: usize) -> String {
        let lists = self.ask("get_user_playlists", json!({"owned_only": false})).await;
        lists["playlists"][at]["id"].as_str().unwrap().to_owned()
    }

    /// A new playlist of somebody else's that everybody may see.
    pub fn foreign_playlist(&self) -> String {
        let public = PlaylistChange { public: Some(true), ..PlaylistChange::default() };
        self.control().create_playlist("ben", public).unwrap()
    }

    /// The URI of the first track that is called so.
    pub async fn track(&self, title: &str) -> String {
        let found = self.ask("search_tracks", json!({"query": title, "limit": 1})).await;
        found["tracks"][0]["uri"].as_str().unwrap().to_owned()
    }
}

/// An answer of this status instead of the real one.
pub fn status(status: u16, body: &str) -> Fault {
    Fault::Status { status, body: body.to_owned(), headers: std::collections::BTreeMap::new() }
}

/// The same with a wait.
pub fn wait(status: u16, body: &str, seconds: &str) -> Fault {
    let headers = [("retry-after".to_owned(), seconds.to_owned())].into();
    Fault::Status { status, body: body.to_owned(), headers }
}
