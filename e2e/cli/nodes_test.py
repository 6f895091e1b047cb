"""`larder nodes`: who is in the cluster, asked of any agent."""

import pathlib
import signal
import tempfile
import unittest

from cli_case import CliCase, bin_dir, larder_dev
from agents import Agent  # found by cli_case

FIELDS = [
    *("name", "state", "state_seconds", "draining", "quarantined", "address", "zone", "rack", "node_epoch"),
    *("last_seen_seconds", "memory_used_bytes", "memory_total_bytes", "disk_used_bytes", "disk_total_bytes", "source"),
]


class Nodes(CliCase):
    @classmethod
    def setUpClass(cls):
        cls.larder = str(bin_dir() / "larder")
        cls.dev = cls.enterClassContext(larder_dev(cls.larder, agents=3))

    def nodes(self, agent):
        return self.json("nodes", "-e", self.dev.endpoint(agent))

    def test_every_agent_knows_them_all(self):
        self.until(lambda: len(self.nodes(0)) == 3, "all have registered")
        for agent in range(3):
            nodes = self.nodes(agent)
            self.assertEqual([node["name"] for node in nodes], ["node-0", "node-1", "node-2"])
            for node in nodes:
                self.assertEqual(list(node), FIELDS)
                self.assertGreater(node["node_epoch"], 0)
                self.assertGreaterEqual(node["last_seen_seconds"], 0)
                if node["source"] == "tracker":
                    self.assertEqual((node["state"], node["memory_total_bytes"]), ("unknown", None))
                else:
                    self.assertEqual((node["source"], node["state"]), ("peer_manager", "live"))
                    self.assertGreater(node["memory_total_bytes"], 0)

    def test_names_alone_and_as_a_table(self):
        self.until(lambda: len(self.nodes(0)) == 3, "all have registered")
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


if __name__ == "__main__":
    unittest.main()
