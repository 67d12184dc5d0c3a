//! What is in the catalogue beside songs: records and singles, podcasts, audiobooks. All invented, found by number.

use super::music::{self, Kind, RECORDS, SONGS};

/// Names of the podcasts.
pub const SHOWS: [&str; 3] = ["Music That Never Was", "The Understudy Hour", "Weather for Sailors"];
/// Episodes of each podcast.
pub const EPISODES: usize = 40;
/// The audiobooks: title and author.
pub const BOOKS: [(&str, &str); 2] =
    [("The Lamplighter's Ledger", "Ines Varga"), ("A Short History of Fog", "Otto Brand")];
/// Chapters of each audiobook.
pub const CHAPTERS: usize = 12;
/// Where audiobooks are offered (spotify.md 1.11).
pub const BOOK_MARKETS: [&str; 6] = ["US", "GB", "CA", "IE", "NZ", "AU"];

/// How long an episode is, in milliseconds.
pub const EPISODE_MILLIS: u64 = 1_800_000;
/// How long a local file is.
pub const LOCAL_MILLIS: u64 = 200_000;

/// How long the song with this id is, in milliseconds.
pub fn song_millis(id: &str) -> u64 {
    120_000 + music::number(&["track", id]) % 180_000
}

/// How long what plays under this URI is, in milliseconds.
pub fn length(uri: &str) -> u64 {
    match uri.strip_prefix("spotify:").and_then(|rest| rest.split_once(':')) {
        Some(("episode", _)) => EPISODE_MILLIS,
        Some(("local", _)) => LOCAL_MILLIS,
        Some((_, id)) => song_millis(id),
        None => song_millis(uri),
    }
}

/// How many things of a kind there are.
pub const fn count(kind: Kind) -> usize {
    match kind {
        Kind::Track => RECORDS.len() * SONGS,
        Kind::Artist => RECORDS.len(),
        // Every record, and every song as a single.
        Kind::Album => RECORDS.len() * (SONGS + 1),
        Kind::Show => SHOWS.len(),
        Kind::Episode => SHOWS.len() * EPISODES,
        Kind::Audiobook => BOOKS.len(),
        Kind::Chapter => BOOKS.len() * CHAPTERS,
        Kind::Playlist | Kind::Account => 0,
    }
}

/// The marker and the number of a thing that there is.
pub fn find(kind: Kind, id: &str) -> Option<(&str, usize)> {
    music::locate(kind, id).filter(|(_, index)| *index < count(kind))
}

/// The song of a single; `None` for a record.
pub const fn single(album: usize) -> Option<usize> {
    album.checked_sub(RECORDS.len())
}

/// Whose album it is.
pub const fn artist_of(album: usize) -> usize {
    match single(album) {
        Some(song) => song / SONGS,
        None => album,
    }
}

/// What an album is called.
pub fn title(album: usize) -> &'static str {
    match single(album) {
        Some(song) => {
            let (record, place) = music::song(song);
            record.songs[place]
        }
        None => RECORDS[album % RECORDS.len()].album,
    }
}

/// The songs of an album, in order.
pub fn songs(album: usize) -> Vec<usize> {
    match single(album) {
        Some(song) => vec![song],
        None => (album * SONGS..(album + 1) * SONGS).collect(),
    }
}

/// The episodes of a podcast, in order.
pub fn episodes(show: usize) -> Vec<usize> {
    (show * EPISODES..(show + 1) * EPISODES).collect()
}

/// The chapters of an audiobook, in order.
pub fn chapters(book: usize) -> Vec<usize> {
    (book * CHAPTERS..(book + 1) * CHAPTERS).collect()
}

/// The albums of an artist: the record, then the singles; of the groups asked for.
pub fn albums(artist: usize, groups: &[&str]) -> Vec<usize> {
    let mut found = Vec::new();
    if groups.contains(&"album") {
        found.push(artist);
    }
    if groups.contains(&"single") {
        found.extend((artist * SONGS..(artist + 1) * SONGS).map(|song| RECORDS.len() + song));
    }
    found
}

/// What a person has saved and follows from the start: three albums and artists, podcasts, an audiobook.
pub fn starters(marker: &str, person: &str) -> Vec<String> {
    let some = [
        (Kind::Album, RECORDS.len(), 3),
        (Kind::Artist, RECORDS.len(), 3),
        (Kind::Show, SHOWS.len(), 1),
        (Kind::Episode, SHOWS.len() * EPISODES, 2),
        (Kind::Audiobook, BOOKS.len(), 1),
    ];
    let uris = |(kind, all, count): (Kind, usize, usize)| {
        let first = music::pick(&[person, kind.word()], all);
        let uri = move |n: usize| {
            format!("spotify:{}:{}", kind.word(), music::id(kind, marker, (first + n * 5) % all))
        };
        (0..count).map(uri)
    };
    some.into_iter().flat_map(uris).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singles_lead_back_to_their_artist() {
        for album in 0..count(Kind::Album) {
            let artist = artist_of(album);
            assert!(
                artist < RECORDS.len() && albums(artist, &["album", "single"]).contains(&album),
                "{album}"
            );
            assert!(songs(album).iter().all(|song| song / SONGS == artist));
        }
        assert_eq!(title(1), "Understory");
        assert_eq!(title(RECORDS.len() + 6), "Fern");
    }
}
