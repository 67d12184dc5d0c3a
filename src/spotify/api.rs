//! The Web API, thin and typed: one method per endpoint (in `catalog`, `library`, `player`, `playlists`), and here
//! what they share: sending, waiting out a short rate limit, reading.
//!
//! The token goes to the configured base alone. Redirects are errors, `next` is never followed, and a write is
//! never sent twice unless Spotify said that it did not act.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::base::Address;
use super::clock::SpotifyClock;
use super::error::ApiError;
use super::measured::{self, Service};
use super::memory::Memory;
use super::older::Learned;
use super::quota::{Bucket, Pace, QuotaGate, QuotaMode};
use super::token::Pressing;
use super::turns::Turns;
use super::writing::WritePace;
use super::{AccessToken, BaseUrl, permissions, reply};
use crate::ambient::Clock;
use crate::domain::change::Moment;
use crate::egress::{Bytes, EgressError, Gate, Limits};

/// Longest `Retry-After` that is waited out within a call (spotify.md 1.6).
pub(super) const SHORT_WAIT: Duration = Duration::from_secs(5);
/// Most bytes of an answer; a page of 50 items is 150 to 300 KB.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// What we call ourselves.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("spotify-mcp/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The one kind of content that is not JSON: covers.
const JPEG: HeaderValue = HeaderValue::from_static("image/jpeg");

/// The Web API at one base address, for any number of people. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    gate: Gate,
    pub(super) clock: Clock,
    pub(super) base: BaseUrl,
    mode: Arc<RwLock<QuotaMode>>,
    /// What was learned of apps by trying.
    pub(super) learned: Arc<Learned>,
    pub(super) quotas: QuotaGate,
    pub(super) memory: Option<Arc<Memory>>,
    pub(super) pace: Option<Arc<Pace>>,
    turns: Arc<Turns>,
    writing: Arc<WritePace>,
    spotify_clock: Arc<SpotifyClock>,
    timeout: Duration,
}

/// What is asked: built by the endpoint methods.
pub(super) struct Call {
    method: Method,
    address: Address,
    body: Bytes,
}

impl Call {
    pub(super) fn get(address: Address) -> Self {
        Self { method: Method::GET, address, body: Bytes::new() }
    }

    pub(super) fn post(address: Address, body: &serde_json::Value) -> Self {
        Self { method: Method::POST, address, body: body.to_string().into() }
    }

    pub(super) fn put(address: Address, body: &serde_json::Value) -> Self {
        Self { method: Method::PUT, address, body: body.to_string().into() }
    }

    /// A change that its address says all about; sent with a length of zero.
    pub(super) const fn bare(method: Method, address: Address) -> Self {
        Self { method, address, body: Bytes::new() }
    }
}

impl Api {
    /// `timeout` bounds one call, a short wait for a rate limit included.
    pub fn new(gate: Gate, clock: Clock, base: BaseUrl, mode: QuotaMode, timeout: Duration) -> Self {
        let (mode, learned) = (Arc::new(RwLock::new(mode)), Arc::default());
        Self {
            gate,
            clock,
            base,
            mode,
            learned,
            quotas: QuotaGate::default(),
            memory: None,
            pace: None,
            turns: Arc::default(),
            writing: Arc::default(),
            spotify_clock: Arc::default(),
            timeout,
        }
    }

    /// With what is known of quotas already.
    pub fn with_quotas(self, quotas: QuotaGate) -> Self {
        Self { quotas, ..self }
    }

    /// The same, which asks once for what one account asks several times at once, and keeps answers for a moment.
    pub fn with_memory(self) -> Self {
        Self { memory: Some(Arc::default()), ..self }
    }

    /// The same, which sends so many requests for each app in 30 seconds; 0: as many as Spotify takes.
    pub fn at_most(self, requests: u64) -> Self {
        Self { pace: (requests > 0).then(|| Arc::new(Pace::of(requests))), ..self }
    }

    /// How long a write of rows may be expected to take, as they went lately.
    pub fn slow_write(&self) -> Duration {
        self.writing.expected(Instant::now())
    }

    /// What time it is for Spotify; `None` as long as it has answered nothing.
    pub fn spotify_time(&self) -> Option<Moment> {
        self.spotify_clock.at(self.clock.now())
    }

    /// What is known of quotas.
    pub const fn quotas(&self) -> &QuotaGate {
        &self.quotas
    }

    /// The regime of the app that a token was issued to.
    pub fn mode_of(&self, token: &AccessToken) -> QuotaMode {
        token.mode().unwrap_or_else(|| self.mode())
    }

