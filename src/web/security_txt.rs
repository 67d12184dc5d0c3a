//! `/.well-known/security.txt` (RFC 9116): where to report a vulnerability of this server.

use std::time::Duration;

use super::layout::Site;
use super::routes;
use crate::ambient::Timestamp;

/// RFC 9116 section 2.5.5 recommends less than a year ahead.
const VALID: Duration = Duration::from_secs(180 * 86_400);

/// The body, valid for 180 days from `now`; `None` without a usable contact, as section 2.5.3 demands one: the route is then 404.
/// `policy` is the address of the disclosure policy, https only.
pub fn security_txt(site: &Site, policy: Option<&str>, now: Timestamp) -> Option<String> {
    use std::fmt::Write as _;
    let contact = site.contact()?;
    let mut body = format!("Contact: {contact}\n");
    // Whole days: the same answer all day long, as caches like it.
    let day = Timestamp::from_secs(now.secs().div_euclid(86_400) * 86_400);
    let _ = writeln!(body, "Expires: {}", day.plus(VALID).rfc3339());
    let _ = writeln!(body, "Preferred-Languages: en");
    let _ = writeln!(body, "Canonical: {}{}", site.public_url(), routes::SECURITY_TXT);
    if let Some(policy) = policy.filter(|address| address.starts_with("https://") && one_line(address)) {
        let _ = writeln!(body, "Policy: {policy}");
    }
    Some(body)
}

fn one_line(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_fields_of_rfc_9116() {
        let site = Site::new(
            &"https://music.example".parse().unwrap(),
            false,
            Some("mailto:security@music.example"),
        );
        let now = Timestamp::from_secs(1_795_233_600);
        let body = security_txt(&site, Some("https://music.example/policy"), now).unwrap();
        assert_eq!(
            body,
            "Contact: mailto:security@music.example\nExpires: 2027-05-20T00:00:00.000Z\nPreferred-Languages: en\n\
             Canonical: https://music.example/.well-known/security.txt\nPolicy: https://music.example/policy\n"
        );
    }

    #[test]
    fn no_line_can_be_smuggled_in_and_no_contact_means_no_file() {
        let site = Site::new(&"https://music.example".parse().unwrap(), false, Some("mailto:a@b\nPolicy: x"));
        assert_eq!(security_txt(&site, None, Timestamp::default()), None);
        let site = Site::new(&"https://music.example".parse().unwrap(), false, Some("mailto:a@b"));
        let body = security_txt(&site, Some("https://x\nHiring: y"), Timestamp::default()).unwrap();
        assert!(!body.contains("Hiring"));
    }
}
