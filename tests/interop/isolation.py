"""Two people, each in a client of their own and of another era, call side by side: each sees only what is theirs.

    isolation.py ORIGIN
"""

import asyncio
import sys

from mcp import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

from client import MARKER, Login, Session, ok

ROUNDS = 25
READS = ("get_current_track", "get_user_playlists", "get_liked_songs", "get_status")


async def main(origin):
    async with Person(origin, "ben", "auto") as ben, Person(origin, "chiara", "legacy") as chiara:
        made = {session: await fill(session) for session in (ben, chiara)}
        await asyncio.gather(*(reads(session) for session in (ben, chiara) for _ in range(ROUNDS)))
        ok(f"{2 * ROUNDS * len(READS)} calls of two people side by side, each answer with its own marker alone")
        await refused(ben, made[chiara])
        await refused(chiara, made[ben])
        ok("a stranger's private playlist can neither be read nor written")


class Person:
    """A person's client, connected while the block lasts."""

    def __init__(self, origin, name, mode):
        self.name, self.mode, self.url = name, mode, f"{origin}/mcp"
        self.login = Login(origin, name)

    async def __aenter__(self):
        self.http = create_mcp_http_client(auth=self.login.auth)
        await self.http.__aenter__()
        self.client = Client(streamable_http_client(self.url, http_client=self.http), mode=self.mode)
        return Session(await self.client.__aenter__(), self.name)

    async def __aexit__(self, *failure):
        await self.client.__aexit__(*failure)
        await self.http.__aexit__(*failure)


async def fill(session):
    """A private playlist of the person's with a track of theirs."""
    found = await session.call("search_tracks", query="love", limit=1)
    uris = [track["uri"] for track in found["tracks"]]
    made = await session.call("create_playlist", name=f"Only {session.person}'s", track_uris=uris)
    return made["playlist"]["id"]


async def reads(session):
    for tool in READS:
        answer = await session.call(tool)
        assert MARKER.search(str(answer)), f"{tool} showed {session.person} nothing of their own: {answer}"


async def refused(session, playlist_id):
    added = {"playlist_id": playlist_id, "track_uris": ["spotify:track:" + "0" * 22]}
    for tool, arguments in (("get_playlist_tracks", {"playlist_id": playlist_id}), ("add_tracks_to_playlist", added)):
        result = await session.client.call_tool(tool, arguments)
        code = (result.structured_content or {}).get("error", {}).get("code")
        assert result.is_error and code in ("FORBIDDEN", "NOT_FOUND"), f"{tool}: {result}"


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
