"""The golden records of docs/formats/golden/uds, by the client's own code and by the document's tables."""

import unittest

import golden_records
from larder import Error, _wire
from larder.objects import Creation

NO_DIGEST = "sha256:" + "0" * 64


def creation_of(fields, expected=None):
    """A Creation, or None for one that this client never asks for."""
    flags = fields["flags"]
    if flags & 3 not in (1, 2):
        return None
    return Creation(
        key=fields["key"],
        overwrite=flags & 1 != 0,
        digest=expected or (NO_DIGEST if flags & 4 else None),
        size_hint=fields["size_hint"],
        ack=_wire.ACKS[fields["ack"]],
        ack_copies=fields["ack_copies"],
        replicas=fields["wanted_copies"],
        piece_length=fields["piece_length"],
        ttl_ms=None if fields["ttl_ms"] < 0 else fields["ttl_ms"],
        application=fields["application"],
        tags=tuple(fields["tags"]),
    )


def create(fields):
    return _wire.create(creation_of(fields["creation"]), fields["creation"]["wait_ms"])


def write(fields):
    if fields["kind"] == 0:
        return _wire.write_inline(fields["lease"], fields["epoch"], bytes.fromhex(fields["bytes"]))
    if fields["kind"] == 1:
        return _wire.write_window(fields["lease"], fields["epoch"], fields["offset"], fields["length"])
    return None  # this client has no ring


def seal(fields):
    if (fields["expected"] or "").startswith("crc32c:"):
        return None  # users of this client name a SHA-256
    return _wire.seal(fields["lease"], fields["epoch"], fields["size"], fields["expected"])


def put(fields):
    creation = creation_of(fields["creation"], fields["expected"])
    return _wire.put(creation, fields["creation"]["wait_ms"], bytes.fromhex(fields["bytes"]))


def batch(fields):
    ops = {item["op"] for item in fields["items"]}
    if len(ops) > 1:
        return None  # this client's BATCHes are of one kind
    return _wire.batch(ops.pop(), [bytes.fromhex(item["payload"]) for item in fields["items"]])


# The payload of a request as this client makes it, or None if it never makes such a one.
REQUESTS = {
    "HELLO": lambda f: _wire.hello(f["namespace"], f["earlier_bytes"], f["client"]),
    "CREATE": create,
    "WINDOW": lambda f: _wire.window(f["lease"], f["size"]),
    "WRITE": write,
    "SEAL": seal,
    "PUT": put,
    "DISCARD": lambda f: _wire.discard(f["lease"], f["epoch"]),
    "GET": lambda f: _wire.get(f["flags"], f["wait_ms"], f["key"]),
    "READ": lambda f: _wire.read(f["lease"], f["offset"], f["length"]),
    "RELEASE": lambda f: _wire.release(f["lease"]),
    "RENEW": lambda f: b"",
    "UNMAPPED": lambda f: _wire.unmapped(f["segments"], f["earlier_bytes"]),
    "STAT": lambda f: _wire.key(f["key"]),
    "LIST": lambda f: _wire.list_(
        f["prefix"], f["after"], f["limit"] & ~_wire.LIST_LOCAL, f["limit"] > _wire.LIST_LOCAL
    ),
    "DELETE": lambda f: _wire.key(f["key"]),
    "PIN": lambda f: _wire.pin(f["pinned"], f["key"]),
    "PING": lambda f: b"",
    "EXTENTS": lambda f: _wire.extents(f["lease"], f["from"]),
    "BATCH": batch,
    "GET_RANGE": lambda f: None,
}


def object_fields(info):
    left = info.ttl_left_seconds
    return {
        "key": info.key,
        "state": {"CREATING": 1, "SEALED": 2, "DELETED": 3}[info.state],
        "epoch": info.epoch,
        "size": info.size,
        "digest": info.digest,
        "piece_length": info.piece_length,
        "ttl_left_ms": -1 if left is None else round(left * 1000),
        "wanted_copies": info.wanted_replicas,
        "pinned": int(info.pinned),
        "tier": info.tier,
        "application": info.application,
        "tags": list(info.tags),
    }


def sealed_fields(payload):
    result = _wire.decode_sealed(payload)
    durability = ("", "memory", "async", "sync").index(result.durability)
    sealed = {"ack": _wire.ACKS.index(result.ack), "durability": durability, "existed": int(result.existed)}
    return {"sealed": {"object": object_fields(result.info), **sealed}}


def hello_fields(payload):
    hello = _wire.decode_hello(payload)._asdict()
    hello["token"] = hello["token"].hex()
    hello["lease_ttl_ms"] = round(hello.pop("lease_ttl") * 1000)
    return hello


def extent_fields(total, extents):
    found = [{**e._asdict(), "flags": int(e.has_descriptor)} for e in extents]
    for extent in found:
        del extent["has_descriptor"]
    return {"total": total, "extents": found}


def get_fields(payload):
    reply = _wire.decode_get(payload)
    fields = {"lease": reply.lease, "object": object_fields(reply.info), "form": reply.form}
    if reply.form == _wire.Form.INLINE:
        fields["bytes"] = bytes(reply.inline).hex()
    if reply.form == _wire.Form.SHARED:
        fields.update(extent_fields(reply.total, reply.extents))
    return fields


def batch_fields(payload):
    answers = _wire.decode_batch(payload)
    return {"answers": [{"item": i, "code": code, "payload": bytes(data).hex()} for i, code, data in answers]}


def list_fields(payload):
    more, objects = _wire.decode_list(payload)
    return {"more": int(more), "objects": [object_fields(info) for info in objects]}


