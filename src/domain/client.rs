//! OAuth clients: what a registration may say (RFC 7591), and what of it we keep.

use serde::{Deserialize, Serialize};

use super::ScopeSet;
use super::redirect::{RedirectError, RedirectUri};

/// Most redirect URIs of one client.
const MOST_REDIRECTS: usize = 16;

/// Longest client name kept, in characters.
const LONGEST_NAME: usize = 100;

/// A registration request. Members that we do not know are ignored (RFC 7591 section 2); `null` counts as absent.
#[derive(Debug, Default, Deserialize)]
pub struct Registration {
    /// `redirect_uris`, required.
    #[serde(default)]
    pub redirect_uris: Option<Vec<String>>,
    /// `client_name`, shown as a claim.
    #[serde(default)]
    pub client_name: Option<String>,
    /// `token_endpoint_auth_method`.
    #[serde(default)]
    pub token_endpoint_auth_method: Option<String>,
    /// `grant_types`, intersected with ours.
    #[serde(default)]
    pub grant_types: Option<Vec<String>>,
    /// `response_types`, which must hold `code` where given.
    #[serde(default)]
    pub response_types: Option<Vec<String>>,
    /// `scope`, narrowed to ours.
    #[serde(default)]
    pub scope: Option<String>,
}

impl Registration {
    /// Reads a request's body; `None` where it is no JSON object of such members. An array is none, although serde
    /// would fill the members from it in their order.
    pub fn read(body: &[u8]) -> Option<Self> {
        let first = body.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        if first != Some(&b'{') {
            return None;
        }
        serde_json::from_slice(body).ok()
    }
}

/// How a client proves itself at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// A public client: PKCE only.
    None,
    /// Secret in the form body.
    ClientSecretPost,
    /// Secret by HTTP Basic.
    ClientSecretBasic,
}

impl AuthMethod {
    /// The name in RFC 7591.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretPost => "client_secret_post",
            Self::ClientSecretBasic => "client_secret_basic",
        }
    }

    /// The method of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::None, Self::ClientSecretPost, Self::ClientSecretBasic]
            .into_iter()
            .find(|method| method.name() == name)
    }
}

/// What we keep of an accepted registration.
#[derive(Clone, Debug)]
pub struct ClientMetadata {
    /// The name that the client claims, cleaned; never empty.
    pub name: String,
    /// At least one.
    pub redirect_uris: Vec<RedirectUri>,
    /// How it authenticates.
    pub auth_method: AuthMethod,
    /// The scopes it may ask for.
    pub scopes: ScopeSet,
    /// `authorization_code`, and `refresh_token` where asked for or nothing was said.
    pub grant_types: Vec<&'static str>,
}

/// Why a registration is refused (RFC 7591 section 3.2.2). Carries the caller's own text only where it was proven harmless.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// `invalid_redirect_uri`, with the position of the culprit so that a set is not refused mutely.
    #[error("redirect_uris[{0}]: {1}")]
    Redirect(usize, RedirectError),
    /// `invalid_redirect_uri`: none or too many.
    #[error("redirect_uris must hold 1 to 16 URIs")]
    RedirectCount,
    /// `invalid_client_metadata`.
    #[error("{0}")]
    Metadata(&'static str),
}

impl RegistrationError {
    /// The error code of RFC 7591.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Redirect(..) | Self::RedirectCount => "invalid_redirect_uri",
            Self::Metadata(_) => "invalid_client_metadata",
        }
    }
}

/// Judges a registration.
pub fn register(request: &Registration) -> Result<ClientMetadata, RegistrationError> {
    let uris = request.redirect_uris.as_deref().unwrap_or_default();
    if uris.is_empty() || uris.len() > MOST_REDIRECTS {
        return Err(RegistrationError::RedirectCount);
    }
    let redirect_uris = uris
        .iter()
        .enumerate()
        .map(|(at, uri)| RedirectUri::parse(uri).map_err(|error| RegistrationError::Redirect(at, error)))
        .collect::<Result<_, _>>()?;
    Ok(ClientMetadata {
        name: clean_name(request.client_name.as_deref().unwrap_or_default()),
        redirect_uris,
        auth_method: auth_method(request)?,
        scopes: ScopeSet::requested(request.scope.as_deref()),
        grant_types: grant_types(request)?,
    })
}

