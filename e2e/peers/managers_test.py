"""Two peer managers as processes, beside three trackers and real agents: one of them leads, whoever is killed, and both
show who is alive."""

import pathlib
import signal
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
TTL = 5  # seconds, of the leader's lease
SESSION = 4  # seconds, T_s
LONG = 30  # seconds, of a lease or session that is not waited for: longer than a busy machine takes for what is at once
PATIENCE = 60  # seconds; a takeover takes a lease, an election one or two seconds


class PeerManagers(unittest.TestCase):
    def make(self, ttl=TTL, session=SESSION):
        # Short: the path of a Unix socket has at most 107 bytes.
        self.dir = directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp")))
        session = {"node-session-timeout": f"{session}s"}
        self.cluster = self.enterContext(Cluster(bin_dir() / "larder-tracker", directory, **session))
        self.trackers = trackers = ",".join(f"{tracker.host}:{TRACKER_GRPC}" for tracker in self.cluster.trackers)
        self.managers = []
        for number, tracker in enumerate(self.cluster.trackers[:2], 1):
            flags = {**session, "tracker": trackers, "leader-ttl": f"{ttl}s", "listen-grpc": f"{tracker.host}:{GRPC}"}
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
        leaders = [m for m in self.managers if m.running]
        for _ in range(2):  # it may have passed to the other between two looks
            leaders = [m for m in leaders if m.metric("larder_peers_is_leader") == 1]
        self.assertLess(len(leaders), 2, "never two")
        return leaders[0] if leaders else None

    def start(self, **seconds):
        self.make(**seconds)
        for manager in self.managers:
            manager.start()
        return self.until(self.leader, "one leads")

    def agent(self, name):
        managers = ",".join(f"{manager.host}:{GRPC}" for manager in self.managers)
        flags = {"node-name": name, "tracker": self.trackers, "peer-manager": managers, "arena": "16MiB"}
        return Agent(
            bin_dir() / "larder-agent", self.dir / name, *(f"--{flag}={value}" for flag, value in flags.items())
        )

    def await_nodes(self, **counts):
        def shown(manager):
            return all(manager.metric(f'larder_peers_nodes{{state="{state}"}}') == n for state, n in counts.items())

        self.until(lambda: all(shown(manager) for manager in self.managers if manager.running), f"{counts}")

    def agents_of_three_nodes(self):
        agents = [self.agent(f"node-{i}") for i in range(3)]
        for agent in agents:
            self.addCleanup(agent.kill)
        self.await_nodes(live=3, suspect=0, lost=0)
        return agents

    def test_an_agent_that_is_killed_is_suspect_at_once(self):
        self.start(session=LONG)
        agents = self.agents_of_three_nodes()
        agents[0].end(signal.SIGKILL)
        killed = time.monotonic()
        self.await_nodes(live=2, suspect=1, lost=0)
        self.assertLess(time.monotonic() - killed, LONG / 2, "its connection broke: it is not waited for")

    def test_an_agent_that_is_killed_is_lost_and_alive_when_it_is_back(self):
        leader = self.start()
        agents = self.agents_of_three_nodes()
        agents[0].end(signal.SIGKILL)
        self.await_nodes(live=2, suspect=0, lost=1)
        self.assertEqual(leader.metric("larder_peers_fenced_total"), 1)
        agents[0].start()
        self.await_nodes(live=3, suspect=0, lost=0)
        leader.kill()
        second = self.until(self.leader, "the other leads")
        agents[1].end(signal.SIGKILL)
        self.await_nodes(live=2, suspect=0, lost=1)
        self.assertEqual(second.metric("larder_peers_fenced_total"), 1)

    def test_when_the_leader_is_killed_the_other_leads(self):
        first = self.start()
        first.kill()
        second = self.until(self.leader, "the other leads")
        self.assertIsNot(second, first)
        first.start()
        self.assertEqual(first.metric("larder_peers_is_leader"), 0)
        self.assertEqual(self.leader(), second)

    def test_one_that_is_stopped_gives_leadership_back(self):
        first = self.start(ttl=LONG)
        first.stop()
        stopped = time.monotonic()
        self.until(self.leader, "the other leads")
        self.assertLess(time.monotonic() - stopped, LONG / 2, "it did not wait for the lease to end")
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
        self.make()
        for flags, said in (({"tracker": ""}, "tracker"), ({"listen_grpc": "nowhere"}, "--listen-grpc")):
            code, text = self.managers[0].run_to_its_end(**flags)
            self.assertEqual(code, 2, text)
            self.assertIn(said, text)


if __name__ == "__main__":
    unittest.main()
