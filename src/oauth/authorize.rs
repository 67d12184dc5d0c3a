//! `/authorize`: who asks, for what, and the person's decision. Before client and redirect URI are proven nothing
//! is redirected; after that every error goes back to the client with `state` and `iss` (RFC 9207).
//!
//! GET only shows: clients fetch the URL ahead of the person. It leaves for Spotify by itself for one browser alone,
//! that of a person who approved this very thing before and really goes there.

use std::time::Duration;

use crate::app::App;
use crate::crypto::token::TokenHash;
use crate::domain::event::{Event, EventCode};
use crate::domain::pkce::CodeChallenge;
use crate::domain::redirect::{RedirectKind, RedirectUri};
use crate::domain::resource::Resource;
use crate::domain::{ClientId, KeyPurpose, ScopeSet};
use crate::failure::Failure;
use crate::store::{BrowserSession, Client};

use super::login::{self, Departure, NoDeparture, Purpose};
use super::tickets::{self, AuthorizationRequest};
use super::{Params, Visitor, clients, forms, refusals, sessions};

/// Longest `state` of a client, in bytes.
const LONGEST_STATE: usize = 2048;

/// What to answer.
#[derive(Debug)]
pub enum Asked {
    /// Show the consent page.
    Consent(Box<ConsentView>),
    /// Approved before: to Spotify.
    ToSpotify(Departure),
    /// An error for the client, as a redirect to its own URI.
    Back(String),
    /// A local page: the client or its redirect URI is not proven.
    Local(Unproven),
}

/// Why nothing can be sent back to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// Parameters are missing, repeated or malformed.
    InvalidRequest,
    /// No such client.
    UnknownClient,
    /// The client's metadata document, or the URL that should be its, breaks a rule.
    DocumentRefused,
    /// The client's metadata document could not be fetched.
    DocumentUnavailable,
    /// This address has made us fetch too many documents, or waits for too many.
    TooManyDocuments,
    /// Too many documents are fetched at this moment, or too many wait for this one.
    BusyWithDocuments,
    /// The operator does not take this client's word for itself.
    ClientNotAllowed,
    /// The redirect URI is not one of the client's.
    RedirectMismatch,
    /// The form does not belong to this browser, or has expired.
    FormExpired,
    /// No login can begin.
    NoDeparture(NoDeparture),
}

/// What the consent page needs.
#[derive(Debug)]
pub struct ConsentView {
    /// The proven request.
    pub request: AuthorizationRequest,
    /// The client's claimed name.
    pub client_name: String,
    /// Who is logged in here.
    pub session: Option<BrowserSession>,
    /// Hidden field.
    pub ticket: String,
    /// Hidden field.
    pub csrf: String,
    /// Names the browser, where it had no name.
    pub set_cookie: Option<String>,
}

/// `GET /authorize`. `navigates`: the browser goes there for its person, as far as it says; a HEAD, a prefetch or a
/// frame does not, and only gets the page.
pub async fn ask(app: &App, params: &Params, navigates: bool, visitor: &Visitor) -> Result<Asked, Failure> {
    let request = match prove(app, params, visitor).await? {
        Ok(request) => request,
        Err(asked) => return Ok(asked),
    };
    let (request, client) = request;
    let session = sessions::current(app, visitor).await?;
    if let Some(session) = &session
        && navigates
        && params.get("prompt").is_none()
        && may_skip_consent(app, &request, session).await?
    {
        return depart(app, request, Some(session), visitor).await;
    }
    Ok(Asked::Consent(Box::new(view(app, request, &client, session, visitor)?)))
}

