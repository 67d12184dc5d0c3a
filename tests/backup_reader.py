"""Opens a backup as docs/backups.md describes it, written from that page alone.

Usage: backup_reader.py FILE MASTER_KEY_IN_BASE64 [OUT_FOLDER]. Prints the header and each part's size and SHA-256 as JSON;
writes the parts into the folder. Needs the package `cryptography`. Also checks a tombstones.ndjson beside a key in
hexadecimal: backup_reader.py --tombstones FILE KEY.
"""

import base64
import hashlib
import hmac
import json
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK, TAG = 65_536, 16


def expand(key, salt, info, length):
    """HKDF-SHA256 (RFC 5869)."""
    prk = hmac.new(salt, key, hashlib.sha256).digest()
    out, block = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
    return out[:length]


def derive(key, label, length=32):
    return expand(key, b"spotify-mcp/v1/root", label, length)


def open_backup(path, master_key, folder=None):
    data = open(path, "rb").read()
    end = data.index(b"\n", 0, 65_537) + 1
    line, rest = data[:end], data[end:]
    header = json.loads(line)
    if header["format"] != "spotify-mcp/backup/v1":
        sys.exit("another format")
    root = base64.b64decode(master_key, validate=True)
    if derive(root, b"key-id", 16).hex() != header["sealed_under"]:
        sys.exit("another key")
    salt, commitment, chunks = rest[:32], rest[32:64], rest[64:]
    okm = expand(derive(root, b"backups"), salt, b"spotify-mcp/v1/stream" + hashlib.sha256(line).digest(), 64)
    if not hmac.compare_digest(okm[32:], commitment):
        sys.exit("the header was changed")
    payload = sum(part["bytes"] for part in header["parts"])
    count = max(1, -(-payload // CHUNK))
    if len(chunks) != payload + count * TAG:
        sys.exit("cut off, or longer than it was")
    content = b""
    for number in range(count):
        last = number + 1 == count
        nonce = bytes(7) + number.to_bytes(4, "big") + bytes([last])
        piece = chunks[number * (CHUNK + TAG):(number + 1) * (CHUNK + TAG)]
        try:
            content += AESGCM(okm[:32]).decrypt(nonce, piece, None)
        except InvalidTag:
            sys.exit(f"chunk {number} was changed or moved")
    parts = []
    for part in header["parts"]:
        piece, content = content[:part["bytes"]], content[part["bytes"]:]
        parts.append({"name": part["name"], "bytes": len(piece), "sha256": hashlib.sha256(piece).hexdigest()})
        if folder:
            with open(f"{folder}/{part['name']}", "wb") as out:
                out.write(piece)
    print(json.dumps({"header": header, "parts": parts}, indent=2))


def prefixed(*parts):
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def check_tombstones(path, key):
    mac = bytes(32)
    lines = open(path, "rb").read().split(b"\n")[:-1]
    for number, line in enumerate(lines, 1):
        stone = json.loads(line)
        parts = (number.to_bytes(8, "big"), mac, stone["mark"].encode(), stone["deleted_at"].to_bytes(8, "big", signed=True))
        mac = hmac.new(key, prefixed(b"spotify-mcp/tombstones/v1", *parts), hashlib.sha256).digest()
        if stone["n"] != number or stone["mac"] != mac.hex():
            sys.exit(f"line {number} was changed, or does not follow the line before it")
    print(json.dumps({"deletions": len(lines)}))


if __name__ == "__main__":
    if sys.argv[1] == "--tombstones":
        check_tombstones(sys.argv[2], bytes.fromhex(sys.argv[3]))
    else:
        open_backup(*sys.argv[1:])
