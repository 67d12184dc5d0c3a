"""mcp-fuzzer (PyPI) audits the server from outside: its authorization server, its tools' texts, how it treats Origin, and
what each tool does with broken arguments.

    audit.py ORIGIN PERSON REGISTRATION        REGISTRATION: as auth.registration is set, open or local_only

Where registration is open, that is the one finding, and expected: anybody may register a client with any https redirect
URI, because that is how clients of the protocol introduce themselves. What makes it harmless is the consent page, which
names the host that gets the answer. Where it is not, nothing is found.
"""

import json
import pathlib
import sys

from browser import token
from desk import Desk, ok

EXPECTED = {"open": ["dcr_malicious_binding"], "local_only": []}
TOOLS = 47


def main(origin, person, registration):
    with Desk(person) as desk:
        fuzzer = pathlib.Path(sys.executable).with_name("mcp-fuzzer")
        desk.run(
            str(fuzzer), "--protocol", "streamablehttp", "--endpoint", f"{origin}/mcp", "--mode", "tools",
            "--runs", "3", "--seed", "1", "--auth-env", "--auth-audit", "--auth-audit-intrusive", "--security-audit",
            "--security-audit-intrusive", "--timeout", "10", "--log-level", "WARNING", "--output-dir", "out",
            MCP_API_KEY=token(origin, person),
        )
        told = json.loads((desk.home / "out" / "run_summary.json").read_text())
        discovered = told["tool_discovery"]["tool_count"]
        assert discovered == TOOLS, told["tool_discovery"]
        found = json.loads((desk.home / "out" / "findings.json").read_text())["findings"]
    assert [finding["category"] for finding in found] == EXPECTED[registration], json.dumps(found, indent=1)
    ok(f"found in {TOOLS} tools and the authorization server: {', '.join(EXPECTED[registration]) or 'nothing'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
