//! What a person's player does with a command, and by itself when a song ends (spotify.md 6.10). Pure: the time is
//! passed in. Commands take effect a little later, as they do at Spotify.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::people::{Playing, Traits};
use super::shelf;
use crate::ambient::Timestamp;

/// Most songs that may have ended since a player was last looked at; it begins anew where it were more.
const MOST_ENDED: usize = 10_000;

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
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    #[serde(with = "millis")]
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Player {
    shown: Play,
    coming: Option<Coming>,
}

/// What a command made, and when it is seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Coming {
    #[serde(with = "millis")]
    due: Timestamp,
    play: Play,
}

/// Instants as the state file has them.
mod millis {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::ambient::Timestamp;

    pub fn serialize<S: Serializer>(instant: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(instant.millis())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_millis)
    }
}

impl Player {
    /// A player in which this plays.
    pub const fn new(play: Play) -> Self {
        Self { shown: play, coming: None }
    }

    /// What is seen at this moment.
    pub fn seen(&mut self, now: Timestamp) -> &Play {
        if let Some(coming) = self.coming.take_if(|coming| coming.due <= now) {
            self.shown = coming.play;
        }
        self.shown.pass(now);
        &self.shown
    }

    /// What commands act upon: the newest, seen or not.
    pub fn newest(&mut self, now: Timestamp) -> Play {
        self.seen(now);
        let Some(coming) = &mut self.coming else { return self.shown.clone() };
        coming.play.pass(now);
        coming.play.clone()
    }

    /// Takes over what a command made, to be seen after this delay.
    pub fn becomes(&mut self, play: Play, now: Timestamp, delay: Duration) {
        self.coming = Some(Coming { due: now.plus(delay), play });
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

    /// Lets time go by: what ended has given way to the next, or began anew where the track is repeated.
    fn pass(&mut self, now: Timestamp) {
        for _ in 0..MOST_ENDED {
            let plays = matches!(self.playing, Playing::Track | Playing::Episode) && !self.paused;
            let length = i64::try_from(shelf::length(&self.current)).unwrap_or(i64::MAX).max(1);
            // Sought beyond the end, it ends at once.
            let left = (length - self.position).max(0);
            let end = self.since.millis().saturating_add(left);
            if !plays || now.millis() < end {
                return;
            }
            if self.repeat == "track" {
                let into = (now.millis() - end) % length;
                return self.run(false, into, now);
            }
            if self.next(Timestamp::from_millis(end)).is_err() {
                return;
            }
        }
        self.run(self.paused, 0, now);
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
    fn a_song_that_ends_gives_way_to_the_next_until_the_list_ends() {
        let mut player = Player::new(play(&["a", "b"]));
        let mut play = player.newest(Timestamp::default());
        play.queue.push_back("q".to_owned());
        player.becomes(play, Timestamp::default(), Duration::ZERO);
        let mut at = 0;
        for (song, next) in [("a", "q"), ("q", "b"), ("b", "a")] {
            let length = i64::try_from(shelf::length(song)).unwrap();
            at += length;
            let before = player.seen(Timestamp::from_millis(at - 1));
            assert_eq!((before.current.as_str(), before.paused), (song, false));
            assert_eq!(before.progress(Timestamp::from_millis(at - 1), length), length - 1);
            assert_eq!(player.seen(Timestamp::from_millis(at)).current, next);
        }
        let end = player.seen(Timestamp::from_millis(at + 500_000));
        assert_eq!((end.current.as_str(), end.paused, end.position), ("a", true, 0));
    }

    #[test]
    fn what_is_repeated_goes_on_for_as_long_as_one_likes() {
        let (year, of) = (Timestamp::from_secs(31_536_000), |song: &str| shelf::length(song));
        let repeating = |repeat: &str| Play { repeat: repeat.to_owned(), ..play(&["a", "b"]) };
        let mut track = Player::new(repeating("track"));
        let seen = track.seen(year);
        let expected = 31_536_000_000 % i64::try_from(of("a")).unwrap();
        assert_eq!((seen.current.as_str(), seen.progress(year, i64::MAX)), ("a", expected));
        let mut context = Player::new(repeating("context"));
        let seen = context.seen(Timestamp::from_millis(i64::try_from(of("a") + of("b")).unwrap() + 7));
        assert_eq!((seen.current.as_str(), seen.paused, seen.at), ("a", false, 0));
        assert!(!context.seen(year).paused);
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
