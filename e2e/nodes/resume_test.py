"""What came of an object before its fetch ended is not fetched again: when nobody waited any more, when the agent died."""

import pathlib
import signal
import struct
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from nodes import MIB, Nodes, sample  # noqa: E402

FILE_HEADER = 4096  # bytes before an object's own in a file: docs/formats/file-object.md
GRAIN = 64 << 10
SIZE = 80 * MIB
# Pieces that were on their way when it stopped, and those of 2 MiB at that size that came in part.
UNDER_WAY = 8 * MIB


class Resume(Nodes):
    def setUp(self):
        super().setUp()
        self.begin("--pieces-rate-out=10MiB")
        self.bytes = sample(SIZE)
        self.ok("a", "import", "-", "--key", "k", stdin=self.bytes)

    def await_end(self, agent):
        """Returns what came until nothing more did, for a second; at 10 MiB a second something would."""
        came, since = None, 0

        def ended():
            nonlocal came, since
            if (now := self.received(agent)) != came:
                came, since = now, time.monotonic()
            return time.monotonic() - since > 1

        self.until(ended, "it ends")
        self.assertLess(came, SIZE, "before it was whole")
        return came

    def live(self, agent):
        return self.agents[agent].metric('larder_agent_pool_bytes{state="live"}')

    def receiving(self, agent):
        return list((self.dir / agent / "data" / "objects" / "receiving").iterdir())

    def await_some_of(self, agent, bytes_, export):
        self.until(lambda: self.received(agent) > bytes_ or export.poll() is not None, "some of it came")
        if export.poll() is not None:
            self.fail(f"it ended too early: {export.communicate()[1].decode()}")

    def await_killed_in_the_middle(self):
        """The agent c dies while it fetches; returns what had come by then, at least."""
        export = self.begin_export("c", "k")
        self.await_some_of("c", 30 * MIB, export)
        came = self.received("c")
        self.agents["c"].end(signal.SIGKILL)
        export.communicate()
        return came

    def give_up_reads_of(self, agents):
        """Reads whose clients are killed, so that their fetches end half-way."""
        for agent in agents:
            export = self.begin_export(agent, "k")
            self.await_some_of(agent, 5 * MIB, export)
            export.kill()
            export.communicate()
        for agent in agents:
            self.await_end(agent)

    def test_a_read_that_was_given_up_goes_on_where_it_stopped(self):
        self.give_up_reads_of("bc")  # memory and files
        self.assertEqual(self.holders("a", "k"), ["a"], "half a copy is none")
        for agent in "bc":
            self.finish_export(self.begin_export(agent, "k"), self.bytes)
            self.assertLess(self.received(agent), SIZE + UNDER_WAY)
        self.assertEqual(self.receiving("c"), [])

    def test_an_agent_that_is_killed_goes_on_with_what_it_has_on_disk(self):
        came = self.await_killed_in_the_middle()
        self.agents["c"].start()
        self.finish_export(self.begin_export("c", "k"), self.bytes)
        self.assertLess(self.received("c"), SIZE - came + UNDER_WAY)

    def test_a_byte_that_changed_meanwhile_is_found_and_its_piece_fetched_again(self):
        came = self.await_killed_in_the_middle()
        (path,) = self.receiving("c")
        with open(path, "r+b") as file:
            file.seek(FILE_HEADER + SIZE)
            sums = struct.unpack(f"<{SIZE // GRAIN}I", file.read())
            at = FILE_HEADER + GRAIN * next(grain for grain, crc in enumerate(sums) if crc != 0) + 77
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 16]))
        self.agents["c"].start()
        self.finish_export(self.begin_export("c", "k"), self.bytes)
        self.assertLess(self.received("c"), SIZE - came + UNDER_WAY + 2 * MIB)

    def test_what_came_of_an_object_that_is_deleted_goes(self):
        self.give_up_reads_of("bc")
        self.assertEqual(len(self.receiving("c")), 1)
        self.assertGreater(self.live("b"), SIZE / 2)
        self.ok("a", "delete", "k")
        self.until(lambda: self.receiving("c") == [], "its file has gone")
        self.until(lambda: self.live("b") == 0, "its memory is free")


if __name__ == "__main__":
    unittest.main()