    /// The regime of tokens that say nothing of their app's.
    pub fn mode(&self) -> QuotaMode {
        *self.mode.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Other rules from now on, for every clone.
    pub fn set_mode(&self, mode: QuotaMode) {
        *self.mode.write().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    /// Calls, and reads the answer as JSON.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        token: &AccessToken,
        call: Call,
    ) -> Result<T, ApiError> {
        let write = call.method != Method::GET;
        let answer = self.call(token, call).await?;
        from_json(answer.body()).map_err(|_| {
            if write { ApiError::AmbiguousWrite { cause: "unreadable_answer" } } else { ApiError::Malformed }
        })
    }

    /// Calls for a change that Spotify confirms by the status alone: its body may be nothing, or noise that is no JSON
    /// (spotify.md 1.7, "player success").
    pub(super) async fn order(&self, token: &AccessToken, call: Call) -> Result<(), ApiError> {
        self.call(token, call).await.map(drop)
    }

    /// Calls, and reads the answer as JSON; 204 and an empty body mean "nothing".
    pub(super) async fn read_or_nothing<T: DeserializeOwned>(
        &self,
        token: &AccessToken,
        call: Call,
    ) -> Result<Option<T>, ApiError> {
        let answer = self.call(token, call).await?;
        if answer.status() == StatusCode::NO_CONTENT || answer.body().is_empty() {
            return Ok(None);
        }
        from_json(answer.body()).map_err(|_| ApiError::Malformed)
    }

    /// Calls; any 2xx is an answer. What an account asks while it is being asked for that account is asked once; never
    /// the player's state, and never across a change that the account makes.
    pub(super) async fn call(&self, token: &AccessToken, call: Call) -> Result<Response<Bytes>, ApiError> {
        let call = Target::of(call, &self.base)?;
        let Some((memory, account)) = self.memory.as_ref().zip(token.holder().map(|holder| &holder.account))
        else {
            return self.sent(token, &call).await;
        };
        // What plays is never kept, and commands to the player change nothing that is.
        if call.is_of_the_player {
            return self.sent(token, &call).await;
        }
        if call.method != Method::GET {
            let _changing = memory.change(account, &self.clock);
            return self.sent(token, &call).await;
        }
        let asked = (call.address.to_string(), token.print());
        // Others may wait for the same answer.
        let (api, shared) = (self.clone(), token.clone().unending());
        let read = memory.read(account, asked, || Box::pin(async move { api.sent(&shared, &call).await }));
        token.waiting(read).await?
    }

    /// Calls. A short rate limit is waited out once: a 429 was not acted upon, so that a write
    /// may be sent again too. A read over a connection that broke is tried once more.
    async fn sent(&self, token: &AccessToken, call: &Target) -> Result<Response<Bytes>, ApiError> {
        let limits = Limits::within(self.timeout, MAX_BODY);
        // Only playlists are somebody's: elsewhere a bare "Forbidden" is how Spotify answers for an endpoint that
        // apps in this mode no longer have (spotify.md 1.3, 1.7).
        let explained = |error| match error {
            ApiError::Forbidden if !call.address.path().contains("/playlists") => {
                ApiError::NotAvailableInMode
            }
            error => error,
        };
        let wait = match self.once(token, call, limits).await {
            Err(ApiError::Broken) => Duration::ZERO,
            Err(ApiError::RateLimited { retry_after: Some(wait) })
                if wait <= SHORT_WAIT && Instant::now() + wait < limits.deadline =>
            {
                wait
            }
            done => return done.map_err(explained),
        };
        token.waiting(tokio::time::sleep(wait)).await?;
        self.once(token, call, limits).await.map_err(explained)
    }

    async fn once(
        &self,
        token: &AccessToken,
        call: &Target,
        limits: Limits,
    ) -> Result<Response<Bytes>, ApiError> {
        let (write, request) = (call.method != Method::GET, request(token, call)?);
        let limits = match token.presses() {
            Pressing::GoesOn(until) => {
                token.waiting(self.wait_at_most(token, until)).await?;
                Limits::within(self.timeout, MAX_BODY)
            }
            Pressing::Not | Pressing::Mends => {
                token.waiting(self.await_turn(token, limits)).await??;
                limits
            }
        };
        let _turn = match token.holder() {
            Some(holder) => {
                let turn = token.waiting(self.turns.of(&holder.person, limits.turn)).await?;
                Some(turn.ok_or_else(|| ApiError::from_egress(EgressError::Busy, write))?)
            }
            None => None,
        };
        if !matches!(token.presses(), Pressing::GoesOn(_)) {
            self.keep_rest(token)?;
        }
        self.admit(token, call.bucket)?;
        let began = Instant::now();
        let answer = self.gate.send(request, limits).await;
        measured::asked(Service::Api, &answer, began.elapsed());
        if write && call.is_of_rows {
            self.writing.took(began.elapsed(), Instant::now());
        }
        let answer = answer.map_err(|error| ApiError::from_egress(error, write))?;
        self.spotify_clock.told(answer.headers(), self.clock.now(), began.elapsed());
        if answer.status().is_success() {
            return Ok(answer);
        }
        let now = self.clock.now();
        let mut refusal = reply::refusal(answer.status(), answer.headers(), answer.body(), now, write);
        if let ApiError::ScopeMissing(needed) = &mut refusal {
            *needed = permissions::needed(&call.method, call.target(&self.base), &call.body);
        }
        if let (ApiError::RateLimited { retry_after: Some(wait) }, Some(holder)) = (&refusal, token.holder())
            && *wait > SHORT_WAIT
        {
            self.quotas.rest().told(&holder.app, *wait, now);
        }
        if let (ApiError::QuotaExceeded { retry_after }, Some(charge)) = (&refusal, token.charge()) {
            self.quotas.ran_out(charge, call.bucket, *retry_after, now);
        }
        Err(refusal)
    }
}

/// A call with its address read once, however often it is sent.
struct Target {
    method: Method,
    address: Uri,
    body: Bytes,
    bucket: Bucket,
    is_of_the_player: bool,
    /// It reads or writes rows of a playlist.
    is_of_rows: bool,
}

impl Target {
    fn of(call: Call, base: &BaseUrl) -> Result<Self, ApiError> {
        let text = call.address.into_text();
        let path = text.strip_prefix(base.as_str()).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let bucket = Bucket::of(path);
        let is_of_the_player = path.starts_with("/me/player");
        let is_of_rows = path.ends_with("/items") || path.ends_with("/tracks");
        let address = Uri::try_from(text).map_err(|_| unusable())?;
        Ok(Self { method: call.method, address, body: call.body, bucket, is_of_the_player, is_of_rows })
    }

