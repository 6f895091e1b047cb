"""The node of the leading tracker loses its power, and gets it back, while pods of the other nodes write, and read what
they have not read before."""

import time
import unittest

import figures
import kube
import pods
import release
import traffic

GAP = 5  # seconds without a read
NEXT_WRITE = 3  # seconds: it is the leading tracker that is gone, too


def is_ready(node):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in kube.get("node", node)["status"]["conditions"])


def live_nodes(asked):
    """As Larder's own list has them, by the agent of the node that is asked."""
    agent = release.pods_of("agent", asked)[0]["metadata"]["name"]
    shown = kube.kubectl("-n", release.NAMESPACE, "exec", agent, "--", *release.larder(), "nodes").stdout
    return {line.split()[0] for line in shown.splitlines()[1:] if line.split()[1] == "live"}


class Power(unittest.TestCase):
    def test_the_other_nodes_read_on(self):
        lost = kube.wait_until("a tracker leads", release.leading_tracker)["spec"]["nodeName"]
        others = [node for node in release.nodes() if node != lost]
        with (
            pods.namespace("power"),
            pods.waiting("power", release.TEST_POD, seeder=others[0]),
            traffic.running("power", release.TEST_POD) as going,
        ):
            self.addCleanup(kube.node, "start", lost)
            keys = traffic.seed("power", "seeder", 200)
            for node in others:
                going.read(node, keys)
            going.write(others[0])
            begin = time.time()
            kube.node("stop", lost)
            kube.wait_until("Kubernetes has seen it", lambda: not is_ready(lost), 60)
            kube.wait_until("Larder has seen it", lambda: lost not in live_nodes(others[0]), 60)
            end = time.time()
            seen = end - begin
            logs = [(going.log(f"reader-{node}"), "read") for node in others]
            logs.append((going.log(f"writer-{others[0]}"), "write"))
            print(f"{lost} lost its power; {seen:.1f} s until all have seen it")
            for log, op in logs:
                print(log.describe(op, begin, end))
            back = time.time()
            kube.node("start", lost)
            everybody = {*others, lost}
            kube.wait_until("it is back", lambda: is_ready(lost) and live_nodes(others[0]) == everybody, 120, pause=1)
            print(f"live again {time.time() - back:.1f} s after its power came back")
            written = logs[-1][0].succeeded("write")
            missing = traffic.check("power", "seeder", written)

        *reads, write = (log.longest_gap(op, begin, end) for log, op in logs)
        figures.seconds("kube.power_off", max(reads), next_write=write, seen_by_all=seen)
        for log, op in logs:
            self.assertEqual(log.failures(op), [])
        self.assertEqual(missing, [], "acknowledged writes")
        self.assertLess(max(reads), GAP)
        self.assertLess(write, NEXT_WRITE)
