"""The test cluster as tests see it: kubectl, helm, nodes, and objects that are gone when a test ends."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]
# As the programs beside this folder have them.
REGISTRY, LOG = subprocess.run(
    ["bash", "-c", 'source "$0" && echo "$REGISTRY" && echo "$LOG"', HERE / "common.sh"],
    check=True,
    capture_output=True,
    text=True,
).stdout.split()

# Whether figures are held to what is asked, and not only to what tells of a defect: set by run --long.
exact = False


def run(*command, check=True, input=None, seconds=120):
    """Runs a program; its result, with what it printed. AssertionError with that if it fails and `check`, or if it has
    not ended after so long. It and what it started are killed then, and when this is interrupted."""
    words = [str(word) for word in command]
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    with subprocess.Popen(words, **pipes, text=True, start_new_session=True) as process:
        try:
            out, err = process.communicate(input or "", timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"{' '.join(words)} took more than {seconds} s:\n{out}{err}") from None
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if check and process.returncode != 0:
        raise AssertionError(f"{' '.join(words)} ended with {process.returncode}:\n{out}{err}")
    return subprocess.CompletedProcess(words, process.returncode, out, err)


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


def save(label):
    """Keeps what the cluster tells of its pods, for whoever looks into a failure: in $KUBE_DIR/log/trouble/LABEL."""
    folder = pathlib.Path(LOG) / "trouble" / label
    folder.mkdir(parents=True, exist_ok=True)

    def keep(name, *arguments):
        done = kubectl(*arguments, "--request-timeout=10s", check=False, seconds=30)
        (folder / name).write_text(done.stdout + done.stderr)
        return done.stdout

    keep("events", "get", "events", "-A", "--sort-by=.lastTimestamp")
    keep("pods.yaml", "get", "pods", "-A", "-o", "yaml")
    for line in keep("pods", "get", "pods", "-A", "-o", "wide", "--no-headers").splitlines():
        place, pod = line.split()[:2]
        logs = ("-n", place, "logs", pod, "--all-containers", "--tail=2000")
        keep(f"{place}.{pod}.log", *logs)
        keep(f"{place}.{pod}.previous.log", *logs, "--previous")


@contextlib.contextmanager
def saved_on_trouble(label):
    """Before what a failing block made is deleted."""
    try:
        yield
    except Exception:
        save(label)
        raise


@contextlib.contextmanager
def namespace(name, standard):
    """A namespace under a Pod Security standard, with all that is in it gone afterwards."""
    labels = {"pod-security.kubernetes.io/enforce": standard}
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--ignore-not-found", seconds=330)
