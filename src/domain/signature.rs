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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::keys::{mac_holds, signing_key};

    /// The vector of docs/request-signing.md, computed by examples/signed_request.py.
    const KEY: &str = "smcp_WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpgvwfE";
    const COVERED: &str = "\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\"";
    const PARAMETERS: &str = ";created=1795233600;nonce=\"b3dl2kcpvgJTbOtGAcMxuQ\"\
        ;keyid=\"ak_0123456789abcdef0123456789abcdef\";alg=\"hmac-sha256\"";
    const SIGNATURE: &str = "sig=:F6Y54jvU2Diq0dgpoAsDmSVOuqt0FJMvSaWJa2i1ozc=:";
    const DIGEST: &str = "sha-256=:uendAwx8IfeVG+LGfE90zy73aWDnNViHtq+jPAdN9VM=:";

    fn now() -> Timestamp {
        Timestamp::from_secs(1_795_233_610)
    }

    /// Reads a request with these headers beside the vector's, which they replace.
    fn read_with(
        headers: &[(&str, &str)],
        query: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Signed>, Flaw> {
        let input = format!("sig=({COVERED}){PARAMETERS}");
        let usual =
            [("signature-input", input.as_str()), ("signature", SIGNATURE), ("content-digest", DIGEST)];
        let field = |name: &str| {
            let given: Vec<_> = headers.iter().filter(|(other, _)| *other == name).collect();
            let all = if given.is_empty() {
                usual.iter().filter(|(other, _)| *other == name).collect()
            } else {
                given
            };
            Some(all.iter().map(|(_, value)| (*value).to_owned()).collect())
        };
        let message = Message {
            method: "POST",
            scheme: "https",
            authority: "Music.Example:443",
            path: "/mcp",
            query,
            has_content: true,
            field: &field,
        };
        read(&message, now)
    }

    fn input(covered: &str, parameters: &str) -> Result<Option<Signed>, Flaw> {
        read_with(&[("signature-input", &format!("sig=({covered}){parameters}"))], Some("x=1"), now())
    }

    fn flaw(read: Result<Option<Signed>, Flaw>) -> Flaw {
        read.expect_err("it was accepted")
    }

    #[test]
    fn the_vector_of_the_documentation_holds() {
        let signed = read_with(&[], Some("x=1"), now()).unwrap().unwrap();
        assert_eq!(signed.key.as_str(), "ak_0123456789abcdef0123456789abcdef");
        assert_eq!(signed.nonce, "b3dl2kcpvgJTbOtGAcMxuQ");
        assert!(signed.base.starts_with(
            "\"@method\": POST\n\"@authority\": music.example\n\"@path\": /mcp\n\"@query\": ?x=1\n"
        ));
        assert!(mac_holds(&signing_key(KEY), signed.base.as_bytes(), &signed.mac));
        assert!(!mac_holds(&signing_key(&KEY.replace('W', "V")), signed.base.as_bytes(), &signed.mac));
        assert!(!mac_holds(&signing_key(KEY), signed.base.as_bytes(), &signed.mac[..31]));
        for other in [None, Some(""), Some("x=2"), Some("x=1&y")] {
            let signed = read_with(&[], other, now()).unwrap().unwrap();
            assert!(!mac_holds(&signing_key(KEY), signed.base.as_bytes(), &signed.mac), "{other:?}");
        }
    }

    #[test]
    fn what_must_be_covered_is_and_nothing_twice_or_unknown() {
        let covers = |covered: &str| input(covered, PARAMETERS);
        for enough in [
            COVERED,
            "\"@method\" \"@target-uri\" \"content-digest\"",
            "\"@method\" \"@authority\" \"@request-target\" \"content-digest\"",
        ] {
            assert!(covers(enough).is_ok(), "{enough}");
        }
        for without in ["@method", "@authority", "@path", "@query", "content-digest"] {
            let less = COVERED.replace(&format!("\"{without}\""), "");
            assert_eq!(flaw(covers(&less)), Flaw::Components, "{without}");
        }
        for more in [
            "\"@path\"",
            "\"@status\"",
            "\"@query-param\";name=\"x\"",
            "\"x-absent\"",
            "\"Content-Digest\"",
            "\"content-digest\";sf",
            "\"content-digest\";req",
            "content-digest",
            "1",
        ] {
            assert_eq!(flaw(covers(&format!("{COVERED} {more}"))), Flaw::Components, "{more}");
        }
        // No query, nothing to cover; and a query that is added later is noticed.
        let without = format!("sig=({}){PARAMETERS}", COVERED.replace("\"@query\"", ""));
        let read = |query| read_with(&[("signature-input", &without)], query, now());
        assert!(read(None).is_ok());
        assert_eq!(flaw(read(Some(""))), Flaw::Components);
        let many: String = (0..40).map(|n| format!(" \"x-{n}\"")).collect();
        assert_eq!(flaw(covers(&format!("{COVERED}{many}"))), Flaw::Components);
    }

    #[test]
    fn parameters_are_all_there_and_of_their_kind() {
        for (from, to) in [
            (";created=1795233600", ""),
            ("created=1795233600", "created=\"1795233600\""),
            ("created=1795233600", "created=1795233600.5"),
            (";nonce=\"b3dl2kcpvgJTbOtGAcMxuQ\"", ""),
            ("b3dl2kcpvgJTbOtGAcMxuQ", "short"),
            (";alg=\"hmac-sha256\"", ""),
            ("hmac-sha256", "rsa-v1_5-sha256"),
            ("hmac-sha256", "none"),
            (";alg", ";expires=x;alg"),
        ] {
            assert_eq!(flaw(input(COVERED, &PARAMETERS.replace(from, to))), Flaw::Parameters, "{to}");
        }
        let long = PARAMETERS.replace("b3dl2kcpvgJTbOtGAcMxuQ", &"n".repeat(129));
        assert_eq!(flaw(input(COVERED, &long)), Flaw::Parameters);
    }

    #[test]
    fn only_a_few_minutes_count() {
        let at = |secs: i64| read_with(&[], None, Timestamp::from_secs(1_795_233_600 + secs));
        assert!(at(-30).is_ok() && at(0).is_ok() && at(300).is_ok());
        assert_eq!(flaw(at(-31)), Flaw::Early);
        assert_eq!(flaw(at(301)), Flaw::Old);
        let ended = PARAMETERS.replace(";alg", ";expires=1795233610;alg");
        assert_eq!(flaw(input(COVERED, &ended)), Flaw::Old);
        assert!(input(COVERED, &PARAMETERS.replace(";alg", ";expires=1795233611;alg")).is_ok());
        let signed = at(0).unwrap().unwrap();
        assert!(signed.spent_until > Timestamp::from_secs(1_795_233_600 + 300), "longer than it is accepted");
    }

    #[test]
    fn headers_that_mean_two_things_are_refused() {
        let both = format!("sig=({COVERED}){PARAMETERS}, sig=({COVERED}){PARAMETERS}");
        let two = format!("sig=({COVERED}){PARAMETERS}, other=({COVERED}){PARAMETERS}");
        let one = format!("sig=({COVERED}){PARAMETERS}");
        for headers in [
            [("signature-input", both.as_str())].as_slice(),
            &[("signature-input", &one), ("signature-input", &one)],
            &[("signature-input", &two)],
            &[("signature", &format!("{SIGNATURE}, {SIGNATURE}"))],
            &[("signature", "other=:AAAA:")],
            &[("signature", "sig=AAAA")],
            &[("signature", "sig=:!:")],
            &[("signature", "")],
            &[("signature-input", "sig=(")],
            &[("signature", &"x".repeat(5000))],
        ] {
            assert_eq!(flaw(read_with(headers, None, now())), Flaw::Malformed, "{headers:?}");
        }
    }

    #[test]
    fn signatures_of_others_are_nobodys() {
        for input in [
            "bot=(\"@authority\");created=1795233600;keyid=\"poqkLGiymh_W0uP6PZFw\";tag=\"web-bot-auth\"",
            "sig=(\"@method\");created=1",
            "sig=1",
            "",
        ] {
            assert!(read_with(&[("signature-input", input)], None, now()).unwrap().is_none(), "{input}");
        }
        // Beside one of ours they do no harm.
        let beside = format!("sig=({COVERED}){PARAMETERS}, bot=(\"@authority\");keyid=\"x\"");
        assert!(read_with(&[("signature-input", &beside)], None, now()).unwrap().is_some());
    }

    #[test]
    fn a_digest_is_the_sha_256_of_the_body() {
        for digest in [
            "",
            "sha-512=:uendAwx8IfeVG+LGfE90zy73aWDnNViHtq+jPAdN9VM=:",
            "sha-256=uendAwx8",
            "sha-256=:uendAwx8:",
            "sha-256=:!:",
            "sha-256",
        ] {
            let read = read_with(&[("content-digest", digest)], None, now());
            assert_eq!(flaw(read), Flaw::Digest, "{digest}");
        }
        let twice = format!("{DIGEST}, {DIGEST}");
        assert_eq!(flaw(read_with(&[("content-digest", &twice)], None, now())), Flaw::Digest);
        let beside = format!("md5=:AAAA:, {DIGEST}");
        assert!(read_with(&[("content-digest", &beside)], None, now()).is_ok());
    }

    #[test]
    fn advice_fits_into_a_challenge() {
        for flaw in [
            Flaw::Unsigned,
            Flaw::Malformed,
            Flaw::Components,
            Flaw::Parameters,
            Flaw::Old,
            Flaw::Early,
            Flaw::Digest,
            Flaw::Wrong,
            Flaw::Replayed,
            Flaw::OtherBody,
        ] {
            let advice = flaw.advice();
            assert!(!advice.contains([',', '=', '"', '\\']) && advice.is_ascii(), "{advice}");
        }
    }

    proptest! {
        #[test]
        fn any_headers_are_judged_without_a_panic(
            input in "(sig=|[ -~]{0,10})\\PC{0,120}", signature in "\\PC{0,60}", digest in "\\PC{0,60}",
        ) {
            let headers = [("signature-input", &*input), ("signature", &signature), ("content-digest", &digest)];
            let _ = read_with(&headers, None, now());
        }

        #[test]
        fn nothing_random_in_the_list_of_components_is_taken_for_enough(covered in "[ -~]{0,80}") {
            if let Ok(Some(signed)) = input(&covered, PARAMETERS) {
                prop_assert!(signed.base.contains("\"@method\": POST\n") || signed.base.contains("@target-uri"));
            }
        }
    }
}
