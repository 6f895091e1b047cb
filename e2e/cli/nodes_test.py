"""`larder nodes`: who is in the cluster, asked of any agent."""

import itertools
import pathlib
import signal
import tempfile
import unittest

from cli_case import PATIENCE, CliCase, bin_dir, larder_dev
from agents import Agent  # found by cli_case

FIELDS = [
    *("name", "state", "state_seconds", "draining", "quarantined", "address", "zone", "rack", "node_epoch"),
    *("last_seen_seconds", "memory_used_bytes", "memory_total_bytes", "disk_used_bytes", "disk_total_bytes"),
    *("uplink_bytes_per_second", "upload_queue", "source"),
]


class Nodes(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.larder = str(bin_dir() / "larder")
        cls.dev = cls.enterClassContext(larder_dev(cls.larder, agents=3))

    def nodes(self, agent):
        return self.json("nodes", "-e", self.dev.endpoint(agent))

    def live(self):
        nodes = self.nodes(0)
        return len(nodes) == 3 and {node["state"] for node in nodes} == {"live"}

    def test_every_agent_knows_them_all(self):
        self.until(self.live, "all are alive")
        for agent in range(3):
            nodes = self.nodes(agent)
            self.assertEqual([node["name"] for node in nodes], ["node-0", "node-1", "node-2"])
            for node in nodes:
                self.assertEqual(list(node), FIELDS)
                self.assertGreater(node["node_epoch"], 0)
                self.assertEqual((node["source"], node["state"]), ("peer_manager", "live"))
                self.assertLess(node["last_seen_seconds"], PATIENCE)
                self.assertRegex(node["address"], r"^127\.0\.0\.1:\d+$")
                self.assertGreater(node["memory_total_bytes"], node["memory_used_bytes"])

    def test_what_a_node_gives_to_others_is_told(self):
        self.until(self.live, "all are alive")
        data = bytes(20 << 20)
        keys = itertools.count()

        def seen_giving():  # a beat tells of what went since the last one: there may be another before anybody looks
            key = f"given-{next(keys)}"
            self.ok("import", "-", f"--key={key}", "-e", self.dev.endpoint(0), stdin=data)
            self.assertEqual(self.ok("export", key, "-O", "-", "-e", self.dev.endpoint(1)), data)
            return self.nodes(2)[0]["uplink_bytes_per_second"] > 0

        self.until(seen_giving, "a beat tells of it")
        self.until(lambda: self.nodes(2)[0]["uplink_bytes_per_second"] == 0, "and one that it is over")
        self.assertEqual(self.nodes(2)[0]["upload_queue"], 0)

    def test_names_alone_and_as_a_table(self):
        self.until(self.live, "all are alive")
        self.assertEqual(self.ok("nodes", "-q"), b"node-0\nnode-1\nnode-2\n")
        table = self.ok("nodes").decode().splitlines()
        self.assertEqual(table[0].split(), ["NAME", "STATE", "SEEN", "ZONE", "RACK", "MEMORY", "DISK", "ADDRESS"])
        self.assertEqual([row.split()[0] for row in table[1:]], ["node-0", "node-1", "node-2"])
        wide = self.ok("nodes", "-o", "wide").decode().splitlines()
        self.assertIn("SOURCE", wide[0])
        self.assertIn("larder nodes -o json", self.ok("nodes", "--help").decode())

    def test_an_agent_without_a_cluster_says_so(self):
        home = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp")))
        alone = Agent(bin_dir() / "larder-agent", home / "a", "--node-name=a", "--arena=16MiB")
        self.addCleanup(alone.end, signal.SIGTERM)
        self.assertEqual(self.fails(7, "nodes", "-e", alone.endpoint, says="alone"), b"")

    def test_without_a_peer_manager_the_tracker_tells_what_it_knows(self):
        tracker = self.enterContext(larder_dev(self.larder, agents=1)).tracker["grpc"]
        home = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp")))
        lone = Agent(
            bin_dir() / "larder-agent", home / "a", "--node-name=lone", "--arena=16MiB", f"--tracker={tracker}"
        )
        self.addCleanup(lone.end, signal.SIGTERM)

        def told():
            return {node["name"]: node for node in self.json("nodes", "-e", lone.endpoint)}

        self.until(lambda: "lone" in told(), "it has registered")
        nodes = told()
        self.assertEqual(sorted(nodes), ["lone", "node-0"])
        for node in nodes.values():
            self.assertEqual((node["source"], node["state"], node["memory_total_bytes"]), ("tracker", "unknown", None))


if __name__ == "__main__":
    unittest.main()
