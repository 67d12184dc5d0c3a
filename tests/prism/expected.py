"""Where the description of Spotify's Web API contradicts itself or what Spotify is known to do, and what follows.

All of it must occur: an entry that is not needed any more fails the run.
"""

# ---- Which call is refused, with which code, and why. `NAME 2` is the second call of a tool.

# The playlist of the examples says that it has 4 rows, and every page of it holds one: there is no state of which all
# rows could be read, and no change is made on the ground of another.
_CHANGING = ("UPSTREAM_ERROR", "4 rows are announced and 1 is there")
# What the examples answer to a change is what they answer to everything.
_ELSEWISE = "what is read afterwards is not what was asked for"

REFUSED = {
    "mock": {
        "compare_playlists": _CHANGING,
        "copy_playlist": _CHANGING,
        "create_playlist": ("AMBIGUOUS_WRITE", "the new playlist's id is `string`, and that is no id"),
        "deduplicate_playlist": _CHANGING,
        "get_playlist": ("UPSTREAM_ERROR", "the playlist's id is `string`, and that is no id"),
        "remove_tracks_from_playlist": _CHANGING,
        "remove_tracks_from_playlist 2": _CHANGING,
        "reorder_playlist_tracks": _CHANGING,
        "transfer_playback": ("RESTRICTED", "the only device of the examples takes no commands"),
        "undo_change": _CHANGING,
        "update_playlist": ("AMBIGUOUS_WRITE", _ELSEWISE),
    },
    "proxy": {},
}

# ---- What Prism may object to, by route and words, and why

# "Can be `null`", says the text of the same property, whose schema has no null.
_NULL_IN_WORDS = "the description's own words: \"Can be `null`\""
# Spotify's reference, "Get Currently Playing Track": nothing plays. The description has that for `/me/player` alone.
_NOTHING_PLAYS = "Spotify answers 204 where nothing plays, on both routes"
# Clients in several languages hold it as optional, because it comes as null at the end.
_END_OF_LIST = "at the end of a list by cursor there is nothing after it"

EXCEPTED = {
    ("GET /me/following", "Response body property artists.cursors.after must be string"): _END_OF_LIST,
    ("GET /me/following", "Response body property artists.next must be string"):
        "the description's own words: \"`null` if none\"",
    ("GET /me/player", "Response body property context must be object"): _NULL_IN_WORDS,
    ("GET /me/player", "Response body property item must be object"): _NULL_IN_WORDS,
    ("GET /me/player", "Response body property item must match exactly one schema in oneOf"): _NULL_IN_WORDS,
    ("GET /me/player/currently-playing", "Response body property item must be object"): _NULL_IN_WORDS,
    ("GET /me/player/currently-playing", "Response body property item must match exactly one schema in oneOf"):
        _NULL_IN_WORDS,
    ("GET /me/player/currently-playing",
     "Unable to match the returned status code with those defined in the document: 200,401,403,429"): _NOTHING_PLAYS,
    ("GET /me/player/queue", "Response body property currently_playing must be object"): _NULL_IN_WORDS,
    ("GET /me/player/queue", "Response body property currently_playing must match exactly one schema in oneOf"):
        _NULL_IN_WORDS,
}
