//! `POST /token`: a code or a refresh token becomes the next pair (OAuth 2.1 sections 4.1.3 and 4.3).
//!
//! Unknown, foreign, used and expired are all `invalid_grant`; only a foreign `resource` is told apart, and it
//! leaves the code usable.

use std::time::Duration;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::ambient::Timestamp;
use crate::app::App;
use crate::crypto::envelope::{self, Place};
use crate::crypto::keys;
use crate::crypto::token::{Token, TokenHash, TokenKind};
use crate::domain::client::AuthMethod;
use crate::domain::code::{self, CodeOutcome, ForeignResource, Presented};
use crate::domain::event::{Event, EventCode};
use crate::domain::pkce::CodeVerifier;
use crate::domain::refresh::{self, RefreshOutcome};
use crate::domain::resource::Resource;
use crate::domain::{ClientId, GrantId, ScopeSet, UserId};
use crate::failure::Failure;
use crate::store::{Client, NewTokens, RefreshRow, Rotation};

use super::{OAuthError, Params, Reply, Visitor, clients};

type Answer = Result<Value, Reply<OAuthError>>;

/// What an answer, and then the last call with its token, may take on their way.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// Answers a token request. `basic` is the decoded `Authorization: Basic` pair, `Err` where it was malformed.
pub async fn token(app: &App, form: &Params, basic: Basic, visitor: &Visitor) -> Answer {
    if let Some(fault) = form.fault() {
        return refuse(OAuthError::bad("invalid_request", fault));
    }
    let client = authenticate(app, form, basic, visitor).await?;
    match form.get("grant_type") {
        Some("authorization_code") => by_code(app, form, &client, visitor).await,
        Some("refresh_token") => by_refresh_token(app, form, &client, visitor).await,
        Some(_) => refuse(OAuthError::bad(
            "unsupported_grant_type",
            "grant_type must be authorization_code or refresh_token",
        )),
        None => refuse(OAuthError::bad("invalid_request", "grant_type is missing")),
    }
}

/// The client's credentials by HTTP Basic: none, malformed, or an id and a secret.
pub type Basic = Result<Option<(String, crate::crypto::SecretString)>, ()>;

/// Who the client is, and its proof where it has one (RFC 6749 section 2.3).
pub(super) async fn authenticate(
    app: &App,
    form: &Params,
    basic: Basic,
    visitor: &Visitor,
) -> Result<Client, Reply<OAuthError>> {
    let Ok(basic) = basic else {
        return Err(Reply::Refused(OAuthError::invalid_client(
            "the Authorization header is malformed",
            true,
        )));
    };
    let by_basic = basic.is_some();
    let (id, secret) = match basic {
        Some((id, secret)) => {
            if form.get("client_secret").is_some() || form.get("client_id").is_some_and(|named| named != id) {
                return Err(Reply::Refused(OAuthError::bad(
                    "invalid_request",
                    "use one way of client authentication",
                )));
            }
            (Some(id), Some(secret))
        }
        None => {
            let secret = form.get("client_secret").map(crate::crypto::SecretString::new);
            (form.get("client_id").map(str::to_owned), secret)
        }
    };
    let Some(id) = id else { return refuse(OAuthError::bad("invalid_request", "client_id is missing")) };
    let client = match ClientId::parse(&id) {
        Some(id) => clients::find(app, &id).await?,
        None => None,
    };
    let Some(client) = client else {
        return refuse(OAuthError::invalid_client(
            "the client is not registered here; register again",
            by_basic,
        ));
    };
    let proven = match (client.auth_method, &client.secret, secret) {
        (AuthMethod::None, ..) => true,
        (_, Some(stored), Some(secret)) => *stored == TokenHash::of(secret.expose()),
        _ => false,
    };
    if !proven {
        let because = "client authentication failed";
        tracing::debug!(request = visitor.request.as_str(), because, "a client is refused");
        return refuse(OAuthError::invalid_client(because, by_basic).guessed(because, &client.id));
    }
    Ok(client)
}

