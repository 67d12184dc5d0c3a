//! `rotate-keys --what master`: from whatever is stored to the end, and the evidence.

use serde_json::json;

use super::Args;
use super::evidence::{self, Shown};
use super::new_key::NewPlace;
use super::runner::{Follow, Runner, bench, stalled, stopped};
use super::sealed_configuration::{self, Concerned};
use crate::ambient::Timestamp;
use crate::cli::administer::{Desk, broken};
use crate::cli::output::Refused;
use crate::cli::serve_start;
use crate::config::master_key::KeyPlace;
use crate::crypto::keys::RootKey;
use crate::domain::rotation::{ANSWERS_AGAIN, Kind, State, answers_again};
use crate::store::RotationRow;
use crate::vault::KeyRing;
use crate::vault::rotation::{self, Master, Stopped};

/// What is at hand: the key in use, and where the next one comes from.
struct AtHand {
    present: RootKey,
    place: Option<NewPlace>,
    new: Option<RootKey>,
    ring: KeyRing,
}

/// Rotates the master key.
pub(super) async fn run(args: &Args, desk: &Desk) -> Result<Shown, Refused> {
    let at_hand = at_hand(args, desk).await?;
    let in_progress = desk.store.rotation_in_progress().await.map_err(|failure| broken(&failure))?;
    if let Some(row) = &in_progress
        && row.kind != Kind::Master.name()
    {
        return Err(other_in_progress(row));
    }
    if args.dry_run {
        return would(args, desk, &at_hand, in_progress.as_ref()).await;
    }
    let runner = Runner::take(desk)?;
    let follow = Follow::new(desk.output);
    let planned = match in_progress {
        Some(row) => {
            // In an emergency, one that was on its way before ends as it was begun, whatever file was named.
            let asked = if args.emergency && row.emergency.is_none() { None } else { at_hand.new.as_ref() };
            Some(resumed(args, desk, &at_hand, (&runner, asked), row).await?)
        }
        None => None,
    };
    let (id, master) = match planned.flatten() {
        Some(found) => found,
        None => match plan(args, desk, &at_hand).await? {
            Some(planned) => planned,
            None => return finished(desk, &at_hand).await,
        },
    };
    // In an emergency the database hands nothing over, and this process has the file.
    at_hand.ring.give(master.new.clone());
    let turn = runner.turn(desk, &id).await?;
    rotation::Witness::passed(&follow, "planned");
    rotation::run(&master, &bench(args, desk, &turn, &follow)).await.map_err(stopped)?;
    at_hand.ring.learn().await.map_err(|failure| stalled(&failure))?;
    end(desk, &at_hand, &id).await
}

/// The roots at hand: the configured one, and what lies where the new one is to be.
pub(super) fn roots(args: &Args, desk: &Desk) -> Result<Vec<RootKey>, Refused> {
    let Some((present, at)) = serve_start::present_root(&desk.config)? else { return Err(no_key()) };
    let place = NewPlace::of(args.new_master_key_file.as_deref(), &at.unwrap_or(KeyPlace::Command));
    let new = place.map(|place| place.existing()).transpose()?.flatten();
    Ok(std::iter::once(present).chain(new).collect())
}

/// Everything that could refuse an emergency's rotation is asked before anything is frozen; the new key is made, and a
/// sealed configuration gets its slot.
pub(super) async fn make_ready(args: &Args, desk: &Desk) -> Result<(), Refused> {
    let at_hand = at_hand(args, desk).await?;
    let Some(place) = &at_hand.place else { return Err(no_place()) };
    let old = at_hand.ring.active();
    let concerned = sealed_configuration::concerned(desk, &old.id().to_string())?;
    let in_progress = desk.store.rotation_in_progress().await.map_err(|failure| broken(&failure))?;
    let routine =
        in_progress.as_ref().is_some_and(|row| row.emergency.is_none() && row.kind == Kind::Master.name());
    if routine && matches!(place, NewPlace::Beside { .. }) {
        // It ends first, and only then is there room for the next key.
        return Ok(());
    }
    let new = place.existing_or_made(&desk.dice)?;
    let known = desk.store.master_keys().await.map_err(|failure| broken(&failure))?;
    let to_this = |row: RotationRow| row.emergency.is_some() && row.new_key == new.id().to_string();
    if !in_progress.is_some_and(to_this) && known.iter().any(|row| row.id == new.id().to_string()) {
        return Err(used_before(&new));
    }
    match &concerned {
        Some(concerned) => sealed_configuration::give_slot(concerned, (&old, &new), false),
        None => Ok(()),
    }
}

