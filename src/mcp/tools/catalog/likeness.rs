//! Whether a track is the one that somebody means. Pure: texts in, a verdict out.
//!
//! Careful rather than clever: "confident" means the same title by the same artist in the same kind of recording, or the
//! same ISRC. Everything else that is near is "uncertain", for a person to decide.

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// Something else.
    None,
    /// Perhaps.
    Uncertain,
    /// This one.
    Confident,
}

/// A track by what is told of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Described<'a> {
    pub(super) title: &'a str,
    pub(super) artists: Vec<&'a str>,
    pub(super) album: Option<&'a str>,
    pub(super) isrc: Option<&'a str>,
    pub(super) duration_ms: Option<u64>,
}

/// How far two lengths of one recording may be apart, in milliseconds.
const APART: u64 = 10_000;
/// Words that make another recording of it.
const VERSIONS: [&str; 13] = [
    "live",
    "remix",
    "remixed",
    "mix",
    "acoustic",
    "karaoke",
    "instrumental",
    "cover",
    "demo",
    "tribute",
    "sped",
    "slowed",
    "unplugged",
];

/// Whether `found` is what is `wanted`.
pub(super) fn likeness(wanted: &Described<'_>, found: &Described<'_>) -> Likeness {
    if let (Some(wanted), Some(found)) = (wanted.isrc, found.isrc)
        && wanted.eq_ignore_ascii_case(found)
    {
        return Likeness::Confident;
    }
    let (title, other) = (words(wanted.title), words(found.title));
    let (base, other_base) = (words(base(wanted.title)), words(base(found.title)));
    let same_title = title == other || base == other_base;
    let by = wanted.artists.iter().any(|artist| found.artists.iter().any(|other| is_same(artist, other)));
    let lengths = match (wanted.duration_ms, found.duration_ms) {
        (Some(wanted), Some(found)) => wanted.abs_diff(found) <= APART,
        _ => true,
    };
    let same_kind = versions(&title) == versions(&other);
    let shared = base.iter().filter(|word| other.contains(word)).count();
    match (same_title, by) {
        (true, true) if lengths && same_kind => Likeness::Confident,
        (true, _) => Likeness::Uncertain,
        (false, true) if shared > 0 => Likeness::Uncertain,
        // Without an artist, most of the words have to be there.
        (false, _) if wanted.artists.is_empty() && shared * 3 > base.len() * 2 => Likeness::Uncertain,
        _ => Likeness::None,
    }
}

/// Whether the albums go by one name, where one was wanted.
pub(super) fn same_album(wanted: &Described<'_>, found: &Described<'_>) -> bool {
    let album = |track: &Described<'_>| track.album.map(|album| words(base(album)));
    wanted.album.is_some() && album(wanted) == album(found)
}

/// Two names of artists: equal, or one with all the words of the other ("Ann & the Others" and "Ann").
fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (words(one), words(other));
    let within = |small: &[String], large: &[String]| {
        !small.is_empty() && small.iter().all(|word| large.contains(word))
    };
    within(&one, &other) || within(&other, &one)
}

/// A title without what stands behind it in brackets or after a dash: "(feat. X)", "- Remastered 2011".
fn base(title: &str) -> &str {
    let end = ["(", "[", " - ", " feat. ", " ft. "].iter().filter_map(|mark| title.find(mark)).min();
    let base = title[..end.unwrap_or(title.len())].trim();
    if base.is_empty() { title } else { base }
}

fn versions(words: &[String]) -> Vec<&str> {
    let mut found: Vec<_> = words.iter().map(String::as_str).filter(|word| VERSIONS.contains(word)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The words of a text: lower case, without accents, apostrophes and other signs.
fn words(text: &str) -> Vec<String> {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            '\'' | '’' | '‘' | '`' | '´' | '\u{300}'..='\u{36f}' => {}
            '&' => plain.push_str(" and "),
            c if c.is_alphanumeric() => plain.push(unaccented(c)),
            _ => plain.push(' '),
        }
    }
    plain.split_whitespace().filter(|word| *word != "the").map(str::to_owned).collect()
}

