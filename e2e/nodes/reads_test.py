"""Agents as processes, without shared files: what one has the others read, whatever happens on the way."""

import hashlib
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from agents import Agent, bin_dir  # noqa: E402
from trackers import GRPC, Cluster  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "libs" / "python" / "src"))
import larder  # noqa: E402

PATIENCE = 60  # seconds
MIB = 1 << 20


def sample(size, seed=0):
    return random.Random(seed * 1_000_003 + size).randbytes(size)


class Nodes(unittest.TestCase):
    """Agents a (files), b (memory), c (files) of one cluster."""

    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp")))
        self.cluster = self.enterContext(Cluster(bin_dir() / "larder-tracker", self.dir))
        self.agents = {}

    def begin(self, *flags, arena="512MiB"):
        addresses = ",".join(f"{tracker.host}:{GRPC}" for tracker in self.cluster.trackers)
        for name, store in (("a", "file"), ("b", "memory"), ("c", "file")):
            self.agents[name] = Agent(
                bin_dir() / "larder-agent",
                self.dir / name,
                f"--node-name={name}",
                f"--tracker={addresses}",
                f"--store={store}",
                f"--arena={arena}",
                *flags,
            )
            self.addCleanup(self.agents[name].end, signal.SIGTERM)

    def run_larder(self, agent, *arguments, stdin=b""):
        return subprocess.run(
            **self.agents[agent].larder(*arguments), input=stdin, capture_output=True, timeout=4 * PATIENCE
        )

    def ok(self, agent, *arguments, stdin=b""):
        done = self.run_larder(agent, *arguments, stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout

    def fails(self, code, agent, *arguments):
        done = self.run_larder(agent, *arguments)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stderr.decode()

    def holders(self, agent, key):
        return [where["node"] for where in json.loads(self.ok(agent, "stat", key, "-o", "json"))["locations"]]

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what}: not within {PATIENCE} s")
            time.sleep(0.02)

    def begin_export(self, agent, key):
        """An export to standard output that has begun; all bytes of it come from finish_export."""
        return subprocess.Popen(
            **self.agents[agent].larder("export", key, "-O", "-"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def finish_export(self, process, bytes_):
        out, err = process.communicate(timeout=4 * PATIENCE)
        self.assertEqual(process.returncode, 0, err.decode())
        self.assertEqual(hashlib.sha256(out).digest(), hashlib.sha256(bytes_).digest())

    def received(self, agent):
        return self.agents[agent].metric('larder_transfer_bytes_total{direction="in",source="peer"}')

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
