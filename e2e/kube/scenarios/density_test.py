"""Many pods with a volume start about as fast as many without, and leave nothing on their nodes."""

import time
import unittest

import figures
import kube
import pods
import release

PODS = 100
RATIO = 1.5


def started(namespace, volume):
    """Seconds until PODS pods run, spread over all nodes, and until they are gone."""
    nodes = release.nodes()
    manifests = [
        pods.manifest(f"pod-{i}", namespace, release.TEST_POD, nodes[i % len(nodes)], volume=volume)
        for i in range(PODS)
    ]
    begin = time.monotonic()
    pods.create(*manifests, seconds=300)
    up = time.monotonic() - begin
    begin = time.monotonic()
    pods.delete(namespace, *(m["metadata"]["name"] for m in manifests))
    return up, time.monotonic() - begin


def left_over(node):
    """Mounts of volumes, sockets of pods and targets on a node."""
    find = (
        "awk '{print $5}' /proc/1/mountinfo | grep 'kubernetes.io~csi' ; "
        "find /run/larder-agent/*/pods -type s ; "
        "find /var/lib/kubelet/pods -path '*kubernetes.io~csi*' ; true"
    )
    return kube.node("exec", node, "sh", "-c", find).stdout.split()


class Density(unittest.TestCase):
    def test_pods_with_a_volume_start_as_those_without(self):
        if not release.expects_csi():
            self.skipTest("without the CSI driver a volume is a directory of the node")
        # Every node has the image, so that neither crowd pays for its pull.
        warm = {f"pod-{node}": node for node in release.nodes()}
        with pods.namespace("plain"), pods.waiting("plain", release.TEST_POD, **warm):
            plain, _ = started("plain", volume=False)
        publishing = release.Publishing()
        with pods.namespace("crowd"):
            up, down = started("crowd", volume=True)
        ratio = up / plain
        print(
            f"{PODS} pods: without a volume {plain:.1f} s, with {up:.1f} s: ratio {ratio:.2f}; gone after {down:.1f} s"
        )
        print(publishing.describe())
        figures.amount(
            "kube.density", ratio, "x without", publish_p99=publishing.p99(), with_a_volume=up, without=plain
        )
        for node in release.nodes():  # the kubelet tidies up some seconds after a pod is gone
            kube.wait_until(f"nothing is left on {node}", lambda: not left_over(node), 60)
        self.assertLessEqual(ratio, RATIO)
