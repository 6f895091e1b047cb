"""What the chart brings along to test itself."""

import sys
import unittest

import kube
import release

sys.path.append(str(kube.ROOT / "scripts/lib"))
import chart_renders


REPLICAS = {"tracker": "tracker", "peer-manager": "peerManager"}  # their part of the values


class Helm(unittest.TestCase):
    def test_test_of_the_chart_passes(self):
        done = kube.helm("test", release.NAME, "--namespace", release.NAMESPACE, "--timeout", "120s", seconds=150)
        self.assertIn("Phase:          Succeeded", done.stdout)

    def test_every_pod_is_restricted_but_for_what_is_listed(self):
        """As they run, all containers of them, by what renders of the chart are held to."""
        wanted = {"agent": len(release.nodes())}
        wanted |= {name: release.values()[key]["replicas"] for name, key in REPLICAS.items()}
        for component, count in wanted.items():
            found = release.pods_of(component)
            with self.subTest(component=component):
                self.assertEqual(len(found), count)
                self.assertEqual([chart_renders.pod_problems(pod) for pod in found], [[]] * count)
