"""Calls every tool of a server once or more, with what a person would ask for, and says what did not go as it should.

    drive.py mock ORIGIN                                Prism answers in Spotify's place
    drive.py proxy ORIGIN FRONT PRISM BACK SIMULATOR    Prism stands before the simulator (FRONT and BACK are ports)

What is expected is exact, in expected.py: which tool is refused with which code, and what Prism may object to. What is
expected and does not occur fails too. Only Python's standard library.
"""

import json
import pathlib
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))
import browser
from between import Referee
from expected import EXCEPTED, REFUSED

# What Prism's examples name. Before the simulator, its own things stand in their place.
TRACK = "spotify:track:4iV5W9uYEdYUVa79Axb7Rh"
OTHER = "spotify:track:1301WleyT98MSxVHPZCA6M"
ALBUM = "spotify:album:4aawyAB9vmqN3uQ7FjRGTy"
ARTIST = "spotify:artist:0TnOYISbd1XYRBk9myaseg"
SHOW = "spotify:show:38bS44xjbVVZ3No3ByF1dJ"
EPISODE = "spotify:episode:512ojhOuo1ktJprKbVcKyQ"
BOOK = "spotify:audiobook:7iHfbu1YPACw6oZPAFJtqe"
CHAPTER = "spotify:chapter:0D5wENdkdwbqlrHoaJ9g29"
LIST = "3cEYpjA9oz9GiPac4AsH4n"
DEVICE = "string"
# One grey pixel, a whole JPEG.
COVER = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ"
    "EBAQEBD/wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z"
)

# `<field>` stands for that field of the tool's answer before, or of the last that had one.
CALLS = {
    "add_to_queue": [{"uris": [TRACK, OTHER]}],
    "add_tracks_to_playlist": [{"playlist_id": LIST, "track_uris": [TRACK, OTHER, EPISODE]}],
    "check_library": [{"uris": [TRACK, ALBUM, ARTIST, SHOW, EPISODE, BOOK]}],
    "compare_playlists": [{"playlist_id": LIST, "other_playlist_id": LIST}],
    "copy_playlist": [{"playlist_id": LIST, "name": "A copy"}],
    "create_playlist": [{"name": "Made by a test", "track_uris": [TRACK]}],
    "deduplicate_playlist": [{"playlist_id": LIST}],
    "find_in_playlists": [{"query": "love"}],
    "follow_playlist": [{"playlist_id": LIST}],
    "get_current_track": [{}],
    "get_items": [{"uris": [TRACK, ALBUM, ARTIST]}, {"uris": [SHOW, EPISODE, BOOK, CHAPTER]}],
    "get_liked_songs": [{"limit": 5}],
    "get_playback_state": [{}],
    "get_playlist": [{"playlist_id": LIST}],
    "get_playlist_tracks": [{"playlist_id": LIST, "limit": 5}],
    "get_queue": [{}],
    "get_recently_played": [{"limit": 5}],
    "get_status": [{}],
    "get_top_items": [{"kind": "tracks"}, {"kind": "artists"}],
    "get_usage": [{}],
    "get_user_playlists": [{"limit": 5}],
    "link_account": [{}],
    "list_changes": [{}],
    "list_children": [{"uri": uri} for uri in (ALBUM, ARTIST, SHOW, BOOK)],
    "list_devices": [{}],
    "list_library": [{"kind": kind} for kind in ("albums", "artists", "shows", "episodes", "audiobooks")],
    "list_my_accounts": [{}],
    "match_tracks": [{"items": [{"title": "Tainted Love", "artist": "Soft Cell"}]}],
    "pause": [{}],
    "play": [{"uris": [TRACK, OTHER]}, {"context_uri": f"spotify:playlist:{LIST}", "offset": 1}],
    "remove_from_library": [{"uris": [TRACK, ALBUM]}, {"uris": [TRACK, ALBUM], "plan_id": "<plan_id>"}],
    "remove_tracks_from_playlist": [
        {"playlist_id": LIST, "positions": [1]},
        {"playlist_id": LIST, "positions": [1], "dry_run": False, "plan_id": "<plan_id>"},
    ],
    "reorder_playlist_tracks": [{"playlist_id": LIST, "range_start": 0, "insert_before": 2}],
    # Two at a time: whatever is asked, the example of what is in the library has two truths.
    "save_to_library": [{"uris": uris} for uris in ([TRACK, ALBUM], [SHOW, EPISODE], [BOOK, TRACK])],
    "search_catalog": [
        {"query": "love", "types": ["album", "artist", "playlist", "track", "show", "episode", "audiobook"]}
    ],
    "search_tracks": [{"query": "love", "limit": 5}],
    "seek": [{"position_ms": 1000}],
    "set_default_account": [{"account": "<account>"}],
    "set_player": [{"volume": 30, "shuffle": True, "repeat": "context"}],
    "set_playlist_cover": [
        {"playlist_id": LIST, "jpeg_base64": COVER},
        {"playlist_id": LIST, "jpeg_base64": COVER, "plan_id": "<plan_id>"},
    ],
    "skip_to_next": [{}],
    "skip_to_previous": [{}],
    "transfer_playback": [{"device": DEVICE}],
    "undo_change": [{"change_id": "<change_id>"}],
    "unfollow_playlist": [{"playlist_id": LIST}, {"playlist_id": LIST, "plan_id": "<plan_id>"}],
    "unlink_account": [{"account": "<account>"}],
    "update_playlist": [{"playlist_id": LIST, "name": "Another name"}],
}
# What must come behind all others.
LAST = ["pause", "unfollow_playlist", "follow_playlist"]


