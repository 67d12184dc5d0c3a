//! Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document): which `client_id` is the URL of one, and
//! what one may say. Pure; never fetches, and never echoes what it refused.

mod url;

use serde_json::{Map, Value};

use super::client::{AuthMethod, ClientMetadata, Registration, RegistrationError, clean_name, register};
use super::redirect::RedirectUri;
use super::strict_json;

pub use self::url::{DocumentUrl, NotADocumentUrl};

/// Largest document, in bytes (section 6.6 recommends 5 kB).
pub const LARGEST: usize = 5 * 1024;

/// How deep a document may be nested: `jwks`, which nothing here reads, is four levels deep.
const DEEPEST: usize = 8;

/// Why a document is not accepted. Stable, and without a word of the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Over [`LARGEST`].
    #[error("it is larger than 5120 bytes")]
    TooLarge,
    /// No JSON object, a member twice, nested too deeply, or a member of the wrong type.
    #[error("it is not a JSON object of client metadata")]
    NotMetadata,
    /// `client_id` is not, character by character, the URL that it was fetched from (section 4.1).
    #[error("its client_id is not its own URL")]
    NotItself,
    /// A member whose name begins with `client_secret` (section 4.1): a published secret is none.
    #[error("it holds a client secret")]
    Secret,
    /// No `client_name`, or none of visible characters.
    #[error("it has no client_name")]
    NoName,
    /// `redirect_uris` is missing, too long, or holds none that is accepted here.
    #[error("it has no redirect URI that is accepted here")]
    NoRedirect,
    /// Every authentication method that it offers needs something that we do not take (section 4.1).
    #[error("it does not offer the token endpoint authentication method none")]
    AuthMethod,
    /// `grant_types` or `response_types` without the code flow.
    #[error("it does not offer the authorization code flow")]
    Flow,
}

impl DocumentError {
    /// A stable code for the log.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NotMetadata => "not_metadata",
            Self::NotItself => "not_itself",
            Self::Secret => "secret",
            Self::NoName => "no_name",
            Self::NoRedirect => "no_redirect",
            Self::AuthMethod => "auth_method",
            Self::Flow => "flow",
        }
    }
}

/// Judges the document that was fetched from `url`. Redirect URIs that we do not accept are left out (a document is
/// written for every server); what is left is what an authorization may name. The client is always public.
///
/// # Errors
/// The first rule that it breaks.
pub fn judge(url: &DocumentUrl, body: &[u8]) -> Result<ClientMetadata, DocumentError> {
    if body.len() > LARGEST {
        return Err(DocumentError::TooLarge);
    }
    let members = strict_json::object(body, DEEPEST).ok_or(DocumentError::NotMetadata)?;
    if members.get("client_id").and_then(Value::as_str) != Some(url.id().as_str()) {
        return Err(DocumentError::NotItself);
    }
    if members.keys().any(|name| name.starts_with("client_secret")) {
        return Err(DocumentError::Secret);
    }
    offers_none(&members)?;
    let name = text(&members, "client_name")?.ok_or(DocumentError::NoName)?;
    if clean_name(&name).is_none() {
        return Err(DocumentError::NoName);
    }
    let request = Registration {
        redirect_uris: Some(accepted_redirects(&members)?),
        client_name: Some(name),
        token_endpoint_auth_method: Some(AuthMethod::None.name().to_owned()),
        grant_types: texts(&members, "grant_types")?,
        response_types: texts(&members, "response_types")?,
        scope: text(&members, "scope")?,
        ..Registration::default()
    };
    register(&request).map_err(|error| match error {
        RegistrationError::RedirectCount | RegistrationError::Redirect(..) => DocumentError::NoRedirect,
        _ => DocumentError::Flow,
    })
}

/// Whether the client can be public. Saying nothing is offering it: RFC 7591's default is a shared secret, which a
/// document cannot have. One that prefers `private_key_jwt` may list `none` beside it.
fn offers_none(members: &Map<String, Value>) -> Result<(), DocumentError> {
    let preferred = text(members, "token_endpoint_auth_method")?;
    let supported = texts(members, "token_endpoint_auth_methods_supported")?;
    if preferred.as_deref().is_some_and(|method| method.starts_with("client_secret")) {
        return Err(DocumentError::AuthMethod);
    }
    let lists_none = supported.as_ref().is_some_and(|methods| methods.iter().any(|method| method == "none"));
    match (preferred.as_deref(), supported) {
        (Some("none"), _) | (None, None) => Ok(()),
        _ if lists_none => Ok(()),
        _ => Err(DocumentError::AuthMethod),
    }
}

fn accepted_redirects(members: &Map<String, Value>) -> Result<Vec<String>, DocumentError> {
    let listed = texts(members, "redirect_uris")?.ok_or(DocumentError::NoRedirect)?;
    let accepted: Vec<_> = listed.into_iter().filter(|uri| RedirectUri::parse(uri).is_ok()).collect();
    if accepted.is_empty() { Err(DocumentError::NoRedirect) } else { Ok(accepted) }
}

/// A member that is text; absent and `null` are the same.
fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, DocumentError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(DocumentError::NotMetadata),
    }
}

