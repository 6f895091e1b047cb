"""The tables of docs/formats/uds.md as data, and by them the golden records of docs/formats/golden/uds, both ways.

Written from the document, not from a client or the agent. Run as a program it makes the bytes of all golden files anew
from their fields.
"""

import json
import pathlib
import struct

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "docs/formats/golden/uds"

HEADER = "version:u16 op:u16 request_id:u64 length:u32 code:u32 reserved:u64"  # after the magic
MAGIC = b"LRD1"
OPS = {
    name: number
    for number, name in enumerate(
        "HELLO CREATE WINDOW WRITE SEAL PUT DISCARD GET READ RELEASE RENEW UNMAPPED STAT LIST DELETE PIN PING EXTENTS"
        " BATCH REVOKE LAPSED GET_RANGE".split(),
        1,
    )
}
NUMBERS = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q", "i64": "<q"}
PARTS = {
    "CREATION": "flags:u32 ack:u8 ack_copies:u8 wanted_copies:u16 piece_length:u32 size_hint:u64 ttl_ms:i64 wait_ms:u32"
    " key:str application:str tags:[str]",
    "OBJECT": "key:str state:u8 epoch:u64 size:u64 digest:DIGEST piece_length:u32 ttl_left_ms:i64 wanted_copies:u32"
    " pinned:u8 tier:str application:str tags:[str]",
    "SEALED": "object:OBJECT ack:u8 durability:u8 existed:u8",
    "EXTENT": "segment:u32 flags:u32 segment_size:u64 offset:u64 length:u64",
    "ITEM": "op:u16 payload:sized",
    "ANSWER": "item:u16 code:u32 payload:sized",
}
REQUESTS = {
    "HELLO": "namespace:str earlier_bytes:u64 client:str",
    "CREATE": "creation:CREATION",
    "WINDOW": "lease:u64 size:u64",
    "WRITE": "lease:u64 epoch:u64 kind:u8",
    "SEAL": "lease:u64 epoch:u64 size:u64 expected:DIGEST",
    "PUT": "creation:CREATION expected:DIGEST bytes:rest",
    "DISCARD": "lease:u64 epoch:u64",
    "GET": "flags:u32 wait_ms:u32 key:str",
    "READ": "lease:u64 offset:u64 length:u32",
    "RELEASE": "lease:u64",
    "RENEW": "",
    "UNMAPPED": "earlier_bytes:u64 segments:[u32]",
    "STAT": "key:str",
    "LIST": "prefix:str after:str limit:u32",
    "DELETE": "key:str",
    "PIN": "pinned:u8 key:str",
    "PING": "",
    "EXTENTS": "lease:u64 from:u32",
    "BATCH": "items:[ITEM]",
    "GET_RANGE": "flags:u32 wait_ms:u32 key:str first:u64 last:u64",
}
REPLIES = {
    "HELLO": "session:u64 token:16 lease_ttl_ms:u32 inline_limit:u32 piece_limit:u32 namespace:str node:str"
    " agent_version:str",
    "CREATE": "lease:u64 epoch:u64",
    "WINDOW": "total:u32 extents:[EXTENT]",
    "WRITE": "size:u64",
    "SEAL": "sealed:SEALED",
    "PUT": "sealed:SEALED",
    "DISCARD": "",
    "GET": "lease:u64 object:OBJECT form:u8",
    "READ": "bytes:rest",
    "RELEASE": "",
    "RENEW": "leases:[u64]",
    "UNMAPPED": "",
    "STAT": "object:OBJECT",
    "LIST": "more:u8 objects:[OBJECT]",
    "DELETE": "",
    "PIN": "",
    "PING": "",
    "EXTENTS": "total:u32 extents:[EXTENT]",
    "BATCH": "answers:[ANSWER]",
    "GET_RANGE": "lease:u64 object:OBJECT form:u8",
}
NOTICES = {"REVOKE": "segments:[u32]", "LAPSED": "leases:[u64]"}
REFUSAL = "reason:str message:str"
# What follows, by the value of the last field.
CASES = {
    ("request", "WRITE"): ("kind", ("bytes:rest", "offset:u64 length:u32", "offset:u64 length:u32")),
    ("reply", "GET"): ("form", ("bytes:rest", "total:u32 extents:[EXTENT]", "")),
    ("reply", "GET_RANGE"): ("form", ("bytes:rest", "total:u32 extents:[EXTENT]", "")),
}
KINDS = {"request": REQUESTS, "reply": REPLIES, "notice": NOTICES}


