//! HTTP message signatures of API keys (RFC 9421, hmac-sha256): what a signed request says, and whether that is enough.
//!
//! Everything up to the HMAC itself, which [`crate::crypto`] checks over [`Signed::base`]. Stricter than the RFC: one
//! signature of ours, no label twice, no component parameters. Never: input/output, the clock, keys.

use std::time::Duration;

use sfv::{BareItem, InnerList, ListEntry, ListSerializer, Parser};

use super::ApiKeyId;
use super::signature_fields::{Members, byte_sequence};
use crate::ambient::Timestamp;

/// How long after its creation a signature is accepted.
pub const WINDOW: Duration = Duration::from_secs(300);
/// How far a signer's clock may be ahead.
pub const AHEAD: Duration = Duration::from_secs(30);
/// How long beyond its window a nonce is remembered: nodes' clocks may differ by this.
const MARGIN: Duration = Duration::from_secs(60);

/// The nonce's length, in characters.
const NONCE: std::ops::RangeInclusive<usize> = 16..=128;
/// Most components that a signature may cover, and most bytes of each of its two headers.
const MOST_COMPONENTS: usize = 32;
const MOST_BYTES: usize = 4096;

/// The one algorithm (RFC 9421 section 3.3.3).
pub const ALGORITHM: &str = "hmac-sha256";

/// What a signature must cover, as the `Accept-Signature` header asks for it (RFC 9421 section 5.1).
pub const ACCEPTED: &str =
    "sig=(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\");created;alg=\"hmac-sha256\"";

/// A request as its signer sees it.
pub struct Message<'a> {
    /// `@method`.
    pub method: &'a str,
    /// `@scheme`: the public URL's.
    pub scheme: &'a str,
    /// The host that the request is for, as it was sent.
    pub authority: &'a str,
    /// `@path`, as it was sent.
    pub path: &'a str,
    /// What follows the question mark, where there is one.
    pub query: Option<&'a str>,
    /// Whether it brings content that is read.
    pub has_content: bool,
    /// The values of a field, in order; `None` where one is not visible ASCII.
    pub field: &'a dyn Fn(&str) -> Option<Vec<String>>,
}

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A key came without a signature where all must be signed.
    Unsigned,
    /// The headers cannot be read, or mean two things.
    Malformed,
    /// What must be covered is not, or what is covered is not there.
    Components,
    /// A parameter is missing or not of its kind.
    Parameters,
    /// Older than [`WINDOW`], or past its own `expires`.
    Old,
    /// Created more than [`AHEAD`] in the future.
    Early,
    /// No usable `Content-Digest`.
    Digest,
    /// No such key, or the HMAC is another.
    Wrong,
    /// The nonce was used before.
    Replayed,
    /// The body is another.
    OtherBody,
}

impl Flaw {
    /// The stable word of the trail.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unsigned => "signature_missing",
            Self::Malformed => "signature_malformed",
            Self::Components => "signature_components",
            Self::Parameters => "signature_parameters",
            Self::Old => "signature_expired",
            Self::Early => "signature_from_the_future",
            Self::Digest => "signature_digest",
            Self::Wrong => "signature_wrong",
            Self::Replayed => "signature_replayed",
            Self::OtherBody => "signature_body_changed",
        }
    }

    /// Whether it may be a stranger's try. Who proved a key has this one wrong alone, and an honest signer's clock may
    /// differ.
    pub const fn is_attempt(self) -> bool {
        !matches!(self, Self::Old | Self::Early | Self::Replayed | Self::OtherBody)
    }

    /// For the caller's developer, fit for a challenge: no commas, equals signs or quotation marks.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Unsigned => "API keys must sign requests here: send the id of the key and never the key",
            Self::Malformed => "The signature headers cannot be read or name something twice",
            Self::Components => {
                "The signature must cover @method and @authority and @path and content-digest and any @query"
            }
            Self::Parameters => "The signature needs created and nonce and keyid and alg hmac-sha256",
            Self::Old => "The signature is too old: sign each request anew",
            Self::Early => "The signature comes from the future: set the clock",
            Self::Digest => "The request needs a Content-Digest header with sha-256 of its body",
            Self::Wrong => "The key is unknown or has ended or the signature does not fit the request",
            Self::Replayed => "The nonce was used before: sign each request anew",
            Self::OtherBody => "The body is not the one that was signed",
        }
    }
}

/// A signed request, as far as can be told without the key.
#[derive(Debug)]
pub struct Signed {
    /// Whose key signed, it says.
    pub key: ApiKeyId,
    /// Used once.
    pub nonce: String,
    /// Until when the nonce must be remembered.
    pub spent_until: Timestamp,
    /// What was signed (RFC 9421 section 2.5).
    pub base: String,
    /// The HMAC that came with it.
    pub mac: Vec<u8>,
    /// The SHA-256 that the body must have (RFC 9530); `None` for requests without content.
    pub digest: Option<[u8; 32]>,
}

/// Reads the signature of an API key; `None` where no signature names one (others may sign for their own reasons).
///
/// # Errors
/// The [`Flaw`].
pub fn read(message: &Message<'_>, now: Timestamp) -> Result<Option<Signed>, Flaw> {
    let inputs = dictionary(message, "signature-input")?;
    let mut ours = inputs.into_iter().filter_map(|(label, entry)| match entry {
        ListEntry::InnerList(list) => key_of(&list).map(|key| (label, list, key)),
        ListEntry::Item(_) => None,
    });
    let Some((label, list, key)) = ours.next() else { return Ok(None) };
    if ours.next().is_some() {
        return Err(Flaw::Malformed);
    }
    let signatures = dictionary(message, "signature")?;
    let signature = signatures.into_iter().find(|(other, _)| *other == label).ok_or(Flaw::Malformed)?;
    let mac = byte_sequence(&signature.1).ok_or(Flaw::Malformed)?.to_vec();
    let (nonce, created) = parameters(&list, now)?;
    let base = base(message, &list)?;
    let digest = if message.has_content { Some(digest(message)?) } else { None };
    Ok(Some(Signed { key, nonce, spent_until: created.plus(WINDOW).plus(MARGIN), base, mac, digest }))
}

