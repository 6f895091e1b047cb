"""Pods of users: with Larder's volume or without, each on a node of the test's choice."""

import contextlib
import functools

import kube
import release

# What the restricted Pod Security standard asks of every container.
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@functools.cache
def larder_volume():
    """As the installed chart offers it: through its CSI driver, or the directory of the node's sockets."""
    if release.expects_csi():
        return {"csi": {"driver": release.DRIVER}}
    return {"hostPath": {"path": release.RUN_DIR, "type": "Directory"}}


@contextlib.contextmanager
def namespace(name):
    """A namespace for pods of users, under the restricted Pod Security standard unless they mount from the host."""
    with kube.namespace(name, "restricted" if release.expects_csi() else "privileged"):
        yield name


def manifest(name, namespace, image, node=None, command=None, volume=True, restarts=True, grace=1):
    """A pod. Without a command it waits, to be used by `execute`. One that does not restart ends with its program, which
    has `grace` seconds for it when the pod is deleted."""
    # Always: while one works on these tests, other contents may have the same tag.
    container = {"name": "main", "image": image, "imagePullPolicy": "Always", "securityContext": RESTRICTED}
    if command:
        container["command"] = list(command)
    spec = {"containers": [container], "terminationGracePeriodSeconds": grace, "automountServiceAccountToken": False}
    if not restarts:
        spec["restartPolicy"] = "Never"
    if node:
        spec["nodeName"] = node
    if volume:
        container["volumeMounts"] = [{"name": "larder", "mountPath": "/run/larder"}]
        spec["volumes"] = [{"name": "larder", **larder_volume()}]
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def wait_ready(namespace, *names, seconds=90):
    """AssertionError with what the pods' events say if one is not Ready in time."""
    pods = [f"pod/{name}" for name in names]
    done = kube.kubectl(
        "-n",
        namespace,
        "wait",
        "--for=condition=Ready",
        f"--timeout={seconds}s",
        *pods,
        check=False,
        seconds=seconds + 30,
    )
    if done.returncode != 0:
        events = kube.kubectl("-n", namespace, "get", "events", "--sort-by=.lastTimestamp").stdout
        raise AssertionError(f"{done.stderr}{events}")


def create(*manifests, seconds=90):
    """Pods of one namespace, and returns once all are Ready."""
    kube.apply(*manifests)
    wait_ready(manifests[0]["metadata"]["namespace"], *(m["metadata"]["name"] for m in manifests), seconds=seconds)


def delete(namespace, *names):
    kube.kubectl("-n", namespace, "delete", "pod", *names, "--wait", "--timeout=300s", seconds=330)


def execute(namespace, name, *command, **how):
    return kube.kubectl("-n", namespace, "exec", "-i", name, "--", *command, **how)


@contextlib.contextmanager
def waiting(namespace, image, **nodes):
    """Pods that wait, by name the node of each; gone afterwards."""
    create(*(manifest(name, namespace, image, node) for name, node in nodes.items()))
    try:
        with kube.saved_on_trouble(f"{namespace}-waiting"):
            yield
    finally:
        delete(namespace, *nodes)