/// Whether the new key at hand was in use before; asked without making one.
pub(super) async fn is_new_key_used(args: &Args, desk: &Desk) -> Result<bool, Refused> {
    let at_hand = at_hand(args, desk).await?;
    if at_hand.place.is_none() {
        return Err(no_place());
    }
    let Some(new) = &at_hand.new else { return Ok(false) };
    let in_progress = desk.store.rotation_in_progress().await.map_err(|failure| broken(&failure))?;
    if in_progress.is_some_and(|row| row.new_key == new.id().to_string()) {
        return Ok(false);
    }
    let known = desk.store.master_keys().await.map_err(|failure| broken(&failure))?;
    Ok(known.iter().any(|row| row.id == new.id().to_string()))
}

async fn at_hand(args: &Args, desk: &Desk) -> Result<AtHand, Refused> {
    let Some((present, at)) = serve_start::present_root(&desk.config)? else {
        return Err(no_key());
    };
    let at = at.unwrap_or(KeyPlace::Command);
    let place = NewPlace::of(args.new_master_key_file.as_deref(), &at);
    let new = match &place {
        Some(place) => place.existing()?,
        None => None,
    };
    let roots: Vec<RootKey> = std::iter::once(present.clone()).chain(new.clone()).collect();
    let (ring, _) = serve_start::ring(&desk.store, &roots, (&desk.clock, &desk.dice)).await?;
    Ok(AtHand { present, place, new, ring })
}

/// The rotation in progress with both of its keys; `None` where it was given up for another new key.
async fn resumed(
    args: &Args,
    desk: &Desk,
    at_hand: &AtHand,
    (runner, asked): (&Runner, Option<&RootKey>),
    row: RotationRow,
) -> Result<Option<(String, Master)>, Refused> {
    let state = State::named(&row.state).unwrap_or(State::Planned);
    let root = |id: &str| {
        let found = crate::vault::key_id(id).and_then(|id| at_hand.ring.root(id));
        let given = std::iter::once(&at_hand.present).chain(&at_hand.new);
        found.or_else(|| given.into_iter().find(|root| root.id().to_string() == id).cloned().map(Into::into))
    };
    let asked_for = |new: &RootKey| [&row.new_key, &row.old_key].contains(&&new.id().to_string());
    let another = asked.is_some_and(|new| !asked_for(new));
    match (root(&row.old_key), root(&row.new_key)) {
        (Some(old), Some(new)) if !another => Ok(Some((row.id, Master { old, new }))),
        (Some(_), _) if state.can_be_aborted() => {
            let turn = runner.turn(desk, &row.id).await?;
            bench(args, desk, &turn, &Follow::new(desk.output)).abort(&row).await.map_err(stopped)?;
            Ok(None)
        }
        _ => Err(Refused::usage(
            "ROTATION_OTHER_KEY",
            format!(
                "a rotation from {} to {} is in progress, and one of them is missing",
                row.old_key, row.new_key
            ),
            format!("give the file of key {} with --new-master-key-file", row.new_key),
        )),
    }
}

/// Plans a rotation to the new key; `None` where that key is in use already.
async fn plan(args: &Args, desk: &Desk, at_hand: &AtHand) -> Result<Option<(String, Master)>, Refused> {
    let Some(place) = &at_hand.place else { return Err(no_place()) };
    let old = at_hand.ring.active();
    if at_hand.new.as_ref().is_some_and(|new| new.id() == old.id()) {
        return Ok(None);
    }
    if let Some(row) = recent(args, desk, at_hand).await? {
        desk.output.note(&done_already(&row));
        return Ok(None);
    }
    let concerned = sealed_configuration::concerned(desk, &old.id().to_string())?;
    let new = place.existing_or_made(&desk.dice)?;
    let known = desk.store.master_keys().await.map_err(|failure| broken(&failure))?;
    if known.iter().any(|row| row.id == new.id().to_string()) {
        return Err(used_before(&new));
    }
    if let Some(concerned) = &concerned {
        sealed_configuration::give_slot(concerned, (&old, &new), !args.emergency)?;
        rotation::Witness::passed(&Follow::new(desk.output), "slot");
    }
    let master = Master { old, new: new.into() };
    let planned = master.plan((&desk.store, &desk.clock, &desk.dice), args.emergency).await;
    match planned.map_err(|failure| broken(&failure))? {
        Some(id) => Ok(Some((id, master))),
        None => Err(stopped(Stopped::TurnLost)),
    }
}

