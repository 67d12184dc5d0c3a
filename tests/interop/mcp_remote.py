"""mcp-remote (`mcp-remote` on npm) as a client: a program on standard input and output in front of a remote server.

    mcp_remote.py ORIGIN PERSON

NODE names a Node, SDKS the folder where the packages are installed. It speaks the revisions of 2025.
"""

import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time

from desk import PATIENCE, Desk, document, end_access, node, ok

EXPIRES_AFTER = 60
GRACE = 6
PARALLEL = 6


def main(origin, person):
    with Desk(person) as desk:
        with Proxy(desk, origin) as proxy:
            proxy.initialize()
            told = proxy.call("get_status")
            assert [account["state"] for account in told["accounts"]] == ["connected"], told
            assert desk.logins == 1, desk.logins
            logged_in = time.monotonic()
            ok("logged in by dynamic registration and called a tool, 2025-11-25")
            if int(os.environ.get("EXPIRIES", "1")):
                time.sleep(max(0, logged_in + EXPIRES_AFTER + GRACE - time.monotonic()))
                proxy.call_at_once("get_current_track", PARALLEL)
                assert desk.logins == 1, desk.logins
                ok(f"outlived its access token, {PARALLEL} calls at once, without a new login")
            end_access(origin, person, "MCP")
            proxy.call("get_current_track")
            assert desk.logins == 2, desk.logins
            ok("the person ended its access at the account page, and it logged in again")
    with Desk(person) as desk, Proxy(desk, origin) as proxy:
        desk.narrow_next_login()
        proxy.initialize()
        proxy.call("get_current_track")
        assert desk.logins == 1, desk.logins
        proxy.call("create_playlist", name=f"Stepped up {time.time_ns()}")
        assert desk.logins == 2, desk.logins
        ok("was allowed to read alone, asked for more when it needed more, and got it")
    if known := document("mcp-remote"):
        with Desk(person) as desk, Proxy(desk, origin, "--client-metadata-url", known) as proxy:
            proxy.initialize()
            proxy.call("get_current_track")
            assert desk.clients == [known], desk.clients
            ok("logged in by its metadata document, without a registration")


class Proxy:
    """The program, running. A message a line, in and out."""

    def __init__(self, desk, origin, *more):
        self.desk, self.ids = desk, 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        target = [f"{origin}/mcp", str(port), "--allow-http", "--transport", "http-only"]
        self.log = (desk.home / "proxy.log").open("w+")
        self.process = subprocess.Popen(
            [*node("mcp-remote/dist/proxy.js"), *target, *more], env=desk.environment, cwd=desk.home, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.kill()
        self.process.wait()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def initialize(self):
        about = {"name": "interop", "version": "1"}
        asked = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": about}
        result = self.answers([self.ask("initialize", asked)])[0]["result"]
        assert result["protocolVersion"] == "2025-11-25", result
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self, tool, **arguments):
        return self._result(self.answers([self.ask("tools/call", {"name": tool, "arguments": arguments})])[0])

    def call_at_once(self, tool, times):
        asked = [self.ask("tools/call", {"name": tool, "arguments": {}}) for _ in range(times)]
        return [self._result(answer) for answer in self.answers(asked)]

    def _result(self, answer):
        assert "result" in answer and not answer["result"].get("isError"), answer
        return answer["result"]["structuredContent"]

    def ask(self, method, params):
        self.ids += 1
        self.send({"jsonrpc": "2.0", "id": self.ids, "method": method, "params": params})
        return self.ids

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")

    def answers(self, asked):
        """The answers to these ids, in the order in which they came."""
        got = []
        while len(got) < len(asked):
            try:
                message = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                self.log.seek(0)
                raise AssertionError(f"no answer: {self.log.read()[-3000:]}{self.desk.browser_log()}") from None
            if message.get("id") in asked:
                got.append(message)
        return got


if __name__ == "__main__":
    main(*sys.argv[1:])
