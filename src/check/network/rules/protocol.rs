//! What a live server answers to calls without a right to them, under other names, from other origins; discovery.

use serde_json::{Value, json};
use url::Url;

use super::{flawless, living, unanswered};
use crate::check::finding::{State, Verdict};
use crate::check::network::Facts;
use crate::check::network::live::{Live, Refusal};
use crate::check::network::web::Reply;
use crate::check::rule::Ground;

/// SMC3004: without a good token 401, with the way to one.
pub(super) fn challenge(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    living(facts, |source, live| {
        let asked = live.refused();
        if let Some(verdict) = unanswered(&source, &asked.map(|(what, reply, _)| (what, reply))) {
            return vec![verdict];
        }
        let mut flaws = Vec::new();
        for (what, reply, presented) in
            asked.iter().filter_map(|(what, reply, presented)| Some((what, reply.as_ref().ok()?, presented)))
        {
            flaws.extend(
                refusal_flaws(live, reply, *presented).into_iter().map(|flaw| format!("{what}: {flaw}")),
            );
        }
        let verdict = flawless(
            source,
            &flaws,
            "401 with the resource's metadata: no token, one invented, unsigned, for another server, past its time or in the address; GET, DELETE and PUT without a token are refused",
        );
        // What is served under another name than it was asked for is no fault of its tokens.
        vec![match calls_itself(live) {
            Some(origin) if verdict.state == State::Fail => verdict.mended_by(format!(
                "the server calls itself {origin}: ask for it there (--live {origin}), or set server.public_url to where it is; then look again"
            )),
            _ => verdict,
        }]
    })
}

/// The origin that a challenge names, where it is another than was asked and every answer is 401 otherwise.
fn calls_itself(live: &Live) -> Option<String> {
    let all =
        [&live.anonymous, &live.invented, &live.unsigned, &live.foreign, &live.expired, &live.in_address];
    if !all.iter().all(|reply| reply.as_ref().is_ok_and(|reply| reply.status == 401)) {
        return None;
    }
    let challenge = live.anonymous.as_ref().ok()?.header("www-authenticate")?;
    let metadata = challenge.split("resource_metadata=\"").nth(1)?.split('"').next()?;
    let origin = Url::parse(metadata).ok()?.origin().ascii_serialization();
    (origin != live.origin && origin != "null").then_some(origin)
}

fn refusal_flaws(live: &Live, reply: &Reply, refusal: Refusal) -> Vec<String> {
    match refusal {
        // That a method is not there at all is a refusal too.
        Refusal::OfMethod if matches!(reply.status, 403..=405 | 501) => Vec::new(),
        Refusal::OfMethod | Refusal::Missing => challenge_flaws(live, reply, false),
        Refusal::Presented => challenge_flaws(live, reply, true),
    }
}

fn challenge_flaws(live: &Live, reply: &Reply, presented: bool) -> Vec<String> {
    if reply.status != 401 {
        return vec![format!("answered {}", reply.status)];
    }
    let challenge = reply.header("www-authenticate").unwrap_or_default();
    let metadata = format!("resource_metadata=\"{}/.well-known/oauth-protected-resource", live.origin);
    let mut flaws = Vec::new();
    if !challenge.contains(&metadata) {
        flaws.push("the challenge names no metadata of this server".to_owned());
    }
    if presented != challenge.contains("error=\"invalid_token\"") {
        flaws.push("the challenge does not tell a missing token from a bad one".to_owned());
    }
    flaws
}

/// SMC4018: names that are not ours and pages of other origins get nowhere.
pub(super) fn hosts_and_origins(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    living(facts, |source, live| {
        let host = match &live.other_host {
            Err(unseen) => Verdict::error(source.clone(), unseen.why.clone()),
            // A proxy that does not know the name may answer for itself.
            Ok(reply) if matches!(reply.status, 400 | 403 | 404 | 421) => {
                Verdict::pass(source.clone(), format!("another host's name is answered {}", reply.status))
            }
            Ok(reply) => {
                Verdict::fail(source.clone(), format!("another host's name is answered {}", reply.status))
            }
        };
        let origin = match &live.other_origin {
            Err(unseen) => Verdict::error(source, unseen.why.clone()),
            Ok(reply) if reply.status == 403 => {
                Verdict::pass(source, "a call from another origin is answered 403")
            }
            // The same without the origin: nothing shows that anybody looked at it.
            Ok(reply) if reply.status == 401 => Verdict::fail(
                source,
                "a call from another origin is answered 401, as one without an origin: only its credential was looked at",
            ),
            Ok(reply) => {
                Verdict::fail(source, format!("a call from another origin is answered {}", reply.status))
            }
        };
        vec![host.about("host"), origin.about("origin")]
    })
}

