//! OAuth clients: what a registration may say (RFC 7591), and what of it we keep.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::ScopeSet;
use super::redirect::{RedirectError, RedirectUri};
use super::strict_json;

pub use super::registration_mode::RegistrationMode;

/// Most redirect URIs of one client.
const MOST_REDIRECTS: usize = 16;

/// Longest client name kept, in characters.
const LONGEST_NAME: usize = 100;

/// How deep a registration may be nested: `jwks`, which nothing here reads, is four levels deep.
const DEEPEST: usize = 8;

/// Longest URI among the metadata, in bytes.
const LONGEST_URI: usize = 2048;

/// Members that hold the address of something for people or programs. Never fetched and never kept; each may also
/// stand for a language, as `client_uri#de` (RFC 7591 section 2.2).
const URIS: [&str; 5] = ["client_uri", "logo_uri", "tos_uri", "policy_uri", "jwks_uri"];

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
    /// Which of the members that hold an address is not an http or https URL.
    #[serde(skip)]
    pub bad_uri: Option<&'static str>,
}

impl Registration {
    /// Reads a request's body; `None` where it is no JSON object of such members, has one twice, or is nested deeply.
    pub fn read(body: &[u8]) -> Option<Self> {
        let members = strict_json::object(body, DEEPEST)?;
        let bad_uri = bad_uri(&members);
        let read: Self = serde_json::from_value(Value::Object(members)).ok()?;
        Some(Self { bad_uri, ..read })
    }
}

fn bad_uri(members: &Map<String, Value>) -> Option<&'static str> {
    members.iter().find_map(|(name, value)| {
        let plain = name.split('#').next().unwrap_or_default();
        let known = URIS.into_iter().find(|uri| *uri == plain)?;
        let good = match value {
            Value::Null => true,
            Value::String(text) => text.is_empty() || is_web_url(text),
            _ => false,
        };
        (!good).then_some(known)
    })
}

