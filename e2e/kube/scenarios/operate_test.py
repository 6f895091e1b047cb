"""What operators do with an installation: upgrades that the chart must refuse, and the commands of the runbooks."""

import re
import unittest

import kube
import release

RUNBOOKS = kube.ROOT / "docs/runbooks"
# They change something: an operator decides.
CHANGES = re.compile(r"\b(taint|patch|delete|apply|upgrade|rollback|cordon)\b")


def commands():
    """(runbook, command) of each line that is one."""
    for page in sorted(RUNBOOKS.glob("*.md")):
        for line in page.read_text().splitlines():
            if line.startswith("    ") and line.strip().startswith(("kubectl ", "helm ")):
                yield page.name, line.strip()


def put_in(command, agent):
    """The command with names in place of its words in capitals; of logs, those of a first start."""
    peers = f"{release.NAME}-tracker-peers.{release.NAMESPACE}.svc"
    command = re.sub(r"TRACKER-(\d)", rf"{release.NAME}-tracker-\1.{peers}", command)
    command = (
        command.replace("RELEASE", release.NAME)
        .replace(" --previous", "")
        .replace("-n larder", f"-n {release.NAMESPACE}")
    )
    return re.sub(r"\b(POD|AGENT)\b", agent, command).split("|")[0].replace("'", "").split()


class Operate(unittest.TestCase):
    def test_an_upgrade_that_cannot_be_is_refused_with_all_that_is_wrong(self):
        settings = ("tracker.replicas=5", "metrics.podMonitor.enabled=true", "metrics.rules.enabled=true")
        options = [word for setting in settings for word in ("--set", setting)]
        command = ("upgrade", release.NAME, release.CHART, "--namespace", release.NAMESPACE, "--reuse-values")
        done = kube.helm(*command, *options, "--dry-run=server", check=False)
        self.assertNotEqual(done.returncode, 0)
        for words in (
            "tracker.replicas: is 3, and cannot be changed to 5 yet",
            "networkPolicy.metricsFrom: names nobody",
            "metrics.podMonitor.enabled: the cluster has no PodMonitor",
            "metrics.rules.enabled: the cluster has no PrometheusRule",
        ):
            self.assertIn(words, done.stderr)

    def test_a_namespace_that_refuses_agents_is_named_before_anything_is_made(self):
        with kube.namespace("strict", "restricted") as strict:
            done = kube.helm("install", "other", release.CHART, "--namespace", strict, "--dry-run=server", check=False)
        self.assertIn(f"kubectl label namespace {strict} pod-security.kubernetes.io/enforce=privileged", done.stderr)

    def test_renders_are_what_the_api_knows(self):
        """But for the objects of the Prometheus operator, which is not there."""
        renders = sorted((release.CHART / "tests/golden").glob("*.yaml"))
        self.assertGreater(len(renders), 3)
        kube.run(kube.HERE / "kubeconform", "-strict", "-skip", "PodMonitor,PrometheusRule", *renders)

    def test_commands_of_the_runbooks_work(self):
        agent = release.pods_of("agent")[0]["metadata"]["name"]
        tried = 0
        for page, command in commands():
            if CHANGES.search(command):
                continue
            with self.subTest(runbook=page, command=command):
                program, *arguments = put_in(command, agent)
                (kube.helm if program == "helm" else kube.kubectl)(*arguments)
                tried += 1
        self.assertGreater(tried, 20)