/// `POST /authorize`: the person's decision.
pub async fn decide(app: &App, form: &Params, visitor: &Visitor) -> Result<Asked, Failure> {
    let ticket = form.get("ticket").unwrap_or_default();
    let keys = app.keys.taken(KeyPurpose::BrowserTickets);
    let request = forms::holder(app, visitor, form)
        .and_then(|browser| tickets::redeem_ticket(&keys, ticket, browser, app.now()));
    let Some(request) = request else { return Ok(Asked::Local(Unproven::FormExpired)) };

    // The client may have gone, or changed, since the page was shown.
    let client = clients::find(app, &request.client).await?;
    let Some(client) = client else { return Ok(Asked::Local(Unproven::UnknownClient)) };
    if !client.redirect_uris.iter().any(|registered| registered.admits(&request.redirect_uri)) {
        return Ok(Asked::Local(Unproven::RedirectMismatch));
    }
    let session = sessions::current(app, visitor).await?;
    if form.get("decision") == Some("approve") {
        return depart(app, request, session.as_ref(), visitor).await;
    }
    // The form stays good, as every form of a browser does; that it was refused is told once.
    if app.limits.is_news(&TokenHash::of(ticket), tickets_live(app)) {
        let mut event = Event::new(EventCode::ConsentDenied).client(&request.client);
        if let Some(session) = &session {
            event = event.by(&session.user);
        }
        refusals::note(app, visitor, event).await;
    }
    Ok(Asked::Back(error_redirect(
        app,
        &request.redirect_uri,
        request.state.as_deref(),
        "access_denied",
        "The person refused",
    )))
}

/// A redirect back to the client with an error.
pub fn error_redirect(
    app: &App,
    redirect_uri: &RedirectUri,
    state: Option<&str>,
    code: &str,
    description: &str,
) -> String {
    let issuer = app.issuer();
    let mut parameters = vec![("error", code), ("error_description", description)];
    parameters.extend(state.map(|state| ("state", state)));
    parameters.push(("iss", &issuer));
    redirect_uri.with_query(&parameters)
}

async fn depart(
    app: &App,
    request: AuthorizationRequest,
    session: Option<&BrowserSession>,
    visitor: &Visitor,
) -> Result<Asked, Failure> {
    let user = session.map(|session| &session.user);
    let departure = login::depart(app, Purpose::Client(&request), user, visitor).await?;
    Ok(match departure {
        Ok(departure) => Asked::ToSpotify(departure),
        Err(why) => Asked::Local(Unproven::NoDeparture(why)),
    })
}

/// Only where this session's person approved this very client, redirect URI and scope before, and the answer goes
/// to a site: whoever listens on loopback or claims a scheme may be another program today (RFC 8252 section 8.6).
async fn may_skip_consent(
    app: &App,
    request: &AuthorizationRequest,
    session: &BrowserSession,
) -> Result<bool, Failure> {
    if request.redirect_uri.kind() != RedirectKind::Https {
        return Ok(false);
    }
    let approved = app.store.consent(&session.user, &request.client, request.redirect_uri.as_str()).await?;
    Ok(approved.is_some_and(|approved| approved.covers(request.scopes)))
}

fn view(
    app: &App,
    request: AuthorizationRequest,
    client: &Client,
    session: Option<BrowserSession>,
    visitor: &Visitor,
) -> Result<ConsentView, Failure> {
    let forms::Form { browser, csrf, set_cookie } = forms::begin(app, visitor)?;
    let expires_at = app.now().plus(tickets_live(app));
    let key = app.keys.own(KeyPurpose::BrowserTickets)?;
    Ok(ConsentView {
        ticket: tickets::ticket(&key, &request, &browser, expires_at),
        csrf,
        client_name: client.name.clone(),
        request,
        session,
        set_cookie,
    })
}

/// The page may stay open as long as a login may take, and then once more.
fn tickets_live(app: &App) -> Duration {
    app.config.security.login_timeout * 2
}