/// What is left when nothing is wrapped under the old key any more: the new key's name, and the evidence.
async fn end(desk: &Desk, at_hand: &AtHand, id: &str) -> Result<Shown, Refused> {
    let row = desk.store.rotation(id).await.map_err(|failure| stalled(&failure))?;
    let Some(row) = row else { return Err(stopped(Stopped::TurnLost)) };
    let mut notes = Vec::new();
    match &at_hand.place {
        Some(place @ NewPlace::Beside { key, .. }) => {
            if let Some(kept) = place.take_the_name(desk, &row.old_key)? {
                notes.push(format!(
                    "{} holds the new key; backups from before need {}",
                    key.display(),
                    kept.display()
                ));
            }
        }
        _ if row.emergency.is_some() => {}
        _ => notes.push(
            "running servers have learned the new key; a server that starts with the old one still learns it, until \
             one has started with the new key (7 days at most): give every server the new key now"
                .to_owned(),
        ),
    }
    if row.emergency.is_some() {
        notes.push(
            "the old key leads nowhere: give every server the new one by its file, and 'config reload' or a start; until \
             then it answers 503"
                .to_owned(),
        );
    }
    notes.extend(configuration(desk, at_hand, &row).await?);
    notes.push(
        "backups from before this rotation need the old key: keep it as long as you keep them".to_owned(),
    );
    evidence::show(desk, &at_hand.ring, &row, &notes).await
}

/// The sealed configuration at the end: both keys open it, in an emergency the new one alone.
async fn configuration(desk: &Desk, at_hand: &AtHand, row: &RotationRow) -> Result<Vec<String>, Refused> {
    let Some(concerned) = sealed_configuration::concerned(desk, &row.old_key)? else { return Ok(Vec::new()) };
    let file = concerned.path.display();
    if row.emergency.is_none() {
        return Ok(vec![format!(
            "{file} opens with both keys; when every server has the new one: 'config rekey {file} --drop-slot {}'",
            concerned.old_slot
        )]);
    }
    let closed = sealed_configuration::close_to_old(desk, &concerned, &at_hand.ring.active()).await?;
    let mut notes = vec![format!(
        "{file} is sealed anew: the new key alone opens it. Copies of it elsewhere still open with the old key: what is \
         secret in it must be replaced where it came from"
    )];
    if !closed.dropped.is_empty() {
        notes.push(format!(
            "its slots {} are gone: add them again with 'config slot add {file}'",
            closed.dropped.join(", ")
        ));
    }
    if closed.backup_removed {
        notes.push(format!("{file}.bak, which the old key opens, is removed"));
    }
    Ok(notes)
}

/// What was left of an emergency's rotation when the command was killed behind it, and its evidence.
pub(super) async fn end_again(args: &Args, desk: &Desk, id: &str) -> Result<Shown, Refused> {
    let at_hand = at_hand(args, desk).await?;
    end(desk, &at_hand, id).await
}

/// The rotation that answers for this run: it ended a short while ago, no file was named, and nobody said to rotate
/// again. In an emergency none does.
async fn recent(args: &Args, desk: &Desk, at_hand: &AtHand) -> Result<Option<RotationRow>, Refused> {
    let no_file_named = matches!(at_hand.place, Some(NewPlace::Beside { .. }));
    if args.again || args.emergency || !no_file_named {
        return Ok(None);
    }
    let (active, now) = (at_hand.ring.active().id().to_string(), desk.clock.now());
    let rotations = desk.store.rotations(1_000).await.map_err(|failure| broken(&failure))?;
    let answers = |row: &RotationRow| {
        let ended = row.ended_at.map(Timestamp::from_millis);
        row.kind == Kind::Master.name()
            && row.new_key == active
            && ended.is_some_and(|ended| answers_again(ended, now, ANSWERS_AGAIN))
    };
    Ok(rotations.into_iter().find(answers))
}