async fn by_code(app: &App, form: &Params, client: &Client, visitor: &Visitor) -> Answer {
    let Some(text) = form.get("code") else {
        return refuse(OAuthError::bad("invalid_request", "code is missing"));
    };
    let Some(hash) = Token::parse(TokenKind::Code, text).map(|code| code.hash()) else {
        return wrong_grant(client);
    };
    let Some(row) = app.store.code(hash).await? else { return wrong_grant(client) };
    let presented = Presented {
        client: client.id.clone(),
        redirect_uri: form.get("redirect_uri").map(str::to_owned),
        verifier: form.get("code_verifier").and_then(CodeVerifier::parse),
        resource: asked_resource(app, form),
    };
    match code::redeem(&row.code, &presented, app.now()) {
        CodeOutcome::Redeem => {
            let grant = GrantId::mint(app.dice.bytes());
            let pair = Pair::mint(app, client, grant_end(app), row.scopes);
            let event = Event::new(EventCode::GrantCreated)
                .by(&row.user)
                .client(&client.id)
                .subject(grant.as_str())
                .from(visitor.address)
                .request(&visitor.request)
                .detail("scope", row.scopes.to_string());
            let events = [app.stamp(event)];
            if !app.store.redeem_code(hash, &grant, grant_end(app), &pair.stored(app.now()), &events).await? {
                return lost_race(app, hash, &presented, visitor).await;
            }
            let now = app.now();
            app.store.touch_client(&client.id, now, now.plus(app.config.auth.lifetimes.idle_client)).await?;
            Ok(pair.answer(app.now()))
        }
        CodeOutcome::Replayed(grant) => {
            end_family(app, &row.user, &grant, "code_replayed", visitor).await?;
            invalid_grant()
        }
        CodeOutcome::Mismatch => {
            app.store.count_code_failure(hash).await?;
            wrong_grant(client)
        }
        CodeOutcome::Dead => invalid_grant(),
        CodeOutcome::WrongTarget => wrong_target(),
    }
}

/// Another request was first with the same code: this one has replayed it, however little later it came.
async fn lost_race(app: &App, hash: TokenHash, presented: &Presented, visitor: &Visitor) -> Answer {
    if let Some(row) = app.store.code(hash).await?
        && let CodeOutcome::Replayed(grant) = code::redeem(&row.code, presented, app.now())
    {
        end_family(app, &row.user, &grant, "code_replayed", visitor).await?;
    }
    invalid_grant()
}

async fn by_refresh_token(app: &App, form: &Params, client: &Client, visitor: &Visitor) -> Answer {
    let Some(text) = form.get("refresh_token") else {
        return refuse(OAuthError::bad("invalid_request", "refresh_token is missing"));
    };
    let Some(presented) = Token::parse(TokenKind::Refresh, text) else { return wrong_grant(client) };
    let Some(row) = app.store.refresh_token(presented.hash()).await? else { return wrong_grant(client) };
    let outcome = refresh::present(&row.token, &client.id, app.now());
    // Whose token it is comes first: a stranger learns nothing of its grant.
    if matches!(outcome, RefreshOutcome::Rotate | RefreshOutcome::AnswerAgain) {
        if asked_resource(app, form).is_err() {
            return wrong_target();
        }
        if form.get("scope").is_some_and(|scope| !row.scopes.covers(ScopeSet::known(scope))) {
            return refuse(OAuthError::bad("invalid_scope", "the scope is wider than what was granted"));
        }
    }
    match outcome {
        RefreshOutcome::Rotate => {
            let scopes = narrowed(form, row.scopes);
            rotate(app, client, (&presented, &row, scopes), visitor).await
        }
        RefreshOutcome::AnswerAgain => answer_again(app, &presented, &row).await,
        RefreshOutcome::Reused => {
            end_family(app, &row.user, &row.grant, "refresh_token_reused", visitor).await?;
            invalid_grant()
        }
        RefreshOutcome::Exhausted | RefreshOutcome::Refuse => invalid_grant(),
    }
}

