//! Rules of the group configuration about keys and secrets: SMC2002, 2003, 2005, 2006, 2009 to 2011.

use super::{Facts, Secret, place, place_of};
use crate::app;
use crate::check::finding::counted;
use crate::check::{Ground, Severity, Source, Verdict};
use crate::config::{LogLevel, Problem, shown};

/// Secrets that stand in files which cannot be read here: whether they are sound is not known.
fn unread(facts: &Facts) -> impl Iterator<Item = Verdict> + '_ {
    let unread = facts.problems.iter().filter(|problem| problem.code == "CONFIG_FILE_UNREADABLE");
    unread.map(|problem| {
        let seen = format!("what {} says cannot be judged: {}", problem.key, problem.why);
        Verdict::error(place_of(problem), seen).about(problem.key.clone())
    })
}

/// SMC2002.
pub fn no_secret_in_the_clear(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    let strays = facts.strays.iter().map(|stray| {
        let verdict =
            Verdict::fail(place(&stray.origin, &stray.key), format!("{} {}", stray.key, stray.what));
        verdict.about(stray.key.clone()).of_kind(stray.what).mended_by(stray.fix)
    });
    let clear: Vec<Verdict> = facts
        .secrets
        .iter()
        .filter_map(|secret| {
            let (path, line) = secret.in_the_clear.clone()?;
            let seen = format!("{} can be read in {}", secret.key, path.display());
            Some(Verdict::fail(Source::File { path, line }, seen).about(secret.subject()))
        })
        .chain(strays)
        .chain(unread(facts))
        .collect();
    if !clear.is_empty() {
        return clear;
    }
    let seen = match facts.secrets.len() {
        0 => "no secret is said anywhere".to_owned(),
        count => {
            format!(
                "{}, none of them in a plain file among other things",
                counted(count, "secret", "secrets")
            )
        }
    };
    vec![Verdict::pass(Source::key("--config"), seen)]
}

/// Notices of keys that do nothing, or are said twice.
const STRAY: [&str; 3] = ["CONFIG_UNUSED", "CONFIG_UNNEEDED", "CONFIG_SAID_TWICE"];

/// SMC2003.
pub fn no_stray_keys(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    let told = |problem: &Problem, verdict: Verdict| {
        verdict
            .about(format!("{} {}", problem.code, problem.key))
            .because(problem.why.clone())
            .mended_by(problem.fix.clone())
    };
    let seen = |problem: &Problem| format!("{} ({}): {}", problem.key, problem.origin, problem.why);
    let unknown = facts.problems.iter().filter(|problem| problem.code == "CONFIG_UNKNOWN_KEY");
    let unknown = unknown.map(|problem| told(problem, Verdict::fail(place_of(problem), seen(problem))));
    let stray = facts.notices.iter().filter(|notice| STRAY.contains(&notice.code.as_str()));
    let stray =
        stray.map(|notice| told(notice, Verdict::fail(place_of(notice), seen(notice)).severe(Severity::Low)));
    let found: Vec<Verdict> = unknown.chain(stray).chain(outranked(facts)).collect();
    match (&facts.unread, found.is_empty()) {
        (_, false) => found,
        (Some(path), true) => {
            vec![Verdict::error(Source::file(path), "a file of the configuration cannot be read")]
        }
        (None, true) => {
            vec![Verdict::pass(Source::key("--config"), "every key is known, said once, and used")]
        }
    }
}

/// Secrets that were said and count for nothing: whoever changes one of them changes nothing, and whoever reads one has it.
fn outranked(facts: &Facts) -> impl Iterator<Item = Verdict> + '_ {
    facts.secrets.iter().filter_map(|secret| {
        let by = secret.outranked_by.as_ref()?;
        let seen = format!("{} ({}) does nothing: {by} counts in its place", secret.key, secret.origin);
        let at = secret
            .in_the_clear
            .clone()
            .map_or_else(|| Source::key(secret.key.clone()), |(path, line)| Source::File { path, line });
        let verdict = Verdict::fail(at, seen).about(secret.subject()).severe(Severity::Low);
        Some(verdict.mended_by(format!("remove {} from {}, or what outranks it", secret.key, secret.origin)))
    })
}

