"""Opens a sealed configuration file as docs/sealed-configuration.md describes it, written from that page alone.

Usage: sealed_reader.py FILE MASTER_KEY_IN_BASE64. Prints the contents as JSON. Needs the package `cryptography`.
"""

import base64
import hashlib
import hmac
import json
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


def derive(key, label, length=32):
    return expand(key, b"spotify-mcp/v1/root", label, length)


def prefixed(*parts):
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def open_envelope(sealed, key, key_id, column, lineage, row):
    if sealed[:5] != b"SMC1\x01" or sealed[5:21] != key_id:
        sys.exit("not an envelope under this key")
    salt, commitment, nonce, rest = sealed[21:53], sealed[53:85], sealed[85:97], sealed[97:]
    place = (b"sealed-configuration", column, lineage.encode(), row.encode())
    aad = prefixed(b"spotify-mcp/v1", *place, key_id, b"\x01", bytes(8))
    okm = expand(key, salt, b"spotify-mcp/v1/record" + hashlib.sha256(aad).digest(), 64)
    if not hmac.compare_digest(okm[32:], commitment):
        sys.exit("the envelope was changed or moved")
    return AESGCM(okm[:32]).decrypt(nonce, rest, aad)


def canonical(tree):
    return json.dumps(tree, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def open_values(node, key, key_id, lineage, path=""):
    if isinstance(node, dict):
        escaped = {name: name.replace("~", "~0").replace("/", "~1") for name in node}
        return {name: open_values(inner, key, key_id, lineage, f"{path}/{escaped[name]}") for name, inner in node.items()}
    if isinstance(node, list):
        return [open_values(inner, key, key_id, lineage, f"{path}/{at}") for at, inner in enumerate(node)]
    if isinstance(node, str) and node.startswith("sealed:v1:"):
        sealed = base64.b64decode(node[len("sealed:v1:"):], validate=True)
        return json.loads(open_envelope(sealed, key, key_id, b"value", lineage, path))
    return node


def main(path, master_key):
    text = open(path, encoding="utf-8", newline="").read()
    tree = json.loads(text)
    if canonical(tree) != text:
        sys.exit("the text is not canonical")
    header = tree["$sealed"]
    if header["format"] != "spotify-mcp/sealed-configuration/v1":
        sys.exit("another format")
    root = base64.b64decode(master_key, validate=True)
    root_id = derive(root, b"key-id", 16)
    slot = next(s for s in header["slots"] if s["kind"] == "master-key" and s["key_id"] == root_id.hex())
    wrapped = base64.b64decode(slot["wrapped"], validate=True)
    wrapping = derive(root, b"configuration-slots")
    file_key = open_envelope(wrapped, wrapping, root_id, b"slot", header["lineage"], slot["id"])

    stated = base64.b64decode(header["mac"], validate=True)
    header["mac"] = ""
    mac = hmac.new(derive(file_key, b"configuration-text"), prefixed(canonical(tree).encode()), hashlib.sha256).digest()
    if not hmac.compare_digest(mac, stated):
        sys.exit("the text is not what was sealed")
    del tree["$sealed"]
    values = derive(file_key, b"configuration-values")
    print(json.dumps(open_values(tree, values, derive(file_key, b"key-id", 16), header["lineage"]), indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