fn is_web_url(text: &str) -> bool {
    text.len() <= LONGEST_URI && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
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

impl ClientMetadata {
    /// A digest of all of it: two registrations with the same one differ in nothing that we keep.
    pub fn fingerprint(&self) -> [u8; 32] {
        let uris: Vec<_> = self.redirect_uris.iter().map(RedirectUri::as_str).collect();
        let (method, scopes) = (self.auth_method.name(), self.scopes.to_string());
        let kept = serde_json::json!([self.name, uris, method, scopes, self.grant_types]);
        Sha256::digest(kept.to_string()).into()
    }
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
    /// `invalid_redirect_uri`: a site where only programs on a person's own computer may register.
    #[error("redirect_uris[{0}]: {1} is a site; only clients on a person's own computer register here")]
    NotLocal(usize, String),
    /// `invalid_client_metadata`.
    #[error("{0}")]
    Metadata(&'static str),
    /// `invalid_client_metadata`: an address that is none.
    #[error("{0} must be an http or https URL of at most 2048 characters")]
    Uri(&'static str),
    /// `access_denied`: nobody may register.
    #[error("this server does not register clients; ask its operator for a client id")]
    Closed,
}

impl RegistrationError {
    /// The error code of RFC 7591.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Redirect(..) | Self::RedirectCount | Self::NotLocal(..) => "invalid_redirect_uri",
            Self::Metadata(_) | Self::Uri(_) => "invalid_client_metadata",
            Self::Closed => "access_denied",
        }
    }
}

/// Judges a registration.
pub fn register(request: &Registration) -> Result<ClientMetadata, RegistrationError> {
    let uris = request.redirect_uris.as_deref().unwrap_or_default();
    if uris.is_empty() || uris.len() > MOST_REDIRECTS {
        return Err(RegistrationError::RedirectCount);
    }
    if let Some(name) = request.bad_uri {
        return Err(RegistrationError::Uri(name));
    }
    let redirect_uris = uris
        .iter()
        .enumerate()
        .map(|(at, uri)| RedirectUri::parse(uri).map_err(|error| RegistrationError::Redirect(at, error)))
        .collect::<Result<_, _>>()?;
    Ok(ClientMetadata {
        name: clean_name(request.client_name.as_deref().unwrap_or_default())
            .unwrap_or_else(|| "Unnamed client".to_owned()),
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

/// A claimed name without control, bidirectional or invisible characters, and no longer than a line; `None` where
/// nothing is left of it.
pub fn clean_name(claimed: &str) -> Option<String> {
    let kept: String = claimed.chars().filter(|c| is_plain(*c)).take(LONGEST_NAME).collect();
    let name = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then_some(name)
}

fn is_plain(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    c == ' ' || !(c.is_control() || hidden)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
    fn where_only_local_clients_may_register_a_site_is_named() {
        let judge = |mode: RegistrationMode, uris: &[&str]| mode.judge(&register(&request(uris)).unwrap());
        let cursor = [
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ];
        assert_eq!(judge(RegistrationMode::Open, &cursor), Ok(()));
        let refused = judge(RegistrationMode::LocalOnly, &cursor).unwrap_err();
        assert_eq!(refused, RegistrationError::NotLocal(1, cursor[1].to_owned()));
        assert!(refused.to_string().starts_with("redirect_uris[1]: https://www.cursor.com/"), "{refused}");
        assert_eq!(judge(RegistrationMode::LocalOnly, &[cursor[0], cursor[2]]), Ok(()));
        assert_eq!(judge(RegistrationMode::Off, &cursor[2..]), Err(RegistrationError::Closed));
    }

    #[test]
    fn addresses_among_the_metadata_are_of_the_web() {
        let with = |member: &str, value: Value| {
            let body = serde_json::json!({"redirect_uris": ["https://a.example/cb"], member: value});
            register(&Registration::read(body.to_string().as_bytes()).unwrap()).map(drop)
        };
        for member in ["client_uri", "logo_uri", "tos_uri", "policy_uri", "jwks_uri", "client_uri#de"] {
            for good in ["https://a.example/x", "http://127.0.0.1/", ""] {
                assert_eq!(with(member, good.into()), Ok(()), "{member} {good}");
            }
            assert_eq!(with(member, Value::Null), Ok(()), "{member}");
            for bad in
                ["javascript:alert(1)", "file:///etc/passwd", "x", &format!("https://{}", "a".repeat(2048))]
            {
                assert!(matches!(with(member, bad.into()), Err(RegistrationError::Uri(_))), "{member} {bad}");
            }
            assert!(with(member, 1.into()).is_err(), "{member}");
        }
        assert_eq!(with("client_uris", "javascript:x".into()), Ok(()), "unknown members are ignored");
    }

    #[test]
    fn a_fingerprint_is_of_everything_that_is_kept() {
        let of = |request: &Registration| register(request).unwrap().fingerprint();
        let plain = || request(&["https://a.example/cb"]);
        assert_eq!(of(&plain()), of(&plain()));
        let text = |text: &str| Some(text.to_owned());
        let others = [
            request(&["https://a.example/cb2"]),
            request(&["https://a.example/cb", "https://a.example/cb2"]),
            Registration { client_name: text("x"), ..plain() },
            Registration { scope: text("read"), ..plain() },
            Registration { token_endpoint_auth_method: text("client_secret_post"), ..plain() },
            Registration { grant_types: Some(vec!["authorization_code".to_owned()]), ..plain() },
        ];
        assert!(others.iter().all(|other| of(other) != of(&plain())));
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

    proptest! {
        #[test]
        fn a_registration_is_read_whatever_else_it_holds(member in "[a-z_]{1,12}", depth in 0_usize..16, name in "\\PC{0,200}") {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            let name = serde_json::to_string(&name).unwrap();
            let body = format!(
                r#"{{"x_{member}":{open}1e99{close},"client_name":{name},"redirect_uris":["https://a.example/cb"]}}"#
            );
            let read = Registration::read(body.as_bytes());
            prop_assert_eq!(read.is_some(), depth < DEEPEST);
            let Some(read) = read else { return Ok(()) };
            let kept = register(&read).unwrap();
            prop_assert!(!kept.name.is_empty() && kept.name.chars().count() <= LONGEST_NAME);
            prop_assert!(kept.name.chars().all(is_plain));
            let list = format!("[{body}]");
            prop_assert!(Registration::read(list.as_bytes()).is_none());
            let twice = body.replacen('{', "{\"redirect_uris\":[],", 1);
            prop_assert!(Registration::read(twice.as_bytes()).is_none());
        }
    }
}