def main(how, origin, *relays):
    referee = None
    if how == "proxy":
        front, prism, back, simulator = relays
        # Development mode leaves out what the description still requires (docs/sandbox.md).
        control(simulator, "apps/sandbox-client", {"mode": "extended"})
        referee = Referee((int(front), prism), (int(back), simulator), EXCEPTED)
    session = Session(origin)
    wrong = [f"{name}: no call of it is known here" for name in session.tools if name not in CALLS]
    if referee:
        session.instead = own_things(session)
    names = [name for name in session.tools if name not in LAST] + LAST
    calls = [(name, arguments) for name in names for arguments in CALLS.get(name, [])]
    refused = {}
    for at, (name, arguments) in enumerate(calls):
        if error := session.call(name, arguments).get("error"):
            again = sum(1 for other, _ in calls[:at] if other == name)
            refused[f"{name} {again + 1}" if again else name] = (error["code"], error["message"])
    if referee:
        for playing in ("episode", "ad", "unknown", "nothing"):
            control(simulator, "users/ada", {"playing": playing})
            for name in ("get_current_track", "get_playback_state", "get_queue"):
                if error := session.call(name, {}).get("error"):
                    wrong.append(f"{name} with {playing}: {error['code']}: {error['message']}")
    expected = {name: code for name, (code, _) in REFUSED[how].items()}
    wrong += [f"{name}: {code}: {said}" for name, (code, said) in refused.items() if code != expected.get(name)]
    wrong += [f"{name}: it worked, and {expected[name]} was expected" for name in expected.keys() - refused.keys()]
    if referee:
        wrong += referee.unexpected() + [f"excepted, but not said: {line}" for line in referee.unneeded()]
        print(f"proxy: {len(referee.asked)} routes, {len(EXCEPTED)} objections excepted")
    for line in wrong:
        print(f"FAILED  {line}")
    print(f"{how}: {len(calls)} calls of {len(session.tools)} tools, {len(expected)} refused as expected, "
          f"{len(wrong)} failed")
    sys.exit(1 if wrong else 0)


def control(simulator, what, change):
    url = f"{simulator.removesuffix('/v1')}/__sandbox/{what}"
    headers = {"content-type": "application/json", "x-sandbox-control": "1"}
    _open(urllib.request.Request(url, json.dumps(change).encode(), headers, method="PATCH"))


def own_things(session):
    """What the pretend person has for each thing of the examples."""
    found = session.call("search_catalog", {"query": "love", "limit": 2,
                                            "types": ["track", "album", "artist", "show", "episode", "audiobook"]})
    uris = {one["type"]: [item["uri"] for item in one["items"]] for one in found["results"]}
    made = session.call("create_playlist", {"name": "Refereed", "public": True, "track_uris": uris["track"]})
    chapters = session.call("list_children", {"uri": uris["audiobook"][0], "limit": 1})
    devices = session.call("list_devices", {})["devices"]
    return {
        TRACK: uris["track"][0], OTHER: uris["track"][1], ALBUM: uris["album"][0], ARTIST: uris["artist"][0],
        SHOW: uris["show"][0], EPISODE: uris["episode"][0], BOOK: uris["audiobook"][0],
        CHAPTER: chapters["items"][0]["uri"], LIST: made["playlist"]["id"], DEVICE: devices[0]["id"],
    }


class Session:
    """A login at the server, and what it answered last."""

    def __init__(self, origin):
        for _ in range(300):
            try:
                browser.main("ready", origin)
                break
            except OSError:
                time.sleep(0.1)
        self.origin, self.token = origin, browser.token(origin, "ada")
        self.instead, self.last = {}, {}
        self.tools = sorted(tool["name"] for tool in self.ask("tools/list", {})["tools"])
        accounts = self.call("list_my_accounts", {})["accounts"]
        self.last["account"] = accounts[0]["alias"]

    def call(self, name, arguments):
        text = json.dumps(arguments)
        for example, real in {**self.instead, **{f"<{field}>": value for field, value in self.last.items()}}.items():
            text = text.replace(example, real)
        answer = self.ask("tools/call", {"name": name, "arguments": json.loads(text)})["structuredContent"]
        for field in ("plan_id", "change_id"):
            if field in answer:
                self.last[field] = answer[field]
        return answer

    def ask(self, method, params):
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "authorization": f"Bearer {self.token}",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": method,
        }
        if "name" in params:
            headers["mcp-name"] = params["name"]
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        answer = _open(urllib.request.Request(f"{self.origin}/mcp", body, headers))
        if "result" not in answer:
            sys.exit(f"{method} {params.get('name', '')}: {answer['error']}")
        return answer["result"]


def _open(request):
    # No proxy from the environment: everything is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as reply:
        text = reply.read()
        return json.loads(text) if text else None


if __name__ == "__main__":
    main(*sys.argv[1:])
