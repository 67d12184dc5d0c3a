"""The Inspector's command line (`@modelcontextprotocol/inspector`) as a client, in both eras.

    inspector.py ORIGIN PERSON

NODE names a Node of 22.19 or newer, SDKS the folder where the packages are installed. Stepping up is left out: this
version ends with an error of its own where a refresh token is held and the server asks for more scope.
"""

import json
import os
import pathlib
import re
import sys
import time

from desk import Desk, document, end_access, node, ok

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXPIRES_AFTER = 60
GRACE = 6


def main(origin, person):
    with Desk(person) as desk:
        inspector = Inspector(desk, origin)
        told = inspector.call("get_status", era="modern")
        assert [account["state"] for account in told["accounts"]] == ["connected"], told
        assert desk.logins == 1, desk.logins
        logged_in = time.monotonic()
        ok("logged in by dynamic registration and called a tool, 2026-07-28")
        told = inspector.call("get_status", era="legacy")
        assert told["accounts"] and desk.logins == 1, desk.logins
        ok("called it again with the stored login, 2025-11-25")
        listed = json.loads(inspector.run("--method", "tools/list", "--strict", "--protocol-era", "modern"))
        tools = {tool["name"] for tool in listed["result"]["tools"]}
        known = re.findall(r"^\[(\w+)\]$", (ROOT / "policies" / "tools.toml").read_text(), re.MULTILINE)
        assert tools == set(known), tools ^ set(known)
        ok(f"its strict check finds nothing in the schemas of all {len(tools)} tools")
        if int(os.environ.get("EXPIRIES", "1")):
            time.sleep(max(0, logged_in + EXPIRES_AFTER + GRACE - time.monotonic()))
            inspector.call("get_current_track", "--stored-auth-only", era="modern")
            assert desk.logins == 1, desk.logins
            ok("outlived its access token without a new login")
        end_access(origin, person, "Inspector")
        inspector.call("get_current_track", era="modern")
        assert desk.logins == 2, desk.logins
        ok("the person ended its access at the account page, and it logged in again")
    if known := document("inspector"):
        with Desk(person) as desk:
            Inspector(desk, origin).call("get_current_track", "--client-metadata-url", known, era="modern")
            assert desk.clients == [known], desk.clients
            ok("logged in by its metadata document, without a registration")


class Inspector:
    """The program with its stored login."""

    def __init__(self, desk, origin):
        self.desk, self.origin = desk, origin

    def call(self, tool, *more, era):
        printed = self.run("--protocol-era", era, "--method", "tools/call", "--tool-name", tool, *more)
        result = json.loads(printed)["result"]
        assert not result.get("isError"), result
        return result["structuredContent"]

    def run(self, *arguments):
        program = node("@modelcontextprotocol/inspector/clients/launcher/build/index.js")
        target = ["--cli", "--server-url", f"{self.origin}/mcp", "--transport", "http", "--format", "json", "-q"]
        settings = {"MCP_AUTO_OPEN_ENABLED": "true", "MCP_INSPECTOR_SECRET_STORE": "file"}
        return self.desk.run(*program, *target, *arguments, **settings)


if __name__ == "__main__":
    main(*sys.argv[1:])
