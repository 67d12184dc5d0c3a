//! Who calls the Web API, and everything that can turn a call away before its endpoint is asked.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, header};

use super::refusal::Refusal;
use crate::crypto::token::TokenHash;
use crate::spotify::sandbox::Scopes;
use crate::spotify::sandbox::journal::Who;
use crate::spotify::sandbox::server::Unapplied;
use crate::spotify::sandbox::world::World;
use crate::spotify::sandbox::world::app::{AppRules, Mode};
use crate::spotify::sandbox::world::people::Person;

/// An admitted caller.
#[derive(Clone)]
pub struct Caller {
    /// The person whose token it is.
    pub person: Arc<Person>,
    /// The rules of the app that calls.
    pub rules: Arc<AppRules>,
    /// What the token allows.
    pub scopes: Scopes,
    /// Where links point.
    pub base: String,
    /// Whether changes of playlists are confirmed and not made.
    pub unapplied: bool,
}

impl Caller {
    /// Refuses unless the token has all of these scopes.
    pub fn needs(&self, names: &[&str]) -> Result<(), Refusal> {
        names.iter().all(|name| self.scopes.has(name)).then_some(()).ok_or(Refusal::Scope)
    }

    /// Whether answers tell how far the person is in episodes and chapters.
    pub fn sees_positions(&self) -> bool {
        self.scopes.has("user-read-playback-position")
    }

    /// Whether answers come in the reduced form of development mode.
    pub fn is_reduced(&self) -> bool {
        self.rules.mode == Mode::Development
    }
}

/// Admits a call or refuses it: token, body length, allow-list, owner, rate and quota, in this order.
pub async fn admit(State(world): State<Arc<World>>, mut request: Request, next: Next) -> Response {
    let (mut caller, who) = match identify(&world, request.headers()) {
        Ok(found) => found,
        Err(refusal) => return refusal.into_response(),
    };
    caller.unapplied = request.extensions().get::<Unapplied>().is_some();
    let mut reply = match may_pass(&world, &caller, &who, &request) {
        Err(refusal) => refusal.into_response(),
        Ok(()) => {
            caller.person.counts.calls.fetch_add(1, Ordering::Relaxed);
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
    };
    reply.extensions_mut().insert(who);
    reply
}

fn identify(world: &World, headers: &HeaderMap) -> Result<(Caller, Who), Refusal> {
    let value = headers.get(header::AUTHORIZATION).ok_or(Refusal::NoToken)?;
    let text = value.to_str().map_err(|_| Refusal::BadToken("Invalid access token"))?;
    let token = text.strip_prefix("Bearer ").ok_or(Refusal::BadToken("Invalid access token"))?;
    let access = world
        .grants
        .access
        .read(&TokenHash::of(token), Clone::clone)
        .filter(|access| !access.grant.is_revoked())
        .ok_or(Refusal::BadToken("Invalid access token"))?;
    if world.now() >= access.expires_at {
        return Err(Refusal::BadToken("The access token expired"));
    }
    let grant = &access.grant;
    let rules = grant.app.rules();
    let base = rules.links_base.clone().unwrap_or_else(|| format!("{}/v1", world.origin));
    let who = Who { user: Some(grant.person.id.clone()), app: grant.app.client_id.clone() };
    let caller = Caller { person: grant.person.clone(), rules, scopes: grant.scopes, base, unapplied: false };
    Ok((caller, who))
}

fn may_pass(world: &World, caller: &Caller, who: &Who, request: &Request) -> Result<(), Refusal> {
    let writes = [Method::PUT, Method::POST].contains(request.method());
    let has_length = request.headers().contains_key(header::CONTENT_LENGTH)
        || request.headers().contains_key(header::TRANSFER_ENCODING);
    if writes && !has_length {
        return Err(Refusal::LengthRequired);
    }
    let rules = &caller.rules;
    let listed = rules.allow_list.as_ref().is_none_or(|list| list.contains(&*caller.person.id));
    if rules.mode != Mode::Extended {
        if !listed || !caller.person.state().traits.allow_listed {
            return Err(Refusal::NotAllowListed { plain: rules.plain_text_refusals });
        }
        if !rules.owner_premium {
            return Err(Refusal::OwnerNotPremium);
        }
    }
    let Some(app) = world.app(&who.app) else { return Err(Refusal::BadToken("Invalid access token")) };
    world.limits.admit(&app, rules, request.uri().path(), world.now()).map_err(Refusal::Limited)
}
