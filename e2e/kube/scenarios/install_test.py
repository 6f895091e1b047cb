"""From an empty cluster to a pod's first read, on every other node than the object was written on."""

import time
import unittest

import figures
import kube
import pods
import release

SECONDS = 120


class Install(unittest.TestCase):
    def test_until_a_pod_reads_what_another_node_wrote(self):
        writer, *others = release.nodes()
        readers = {f"reader-{node}": node for node in others}
        begin = time.monotonic()
        release.install()
        installed = time.monotonic() - begin
        with pods.namespace("first"), pods.waiting("first", release.TEST_POD, writer=writer, **readers):
            pods.execute("first", "writer", "sh", "-c", "echo hello | larder import - --key greeting")
            read = [pods.execute("first", reader, "larder", "export", "greeting").stdout for reader in readers]
            took = time.monotonic() - begin
        print(f"helm install {installed:.1f} s, read on every other node after {took:.1f} s")
        figures.seconds("kube.first_read", took, helm_install=installed)
        self.assertEqual(read, ["hello\n"] * len(others))
        self.assertLess(took, SECONDS)
