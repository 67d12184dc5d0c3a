//! What programs post to the OAuth endpoints: one media type, no coding, bounded, credentials by at most one header.
//! Every refusal here is an OAuth error as JSON; nothing of the request is echoed.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::config::LimitsConfig;
use crate::crypto::SecretString;
use crate::oauth::token::Basic;
use crate::oauth::{OAuthError, Params, Reply, Visitor, params};

use super::Shared;
use super::reply::oauth_error;

/// Where `limits.body_bytes` is 0: as much as a message of the protocol may be.
const LARGEST_BODY: u64 = 4 * 1024 * 1024;

/// A form for `/token`, `/revoke` or `/introspect`.
pub(super) struct PostedForm {
    /// Its parameters.
    pub(super) form: Params,
    /// The client's credentials by HTTP Basic.
    pub(super) basic: Basic,
    /// Who asks.
    pub(super) visitor: Visitor,
}

/// A JSON text for `/register`. An `Authorization` header, of whatever form, means nothing there.
pub(super) struct PostedJson {
    /// The text, not parsed yet.
    pub(super) body: Bytes,
    /// Who asks.
    pub(super) visitor: Visitor,
}

impl FromRequest<Shared> for PostedForm {
    type Rejection = Response;

    async fn from_request(request: Request, http: &Shared) -> Result<Self, Response> {
        let basic = basic(request.headers());
        let (body, visitor) = read(request, http, "application/x-www-form-urlencoded").await?;
        Ok(Self { form: Params::parse(&body), basic, visitor })
    }
}

impl FromRequest<Shared> for PostedJson {
    type Rejection = Response;

    async fn from_request(request: Request, http: &Shared) -> Result<Self, Response> {
        let (body, visitor) = read(request, http, "application/json").await?;
        Ok(Self { body, visitor })
    }
}

async fn read(request: Request, http: &Shared, media_type: &str) -> Result<(Bytes, Visitor), Response> {
    let Some(visitor) = request.extensions().get::<Visitor>().cloned() else {
        return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
    };
    let refuse = |error| oauth_error(Reply::Refused(error), &visitor);
    judge_headers(request.headers(), media_type).map_err(refuse)?;
    let too_large = || {
        let said = "the body is too large";
        refuse(OAuthError::with(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", said))
    };
    // What is announced as too large is not waited for.
    if announced(request.headers()).is_some_and(|length| length > most_bytes(&http.app.config.limits)) {
        return Err(too_large());
    }
    match Bytes::from_request(request, http).await {
        Ok(body) => Ok((body, visitor)),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large()),
        Err(rejection) => {
            let said = "the body did not arrive whole";
            Err(refuse(OAuthError::with(rejection.status(), "invalid_request", said)))
        }
    }
}

/// Most bytes of a body that is posted to a page or an OAuth endpoint. Also where no limit is set, there is one.
pub(super) fn most_bytes(limits: &LimitsConfig) -> u64 {
    match limits.body_bytes {
        0 => LARGEST_BODY,
        bytes => bytes,
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// One media type, exactly, and no content coding: two readers of a body must read the same.
pub(crate) fn judge_headers(headers: &HeaderMap, media_type: &str) -> Result<(), OAuthError> {
    let coding = single(headers, &header::CONTENT_ENCODING);
    if coding.is_none_or(|coding| {
        coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    }) {
        let said = "a content coding is not accepted here; send the body as it is";
        return Err(OAuthError::with(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", said));
    }
    let sent = single(headers, &header::CONTENT_TYPE).flatten().and_then(|value| value.to_str().ok());
    let sent = sent.unwrap_or_default();
    let kind = sent.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(media_type) && !sent.contains(',') {
        return Ok(());
    }
    Err(OAuthError::bad("invalid_request", format!("the content type must be {media_type}")))
}

/// The value of a header that stands at most once; `None` where it stands more often.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a HeaderValue>> {
    let mut values = headers.get_all(name).into_iter();
    let first = values.next();
    values.next().is_none().then_some(first)
}

/// Client credentials by HTTP Basic (RFC 6749 section 2.3.1: both parts are form-encoded first).
pub(crate) fn basic(headers: &HeaderMap) -> Basic {
    let Some(value) = single(headers, &header::AUTHORIZATION).ok_or(())? else { return Ok(None) };
    let (scheme, encoded) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(())?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(drop)?;
    let pair = std::str::from_utf8(&decoded).map_err(drop)?;
    let (id, secret) = pair.split_once(':').ok_or(())?;
    let part = |text: &str| params::decoded(text.as_bytes()).ok_or(());
    Ok(Some((part(id)?, SecretString::new(part(secret)?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn with_basic(pair: &str) -> Basic {
        basic(&headers(&[("authorization", &format!("bAsIc {}", STANDARD.encode(pair)))]))
    }

    #[test]
    fn basic_credentials_are_form_encoded_and_stand_once() {
        let (id, secret) = with_basic("c%20x+y:a%3Ab").ok().flatten().unwrap();
        assert_eq!((id.as_str(), secret.expose()), ("c x y", "a:b"));
        assert!(basic(&HeaderMap::new()).is_ok_and(|basic| basic.is_none()));
        for bad in ["no colon", "%zz:x", "x:%f", "x:%ff"] {
            assert!(with_basic(bad).is_err(), "{bad}");
        }
        for bad in ["Basic", "Basic !!!", "Bearer x", "Basic\tYTpi", ""] {
            assert!(basic(&headers(&[("authorization", bad)])).is_err(), "{bad}");
        }
        let mut twice = headers(&[("authorization", "Basic YTpi")]);
        twice.append(header::AUTHORIZATION, "Basic YTpi".parse().unwrap());
        assert!(basic(&twice).is_err());
    }

    #[test]
    fn one_media_type_and_no_coding() {
        let judge = |pairs: &[(&'static str, &str)]| judge_headers(&headers(pairs), "application/json");
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/json ;x"] {
            assert!(judge(&[("content-type", good)]).is_ok(), "{good}");
        }
        assert!(judge(&[("content-type", "application/json"), ("content-encoding", "Identity")]).is_ok());
        for bad in
            ["", "application/jsonx", "text/json", "application/json, text/plain", "application/json;a=,b"]
        {
            assert!(judge(&[("content-type", bad)]).is_err(), "{bad}");
        }
        assert!(judge(&[]).is_err());
        for coding in ["gzip", "identity, gzip", ""] {
            let refused =
                judge(&[("content-type", "application/json"), ("content-encoding", coding)]).unwrap_err();
            assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{coding}");
        }
    }
}
