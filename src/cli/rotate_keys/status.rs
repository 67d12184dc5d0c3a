//! `rotate-keys --status`: every key by id with its age and use, what is due, and the rotations. Needs no key.

use serde_json::{Value, json};

use crate::ambient::Timestamp;
use crate::cli::administer::{Desk, broken};
use crate::cli::output::{Exit, Refused};
use crate::cli::table::columns;
use crate::domain::rotation::{Due, MOST_SEALS};
use crate::failure::Failure;
use crate::store::{AppRow, DataKeyCount, EmergencyRow, MasterKeyRow, PurposeKeyRow, RotationRow};

/// What is said of each key.
const KEYS: [&str; 7] = ["KEY", "ID", "STATE", "AGE", "KEYS", "SEALS", "DUE"];

/// What is said of each rotation.
const ROTATIONS: [&str; 8] =
    ["ROTATION", "STARTED (UTC)", "OF", "STATE", "ROWS", "FROM", "TO", "ROWS THAT DID NOT OPEN"];

/// Rotations that are shown.
const SHOWN: i64 = 10;

/// Everything that is shown.
struct Seen {
    now: Timestamp,
    masters: Vec<MasterKeyRow>,
    own: Vec<PurposeKeyRow>,
    apps: Vec<AppRow>,
    data: Vec<DataKeyCount>,
    rotations: Vec<(RotationRow, usize)>,
    emergency: Option<EmergencyRow>,
}

/// Shows it. Status 1 where a key is due, or a rotation has not ended well.
pub(super) async fn run(desk: &Desk) -> Result<Exit, Refused> {
    let seen = look(desk).await.map_err(|failure| broken(&failure))?;
    let lines = lines(desk, &seen);
    let unfinished = seen.rotations.iter().any(|(row, left)| row.ended_at.is_none() || *left > 0);
    let due = lines.iter().any(|line| line.due.name().is_some());
    let rotations: Vec<Value> = seen.rotations.iter().map(|(row, left)| rotation(row, *left)).collect();
    let keys: Vec<Value> = lines.iter().map(Line::as_json).collect();
    let emergency = seen.emergency.as_ref().map(|row| json!({ "id": row.id, "state": row.state }));
    let document = json!({
        "keys": keys, "most_seals": MOST_SEALS, "rotations": rotations, "emergency_in_progress": emergency,
    });
    desk.output.result(&(frozen(&seen) + &table(&lines, &seen)), &document);
    Ok(if due || unfinished || seen.emergency.is_some() { Exit::Findings } else { Exit::Done })
}

/// An emergency that is not over comes before everything else.
fn frozen(seen: &Seen) -> String {
    let Some(row) = &seen.emergency else { return String::new() };
    let frozen = if row.state == "frozen" { "servers issue nothing" } else { "servers issue" };
    format!(
        "EMERGENCY {} IS NOT OVER ({}): {frozen}. Run the same 'rotate-keys --emergency' again: it goes on.\n\n",
        row.id, row.state
    )
}

async fn look(desk: &Desk) -> Result<Seen, Failure> {
    let store = &desk.store;
    let mut rotations = Vec::new();
    for row in store.rotations(SHOWN).await? {
        let left = store.rotation_exceptions(&row.id).await?.len();
        rotations.push((row, left));
    }
    Ok(Seen {
        now: desk.clock.now(),
        masters: store.master_keys().await?,
        own: store.purpose_keys().await?,
        apps: store.operators_apps().await?,
        data: store.count_data_keys().await?,
        rotations,
        emergency: store.emergency_in_progress().await?,
    })
}

/// One line of the table: a key, or people's data keys together.
struct Line {
    kind: &'static str,
    id: String,
    state: String,
    created_at: Timestamp,
    age_days: u64,
    seals: Option<i64>,
    keys: i64,
    due: Due,
    /// The master key that wraps it.
    under: Option<String>,
}

