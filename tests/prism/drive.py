"""Calls every tool of a server once or more, with what a person would ask for, and says which did not work.

    drive.py mock ORIGIN LOG     Prism answers in Spotify's place: what it makes up must be understood
    drive.py proxy ORIGIN LOG    Prism stands before the simulator: LOG must hold no violation

Only Python's standard library. Every tool that the server lists must have calls here.
"""

import base64
import json
import pathlib
import re
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))
import browser

TRACK = "spotify:track:4iV5W9uYEdYUVa79Axb7Rh"
OTHER = "spotify:track:1301WleyT98MSxVHPZCA6M"
LIST = "3cEYpjA9oz9GiPac4AsH4n"
COVER = base64.b64encode(bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")).decode()

CALLS = {
    "add_to_queue": [{"uris": [TRACK]}],
    "add_tracks_to_playlist": [{"playlist_id": LIST, "track_uris": [TRACK, OTHER]}],
    "check_library": [{"uris": [TRACK, OTHER]}],
    "compare_playlists": [{"playlist_id": LIST, "other_playlist_id": LIST}],
    "copy_playlist": [{"playlist_id": LIST, "name": "A copy"}],
    "create_playlist": [{"name": "Made by a test", "track_uris": [TRACK]}],
    "deduplicate_playlist": [{"playlist_id": LIST}],
    "find_in_playlists": [{"query": "love"}],
    "follow_playlist": [{"playlist_id": LIST}],
    "get_current_track": [{}],
    "get_items": [{"uris": [TRACK, "spotify:album:4aawyAB9vmqN3uQ7FjRGTy"]}],
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
    "list_changes": [{}],
    "list_children": [{"uri": "spotify:album:4aawyAB9vmqN3uQ7FjRGTy"}, {"uri": "spotify:artist:0TnOYISbd1XYRBk9myaseg"}],
    "list_devices": [{}],
    "list_library": [{"kind": "albums"}, {"kind": "shows"}, {"kind": "artists"}],
    "list_my_accounts": [{}],
    "match_tracks": [{"items": [{"title": "Tainted Love", "artist": "Soft Cell"}]}],
    "pause": [{}],
    "play": [{"uris": [TRACK]}],
    "remove_from_library": [{"uris": [TRACK]}],
    "remove_tracks_from_playlist": [{"playlist_id": LIST, "track_uris": [TRACK]}],
    "reorder_playlist_tracks": [{"playlist_id": LIST, "range_start": 0, "insert_before": 2}],
    "save_to_library": [{"uris": [TRACK]}],
    "search_catalog": [{"query": "love", "types": ["album", "artist", "playlist", "show"]}],
    "search_tracks": [{"query": "love", "limit": 5}],
    "seek": [{"position_ms": 1000}],
    "set_player": [{"volume": 30}],
    "set_playlist_cover": [{"playlist_id": LIST, "jpeg_base64": COVER}],
    "skip_to_next": [{}],
    "skip_to_previous": [{}],
    "transfer_playback": [{"device": "0d1841b0976bae2a3a310dd74c0f3df354899bc8"}],
    "unfollow_playlist": [{"playlist_id": LIST}],
    "update_playlist": [{"playlist_id": LIST, "name": "Another name"}],
}

# What changes our own table of accounts, or needs what an earlier call gave: tried by the tests, not here.
NOT_HERE = {"link_account", "set_default_account", "unlink_account", "undo_change"}

# Answers about what is not there, or not possible now: said properly, so the description was understood.
FINE = {
    "mock": {"NOT_FOUND", "FORBIDDEN", "NO_ACTIVE_DEVICE", "RESTRICTED", "PREMIUM_REQUIRED", "AMBIGUOUS_WRITE"},
    "proxy": {"NOT_FOUND", "FORBIDDEN", "NO_ACTIVE_DEVICE", "RESTRICTED", "PREMIUM_REQUIRED"},
}


def main(how, origin, log):
    for _ in range(200):
        try:
            browser.main("ready", origin)
            break
        except OSError:
            time.sleep(0.1)
    token = browser.token(origin, "ada")
    ask = lambda method, params: _ask(origin, token, method, params)
    listed = sorted(tool["name"] for tool in ask("tools/list", {})["tools"])
    wrong = [f"{name}: no call of it is known here" for name in listed if name not in CALLS.keys() | NOT_HERE]
    own = {}
    if how == "proxy":
        made = ask("tools/call", {"name": "create_playlist", "arguments": {"name": "Refereed"}})
        own = {LIST: made["structuredContent"]["playlist"]["id"]}
    done = 0
    for name in listed:
        for arguments in CALLS.get(name, []):
            text = json.dumps(arguments)
            for example, real in own.items():
                text = text.replace(example, real)
            result = ask("tools/call", {"name": name, "arguments": json.loads(text)})
            done += 1
            error = result.get("structuredContent", {}).get("error")
            if error and error["code"] not in FINE[how]:
                wrong.append(f"{name} {text[:80]}: {error['code']}: {error['message']}")
    said = re.sub(r"\x1b\[[0-9;]*m", "", pathlib.Path(log).read_text())
    if how == "proxy":
        wrong += sorted({line.strip()[:200] for line in said.splitlines() if re.search(r"Violation|violat|422", line)})
    for line in wrong:
        print(f"FAILED  {line}")
    print(f"{how}: {done} calls of {len(listed)} tools, {len(wrong)} failed")
    sys.exit(1 if wrong else 0)


def _ask(origin, token, method, params):
    params["_meta"] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "authorization": f"Bearer {token}",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
    }
    if "name" in params:
        headers["mcp-name"] = params["name"]
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(f"{origin}/mcp", body, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as reply:
        answer = json.load(reply)
    if "result" not in answer:
        sys.exit(f"{method} {params.get('name', '')}: {answer['error']}")
    return answer["result"]


if __name__ == "__main__":
    main(*sys.argv[1:])
