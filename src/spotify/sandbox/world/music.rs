//! The invented catalogue. Every listener sees an edition of their own: the ids of all that is shown to a person
//! begin with that person's marker, which is how a test notices a mix-up (spotify.md 6.16). No such music exists.

use sha2::{Digest as _, Sha256};

/// An artist with one album of six songs.
pub struct Record {
    /// The artist's name.
    pub artist: &'static str,
    /// The album's name.
    pub album: &'static str,
    /// The year of its release.
    pub year: u16,
    /// Its songs in order.
    pub songs: [&'static str; SONGS],
}

/// Songs per record.
pub const SONGS: usize = 6;

macro_rules! records {
    ($($artist:literal, $album:literal, $year:literal: $($song:literal),+;)+) => {
        /// All records there are.
        pub const RECORDS: &[Record] =
            &[$(Record { artist: $artist, album: $album, year: $year, songs: [$($song),+] }),+];
    };
}

records! {
    "Paper Lanterns", "Don't Stop", 2019: "Don't Stop", "Slow Elevator", "Window Seat", "Half a Mile of Rain", "Kite Season", "Last Tram Home";
    "Marble & Moss", "Understory", 2021: "Fern", "Small Hours", "Green Room", "The Quiet Carriage", "Lichen", "Root Cellar";
    "The Tin Orchard", "Windfall", 2017: "Windfall", "Ladder Song", "Cider \"Gold\"", "Wasps", "October Hands", "Barn Door";
    "Nova Kestrel", "Thermals", 2023: "Thermals", "Glass Runway", "Higher Than the Weather", "Feather Count", "Night Approach", "Holding Pattern";
    "Soft Machinery", "Idle Hours", 2020: "Conveyor", "Idle Hours", "Clean Room", "Pilot Light", "Bearings", "Night Shift";
    "Harbour Lights", "Low Tide Radio", 2016: "Low Tide Radio", "Salt Stairs", "Foghorn Lullaby", "Net Menders", "Ninth Wave", "Rope and Tar";
    "Oslo Parade", "Confetti Weather", 2022: "Confetti Weather", "Trombone Street", "Sunday Uniform", "Balcony Wave", "Marching Slow", "Paper Crown";
    "Velvet Cartographer", "Unmapped", 2018: "Unmapped", "North by Feeling", "Contour Lines", "Here Be Dancers", "Legend", "Scale One to One";
    "Cactus Choir", "Desert Hymnal", 2015: "Desert Hymnal", "Mirage Motel", "Thirst", "Tumbleweed Waltz", "Noon Bell", "Vulture Blues";
    "June & the Comets", "Perihelion", 2024: "Perihelion", "Tail of Light", "Seventy-Six Years", "Dust and Ice", "Backyard Telescope", "Wish Arithmetic";
    "Copper Sparrow", "Wire Songs", 2014: "Wire Songs", "Telegraph Hill", "Perch", "Static Bloom", "Sparrow Code", "Power Cut";
    "Il Treno Blu", "Binario Nove", 2019: "Binario Nove", "Caffè alle Sei", "Lungomare", "Valigia di Cartone", "Stazione Centrale", "L'ultima Fermata";
    "Midnight Bakery", "Proof", 2021: "Proof", "Sourdough", "Flour on the Radio", "Oven Light", "Four A.M. Baguette", "Crumb";
    "Die Wolkenfänger", "Schäfchen", 2020: "Schäfchen", "Über den Dächern", "Regenmacher", "Heiter bis wolkig", "Blaue Stunde", "Föhn";
    "Arcade Monastery", "Insert Silence", 2022: "Insert Silence", "High Score Vespers", "Pixel Psalm", "Cloister Run", "Bonus Life", "Continue?";
    "Gravel & Gold", "County Lines", 2013: "County Lines", "Pickup Heart", "Gravel", "Porch Swing Physics", "Fiddle Debt", "Gold";
    "夜の図書館", "静かな頁", 2023: "静かな頁", "返却期限", "栞", "夜の図書館", "インクの雨", "目次";
    "Saltwater Signals", "Buoyancy", 2018: "Buoyancy", "Signal Fire", "Deep Blue Telephone", "Mariana", "Echo Sounder", "Shoreline Static";
    "Tangerine Embassy", "Citrus Diplomacy", 2024: "Citrus Diplomacy", "Peel", "Visa for Sunday", "Consulate of Dreams", "Sweet Accord", "Bitter End";
    "Quiet Giants", "Footsteps in Snow", 2012: "Footsteps in Snow", "Glacier Time", "Avalanche (Soft)", "Summit Fever", "Base Camp Lullaby", "Thaw";
}

/// Songs in the whole catalogue.
pub const CATALOGUE: usize = RECORDS.len() * SONGS;

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A song.
    Track,
    /// A record.
    Album,
    /// An artist.
    Artist,
    /// A podcast episode.
    Episode,
    /// A podcast.
    Show,
    /// An audiobook.
    Audiobook,
    /// A chapter of an audiobook.
    Chapter,
    /// A playlist that the sandbox made itself.
    Playlist,
    /// A person's `account_id`.
    Account,
}

