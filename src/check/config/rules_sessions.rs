//! Rules of the group sessions that the configuration decides: SMC3001, 3002, 3011.

use std::time::Duration;

use super::Facts;
use crate::check::{Ground, Source, Verdict};
use crate::config::value::spell;

/// Values against the policy's: each with its key, its name in the policy, its value, and the unit of both.
type Bounded = (&'static str, &'static str, u64, &'static str);

/// A value is 1 to what the policy says under its name; 0 switches a bound off.
fn within(all: &[Bounded], what: &str, ground: &Ground<'_>) -> Vec<Verdict> {
    let mut found: Vec<Verdict> = all
        .iter()
        .filter_map(|(key, name, value, unit)| {
            let most = ground.parameters.number(name).unsigned_abs();
            if (1..=most).contains(value) {
                return None;
            }
            let of = |count: u64| format!("{count} {}", counted(unit, count)).trim_end().to_owned();
            let seen = if *value == 0 { format!("{key} is off") } else { format!("{key} is {}", of(*value)) };
            let verdict = Verdict::fail(Source::key(*key), seen).about(*key);
            let expected = if most == 1 { of(1) } else { format!("1 to {}", of(most)) };
            let fix = format!("set {key} to {} or less, not 0", as_written(key, most, unit));
            Some(verdict.expecting(expected).mended_by(fix))
        })
        .collect();
    if found.is_empty() {
        found.push(Verdict::pass(
            Source::key(all.first().map_or("limits", |one| one.0)),
            format!("all {} {what}", all.len()),
        ));
    }
    found
}

/// `1 day`, `2 days`.
fn counted(unit: &'static str, count: u64) -> &'static str {
    if count == 1 { unit.strip_suffix('s').unwrap_or(unit) } else { unit }
}

/// A value as its key takes it: a duration, whole seconds or minutes, or a count.
fn as_written(key: &str, value: u64, unit: &str) -> String {
    let seconds = match unit {
        "days" => 86_400,
        "minutes" => 60,
        "seconds" => 1,
        _ => return value.to_string(),
    };
    let span = Duration::from_secs(value.saturating_mul(seconds));
    match key.rsplit('_').next() {
        Some("minutes") => value.to_string(),
        Some("seconds") => span.as_secs().to_string(),
        _ => spell(span),
    }
}

/// SMC3001: the configuration's half.
pub fn lifetimes(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let (lives, limits) = (&facts.config.auth.lifetimes, &facts.config.limits);
    let minutes = |span: Duration| span.as_secs().div_ceil(60);
    let days = |span: Duration| span.as_secs().div_ceil(86_400);
    let all = [
        ("auth.lifetimes.browser_session", "browser_session_days", days(lives.browser_session), "days"),
        ("auth.lifetimes.access_token", "access_token_minutes", minutes(lives.access_token), "minutes"),
        ("auth.lifetimes.code", "code_seconds", lives.code.as_secs(), "seconds"),
        ("auth.lifetimes.refresh_token", "refresh_token_days", days(lives.refresh_token), "days"),
        ("auth.lifetimes.refresh_family", "refresh_family_days", days(lives.refresh_family), "days"),
        ("auth.lifetimes.mcp_session", "mcp_session_days", days(lives.mcp_session), "days"),
        ("limits.mcp_session_idle_seconds", "mcp_idle_minutes", minutes(limits.mcp_session_idle), "minutes"),
        (
            "security.login_timeout_minutes",
            "login_minutes",
            minutes(facts.config.security.login_timeout),
            "minutes",
        ),
    ];
    within(&all, "lifetimes are within the policy", ground)
}

/// SMC3002: the configuration's half.
pub fn capped(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let config = &facts.config;
    let all = [
        (
            "security.max_sessions_per_user",
            "browser_sessions",
            config.security.max_sessions_per_user.into(),
            "",
        ),
        (
            "limits.mcp_connections_per_user",
            "mcp_connections",
            config.limits.mcp_connections_per_user.into(),
            "",
        ),
        ("limits.api_keys_per_user", "api_keys", config.limits.api_keys_per_user.into(), ""),
    ];
    within(&all, "caps per person are set", ground)
}

/// SMC3011: the configuration's half.
pub fn limits(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let limits = &facts.config.limits;
    let all = [
        ("limits.calls_per_user_per_minute", "calls_per_user", limits.calls_per_user_per_minute.into(), ""),
        (
            "limits.writes_per_user_per_minute",
            "writes_per_user",
            limits.writes_per_user_per_minute.into(),
            "",
        ),
        (
            "limits.concurrent_calls_per_user",
            "concurrent_per_user",
            limits.concurrent_calls_per_user.into(),
            "",
        ),
        ("limits.concurrent_calls", "concurrent", limits.concurrent_calls.into(), ""),
        (
            "limits.failed_attempts_per_address_per_minute",
            "failed_attempts",
            limits.failed_attempts_per_address_per_minute.into(),
            "",
        ),
        ("limits.logins_per_address_per_minute", "logins", limits.logins_per_address_per_minute.into(), ""),
        ("limits.logins_in_progress", "logins_in_progress", limits.logins_in_progress.into(), ""),
        ("limits.connections", "connections", limits.connections.into(), ""),
        ("limits.mcp_body_bytes", "mcp_body_bytes", limits.mcp_body_bytes, "bytes"),
        ("limits.body_bytes", "body_bytes", limits.body_bytes, "bytes"),
    ];
    within(&all, "limits are set, within the policy", ground)
}