fn done_already(row: &RotationRow) -> String {
    let ended = row.ended_at.map(Timestamp::from_millis).unwrap_or_default();
    format!(
        "The master key was rotated already, at {}: nothing is done, and the evidence follows. Within 12 hours, '--again' \
         rotates once more.",
        ended.rfc3339()
    )
}

/// Run again after the end: the same evidence.
async fn finished(desk: &Desk, at_hand: &AtHand) -> Result<Shown, Refused> {
    let active = at_hand.ring.active().id().to_string();
    let rotations = desk.store.rotations(1_000).await.map_err(|failure| broken(&failure))?;
    let last = rotations.into_iter().find(|row| row.new_key == active && row.kind == Kind::Master.name());
    match last {
        Some(row) => end(desk, at_hand, &row.id).await,
        None => Err(used_before(&at_hand.ring.active())),
    }
}

async fn would(
    args: &Args,
    desk: &Desk,
    at_hand: &AtHand,
    in_progress: Option<&RotationRow>,
) -> Result<Shown, Refused> {
    let Some(place) = &at_hand.place else { return Err(no_place()) };
    if in_progress.is_none()
        && let Some(row) = recent(args, desk, at_hand).await?
    {
        let document = json!({ "dry_run": true, "kind": "master", "done_already": row.id });
        return Ok(Shown::would(format!("{}\n", done_already(&row)), document));
    }
    let counts = desk.store.count_data_keys().await.map_err(|failure| broken(&failure))?;
    let keys: i64 = counts.iter().map(|count| count.keys).sum();
    let old = at_hand.ring.active();
    let concerned: Option<Concerned> = sealed_configuration::concerned(desk, &old.id().to_string())?;
    let new = at_hand.new.as_ref().map(|new| new.id().to_string());
    let made = new.clone().unwrap_or_else(|| "a key that would be made there".to_owned());
    let mut text =
        format!("Would rotate the master key {} to {made} ({}).\n", old.id(), place.path().display());
    text += &format!("{keys} data keys would be wrapped anew; no token is touched.\n");
    if let Some(row) = in_progress {
        text += &format!("Rotation {} ({}) would go on.\n", row.id, row.state);
    }
    if let Some(concerned) = &concerned {
        text += &format!("{} would get a slot for the new key first.\n", concerned.path.display());
    }
    let document = json!({
        "dry_run": true, "kind": "master", "old_key": old.id().to_string(), "new_key": new,
        "new_key_file": place.path(), "data_keys": keys,
        "goes_on": in_progress.map(|row| &row.id), "sealed_configuration": concerned.map(|file| file.path),
    });
    Ok(Shown::would(text, document))
}

fn no_place() -> Refused {
    Refused::usage(
        "NEW_KEY_FILE_NEEDED",
        "the master key does not lie in the data directory, so this command cannot put another in its place",
        "name a file for the new key: --new-master-key-file FILE; give it to every server afterwards",
    )
}

fn used_before(new: &RootKey) -> Refused {
    Refused::usage(
        "NEW_KEY_USED_BEFORE",
        format!("key {} was used here before; a rotation takes one that nobody has seen", new.id()),
        "name a file that is not there yet, and a key is made in it",
    )
}

pub(super) fn no_key() -> Refused {
    Refused::usage(
        "MASTER_KEY_MISSING",
        "there is no master key here, so nothing can be wrapped anew",
        "give this command the server's master key (SPOTIFY_MCP_MASTER_KEY_FILE); --status needs none",
    )
}

pub(super) fn other_in_progress(row: &RotationRow) -> Refused {
    Refused::usage(
        "ROTATION_IN_PROGRESS",
        format!("rotation {} ({}) is in progress", row.id, row.kind),
        format!("let it end first: rotate-keys --what {}", row.kind),
    )
}
