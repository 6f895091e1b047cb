"""A node's kubelet is killed and comes back under pods that read and write: they go on, and the next pod gets its volume. A
kubelet that starts publishes the volume of each running pod again."""

import time
import unittest

import kube
import pods
import release
import traffic


class Kubelet(unittest.TestCase):
    def test_volumes_stay_when_it_is_killed(self):
        if not release.expects_csi():
            self.skipTest("without the CSI driver the kubelet gives pods a directory of the node")
        other, node = release.nodes()[:2]
        with (
            pods.namespace("kubelet"),
            pods.waiting("kubelet", release.TEST_POD, seeder=other),
            traffic.running("kubelet", release.TEST_POD) as going,
        ):
            going.read(node, traffic.seed("kubelet", "seeder", 200))
            going.write(node)
            publishing = release.Publishing()
            begin = time.time()
            kube.node("exec", node, "pkill", "-KILL", "-f", "hyper kubelet")
            kube.wait_until("both volumes are published again", lambda: publishing.count() >= 2, 90)
            with pods.waiting("kubelet", release.TEST_POD, next=node):
                going.wait_for_more(f"reader-{node}", "read", 50)
                going.wait_for_more(f"writer-{node}", "write", 50)
                end = time.time()
                written = going.log(f"writer-{node}").succeeded("write")
                missing = traffic.check("kubelet", "next", written)
            print(publishing.describe())
            reader, writer = going.log(f"reader-{node}"), going.log(f"writer-{node}")
            print(reader.describe("read", begin, end))
            print(writer.describe("write", begin, end))

        self.assertEqual(reader.failures("read") + writer.failures("write"), [])
        self.assertEqual(missing, [], "acknowledged writes")
