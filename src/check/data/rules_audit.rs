//! Rules of the group audit that need no live server: SMC6001 to 6003, 6008, 6009.

use super::{Facts, Trail, seen, settled};
use crate::check::finding::counted;
use crate::check::{Ground, Profile, Severity, Source, Verdict};
use crate::config::value::spell;
use crate::policy::alerts::{AlertSeverity, BUILT_IN, rules};

/// The trail, or the one verdict in the place of every rule about it. That there is none is no fault of a development
/// set-up.
fn trail<'a>(facts: &'a Facts, ground: &Ground<'_>) -> Result<&'a Trail, Vec<Verdict>> {
    let at = || Source::file(&facts.config.audit.dir);
    seen(&facts.trail, at())?.as_ref().ok_or_else(|| {
        let why = "there is no audit trail yet: no server has started";
        vec![match ground.profile {
            Profile::Development => Verdict::not_applicable(at(), why),
            _ => Verdict::error(at(), why),
        }]
    })
}

/// SMC6001.
pub fn chain_holds(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let at = || Source::file(&facts.config.audit.dir);
    settled(trail(facts, ground).map(|trail| {
        let only_unsigned = trail.problems.iter().all(|problem| problem.starts_with("AUDIT_UNSIGNED"));
        if let Some(words) = newborn(facts, trail, ground).filter(|_| only_unsigned) {
            return vec![Verdict::error(at(), format!("cannot tell yet: {words}"))];
        }
        if !trail.problems.is_empty() {
            let one = |problem: &String| {
                let code = problem.split(':').next().unwrap_or_default();
                Verdict::fail(at(), problem).about(code)
            };
            let mut found: Vec<Verdict> = trail.problems.iter().map(one).collect();
            found.dedup_by(|one, other| one.subject == other.subject);
            return found;
        }
        vec![match trail.doubts.first() {
            Some(doubt) => Verdict::error(at(), format!("cannot tell: {doubt}")),
            None => Verdict::pass(
                at(),
                format!("{}, as they were written", counted(trail.records, "record", "records")),
            ),
        }]
    }))
}

/// A trail so young that its first checkpoint is not due, in words. Twice the time, because signing takes some.
fn newborn(facts: &Facts, trail: &Trail, ground: &Ground<'_>) -> Option<String> {
    let due = facts.config.audit.checkpoint_every;
    let age = ground.now.since(trail.began.filter(|_| trail.signed.is_none())?);
    let words = || {
        let (age, due) = (counted(age.as_secs(), "second", "seconds"), due.as_secs());
        format!("the trail is {age} old, and is first signed after {due} (audit.checkpoint_seconds)")
    };
    (age <= due * 2).then(words)
}

/// SMC6002.
pub fn signed_and_anchored(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(
        trail(facts, ground).map(|trail| vec![signed(facts, trail, ground), anchored(facts, trail, ground)]),
    )
}

fn signed(facts: &Facts, trail: &Trail, ground: &Ground<'_>) -> Verdict {
    let at = Source::file(&facts.config.audit.dir);
    let most = ground.parameters.number("minutes").unsigned_abs();
    let verdict = match trail.signed {
        None => match newborn(facts, trail, ground) {
            Some(words) if age_in_minutes(trail, ground).is_none_or(|age| age <= most) => {
                Verdict::not_applicable(at, words)
            }
            _ => Verdict::fail(
                at,
                format!("{}, and nobody signed them", counted(trail.records, "record", "records")),
            ),
        },
        Some((size, _)) if size >= trail.records => {
            Verdict::pass(at, counted(size, "record, and it is signed", "records, all of them signed"))
        }
        Some((size, when)) => {
            let left = counted(trail.records - size, "record is", "records are");
            let ago = |minutes: u64| counted(minutes, "minute", "minutes");
            match when.map(|when| ground.now.since(when).as_secs() / 60) {
                Some(minutes) if minutes <= most => {
                    Verdict::pass(at, format!("{left} younger than the checkpoint of {} ago", ago(minutes)))
                }
                Some(minutes) => Verdict::fail(at, format!("{left} unsigned since {}", ago(minutes)))
                    .mended_by("start the server: it signs what it finds; if one runs, see its log"),
                None => Verdict::fail(at, format!("{left} unsigned, since when is not said")),
            }
        }
    };
    verdict.about("signed")
}

fn age_in_minutes(trail: &Trail, ground: &Ground<'_>) -> Option<u64> {
    trail.began.map(|began| ground.now.since(began).as_secs() / 60)
}

