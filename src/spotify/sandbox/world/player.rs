//! What a person's player does with a command (spotify.md 6.10). Pure: the time is passed in.
//!
//! A song never ends by itself: it begins anew. Commands take effect a little later, as they do at Spotify.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::people::{Playing, Traits};
use crate::ambient::Timestamp;

/// A device of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gadget {
    /// Its name.
    pub name: String,
    /// `Speaker`, `Computer`, `Smartphone`, ... or a word that nobody knows.
    pub kind: String,
    /// Whether it is the active one at first.
    pub active: bool,
    /// Whether it takes no commands.
    pub restricted: bool,
    /// Whether it is in a private session: what plays there is not told.
    pub private_session: bool,
    /// Whether it has an id.
    pub has_id: bool,
    /// Whether its volume can be set.
    pub has_volume: bool,
}

impl Default for Gadget {
    fn default() -> Self {
        Self {
            name: "Speaker".to_owned(),
            kind: "Speaker".to_owned(),
            active: false,
            restricted: false,
            private_session: false,
            has_id: true,
            has_volume: true,
        }
    }
}

/// Why a command cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// Nothing is active, and no device was named.
    NoActiveDevice,
    /// The device that was named is not there.
    DeviceNotFound,
    /// The device takes no commands.
    RestrictedDevice,
    /// The device has no volume.
    NoVolume,
    /// Paused already, nothing before, and the like.
    Restriction,
    /// An advertisement runs.
    Advertisement,
}

/// What plays, where and how.
#[derive(Clone, Debug)]
pub struct Play {
    /// What kind of thing plays.
    pub playing: Playing,
    /// The URI of the item that plays.
    pub current: String,
    /// What it plays from.
    pub context: Option<String>,
    /// The items of the context or list, in order.
    pub items: Vec<String>,
    /// Which of them was the last to play.
    pub at: usize,
    /// What the person queued.
    pub queue: VecDeque<String>,
    /// Whether it is paused.
    pub paused: bool,
    /// The position at `since`, milliseconds.
    pub position: i64,
    /// Since when it plays from there.
    pub since: Timestamp,
    /// Whether the order is by chance (it is only remembered).
    pub shuffle: bool,
    /// `off`, `track` or `context`.
    pub repeat: String,
    /// The active device, by its place.
    pub active: Option<usize>,
    /// Volumes by device, percent.
    pub volumes: Vec<u8>,
}

/// A player with what is seen of it and what will be.
#[derive(Clone, Debug)]
pub struct Player {
    shown: Play,
    coming: Option<(Timestamp, Play)>,
}

impl Player {
    /// A player in which this plays.
    pub const fn new(play: Play) -> Self {
        Self { shown: play, coming: None }
    }

    /// What is seen at this moment.
    pub fn seen(&mut self, now: Timestamp) -> &Play {
        if self.coming.as_ref().is_some_and(|(due, _)| *due <= now)
            && let Some((_, play)) = self.coming.take()
        {
            self.shown = play;
        }
        &self.shown
    }

    /// What commands act upon: the newest, seen or not.
    pub fn newest(&mut self, now: Timestamp) -> Play {
        self.seen(now);
        self.coming.as_ref().map_or(&self.shown, |(_, play)| play).clone()
    }

    /// Takes over what a command made, to be seen after this delay.
    pub fn becomes(&mut self, play: Play, now: Timestamp, delay: Duration) {
        self.coming = Some((now.plus(delay), play));
        self.seen(now);
    }
}

impl Play {
    /// Whether anything can be told of it at all.
    pub fn is_there(&self) -> bool {
        self.playing != Playing::Nothing && self.active.is_some()
    }

    /// The position, within an item of this length.
    pub fn progress(&self, now: Timestamp, length: i64) -> i64 {
        let gone = if self.paused { 0 } else { now.millis() - self.since.millis() };
        (self.position + gone).rem_euclid(length.max(1))
    }

    /// Plays these items from `at` on, on `device`.
    pub fn start(&mut self, items: Vec<String>, context: Option<String>, at: usize) {
        (self.items, self.context, self.at) = (items, context, at);
        self.current.clone_from(&self.items[at]);
    }

