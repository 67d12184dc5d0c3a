//! A server with one caller, a pretend vault, and a Spotify that a script plays.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use spotify_mcp::ambient::{Clock, Dice, Timestamp};
use spotify_mcp::app::{AppStanding, CallLimits, Limits, Room};
use spotify_mcp::audit::Audit;
use spotify_mcp::domain::ids::{LinkPageId, RequestId};
use spotify_mcp::domain::linking::Alias;
use spotify_mcp::domain::placement::Further;
use spotify_mcp::domain::{AppId, ClientId, LinkId, ScopeSet, UserId};
use spotify_mcp::egress::{Gate, GatePolicy};
use spotify_mcp::failure::Failure;
use spotify_mcp::mcp::{
    AccountBook, Caller, Credential, HttpPolicy, McpDeps, NotServed, Server, Upstream, Work,
};
use spotify_mcp::policy::Offer;
use spotify_mcp::spotify::{AccessToken, Api, BaseUrl, QuotaMode};
use spotify_mcp::store::{Link, LinkPage, Usage, UsageFilter};
use spotify_mcp::vault::CallError;

use crate::fake::{Answer, Fake, Seen};

pub const HOST: &str = "music.example";
pub const VERSION: &str = "2026-07-28";

/// What the pretend vault does with a call.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    Works,
    Panics,
    Hangs,
    WantsReconnect,
}

pub struct Pretend {
    pub mood: Mutex<Mood>,
    /// The access token that calls for the first link are made with.
    pub token: Mutex<String>,
    pub links: Mutex<Vec<Link>>,
    /// A link whose calls never end.
    pub stuck: Mutex<Option<LinkId>>,
    /// Set when a call that hangs was given up.
    pub dropped: Arc<AtomicBool>,
    /// How many calls hang or hung.
    pub hung: AtomicU32,
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Upstream for Pretend {
    fn links<'a>(&'a self, _: &'a UserId) -> BoxFuture<'a, Result<Vec<Link>, Failure>> {
        Box::pin(async { Ok(self.links.lock().unwrap().clone()) })
    }

    fn call<'a>(&'a self, link: &'a LinkId, work: Work<'a>) -> BoxFuture<'a, Result<(), CallError>> {
        let is_stuck = self.stuck.lock().unwrap().as_ref() == Some(link);
        let mood = if is_stuck { Mood::Hangs } else { *self.mood.lock().unwrap() };
        let token = match self.links.lock().unwrap().first() {
            Some(first) if first.id == *link => self.token.lock().unwrap().clone(),
            _ => format!("BQ-{link}"),
        };
        Box::pin(async move {
            match mood {
                Mood::Works => work(AccessToken::parse(&token).unwrap()).await.map_err(CallError::Api),
                Mood::Panics => panic!("as this test wants"),
                Mood::Hangs => {
                    let _given_up = SetOnDrop(self.dropped.clone());
                    self.hung.fetch_add(1, Ordering::SeqCst);
                    std::future::pending().await
                }
                Mood::WantsReconnect => Err(CallError::ReconnectRequired("expired".to_owned())),
            }
        })
    }
}

impl AccountBook for Pretend {
    fn open_page<'a>(
        &'a self,
        caller: &'a Caller,
        alias: Option<&'a Alias>,
    ) -> BoxFuture<'a, Result<Option<LinkPage>, Failure>> {
        Box::pin(async move {
            Ok(Some(LinkPage {
                id: LinkPageId::mint([9; 16]),
                user: caller.user.clone(),
                alias: alias.map(|alias| alias.as_str().to_owned()),
                expires_at: Timestamp::from_secs(1_795_233_600),
            }))
        })
    }

    fn make_primary<'a>(&'a self, _: &'a Caller, link: &'a LinkId) -> BoxFuture<'a, Result<bool, Failure>> {
        let mut links = self.links.lock().unwrap();
        links.iter_mut().for_each(|known| known.primary = known.id == *link);
        links.sort_by_key(|known| !known.primary);
        Box::pin(async { Ok(true) })
    }

    fn unlink<'a>(&'a self, _: &'a Caller, link: &'a LinkId) -> BoxFuture<'a, Result<bool, Failure>> {
        self.links.lock().unwrap().retain(|known| known.id != *link);
        Box::pin(async { Ok(true) })
    }

    fn room<'a>(&'a self, _: &'a [Link]) -> BoxFuture<'a, Result<Room, Failure>> {
        Box::pin(async { Ok(Room { further: Further::Fits, each: 2, own: true }) })
    }

    fn standings<'a>(&'a self, links: &'a [Link]) -> BoxFuture<'a, Result<Vec<AppStanding>, Failure>> {
        let standing = AppStanding {
            name: Some("app 1".to_owned()),
            own: None,
            in_use: true,
            quota: Some(QuotaMode::Development),
            seats: Some((1, 5)),
            theirs: (1, Some(2)),
            rests_until: None,
            closed: Vec::new(),
            used: Vec::new(),
        };
        Box::pin(async move { Ok(vec![standing; links.len()]) })
    }

    fn usage<'a>(&'a self, _: &'a UsageFilter) -> BoxFuture<'a, Result<Vec<Usage>, Failure>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// Which Spotify is called, and how.
