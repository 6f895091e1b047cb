"""Pods of two namespaces on one node, of which each sees its own objects only."""

import unittest

import kube
import pods
import release

PERMISSION_DENIED = 5  # larder's exit codes
NOT_FOUND = 3


class Isolation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not release.expects_csi():
            raise unittest.SkipTest("without the CSI driver whoever reaches the socket is believed")
        cls.node = release.nodes()[0]
        for name in ("alpha", "beta"):
            cls.enterClassContext(pods.namespace(name))
            cls.enterClassContext(pods.waiting(name, release.TEST_POD, pod=cls.node))
        pods.execute("alpha", "pod", "sh", "-c", "echo secret | larder import - --key plan")
        pods.execute("beta", "pod", "sh", "-c", "echo own | larder import - --key harvest")

    def refused(self, *command):
        done = pods.execute("beta", "pod", "larder", *command, check=False)
        self.assertEqual(done.returncode, PERMISSION_DENIED, done.stderr)
        self.assertNotIn("secret", done.stdout)

    def test_another_namespace_is_not_read(self):
        self.refused("-n", "alpha", "export", "plan")

    def test_another_namespace_is_not_listed(self):
        self.refused("-n", "alpha", "list")

    def test_another_namespace_is_not_deleted_from(self):
        self.refused("-n", "alpha", "delete", "plan")
        self.assertEqual(pods.execute("alpha", "pod", "larder", "export", "plan").stdout, "secret\n")

    def test_another_namespace_is_not_written(self):
        self.refused("-n", "alpha", "import", "/etc/passwd", "--key", "planted")

    def test_the_same_key_is_another_object(self):
        done = pods.execute("beta", "pod", "larder", "export", "plan", check=False)
        self.assertEqual(done.returncode, NOT_FOUND, done.stderr)

    def test_the_volume_is_read_only(self):
        """And cannot be listed: its sockets are known by their names."""
        command = "cd /run/larder && test -S data.sock && test -S control.sock && : >x"
        done = pods.execute("beta", "pod", "sh", "-c", command, check=False)
        self.assertIn("Read-only file system", done.stderr)

    def test_a_pod_cannot_name_itself_otherwise(self):
        """Attributes of the volume that pretend to be the kubelet's."""
        forged = pods.manifest("forged", "beta", release.TEST_POD, self.node)
        attributes = {"csi.storage.k8s.io/pod.namespace": "alpha"}
        forged["spec"]["volumes"][0]["csi"]["volumeAttributes"] = attributes
        pods.create(forged)
        self.addCleanup(pods.delete, "beta", "forged")
        done = pods.execute("beta", "forged", "larder", "list", "-o", "json")
        self.assertIn("harvest", done.stdout, "what is listed are the objects of beta")
        self.assertNotIn("plan", done.stdout)
        done = pods.execute("beta", "forged", "larder", "-n", "alpha", "list", check=False)
        self.assertEqual(done.returncode, PERMISSION_DENIED, done.stderr)
