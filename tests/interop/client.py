"""The Python SDK (`mcp`) as a client: logs in by itself, calls the tools, and outlives its access token.

    client.py ORIGIN PERSON ERA         ERA: modern (2026-07-28, found by asking) or legacy (2025-11-25, by handshake)

Prints a line for each check. Exit status 0: all held. session.mjs makes the same checks for the JavaScript clients.
"""

import asyncio
import json
import os
import re
import sys
import time
import urllib.parse

from jsonschema import Draft202012Validator
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitResult

from browser import Browser, narrowed, revoke

# Some of the tools: those that are used here.
TOOLS = {
    "search_tracks", "get_current_track", "get_user_playlists", "get_playlist_tracks", "get_liked_songs",
    "create_playlist", "add_tracks_to_playlist", "get_status",
}
REDIRECT = "http://127.0.0.1:9/callback"
VERSIONS = {"modern": "2026-07-28", "legacy": "2025-11-25"}
PARALLEL = 8
EXPIRIES = int(os.environ.get("EXPIRIES", "1"))
DOCUMENTS = os.environ.get("DOCUMENTS")
"""Where metadata documents of clients are served (documents.py), if they are."""
MARKER = re.compile(r"\b(ada|ben|chiara)Z")
"""The sandbox begins every id that it shows a person with that person's marker (docs/sandbox.md)."""


class Login:
    """The SDK's login with a scripted browser in place of a person, and its tokens kept in memory."""

    def __init__(self, origin, person, narrow=False, document=None):
        self.origin, self.browser = origin, Browser(person)
        self.narrow = narrow
        """Whether the next login allows reading alone."""
        self.logins = self.issued = 0
        self.tokens = self.client = None
        self.expires_at = 0.0
        self._called = ""
        metadata = OAuthClientMetadata(
            client_name="Interop: Python",
            redirect_uris=[REDIRECT],
            grant_types=["authorization_code", "refresh_token"],
            token_endpoint_auth_method="none",
        )
        self.auth = OAuthClientProvider(
            f"{origin}/mcp", metadata, self, self._open, self._callback, client_metadata_url=document
        )

    async def _open(self, url):
        self.logins += 1
        if self.narrow:
            url, self.narrow = narrowed(url), False
        self._called = await asyncio.to_thread(self.browser.approve, url, REDIRECT)

    async def _callback(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self._called).query))
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens, self.issued = tokens, self.issued + 1
        self.expires_at = time.monotonic() + tokens.expires_in

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Person:
    """Replies to what the server asks through the client."""

    def __init__(self):
        self.asked, self.reply = [], "accept"

    async def __call__(self, context, params):
        self.asked.append(params.message)
        return ElicitResult(action=self.reply, content={"agree": True} if self.reply == "accept" else None)