/// What the next access token allows: less than the grant where the client asks for less (RFC 6749 section 6). The
/// refresh token keeps the grant's scopes, and names that nobody knows ask for nothing.
fn narrowed(form: &Params, granted: ScopeSet) -> ScopeSet {
    let asked = form.get("scope").map(ScopeSet::known).unwrap_or_default();
    if asked == ScopeSet::EMPTY { granted } else { asked }
}

async fn rotate(
    app: &App,
    client: &Client,
    (presented, row, scopes): (&Token, &RefreshRow, ScopeSet),
    visitor: &Visitor,
) -> Answer {
    let pair = Pair::mint(app, client, row.grant_expires_at, scopes);
    let rotation = Rotation {
        presented: presented.hash(),
        grant: row.grant.clone(),
        tokens: pair.stored(app.now()),
        successor: pair.seal(app, presented, &row.user),
    };
    let event = Event::new(EventCode::AuthnTokenRefreshed)
        .by(&row.user)
        .client(&client.id)
        .subject(row.grant.as_str())
        .from(visitor.address)
        .request(&visitor.request);
    if app.store.rotate(&rotation, &[app.stamp(event)]).await? {
        let now = app.now();
        app.store.touch_client(&client.id, now, now.plus(app.config.auth.lifetimes.idle_client)).await?;
        return Ok(pair.answer(now));
    }
    // A parallel request with the same token was first: both get the same pair.
    answer_again(app, presented, row).await
}

async fn answer_again(app: &App, presented: &Token, row: &RefreshRow) -> Answer {
    match app.store.successor(presented.hash()).await? {
        Some(sealed) => match Pair::open(&sealed, presented, &row.user) {
            Some(pair) => Ok(pair.answer(app.now())),
            None => Err(Reply::Failed(Failure::new("a sealed successor does not open"))),
        },
        None => invalid_grant(),
    }
}

async fn end_family(
    app: &App,
    user: &UserId,
    grant: &GrantId,
    because: &'static str,
    visitor: &Visitor,
) -> Result<(), Failure> {
    let event = Event::new(EventCode::AuthnTokenReuse)
        .by(user)
        .subject(grant.as_str())
        .refused()
        .from(visitor.address)
        .request(&visitor.request)
        .because(because);
    app.store.revoke_grant(user, grant, because, app.now(), &[app.stamp(event)]).await?;
    app.notice_revocations().await;
    Ok(())
}

fn asked_resource(app: &App, form: &Params) -> Result<Option<Resource>, ForeignResource> {
    match form.get("resource") {
        // One at a time: a token of ours is for one resource (RFC 8707 section 2.2).
        None if form.count("resource") > 1 => Err(ForeignResource),
        None => Ok(None),
        some => Resource::requested(some, &app.issuer()).map(Some).ok_or(ForeignResource),
    }
}

fn grant_end(app: &App) -> Timestamp {
    app.now().plus(app.config.auth.lifetimes.refresh_family)
}

fn refuse<T>(error: OAuthError) -> Result<T, Reply<OAuthError>> {
    Err(Reply::Refused(error))
}

/// One that we know, and that is over: not counted against its address.
fn invalid_grant() -> Answer {
    refuse(not_a_grant())
}

/// One that we do not know, or that comes without its proof.
fn wrong_grant(client: &Client) -> Answer {
    refuse(not_a_grant().guessed("wrong code or refresh token", &client.id))
}

fn not_a_grant() -> OAuthError {
    OAuthError::bad("invalid_grant", "the code or refresh token is unknown, expired or was used")
}

fn wrong_target() -> Answer {
    refuse(OAuthError::bad("invalid_target", "the resource is not served here"))
}

