"""What the client refuses by itself, and the exceptions."""

import pickle
import unittest

import larder
from larder import _wire, client, errors


class ErrorsTest(unittest.TestCase):
    def test_each_class_has_its_exit_code(self):
        names = (
            "Error InvalidArgument NotFound Conflict PermissionDenied ResourceExhausted Unavailable DeadlineExceeded"
        )
        kinds = [getattr(larder, name) for name in (names + " DataLoss Interrupted").split()]
        self.assertEqual([kind.code for kind in kinds], list(range(1, 11)))
        for kind in kinds:
            self.assertTrue(issubclass(kind, larder.Error))

    def test_each_status_code_becomes_its_class(self):
        exit_codes = [10, 1, 2, 8, 3, 4, 5, 6, 4, 4, 2, 1, 1, 7, 9, 5]
        self.assertEqual([errors.from_status(i + 1, "", "").code for i in range(16)], exit_codes)
        self.assertEqual(errors.from_status(99, "NEW", "").code, 1)

    def test_only_what_may_succeed_by_itself_is_retryable(self):
        retryable = [i for i in range(1, 17) if errors.from_status(i, "", "").retryable]
        self.assertEqual(retryable, [4, 10, 14])

    def test_errors_travel_between_processes(self):
        error = errors.from_status(10, "LEASE_LOST", "gone")
        copy = pickle.loads(pickle.dumps(error))
        self.assertEqual(
            (type(copy), copy.reason, copy.status, str(copy)),
            (larder.Conflict, "LEASE_LOST", "ABORTED", "gone (LEASE_LOST)"),
        )


class RefusalsTest(unittest.TestCase):
    def refused(self, reason, work, *arguments, **options):
        with self.assertRaises(larder.InvalidArgument) as caught:
            work(*arguments, **options)
        self.assertEqual(caught.exception.reason, reason)
        return str(caught.exception)

    def test_an_unknown_scheme_names_the_nearest(self):
        self.assertIn("'uds'", self.refused("UNKNOWN_SCHEME", larder.connect, "udss:///run/larder"))
        self.assertIn("uds", self.refused("UNKNOWN_SCHEME", larder.connect, "gopher://x"))
        self.refused("BAD_ENDPOINT", larder.connect, "/run/larder")
        self.refused("BAD_ENDPOINT", larder.connect, "uds:///a\0b")

    def test_a_bad_namespace_is_refused(self):
        for namespace in ("", "A", "-a", "a-", "a.b", "x" * 64):
            self.refused("BAD_NAMESPACE", larder.connect, "uds:///nowhere", namespace=namespace)

    def test_bad_keys_are_refused(self):
        for key in (
            "",
            "/",
            "a//b",
            "/a",
            "a/",
            ".",
            "a/../b",
            "a\0b",
            "x" * 256,
            "a/" * 512 + "a",
            "\ud800",
            b"k",
            None,
        ):
            self.refused("BAD_KEY", client.check_key, key)

    def test_keys_at_the_limits_are_taken(self):
        for key in ("a", "x" * 255, "/".join(["y" * 255] * 4), "ä" * 127, "...", "a/.b"):
            client.check_key(key)

    def test_an_unknown_meta_key_names_the_nearest(self):
        text = self.refused("UNKNOWN_META", client._creation, None, {"replica": 2}, 0, False, None)
        self.assertIn("'replicas'", text)

    def test_bad_meta_values_are_refused(self):
        bad = {
            "ttl": ("", "5", "5 m", "-1s", 0, -1, "101000d", None, float("nan")),
            "tags": (5, [1], ["\ud800"], ["x"] * 65536),
            "application": (5, "\ud800"),
            "replicas": (0, 65536, "two"),
            "ack": ("", "default", "replicated", "replicated:0", "replicated:x", "local:2", 1),
            "piece_length": (0, "4Mi B", "x", 1 << 32),
        }
        for name, values in bad.items():
            for value in values:
                with self.subTest(name=name, value=value):
                    self.refused("BAD_META", client._creation, None, {name: value}, 0, False, None)

    def test_meta_values_mean_what_they_say(self):
        def creation(**meta):
            return client._creation("k", meta, 0, False, None)

        ttls = (60, 0.25, "300s", "5m", "1.5h", "7d", "250ms", "1ns")
        wanted = [60_000, 250, 300_000, 300_000, 5_400_000, 604_800_000, 250, 1]
        self.assertEqual([creation(ttl=ttl).ttl_ms for ttl in ttls], wanted)
        sizes = ("4MiB", "25M", "1Ki", "7", 9)
        self.assertEqual(
            [creation(piece_length=size).piece_length for size in sizes], [4 << 20, 25_000_000, 1024, 7, 9]
        )
        replicated = creation(ack="replicated:3", replicas=2)
        self.assertEqual((replicated.ack, replicated.ack_copies, replicated.replicas), ("replicated", 3, 3))
        self.assertEqual(creation(tags="one").tags, ("one",))

    def test_bad_digests_are_refused(self):
        for digest in ("", "sha256:", "crc32c:00000000", "sha256:" + "g" * 64, "a" * 64):
            self.refused("BAD_DIGEST", client._creation, None, None, 0, False, digest)

    def test_bad_sizes_are_refused(self):
        for size in (-1, 1.5, "1", None, 1 << 63):
            self.refused("BAD_SIZE", client._creation, None, None, size, False, None)

    def test_names_that_fill_more_than_a_record_are_refused(self):
        creation = client._creation("k", {"tags": ["x" * 60_000] * 2}, 0, False, None)
        self.refused("TOO_LONG", _wire.record, _wire.Op.CREATE, 1, _wire.create(creation, 0))