    /// Plays or pauses at a position.
    pub fn run(&mut self, paused: bool, position: i64, now: Timestamp) {
        (self.paused, self.position, self.since) = (paused, position, now);
        self.playing =
            if self.current.starts_with("spotify:episode:") { Playing::Episode } else { Playing::Track };
    }

    /// Goes to the next item: first what was queued.
    pub fn next(&mut self, now: Timestamp) -> Result<(), Impossible> {
        self.may_skip()?;
        let mut paused = self.paused;
        if let Some(queued) = self.queue.pop_front() {
            self.current = queued;
        } else if self.at + 1 < self.items.len() {
            self.at += 1;
            self.current.clone_from(&self.items[self.at]);
        } else {
            // The end: at the beginning again, and silent unless the whole is repeated.
            self.at = 0;
            self.current = self.items.first().cloned().unwrap_or_else(|| self.current.clone());
            paused |= self.repeat != "context";
        }
        self.run(paused, 0, now);
        Ok(())
    }

    /// Goes to the item before.
    pub fn previous(&mut self, now: Timestamp) -> Result<(), Impossible> {
        self.may_skip()?;
        self.at = self.at.checked_sub(1).ok_or(Impossible::Restriction)?;
        self.current.clone_from(&self.items[self.at]);
        self.run(self.paused, 0, now);
        Ok(())
    }

    /// Whether what plays can be left or sought in.
    pub fn may_skip(&self) -> Result<(), Impossible> {
        match self.playing {
            Playing::Ad => Err(Impossible::Advertisement),
            Playing::Nothing => Err(Impossible::Restriction),
            Playing::Track | Playing::Episode | Playing::Unknown => Ok(()),
        }
    }

    /// What comes next, as far as it is shown.
    pub fn upcoming(&self, most: usize) -> Vec<String> {
        self.queue.iter().chain(self.items.iter().skip(self.at + 1)).take(most).cloned().collect()
    }
}

/// The devices of a person, in their order.
pub fn gadgets(traits: &Traits) -> Vec<Gadget> {
    if !traits.device {
        return Vec::new();
    }
    if traits.devices.is_empty() {
        let name = format!("{}'s speaker", traits.display_name);
        return vec![Gadget { name, active: true, ..Gadget::default() }];
    }
    traits.devices.clone()
}

/// The id of the device at this place.
pub fn gadget_id(marker: &str, place: usize) -> String {
    if place == 0 { format!("{marker}speaker") } else { format!("{marker}device{place}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(items: &[&str]) -> Play {
        let items: Vec<_> = items.iter().map(|item| (*item).to_owned()).collect();
        Play {
            playing: Playing::Track,
            current: items[0].clone(),
            context: None,
            items,
            at: 0,
            queue: VecDeque::new(),
            paused: false,
            position: 0,
            since: Timestamp::default(),
            shuffle: false,
            repeat: "off".to_owned(),
            active: Some(0),
            volumes: vec![40],
        }
    }

    #[test]
    fn what_was_queued_comes_first_and_the_end_is_the_beginning() {
        let now = Timestamp::from_secs(5);
        let mut play = play(&["a", "b"]);
        play.queue.push_back("q".to_owned());
        assert_eq!(play.upcoming(20), ["q", "b"]);
        let mut heard = Vec::new();
        for _ in 0..3 {
            play.next(now).unwrap();
            heard.push(play.current.clone());
        }
        assert_eq!(heard, ["q", "b", "a"]);
        assert!(play.paused);
        assert_eq!(play.previous(now), Err(Impossible::Restriction));
    }

    #[test]
    fn a_command_is_seen_later_and_the_next_one_builds_on_it() {
        let (now, delay) = (Timestamp::from_secs(100), Duration::from_millis(150));
        let mut player = Player::new(play(&["a", "b", "c"]));
        for _ in 0..2 {
            let mut play = player.newest(now);
            play.next(now).unwrap();
            player.becomes(play, now, delay);
        }
        assert_eq!(player.seen(now).current, "a");
        assert_eq!(player.seen(now.plus(delay)).current, "c");
    }
}
