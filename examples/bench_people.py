#!/usr/bin/env python3
"""Puts people with a data key each into the SQLite database of a server that does not run: for scripts/bench --rotation.

Usage: bench_people.py DATA_DIR COUNT. Reads DATA_DIR/master.key; needs the package `cryptography`. The keys are wrapped as
docs/keys.md says: an envelope (src/crypto/envelope.rs) for the person and the row.
"""

import base64
import hashlib
import hmac
import os
import sqlite3
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def expand(key, salt, info, length):
    """HKDF-SHA256 (RFC 5869)."""
    prk = hmac.new(salt, key, hashlib.sha256).digest()
    out, block = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
    return out[:length]


def prefixed(*parts):
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def wrapped(key, key_id, user, row):
    salt, nonce = os.urandom(32), os.urandom(12)
    place = (b"data_keys", b"wrapped", user.encode(), row.removeprefix("k_").encode())
    aad = prefixed(b"spotify-mcp/v1", *place, key_id, b"\x01", bytes(8))
    okm = expand(key, salt, b"spotify-mcp/v1/record" + hashlib.sha256(aad).digest(), 64)
    return b"SMC1\x01" + key_id + salt + okm[32:] + nonce + AESGCM(okm[:32]).encrypt(nonce, os.urandom(32), aad)


def main(data_dir, count):
    root = base64.b64decode(open(f"{data_dir}/master.key").read().strip(), validate=True)
    key_id = expand(root, b"spotify-mcp/v1/root", b"key-id", 16)
    key = expand(root, b"spotify-mcp/v1/root", b"wrap-data-keys", 32)
    (name,) = [name for name in os.listdir(data_dir) if name.endswith((".sqlite", ".sqlite3", ".db"))]
    database = sqlite3.connect(f"{data_dir}/{name}")
    with database:
        for _ in range(count):
            user, row = f"u_{os.urandom(16).hex()}", f"k_{os.urandom(16).hex()}"
            database.execute("INSERT INTO users (id, display_name, created_at, last_seen_at) VALUES (?, '', 1, 1)", (user,))
            database.execute(
                "INSERT INTO data_keys (id, user_id, master_key_id, wrapped, state, created_at, seal_count)"
                " VALUES (?, ?, ?, ?, 'active', 1, 0)",
                (row, user, key_id.hex(), wrapped(key, key_id, user, row)),
            )


main(sys.argv[1], int(sys.argv[2]))