/// SMC4012: the discovery documents say who the server is, and what it can do safely.
pub(super) fn discovery(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    living(facts, |source, live| {
        let asked = [
            ("the resource's metadata", &live.resource),
            ("the authorization server's metadata", &live.metadata),
        ];
        if let Some(verdict) = unanswered(&source, &asked) {
            return vec![verdict];
        }
        let (resource, server) = (document(&live.resource), document(&live.metadata));
        let mut flaws = Vec::new();
        match &resource {
            None => flaws.push("the resource's metadata is no JSON answered 200".to_owned()),
            Some(document) => flaws.extend(resource_flaws(document, &live.origin)),
        }
        match &server {
            None => flaws.push("the authorization server's metadata is no JSON answered 200".to_owned()),
            Some(document) => flaws.extend(server_flaws(document, &live.origin)),
        }
        vec![flawless(source, &flaws, "both documents name this origin, S256 alone and no implicit grant")]
    })
}

fn document(reply: &Result<Reply, crate::check::finding::Unseen>) -> Option<Value> {
    let reply = reply.as_ref().ok().filter(|reply| reply.status == 200)?;
    let kind = reply.header("content-type").unwrap_or_default();
    serde_json::from_str(&reply.body).ok().filter(|_| kind.starts_with("application/json"))
}

fn resource_flaws(document: &Value, origin: &str) -> Vec<String> {
    let mut flaws = Vec::new();
    let resource = document["resource"].as_str().unwrap_or_default();
    if resource != origin && !resource.starts_with(&format!("{origin}/")) {
        flaws.push("the resource is of another origin".to_owned());
    }
    if document["authorization_servers"] != json!([origin]) {
        flaws.push("this origin is not the one authorization server".to_owned());
    }
    let methods = &document["bearer_methods_supported"];
    if !methods.is_null() && *methods != json!(["header"]) {
        flaws.push("tokens are taken from elsewhere than the header".to_owned());
    }
    flaws.extend(strangers(document, origin));
    flaws
}

fn server_flaws(document: &Value, origin: &str) -> Vec<String> {
    let mut flaws = Vec::new();
    if document["issuer"] != origin {
        flaws.push("the issuer is not this origin".to_owned());
    }
    for endpoint in ["authorization_endpoint", "token_endpoint"] {
        if document[endpoint].is_null() {
            flaws.push(format!("{endpoint} is missing"));
        }
    }
    flaws.extend(strangers(document, origin));
    // What it says would outrank the rest (RFC 8414 section 2.1), and is not ours.
    if !document["signed_metadata"].is_null() {
        flaws.push("signed metadata outranks what is said".to_owned());
    }
    if document["code_challenge_methods_supported"] != json!(["S256"]) {
        flaws.push("PKCE is not S256 alone".to_owned());
    }
    if document["response_types_supported"] != json!(["code"]) {
        flaws.push("the response type is not code alone".to_owned());
    }
    // Left out it would mean query and fragment (RFC 8414 section 2).
    if document["response_modes_supported"] != json!(["query"]) {
        flaws.push("the response mode is not query alone".to_owned());
    }
    // Left out it would mean authorization_code and implicit.
    let grants = document["grant_types_supported"].as_array().map(Vec::as_slice).unwrap_or_default();
    if grants.is_empty()
        || !grants.iter().all(|grant| grant == "authorization_code" || grant == "refresh_token")
    {
        flaws.push(
            "a grant is offered that OAuth 2.1 has done away with, or that this server has not".to_owned(),
        );
    }
    flaws
}

/// Addresses of a document to which clients send secrets, or from which they take keys, that are not below this origin;
/// with those inside of its members, such as `mtls_endpoint_aliases`.
fn strangers(document: &Value, origin: &str) -> Vec<String> {
    let below = format!("{origin}/");
    let is_asked = |name: &str| name.ends_with("_endpoint") || name == "jwks_uri";
    let is_below = |at: &str| at.starts_with(&below);
    let mut found = Vec::new();
    for (name, value) in document.as_object().into_iter().flatten() {
        match value {
            _ if is_asked(name) && !value.as_str().is_some_and(is_below) => {
                found.push(format!("{name} is of another origin"));
            }
            Value::String(at) if leads_to_code(at) => found.push(format!("{name} is no address of the web")),
            Value::Object(_) => found.extend(
                addresses(value, name)
                    .into_iter()
                    .filter(|(_, at)| !is_below(at) && *at != origin)
                    .map(|(path, _)| format!("{path} is of another origin")),
            ),
            _ => {}
        }
    }
    found
}

fn leads_to_code(at: &str) -> bool {
    Url::parse(at).is_ok_and(|url| matches!(url.scheme(), "javascript" | "data" | "vbscript" | "file"))
}

/// Every address inside of a value, with where it stands.
fn addresses<'a>(value: &'a Value, path: &str) -> Vec<(String, &'a str)> {
    match value {
        Value::String(at) if Url::parse(at).is_ok_and(|url| !url.cannot_be_a_base()) => {
            vec![(path.to_owned(), at.as_str())]
        }
        Value::Array(all) => all.iter().flat_map(|one| addresses(one, path)).collect(),
        Value::Object(members) => {
            members.iter().flat_map(|(name, one)| addresses(one, &format!("{path}.{name}"))).collect()
        }
        _ => Vec::new(),
    }
}
