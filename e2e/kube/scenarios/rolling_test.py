"""Each service is rolled, as an upgrade does it, under pods that read and write on every node."""

import time
import unittest

import figures
import kube
import pods
import release
import traffic

GAP = 5  # seconds


def roll(component):
    """Replaces all pods of a component, in the way and the order that the chart has for it."""
    selector = f"app.kubernetes.io/component={component}"
    names = kube.kubectl(
        *("-n", release.NAMESPACE, "get", "daemonset,statefulset,deployment", "-l", selector, "-o", "name")
    ).stdout.split()
    for name in names:
        kube.kubectl("-n", release.NAMESPACE, "rollout", "restart", name)
        kube.kubectl("-n", release.NAMESPACE, "rollout", "status", name, "--timeout=300s", seconds=330)


class Rolling(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.nodes = release.nodes()
        cls.enterClassContext(pods.namespace("rolling"))
        cls.enterClassContext(pods.waiting("rolling", release.TEST_POD, seeder=cls.nodes[0]))
        cls.keys = traffic.seed("rolling", "seeder", 20)

    def rolled(self, component, keeps_all):
        """`keeps_all`: whatever was acknowledged is there afterwards."""
        with traffic.running("rolling", release.TEST_POD) as going:
            for node in self.nodes:
                going.read(node, self.keys)
                going.write(node, f"{component}-{node}")
            begin = time.time()
            roll(component)
            for node in self.nodes:
                going.wait_for_more(f"reader-{node}", "read", 20)
            end = time.time()
            readers = [going.log(f"reader-{node}") for node in self.nodes]
            writers = [going.log(f"writer-{node}") for node in self.nodes]
            written = [key for log in writers for key in log.succeeded("write")]
            missing = traffic.check("rolling", "seeder", written) if keeps_all else []
            print(f"{component} rolled in {end - begin:.1f} s")
            for log, op in [*((log, "read") for log in readers), *((log, "write") for log in writers)]:
                print(log.describe(op, begin, end))
        gap = max(log.longest_gap("read", begin, end) for log in readers)
        figures.seconds(f"kube.{component.replace('-', '_')}s_rolled", gap, rolled_in=end - begin)
        for log in readers:
            with self.subTest(pod=log.pod):
                self.assertEqual(log.failures("read") + log.failures("mapped"), [])
                self.assertLess(log.longest_gap("read", begin, end), GAP)
        if keeps_all:
            self.assertEqual([line for log in writers for line in log.failures("write")], [])
        self.assertEqual(missing, [], "acknowledged writes")

    def test_trackers(self):
        self.rolled("tracker", keeps_all=True)

    def test_peer_managers(self):
        self.rolled("peer-manager", keeps_all=True)

    def test_agents(self):
        """What lies in the memory of one node alone goes with its agent: only reads of what others have are held."""
        self.rolled("agent", keeps_all=False)
