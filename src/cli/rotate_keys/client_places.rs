//! Where a Spotify app's credentials stand in the configuration, and putting others there: a sealed file is sealed
//! anew, a plain one keeps every other byte, and what cannot be written is told, exactly.
//!
//! Never: half a change in one file, or a secret in what is told.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use serde_json::{Map, Value as Node};

use super::runner::stalled;
use crate::cli::Global;
use crate::cli::administer::Desk;
use crate::cli::config::contents::{at, put};
use crate::cli::config::safe::{self, FoundKey};
use crate::cli::config::set;
use crate::cli::output::{Exit, Refused};
use crate::config::sealed::Refusal;
use crate::config::sealed_file::{self, Change, Lock};
use crate::config::unseal::digest;
use crate::config::whereabouts::{Place, variable, with_contents, with_line};
use crate::config::{Loaded, read_plain};
use crate::crypto::SecretString;
use crate::domain::event::{Event, EventCode};
use crate::spotify::AppCredentials;

/// One value that is to change.
struct Edit {
    place: Place,
    old: Option<SecretString>,
    new: SecretString,
}

/// Everything that is to change.
#[derive(Default)]
pub(super) struct Edits(Vec<Edit>);

impl Edits {
    /// What leads from the configured credentials to the new ones.
    pub(super) fn between(
        (loaded, global): (&Loaded, &Global),
        configured: &AppCredentials,
        new: &AppCredentials,
    ) -> Result<Self, Refused> {
        let Some(places) = loaded.places_of_app(&configured.client_id) else {
            return Err(nowhere());
        };
        let mut edits = Vec::new();
        if configured.client_id != new.client_id {
            let place = resolved(places.client_id.clone(), global)?;
            let (old, new) = (SecretString::new(&configured.client_id), SecretString::new(&new.client_id));
            edits.push(Edit { place, old: Some(old), new });
        }
        if let Some(secret) = &new.client_secret
            && configured.client_secret.as_ref() != Some(secret)
        {
            let place = match places.client_secret {
                Some(place) => resolved(place, global)?,
                None => beside(places.client_id),
            };
            edits.push(Edit { place, old: configured.client_secret.clone(), new: secret.clone() });
        }
        Ok(Self(edits))
    }

    /// Where they are, in words.
    pub(super) fn places(&self) -> Vec<String> {
        self.0.iter().map(|edit| in_words(&edit.place)).collect()
    }

    /// Those that this command cannot make, in words.
    pub(super) fn by_hand(&self) -> Vec<String> {
        self.0.iter().filter(|edit| !is_writable(&edit.place)).map(|edit| in_words(&edit.place)).collect()
    }

    /// Makes them, one file after the other, each whole or not at all.
    pub(super) async fn write(&self, desk: &Desk, global: &Global) -> Result<(), Refused> {
        let mut files: Vec<&Path> = Vec::new();
        for edit in &self.0 {
            match &edit.place {
                Place::Key { file, .. } | Place::Line { file, .. } if !files.contains(&&**file) => {
                    files.push(file);
                }
                Place::OwnFile { path, .. } => own_file(path, edit)?,
                _ => {}
            }
        }
        for file in files {
            let of_file = |edit: &&Edit| match &edit.place {
                Place::Key { file: its, .. } | Place::Line { file: its, .. } => its == file,
                _ => false,
            };
            let edits: Vec<&Edit> = self.0.iter().filter(of_file).collect();
            match edits.first().map(|edit| &edit.place) {
                Some(Place::Key { sealed: true, .. }) => seal_anew(file, &edits, (desk, global)).await?,
                _ => plain(file, &edits)?,
            }
        }
        Ok(())
    }
}