class WireTest(unittest.TestCase):
    def test_every_cut_off_reply_is_a_bad_record_and_nothing_else(self):
        info = b"\1\0k\2" + bytes(16) + b"\2" + bytes(32) + bytes(17) + b"\3\0hot" + b"\0\0" + b"\1\0\1\0t"
        extents = b"\1\0\0\0\1\0" + bytes(32)
        replies = {
            _wire.decode_hello: b"\1" * 36 + b"\0\0" * 3,
            _wire.decode_create: bytes(16),
            _wire.decode_size: bytes(8),
            _wire.decode_object: info,
            _wire.decode_sealed: info + b"\1\1\0",
            _wire.decode_get: bytes(8) + info + b"\1" + extents,
            _wire.decode_extents: extents,
            _wire.decode_leases: b"\1\0" + bytes(8),
            _wire.decode_segments: b"\1\0" + bytes(4),
            _wire.decode_batch: b"\1\0" + b"\0\0" + bytes(4) + b"\2\0\0\0" + b"ok",
            _wire.decode_list: b"\0\1\0" + info,
        }
        for decode, reply in replies.items():
            decode(memoryview(reply))
            for length in range(len(reply)):
                with self.subTest(decode=decode.__name__, length=length), self.assertRaises(larder.Error) as caught:
                    decode(memoryview(reply)[:length])
                self.assertEqual(caught.exception.reason, "BAD_RECORD")

    def test_an_extent_past_its_segment_is_a_bad_record(self):
        entry = _wire._EXTENT.pack(1, 0, 4096, 4000, 97)
        with self.assertRaises(larder.Error):
            _wire.decode_extents(memoryview(b"\1\0\0\0\1\0" + entry))

    def test_a_foreign_header_is_a_bad_record(self):
        good = _wire.record(_wire.Op.PING, 7)
        self.assertEqual(_wire.split(good)[:3], (17, 7, 0))
        for bad in (b"", good[:-1], b"X" + good[1:], good + b"x", good[:4] + b"\2" + good[5:]):
            self.assertRaises(larder.Error, _wire.split, bad)


if __name__ == "__main__":
    unittest.main()
