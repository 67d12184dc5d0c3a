//! `/authorize`: the page on which a pretend person logs in and approves, and what follows from the decision.
//! An unknown client or redirect URI never leads to a redirect (spotify.md 6.1).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use url::form_urlencoded;

use super::pages;
use crate::crypto::token::TokenHash;
use crate::spotify::sandbox::Scopes;
use crate::spotify::sandbox::world::World;
use crate::spotify::sandbox::world::app::App;
use crate::spotify::sandbox::world::grants::Code;
use crate::spotify::sandbox::world::people::Person;
use crate::spotify::sandbox::world::shards::lock;

/// Remembers who is logged in. The value is a pretend person's id: there is nothing to steal here.
const COOKIE: &str = "sandbox_person";

/// An authorization request that may be answered by a redirect.
pub struct Request {
    /// The app that asks.
    pub app: Arc<App>,
    /// The query as it came, to be carried through the form.
    pub raw: String,
    /// What is asked for.
    pub scopes: Scopes,
    redirect_uri: String,
    /// The state in the very bytes in which it came.
    state: Option<String>,
    challenge: Option<String>,
    show_dialog: bool,
}

/// `GET /authorize`: the page, or at once the redirect where the same was approved before.
pub async fn ask(State(world): State<Arc<World>>, uri: Uri, headers: HeaderMap) -> Response {
    let request = match parse(&world, uri.query().unwrap_or_default()) {
        Ok(request) => request,
        Err(refusal) => return *refusal,
    };
    let person = logged_in(&world, &headers);
    if let Some(person) = &person
        && !request.show_dialog
        && approved_before(&world, &request, person)
    {
        return approve(&world, &request, person, request.scopes);
    }
    pages::login(&world, &request, person.as_deref())
}

/// `POST /authorize`: the form comes back.
pub async fn decide(State(world): State<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    let foreign = headers.get(header::ORIGIN).is_some_and(|origin| origin != world.origin.as_str());
    if foreign {
        return pages::refusal(StatusCode::FORBIDDEN, "The form did not come from this sandbox.");
    }
    let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
    let request = match parse(&world, field("request")) {
        Ok(request) => request,
        Err(refusal) => return *refusal,
    };
    if field("decision") != "approve" {
        return request.redirect(&[("error", "access_denied")]);
    }
    let named = [field("other").trim(), field("person")].into_iter().find(|id| !id.is_empty());
    let Some(person) = named.and_then(|id| world.person(id)) else {
        return pages::refusal(StatusCode::BAD_REQUEST, "There is no pretend person with this id.");
    };
    let withheld = form.iter().filter(|(key, _)| key == "withhold").map(|(_, name)| name.as_str());
    let withheld = withheld.filter_map(Scopes::parse).fold(Scopes::default(), Scopes::union);
    let mut reply = approve(&world, &request, &person, request.scopes.without(withheld));
    let id: String = form_urlencoded::byte_serialize(person.id.as_bytes()).collect();
    let cookie = format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000");
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        reply.headers_mut().insert(header::SET_COOKIE, value);
    }
    reply
}

fn parse(world: &World, raw: &str) -> Result<Request, Box<Response>> {
    let query: Vec<(String, String)> = form_urlencoded::parse(raw.as_bytes()).into_owned().collect();
    let get = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let bad = |text| Box::new(pages::refusal(StatusCode::BAD_REQUEST, text));
    let app = get("client_id")
        .and_then(|id| world.app(&id))
        .ok_or_else(|| bad("INVALID_CLIENT: Invalid client"))?;
    let redirect_uri = get("redirect_uri")
        .filter(|uri| app.rules().accepts_redirect(uri))
        .ok_or_else(|| bad("INVALID_CLIENT: Invalid redirect URI"))?;
    let mut request = Request {
        raw: raw.to_owned(),
        scopes: Scopes::default(),
        redirect_uri,
        state: raw.split('&').find_map(|pair| pair.strip_prefix("state=")).map(str::to_owned),
        challenge: get("code_challenge"),
        show_dialog: get("show_dialog").as_deref() == Some("true"),
        app,
    };
    if get("response_type").as_deref() != Some("code") {
        return Err(Box::new(request.redirect(&[("error", "unsupported_response_type")])));
    }
    let public_without_challenge = request.app.is_public() && request.challenge.is_none();
    let method_wrong = request.challenge.is_some() && get("code_challenge_method").as_deref() != Some("S256");
    if public_without_challenge || method_wrong {
        return Err(Box::new(request.redirect(&[("error", "invalid_request")])));
    }
    match Scopes::parse(&get("scope").unwrap_or_default()) {
        Some(scopes) => request.scopes = scopes,
        None => return Err(Box::new(request.redirect(&[("error", "invalid_scope")]))),
    }
    Ok(request)
}

impl Request {
    /// Sends the browser back with these parameters and the state.
    fn redirect(&self, parameters: &[(&str, &str)]) -> Response {
        let mut query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        if let Some(state) = &self.state {
            query = format!("{query}&state={state}");
        }
        let mark = if self.redirect_uri.contains('?') { '&' } else { '?' };
        match HeaderValue::from_str(&format!("{}{mark}{query}", self.redirect_uri)) {
            Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
            Err(_) => pages::refusal(StatusCode::BAD_REQUEST, "INVALID_CLIENT: Invalid redirect URI"),
        }
    }
}

fn logged_in(world: &World, headers: &HeaderMap) -> Option<Arc<Person>> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let value = cookies
        .flat_map(|line| line.split("; "))
        .find_map(|cookie| cookie.strip_prefix(COOKIE)?.strip_prefix('='))?;
    let (id, _) = form_urlencoded::parse(value.as_bytes()).next()?;
    world.person(&id)
}

fn approved_before(world: &World, request: &Request, person: &Person) -> bool {
    let key = (request.app.client_id.to_string(), person.id.to_string());
    lock(&world.grants.approvals).get(&key).is_some_and(|scopes| scopes.covers(request.scopes))
}

fn approve(world: &World, request: &Request, person: &Person, scopes: Scopes) -> Response {
    let scopes = scopes.without(request.app.rules().withheld);
    let (client_id, user) = (request.app.client_id.to_string(), person.id.to_string());
    let code = world.opaque("AQ");
    let kept = Code {
        client_id: client_id.clone(),
        user: user.clone(),
        redirect_uri: request.redirect_uri.clone(),
        challenge: request.challenge.clone(),
        scopes,
        approved_at: world.now().millis(),
        gave: None,
        used: false,
    };
    world.grants.keep_code(TokenHash::of(&code), kept, world.now());
    lock(&world.grants.approvals)
        .entry((client_id, user))
        .and_modify(|known| *known = known.union(scopes))
        .or_insert(scopes);
    world.saver.changed();
    request.redirect(&[("code", &code)])
}
