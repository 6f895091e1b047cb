"""Agents beside a tracker and two peer managers, as processes: who is a member, while one or the other is stopped or gone."""

import json
import pathlib
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
SESSION = 5  # seconds, T_s: nobody is missed because the machine is busy
PATIENCE = 60  # seconds


class Members(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp")))
        cluster = Cluster(bin_dir() / "larder-tracker", self.dir, count=1, node_session_timeout=f"{SESSION}s")
        self.tracker = self.enterContext(cluster).trackers[0]
        tracker = f"{self.tracker.host}:{TRACKER_GRPC}"
        self.managers = []
        net = self.tracker.host.rsplit(".", 1)[0]
        for number in (1, 2):
            host = f"{net}.{10 + number}"
            flags = {"tracker": tracker, "listen-grpc": f"{host}:{GRPC}", "node-session-timeout": f"{SESSION}s"}
            home = self.dir / f"manager-{number}"
            self.managers.append(Service(bin_dir() / "larder-peer-manager", home, host, ADMIN, flags))
            self.addCleanup(self.managers[-1].kill)
            self.managers[-1].start()
        managers = ",".join(f"{manager.host}:{GRPC}" for manager in self.managers)
        self.agents = {}
        for name in ("a", "b"):
            flags = (f"--node-name={name}", f"--tracker={tracker}", f"--peer-manager={managers}", "--arena=16MiB")
            self.agents[name] = Agent(bin_dir() / "larder-agent", self.dir / name, *flags)
            self.addCleanup(self.agents[name].end, signal.SIGTERM)
        self.until(lambda: self.states() == {"a": "live", "b": "live"}, "both are alive")

    def run_larder(self, agent, *arguments, stdin=b""):
        return subprocess.run(
            **self.agents[agent].larder(*arguments), input=stdin, capture_output=True, timeout=PATIENCE
        )

    def ok(self, agent, *arguments, stdin=b""):
        done = self.run_larder(agent, *arguments, stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout

    def nodes(self, agent="a"):
        done = self.run_larder(agent, "nodes", "-o", "json")
        return {node["name"]: node for node in json.loads(done.stdout)} if done.returncode == 0 else {}

    def states(self):
        return {name: node["state"] for name, node in self.nodes().items()}

    def sources(self):
        return {node["source"] for node in self.nodes().values()}

    def stores(self, agent, key):
        return self.run_larder(agent, "import", "-", "--key", key, stdin=b"x").returncode == 0

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what}: not within {PATIENCE} s")
            time.sleep(0.02)

    def test_an_agent_that_was_stopped_is_lost_and_comes_back_as_a_new_registration(self):
        self.ok("b", "import", "-", "--key", "kept", stdin=b"bytes")
        before = self.nodes()["b"]["node_epoch"]
        self.agents["b"].signal(signal.SIGSTOP)
        try:
            self.until(lambda: self.states().get("b") == "suspect", "it is missed")
            self.until(lambda: self.states().get("b") == "lost", "it is fenced")
        finally:
            self.agents["b"].signal(signal.SIGCONT)
        self.assertEqual(self.ok("b", "export", "kept"), b"bytes")
        self.until(lambda: self.states().get("b") == "live", "it is back")
        self.assertGreater(self.nodes()["b"]["node_epoch"], before)
        self.until(lambda: self.stores("b", "new"), "it acknowledges for the cluster")
        self.assertEqual(self.states()["a"], "live")

    def test_without_managers_the_tracker_keeps_all_members(self):
        for manager in self.managers:
            manager.kill()
        self.until(lambda: self.sources() == {"tracker"}, "the managers are missed")
        # For longer than a session: the node would be fenced, if the managers alone counted.
        kept = time.monotonic() + 1.5 * SESSION
        while time.monotonic() < kept:
            self.assertEqual(self.agents["a"].metric("larder_agent_fenced"), 0)
        self.assertTrue(self.stores("a", "k"))
        self.managers[1].start()
        self.until(lambda: self.states() == {"a": "live", "b": "live"}, "the manager hears of both")

    def test_without_anybody_an_agent_refuses_what_it_would_promise_and_goes_on(self):
        self.ok("a", "import", "-", "--key", "kept", stdin=b"bytes")
        for service in (*self.managers, self.tracker):
            service.kill()
        self.until(lambda: self.agents["a"].metric("larder_agent_fenced") == 1, "it is fenced")
        refused = self.run_larder("a", "import", "-", "--key", "k", stdin=b"x")
        self.assertEqual(refused.returncode, 7)
        self.assertIn("no member of the cluster", refused.stderr.decode())
        self.assertEqual(self.ok("a", "export", "kept"), b"bytes")
        self.ok("a", "import", "-", "--key", "local", "--ack", "local", stdin=b"x")
        self.assertEqual(self.run_larder("a", "nodes").returncode, 7)
        self.tracker.start()
        self.until(lambda: self.stores("a", "k"), "it is a member again")


if __name__ == "__main__":
    unittest.main()
