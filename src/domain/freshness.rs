//! How long a fetched metadata document may be believed: HTTP's own rules (RFC 9111 section 4.2) within our bounds.
//! Pure; it is asked about good documents only, errors are never kept as one.

use std::time::Duration;

use time::PrimitiveDateTime;
use time::macros::format_description;

use crate::ambient::Timestamp;

/// However short-lived a document says it is, even `no-store`: nobody can make us fetch it more often.
pub const SHORTEST: Duration = Duration::from_secs(60);

/// However long-lived it says it is: a withdrawn redirect URI ends within a day.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Where it says nothing.
pub const USUAL: Duration = Duration::from_secs(3600);

/// The headers that say how long an answer is fresh, as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told<'a> {
    /// `Cache-Control`, several joined by commas.
    pub cache_control: Option<&'a str>,
    /// `Expires`.
    pub expires: Option<&'a str>,
    /// `Date`.
    pub date: Option<&'a str>,
    /// `Age`.
    pub age: Option<&'a str>,
}

/// How long the answer is fresh, from [`SHORTEST`] to [`LONGEST`]. What is malformed counts as the shortest.
pub fn fresh_for(told: &Told<'_>, now: Timestamp) -> Duration {
    let lifetime = match told.cache_control.map(Directives::of) {
        Some(directives) if directives.never => Duration::ZERO,
        Some(Directives { max_age: Some(age), .. }) => age,
        _ => by_date(told, now),
    };
    let age = told.age.map_or(Duration::ZERO, |age| seconds(age).unwrap_or(LONGEST));
    lifetime.saturating_sub(age).clamp(SHORTEST, LONGEST)
}

fn by_date(told: &Told<'_>, now: Timestamp) -> Duration {
    let Some(expires) = told.expires else { return USUAL };
    let date = told.date.and_then(http_date).unwrap_or(now);
    http_date(expires).map_or(Duration::ZERO, |expires| expires.since(date))
}

#[derive(Default)]
struct Directives {
    /// `no-store`, `no-cache`, or what cannot be read.
    never: bool,
    /// `s-maxage` before `max-age`; of several, the shortest.
    max_age: Option<Duration>,
}

impl Directives {
    fn of(text: &str) -> Self {
        let (mut never, mut private, mut shared) = (false, None, None);
        for directive in text.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let slot = match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => {
                    never = true;
                    continue;
                }
                "max-age" => &mut private,
                "s-maxage" => &mut shared,
                _ => continue,
            };
            match seconds(value.trim().trim_matches('"')) {
                Some(age) => *slot = Some(slot.map_or(age, |known: Duration| known.min(age))),
                None => never = true,
            }
        }
        Self { never, max_age: shared.or(private) }
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number that is too large is as large as it gets (RFC 9111 section 1.2.2).
    digits.then(|| text.parse().map_or(LONGEST, Duration::from_secs))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7); the obsolete forms count as malformed.
pub fn http_date(text: &str) -> Option<Timestamp> {
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let at = PrimitiveDateTime::parse(text.trim(), form).ok()?.assume_utc();
    Some(Timestamp::from_secs(at.unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const NOW: i64 = 784_111_777;

    fn secs(told: &Told<'_>) -> u64 {
        fresh_for(told, Timestamp::from_secs(NOW)).as_secs()
    }

    fn by_control(text: &str) -> u64 {
        secs(&Told { cache_control: Some(text), ..Told::default() })
    }

    #[test]
    fn cache_control_within_bounds() {
        for (text, expected) in [
            ("max-age=300", 300),
            ("public, Max-Age=300", 300),
            ("max-age=\"300\"", 300),
            ("s-maxage=120, max-age=300", 120),
            ("max-age=300, max-age=200", 200),
            ("max-age=0", 60),
            ("max-age=5", 60),
            ("max-age=31536000", 86_400),
            ("max-age=99999999999999999999999", 86_400),
            ("max-age=-1", 60),
            ("max-age=1e3", 60),
            ("max-age", 60),
            ("no-store", 60),
            ("max-age=300, no-cache", 60),
            ("no-store, max-age=86400", 60),
            ("must-revalidate", 3600),
            ("", 3600),
        ] {
            assert_eq!(by_control(text), expected, "{text}");
        }
    }

    #[test]
    fn age_expires_and_date() {
        let control = Some("max-age=300");
        assert_eq!(secs(&Told { cache_control: control, age: Some("100"), ..Told::default() }), 200);
        assert_eq!(secs(&Told { cache_control: control, age: Some("400"), ..Told::default() }), 60);
        assert_eq!(secs(&Told { cache_control: control, age: Some("x"), ..Told::default() }), 60);
        let expires = |expires, date| secs(&Told { expires: Some(expires), date, ..Told::default() });
        assert_eq!(expires("Sun, 06 Nov 1994 08:59:37 GMT", None), 600);
        assert_eq!(expires("Sun, 06 Nov 1994 08:59:37 GMT", Some("Sun, 06 Nov 1994 08:54:37 GMT")), 300);
        for past in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sat, 05 Nov 1994 08:49:37 GMT", "0", "-1", "tomorrow"]
        {
            assert_eq!(expires(past, None), 60, "{past}");
        }
        let both = Told { cache_control: control, expires: Some("0"), ..Told::default() };
        assert_eq!(secs(&both), 300);
        assert_eq!(secs(&Told::default()), 3600);
    }

    proptest! {
        #[test]
        fn nothing_leaves_the_bounds(a in "\\PC{0,40}", b in "\\PC{0,40}", c in "\\PC{0,20}", now in any::<i64>()) {
            let told = Told { cache_control: Some(&a), expires: Some(&b), date: Some(&b), age: Some(&c) };
            let fresh = fresh_for(&told, Timestamp::from_millis(now));
            prop_assert!((SHORTEST..=LONGEST).contains(&fresh));
        }
    }
}
