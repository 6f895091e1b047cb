"""An agent is replaced under pods that read, write, and hold memory mapped: they wait, and lose nothing."""

import time
import unittest

import kube
import pods
import release
import traffic

GAP = 5  # seconds


class Replace(unittest.TestCase):
    def test_open_sockets_and_mappings_go_on(self):
        other, node = release.nodes()[:2]
        with (
            pods.namespace("replace"),
            pods.waiting("replace", release.TEST_POD, seeder=other),
            traffic.running("replace", release.TEST_POD) as going,
        ):
            keys = traffic.seed("replace", "seeder", 20)
            going.read(node, keys)
            going.write(other)
            begin = time.time()
            release.replace("agent", node)
            going.wait_for_more(f"reader-{node}", "read", 50)
            going.wait_for_more(f"writer-{other}", "write", 50)
            end = time.time()
            reader, writer = going.log(f"reader-{node}"), going.log(f"writer-{other}")
            for op in ("read", "mapped"):
                print(reader.describe(op, begin, end))
            print(writer.describe("write", begin, end))
            lost = traffic.check("replace", "seeder", writer.succeeded("write"))

        self.assertEqual(reader.failures("read") + reader.failures("mapped"), [])
        self.assertEqual(writer.failures("write"), [], "the writer's agent was not the one that was replaced")
        self.assertEqual(lost, [], "acknowledged writes")
        self.assertLess(reader.longest_gap("read", begin, end), GAP)