fn texts(members: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, DocumentError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or(DocumentError::NotMetadata))
            .collect::<Result<_, _>>()
            .map(Some),
        Some(_) => Err(DocumentError::NotMetadata),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::ClientId;

    const URL: &str = "https://client.example/oauth/client.json";

    fn url() -> DocumentUrl {
        DocumentUrl::parse(&ClientId::parse(URL).unwrap()).unwrap()
    }

    fn document() -> Value {
        json!({
            "client_id": URL,
            "client_name": "A client",
            "redirect_uris": ["https://client.example/cb", "http://127.0.0.1/callback"],
        })
    }

    fn judged(document: &Value) -> Result<ClientMetadata, DocumentError> {
        judge(&url(), document.to_string().as_bytes())
    }

    fn with(name: &str, value: Value) -> Result<ClientMetadata, DocumentError> {
        let mut document = document();
        document[name] = value;
        judged(&document)
    }

    #[test]
    fn a_plain_document_is_a_public_client() {
        let kept = judged(&document()).unwrap();
        assert_eq!((kept.name.as_str(), kept.auth_method), ("A client", AuthMethod::None));
        assert_eq!(kept.redirect_uris.len(), 2);
        assert_eq!(kept.grant_types, ["authorization_code", "refresh_token"]);
    }

    #[test]
    fn it_names_itself_by_every_character() {
        for id in [
            json!(null),
            json!(1),
            json!("https://client.example/oauth/client.json/"),
            json!(URL.to_uppercase()),
        ] {
            assert_eq!(with("client_id", id.clone()).unwrap_err(), DocumentError::NotItself, "{id}");
        }
        assert_eq!(judged(&json!({})).unwrap_err(), DocumentError::NotItself);
    }

    #[test]
    fn none_is_negotiated_and_nothing_else_is() {
        let methods = |preferred: Value, supported: Value| {
            let mut document = document();
            document["token_endpoint_auth_method"] = preferred;
            document["token_endpoint_auth_methods_supported"] = supported;
            judged(&document).map(|kept| kept.auth_method)
        };
        let null = || json!(null);
        for (preferred, supported) in [
            (null(), null()),
            (json!("none"), null()),
            (json!("private_key_jwt"), json!(["private_key_jwt", "none"])),
            (null(), json!(["private_key_jwt", "none"])),
            (json!("none"), json!(["private_key_jwt"])),
        ] {
            assert_eq!(
                methods(preferred.clone(), supported.clone()),
                Ok(AuthMethod::None),
                "{preferred} {supported}"
            );
        }
        for (preferred, supported) in [
            (json!("client_secret_basic"), null()),
            (json!("client_secret_post"), json!(["none"])),
            (json!("client_secret_jwt"), null()),
            (json!("private_key_jwt"), null()),
            (json!("tls_client_auth"), null()),
            (null(), json!(["private_key_jwt"])),
            (null(), json!([])),
        ] {
            let refused = methods(preferred.clone(), supported.clone());
            assert_eq!(refused, Err(DocumentError::AuthMethod), "{preferred} {supported}");
        }
    }

    #[test]
    fn secrets_are_refused_whatever_they_hold() {
        for name in ["client_secret", "client_secret_expires_at", "client_secret#de"] {
            for value in [json!("s"), json!(0), json!(null)] {
                assert_eq!(with(name, value).unwrap_err(), DocumentError::Secret, "{name}");
            }
        }
    }

    #[test]
    fn names_redirects_and_grants_are_judged() {
        assert_eq!(with("client_name", json!(null)).unwrap_err(), DocumentError::NoName);
        assert_eq!(with("client_name", json!("\u{202e}\u{200b} ")).unwrap_err(), DocumentError::NoName);
        assert_eq!(with("client_name", json!("a\u{202e}b")).unwrap().name, "ab");
        let redirects = |uris: Value| with("redirect_uris", uris).map(|kept| kept.redirect_uris.len());
        assert_eq!(redirects(json!(["javascript:alert(1)", "https://client.example/cb"])), Ok(1));
        assert_eq!(
            redirects(json!(["vscode://x/y", "http://client.example/cb"])),
            Err(DocumentError::NoRedirect)
        );
        assert_eq!(redirects(json!([])), Err(DocumentError::NoRedirect));
        assert_eq!(redirects(json!(null)), Err(DocumentError::NoRedirect));
        assert_eq!(redirects(json!(["https://client.example/cb", 1])), Err(DocumentError::NotMetadata));
        assert_eq!(redirects(json!(vec!["https://client.example/cb"; 17])), Err(DocumentError::NoRedirect));
        let grants = |kinds: Value| with("grant_types", kinds).map(|kept| kept.grant_types);
        let device = "urn:ietf:params:oauth:grant-type:device_code";
        assert_eq!(grants(json!(["authorization_code", device])), Ok(vec!["authorization_code"]));
        assert_eq!(grants(json!([device])), Err(DocumentError::Flow));
        assert_eq!(with("response_types", json!(["token"])).unwrap_err(), DocumentError::Flow);
    }

    #[test]
    fn no_two_readings_and_no_depth() {
        let judge = |text: &str| judge(&url(), text.as_bytes()).unwrap_err();
        let twice = document().to_string().replacen('{', &format!("{{\"client_id\":\"{URL}\","), 1);
        let deep =
            document().to_string().replacen('{', &format!("{{\"x\":{}1{},", "[".repeat(9), "]".repeat(9)), 1);
        let long = document().to_string() + &" ".repeat(LARGEST);
        assert_eq!(judge(&twice), DocumentError::NotMetadata);
        assert_eq!(judge(&deep), DocumentError::NotMetadata);
        assert_eq!(judge(&long), DocumentError::TooLarge);
        for text in ["", "[]", "null", "<html>", "\u{feff}{}", "{}{}"] {
            assert_eq!(judge(text), DocumentError::NotMetadata, "{text}");
        }
        assert_eq!(with("client_name", json!(["A"])).unwrap_err(), DocumentError::NotMetadata);
    }

    proptest! {
        #[test]
        fn any_body_is_judged_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(judge(&url(), &body).is_err());
        }
    }
}
