//! Rules of the group keys that the database decides: SMC1003, 1005 to 1007, 1009.

use super::{Facts, age, posture, seen, settled};
use crate::ambient::Timestamp;
use crate::check::finding;
use crate::check::{Ground, Severity, Source, Verdict};
use crate::domain::KeyPurpose;

fn at(place: &str) -> Source {
    Source::Database(place.to_owned())
}

/// SMC1003.
pub fn sealed_as_known(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(by_form(facts, ground).map(|mut found| {
        found.extend(settled(by_key(facts, ground)));
        found
    }))
}

/// What no key is needed for: the form of each value, and whether the key that it names is there.
fn by_form(facts: &Facts, ground: &Ground<'_>) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let posture = posture(facts, ground.profile)?;
    let kinds = seen(&posture.envelopes, at("sealed columns"))?;
    let owned = seen(&posture.ownership, at("data_keys"))?;
    let foreign = kinds.iter().filter(|kind| kind.foreign > 0).map(|kind| {
        let seen = format!("{} of {} values are no envelope of a known format", kind.foreign, kind.values);
        Verdict::fail(at(kind.kind), seen).about(kind.kind)
    });
    let mut found: Vec<Verdict> = foreign.collect();
    for (count, what) in
        [(owned.dangling, "rows name a data key"), (owned.under_unknown, "data keys name a master key")]
    {
        if count > 0 {
            let seen = format!("{count} {what} that is not there");
            found.push(Verdict::fail(at("data_keys"), seen).about(what));
        }
    }
    if found.is_empty() {
        let values: i64 = kinds.iter().map(|kind| kind.values).sum();
        let seen = format!(
            "{values} values in {} columns, all of them envelopes that name a known key",
            kinds.len()
        );
        found.push(Verdict::pass(at("sealed columns"), seen).about("form"));
    }
    Ok(found)
}

/// What the key in use opens.
fn by_key(facts: &Facts, ground: &Ground<'_>) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let about = |found: Vec<Verdict>| found.into_iter().map(|one| one.about("content")).collect::<Vec<_>>();
    let posture = posture(facts, ground.profile)?;
    let things = seen(&posture.opened, at("sealed columns")).map_err(about)?;
    let total = things.total();
    Ok(about(vec![match things.in_words() {
        Some(damaged) => Verdict::fail(at("sealed columns"), damaged),
        None => {
            let more = if things.are_more {
                format!("; of a column {} were tried", things.most)
            } else {
                String::new()
            };
            let (open, others) = (total.opened, total.elsewhere);
            let seen = format!("{open} values open; {others} need a key that is not at hand{more}");
            Verdict::pass(at("sealed columns"), seen)
        }
    }]))
}

/// A key, and how old it may become.
struct Aged {
    subject: String,
    place: &'static str,
    created: i64,
    days: u32,
    fix: &'static str,
}

/// SMC1005.
pub fn keys_young(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let one = |key: &Aged| {
        let about = |verdict: Verdict| verdict.about(key.subject.clone());
        settled(judged(key, ground)).into_iter().map(about).collect::<Vec<_>>()
    };
    settled(aged(facts, ground).map(|keys| keys.iter().flat_map(one).collect()))
}

fn aged(facts: &Facts, ground: &Ground<'_>) -> Result<Vec<Aged>, Vec<Verdict>> {
    let posture = posture(facts, ground.profile)?;
    let most = &facts.config.security.max_key_age;
    let active = |state: &str| state == "active";
    let masters =
        seen(&posture.masters, at("master_keys"))?.iter().filter(|row| active(&row.state)).map(|row| Aged {
            subject: "master key".to_owned(),
            place: "master_keys.created_at",
            created: row.created_at,
            days: most.master,
            fix: "spotify-mcp rotate-keys --what master",
        });
    let data =
        seen(&posture.data_keys, at("data_keys"))?.iter().filter(|row| active(&row.state)).map(|row| Aged {
            subject: format!("oldest data key under {}", row.master_key_id),
            place: "data_keys.created_at",
            created: row.oldest,
            days: most.data,
            fix: "spotify-mcp rotate-keys --what data",
        });
    let rotates = |name: &str| KeyPurpose::named(name).is_some_and(KeyPurpose::rotates);
    let own = seen(&posture.own, at("purpose_keys"))?;
    let own = own.iter().filter(|row| active(&row.state) && rotates(&row.purpose)).map(|row| Aged {
        subject: format!("{} key", row.purpose),
        place: "purpose_keys.created_at",
        created: row.created_at,
        days: most.signing,
        fix: "spotify-mcp rotate-keys --what signing",
    });
    let apps = seen(&posture.apps, at("spotify_apps"))?;
    let apps = apps.iter().filter(|row| row.retired_at.is_none()).filter_map(|row| {
        Some(Aged {
            subject: format!("client secret of {}", row.client_id),
            place: "spotify_apps.secret_since",
            created: row.secret_since?,
            days: most.spotify_client,
            fix: "make another secret in Spotify's dashboard, then: spotify-mcp rotate-keys --what spotify-client",
        })
    });
    Ok(masters.chain(data).chain(own).chain(apps).collect())
}