fn anchored(facts: &Facts, trail: &Trail, ground: &Ground<'_>) -> Verdict {
    let anchors = &facts.config.audit.anchors;
    let at = Source::key("audit.anchors");
    let configured = [
        ("file", anchors.file.is_some()),
        ("syslog", anchors.syslog.is_some()),
        ("webhook", anchors.webhook.is_some()),
    ];
    let configured: Vec<&str> = configured.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
    let most = ground.parameters.number("anchor_hours").unsigned_abs();
    let (signed, signed_at) = trail.signed.unwrap_or_default();
    // What was never told anything waits since the first that it should have been told.
    let is_behind = |name: &&str| {
        let told = trail.anchored.iter().find(|anchor| anchor.place == **name);
        let since = told.map(|anchor| anchor.at).or(trail.first_signed).or(signed_at);
        let hours = since.map_or(u64::MAX, |since| ground.now.since(since).as_secs() / 3_600);
        told.is_none_or(|anchor| anchor.size < signed) && hours > most
    };
    let behind: Vec<&str> = configured.iter().copied().filter(is_behind).collect();
    let near = |name: &&str| match *name {
        "file" => trail.near.file == Ok(true),
        "syslog" => trail.near.syslog,
        _ => trail.near.webhook,
    };
    let verdict = if configured.is_empty() {
        Verdict::fail(at, "no place outside is told how far the trail goes")
    } else if configured.iter().all(near) {
        let seen = format!(
            "{}: on this machine or in its memory, where whoever cuts the trail can cut that too",
            configured.join(", ")
        );
        Verdict::fail(at, seen).mended_by(
            "set audit.anchors.file to another machine's disk, audit.anchors.syslog to another machine's address, or audit.anchors.webhook; a syslog here that passes all on is yours to waive",
        )
    } else if let (true, Err(unseen)) = (behind.is_empty(), &trail.near.file) {
        Verdict::error(Source::key("audit.anchors.file"), unseen.why.clone())
    } else if behind.is_empty() {
        Verdict::pass(
            at,
            format!("{}: nothing waits to be told for over {most} hours", configured.join(", ")),
        )
    } else {
        Verdict::fail(
            at,
            format!("not told of the newest checkpoint for {most} hours: {}", behind.join(", ")),
        )
    };
    verdict.about("anchored")
}

/// SMC6003.
pub fn fields_present(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let at = || Source::file(&facts.config.audit.dir);
    settled(trail(facts, ground).map(|trail| {
        let sample = &trail.sample;
        vec![match (sample.looked, sample.faults.first()) {
            (0, _) => Verdict::error(at(), "there is no whole record in the newest segment"),
            (_, Some(fault)) => Verdict::fail(at(), fault),
            (looked, None) => Verdict::pass(
                at(),
                format!("the newest {} every field, in UTC", counted(looked, "record has", "records have")),
            ),
        }]
    }))
}

/// Too few megabytes in any case, or a small share that is not many of them either.
fn is_scarce(free: u64, share: u64, (bytes, percent): (i64, i64)) -> bool {
    let (bytes, percent) = (bytes.unsigned_abs(), percent.unsigned_abs());
    free < bytes || (share < percent && free < bytes.saturating_mul(10))
}

/// SMC6008.
pub fn room_and_time(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let least = ground.parameters.number("keep_days").unsigned_abs();
    let at = Source::key("audit.keep_days");
    let time = match facts.config.audit.keep {
        None => Verdict::pass(at, "segments are kept for ever"),
        Some(keep) if keep.as_secs() / 86_400 >= least => {
            Verdict::pass(at, format!("segments are kept for {}", spell(keep)))
        }
        Some(keep) => Verdict::fail(at, format!("segments are removed after {}", spell(keep)))
            .expecting(format!("at least {least} days"))
            .mended_by(format!("set audit.keep_days to {least} or more, or 0 for ever")),
    };
    let mut found = vec![time.about("retention")];
    let room = settled(trail(facts, ground).map(|trail| {
        let at = Source::file(&facts.config.audit.dir);
        let (bytes, percent) =
            (ground.parameters.number("free_megabytes"), ground.parameters.number("free_percent"));
        vec![match trail.room {
            None => Verdict::error(at, "the disk does not say how much room it has"),
            // A small share of a large disk is room enough.
            Some((free, share)) if is_scarce(free >> 20, share, (bytes, percent)) => {
                Verdict::fail(at, format!("{} MiB free, {share} % of its disk", free >> 20))
                    .expecting(format!("at least {bytes} MiB, and {percent} % or ten times as much"))
                    .mended_by(
                        "make room: where the trail cannot be written, nothing that it records may happen",
                    )
            }
            Some((free, share)) => {
                Verdict::pass(at, format!("{} MiB free, {share} % of its disk", free >> 20))
            }
        }]
    }));
    found.extend(room.into_iter().map(|verdict| verdict.about("room")));
    found
}

/// SMC6009: the configuration's half.
pub fn somebody_is_told(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    let alerts = &facts.config.alerts;
    let mut found = Vec::new();
    if facts.file_is_unread {
        let why = "the configuration file cannot be read, so whom it names is not known";
        return vec![Verdict::error(Source::key("alerts"), why)];
    }
    if alerts.webhook.is_none() && alerts.mail.is_none() && alerts.command.is_empty() {
        let seen = "nobody is told: neither a webhook nor mail nor a command is configured";
        found.push(Verdict::fail(Source::key("alerts.webhook_url"), seen).about("channel"));
    }
    let kept = rules(&alerts.rules);
    let off = BUILT_IN.iter().filter(|rule| !kept.iter().any(|other| other.name == rule.name));
    for rule in off {
        let grave = matches!(rule.severity, AlertSeverity::High | AlertSeverity::Critical);
        let verdict = Verdict::fail(
            Source::key("alerts.rules"),
            format!("{} is switched off: {}", rule.name, rule.summary),
        );
        let verdict = verdict.about(rule.name.clone());
        found.push(if grave { verdict } else { verdict.severe(Severity::Low) });
    }
    if found.is_empty() {
        let channels = [
            (alerts.webhook.is_some(), "webhook"),
            (alerts.mail.is_some(), "mail"),
            (!alerts.command.is_empty(), "command"),
        ];
        let channels: Vec<&str> = channels.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect();
        let seen = format!("{}, told by {}", counted(kept.len(), "rule", "rules"), channels.join(" and "));
        found.push(Verdict::pass(Source::key("alerts.rules"), seen));
    }
    found
}