pub struct Spotify {
    pub api_url: String,
    pub mode: QuotaMode,
    pub token: String,
    pub timeout: Duration,
}

pub struct Rig {
    pub server: Server,
    pub upstream: Arc<Pretend>,
    pub fake: Fake,
    pub audit: Audit,
    pub folder: PathBuf,
    pub caller: Caller,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub fn error_code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {self:?}"))
    }

    pub fn result(&self) -> Value {
        let json = self.json();
        assert!(json.get("result").is_some(), "no result: {self:?}");
        json["result"].clone()
    }
}

fn link(now: Timestamp) -> Link {
    Link {
        id: LinkId::mint([7; 16]),
        user: UserId::mint([1; 16]),
        app: AppId::mint([2; 16]),
        own_app: None,
        identity: "account-id-1".to_owned(),
        spotify_user_id: "listener".to_owned(),
        display_name: "Lis\u{202e}tener".to_owned(),
        alias: "home".to_owned(),
        primary: true,
        opens: true,
        scope: ScopeSet::ALL.iter().flat_map(|scope| scope.spotify()).copied().collect::<Vec<_>>().join(" "),
        authorized_at: now.minus(Duration::from_secs(81 * 86_400)),
        reconnect: None,
        unlisted: None,
        token_version: 1,
    }
}

impl Rig {
    pub async fn new(script: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::with(
            CallLimits { per_minute: 600, concurrent: 32, ..CallLimits::default() },
            Duration::from_secs(5),
            script,
        )
        .await
    }

    /// Nobody asks Spotify anything.
    pub async fn quiet() -> Self {
        Self::new(|_, seen| panic!("Spotify was asked for {}", seen.target)).await
    }

    pub async fn with(
        limits: CallLimits,
        tool_deadline: Duration,
        script: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::made(limits, tool_deadline, script, Server::new).await
    }

    /// The server is made by `make`.
    pub async fn made(
        limits: CallLimits,
        tool_deadline: Duration,
        script: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static,
        make: impl FnOnce(McpDeps) -> Result<Server, Failure>,
    ) -> Self {
        let fake = Fake::start(script).await;
        let spotify = Spotify {
            api_url: format!("{}/v1", fake.origin),
            mode: QuotaMode::Development,
            token: "BQ-sentinel".to_owned(),
            timeout: Duration::from_millis(500),
        };
        Self::built(limits, tool_deadline, (fake, spotify), make)
    }

    /// With a Spotify that is played by something else.
    pub async fn beside(spotify: Spotify) -> Self {
        let limits = CallLimits { per_minute: 100_000, concurrent: 1_000, ..CallLimits::default() };
        let fake = Fake::start(|_, seen| panic!("the other Spotify was asked for {}", seen.target)).await;
        Self::built(limits, Duration::from_secs(25), (fake, spotify), Server::new)
    }

