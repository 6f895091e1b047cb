"""Ranges of what lies on another node: only their pieces come, and what came is used again."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from nodes import MIB, Nodes, sample  # noqa: E402

SIZE = 64 * MIB + 1000
PIECE = MIB


class Ranges(Nodes):
    def setUp(self):
        super().setUp()
        self.begin()
        self.bytes = sample(SIZE)
        self.ok("a", "import", "-", "--key", "k", "--piece-length", "1MiB", stdin=self.bytes)

    def export(self, agent, range_, **more):
        return self.ok(agent, "export", "k", "--range", range_, **more)

    def test_only_the_pieces_of_a_range_come(self):
        # Of c, which keeps them in files, and b, which keeps them in memory.
        for reader in "bc":
            begin = 10 * PIECE + 7
            self.assertEqual(self.export(reader, f"{begin}-{begin + 99_999}"), self.bytes[begin : begin + 100_000])
            self.assertEqual(self.received(reader), PIECE)
            self.assertEqual(self.export(reader, "-5000"), self.bytes[-5000:])
            self.assertEqual(self.received(reader), 2 * PIECE + 1000, "the last piece is short")
            begin = SIZE - 2 * PIECE
            self.assertEqual(self.export(reader, f"{begin}-"), self.bytes[begin:])
            self.assertLessEqual(self.received(reader), 4 * PIECE + 1000)
            self.assertEqual(self.holders("a", "k"), ["a"], "a part is no copy")
            self.assertNotIn(b"k\n", self.ok(reader, "list", "--local", "-q"))

    def test_what_came_is_used_again(self):
        first = 20 * PIECE
        self.export("b", f"{first}-{first + 10}")
        before = self.received("b")
        self.assertEqual(self.export("b", f"{first + 500}-{first + 1500}"), self.bytes[first + 500 : first + 1501])
        self.assertEqual(self.received("b"), before)
        self.assertEqual(self.ok("b", "export", "k"), self.bytes)
        self.assertEqual(self.received("b"), SIZE, "each piece once")
        self.until(lambda: self.holders("a", "k") == ["a", "b"], "now it is a copy")

    def test_files_appear_whole(self):
        out = self.dir / "out"
        self.ok("c", "export", "k", "--range", "5-3000000", "-O", str(out))
        self.assertEqual(out.read_bytes(), self.bytes[5:3_000_001])
        self.assertLessEqual(self.received("c"), 3 * PIECE)

    def test_most_of_an_object_is_read_as_all(self):
        self.assertEqual(self.export("b", f"0-{40 * PIECE}"), self.bytes[: 40 * PIECE + 1])
        self.until(lambda: self.holders("a", "k") == ["a", "b"], "it is a copy")

    def test_bad_ranges_are_refused(self):
        self.fails(2, "b", "export", "k", "--range", f"{SIZE}-")
        self.assertEqual(self.received("b"), 0)
        self.fails(3, "b", "export", "none", "--range", "0-5")

    def test_a_range_of_what_was_replaced_is_the_new_ones(self):
        self.export("b", "0-10")
        new = sample(SIZE, 3)
        self.ok("a", "import", "-", "--key", "k", "--piece-length", "1MiB", "--overwrite", stdin=new)
        self.until(lambda: self.export("b", "0-10") == new[:11], "the new bytes")
        self.ok("a", "delete", "k")
        self.until(
            lambda: self.run_larder("b", "export", "k", "--range", "0-10").returncode == 3, "nothing of it is read"
        )


class RangesOfWhatComes(Nodes):
    def test_a_range_does_not_wait_for_those_who_read_all(self):
        self.begin("--pieces-rate-out=1MiB")
        bytes_ = sample(64 * MIB)
        self.ok("a", "import", "-", "--key", "k", stdin=bytes_)
        export = self.begin_export("b", "k")
        self.until(lambda: self.received("b") > 0, "it comes")
        for piece in (45, 21, 60):
            begin, before = piece * MIB + 7, self.received("b")
            read = self.ok("b", "export", "k", "--range", f"{begin}-{begin + 99}")
            self.assertEqual(read, bytes_[begin : begin + 100])
            self.assertLess(self.received("b") - before, 16 * MIB, "what was asked for already, and its piece")
        export.kill()
        export.communicate()


if __name__ == "__main__":
    unittest.main()
