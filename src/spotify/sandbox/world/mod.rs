//! Everything the sandbox knows: apps, people, playlists, grants, the clock. Knows no HTTP.

pub mod app;
pub mod grants;
pub mod music;
pub mod people;
pub mod player;
pub mod playlists;
pub mod save;
pub mod shards;
pub mod shelf;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use self::app::{App, AppRules};
use self::grants::Grants;
use self::music::Kind;
use self::people::{Liked, People, Person, Starter, Traits};
use self::playlists::{Entry, Playlist};
use self::save::Saver;
use self::shards::{Shards, read, write};
use super::faults::Faults;
use super::journal::Journal;
use super::limits::Limits;
use crate::ambient::{Clock, Dice, Hand, Timestamp};

const MOST_APPS: usize = 1000;
const MOST_PLAYLISTS: usize = 200_000;
const MOST_TITLES: usize = 50_000;

/// The state of one sandbox.
pub struct World {
    /// Virtual time.
    pub clock: Clock,
    hand: Hand,
    moved: AtomicI64,
    /// Chance.
    pub dice: Dice,
    /// `http://127.0.0.1:PORT`.
    pub origin: String,
    apps: RwLock<BTreeMap<String, Arc<App>>>,
    /// The pretend people.
    pub people: RwLock<People>,
    /// Playlists by id.
    pub playlists: Shards<String, Playlist>,
    /// Titles of songs that a search made up, by track id.
    pub titles: Shards<String, Arc<str>>,
    /// Codes and tokens.
    pub grants: Grants,
    /// Rate and quota.
    pub limits: Limits,
    /// Faults in waiting.
    pub faults: Faults,
    /// Requests seen.
    pub journal: Journal,
    /// Keeps the state file up to date, where there is one.
    pub saver: Saver,
}

impl World {
    /// An empty world.
    pub fn new((clock, hand): (Clock, Hand), origin: String, journal: usize, saver: Saver) -> Self {
        Self {
            clock,
            hand,
            moved: AtomicI64::new(0),
            dice: Dice::system(),
            origin,
            apps: RwLock::default(),
            people: RwLock::default(),
            playlists: Shards::new(MOST_PLAYLISTS),
            titles: Shards::new(MOST_TITLES),
            grants: Grants::default(),
            limits: Limits::default(),
            faults: Faults::default(),
            journal: Journal::new(journal),
            saver,
        }
    }

    /// The present instant of virtual time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves virtual time forward.
    pub fn advance(&self, by: Duration) {
        self.hand.advance(by);
        self.moved.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        self.saver.changed();
    }

    /// The app with this client id.
    pub fn app(&self, client_id: &str) -> Option<Arc<App>> {
        read(&self.apps).get(client_id).cloned()
    }

    /// All apps.
    pub fn apps(&self) -> Vec<Arc<App>> {
        read(&self.apps).values().cloned().collect()
    }

    /// Adds an app; `false` where the client id is taken or malformed, or there are too many.
    pub fn add_app(&self, app: App) -> bool {
        let mut apps = write(&self.apps);
        let good =
            (1..=128).contains(&app.client_id.len()) && app.client_id.bytes().all(|b| b.is_ascii_graphic());
        if !good || apps.len() >= MOST_APPS || apps.contains_key(&*app.client_id) {
            return false;
        }
        apps.insert(app.client_id.to_string(), Arc::new(app));
        self.saver.changed();
        true
    }

    /// Puts other rules in force for an app.
    pub fn set_rules(&self, app: &App, rules: AppRules) {
        app.set_rules(rules);
        self.saver.changed();
    }

    /// The person with this id.
    pub fn person(&self, id: &str) -> Option<Arc<Person>> {
        read(&self.people).get(id).cloned()
    }

    /// Adds a person with what they have from the start; `false` where the id cannot be used.
    pub fn add_person(&self, id: &str, traits: Traits, starters: &[Starter], liked: &[usize]) -> bool {
        let now = self.now();
        let person = Arc::new(Person::new(id, traits, now));
        if !write(&self.people).add(person.clone()) {
            return false;
        }
        let day = |age: usize| now.minus(Duration::from_secs(age as u64 * 86_400 + 86_400)).millis();
        for (n, (name, description, songs)) in starters.iter().enumerate().rev() {
            let entries = songs.iter().enumerate().map(|(age, song)| Entry {
                uri: track_uri(&person.marker, *song).into(),
                title: None,
                added_at: day(age),
                added_by: person.id.clone(),
            });
            self.keep_playlist(
                &person,
                Playlist {
                    id: music::id(Kind::Playlist, &person.marker, n),
                    owner: person.id.clone(),
                    name: name.clone(),
                    description: description.clone(),
                    public: n % 2 == 1,
                    collaborative: false,
                    revision: 1,
                    cover: 0,
                    entries: entries.collect(),
                },
            );
        }
        let saved = liked.iter().enumerate();
        *write(&person.liked) = saved
            .map(|(age, song)| Liked { uri: track_uri(&person.marker, *song), added_at: day(age) })
            .collect();
        let kept = shelf::starters(&person.marker, id).into_iter().enumerate();
        *write(&person.saved) = kept.map(|(age, uri)| Liked { uri, added_at: day(age) }).collect();
        self.saver.changed();
        true
    }

    /// Takes a playlist in; `false` where its owner has too many.
    pub fn keep_playlist(&self, owner: &Person, playlist: Playlist) -> bool {
        let mut list = write(&owner.playlists);
        if list.len() >= playlists::MOST {
            return false;
        }
        list.insert(0, playlist.id.clone());
        self.playlists.insert(playlist.id.clone(), playlist, |_| true);
        self.saver.changed();
        true
    }

    /// Gives a person other traits.
    pub fn set_traits(&self, person: &Person, traits: Traits) {
        person.become_(traits, self.now());
        self.saver.changed();
    }

    /// An opaque text like Spotify's tokens: the prefix and 192 characters.
    pub fn opaque(&self, prefix: &str) -> String {
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode(self.dice.bytes::<144>()))
    }

    /// A fresh id in a person's edition.
    pub fn fresh_id(&self, marker: &str) -> String {
        music::id_of(marker, &[&URL_SAFE_NO_PAD.encode(self.dice.bytes::<16>())])
    }
}

/// The URI of a song in somebody's edition.
pub fn track_uri(marker: &str, song: usize) -> String {
    format!("spotify:track:{}", music::id(Kind::Track, marker, song))
}
