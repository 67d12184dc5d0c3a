//! Requests that an API key signed (RFC 9421): whose they are, each once. The key itself never comes along.

use http::header;
use http::request::Parts;

use crate::app::{KnownKey, Refused};
use crate::crypto::keys::mac_holds;
use crate::crypto::token::TokenHash;
use crate::domain::event::EventCode;
use crate::domain::signature::{self, Flaw, Message, Signed};
use crate::domain::{ApiKeyId, ClientId};
use crate::failure::Failure;
use crate::mcp::ExpectedDigest;
use crate::oauth::{Visitor, refusals};
use crate::store::Spent;
use crate::telemetry::metrics::Figure;

use super::protocol::{Denied, Proof, Proven, TELL_EVERY, caller_of, event, refused};
use super::{Http, layers, limited};

/// Most nonces of one key that are remembered at once: some 55 requests a second, for as long as they count.
const MOST_NONCES: i64 = 20_000;

/// Who signed; `None` where no signature names an API key.
pub(super) async fn by_signature(
    http: &Http,
    request: &Parts,
    visitor: &Visitor,
) -> Result<Option<Proven>, Denied> {
    if !request.headers.contains_key("signature-input") {
        return Ok(None);
    }
    let signed = match read(http, request) {
        Ok(Some(signed)) => signed,
        Ok(None) => return Ok(None),
        Err(flaw) => return Err(flawed(http, visitor, flaw, None).await),
    };
    if !http.app.config.auth.api_keys {
        return Err(refused(http, visitor, "api_keys_off").await);
    }
    let key = match verified(http, &signed).await {
        Ok(key) => key,
        Err(Refused::Invalid | Refused::Over | Refused::Expired) => {
            return Err(flawed(http, visitor, Flaw::Wrong, Some(&signed.key)).await);
        }
        Err(Refused::Unavailable(failure)) => return Err(unavailable(&failure)),
    };
    spend(http, visitor, &signed).await?;
    http.app.api_keys.note_use(&key, http.app.now());
    Ok(Some(Proven {
        caller: caller_of(&key.grant, visitor),
        proof: Proof::Signer(signed.key),
        digest: signed.digest.map(ExpectedDigest),
    }))
}

/// What the request says, as far as can be told without the key.
fn read(http: &Http, request: &Parts) -> Result<Option<Signed>, Flaw> {
    let headers = &request.headers;
    let field = |name: &str| {
        let values = headers.get_all(name).into_iter();
        values.map(|value| value.to_str().ok().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    let message = Message {
        method: request.method.as_str(),
        scheme: if http.site.https() { "https" } else { "http" },
        authority: layers::authority_of(&request.uri, headers).ok_or(Flaw::Malformed)?,
        path: request.uri.path(),
        query: request.uri.query(),
        has_content: request.method == http::Method::POST
            || headers.contains_key(header::TRANSFER_ENCODING)
            || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0"),
        field: &field,
    };
    signature::read(&message, http.app.now())
}

/// The key that signed this very request.
async fn verified(http: &Http, signed: &Signed) -> Result<std::sync::Arc<KnownKey>, Refused> {
    let app = &http.app;
    let known = app.api_keys.signer(&signed.key, (&app.store, &app.revocation, &app.keys), app.now()).await?;
    let holds = known.signing.as_ref().is_some_and(|key| mac_holds(key, signed.base.as_bytes(), &signed.mac));
    if holds { Ok(known) } else { Err(Refused::Invalid) }
}

/// Uses the nonce up. It is spent by whatever presents it under a good signature, also where the body then differs.
async fn spend(http: &Http, visitor: &Visitor, signed: &Signed) -> Result<(), Denied> {
    let nonce = TokenHash::of(&signed.nonce);
    let spent = http.app.store.spend_nonce(&signed.key, nonce, signed.spent_until, MOST_NONCES).await;
    match spent.map_err(|failure| unavailable(&failure))? {
        Spent::Fresh => Ok(()),
        Spent::Before => Err(flawed(http, visitor, Flaw::Replayed, Some(&signed.key)).await),
        Spent::TooMany => {
            if http.app.limits.is_news(&TokenHash::of(signed.key.as_str()), TELL_EVERY) {
                let event = event(EventCode::ExcessRateLimitExceeded, visitor).subject(signed.key.as_str());
                http.app.audit.note(event.because("signature_nonces")).await;
            }
            Err(Denied::TooMany)
        }
    }
}

/// Tells the trail why, as often as it may grow by one address, and the caller as much as helps an honest one. What may
/// be a guess counts as one.
pub(super) async fn flawed(http: &Http, visitor: &Visitor, flaw: Flaw, key: Option<&ApiKeyId>) -> Denied {
    if flaw.is_attempt() {
        let client = key.cloned().map(ClientId::from);
        return match limited::attempt_failed(http, visitor, flaw.reason(), client.as_ref()).await {
            Some(limited) => Denied::Limited(limited),
            None => Denied::Signature(flaw),
        };
    }
    Figure::InvalidToken.count();
    let event = event(EventCode::AuthenticationFailure, visitor).because(flaw.reason());
    let event = match key {
        Some(key) => event.subject(key.as_str()),
        None => event,
    };
    refusals::note(&http.app, visitor, event).await;
    Denied::Signature(flaw)
}

fn unavailable(failure: &Failure) -> Denied {
    tracing::error!(cause = failure.chain(), "a signature cannot be checked");
    Denied::Unavailable
}
