"""What the chart brings along to test itself."""

import unittest

import kube
import release


class Helm(unittest.TestCase):
    def test_test_of_the_chart_passes(self):
        done = kube.helm("test", release.NAME, "--namespace", release.NAMESPACE, "--timeout", "120s", seconds=150)
        self.assertIn("Phase:          Succeeded", done.stdout)

    def test_every_workload_is_restricted_but_the_agent(self):
        """The agent mounts the volumes of pods; nothing else may be privileged, or root."""
        for pod in kube.items("pods", "-n", release.NAMESPACE):
            component = pod["metadata"]["labels"].get("app.kubernetes.io/component")
            for container in pod["spec"]["containers"]:
                context = {**pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
                with self.subTest(pod=pod["metadata"]["name"]):
                    self.assertTrue(context["readOnlyRootFilesystem"])
                    if component != "agent":
                        self.assertEqual(context["runAsUser"], 65532)
                        self.assertFalse(context.get("privileged", False))
                        self.assertEqual(context["capabilities"]["drop"], ["ALL"])