/// SMC2005.
pub fn no_known_credentials(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let (words, ids) = (ground.parameters.list("words"), ground.parameters.list("client_ids"));
    let shortest = usize::try_from(ground.parameters.number("shortest")).unwrap_or_default();
    let mut found = Vec::new();
    for secret in &facts.secrets {
        let value = &secret.value;
        let too_short = || (value.length < shortest).then_some("is too short");
        let Some(seen) = value.flaw(words).or_else(too_short) else { continue };
        let at = Source::key(secret.key.clone());
        let verdict = Verdict::fail(at, format!("{} {seen}", secret.subject())).about(secret.subject());
        found.push(match issued(&secret.key) {
            Some(fix) => verdict.mended_by(fix),
            None => verdict,
        });
    }
    for app in facts.config.spotify.apps.iter().filter(|app| ids.contains(&app.client_id)) {
        let seen = format!("client id {} stands in documentation", app.client_id);
        let verdict = Verdict::fail(Source::key("spotify.client_id"), seen).about("spotify.client_id");
        found
            .push(verdict.mended_by(
                "take the client id of your own app from https://developer.spotify.com/dashboard",
            ));
    }
    found.extend(unread(facts));
    if found.is_empty() {
        let count = counted(facts.secrets.len(), "secret", "secrets");
        let seen = format!("{count}, none of them known, a placeholder or trivial");
        found.push(Verdict::pass(Source::key("--config"), seen));
    }
    found
}

/// What somebody else issues cannot be made up: what to do instead.
fn issued(key: &str) -> Option<&'static str> {
    if key == "storage.url" {
        Some(
            "give the database's role another password (ALTER ROLE ... PASSWORD), then put it into DATABASE_URL",
        )
    } else if key.starts_with("spotify.") {
        Some("take it from your app in https://developer.spotify.com/dashboard, where it can be rotated too")
    } else {
        None
    }
}

/// SMC2006: the configuration's half.
pub fn quiet_log(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let level = facts.config.telemetry.log_level;
    let name = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let at = Source::key("telemetry.log_level");
    let allowed = ground.parameters.list("levels").iter().any(|level| level == name);
    vec![if allowed { Verdict::pass(at, name) } else { Verdict::fail(at, name) }]
}

/// SMC2009.
pub fn least_scopes(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    vec![if facts.scopes_unneeded.is_empty() {
        Verdict::pass(Source::Program, "every scope that people are asked for is needed by a tool")
    } else {
        let seen = format!("asked for and needed by no tool: {}", facts.scopes_unneeded.join(", "));
        Verdict::fail(Source::Program, seen)
    }]
}

/// SMC2010.
pub fn rotation_scheduled(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let ages = &facts.config.security.max_key_age;
    let all = [
        ("master", ages.master),
        ("data", ages.data),
        ("signing", ages.signing),
        ("spotify_client", ages.spotify_client),
    ];
    let mut found: Vec<Verdict> = all
        .into_iter()
        .map(|(kind, days)| {
            let (key, most) = (format!("security.max_key_age_days.{kind}"), ground.parameters.number(kind));
            let verdict = if i64::from(days) <= most {
                Verdict::pass(
                    Source::key(key.clone()),
                    format!("rotated every {}", counted(days, "day", "days")),
                )
            } else {
                Verdict::fail(Source::key(key.clone()), format!("every {}", counted(days, "day", "days")))
                    .expecting(format!("at most {}", counted(most, "day", "days")))
                    .mended_by(format!("set {key} to {most} or less"))
            };
            verdict.about(kind)
        })
        .collect();
    // Those have a schedule of their own, above.
    let has_one =
        |key: &str| key == super::KEY || key.starts_with("spotify.") || key == "security.passphrase";
    let counts = |secret: &&Secret| secret.outranked_by.is_none() && !has_one(&secret.key);
    for secret in facts.secrets.iter().filter(counts) {
        let at = Source::key(secret.key.clone());
        let verdict = match &secret.ends {
            Some(ends) => Verdict::pass(at, format!("ends {ends}, as the sealed file says")),
            None => Verdict::manual(
                at,
                format!("{} has no end on record: see it in your own schedule", secret.key),
            ),
        };
        found.push(verdict.about(secret.key.clone()));
    }
    found
}

