"""Agents and trackers as processes: what one agent creates all know, and what still works without a quorum."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from agents import Agent, bin_dir  # noqa: E402
from trackers import GRPC, Cluster  # noqa: E402

PATIENCE = 60  # seconds


class Agents(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp")))
        self.cluster = self.enterContext(Cluster(bin_dir() / "larder-tracker", self.dir))
        addresses = ",".join(f"{tracker.host}:{GRPC}" for tracker in self.cluster.trackers)
        self.agents = []
        for name in ("a", "b"):
            agent = Agent(
                bin_dir() / "larder-agent",
                self.dir / name,
                f"--node-name={name}",
                f"--tracker={addresses}",
                "--store=file",
                "--arena=64MiB",
            )
            self.agents.append(agent)
            self.addCleanup(agent.end, signal.SIGTERM)

    def run_larder(self, agent, *arguments, stdin=b""):
        return subprocess.run(
            **self.agents[agent].larder(*arguments), input=stdin, capture_output=True, timeout=PATIENCE
        )

    def ok(self, agent, *arguments, stdin=b""):
        done = self.run_larder(agent, *arguments, stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout

    def fails(self, code, agent, *arguments, stdin=b""):
        done = self.run_larder(agent, *arguments, stdin=stdin)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stderr.decode()

    def stat(self, agent, key):
        return json.loads(self.ok(agent, "stat", key, "-o", "json"))

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what}: not within {PATIENCE} s")
            time.sleep(0.02)

    def test_names_are_the_clusters(self):
        imported = json.loads(self.ok(0, "import", "-", "--key", "k/1", "-o", "json", stdin=b"hello"))
        self.assertEqual(imported["ack"], "tracked")
        for agent in (0, 1):
            told = self.stat(agent, "k/1")
            self.assertEqual((told["size"], told["epoch"], told["live_replicas"]), (5, imported["epoch"], 1))
            self.assertEqual([where["node"] for where in told["locations"]], ["a"])
            self.assertEqual(self.ok(agent, "list", "-q"), b"k/1\n")
        self.assertEqual(self.ok(1, "list", "--local", "-q"), b"")
        # A key is created once, wherever.
        self.fails(4, 1, "import", "-", "--key", "k/1", stdin=b"other")
        self.assertEqual(self.ok(1, "import", "-", "--key", "k/1", stdin=b"hello"), b"k/1\n")
        self.assertEqual([where["node"] for where in self.stat(0, "k/1")["locations"]], ["a", "b"])
        self.ok(1, "import", "-", "--key", "k/1", "--overwrite", stdin=b"newer")
        self.assertEqual([where["node"] for where in self.stat(0, "k/1")["locations"]], ["b"])
        # The copy of what was replaced goes; and so does one of what was deleted.
        self.until(lambda: self.ok(0, "list", "--local", "-q") == b"", "the old copy is gone")
        self.ok(0, "import", "-", "--key", "gone", stdin=b"soon")
        self.ok(1, "delete", "gone")
        self.until(lambda: self.run_larder(0, "export", "gone").returncode == 3, "it is gone here, too")
        # Names are changed from anywhere.
        self.ok(0, "pin", "k/1")
        self.assertTrue(self.stat(1, "k/1")["pinned"])
        self.ok(0, "delete", "k/1")
        self.fails(3, 1, "stat", "k/1")
        self.fails(3, 1, "delete", "k/1")
        self.assertEqual(self.ok(1, "list", "-q"), b"")

    def test_every_tracker_knows_how_many_objects_there_are(self):
        def counts():
            return [tracker.metric('larder_tracker_records{namespace="default"}') for tracker in self.cluster.trackers]

        for i in range(3):
            self.ok(i % 2, "import", "-", "--key", f"k/{i}", stdin=b"hello")
        self.until(lambda: counts() == [3, 3, 3], "three objects")
        restarted = self.cluster.trackers[0]
        restarted.stop()
        restarted.start()
        self.until(lambda: counts() == [3, 3, 3], "three, also after a restart")
        self.ok(0, "delete", "k/0")
        self.until(lambda: counts() == [2, 2, 2], "one less")

    def test_a_second_creator_waits_for_the_one_on_another_node(self):
        larder = [str(bin_dir() / "larder"), "import", "-", "--key", "slow"]
        environment = {**os.environ, "LARDER_ENDPOINT": self.agents[0].endpoint}
        slow = subprocess.Popen(larder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(slow.stdout.close)
        slow.stdin.write(b"x" * 100_000)
        slow.stdin.flush()
        creating = (
            lambda: self.run_larder(1, "stat", "slow", "-o", "json").stdout.find(b'"CREATING"') >= 0
        )  # noqa: E731
        self.until(creating, "the create is known")
        told = self.fails(8, 1, "import", "-", "--key", "slow", "--timeout", "300ms", stdin=b"mine")
        self.assertIn("slow", told)
        slow.stdin.close()
        self.assertEqual(slow.wait(PATIENCE), 0)
        self.fails(4, 1, "import", "-", "--key", "slow", stdin=b"mine")

    def test_without_a_quorum_local_hits_and_local_creates_go_on(self):
        self.ok(0, "import", "-", "--key", "before", stdin=b"here")
        for tracker in self.cluster.trackers[1:]:
            tracker.kill()
        begun = time.monotonic()
        told = self.fails(7, 0, "import", "-", "--key", "tracked", stdin=b"x")
        self.assertIn("tracker", told)
        self.assertLess(time.monotonic() - begun, 40)  # 3 s and the client's retries, with 10 times as much room
        self.assertEqual(self.ok(0, "export", "before"), b"here")
        self.assertEqual(self.stat(0, "before")["size"], 4)
        self.fails(7, 1, "stat", "before")
        self.fails(7, 1, "list")
        self.ok(0, "import", "-", "--key", "local", "--ack", "local", stdin=b"mine")
        self.assertEqual(self.ok(0, "export", "local"), b"mine")
        self.assertIn(b"local", self.ok(0, "list", "--local", "-q"))
        # All of them gone, and then back: what was acknowledged is published.
        self.cluster.trackers[0].kill()
        self.assertEqual(self.ok(0, "export", "before"), b"here")
        for tracker in self.cluster.trackers:
            tracker.start()
        self.until(lambda: self.run_larder(1, "stat", "local").returncode == 0, "it is published")
        self.assertEqual(self.stat(1, "before")["size"], 4)
        # Cut off for so long, the node was no member any more: it is one again as soon as a tracker has said so.
        tracked = ("import", "-", "--key", "tracked")
        self.until(lambda: self.run_larder(0, *tracked, stdin=b"x").returncode == 0, "it is a member again")

    def test_what_a_node_missed_while_it_was_down_is_made_up_for(self):
        for key in ("deleted", "replaced", "kept"):
            self.ok(0, "import", "-", "--key", key, stdin=key.encode())
        self.agents[0].end(signal.SIGKILL)
        self.ok(1, "delete", "deleted")
        self.ok(1, "import", "-", "--key", "replaced", "--overwrite", stdin=b"newer")
        self.agents[0].start()
        self.until(lambda: self.ok(0, "list", "--local", "-q") == b"kept\n", "what is over is gone here")
        self.assertEqual(self.ok(1, "list", "-q"), b"kept\nreplaced\n")
        self.assertEqual([where["node"] for where in self.stat(1, "replaced")["locations"]], ["b"])
        self.until(lambda: self.stat(1, "kept")["live_replicas"] == 1, "the copy that stayed is confirmed")

    def test_what_a_node_lost_is_not_counted(self):
        self.ok(0, "import", "-", "--key", "k", stdin=b"hello")
        self.agents[0].end(signal.SIGKILL)
        shutil.rmtree(self.dir / "a" / "data" / "objects")
        self.agents[0].start()
        self.until(lambda: self.stat(1, "k")["locations"] == [], "its copy is gone")
        self.assertEqual(self.stat(1, "k")["live_replicas"], 0)

    def test_a_killed_tracker_is_not_noticed(self):
        for number, tracker in enumerate(self.cluster.trackers):
            tracker.kill()
            for agent in (0, 1):
                self.ok(agent, "import", "-", "--key", f"{number}/{agent}", stdin=b"x")
            tracker.start()
        self.assertEqual(len(self.ok(1, "list", "-q").split()), 6)


if __name__ == "__main__":
    unittest.main()
