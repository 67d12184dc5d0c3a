//! What every page shares: the frame, the sandbox banner, how an instant is written.

use std::sync::{Arc, PoisonError, RwLock};

use url::{Host, Url};

use super::{assets, routes};
use crate::ambient::Timestamp;

/// The server as its pages speak of it; made once.
#[derive(Clone, Debug)]
pub struct Site {
    public_url: String,
    host: String,
    https: bool,
    loopback: bool,
    sandbox: bool,
    contact: Arc<RwLock<Option<String>>>,
    /// Whether there are pages for logging in and nothing else.
    only_logins: bool,
}

impl Site {
    /// `contact` is where the operator can be reached (`mailto:`, `https:` or `tel:`), shown in the privacy notice and in security.txt.
    pub fn new(public_url: &Url, sandbox: bool, contact: Option<&str>) -> Self {
        let site = Self {
            public_url: public_url.as_str().trim_end_matches('/').to_owned(),
            host: public_url.host_str().unwrap_or_default().to_owned(),
            https: public_url.scheme() == "https",
            loopback: match public_url.host() {
                Some(Host::Ipv4(address)) => address.is_loopback(),
                Some(Host::Ipv6(address)) => address.is_loopback(),
                Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
                None => true,
            },
            sandbox,
            contact: Arc::default(),
            only_logins: false,
        };
        site.set_contact(contact);
        site
    }

    /// The same where nothing is served but logging in: no page leads elsewhere.
    #[must_use]
    pub fn with_only_logins(self) -> Self {
        Self { only_logins: true, ..self }
    }

    pub(super) fn only_logins(&self) -> bool {
        self.only_logins
    }

    /// Another contact from now on, for this site and every copy of it.
    pub fn set_contact(&self, contact: Option<&str>) {
        let contact = contact.filter(|address| {
            ["mailto:", "https:", "tel:"].iter().any(|scheme| address.starts_with(scheme))
                && address.bytes().all(|byte| byte.is_ascii_graphic())
        });
        *self.contact.write().unwrap_or_else(PoisonError::into_inner) = contact.map(str::to_owned);
    }

    /// Whether the public URL is https, and so answers carry HSTS.
    pub fn https(&self) -> bool {
        self.https
    }

    /// The address to paste into a client.
    pub fn mcp_url(&self) -> String {
        format!("{}/mcp", self.public_url)
    }

    pub(super) fn public_url(&self) -> &str {
        &self.public_url
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn loopback(&self) -> bool {
        self.loopback
    }

    pub(super) fn sandbox(&self) -> bool {
        self.sandbox
    }

    pub(super) fn contact(&self) -> Option<String> {
        self.contact.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn style(&self) -> &'static str {
        assets::style().path()
    }

    pub(super) fn script(&self) -> &'static str {
        assets::script().path()
    }

    pub(super) fn icon(&self) -> &'static str {
        assets::icon().path()
    }

    pub(super) fn home(&self) -> &'static str {
        routes::HOME
    }
}

/// An instant as a person reads it, in UTC: `21 November 2026`.
pub(super) fn day(at: Timestamp) -> String {
    use time::macros::format_description;
    time::OffsetDateTime::from_unix_timestamp(at.secs())
        .ok()
        .and_then(|at| at.format(format_description!("[day padding:none] [month repr:long] [year]")).ok())
        .unwrap_or_else(|| at.rfc3339())
}

/// An instant to the minute, in UTC: `21 November 2026, 04:00 UTC`.
pub(super) fn minute(at: Timestamp) -> String {
    let of_day = at.secs().rem_euclid(86_400);
    format!("{}, {:02}:{:02} UTC", day(at), of_day / 3600, of_day % 3600 / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_well() {
        let at = Timestamp::from_secs(1_795_233_600 + 5 * 60);
        assert_eq!(day(at), "21 November 2026");
        assert_eq!(minute(at), "21 November 2026, 04:05 UTC");
    }

    #[test]
    fn a_site_knows_its_address() {
        let site = Site::new(&"https://music.example/".parse().unwrap(), false, Some("javascript:alert(1)"));
        assert_eq!(site.mcp_url(), "https://music.example/mcp");
        assert!(site.https() && !site.loopback());
        assert_eq!(site.contact(), None);
        site.clone().set_contact(Some("mailto:security@music.example"));
        assert_eq!(site.contact().as_deref(), Some("mailto:security@music.example"));
        for local in ["http://127.0.0.1:8000", "http://[::1]:8000", "http://localhost:8000"] {
            assert!(Site::new(&local.parse().unwrap(), true, None).loopback(), "{local}");
        }
    }
}