    /// The path below the base address, with the query.
    fn target(&self, base: &BaseUrl) -> &str {
        let prefix = base.as_str().parse::<Uri>().map(|base| base.path().trim_end_matches('/').len());
        let whole = self.address.path_and_query().map_or("", PathAndQuery::as_str);
        whole.get(prefix.unwrap_or_default()..).unwrap_or_default()
    }
}

fn unusable() -> ApiError {
    ApiError::InvalidArgument("it cannot be put into a request".to_owned())
}

/// The request with its headers. Compression is not asked for: a small answer must not become a large one.
fn request(token: &AccessToken, call: &Target) -> Result<Request<Bytes>, ApiError> {
    let mut request = Request::new(call.body.clone());
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = call.address.clone();
    let headers = request.headers_mut();
    headers.reserve(6);
    headers.insert(header::AUTHORIZATION, token.header().ok_or_else(unusable)?);
    headers.insert(header::ACCEPT, JSON);
    headers.insert(header::USER_AGENT, USER_AGENT);
    if call.method != Method::GET {
        // Spotify answers 411 to an empty PUT or POST without a length (spotify.md 1.7).
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(call.body.len()));
        if !call.body.is_empty() {
            let is_picture = call.address.path().ends_with("/images");
            headers.insert(header::CONTENT_TYPE, if is_picture { JPEG } else { JSON });
        }
    }
    Ok(request)
}

impl Call {
    pub(super) fn delete(address: Address, body: &serde_json::Value) -> Self {
        Self { method: Method::DELETE, address, body: body.to_string().into() }
    }

    /// A picture, as the text in base 64 that Spotify wants it to be.
    pub(super) fn put_picture(address: Address, base64: String) -> Self {
        Self { method: Method::PUT, address, body: base64.into() }
    }
}

/// Reads JSON: as text where it is text, so that not each string in it is looked at anew; else as far as it is used.
pub(super) fn from_json<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    }
}

/// Refuses a page that Spotify would refuse, before it costs a request.
pub(super) fn check_page(limit: u32, most: u32, offset: u32, farthest: u32) -> Result<(), ApiError> {
    if !(1..=most).contains(&limit) {
        return Err(ApiError::InvalidArgument(format!("limit must be between 1 and {most}")));
    }
    if offset > farthest {
        return Err(ApiError::InvalidArgument(format!("offset must be at most {farthest}")));
    }
    Ok(())
}