class Session:
    """A connected client of one person. Every answer is checked to be that person's."""

    def __init__(self, client, person):
        self.client, self.person = client, person

    async def call(self, tool, /, **arguments):
        """The structured answer of a tool call that must succeed."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, f"{tool} failed: {result.content}"
        return self.own(result.structured_content, tool)

    def own(self, answer, name):
        strangers = set(MARKER.findall(json.dumps(answer))) - {self.person}
        assert not strangers, f"{name} showed {self.person} what belongs to {strangers}"
        return answer


async def main(origin, person, era):
    login = Login(origin, person)
    async with create_mcp_http_client(auth=login.auth) as http:
        transport = streamable_http_client(f"{origin}/mcp", http_client=http)
        asked = Person()
        mode = "auto" if era == "modern" else "legacy"
        async with Client(transport, mode=mode, elicitation_callback=asked) as client:
            session = Session(client, person)
            assert client.protocol_version == VERSIONS[era], client.protocol_version
            assert login.logins == 1 and login.browser.pages == ["consent", "sandbox"], login.browser.pages
            ok(f"logged in by dynamic registration, speaks {client.protocol_version}")
            await lists(client)
            await music(session)
            await asking(session, asked)
            await status(session)
            await expiry(session, login)
            await revocation(session, login, era)
        if era == "legacy":
            await new_session(login, http, person)
    await step_up(origin, person, era)
    if DOCUMENTS:
        await by_document(origin, person, era)


async def lists(client):
    listed = (await client.list_tools()).tools
    assert TOOLS <= {tool.name for tool in listed}, [tool.name for tool in listed]
    for tool in listed:
        for schema in (tool.input_schema, tool.output_schema):
            Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object", tool.name
        assert tool.title and tool.description and tool.annotations.read_only_hint is not None, tool.name
    ok(f"listed {len(listed)} tools, each with valid schemas, a title and hints")


async def music(session):
    found = await session.call("search_tracks", query="don't stop", limit=3)
    assert "don't stop" in found["tracks"][0]["name"].lower(), found["tracks"][0]
    ok("a search with an apostrophe is a search")
    playing = await session.call("get_current_track")
    assert playing["state"] in ("playing", "paused", "nothing"), playing
    playlists = (await session.call("get_user_playlists"))["playlists"]
    assert playlists and all(MARKER.match(playlist["id"]) for playlist in playlists), playlists
    ok("read what plays, and the playlists")
    name = f"Interop's list {time.time_ns()}"
    made = (await session.call("create_playlist", name=name))["playlist"]
    assert made["name"] == name and not made["public"], made
    uris = [track["uri"] for track in found["tracks"]]
    added = await session.call("add_tracks_to_playlist", playlist_id=made["uri"], track_uris=uris)
    assert added["added"] == len(uris), added
    kept = await session.call("get_playlist_tracks", playlist_id=made["id"])
    assert [track["uri"] for track in kept["tracks"]] == uris, kept
    ok("made a playlist, and added tracks that are there in order")


async def asking(session, person):
    found = await session.call("search_tracks", query="don't stop", limit=3)
    uris = [track["uri"] for track in found["tracks"]]
    made = (await session.call("create_playlist", name=f"Asked {time.time_ns()}", track_uris=uris))["playlist"]
    for person.reply in ("decline", "cancel", "accept"):
        plan = await session.call("remove_tracks_from_playlist", playlist_id=made["id"], positions=[0])
        arguments = {"playlist_id": made["id"], "positions": [0], "dry_run": False, "plan_id": plan["plan_id"]}
        result = await session.client.call_tool("remove_tracks_from_playlist", arguments)
        assert person.asked.pop().startswith(f"Remove 1 of {len(uris)} tracks"), person.asked
        code = (result.structured_content or {}).get("error", {}).get("code")
        assert (code is None) == (person.reply == "accept") and code in (None, "DECLINED"), result
    assert not person.asked, person.asked
    ok("the person is asked before something is removed, and only their yes removes it")


def lasting(account):
    """Without what other clients that run beside this one change from one moment to the next."""
    app = {key: value for key, value in account["app"].items() if key not in ("shares", "seats")}
    return account | {"app": app}


async def status(session):
    told = await session.call("get_status")
    assert [account["state"] for account in told["accounts"]] == ["connected"], told
    read = (await session.client.read_resource("spotify://status")).contents[0]
    resource = session.own(json.loads(read.text), "spotify://status")
    assert [lasting(one) for one in resource["accounts"]] == [lasting(one) for one in told["accounts"]], resource
    refused = await session.client.call_tool("get_playlist_tracks", {"playlist_id": "x" * 22})
    assert refused.is_error and refused.structured_content["error"]["code"] == "NOT_FOUND", refused
    ok("status as tool and as resource agree; a refusal has its code")


async def expiry(session, login):
    for round in range(EXPIRIES):
        issued = login.issued
        # Into the expiry, call after call, then all at once after it.
        await asyncio.sleep(max(0, login.expires_at - time.monotonic() - 0.3))
        while login.issued == issued and time.monotonic() < login.expires_at + 0.5:
            await session.call("get_current_track")
        await asyncio.sleep(max(0, login.expires_at - time.monotonic() + 0.1) if login.issued == issued else 0)
        await asyncio.gather(*(session.call("get_current_track") for _ in range(PARALLEL)))
        assert login.logins == 1, f"expiry {round + 1} needed a new login"
        assert login.issued > issued, "nothing was refreshed"
    ok(f"outlived its access token, {PARALLEL} calls at once, without a new login (times: {EXPIRIES})")


async def revocation(session, login, era):
    await asyncio.to_thread(revoke, login.origin, login.client.client_id, login.tokens.refresh_token)
    logins = login.logins
    if era == "modern":
        await session.call("get_current_track")
    else:
        # The session ended with what it belonged to. To begin another is left to whoever uses this SDK.
        try:
            await session.call("get_current_track")
            raise AssertionError("the session outlived the revocation")
        except MCPError as refused:
            assert "no such session" in str(refused), refused
    assert login.logins == logins + 1, f"{login.logins - logins} logins after a revocation"
    ok("its tokens were revoked, and it logged in again")


async def new_session(login, http, person):
    logins = login.logins
    transport = streamable_http_client(f"{login.origin}/mcp", http_client=http)
    async with Client(transport, mode="legacy") as client:
        await Session(client, person).call("get_current_track")
    assert login.logins == logins, "a new session needed a new login"
    ok("its session had ended with them, and a new one needed no further login")


async def by_document(origin, person, era):
    document = f"{DOCUMENTS}/python-{era}.json"
    login = Login(origin, person, document=document)
    async with create_mcp_http_client(auth=login.auth) as http:
        transport = streamable_http_client(f"{origin}/mcp", http_client=http)
        async with Client(transport, mode="auto" if era == "modern" else "legacy") as client:
            await Session(client, person).call("get_current_track")
            assert login.client.client_id == document, login.client.client_id
    ok("logged in by its metadata document, without a registration")


async def step_up(origin, person, era):
    login = Login(origin, person, narrow=True)
    async with create_mcp_http_client(auth=login.auth) as http:
        transport = streamable_http_client(f"{origin}/mcp", http_client=http)
        async with Client(transport, mode="auto" if era == "modern" else "legacy") as client:
            session = Session(client, person)
            await session.call("get_current_track")
            assert login.tokens.scope == "read" and login.logins == 1, login.tokens.scope
            await session.call("create_playlist", name=f"Stepped up {time.time_ns()}")
            assert "write" in login.tokens.scope.split() and login.logins == 2, login.tokens.scope
    ok("was allowed to read alone, asked for more when it needed more, and got it")


def ok(what):
    print(f"ok {what}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
