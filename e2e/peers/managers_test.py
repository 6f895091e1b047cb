"""Two peer managers as processes, beside three trackers: one of them leads, whoever is killed."""

import pathlib
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from agents import bin_dir  # noqa: E402
from services import Service  # noqa: E402
from trackers import GRPC as TRACKER_GRPC  # noqa: E402
from trackers import Cluster  # noqa: E402

GRPC, ADMIN = 7420, 7429
TTL = 2  # seconds, of the leader's lease
PATIENCE = 60  # seconds; a takeover takes a lease, an election one or two seconds


class PeerManagers(unittest.TestCase):
    def setUp(self):
        directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.cluster = self.enterContext(Cluster(bin_dir() / "larder-tracker", directory))
        trackers = ",".join(f"{tracker.host}:{TRACKER_GRPC}" for tracker in self.cluster.trackers)
        self.managers = []
        for number, tracker in enumerate(self.cluster.trackers[:2], 1):
            flags = {"tracker": trackers, "leader-ttl": f"{TTL}s", "listen-grpc": f"{tracker.host}:{GRPC}"}
            home = directory / f"manager-{number}"
            self.managers.append(Service(bin_dir() / "larder-peer-manager", home, tracker.host, ADMIN, flags))
            self.addCleanup(self.managers[-1].kill)

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not (found := condition()):
            self.assertLess(time.monotonic(), end, f"{what}: not within {PATIENCE} s")
            time.sleep(0.02)
        return found

    def leader(self):
        """The one that leads; None unless it is one alone."""
        leaders = [m for m in self.managers if m.running and m.metric("larder_peers_is_leader") == 1]
        self.assertLess(len(leaders), 2, "never two")
        return leaders[0] if leaders else None

    def start(self):
        for manager in self.managers:
            manager.start()
        return self.until(self.leader, "one leads")

    def test_when_the_leader_is_killed_the_other_leads(self):
        first = self.start()
        first.kill()
        second = self.until(self.leader, "the other leads")
        self.assertIsNot(second, first)
        first.start()
        self.assertEqual(first.metric("larder_peers_is_leader"), 0)
        self.assertEqual(self.leader(), second)

    def test_one_that_is_stopped_gives_leadership_back(self):
        first = self.start()
        first.stop()
        stopped = time.monotonic()
        self.until(self.leader, "the other leads")
        self.assertLess(time.monotonic() - stopped, TTL, "it did not wait for the lease to end")
        for manager in self.managers:
            if manager.running:
                manager.stop()

    def test_a_tracker_may_be_killed(self):
        self.start()
        self.cluster.leader().kill()
        self.until(lambda: not all(t.running for t in self.cluster.trackers) and self.leader(), "one leads")
        for manager in self.managers:
            self.until(lambda m=manager: m.metric("larder_peers_tracker_answers") == 1, "another tracker answers")
            manager.stop()

    def test_what_it_cannot_start_with_it_says(self):
        for flags, said in (({"tracker": ""}, "tracker"), ({"listen_grpc": "nowhere"}, "--listen-grpc")):
            code, text = self.managers[0].run_to_its_end(**flags)
            self.assertEqual(code, 2, text)
            self.assertIn(said, text)


if __name__ == "__main__":
    unittest.main()
