"""An agent is replaced under pods that read, write, and hold memory mapped: they wait. What the other nodes acknowledged
is there, and what its own node acknowledged to its next agent; what lay in its memory alone goes with it
(`store: memory`), and readers are told that no node has it."""

import time
import unittest

import figures
import kube
import pods
import release
import traffic

GAP = 5  # seconds; ten times that among the quick scenarios, which run on machines that do other things, too


class Replace(unittest.TestCase):
    def test_open_sockets_and_mappings_go_on(self):
        other, node = release.nodes()[:2]
        with (
            pods.namespace("replace"),
            pods.waiting("replace", release.TEST_POD, seeder=other, neighbour=node),
            traffic.running("replace", release.TEST_POD) as going,
        ):
            keys = traffic.seed("replace", "seeder", 20)
            going.read(node, keys)
            for each in (other, node):
                going.write(each, f"written-{each}")
            begin = time.time()
            release.replace("agent", node)
            back = time.time()
            going.wait_for_more(f"reader-{node}", "read", 50)
            for each in (other, node):
                going.wait_for_more(f"writer-{each}", "write", 50)
            end = time.time()
            reader = going.log(f"reader-{node}")
            writers = [going.log(f"writer-{each}") for each in (other, node)]
            for op in ("read", "mapped"):
                print(reader.describe(op, begin, end))
            for writer in writers:
                print(writer.describe("write", begin, end))
            written = [line for writer in writers for line in writer.of("write") if not line["error"]]
            gone_with_it = {line["key"] for line in writers[1].of("write") if line["at"] < back}
            missing = [
                line
                for pod in ("seeder", "neighbour")
                for line in traffic.check("replace", pod, [line["key"] for line in written])
            ]
            print(f"{len({line['key'] for line in missing})} of {len(gone_with_it)} went with the memory of {node}")

        gap = reader.longest_gap("read", begin, end)
        figures.seconds("kube.agent_replaced", gap, ready_again=back - begin)
        self.assertEqual(reader.failures("read") + reader.failures("mapped"), [])
        self.assertEqual([line for writer in writers for line in writer.failures("write")], [])
        self.assertEqual([line for line in missing if line["key"] not in gone_with_it], [], "acknowledged writes")
        self.assertEqual([line for line in missing if "(NO_HOLDER)" not in line["error"]], [], "lost otherwise")
        self.assertLess(gap, GAP if kube.exact else 10 * GAP)
