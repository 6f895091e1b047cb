"""What is left of Larder when it is removed: what people keep on purpose, and nothing else."""

import time
import unittest

import kube
import pods
import release

RELEASE = ("--namespace", release.NAMESPACE, release.NAME)
# Of a volume of a pod the first is its root, the second where it is mounted.
MOUNTS = "larder-agent|kubernetes.io~csi"


def everything():
    """Objects that name the release, in any namespace and of the cluster itself, but for volumes that are kept."""
    selector = f"app.kubernetes.io/instance={release.NAME}"
    kinds = "all,configmaps,secrets,serviceaccounts,networkpolicies,poddisruptionbudgets,roles,rolebindings"
    found = kube.kubectl("get", kinds, "-A", "-l", selector, "-o", "name").stdout.split()
    found += kube.kubectl(
        "get", "csidrivers,clusterroles,clusterrolebindings", "-l", selector, "-o", "name"
    ).stdout.split()
    return found


def on_node(node, command):
    return kube.node("exec", node, "sh", "-c", command).stdout.splitlines()


class Uninstall(unittest.TestCase):
    def test_it_is_refused_while_a_pod_has_a_volume(self):
        if not release.expects_csi():
            self.skipTest("without the CSI driver no pod needs it to be removed")
        agents = {pod["metadata"]["uid"] for pod in release.pods_of("agent")}
        with pods.namespace("holds"), pods.waiting("holds", release.TEST_POD, holder=release.nodes()[0]):
            done = kube.helm(*release.UNINSTALL, "--timeout", "100s", check=False, seconds=130)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stdout + done.stderr, r"holds +holder +n1")
            pods.execute("holds", "holder", "larder", "list")
        # Helm takes the release for one that is being removed, until it is rolled back to what it is.
        kube.helm("rollback", *RELEASE, str(release.revision()), "--wait", seconds=150)
        upgrade = ("upgrade", *RELEASE, release.CHART, "--reuse-values", "--wait")
        kube.helm(*upgrade, seconds=150)
        self.assertEqual({pod["metadata"]["uid"] for pod in release.pods_of("agent")}, agents)

    def test_nothing_is_left(self):
        # Pods that are gone just before: their volumes are unmounted by an agent that is about to go.
        with pods.namespace("last"), pods.waiting("last", release.TEST_POD, **{f"pod-{n}": n for n in release.nodes()}):
            pass
        begin = time.monotonic()
        release.uninstall()
        kube.wait_until("every object is gone", lambda: not everything(), 60)
        print(f"uninstalled in {time.monotonic() - begin:.1f} s")
        for node in release.nodes():
            with self.subTest(node=node):
                self.assertEqual(on_node(node, f"grep -E '{MOUNTS}' /proc/1/mountinfo || true"), [], "mounts")
                self.assertEqual(on_node(node, f"find {release.RUN_DIR} -type s 2>/dev/null || true"), [], "sockets")
                self.assertEqual(on_node(node, "ls /var/lib/kubelet/plugins_registry"), [], "registrations")
                self.assertEqual(on_node(node, "pgrep -l '^larder-' || true"), [], "processes")
        kube.kubectl("delete", "namespace", release.NAMESPACE, "--timeout=100s", seconds=120)
        kube.wait_until("no volume of a tracker is left", lambda: not kube.items("pv"), 30)
