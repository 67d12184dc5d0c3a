"""FastMCP (`fastmcp` on PyPI) as a client: its command line, and its library through expiry, revocation and step-up.

    fastmcp_client.py ORIGIN PERSON
"""

import asyncio
import json
import os
import pathlib
import sys
import time

from desk import Desk, document, end_access, ok

EXPIRES_AFTER = 60
GRACE = 6
PARALLEL = 6


def main(origin, person):
    with Desk(person) as desk:
        program = pathlib.Path(sys.executable).with_name("fastmcp")
        printed = desk.run(str(program), "call", f"{origin}/mcp", "get_status", "--auth", "oauth", "--json")
        told = json.loads(printed)["structured_content"]
        assert [account["state"] for account in told["accounts"]] == ["connected"], told
        assert desk.logins == 1, desk.logins
        ok("its command line logged in by dynamic registration and called a tool")
    with Desk(person) as desk:
        # Before its import: it looks for the browser then.
        os.environ |= desk.environment
        asyncio.run(lasting(desk, origin, person))
        asyncio.run(step_up(desk, origin))
        if known := document("fastmcp"):
            asyncio.run(by_document(desk, origin, known))


async def lasting(desk, origin, person):
    from fastmcp import Client

    async with Client(f"{origin}/mcp", auth="oauth") as client:
        await client.call_tool("get_current_track")
        assert desk.logins == 1, desk.logins
        logged_in = time.monotonic()
        ok("its library logged in and called a tool")
        if int(os.environ.get("EXPIRIES", "1")):
            await asyncio.sleep(max(0, logged_in + EXPIRES_AFTER + GRACE - time.monotonic()))
            await asyncio.gather(*(client.call_tool("get_current_track") for _ in range(PARALLEL)))
            assert desk.logins == 1, desk.logins
            ok(f"outlived its access token, {PARALLEL} calls at once, without a new login")
        await asyncio.to_thread(end_access, origin, person, "FastMCP")
        await client.call_tool("get_current_track")
        assert desk.logins == 2, desk.logins
        ok("the person ended its access at the account page, and it logged in again")


async def step_up(desk, origin):
    from fastmcp import Client

    before = desk.logins
    desk.narrow_next_login()
    async with Client(f"{origin}/mcp", auth="oauth") as client:
        await client.call_tool("get_current_track")
        assert desk.logins == before + 1, desk.logins
        await client.call_tool("create_playlist", {"name": f"Stepped up {time.time_ns()}"})
        assert desk.logins == before + 2, desk.logins
    ok("was allowed to read alone, asked for more when it needed more, and got it")


async def by_document(desk, origin, known):
    from fastmcp import Client
    from fastmcp.client.auth import OAuth

    async with Client(f"{origin}/mcp", auth=OAuth(client_metadata_url=known)) as client:
        await client.call_tool("get_current_track")
        assert desk.clients[-1] == known, desk.clients
    ok("logged in by its metadata document, without a registration")


if __name__ == "__main__":
    main(*sys.argv[1:])
