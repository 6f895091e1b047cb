"""The test cluster as tests see it: kubectl, helm, nodes, and objects that are gone when a test ends."""

import contextlib
import json
import os
import pathlib
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]
REGISTRY = os.environ.get("KUBE_REGISTRY", "10.200.0.1:5000")


def run(*command, check=True, input=None, seconds=120):
    """Runs a program; its result, with what it printed. AssertionError with that if it fails and `check`."""
    words = [str(word) for word in command]
    done = subprocess.run(words, input=input, capture_output=True, text=True, timeout=seconds)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def kubectl(*arguments, **how):
    return run(HERE / "kubectl", *arguments, **how)


def helm(*arguments, **how):
    return run(HERE / "helm", *arguments, **how)


def node(*arguments, **how):
    """`e2e/kube/node`: power, shell and cable of a machine."""
    return run(HERE / "node", *arguments, **how)


def get(kind, *arguments):
    """Objects of a kind, parsed."""
    return json.loads(kubectl("get", kind, *arguments, "-o", "json").stdout)


def items(kind, *arguments):
    return get(kind, *arguments)["items"]


def apply(*objects):
    """Creates or changes them: dicts as the API has them."""
    kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def wait_until(what, condition, seconds=60, pause=0.2):
    """Asks until it holds and gives what it said; AssertionError naming `what` when it has not after so long."""
    until = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < until, f"not after {seconds} s: {what}"
        time.sleep(pause)
    return answer


@contextlib.contextmanager
def namespace(name, standard):
    """A namespace under a Pod Security standard, with all that is in it gone afterwards."""
    labels = {"pod-security.kubernetes.io/enforce": standard}
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--ignore-not-found", seconds=330)