fn dictionary(message: &Message<'_>, name: &str) -> Result<Vec<(String, ListEntry)>, Flaw> {
    let lines = (message.field)(name).ok_or(Flaw::Malformed)?;
    let text = lines.join(", ");
    if text.len() > MOST_BYTES {
        return Err(Flaw::Malformed);
    }
    Parser::new(&text).parse_dictionary_with_visitor(Members::default()).map_err(|_| Flaw::Malformed)
}

fn key_of(list: &InnerList) -> Option<ApiKeyId> {
    text(list, "keyid")?.parse().ok()
}

fn text<'a>(list: &'a InnerList, name: &str) -> Option<&'a str> {
    match list.params.get(name)? {
        BareItem::String(text) => Some(text.as_str()),
        _ => None,
    }
}

/// The nonce and the instant of creation, judged.
fn parameters(list: &InnerList, now: Timestamp) -> Result<(String, Timestamp), Flaw> {
    let instant = |name: &str| match list.params.get(name) {
        None => Ok(None),
        Some(BareItem::Integer(secs)) => Ok(Some(Timestamp::from_secs(i64::from(*secs)))),
        Some(_) => Err(Flaw::Parameters),
    };
    let (created, expires) = (instant("created")?.ok_or(Flaw::Parameters)?, instant("expires")?);
    let nonce = text(list, "nonce").filter(|nonce| NONCE.contains(&nonce.len())).ok_or(Flaw::Parameters)?;
    if text(list, "alg") != Some(ALGORITHM) {
        return Err(Flaw::Parameters);
    }
    if created > now.plus(AHEAD) {
        return Err(Flaw::Early);
    }
    if created.plus(WINDOW) < now || expires.is_some_and(|end| end <= now) {
        return Err(Flaw::Old);
    }
    Ok((nonce.to_owned(), created))
}

/// The signature base: each covered component on a line, the parameters last.
fn base(message: &Message<'_>, list: &InnerList) -> Result<String, Flaw> {
    if list.items.len() > MOST_COMPONENTS {
        return Err(Flaw::Components);
    }
    let mut covered: Vec<&str> = Vec::new();
    let mut base = String::new();
    for item in &list.items {
        let BareItem::String(name) = &item.bare_item else { return Err(Flaw::Components) };
        if !item.params.is_empty() || covered.contains(&name.as_str()) {
            return Err(Flaw::Components);
        }
        base += &format!("\"{}\": {}\n", name.as_str(), value(message, name.as_str())?);
        covered.push(name.as_str());
    }
    if !is_enough(message, &covered) {
        return Err(Flaw::Components);
    }
    let mut line = ListSerializer::new();
    let mut inner = line.inner_list();
    inner.items(&list.items);
    let _whole = inner.finish().parameters(&list.params);
    base += &format!("\"@signature-params\": {}", line.finish().unwrap_or_default());
    Ok(base)
}

/// Method, host, path, query and body cannot change without the signature noticing.
fn is_enough(message: &Message<'_>, covered: &[&str]) -> bool {
    let has = |name: &str| covered.contains(&name);
    let whole = has("@target-uri");
    let target = has("@request-target");
    let query = message.query.is_none() || has("@query") || target || whole;
    let content = !message.has_content || has("content-digest");
    has("@method") && (has("@authority") || whole) && (has("@path") || target || whole) && query && content
}

/// The value of a component (RFC 9421 sections 2.1 and 2.2).
fn value(message: &Message<'_>, name: &str) -> Result<String, Flaw> {
    let query = message.query.map(|query| format!("?{query}"));
    Ok(match name {
        "@method" => message.method.to_owned(),
        "@scheme" => message.scheme.to_owned(),
        "@authority" => authority(message),
        "@path" => message.path.to_owned(),
        "@query" => query.unwrap_or_else(|| "?".to_owned()),
        "@request-target" => format!("{}{}", message.path, query.unwrap_or_default()),
        "@target-uri" => {
            let query = query.unwrap_or_default();
            format!("{}://{}{}{query}", message.scheme, authority(message), message.path)
        }
        name if name.starts_with('@') || name.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            return Err(Flaw::Components);
        }
        name => {
            let lines = (message.field)(name).filter(|lines| !lines.is_empty()).ok_or(Flaw::Components)?;
            lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(", ")
        }
    })
}

/// In lower case, without the scheme's own port (RFC 9421 section 2.2.3).
fn authority(message: &Message<'_>) -> String {
    let authority = message.authority.to_ascii_lowercase();
    let own_port = if message.scheme == "https" { ":443" } else { ":80" };
    authority.strip_suffix(own_port).map(str::to_owned).unwrap_or(authority)
}

/// The SHA-256 of `Content-Digest` (RFC 9530 section 2); digests by other algorithms may stand beside it.
fn digest(message: &Message<'_>) -> Result<[u8; 32], Flaw> {
    let members = dictionary(message, "content-digest").map_err(|_| Flaw::Digest)?;
    let sha256 = members.iter().find(|(name, _)| name == "sha-256");
    let bytes = sha256.and_then(|(_, entry)| byte_sequence(entry));
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(Flaw::Digest)
}

#[cfg(test)]
mod tests;
