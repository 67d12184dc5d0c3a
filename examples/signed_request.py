#!/usr/bin/env python3
"""Calls a spotify-mcp server with an API key that signs each request and is never sent (RFC 9421, RFC 9530).

Python's standard library only. The key comes from a file, so that no process list and no shell history has it:

    signed_request.py https://music.example/mcp ak_0123... key.txt get_current_track '{}'
"""

import base64
import hashlib
import hmac
import json
import secrets
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

COVERED = ("@method", "@authority", "@path", "@query", "content-digest")


def signing_key(api_key: str) -> bytes:
    """HKDF-SHA256 (RFC 5869) of the whole key: extract, then one block of expand."""
    extracted = hmac.digest(b"spotify-mcp/v1/api-key", api_key.encode(), "sha256")
    return hmac.digest(extracted, b"request-signing\x01", "sha256")


def sign(api_key, key_id, method, url, body, created=None, nonce=None):
    """The three headers of a signed request."""
    parts = urllib.parse.urlsplit(url)
    own_port = {"https": ":443", "http": ":80"}[parts.scheme]
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    values = {
        "@method": method,
        "@authority": parts.netloc.lower().removesuffix(own_port),
        "@path": parts.path or "/",
        "@query": "?" + parts.query,
        "content-digest": f"sha-256=:{digest}:",
    }
    names = " ".join(f'"{name}"' for name in COVERED)
    parameters = (
        f"({names});created={created or int(time.time())};nonce=\"{nonce or secrets.token_urlsafe(16)}\""
        f';keyid="{key_id}";alg="hmac-sha256"'
    )
    lines = [f'"{name}": {values[name]}' for name in COVERED]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    mac = base64.b64encode(hmac.digest(signing_key(api_key), base.encode(), "sha256")).decode()
    return {
        "Content-Digest": values["content-digest"],
        "Signature-Input": f"sig={parameters}",
        "Signature": f"sig=:{mac}:",
    }


def call(url, key_id, api_key, tool, arguments):
    """One tool call; a signature is good for one request, so a repetition is signed anew."""
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }
    body = json.dumps(message).encode()
    headers = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": "2025-11-25",
        **sign(api_key, key_id, "POST", url, body),
    }
    request = urllib.request.Request(url, body, headers, method="POST")
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def main():
    if len(sys.argv) != 6:
        sys.exit("usage: signed_request.py URL KEY_ID KEY_FILE TOOL ARGUMENTS\n\n" + __doc__)
    url, key_id, key_file, tool, arguments = sys.argv[1:]
    with open(key_file, encoding="ascii") as file:
        api_key = file.read().strip()
    try:
        print(json.dumps(call(url, key_id, api_key, tool, json.loads(arguments)), indent=2))
    except urllib.error.HTTPError as error:
        # The challenge says what is wrong with a signature.
        sys.exit(f"{error.code}: {error.headers.get('WWW-Authenticate', error.reason)}")


if __name__ == "__main__":
    main()