/// Proves client and redirect URI, then judges the rest.
async fn prove(
    app: &App,
    params: &Params,
    visitor: &Visitor,
) -> Result<Result<(AuthorizationRequest, Client), Asked>, Failure> {
    let local = |why| Ok(Err(Asked::Local(why)));
    let Some(id) = params.get("client_id") else { return local(Unproven::InvalidRequest) };
    let Some(id) = ClientId::parse(id) else { return local(Unproven::UnknownClient) };
    let client = match clients::introduce(app, &id, visitor).await? {
        Ok(client) => client,
        Err(why) => return local(why),
    };
    if params.count("redirect_uri") > 1 {
        return local(Unproven::InvalidRequest);
    }
    let Some(redirect_uri) = proven_redirect(params, &client) else {
        return local(Unproven::RedirectMismatch);
    };

    let state = params.get("state");
    let judged = judge(app, params, &client, redirect_uri.clone());
    Ok(match judged {
        Ok(request) => Ok((request, client)),
        Err((code, description)) => {
            // A repeated or oversized state is not echoed: which one would it be?
            let state = state.filter(|state| state.len() <= LONGEST_STATE);
            Err(Asked::Back(error_redirect(app, &redirect_uri, state, code, description)))
        }
    })
}

fn proven_redirect(params: &Params, client: &Client) -> Option<RedirectUri> {
    match params.get("redirect_uri") {
        Some(text) => {
            let presented = RedirectUri::parse(text).ok()?;
            client.redirect_uris.iter().any(|registered| registered.admits(&presented)).then_some(presented)
        }
        // OAuth 2.1 section 4.1.1: may be left out where exactly one is registered.
        None if client.redirect_uris.len() == 1 => client.redirect_uris.first().cloned(),
        None => None,
    }
}

type Refusal = (&'static str, &'static str);

fn judge(
    app: &App,
    params: &Params,
    client: &Client,
    redirect_uri: RedirectUri,
) -> Result<AuthorizationRequest, Refusal> {
    if let Some(fault) = params.fault() {
        return Err(("invalid_request", fault));
    }
    let state = params.get("state");
    if state.is_some_and(|state| state.len() > LONGEST_STATE) {
        return Err(("invalid_request", "The state is longer than 2048 bytes"));
    }
    if params.get("request").is_some() {
        return Err(("request_not_supported", "Request objects are not supported"));
    }
    if params.get("request_uri").is_some() {
        return Err(("request_uri_not_supported", "Request objects are not supported"));
    }
    match params.get("response_type") {
        Some("code") => {}
        Some(_) => return Err(("unsupported_response_type", "The response_type must be code")),
        None => return Err(("invalid_request", "The response_type is missing")),
    }
    if params.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(("invalid_request", "The response_mode must be query"));
    }
    if params.get("code_challenge_method") != Some("S256") {
        return Err(("invalid_request", "PKCE with code_challenge_method S256 is required"));
    }
    let challenge = params
        .get("code_challenge")
        .and_then(CodeChallenge::parse)
        .ok_or(("invalid_request", "The code_challenge must be 43 characters of base64url"))?;
    // One at a time: a token of ours is for one resource (RFC 8707 section 2.1).
    let one = params.count("resource") <= 1;
    let resource = one.then(|| Resource::requested(params.get("resource"), &app.issuer())).flatten();
    let resource = resource.ok_or(("invalid_target", "The resource is not served here"))?;
    if params.get("prompt").is_some_and(|prompt| prompt.split(' ').any(|word| word == "none")) {
        return Err(("interaction_required", "The person has to be asked"));
    }
    let asked = ScopeSet::requested(params.get("scope")).intersect(client.scopes);
    let scopes = if asked == ScopeSet::EMPTY { client.scopes } else { asked };
    // What no tool needs is not granted: nobody is asked for it.
    let scopes = scopes.intersect(app.config.server.offer.scopes());
    if scopes == ScopeSet::EMPTY {
        return Err(("invalid_scope", "No tool of this server needs what is asked for"));
    }
    Ok(AuthorizationRequest {
        client: client.id.clone(),
        redirect_uri,
        state: state.map(str::to_owned),
        scopes,
        resource,
        challenge,
    })
}