/// A value that stands for a variable stands where the variable does.
fn resolved(place: Place, global: &Global) -> Result<Place, Refused> {
    let Place::Key { file, sealed, key } = &place else { return Ok(place) };
    let root = match sealed {
        true => safe::open(file, &key_of(global)?).map_err(as_usage)?.opened.plain,
        false => read_plain(file).map_err(|_| nowhere())?,
    };
    let raw = at(&root, key).and_then(Node::as_str).unwrap_or_default();
    match variable(raw) {
        Some(name) if std::env::var_os(name).is_some() => Ok(Place::Variable(name.to_owned())),
        Some(name) => Ok(match &global.env_file {
            Some(file) => Place::Line { file: file.clone(), name: name.to_owned() },
            None => Place::Variable(name.to_owned()),
        }),
        None if raw.contains("${") => {
            let (key, file) = (key, file.display());
            Ok(Place::Elsewhere(format!("{key} in {file}, which is put together from variables")))
        }
        None => Ok(place),
    }
}

/// Where a first secret belongs: beside the client id.
fn beside(client_id: Place) -> Place {
    let sibling = |key: &str| key.strip_suffix("client_id").map(|start| format!("{start}client_secret"));
    match client_id {
        Place::Key { file, sealed: true, key } if sibling(&key).is_some() => {
            let key = sibling(&key).unwrap_or_default();
            Place::Key { file, sealed: true, key }
        }
        Place::Variable(_) => Place::Variable("SPOTIFY_CLIENT_SECRET".to_owned()),
        other => Place::Elsewhere(format!("a first client_secret beside {}", in_words(&other))),
    }
}

fn in_words(place: &Place) -> String {
    match place {
        Place::Key { file, sealed: false, key } => format!("{key} in {}", file.display()),
        Place::Key { file, key, .. } => format!("{key} in the sealed file {}", file.display()),
        Place::OwnFile { path, named_by } => format!("{} (named by {named_by})", path.display()),
        Place::Line { file, name } => format!("{name} in {}", file.display()),
        Place::Variable(name) => format!("the environment variable {name}"),
        Place::Elsewhere(words) => words.clone(),
    }
}

/// A file is replaced by another, so that its folder counts.
fn is_writable(place: &Place) -> bool {
    let file = match place {
        Place::Key { file, .. } | Place::Line { file, .. } => file,
        Place::OwnFile { path, .. } => path,
        Place::Variable(_) | Place::Elsewhere(_) => return false,
    };
    let Ok(file) = file.canonicalize() else { return false };
    file.parent().is_some_and(|folder| access(folder, Access::WRITE_OK).is_ok())
}

fn own_file(path: &Path, edit: &Edit) -> Result<(), Refused> {
    rewritten(path, |text| {
        let end = ["\r\n", "\n"].into_iter().find(|end| text.ends_with(end)).unwrap_or_default();
        Some(format!("{}{end}", edit.new.expose()))
    })
}

fn plain(path: &Path, edits: &[&Edit]) -> Result<(), Refused> {
    rewritten(path, |text| {
        let mut text = text.to_owned();
        let mut contents = read_plain(path).ok();
        for edit in edits {
            let change = (edit.old.as_ref()?.expose(), edit.new.expose());
            text = match &edit.place {
                Place::Line { name, .. } => with_line(&text, name, change)?,
                Place::Key { key, .. } => {
                    let wanted = contents.as_mut()?;
                    put(wanted, key, Some(Node::from(change.1)));
                    with_contents(path, &text, change, wanted)?
                }
                _ => return None,
            };
        }
        Some(text)
    })
}

/// Replaces a plain file. The text before it, with the old secret, does not stay.
fn rewritten(path: &Path, change: impl FnOnce(&str) -> Option<String>) -> Result<(), Refused> {
    let path: PathBuf = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let troubled = |trouble| safe::troubled(&path, trouble);
    let lock = Lock::take(&path).map_err(troubled)?;
    let before = sealed_file::read(&path).map_err(troubled)?;
    let after = SecretString::new(change(&before).ok_or_else(|| not_found(&path))?);
    let change = Change { before: &before, after: after.expose(), keep: false };
    sealed_file::replace(&lock, &path, change, &|_| Ok(())).map_err(troubled)?;
    sweep(&path);
    Ok(())
}