impl Line {
    fn as_json(&self) -> Value {
        json!({
            "kind": self.kind,
            "id": self.id,
            "state": self.state,
            "created_at": self.created_at.rfc3339(),
            "age_days": self.age_days,
            "seals": self.seals,
            "keys": self.keys,
            "wrapped_under": self.under,
            "due": self.due.name(),
        })
    }
}

fn lines(desk: &Desk, seen: &Seen) -> Vec<Line> {
    let policy = &desk.config.security.max_key_age;
    let line = |kind, id: &str, state: &str, created: i64, seals: Option<i64>, days: u32| {
        let created_at = Timestamp::from_secs(created);
        let age = seen.now.since(created_at).as_secs();
        let sealed = seals.unwrap_or_default().unsigned_abs();
        let due = if state == "active" { Due::of(age, days.into(), sealed) } else { Due::No };
        let (id, state) = (id.to_owned(), state.to_owned());
        Line { kind, id, state, created_at, age_days: age / 86_400, seals, keys: 1, due, under: None }
    };
    let masters = seen
        .masters
        .iter()
        .map(|row| line("master", &row.id, &row.state, row.created_at, Some(row.seal_count), policy.master));
    let data = seen.data.iter().map(|row| Line {
        keys: row.keys,
        under: Some(row.master_key_id.clone()),
        ..line("data", "", &row.state, row.oldest, Some(row.most_seals), policy.data)
    });
    let own = seen.own.iter().map(|row| {
        let lives_on =
            crate::domain::KeyPurpose::named(&row.purpose).is_some_and(|purpose| !purpose.rotates());
        let days = if lives_on { u32::MAX } else { policy.signing };
        Line {
            under: Some(row.master_key_id.clone()),
            ..line(purpose(&row.purpose), &row.id, &row.state, row.created_at, None, days)
        }
    });
    let clients = seen.apps.iter().filter_map(|row| {
        let state = if row.retired_at.is_some() { "retired" } else { "active" };
        let (id, since) = (row.secret_id.as_ref()?, row.secret_since?);
        Some(line("spotify-client", id, state, since, None, policy.spotify_client))
    });
    masters.chain(data).chain(own).chain(clients).collect()
}

fn purpose(name: &str) -> &'static str {
    crate::domain::KeyPurpose::named(name).map_or("unknown", crate::domain::KeyPurpose::name)
}

fn rotation(row: &RotationRow, left: usize) -> Value {
    json!({
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "emergency": row.emergency.is_some(),
        "old_key": row.old_key,
        "new_key": row.new_key,
        "rewritten": row.rewritten,
        "quarantined": left,
        "started_at": Timestamp::from_millis(row.started_at).rfc3339(),
        "ended_at": row.ended_at.map(|at| Timestamp::from_millis(at).rfc3339()),
    })
}

fn table(lines: &[Line], seen: &Seen) -> String {
    let row = |line: &Line| {
        let due = match line.due {
            Due::No => "",
            Due::Age => "older than the policy allows",
            Due::Seals => "has sealed as much as one key may",
        };
        [
            line.kind.to_owned(),
            line.id.clone(),
            line.state.clone(),
            format!("{} d", line.age_days),
            line.keys.to_string(),
            line.seals.map_or_else(|| "-".to_owned(), |seals| seals.to_string()),
            due.to_owned(),
        ]
    };
    let text = columns(&KEYS, &lines.iter().map(row).collect::<Vec<_>>());
    if seen.rotations.is_empty() {
        return text + "\nNo rotation yet.\n";
    }
    let row = |(row, left): &(RotationRow, usize)| {
        [
            row.id.clone(),
            Timestamp::from_millis(row.started_at).rfc3339()[..19].replace('T', " "),
            row.kind.clone(),
            row.state.clone(),
            row.rewritten.to_string(),
            row.old_key.clone(),
            row.new_key.clone(),
            if *left > 0 { left.to_string() } else { String::new() },
        ]
    };
    let rows: Vec<[String; 8]> = seen.rotations.iter().map(row).collect();
    text + "\n" + &columns(&ROTATIONS, &rows)
}