    fn built(
        limits: CallLimits,
        tool_deadline: Duration,
        (fake, spotify): (Fake, Spotify),
        make: impl FnOnce(McpDeps) -> Result<Server, Failure>,
    ) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let folder = std::env::temp_dir().join(format!("spotify-mcp-mcp-{}-{number}", std::process::id()));
        let clock = Clock::system();
        let allowed = GatePolicy::new().with_loopback().allow(&spotify.api_url).unwrap();
        let gate = Gate::new(allowed, clock.clone());
        let base = BaseUrl::parse(&spotify.api_url).unwrap();
        let api_timeout = spotify.timeout;
        let audit = Audit::open(crate::audit::settings(&folder), clock.clone(), Dice::system()).unwrap();
        let link = link(clock.now());
        let caller = Caller {
            user: link.user.clone(),
            link: Some(link.id.clone()),
            client: ClientId::parse("c_test").unwrap(),
            scopes: ScopeSet::ALL,
            grant: None,
            request_id: RequestId::mint([3; 16]),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let upstream = Arc::new(Pretend {
            mood: Mutex::new(Mood::Works),
            token: Mutex::new(spotify.token),
            links: Mutex::new(vec![link]),
            stuck: Mutex::default(),
            dropped: Arc::default(),
            hung: AtomicU32::new(0),
        });
        let server = make(McpDeps {
            api: Api::new(gate, clock.clone(), base, spotify.mode, api_timeout),
            upstream: upstream.clone(),
            book: upstream.clone(),
            audit: audit.clone(),
            limits: Limits::of_calls(limits, &clock),
            clock,
            api_timeout,
            tool_deadline,
            public_url: format!("https://{HOST}"),
            offer: Offer::default(),
            http: HttpPolicy {
                hosts: vec![HOST.to_owned()],
                origins: vec![format!("https://{HOST}"), "http://localhost:6274".to_owned()],
                body_bytes: 1024 * 1024,
                streams_per_user: Arc::new(20.into()),
                shutdown: tokio_util::sync::CancellationToken::new(),
            },
            sessions: None,
        })
        .unwrap();
        Self { server, upstream, fake, audit, folder, caller }
    }

    /// The caller has linked another account, which is called so and not the primary one.
    pub fn links_also(&self, alias: &str) -> LinkId {
        let mut links = self.upstream.links.lock().unwrap();
        let number = u8::try_from(links.len()).unwrap();
        let id = LinkId::mint([100 + number; 16]);
        let first = links[0].clone();
        links.push(Link {
            id: id.clone(),
            identity: format!("account-id-{}", number + 1),
            spotify_user_id: format!("listener-{alias}"),
            display_name: format!("Listener at {alias}"),
            alias: alias.to_owned(),
            primary: false,
            opens: false,
            ..first
        });
        id
    }

    pub fn mood(&self, mood: Mood) {
        *self.upstream.mood.lock().unwrap() = mood;
    }

    pub async fn send(&self, mut request: Request<Body>) -> Result<Reply, NotServed> {
        request.extensions_mut().insert(Arc::new(self.caller.clone()));
        let response = self.server.handle(request, standing(Ok(()))).await?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Ok(Reply { status: parts.status, headers: parts.headers, text })
    }

    /// A request of 2026-07-28.
    pub async fn modern(&self, method: &str, params: Value) -> Reply {
        self.send(modern(method, params)).await.unwrap()
    }

    /// A request of 2025-11-25.
    pub async fn legacy(&self, method: &str, params: Value) -> Reply {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut request = plain(&body.to_string());
        request.headers_mut().insert("mcp-protocol-version", "2025-11-25".parse().unwrap());
        self.send(request).await.unwrap()
    }

    /// A tool's result.
    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.modern("tools/call", json!({"name": tool, "arguments": arguments})).await.result()
    }

    /// The lines of the trail.
    pub async fn trail(&self) -> String {
        self.audit.close().await;
        let mut text = String::new();
        for entry in std::fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "ndjson") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
        text
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A POST with the headers that every era wants.
pub fn plain(body: &str) -> Request<Body> {
    Request::post("/mcp")
        .header("host", HOST)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

/// A request of 2026-07-28 with its headers and `_meta`.
pub fn modern(method: &str, mut params: Value) -> Request<Body> {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let mut request = plain(&body.to_string());
    let headers = request.headers_mut();
    headers.insert("mcp-protocol-version", VERSION.parse().unwrap());
    headers.insert("mcp-method", method.parse().unwrap());
    if let Some(name) = params["name"].as_str().or_else(|| params["uri"].as_str()) {
        headers.insert("mcp-name", name.parse().unwrap());
    }
    request
}

/// A credential that is looked at with this result, always.
pub fn standing(found: Result<(), NotServed>) -> Arc<dyn Credential> {
    Arc::new(Standing(found))
}

struct Standing(Result<(), NotServed>);

impl Credential for Standing {
    fn still_good(&self) -> BoxFuture<'_, Result<(), NotServed>> {
        Box::pin(std::future::ready(self.0))
    }

    fn news(&self) -> tokio::sync::watch::Receiver<u64> {
        tokio::sync::watch::channel(0).1
    }
}
