//! Permissions of Spotify's, as a person is told of them. Pure.

/// What cannot be done without a permission.
pub fn needed_for(permission: &str) -> &'static str {
    match permission {
        "playlist-read-private" => "seeing private playlists",
        "playlist-read-collaborative" => "seeing playlists made together with others",
        "user-library-read" => "seeing what is saved",
        "user-read-playback-state" => "seeing devices and the state of playback",
        "user-read-currently-playing" => "seeing what plays, and the queue",
        "user-read-recently-played" => "seeing what was played recently",
        "user-top-read" => "seeing the most played artists and tracks",
        "user-follow-read" => "seeing followed artists",
        "playlist-modify-public" => "changing public playlists",
        "playlist-modify-private" => "changing private playlists",
        "user-library-modify" => "saving and removing music",
        "user-follow-modify" => "following and unfollowing",
        "ugc-image-upload" => "setting the cover of a playlist",
        "user-modify-playback-state" => "playing, pausing and everything else of the player",
        _ => "some of the tools",
    }
}

/// Those of some permissions that are not among the granted ones, which stand beside each other with spaces between.
pub fn missing(wanted: impl IntoIterator<Item = &'static str>, granted: &str) -> Vec<&'static str> {
    let is_granted = |permission: &str| granted.split_ascii_whitespace().any(|other| other == permission);
    wanted.into_iter().filter(|permission| !is_granted(permission)).collect()
}

/// Several as a person would say them: "a", "a and b", "a, b and c".
pub fn enumerated(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Scope;

    #[test]
    fn every_permission_is_needed_for_something() {
        for permission in Scope::ALL.into_iter().flat_map(Scope::spotify) {
            assert_ne!(needed_for(permission), needed_for(""), "{permission}");
        }
    }

    #[test]
    fn what_is_not_granted_is_missing() {
        assert_eq!(missing(["a", "b", "ab"], "b  ab"), ["a"]);
        assert_eq!(missing(["a"], ""), ["a"]);
        assert_eq!(enumerated(&["a"]), "a");
        assert_eq!(enumerated(&["a", "b"]), "a and b");
        assert_eq!(enumerated(&["a", "b", "c"]), "a, b and c");
    }
}
