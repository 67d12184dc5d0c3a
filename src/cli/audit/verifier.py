"""Checks an audit trail, or records that were exported from one, as docs/audit.md describes them: a second program,
written from that page alone, with nothing but Python 3.

Usage: verifier.py trail FOLDER [KEY]    every segment of a trail, and its checkpoints
       verifier.py pack FOLDER KEY       what 'spotify-mcp audit export' wrote
       verifier.py proof FILE KEY        what 'spotify-mcp audit prove' wrote

KEY is the public key that you trust, name+id+base64. Without one, the key that the trail names is used, and nothing is
said of who holds it. Prints one line of JSON. Exit status 0: it holds; 1: it does not, and the line says what.
"""

import base64
import hashlib
import json
import pathlib
import re
import sys

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


class Wrong(Exception):
    pass


def need(holds, what):
    if not holds:
        raise Wrong(what)


# Ed25519 (RFC 8032 section 5.1), points as x, y, z, t.
def recover(text):
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    need(y < P and (x * x - square) % P == 0, "not a point")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number, point):
    out = (0, 1, 1, 0)
    while number:
        out = add(out, point) if number & 1 else out
        point, number = add(point, point), number >> 1
    return out


BASE = recover((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed(key, text, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(r + key + text).digest(), "little") % ORDER
    one, other = times(s, BASE), add(recover(r), times(h, recover(key)))
    return (one[0] * other[2] - other[0] * one[2]) % P == 0 == (one[1] * other[2] - other[1] * one[2]) % P


# Signed notes (c2sp.org/signed-note) and checkpoints (c2sp.org/tlog-checkpoint).
def key_of(text):
    name, number, key = text.strip().split("+", 2)
    key = base64.b64decode(key, validate=True)
    expected = hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8]
    need(key[0] == 1 and len(key) == 33 and number == expected, "the key's id does not fit")
    return name, number, key[1:]


def checkpoint(note, keys):
    text, signatures = note.rsplit("\n\n", 1)
    text += "\n"
    by = False
    for line in signatures.splitlines():
        dash, name, value = line.split(" ")
        value = base64.b64decode(value, validate=True)
        for key in keys:
            if dash == "\u2014" and (name, value[:4].hex()) == key[:2]:
                need(signed(key[2], text.encode(), value[4:]), "a signature is not of its checkpoint")
                by = True
    need(by, "no trusted key signed a checkpoint")
    origin, size, root = text.splitlines()
    need(any(origin == key[0] for key in keys), "a checkpoint is of another trail")
    return int(size), base64.b64decode(root, validate=True)


# The tree (RFC 6962 section 2.1).
def sha(data):
    return hashlib.sha256(data).digest()


def append(peaks, size, leaf):
    while size & 1:
        leaf, size = sha(b"\x01" + peaks.pop() + leaf), size >> 1
    peaks.append(leaf)


def root_of(peaks):
    root = peaks[-1] if peaks else sha(b"")
    for peak in peaks[-2::-1]:
        root = sha(b"\x01" + peak + root)
    return root


def included(leaf, index, size, path, root):
    need(index < size, "the record is behind the checkpoint")
    last = size - 1
    for node in path:
        need(last > 0, "the path is too long")
        if index & 1 or index == last:
            leaf = sha(b"\x01" + node + leaf)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            leaf = sha(b"\x01" + leaf + node)
        index, last = index >> 1, last >> 1
    need(last == 0 and leaf == root, "the record is not in the tree that was signed")


def check_proof(text, keys):
    head, note = text.split("\n\n", 1)
    lines = head.split("\n")
    need(lines[0] == "c2sp.org/tlog-proof@v1" and lines[1][:6] == "extra " and lines[2][:6] == "index ", "no proof")
    record, index = base64.b64decode(lines[1][6:], validate=True), int(lines[2][6:])
    size, root = checkpoint(note, keys)
    path = [base64.b64decode(line, validate=True) for line in lines[3:]]
    included(sha(b"\x00" + record), index, size, path, root)
    return record, index + 1, size


def vouched(keys, change):
    """The new key of a change, where a trusted key vouches for it."""
    old, new = key_of(change["old"]), key_of(change["new"])
    if old in keys and new not in keys and "succession" in change:
        text = b"spotify-mcp/evidence-key-succession/v1" + new[2]
        if signed(old[2], text, base64.b64decode(change["succession"], validate=True)):
            keys.append(new)


def check_trail(folder, keys):
    numbers = [re.fullmatch(r"audit-([1-9]\d*)\.ndjson", path.name) for path in folder.iterdir()]
    numbers = sorted(int(found[1]) for found in numbers if found)
    need(numbers and numbers == list(range(numbers[0], numbers[-1] + 1)), "segments are missing")
    notes = [json.loads(line)["note"] for line in (folder / "checkpoints.ndjson").read_text().split("\n")[:-1]]
    roots, seq, peaks, chain = {}, 0, [], None
    wanted = {int(note.split("\n")[1]) for note in notes}
    hashed = "0" * 64
    for number in numbers:
        lines = (folder / f"audit-{number}.ndjson").read_bytes().split(b"\n")[:-1]
        for at, line in enumerate(lines):
            record = json.loads(line)
            own, code = record["unmapped"], record["metadata"]["event_code"]
            if at == 0 and own["epoch"] > 0:
                segment = own["segment"]
                need(code == "audit_segment_opened" and segment["number"] == number, f"segment {number} is not opened")
                frontier = base64.b64decode(segment["frontier"])
                frontier = [frontier[n : n + 32] for n in range(0, len(frontier), 32)]
                if chain is None:
                    seq, peaks, hashed = segment["tree_size"], frontier, segment["previous"]
                    keys = keys or [key_of(text) for text in segment["keys"]]
                need((segment["tree_size"], frontier) == (seq, peaks), f"segment {number} begins elsewhere")
            chain = chain or own["chain_uid"]
            need(record["metadata"]["sequence"] == seq + 1, f"record {seq + 1} is not where it belongs")
            need(own["prev"] == hashed and own["chain_uid"] == chain, f"record {seq + 1} or the one before was changed")
            append(peaks, seq, sha(b"\x00" + line))
            hashed, seq = hashlib.sha256(line).hexdigest(), seq + 1
            if seq in wanted:
                roots[seq] = root_of(peaks)
            if code == "audit_key_changed":
                vouched(keys, own["key_change"])
        need(number == numbers[-1] or own["epoch"] == 0 or code == "audit_segment_closed", f"segment {number} is not closed")
    need(notes, "nobody signed these records")
    for note in notes:
        size, root = checkpoint(note, keys)
        need(size <= seq, f"the records {seq + 1} to {size} are missing")
        need(roots.get(size, root) == root, f"a record up to {size} was changed")
    return {"chain": chain, "records": seq, "signed": size}


def check_pack(folder, keys):
    first, last = ((folder / f"{name}.tlog-proof").read_text() for name in ("first", "last"))
    for line in (folder / "key-changes.ndjson").read_text().splitlines():
        vouched(keys, json.loads(line)["unmapped"]["key_change"])
    first, last = check_proof(first, keys), check_proof(last, keys)
    lines = (folder / "records.ndjson").read_bytes().split(b"\n")[:-1]
    need(lines[0] == first[0] and lines[-1] == last[0], "the proofs are of other records")
    need(last[1] - first[1] + 1 == len(lines), "records are missing between the proofs")
    for before, line in zip(lines, lines[1:]):
        linked = json.loads(line)["unmapped"]["prev"] == hashlib.sha256(before).hexdigest()
        need(linked, f"record {json.loads(line)['metadata']['sequence']} or the one before was changed")
    return {"first": first[1], "last": last[1], "size": last[2]}


def main(what, place, key=None):
    place = pathlib.Path(place)
    keys = [key_of(key)] if key else []
    try:
        if what == "proof":
            record, seq, size = check_proof(place.read_text(), keys)
            told = {"seq": seq, "size": size, "record": json.loads(record)}
        else:
            told = {"trail": check_trail, "pack": check_pack}[what](place, keys)
    except (Wrong, ValueError, KeyError, IndexError, TypeError) as wrong:
        print(json.dumps({"holds": False, "wrong": f"{wrong}" or type(wrong).__name__}))
        return 1
    print(json.dumps({"holds": True, **told}))
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in ("trail", "pack", "proof"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