# The fields that this client takes from a reply, or from a record of the agent's own.
REPLIES = {
    "HELLO": hello_fields,
    "CREATE": lambda p: dict(zip(("lease", "epoch"), _wire.decode_create(p))),
    "WINDOW": lambda p: extent_fields(*_wire.decode_extents(p)),
    "WRITE": lambda p: {"size": _wire.decode_size(p)},
    "SEAL": sealed_fields,
    "PUT": sealed_fields,
    "GET": get_fields,
    "READ": lambda p: {"bytes": bytes(p).hex()},
    "RENEW": lambda p: {"leases": _wire.decode_leases(p)},
    "STAT": lambda p: {"object": object_fields(_wire.decode_object(p))},
    "LIST": list_fields,
    "EXTENTS": lambda p: extent_fields(*_wire.decode_extents(p)),
    "BATCH": batch_fields,
    "GET_RANGE": get_fields,
    "REVOKE": lambda p: {"segments": _wire.decode_segments(p)},
    "LAPSED": lambda p: {"leases": _wire.decode_leases(p)},
}


def meaning(op, record, data):
    """What this client takes from a reply, refusal or notice: (op, request id, code, fields)."""
    number, request, code, payload = _wire.split(data)
    if record["kind"] == "refusal":
        error = _wire.decode_error(code, payload)
        fields = {"reason": error.reason, "message": error.message}
    else:
        fields = REPLIES[op](payload) if op in REPLIES else {}
    return number, request, code, fields


def wanted(op, record):
    return _wire.Op[op], record["request_id"], record["code"], record["fields"]


def may_pass_unnoticed(field, digits, number):
    """Bits that a reader passes over, as later releases may give them a meaning, and times: any below zero is none."""
    none = field.endswith(("ttl_ms", "ttl_left_ms")) and digits == "f" * 16
    return none or field == "reserved" or (field.endswith("flags") and number > 0)


def changes(record):
    """Every byte of a record changed in turn: (field, whether it may pass unnoticed, the bytes)."""
    good = golden_records.bytes_of(record)
    at = 0
    for line in record["bytes"]:
        digits, field = line.split("  ")
        for number in range(len(digits) // 2):
            yield field, may_pass_unnoticed(field, digits, number), good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
            at += 1


class GoldenTest(unittest.TestCase):
    def each(self, *kinds):
        for op, record in golden_records.load():
            if record["kind"] in kinds:
                with self.subTest(op=op, kind=record["kind"], about=record["about"]):
                    yield op, record

    def test_every_operation_has_its_file_and_no_other_has(self):
        files = {path.name for path in golden_records.FOLDER.glob("*.json")}
        self.assertEqual(files, {op.name.lower() + ".json" for op in _wire.Op})
        self.assertEqual(golden_records.OPS, {op.name: op.value for op in _wire.Op})

    def test_bytes_and_fields_say_the_same_by_the_document(self):
        for op, record in self.each("request", "reply", "refusal", "notice"):
            self.assertEqual(golden_records.encode(op, record), record["bytes"])
            said = golden_records.decode(record["kind"], op, golden_records.bytes_of(record))
            self.assertEqual(said, (record["request_id"], record["code"], record["fields"]))

    def test_any_byte_changed_is_noticed_by_the_document(self):
        for op, record in self.each("request", "reply", "refusal", "notice"):
            for field, _, changed in changes(record):
                try:
                    said = golden_records.decode(record["kind"], op, changed)
                except ValueError:
                    continue
                self.assertNotEqual(said, (record["request_id"], record["code"], record["fields"]), field)

    def test_requests_of_every_operation_are_made_byte_for_byte(self):
        made = set()
        for op, record in self.each("request"):
            payload = REQUESTS[op](record["fields"])
            if payload is not None:
                made.add(op)
                data = _wire.record(_wire.Op[op], record["request_id"], payload)
                self.assertEqual(data.hex(), golden_records.bytes_of(record).hex())
        self.assertEqual(made, set(REQUESTS) - {"GET_RANGE"})  # which this client does not ask
        self.assertEqual(made | {"REVOKE", "LAPSED", "GET_RANGE"}, {op.name for op in _wire.Op})

    def test_replies_refusals_and_notices_are_understood(self):
        understood = set()
        for op, record in self.each("reply", "refusal", "notice"):
            self.assertEqual(meaning(op, record, golden_records.bytes_of(record)), wanted(op, record))
            if record["kind"] != "refusal":
                understood.add(op)
        self.assertEqual(understood, {op.name for op in _wire.Op})

    def test_any_byte_changed_in_what_the_agent_says_is_noticed(self):
        for op, record in self.each("reply", "refusal", "notice"):
            for field, excused, changed in changes(record):
                try:
                    said = meaning(op, record, changed)
                except Error:
                    continue
                if not excused:
                    self.assertNotEqual(said, wanted(op, record), field)

    def test_a_batch_holds_what_its_operations_have_alone(self):
        alone = {}
        for op, record in self.each("request", "reply", "refusal"):
            payload = golden_records.bytes_of(record)[_wire.HEADER_SIZE :].hex()
            alone.setdefault(record["kind"], set()).add((_wire.Op[op], payload))
        answers = {payload for kind in ("reply", "refusal") for _, payload in alone[kind]}
        for op, record in self.each("request", "reply"):
            if op == "BATCH":
                for item in record["fields"].get("items", ()):
                    self.assertIn((item["op"], item["payload"]), alone["request"])
                for answer in record["fields"].get("answers", ()):
                    self.assertIn(answer["payload"], answers)


if __name__ == "__main__":
    unittest.main()
