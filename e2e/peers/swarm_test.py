"""Nodes that read one object at the same time give each other its pieces: its author's uplink carries it hardly more than
once. Agents, tracker and peer managers are processes; the author's uplink is limited."""

import hashlib
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from agents import Agent, bin_dir  # noqa: E402
from services import Service  # noqa: E402
from trackers import GRPC as TRACKER_GRPC  # noqa: E402
from trackers import Cluster  # noqa: E402

GRPC, ADMIN = 7420, 7429
PATIENCE = 60  # seconds
MIB = 1 << 20
SIZE = 64 * MIB  # 64 pieces
RATE = 16 * MIB  # of the author's uplink, bytes a second
SLOW = 4 * MIB  # for what must begin while they read
CHILDREN = ("b", "c", "d")
SENT = 'larder_transfer_bytes_total{direction="out",source="peer"}'
EARLY = "larder_swarm_in_progress_bytes_total"


class Swarm(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp")))
        self.tracker = self.enterContext(Cluster(bin_dir() / "larder-tracker", self.dir, count=1)).trackers[0]
        self.managers = []
        self.agents = {}

    def begin(self, managers, store="memory", rate=RATE):
        tracker = f"{self.tracker.host}:{TRACKER_GRPC}"
        net = self.tracker.host.rsplit(".", 1)[0]
        for number in range(managers):
            host = f"{net}.{11 + number}"
            flags = {"tracker": tracker, "listen-grpc": f"{host}:{GRPC}"}
            manager = Service(bin_dir() / "larder-peer-manager", self.dir / f"manager-{number}", host, ADMIN, flags)
            self.addCleanup(manager.kill)
            manager.start()
            self.managers.append(manager)
        for name in ("a", *CHILDREN):
            flags = [f"--node-name={name}", f"--tracker={tracker}", "--arena=192MiB", f"--store={store}"]
            if managers:
                flags.append("--peer-manager=" + ",".join(f"{manager.host}:{GRPC}" for manager in self.managers))
            if name == "a":
                flags.append(f"--pieces-rate-out={rate}")
            self.agents[name] = Agent(bin_dir() / "larder-agent", self.dir / name, *flags)
            self.addCleanup(self.agents[name].end, signal.SIGTERM)
        if managers:
            all_live = dict.fromkeys(("a", *CHILDREN), "live")
            self.until(lambda: self.states() == all_live, "all are live")

    def states(self):
        done = subprocess.run(**self.agents["a"].larder("nodes", "-o", "json"), capture_output=True, timeout=PATIENCE)
        return {node["name"]: node["state"] for node in json.loads(done.stdout)} if done.returncode == 0 else {}

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what}: not within {PATIENCE} s")
            time.sleep(0.02)

    def sent(self, agent):
        return self.agents[agent].metric(SENT)

    def read_by_all(self, meanwhile=lambda: None):
        """All children read one object of the author's at once."""
        bytes_ = random.Random(SIZE).randbytes(SIZE)
        put = self.agents["a"].larder("import", "-", "--key", "k")
        done = subprocess.run(**put, input=bytes_, capture_output=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        began = time.monotonic()
        exports = [
            subprocess.Popen(
                **self.agents[child].larder("export", "k", "-O", str(self.dir / f"out-{child}")), stderr=subprocess.PIPE
            )
            for child in CHILDREN
        ]
        meanwhile()
        for export in exports:
            _, err = export.communicate(timeout=4 * PATIENCE)
            self.assertEqual(export.returncode, 0, err.decode())
        seconds = time.monotonic() - began
        for child in CHILDREN:
            digest = hashlib.sha256((self.dir / f"out-{child}").read_bytes()).digest()
            self.assertEqual(digest, hashlib.sha256(bytes_).digest(), f"at {child}")
        given = {name: self.sent(name) / SIZE for name in self.agents}
        print(f"{seconds:.1f} s; each gave, of the object: {given}", file=sys.stderr)

    def assert_shared(self):
        # Hardly more than once, on a machine that has time for all of them; three times would be each for itself.
        self.assertLessEqual(self.sent("a"), 2 * SIZE, "the author sent it to nobody but once")
        self.assertGreaterEqual(sum(self.sent(child) for child in CHILDREN), SIZE, "the rest is the children's")
        self.assertGreater(self.early(), SIZE / 4, "of copies that were on their way themselves")

    def early(self):
        return sum(agent.metric(EARLY) for agent in self.agents.values())

    def test_children_give_each_other_what_they_have(self):
        self.begin(managers=2)
        self.read_by_all()
        self.assert_shared()
        self.until(lambda: self.fetches() == 0, "what is over is forgotten")

    def fetches(self):
        return sum(manager.metric("larder_peers_swarm_members") for manager in self.managers)

    def test_from_files_as_well(self):
        self.begin(managers=1, store="file")
        self.read_by_all()
        # How fast a disk is, and so who has what when, is another matter.
        self.assertGreater(self.early(), SIZE / 4)

    def test_goes_on_when_the_peer_manager_is_killed_in_the_middle(self):
        self.begin(managers=1)

        def kill():
            self.until(lambda: self.sent("a") > SIZE / 4, "some of it came")
            self.managers[0].kill()

        self.read_by_all(kill)
        self.assert_shared()

    def test_a_peer_manager_that_begins_in_the_middle_is_told_of_it(self):
        self.begin(managers=1, rate=SLOW)
        self.managers[0].kill()

        def start():
            self.until(lambda: self.sent("a") > SIZE / 8, "some of it came")
            self.managers[0].start()
            self.until(lambda: self.fetches() == len(CHILDREN), "it knows who fetches what")

        self.read_by_all(start)

    def test_works_without_a_peer_manager(self):
        self.begin(managers=0)
        self.read_by_all()
        self.assertEqual(self.early(), 0, "nobody knows of another")


if __name__ == "__main__":
    unittest.main()
