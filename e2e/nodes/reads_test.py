"""Agents as processes, without shared files: what one has the others read, whatever happens on the way."""

import hashlib
import pathlib
import shutil
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from nodes import MIB, PATIENCE, Nodes, sample  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "libs" / "python" / "src"))
import larder  # noqa: E402


class Reads(Nodes):
    def test_every_size_is_the_same_everywhere(self):
        self.begin()
        for size in (0, 1, MIB - 1, MIB, MIB + 1, 10 * MIB, 100 * MIB + 7):
            for author, readers in (("a", "bc"), ("b", "ca")):
                key = f"{author}/{size}"
                bytes_ = sample(size, ord(author))
                self.ok(author, "import", "-", "--key", key, stdin=bytes_)
                for reader in readers:
                    out = self.dir / "out"
                    self.ok(reader, "export", key, "-O", str(out), "--overwrite")
                    self.assertEqual(out.read_bytes(), bytes_, f"{key} at {reader}")
                    self.assertEqual(self.ok(reader, "export", key, "-O", "-"), bytes_)
        self.until(lambda: self.holders("a", "a/1") == ["a", "b", "c"], "all copies are known")
        self.assertEqual(self.ok("b", "export", f"a/{10 * MIB}", "--range", "5-9"), sample(10 * MIB, ord("a"))[5:10])

    def test_names_by_content_and_digests_hold(self):
        self.begin()
        bytes_ = sample(3 * MIB)
        key = self.ok("a", "import", "-", stdin=bytes_).decode().strip()
        digest = f"sha256:{hashlib.sha256(bytes_).hexdigest()}"
        self.assertEqual(key, digest)
        self.assertEqual(self.ok("b", "export", key, "--digest", digest), bytes_)
        self.fails(9, "c", "export", key, "--digest", "sha256:" + "0" * 64, "-O", str(self.dir / "out"))

    def test_who_has_the_same_content_in_other_pieces_gives_it_too(self):
        self.begin()
        bytes_ = sample(20 * MIB + 5)
        key = self.ok("a", "import", "-", "--piece-length", "256KiB", stdin=bytes_).decode().strip()
        self.ok("b", "import", "-", "--piece-length", "4MiB", stdin=bytes_)
        self.until(lambda: self.holders("c", key) == ["a", "b"], "both have it")
        self.agents["a"].end(signal.SIGKILL)
        self.finish_export(self.begin_export("c", key), bytes_)
        self.agents["a"].start()

    def test_what_was_deleted_or_replaced_is_read_nowhere(self):
        self.begin()
        self.ok("a", "import", "-", "--key", "k", stdin=b"old")
        for reader in "bc":
            self.assertEqual(self.ok(reader, "export", "k"), b"old")
        self.ok("b", "import", "-", "--key", "k", "--overwrite", stdin=b"new")
        for reader in "ac":
            self.until(lambda: self.ok(reader, "export", "k") == b"new", f"the new one at {reader}")
        self.ok("c", "delete", "k")
        for reader in "ab":
            self.until(lambda: self.run_larder(reader, "export", "k").returncode == 3, f"it is gone at {reader}")
        self.assertIn("no object", self.fails(3, "c", "export", "k"))

    def test_a_killed_holder_does_not_matter_while_there_is_another(self):
        self.begin("--pieces-rate-out=40MiB")
        bytes_ = sample(100 * MIB)
        self.ok("a", "import", "-", "--key", "k", stdin=bytes_)
        self.finish_export(self.begin_export("b", "k"), bytes_)
        self.until(lambda: self.holders("a", "k") == ["a", "b"], "both are known")
        export = self.begin_export("c", "k")
        self.until(lambda: self.received("c") > 5 * MIB, "some of it came")
        self.agents["a"].end(signal.SIGKILL)
        self.finish_export(export, bytes_)
        self.agents["a"].start()

    def test_a_transfer_needs_no_tracker_once_it_goes(self):
        self.begin("--pieces-rate-out=40MiB")
        bytes_ = sample(60 * MIB)
        self.ok("a", "import", "-", "--key", "k", stdin=bytes_)
        export = self.begin_export("c", "k")
        self.until(lambda: self.received("c") > 5 * MIB, "some of it came")
        for tracker in self.cluster.trackers:
            tracker.kill()
        self.finish_export(export, bytes_)
        self.assertEqual(len(self.ok("c", "export", "k")), len(bytes_))  # a local hit
        self.fails(7, "b", "export", "k", "-O", str(self.dir / "out"))
        for tracker in self.cluster.trackers:
            tracker.start()
        self.until(lambda: self.holders("b", "k") == ["a", "c"], "the copy is told of")
        self.finish_export(self.begin_export("b", "k"), bytes_)

    def test_a_holder_that_comes_back_gives_the_rest(self):
        self.begin("--pieces-rate-out=20MiB")
        bytes_ = sample(40 * MIB)
        self.ok("a", "import", "-", "--key", "k", stdin=bytes_)
        export = self.begin_export("b", "k")
        self.until(lambda: self.received("b") > 5 * MIB, "some of it came")
        self.agents["a"].end(signal.SIGKILL)
        self.agents["a"].start()
        self.finish_export(export, bytes_)
        # Nothing that came before came again: less than a piece, and what was on its way.
        self.assertLess(self.received("b"), len(bytes_) + 4 * MIB)

    def test_when_nobody_has_it_any_more_the_error_names_who_had(self):
        self.begin()
        self.ok("a", "import", "-", "--key", "k", stdin=b"hello")
        self.agents["a"].end(signal.SIGKILL)
        self.fails(8, "b", "export", "k", "--timeout", "2s", "-O", str(self.dir / "out"))
        told = self.fails(7, "b", "export", "k", "-O", str(self.dir / "out"))
        self.assertRegex(told, "no node that has 'k' can be reached: a, seen .*CANNOT_DIAL")
        shutil.rmtree(self.dir / "a" / "data" / "objects")
        self.agents["a"].start()
        self.until(lambda: self.holders("b", "k") == [], "its copy is gone")
        begun = time.monotonic()
        told = self.fails(7, "c", "export", "k", "-O", str(self.dir / "out"))
        self.assertIn("no node that has 'k'", told)
        self.assertLess(time.monotonic() - begun, 10)

    def test_a_full_node_drops_what_others_have_and_nothing_else(self):
        self.begin(arena="32MiB")
        for i in range(40):
            self.ok("ac"[i % 2], "import", "-", "--key", f"k/{i}", stdin=sample(MIB, i))
        self.ok("b", "import", "-", "--key", "own", stdin=sample(MIB, 99))
        for _ in range(2):
            for i in range(40):
                self.assertEqual(self.ok("b", "export", f"k/{i}"), sample(MIB, i))
        self.assertLess(len(self.ok("b", "list", "--local", "-q").split()), 32)
        self.assertEqual(len(self.ok("b", "list", "-q").split()), 41)
        self.assertEqual(self.ok("a", "export", "own"), sample(MIB, 99))

    def test_500_readers_at_once_over_three_nodes(self):
        self.begin()
        for i in range(50):
            self.ok("abc"[i % 3], "import", "-", "--key", f"k/{i}", stdin=sample(4096, i))
        failures, clients = [], {}
        for name, agent in self.agents.items():
            clients[name] = larder.connect(agent.endpoint)
        start = threading.Barrier(500)

        def read(number):
            start.wait()
            try:
                key = number % 50
                with clients["abc"[number // 50 % 3]].get(f"k/{key}") as found:
                    assert found.buffer.tobytes() == sample(4096, key)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(f"{number}: {error!r}")

        readers = [threading.Thread(target=read, args=(number,)) for number in range(500)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(PATIENCE)
        self.assertEqual(failures, [])


if __name__ == "__main__":
    unittest.main()