class _Writer:
    """Turns fields into bytes, and says of each which it is: (bytes, name)."""

    def __init__(self):
        self.parts = []

    def fields(self, layout, values, path=""):
        for name, kind in _split(layout):
            self.field(kind, values[name], path + name)

    def field(self, kind, value, name):
        if kind in NUMBERS:
            self.parts.append((struct.pack(NUMBERS[kind], value), name))
        elif kind == "str":
            self.field("u16", len(value.encode()), name + ", length")
            self.parts.append((value.encode(), name))
        elif kind == "DIGEST":
            algorithm, _, digits = (value or "").partition(":")
            self.field("u8", ("", "crc32c", "sha256").index(algorithm), name + ", kind")
            data = bytes.fromhex(digits)
            self.parts.append((data[::-1] if algorithm == "crc32c" else data, name))
        elif kind == "sized":
            self.field("u32", len(value) // 2, name + ", length")
            self.parts.append((bytes.fromhex(value), name))
        elif kind == "rest" or kind.isdigit():
            self.parts.append((bytes.fromhex(value), name))
        elif kind.startswith("["):
            self.field("u16", len(value), name + ", number")
            for number, one in enumerate(value):
                self.field(kind[1:-1], one, f"{name}[{number}]")
        else:
            self.fields(PARTS[kind], value, name + ".")


class _Reader:
    """Turns bytes into fields; ValueError where they are none."""

    def __init__(self, data):
        self.data = data

    def take(self, size):
        if size > len(self.data):
            raise ValueError(f"{size} bytes are due and {len(self.data)} left")
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def fields(self, layout):
        return {name: self.field(kind) for name, kind in _split(layout)}

    def field(self, kind):
        if kind in NUMBERS:
            return struct.unpack(NUMBERS[kind], self.take(struct.calcsize(NUMBERS[kind])))[0]
        if kind == "str":
            return self.take(self.field("u16")).decode()
        if kind == "DIGEST":
            which = self.field("u8")
            if which > 2:
                raise ValueError(f"a digest of kind {which}")
            data = self.take((0, 4, 32)[which])
            return (None, "crc32c:" + data[::-1].hex(), "sha256:" + data.hex())[which]
        if kind == "sized":
            return self.take(self.field("u32")).hex()
        if kind == "rest":
            return self.take(len(self.data)).hex()
        if kind.isdigit():
            return self.take(int(kind)).hex()
        if kind.startswith("["):
            return [self.field(kind[1:-1]) for _ in range(self.field("u16"))]
        return self.fields(PARTS[kind])


def _split(layout):
    return [field.split(":") for field in layout.split()]


def _layouts(kind, op):
    """The payload's layout, and what may follow it: (field that says what, layouts by its value)."""
    layout = REFUSAL if kind == "refusal" else KINDS[kind][op]
    return layout, CASES.get((kind, op))


def encode(op, record):
    """The bytes of a golden record, as its file has them."""
    layout, cases = _layouts(record["kind"], op)
    payload = _Writer()
    payload.fields(layout, record["fields"])
    if cases is not None:
        payload.fields(cases[1][record["fields"][cases[0]]], record["fields"])
    header = _Writer()
    header.parts.append((MAGIC, "magic"))
    numbers = {"version": 1, "op": OPS[op], "request_id": record["request_id"], "code": record["code"], "reserved": 0}
    header.fields(HEADER, {**numbers, "length": sum(len(data) for data, _ in payload.parts)})
    return [f"{data.hex()}  {name}" for data, name in header.parts + payload.parts if data]


def decode(kind, op, data):
    """Request id, code and fields of a record; ValueError unless it is one of that kind and op."""
    reader = _Reader(data)
    magic, header = reader.take(4), reader.fields(HEADER)
    if (magic, header["version"], header["op"], header["reserved"]) != (MAGIC, 1, OPS[op], 0):
        raise ValueError(f"a header of {magic}, {header}")
    if header["length"] != len(reader.data):
        raise ValueError(f"{header['length']} bytes of payload are {len(reader.data)}")
    layout, cases = _layouts(kind, op)
    fields = reader.fields(layout)
    if cases is not None:
        if fields[cases[0]] >= len(cases[1]):
            raise ValueError(f"{cases[0]} {fields[cases[0]]}")
        fields.update(reader.fields(cases[1][fields[cases[0]]]))
    if reader.data:
        raise ValueError(f"{len(reader.data)} bytes too many")
    return header["request_id"], header["code"], fields


def bytes_of(record):
    return bytes.fromhex("".join(line.split("  ")[0] for line in record["bytes"]))


def load():
    """[(op, record)] of all files."""
    files = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
    return [(file["op"], record) for file in files for record in file["records"]]


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.json")):
        file = json.loads(path.read_text())
        for record in file["records"]:
            record["bytes"] = encode(file["op"], record)
        path.write_text(json.dumps(file, indent=1, ensure_ascii=False) + "\n")
