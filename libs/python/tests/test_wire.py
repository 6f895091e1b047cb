"""What the record decoders do with bytes that no agent would send: a value, or a typed error. Nothing else."""

import pathlib
import random
import struct
import unittest

import larder
from larder import _wire

CORPUS = pathlib.Path(__file__).resolve().parents[2] / "transport/uds/fuzz/corpus/uds_wire_fuzz"
ROUNDS = 20000
CODES = (3, 5, 14, 999)


def decoders():
    """Every decoder of a payload, by name."""
    found = {name: f for name, f in vars(_wire).items() if name.startswith("decode_") and name != "decode_error"}
    for code in CODES:
        found[f"decode_error of code {code}"] = lambda payload, code=code: _wire.decode_error(code, payload)
    return found


def replies():
    """Payloads that mean something: those of the C++ decoder's corpus, and one of each form of GET."""
    found = [path.read_bytes()[_wire.HEADER_SIZE :] for path in sorted(CORPUS.iterdir())]
    key = struct.pack("<H", 1) + b"k"
    numbers = struct.pack("<BQQ", 2, 7, 5) + b"\1abcd" + struct.pack("<IqIB", 1 << 20, -1, 1, 0)
    info = key + numbers + struct.pack("<H", 3) + b"hot" + struct.pack("<HH", 0, 1) + key
    extent = struct.pack("<IHIIQQQ", 1, 1, 3, 1, 1 << 22, 4096, 5)
    found += [struct.pack("<Q", 9) + info + form for form in (b"\0hello", b"\1" + extent, b"\2")]
    found.append(struct.pack("<BH", 1, 2) + info + info)
    found.append(struct.pack("<Q16sIII", 1, b"t" * 16, 30000, 65536, 1 << 22) + key * 3)
    return found


def spoilt(source: random.Random, payload: bytes) -> bytes:
    """The payload with a few bytes changed, cut off or put in."""
    data = bytearray(payload)
    for _ in range(source.randint(0, 4)):
        at = source.randint(0, len(data))
        what = source.randint(0, 3)
        if what == 0:
            del data[at:]
        elif what == 1:
            data[at:at] = source.randbytes(source.randint(1, 8))
        elif what == 2:
            data[at : at + 8] = source.choice((b"\0" * 8, b"\xff" * 8, b"\xff" * 2))
        elif data:
            data[at % len(data)] ^= 1 << source.randint(0, 7)
    return bytes(data)


class WireTest(unittest.TestCase):
    def test_the_corpus_and_the_replies_made_here_mean_something(self):
        decoded = set()
        for payload in replies():
            for name, decode in decoders().items():
                try:
                    decode(memoryview(payload))
                    decoded.add(name)
                except larder.Error:
                    pass
        self.assertEqual(decoded, set(decoders()))

    def test_any_payload_is_a_value_or_a_bad_record(self):
        source = random.Random(1)
        seeds = replies()
        every = decoders()
        for _ in range(ROUNDS):
            payload = spoilt(source, source.choice(seeds))
            name, decode = source.choice(list(every.items()))
            try:
                decode(memoryview(payload))
            except larder.Error as error:
                self.assertEqual(error.reason, "BAD_RECORD", f"{name} of {payload!r}")
            except Exception as error:
                self.fail(f"{name} of {payload!r} raises {error!r}")

    def test_any_record_is_split_or_a_bad_record(self):
        source = random.Random(1)
        good = struct.pack("<4sHHQIIQ", b"LRD1", 1, _wire.Op.PING, 7, 3, 0, 0) + b"abc"
        for _ in range(ROUNDS):
            data = spoilt(source, good)
            try:
                op, request, code, payload = _wire.split(data)
            except larder.Error as error:
                self.assertEqual(error.reason, "BAD_RECORD", data)
                continue
            self.assertEqual(bytes(payload), data[_wire.HEADER_SIZE :])
            self.assertEqual((op, request, code), struct.unpack_from("<6xHQ4xI", data))


if __name__ == "__main__":
    unittest.main()
