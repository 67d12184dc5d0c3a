//! Webhooks by the Standard Webhooks specification 1.0: `webhook-id`, `webhook-timestamp`, and an HMAC-SHA256 over
//! both and the body.
//!
//! Through an egress gate of their own, which knows this one host and follows no redirect. Never: what a receiver
//! answers, beyond its status.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderValue, Request, StatusCode, Uri, header};
use sha2::Sha256;

use crate::ambient::Clock;
use crate::config::WebhookConfig;
use crate::crypto::SecretString;
use crate::egress::{Bytes, Gate, Limits};

use super::{Message, Undelivered};

/// For one try, connecting included; the specification asks for 15 to 30 s.
const WITHIN: Duration = Duration::from_secs(20);

/// Most bytes of an answer, which nobody reads.
const ANSWER: usize = 64 * 1024;

/// How a secret begins.
pub const PREFIX: &str = "whsec_";

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("spotify-mcp/", env!("CARGO_PKG_VERSION")));

/// A receiver.
pub struct Webhook {
    gate: Gate,
    url: SecretString,
    secret: SecretString,
    clock: Clock,
}

impl Webhook {
    /// With a gate that allows its host.
    pub(super) fn new(config: &WebhookConfig, gate: Gate, clock: &Clock) -> Self {
        Self { gate, url: config.url.clone(), secret: config.secret.clone(), clock: clock.clone() }
    }

    pub(super) const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Posts once. 2xx is taken, everything else is not, redirects included.
    pub(super) async fn post(&self, message: &Message) -> Result<(), Undelivered> {
        let body = message.json();
        let at = self.clock.now().secs().to_string();
        let signature = sign(&self.secret, &message.id, &at, &body)
            .ok_or_else(|| Undelivered::new("secret", "the webhook's secret cannot be used"))?;
        let unusable = |_| Undelivered::new("unusable", "the webhook's address cannot be asked");
        let uri: Uri =
            self.url.expose().parse().map_err(|_| Undelivered::new("unusable", "it is no address"))?;
        let request = Request::post(uri)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", &at)
            .header("webhook-signature", format!("v1,{signature}"))
            .body(Bytes::from(body))
            .map_err(unusable)?;
        let answer = self.gate.send(request, Limits::within(WITHIN, ANSWER)).await?;
        refused(answer.status())
    }
}

fn refused(status: StatusCode) -> Result<(), Undelivered> {
    let code = match status.as_u16() {
        200..=299 => return Ok(()),
        300..=399 => "redirected",
        410 => "gone",
        429 => "rate_limited",
        400..=499 => "refused",
        _ => "server_error",
    };
    Err(Undelivered::new(code, format!("the receiver answered {}", status.as_u16())))
}

/// The signature's second half: base64 of the HMAC over `id.timestamp.body`. `None` where the secret is none.
pub(super) fn sign(secret: &SecretString, id: &str, at: &str, body: &str) -> Option<String> {
    let key = zeroize::Zeroizing::new(STANDARD.decode(secret.expose().strip_prefix(PREFIX)?).ok()?);
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    for part in [id, ".", at, ".", body] {
        mac.update(part.as_bytes());
    }
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn the_published_vector_is_signed_as_it_says() {
        let secret = SecretString::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "{\"test\": 2432232314}");
        assert_eq!(signed.unwrap(), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        for bad in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", ""] {
            assert_eq!(sign(&SecretString::new(bad), "", "", ""), None, "{bad}");
        }
    }

    #[test]
    fn only_success_is_success() {
        for (status, code) in [
            (301, "redirected"),
            (404, "refused"),
            (410, "gone"),
            (429, "rate_limited"),
            (500, "server_error"),
        ] {
            assert_eq!(refused(StatusCode::from_u16(status).unwrap()).unwrap_err().code, code);
        }
        for status in [200, 202, 204] {
            assert_eq!(refused(StatusCode::from_u16(status).unwrap()), Ok(()));
        }
    }
}