fn judged(key: &Aged, ground: &Ground<'_>) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let days = age(Timestamp::from_secs(key.created), ground, || at(key.place))?.as_secs() / 86_400;
    let most = u64::from(key.days);
    let soon = u64::try_from(ground.parameters.number("warn_days")).unwrap_or_default();
    let place = at(key.place);
    let verdict = if days >= most {
        Verdict::fail(place, format!("{}: {} old", key.subject, finding::counted(days, "day", "days")))
            .expecting(format!("younger than {}", finding::counted(most, "day", "days")))
            .mended_by(key.fix)
    } else if days + soon >= most {
        Verdict::pass(
            place,
            format!(
                "{}: {} old, due in {}: {}",
                key.subject,
                finding::counted(days, "day", "days"),
                finding::counted(most - days, "day", "days"),
                key.fix
            ),
        )
    } else {
        Verdict::pass(place, format!("{}: {days} of {}", key.subject, finding::counted(most, "day", "days")))
    };
    Ok(vec![verdict])
}

/// SMC1006.
pub fn seals_counted(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(counted(facts, ground))
}

/// NIST SP 800-38D section 8.3: seals under one key with random nonces.
const BOUND: i64 = 1 << 32;

fn counted(facts: &Facts, ground: &Ground<'_>) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let posture = posture(facts, ground.profile)?;
    let masters = seen(&posture.masters, at("master_keys"))?.iter().map(|row| ("master key", row.seal_count));
    let data = seen(&posture.data_keys, at("data_keys"))?.iter().map(|row| ("data key", row.most_seals));
    let (kind, most) = masters.chain(data).max_by_key(|(_, seals)| *seals).unwrap_or(("data key", 0));
    let (warn, fail) = (ground.parameters.number("warn_percent"), ground.parameters.number("fail_percent"));
    let percent = most.saturating_mul(100) / BOUND;
    let seen = format!("the busiest is a {kind} with {most} seals, {percent} % of 2^32");
    let (place, fix) = match kind {
        "master key" => (at("master_keys.seal_count"), "spotify-mcp rotate-keys --what master"),
        _ => (at("data_keys.seal_count"), "spotify-mcp rotate-keys --what data"),
    };
    Ok(vec![if percent >= fail {
        Verdict::fail(place, seen).mended_by(fix)
    } else if percent >= warn {
        Verdict::fail(place, seen).mended_by(fix).severe(Severity::Low)
    } else {
        Verdict::pass(place, seen)
    }])
}

/// SMC1007.
pub fn rotations_ended(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(ended(facts, ground))
}

fn ended(facts: &Facts, ground: &Ground<'_>) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let posture = posture(facts, ground.profile)?;
    let rotations = seen(&posture.rotations, at("rotations"))?;
    let owned = seen(&posture.ownership, at("data_keys"))?;
    let mut found = Vec::new();
    if let Some(row) = seen(&posture.emergency, at("emergencies"))? {
        let seen = format!("emergency {} is not over ({})", row.id, row.state);
        let fix = "run the same 'spotify-mcp rotate-keys --emergency' again: it goes on";
        found.push(
            Verdict::fail(at("emergencies"), seen)
                .about("emergency")
                .mended_by(fix)
                .severe(Severity::Critical),
        );
    }
    for (row, left) in rotations {
        let hours = ground.now.since(Timestamp::from_millis(row.started_at)).as_secs() / 3_600;
        let patience = u64::try_from(ground.parameters.number("hours")).unwrap_or_default();
        if row.ended_at.is_none() && hours >= patience {
            let seen = format!(
                "rotation {} ({}) is {} since {}",
                row.id,
                row.kind,
                row.state,
                finding::counted(hours, "hour", "hours")
            );
            let fix = format!("spotify-mcp rotate-keys --what {}: it goes on where it stopped", row.kind);
            found.push(Verdict::fail(at("rotations"), seen).about(row.id.clone()).mended_by(fix));
        } else if *left > 0 {
            let seen = format!("rotation {} ({}) left {left} rows that do not open", row.id, row.kind);
            let fix =
                "'spotify-mcp rotate-keys --status' names the rotation; their owners have to connect again";
            found.push(Verdict::fail(at("rotation_exceptions"), seen).about(row.id.clone()).mended_by(fix));
        }
    }
    let is_rotating = rotations.iter().any(|(row, _)| row.ended_at.is_none());
    let old = [
        (owned.under_retired, "data keys are under a retired master key"),
        (owned.sealed_by_retired, "rows are sealed under a retired data key"),
    ];
    for (count, what) in old.into_iter().filter(|(count, _)| *count > 0 && !is_rotating) {
        found.push(Verdict::fail(at("data_keys"), format!("{count} {what}")).about(what));
    }
    if found.is_empty() {
        let seen = format!(
            "{} on record, none stuck, nothing under a retired key",
            finding::counted(rotations.len(), "rotation", "rotations")
        );
        found.push(Verdict::pass(at("rotations"), seen));
    }
    Ok(found)
}

/// SMC1009.
pub fn keys_apart(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(apart(facts, ground))
}

fn apart(facts: &Facts, ground: &Ground<'_>) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let owned = seen(&posture(facts, ground.profile)?.ownership, at("data_keys"))?;
    let all = [
        (owned.several_active, "people have more than one active data key"),
        (owned.none_active, "people with a linked account have no active data key"),
        (owned.foreign, "rows are under another person's data key"),
        (owned.copied, "wrapped data keys are there more than once"),
    ];
    let found: Vec<Verdict> = all
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| Verdict::fail(at("data_keys"), format!("{count} {what}")).about(what))
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    Ok(vec![Verdict::pass(at("data_keys"), "each person has one active data key, and nobody else's")])
}