/// A pair of tokens in the clear, on its way to the client.
struct Pair {
    access: Token,
    access_expires_at: Timestamp,
    refresh: Option<Token>,
    refresh_expires_at: Timestamp,
    /// Of the access token.
    scopes: ScopeSet,
}

impl Pair {
    fn mint(app: &App, client: &Client, family_ends: Timestamp, scopes: ScopeSet) -> Self {
        let (now, lifetimes) = (app.now(), &app.config.auth.lifetimes);
        Self {
            access: Token::mint(TokenKind::Access, &app.dice.bytes()),
            access_expires_at: now.plus(lifetimes.access_token).min(family_ends),
            refresh: client.refreshes.then(|| Token::mint(TokenKind::Refresh, &app.dice.bytes())),
            refresh_expires_at: now.plus(lifetimes.refresh_token).min(family_ends),
            scopes,
        }
    }

    fn stored(&self, now: Timestamp) -> NewTokens {
        NewTokens {
            access: self.access.hash(),
            access_expires_at: self.access_expires_at,
            refresh: self.refresh.as_ref().map(Token::hash),
            refresh_expires_at: self.refresh_expires_at,
            scopes: Some(self.scopes),
            now,
        }
    }

    fn answer(&self, now: Timestamp) -> Value {
        let mut answer = Map::new();
        answer.insert("access_token".to_owned(), json!(self.access.expose()));
        answer.insert("token_type".to_owned(), json!("Bearer"));
        answer.insert("expires_in".to_owned(), json!(announced(self.access_expires_at.since(now)).as_secs()));
        answer.insert("scope".to_owned(), json!(self.scopes.to_string()));
        if let Some(refresh) = &self.refresh {
            answer.insert("refresh_token".to_owned(), json!(refresh.expose()));
        }
        Value::Object(answer)
    }

    /// Sealed under a key that only the presented token gives: the database alone cannot answer it again.
    fn seal(&self, app: &App, presented: &Token, user: &UserId) -> Vec<u8> {
        let plain = Zeroizing::new(format!(
            "{}\n{}\n{}\n{}\n{}",
            self.access.expose(),
            self.access_expires_at.secs(),
            self.refresh.as_ref().map_or("", Token::expose),
            self.refresh_expires_at.secs(),
            self.scopes,
        ));
        let (key, row) = (keys::from_presented(presented.expose()), hex(presented.hash()));
        envelope::seal(&key, &successor_place(user, &row), plain.as_bytes(), &app.dice.bytes())
    }

    fn open(sealed: &[u8], presented: &Token, user: &UserId) -> Option<Self> {
        let (key, row) = (keys::from_presented(presented.expose()), hex(presented.hash()));
        let plain = envelope::open(&key, &successor_place(user, &row), sealed).ok()?;
        let mut lines = std::str::from_utf8(&plain).ok()?.split('\n');
        Some(Self {
            access: Token::parse(TokenKind::Access, lines.next()?)?,
            access_expires_at: Timestamp::from_secs(lines.next()?.parse().ok()?),
            refresh: Token::parse(TokenKind::Refresh, lines.next()?),
            refresh_expires_at: Timestamp::from_secs(lines.next()?.parse().ok()?),
            scopes: ScopeSet::known(lines.next()?),
        })
    }
}

/// How long the client is told that its access token works: a little less than it does. The client counts from when
/// the answer reached it, and the Python SDK asks its user to log in again where a token that it still believes in is
/// refused (mcp.md 6.4).
const fn announced(lifetime: Duration) -> Duration {
    lifetime.saturating_sub(ON_ITS_WAY)
}

fn successor_place<'a>(user: &'a UserId, row: &'a str) -> Place<'a> {
    Place { table: "refresh_tokens", column: "successor", user: user.as_str(), row, version: 0 }
}

fn hex(hash: TokenHash) -> String {
    hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
