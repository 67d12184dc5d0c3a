//! The state file: written whole, atomically, before a change is acknowledged; read once at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use super::World;
use super::app::{App, AppRules, Secrets};
use super::grants::{Access, Code, Grant, Refresh};
use super::people::{Liked, Person, Traits};
use super::player::Player;
use super::playlists::Playlist;
use super::shards::{lock, read, write};
use crate::ambient::Timestamp;
use crate::crypto::token::TokenHash;
use crate::failure::{During as _, Failure};
use crate::spotify::sandbox::Scopes;

const VERSION: u32 = 1;
const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// Counts changes and lets a request wait until its own are on disk.
pub struct Saver {
    path: Option<PathBuf>,
    changes: AtomicU64,
    wake: Notify,
    saved: watch::Sender<u64>,
}

impl Saver {
    /// Keeps the state in this file, or nowhere.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self { path, changes: AtomicU64::new(0), wake: Notify::new(), saved: watch::Sender::new(0) }
    }

    /// Notes that something changed.
    pub fn changed(&self) {
        if self.path.is_some() {
            self.changes.fetch_add(1, Ordering::AcqRel);
            self.wake.notify_one();
        }
    }

    /// Waits until all changes made so far are on disk. Returns at once where no file is kept.
    pub async fn settled(&self) {
        if self.path.is_some() {
            let wanted = self.changes.load(Ordering::Acquire);
            let _ = self.saved.subscribe().wait_for(|saved| *saved >= wanted).await;
        }
    }

    /// Writes the world down whenever it changed, for ever. A write that fails is tried again after a while;
    /// requests wait meanwhile.
    pub async fn run(world: Arc<World>) {
        let Some(path) = world.saver.path.clone() else { return };
        loop {
            world.saver.wake.notified().await;
            let (world, path) = (world.clone(), path.clone());
            let written = tokio::task::spawn_blocking(move || {
                let upto = world.saver.changes.load(Ordering::Acquire);
                store(&world, &path).map(|()| world.saver.saved.send_replace(upto)).map_err(|failure| {
                    tracing::warn!(cause = failure.chain(), "the sandbox cannot write its state file");
                    world.saver.wake.notify_one();
                })
            });
            if !matches!(written.await, Ok(Ok(_))) {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    moved_millis: i64,
    apps: Vec<AppRecord>,
    people: Vec<PersonRecord>,
    playlists: Vec<Playlist>,
    titles: Vec<(String, Arc<str>)>,
    grants: Vec<GrantRecord>,
    codes: Vec<(String, Code)>,
    approvals: Vec<(String, String, Scopes)>,
}

#[derive(Serialize, Deserialize)]
struct AppRecord {
    client_id: String,
    secret_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former_secret_hash: Option<String>,
    rules: AppRules,
}

#[derive(Serialize, Deserialize)]
struct PersonRecord {
    id: String,
    traits: Traits,
    since: i64,
    playlists: Vec<String>,
    liked: Vec<Liked>,
    #[serde(default)]
    saved: Vec<Liked>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    player: Option<Player>,
}

/// One token with its grant; tokens of one grant stay one after loading (`grant` is its number in the file).
#[derive(Serialize, Deserialize)]
struct GrantRecord {
    grant: usize,
    client_id: String,
    user: String,
    scopes: Scopes,
    authorized_at: i64,
    revoked: bool,
    hash: String,
    /// Expiry of an access token; `None` for a refresh token.
    expires_at: Option<i64>,
    spent: bool,
}

fn store(world: &World, path: &Path) -> Result<(), Failure> {
    use std::io::Write as _;
    let text = serde_json::to_vec(&capture(world)).during("writing down the sandbox")?;
    let temporary = path.with_extension("tmp");
    let mut options = std::fs::OpenOptions::new();
    options.create(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary).during("opening the sandbox's state file")?;
    file.write_all(&text).during("writing the sandbox's state file")?;
    file.sync_data().during("writing the sandbox's state file")?;
    std::fs::rename(&temporary, path).during("renaming the sandbox's state file")
}

fn capture(world: &World) -> File {
    let mut file = File {
        version: VERSION,
        moved_millis: world.moved.load(Ordering::SeqCst),
        apps: Vec::new(),
        people: Vec::new(),
        playlists: Vec::new(),
        titles: Vec::new(),
        grants: Vec::new(),
        codes: Vec::new(),
        approvals: Vec::new(),
    };
    // Tokens first: whatever they point to is then already there.
    let now = world.now();
    world.grants.access.each(|hash, access| {
        if now < access.expires_at {
            file.grants.push(record(&access.grant, hash, Some(access.expires_at.millis()), false));
        }
    });
    world.grants.refresh.each(|hash, refresh| {
        file.grants.push(record(&refresh.grant, hash, None, refresh.spent));
    });
    file.codes = lock(&world.grants.codes).iter().map(|(hash, code)| (text(hash), code.clone())).collect();
    let approvals = lock(&world.grants.approvals);
    file.approvals =
        approvals.iter().map(|((app, user), scopes)| (app.clone(), user.clone(), *scopes)).collect();
    drop(approvals);
    file.apps = world.apps().iter().map(|app| app_record(app)).collect();
    file.people = read(&world.people).iter().map(|person| person_record(person)).collect();
    world.playlists.each(|_, playlist| file.playlists.push(playlist.clone()));
    world.titles.each(|id, title| file.titles.push((id.clone(), title.clone())));
    file
}

fn record(grant: &Arc<Grant>, hash: &TokenHash, expires_at: Option<i64>, spent: bool) -> GrantRecord {
    GrantRecord {
        grant: Arc::as_ptr(grant).addr(),
        client_id: grant.app.client_id.to_string(),
        user: grant.person.id.to_string(),
        scopes: grant.scopes,
        authorized_at: grant.authorized_at.millis(),
        revoked: grant.is_revoked(),
        hash: text(hash),
        expires_at,
        spent,
    }
}

fn app_record(app: &App) -> AppRecord {
    AppRecord {
        client_id: app.client_id.to_string(),
        secret_hash: app.secrets().present.as_ref().map(text),
        former_secret_hash: app.secrets().former.as_ref().map(text),
        rules: (*app.rules()).clone(),
    }
}

fn person_record(person: &Person) -> PersonRecord {
    let state = person.state();
    PersonRecord {
        id: person.id.to_string(),
        traits: state.traits.clone(),
        since: state.since.millis(),
        playlists: read(&person.playlists).clone(),
        liked: read(&person.liked).clone(),
        saved: read(&person.saved).clone(),
        player: lock(&person.player).clone(),
    }
}

/// Fills an empty world from the state file. `false` where there is no file yet.
///
/// # Errors
/// A file that cannot be read, is too large, or is not ours: it is never overwritten.
pub fn load(world: &World) -> Result<bool, Failure> {
    let Some(path) = world.saver.path.as_deref() else { return Ok(false) };
    let length = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        other => other.during("reading the sandbox's state file")?.len(),
    };
    if length > MOST_BYTES {
        return Err(Failure::new("the sandbox's state file is too large"));
    }
    let text = std::fs::read(path).during("reading the sandbox's state file")?;
    let file: File = serde_json::from_slice(&text).during("understanding the sandbox's state file")?;
    if file.version != VERSION {
        return Err(Failure::new("the sandbox's state file has another version"));
    }
    restore(world, file)?;
    Ok(true)
}

fn restore(world: &World, file: File) -> Result<(), Failure> {
    let damaged = || Failure::new("the sandbox's state file is damaged");
    world.advance(std::time::Duration::from_millis(u64::try_from(file.moved_millis).unwrap_or_default()));
    for app in file.apps {
        let secret = |hashed: Option<String>| hashed.map(|text| hash(&text).ok_or_else(damaged)).transpose();
        let secrets = Secrets { present: secret(app.secret_hash)?, former: secret(app.former_secret_hash)? };
        world.add_app(App::new(&app.client_id, secrets, app.rules));
    }
    for record in file.people {
        let person = Person::new(&record.id, record.traits, Timestamp::from_millis(record.since));
        *write(&person.playlists) = record.playlists;
        *write(&person.liked) = record.liked;
        *write(&person.saved) = record.saved;
        *lock(&person.player) = record.player;
        write(&world.people).add(Arc::new(person));
    }
    for playlist in file.playlists {
        world.playlists.insert(playlist.id.clone(), playlist, |_| true);
    }
    for (id, title) in file.titles {
        world.titles.insert(id, title, |_| true);
    }
    *lock(&world.grants.approvals) =
        file.approvals.into_iter().map(|(app, user, scopes)| ((app, user), scopes)).collect();
    for (text, code) in file.codes {
        lock(&world.grants.codes).insert(hash(&text).ok_or_else(damaged)?, code);
    }
    let mut grants = std::collections::HashMap::new();
    for record in file.grants {
        let app = world.app(&record.client_id).ok_or_else(damaged)?;
        let person = world.person(&record.user).ok_or_else(damaged)?;
        let hash = hash(&record.hash).ok_or_else(damaged)?;
        let make = || {
            let authorized_at = Timestamp::from_millis(record.authorized_at);
            let revoked = AtomicBool::new(record.revoked);
            Arc::new(Grant { app, person, scopes: record.scopes, authorized_at, revoked })
        };
        let grant = grants.entry(record.grant).or_insert_with(make).clone();
        match record.expires_at.map(Timestamp::from_millis) {
            Some(expires_at) => world.grants.access.insert(hash, Access { grant, expires_at }, |_| true),
            None => world.grants.refresh.insert(hash, Refresh { grant, spent: record.spent }, |_| true),
        }
    }
    Ok(())
}

fn text(hash: &TokenHash) -> String {
    URL_SAFE_NO_PAD.encode(hash.as_bytes())
}

fn hash(text: &str) -> Option<TokenHash> {
    TokenHash::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?)
}