/// Removes what a run that was killed left beside the file: with the lock held, nobody is writing there. What cannot be
/// removed has the mode 0600.
fn sweep(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
    let start = format!("{}.", name.to_string_lossy());
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let left = entry.file_name().to_string_lossy().into_owned();
        let number = left.strip_prefix(&start).and_then(|rest| rest.strip_suffix(".new"));
        if number.is_some_and(|number| !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit())) {
            let _stays = std::fs::remove_file(entry.path());
        }
    }
}

async fn seal_anew(path: &Path, edits: &[&Edit], (desk, global): (&Desk, &Global)) -> Result<(), Refused> {
    let key = key_of(global)?;
    let lock = Lock::take(path).map_err(|trouble| safe::troubled(path, trouble))?;
    let mut open = safe::open(path, &key).map_err(as_usage)?;
    let lineage = open.opened.header.lineage.clone();
    let used = desk.store.used_revision(&lineage).await.map_err(|failure| stalled(&failure))?;
    if let Some(used) = used {
        let found = open.opened.header.rev;
        if found < used.rev {
            let refusal = Refusal::RolledBack { found, seen: used.rev };
            return Err(as_usage(safe::refused(path, &refusal)));
        }
    }
    let contents = changed(&open.opened.plain, edits);
    let expires = open.opened.lasting(&contents);
    safe::judge(path, &contents, &[]).map_err(as_usage)?;
    let text = open.opened.reseal_until(&contents, expires, desk.clock.now(), &desk.dice);
    set::save(&lock, path, &open, &text, (&key, &contents)).map_err(as_usage)?;
    open.opened.header.rev += 1;
    let keys: Vec<&str> = edits.iter().filter_map(|edit| key_name(&edit.place)).collect();
    let event = Event::new(EventCode::ConfigChanged)
        .operation("rotate-keys")
        .subject(keys.join(" "))
        .detail("file", path.file_name().unwrap_or_default().to_string_lossy())
        .detail("lineage", lineage)
        .detail("rev", open.opened.header.rev.to_string())
        .detail("digest", digest(&text))
        .detail("os_user", rustix::process::getuid().as_raw().to_string());
    desk.store.record(&[desk.stamp(event)]).await.map_err(|failure| stalled(&failure))
}

fn changed(plain: &Map<String, Node>, edits: &[&Edit]) -> Map<String, Node> {
    let mut contents = plain.clone();
    for edit in edits {
        if let Some(key) = key_name(&edit.place) {
            put(&mut contents, key, Some(Node::from(edit.new.expose())));
        }
    }
    contents
}

fn key_name(place: &Place) -> Option<&str> {
    if let Place::Key { key, .. } = place { Some(key) } else { None }
}

fn key_of(global: &Global) -> Result<FoundKey, Refused> {
    safe::server_key(global).and_then(|key| key.ok_or_else(safe::no_key_refused)).map_err(as_usage)
}

/// Outside of `config`, a sealed file that does not fit is status 2.
fn as_usage(refused: Refused) -> Refused {
    match refused.exit() {
        Exit::Sealed(_) => refused.exiting(Exit::Usage),
        _ => refused,
    }
}

fn nowhere() -> Refused {
    Refused::usage(
        "SPOTIFY_APP_MISSING",
        "the configuration does not say where this app's credentials stand",
        "run it with the server's own configuration: --config, --env-file, and its environment",
    )
}

fn not_found(path: &Path) -> Refused {
    Refused::incomplete(
        "CLIENT_SECRET_NOT_FOUND",
        format!("{} does not hold the old value in a form that can be replaced by itself", path.display()),
        "put the new one there by hand, and run the same command again: it goes on",
    )
}
