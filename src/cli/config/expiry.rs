//! When secrets end: as it is typed, as it is kept in the header, and how near it is.

use std::time::Duration;

use serde_json::{Value as Node, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::ambient::Timestamp;
use crate::cli::output::{Output, Refused};
use crate::config::sealed::{Header, dotted};

/// An end within this is near: time to get another secret.
const NEAR: Duration = Duration::from_secs(30 * DAY);
const DAY: u64 = 86_400;

/// Parses `2027-01-31`, `2027-01-31T12:00:00Z`, `90d`, `12h`, `8w`; `None` is `never`.
pub fn parse(text: &str, now: Timestamp) -> Result<Option<Timestamp>, Refused> {
    if text == "never" {
        return Ok(None);
    }
    match instant(text).or_else(|| age(text).map(|age| now.plus(age))) {
        Some(at) if at > now => Ok(Some(at)),
        Some(_) => Err(Refused::usage("USAGE", "--expires lies in the past", "name an instant to come")),
        None => Err(Refused::usage(
            "USAGE",
            "--expires is no instant and no age",
            "write for example 2027-01-31, 2027-01-31T12:00:00Z, 90d, 12h, 8w or never",
        )),
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let text = if is_date { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let at = OffsetDateTime::parse(&text, &Rfc3339).ok()?;
    Some(Timestamp::from_secs(at.unix_timestamp()))
}

fn age(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "h" => 3600,
        "d" => DAY,
        "w" => 7 * DAY,
        _ => return None,
    };
    let number = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse::<u32>().ok())??;
    Some(Duration::from_secs(u64::from(number) * seconds))
}

/// The end of one secret.
pub struct End {
    /// Its key.
    pub key: String,
    at: String,
    /// Seconds that are left, negative where it is over; `None` where the header says no instant.
    left: Option<i64>,
}

/// Every end that a header tells, the nearest first; one that cannot be read counts as over.
pub fn ends(header: &Header, now: Timestamp) -> Vec<End> {
    let end = |(path, at): (&String, &String)| {
        let left = instant(at).map(|at| at.secs().saturating_sub(now.secs()));
        End { key: dotted(path), at: at.clone(), left }
    };
    let mut ends: Vec<End> = header.expires.iter().map(end).collect();
    ends.sort_by_key(|end| end.left);
    ends
}

impl End {
    /// Whether the secret must not be used any more.
    pub fn is_over(&self) -> bool {
        self.left.is_none_or(|left| left <= 0)
    }

    /// Whether it is over within 30 days.
    pub fn is_near(&self) -> bool {
        self.left.is_none_or(|left| u64::try_from(left).unwrap_or_default() <= NEAR.as_secs())
    }

    /// For people.
    pub fn in_words(&self) -> String {
        let days = self.left.unwrap_or_default().unsigned_abs() / DAY;
        match (self.is_over(), self.left) {
            (_, None) => "ends at an unknown time".to_owned(),
            (true, _) => format!("ended {} ({days} days ago)", self.at),
            (false, _) => format!("ends {} (in {days} days)", self.at),
        }
    }

    /// For programs.
    pub fn document(&self) -> Node {
        let days = self.left.map(|left| left.div_euclid(DAY.cast_signed()));
        json!({ "key": self.key, "at": self.at, "days_left": days, "over": self.is_over(), "near": self.is_near() })
    }
}

/// Warns of every end that is near; whether one is over.
pub fn warn(ends: &[End], output: &Output) -> bool {
    for end in ends.iter().filter(|end| end.is_near()) {
        let code = if end.is_over() { "CONFIG_SECRET_EXPIRED" } else { "CONFIG_SECRET_EXPIRES" };
        let why = format!("{} {}", end.key, end.in_words());
        output.warn(code, &why, "get another secret and put it in with 'spotify-mcp config set'");
    }
    ends.iter().any(End::is_over)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_dates_and_ages_are_read_and_nothing_else() {
        let now = Timestamp::from_secs(1_795_233_600);
        let at = |text: &str| parse(text, now).ok().flatten().map(Timestamp::secs);
        assert_eq!(at("90d"), Some(now.secs() + 90 * 86_400));
        assert_eq!(at("12h"), Some(now.secs() + 12 * 3600));
        assert_eq!(at("2027-01-31"), at("2027-01-31T00:00:00Z"));
        assert_eq!(at("2027-01-31T02:00:00+02:00"), at("2027-01-31"));
        assert!(matches!(parse("never", now), Ok(None)));
        for wrong in
            ["", "d", "90", "-1d", "1y", "é", "2020-01-01", "2027-13-01", "99999999999d", "0d", "soon"]
        {
            assert!(parse(wrong, now).is_err(), "{wrong}");
        }
    }
}