/// Hosts that the way out never leads to: `serve` refuses addresses, and a name of this machine or network leads to none
/// that may be reached.
fn never_reached(facts: &Facts) -> Vec<Verdict> {
    let refused = app::unreachable_hosts(&facts.config).into_iter().map(|(key, host, why)| {
        Verdict::fail(Source::key(key), format!("{key}: {}: {why}", shown(&host)))
            .about(format!("{key} {}", shown(&host)))
            .mended_by("name a host that can be reached under this environment's policy, or remove it")
    });
    let is_local = |host: &&String| {
        let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
        !name.contains('.') && !name.contains(':') && !name.starts_with('[')
            || [".localhost", ".local", ".internal"].iter().any(|end| name.ends_with(end))
    };
    let key = "network.allowed_hosts";
    let local = facts.config.network.allowed_hosts.iter().filter(is_local).map(|host| {
        let seen = format!(
            "{key}: {} is a name of this machine or network, and the gate refuses where it leads",
            shown(host)
        );
        Verdict::fail(Source::key(key), seen)
            .about(format!("{key} {}", shown(host)))
            .severe(Severity::Medium)
            .mended_by("remove it: only names that lead to public addresses can be reached")
    });
    refused.chain(local).collect()
}

/// SMC2011.
pub fn would_start(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let elsewhere = ground.parameters.list("judged_elsewhere");
    let is_elsewhere = |code: &str| {
        elsewhere.iter().any(|known| match known.strip_suffix('*') {
            Some(beginning) => code.starts_with(beginning),
            None => known == code,
        })
    };
    // A server may be allowed to read what this user is not.
    let is_unseen = |problem: &Problem| {
        problem.is_closed || (problem.code == "CONFIG_FILE_UNREADABLE" && facts.unread.is_some())
    };
    let told = |problem: &Problem| {
        let seen = format!("{}: {} ({}): {}", problem.code, problem.key, problem.origin, problem.why);
        let verdict = match is_unseen(problem) {
            true => Verdict::error(place_of(problem), seen),
            false => Verdict::fail(place_of(problem), seen),
        };
        verdict
            .about(format!("{} {}", problem.code, problem.key))
            .because(problem.why.clone())
            .mended_by(problem.fix.clone())
    };
    let of = |list: &'_ [Problem]| -> Vec<Verdict> {
        list.iter().filter(|problem| !is_elsewhere(&problem.code)).map(told).collect()
    };
    // What keeps a server from starting is no smaller thing on somebody's own machine.
    let mut found: Vec<Verdict> =
        of(&facts.problems).into_iter().map(|verdict| verdict.severe(Severity::High)).collect();
    found.extend(never_reached(facts));
    found.extend(of(&facts.notices).into_iter().map(|verdict| verdict.severe(Severity::Low)));
    if found.is_empty() {
        let seen = if facts.problems.is_empty() {
            "'serve' takes this configuration".to_owned()
        } else {
            let mut codes: Vec<&str> = facts.problems.iter().map(|problem| problem.code.as_str()).collect();
            codes.dedup();
            format!("nothing beside what checks of their own judge: {}", codes.join(", "))
        };
        found.push(Verdict::pass(Source::key("--config"), seen));
    }
    found
}
