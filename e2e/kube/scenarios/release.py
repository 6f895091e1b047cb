"""Larder as the chart installs it, once for all scenarios."""

import collections
import functools
import hashlib
import json
import math
import os

import kube
import metrics

NAME = "larder"
NAMESPACE = "larder"
TAG = os.environ.get("LARDER_IMAGE_TAG", "")
IMAGES = f"{kube.REGISTRY}/larder"
TEST_POD = f"{IMAGES}/test-pod:{TAG}"
CHART = kube.ROOT / "charts/larder"
DRIVER = "csi.larder.io"
HASH = hashlib.sha256(f"{NAMESPACE}/{NAME}".encode()).hexdigest()[:8]
RUN_DIR = f"/run/larder-agent/{HASH}"
TRACKER_ADMIN = 7419
AGENT_ADMIN = 7469
COMPONENTS = ("agent", "tracker", "peer-manager")
VALUES = kube.HERE / "values.yaml"
UNINSTALL = ("uninstall", NAME, "--namespace", NAMESPACE, "--wait")


def install(seconds=110):
    """Returns once every workload is Ready, on every node; AssertionError with what Kubernetes says of those that are
    not."""
    done = kube.helm(
        *("install", NAME, CHART, "--namespace", NAMESPACE, "--create-namespace", "--values", VALUES),
        *("--set", f"image.registry={IMAGES}", "--set", f"image.tag={TAG}", "--wait", "--timeout", f"{seconds}s"),
        check=False,
        seconds=seconds + 30,
    )
    if done.returncode != 0:
        pods = kube.kubectl("-n", NAMESPACE, "get", "pods", "-o", "wide").stdout
        events = kube.kubectl("-n", NAMESPACE, "get", "events", "--field-selector", "type=Warning").stdout
        raise AssertionError(f"{done.stderr}{pods}{events}")
    # helm lets as many agents be missing as an update may.
    kube.wait_until("every node has an agent that is Ready", has_every_agent, 60)
    if expects_csi():
        kube.kubectl("get", "csidriver", DRIVER)


def revision():
    """The last one that Helm knows of."""
    history = kube.helm("history", NAME, "--namespace", NAMESPACE, "-o", "json").stdout
    return max(entry["revision"] for entry in json.loads(history))


def has_every_agent():
    (agents,) = kube.items("daemonsets", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=agent")
    status = agents["status"]
    return status["numberReady"] == status["desiredNumberScheduled"] == len(nodes())


def uninstall(seconds=120):
    kube.helm(*UNINSTALL, "--timeout", f"{seconds}s", seconds=seconds + 30)


def pods_of(component, node=None):
    """The running pods of a component, as the API has them."""
    arguments = ["-n", NAMESPACE, "-l", f"app.kubernetes.io/component={component}"]
    if node:
        arguments += ["--field-selector", f"spec.nodeName={node}"]
    return [pod for pod in kube.items("pods", *arguments) if "deletionTimestamp" not in pod["metadata"]]


def leading_tracker():
    """The pod of the tracker that leads; None while none does."""

    def leads(pod):
        return metrics.metric(f"{pod['status'].get('podIP')}:{TRACKER_ADMIN}", "larder_raft_is_leader") == 1

    return next((pod for pod in pods_of("tracker") if leads(pod)), None)


def is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


class Publishing:
    """How long the agents took to give pods their volumes since this object was made."""

    def __init__(self):
        self._before = self._sum()

    @staticmethod
    def _sum():
        total = collections.Counter()
        for pod in pods_of("agent"):
            address = f"{pod['status'].get('podIP')}:{AGENT_ADMIN}"
            total.update(metrics.buckets(address, "larder_csi_request_duration_seconds", 'op="publish"'))
        return total

    def count(self):
        return self._since().get(math.inf, 0)

    def p99(self):
        """Seconds, at most: a bound of the histogram."""
        since = self._since()
        return min(bound for bound, covered in since.items() if covered >= 0.99 * since[math.inf])

    def describe(self):
        return f"{self.count()} volumes published, p99 at most {self.p99() * 1000:.0f} ms"

    def _since(self):
        return {bound: covered - self._before[bound] for bound, covered in self._sum().items()}


def larder():
    """The command line in an agent's container, with what it takes to reach its sockets."""
    return ["/usr/bin/larder", "-e", "uds:///run/larder" if expects_csi() else f"uds://{RUN_DIR}"]


@functools.cache
def values():
    """What the release was installed with, the chart's own values included."""
    return json.loads(kube.helm("get", "values", NAME, "--namespace", NAMESPACE, "--all", "-o", "json").stdout)


def expects_csi():
    """As the values say, and not as the cluster looks: a driver that is missing is a failure, not another mode."""
    return values()["csi"]["enabled"]


def replace(component, node):
    """Deletes the pods of a component on a node, and returns once the next ones are Ready."""
    old = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in pods_of(component, node)}
    kube.kubectl("-n", NAMESPACE, "delete", "pod", *old.values(), "--wait", "--timeout=150s", seconds=180)

    def ready():
        new = [pod for pod in pods_of(component, node) if pod["metadata"]["uid"] not in old]
        return len(new) == len(old) and all(map(is_ready, new))

    kube.wait_until(f"the next {component} of {node} is Ready", ready, 120)


def nodes():
    return [node["metadata"]["name"] for node in kube.items("nodes")]