fn auth_method(request: &Registration) -> Result<AuthMethod, RegistrationError> {
    match request.token_endpoint_auth_method.as_deref() {
        // RFC 7591 would default to client_secret_basic; MCP clients that say nothing are public.
        None => Ok(AuthMethod::None),
        Some(name) => AuthMethod::parse(name).ok_or(RegistrationError::Metadata(
            "token_endpoint_auth_method must be none, client_secret_post or client_secret_basic",
        )),
    }
}

fn grant_types(request: &Registration) -> Result<Vec<&'static str>, RegistrationError> {
    const OURS: [&str; 2] = ["authorization_code", "refresh_token"];
    if request.response_types.as_deref().is_some_and(|types| !types.iter().any(|kind| kind == "code")) {
        return Err(RegistrationError::Metadata("response_types must hold code"));
    }
    let asked = request.grant_types.as_deref().unwrap_or_default();
    if asked.is_empty() {
        return Ok(OURS.to_vec());
    }
    // Clients list more than they need (device_code and others): keep what both know.
    let both: Vec<_> = OURS.into_iter().filter(|ours| asked.iter().any(|kind| kind == ours)).collect();
    if both.contains(&"authorization_code") {
        Ok(both)
    } else {
        Err(RegistrationError::Metadata("grant_types must hold authorization_code"))
    }
}

/// A claimed name without control, bidirectional or invisible characters, and no longer than a line.
fn clean_name(claimed: &str) -> String {
    let kept: String = claimed.chars().filter(|c| is_plain(*c)).take(LONGEST_NAME).collect();
    let name = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() { "Unnamed client".to_owned() } else { name }
}

fn is_plain(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    c == ' ' || !(c.is_control() || hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uris: &[&str]) -> Registration {
        Registration {
            redirect_uris: Some(uris.iter().map(|uri| (*uri).to_owned()).collect()),
            ..Registration::default()
        }
    }

    #[test]
    fn cursors_whole_set_passes_and_a_bad_one_is_named() {
        let set = [
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ];
        assert_eq!(register(&request(&set)).unwrap().redirect_uris.len(), 3);
        let bad = ["https://a.example/cb", "javascript:alert(1)"];
        let error = register(&request(&bad)).unwrap_err();
        assert!(matches!(error, RegistrationError::Redirect(1, _)), "{error}");
        assert_eq!(register(&request(&[])).unwrap_err(), RegistrationError::RedirectCount);
    }

    #[test]
    fn only_an_object_is_a_registration() {
        let read = Registration::read(b" \r\n\t{\"redirect_uris\":[\"https://a.example/cb\"]}").unwrap();
        assert_eq!(register(&read).unwrap().redirect_uris.len(), 1);
        for body in [r#"[["https://a.example/cb"],"n",null,null,null,null]"#, "[]", "null", "\"{\"", "", "{"]
        {
            assert!(Registration::read(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn grant_types_are_intersected() {
        let asked = |types: &[&str]| Registration {
            grant_types: Some(types.iter().map(|kind| (*kind).to_owned()).collect()),
            ..request(&["https://a.example/cb"])
        };
        let kept = register(&asked(&[
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code",
        ]));
        assert_eq!(kept.unwrap().grant_types, ["authorization_code", "refresh_token"]);
        assert!(register(&asked(&["client_credentials"])).is_err());
    }

    #[test]
    fn hostile_names_are_cleaned() {
        let named = |name: &str| {
            let request =
                Registration { client_name: Some(name.to_owned()), ..request(&["https://a.example/cb"]) };
            register(&request).unwrap().name
        };
        assert_eq!(named("Cla\u{202e}ude\n\u{200b} x"), "Claude x");
        assert_eq!(named("\u{0}\u{e0041}"), "Unnamed client");
        assert_eq!(named(&"x".repeat(10_000)).len(), LONGEST_NAME);
    }
}