impl Kind {
    /// The word in URIs and links.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Album => "album",
            Self::Artist => "artist",
            Self::Episode => "episode",
            Self::Show => "show",
            Self::Audiobook => "audiobook",
            Self::Chapter => "chapter",
            Self::Playlist => "playlist",
            Self::Account => "account",
        }
    }
}

/// Base62 without `Z`, which ends the marker and so stands nowhere else.
const DIGITS: &[u8; 61] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY";

/// Length of Spotify's ids.
const ID: usize = 22;

/// The marker of a person: up to 12 letters and digits of their id, and a `Z`.
pub fn marker(user: &str) -> String {
    let body = user.chars().filter(|c| c.is_ascii_alphanumeric() && *c != 'Z').take(12);
    body.chain(['Z']).collect()
}

/// The id of the `index`th thing of its kind in a person's edition.
pub fn id(kind: Kind, marker: &str, index: usize) -> String {
    let (high, low) = (index / DIGITS.len() % DIGITS.len(), index % DIGITS.len());
    let mut id = format!("{marker}{}{}", char::from(DIGITS[high]), char::from(DIGITS[low]));
    fill(&mut id, &[kind.word(), marker, &index.to_string()]);
    id
}

/// An id for something that is not in the catalogue, from texts that make it unique.
pub fn id_of(marker: &str, parts: &[&str]) -> String {
    let mut id = marker.to_owned();
    fill(&mut id, parts);
    id
}

/// The marker and the index behind an id that [`id`] made; `None` for any other text.
pub fn locate(kind: Kind, text: &str) -> Option<(&str, usize)> {
    let end = text.find('Z')? + 1;
    let (marker, rest) = text.split_at_checked(end)?;
    let digit = |at: usize| DIGITS.iter().position(|digit| rest.as_bytes().get(at) == Some(digit));
    let index = digit(0)? * DIGITS.len() + digit(1)?;
    (id(kind, marker, index) == text).then_some((marker, index))
}

/// Whether the text has the form of an id: 22 letters and digits.
pub fn is_id(text: &str) -> bool {
    text.len() == ID && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The record and the place on it of a song.
pub fn song(index: usize) -> (&'static Record, usize) {
    (&RECORDS[index / SONGS % RECORDS.len()], index % SONGS)
}

/// A number that is always the same for the same texts.
pub fn number(parts: &[&str]) -> u64 {
    let digest = Sha256::digest(parts.join("\u{1f}").as_bytes());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// [`number`] below `below`.
pub fn pick(parts: &[&str], below: usize) -> usize {
    usize::try_from(number(parts) % below.max(1) as u64).unwrap_or_default()
}

fn fill(id: &mut String, parts: &[&str]) {
    let digest = Sha256::digest(parts.join("\u{1f}").as_bytes());
    let missing = ID.saturating_sub(id.len());
    id.extend(digest.iter().take(missing).map(|byte| char::from(DIGITS[usize::from(*byte) % DIGITS.len()])));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_back_to_their_song_and_carry_the_marker() {
        for index in [0, 1, 61, CATALOGUE - 1] {
            let id = id(Kind::Track, &marker("user0001"), index);
            assert!(is_id(&id) && id.starts_with("user0001Z"));
            assert_eq!(locate(Kind::Track, &id), Some(("user0001Z", index)));
            assert_eq!(locate(Kind::Album, &id), None);
        }
        assert_eq!(locate(Kind::Track, "4iV5W9uYEdYUVa79Axb7Rh"), None);
        assert_eq!(locate(Kind::Track, "ñZ"), None);
    }

    #[test]
    fn markers_are_never_inside_one_another() {
        assert_eq!(marker("a.Z-b"), "abZ");
        assert!(!id(Kind::Track, &marker("adam"), 3).contains(&marker("ada")));
    }
}