const fn unaccented(c: char) -> char {
    match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'è'..='ë' | 'ē' | 'ę' | 'ě' => 'e',
        'ì'..='ï' | 'ī' => 'i',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => 'o',
        'ù'..='ü' | 'ū' | 'ů' | 'ű' => 'u',
        'ý' | 'ÿ' => 'y',
        'ś' | 'š' | 'ş' => 's',
        'ź' | 'ż' | 'ž' => 'z',
        'ł' => 'l',
        'ř' => 'r',
        'ğ' => 'g',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn track<'a>(title: &'a str, artist: &'a str) -> Described<'a> {
        let artists = if artist.is_empty() { Vec::new() } else { vec![artist] };
        Described { title, artists, ..Described::default() }
    }

    fn judge(wanted: (&str, &str), found: (&str, &str)) -> Likeness {
        likeness(&track(wanted.0, wanted.1), &track(found.0, found.1))
    }

    #[test]
    fn the_same_title_by_the_same_artist_is_certain_however_it_is_spelled() {
        for (wanted, found) in [
            (("dont stop", "fleetwood mac"), ("Don't Stop - 2004 Remaster", "Fleetwood Mac")),
            (("Halo", "Beyonce"), ("Halo", "Beyoncé")),
            (("Umbrella", "Rihanna"), ("Umbrella (feat. JAY-Z)", "Rihanna")),
            (("Rock and Roll", "Beatles"), ("Rock & Roll", "The Beatles")),
            (("Valerie (Live)", "Amy"), ("Valerie - Live", "Amy")),
            (("静かな頁", "夜の図書館"), ("静かな頁", "夜の図書館")),
        ] {
            assert_eq!(judge(wanted, found), Likeness::Confident, "{wanted:?} {found:?}");
        }
    }

    #[test]
    fn another_recording_another_artist_or_none_named_is_left_to_a_person() {
        for (wanted, found) in [
            (("Valerie", "Amy"), ("Valerie - Live", "Amy")),
            (("Hallelujah", "Leonard Cohen"), ("Hallelujah", "Jeff Buckley")),
            (("Hallelujah", ""), ("Hallelujah", "Jeff Buckley")),
            (("Dancing Queens", "ABBA"), ("Dancing Queen", "ABBA")),
        ] {
            assert_eq!(judge(wanted, found), Likeness::Uncertain, "{wanted:?} {found:?}");
        }
        for (wanted, found) in
            [(("Fern", "Marble"), ("Gravel", "Harbour")), (("Fern", ""), ("Gravel", "Harbour"))]
        {
            assert_eq!(judge(wanted, found), Likeness::None, "{wanted:?} {found:?}");
        }
    }

    #[test]
    fn a_code_decides_and_so_does_a_length() {
        let wanted = Described { isrc: Some("gbaye6800011"), ..track("x", "y") };
        let found = Described { isrc: Some("GBAYE6800011"), ..track("a", "b") };
        assert_eq!(likeness(&wanted, &found), Likeness::Confident);
        let wanted = Described { duration_ms: Some(200_000), ..track("Fern", "Moss") };
        for (length, expected) in [(205_000, Likeness::Confident), (300_000, Likeness::Uncertain)] {
            let found = Described { duration_ms: Some(length), ..track("Fern", "Moss") };
            assert_eq!(likeness(&wanted, &found), expected);
        }
        let wanted = Described { album: Some("Windfall (Deluxe)"), ..track("a", "b") };
        let found = Described { album: Some("Windfall"), ..track("a", "b") };
        assert!(same_album(&wanted, &found) && !same_album(&found, &track("a", "b")));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_a_track_is_itself(title: String, artist: String) {
            let track = track(&title, &artist);
            let itself = likeness(&track, &track);
            prop_assert!(itself != Likeness::None || words(&title).is_empty() || !artist.is_empty());
        }
    }
}
