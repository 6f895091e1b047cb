"""Readers and writers in pods, and what they lived through."""

import contextlib
import json

import kube
import pods

PROGRAM = ["/usr/bin/python3.11", "/opt/larder/traffic.py"]


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Log:
    """What one pod did: `operations` in their order, as pods/traffic.py prints them."""

    def __init__(self, pod, operations):
        self.pod = pod
        self.operations = operations

    def of(self, op):
        return [line for line in self.operations if line["op"] == op]

    def failures(self, op):
        return [line for line in self.of(op) if line["error"]]

    def succeeded(self, op):
        """The keys of those that did not fail."""
        return [line["key"] for line in self.of(op) if not line["error"]]

    def longest_gap(self, op, begin, end):
        """Seconds of [begin, end] in which nothing succeeded, at most at a stretch."""
        times = [begin, *(line["at"] for line in self.of(op) if not line["error"] and begin < line["at"] < end), end]
        return max(later - earlier for earlier, later in zip(times, times[1:]))

    def describe(self, op, begin, end):
        took = [line["took"] for line in self.of(op) if not line["error"]]
        p99 = f"{percentile(took, 0.99) * 1000:.1f} ms" if took else "-"
        return (
            f"{self.pod}: {op}: {len(self.of(op))} operations, {len(self.failures(op))} failures, "
            f"longest gap {self.longest_gap(op, begin, end):.2f} s, p99 {p99}"
        )


def parse(pod, text):
    return Log(pod, [json.loads(line) for line in text.splitlines() if line.startswith("{")])


def seed(namespace, pod, count):
    """Has a waiting pod put objects; their keys."""
    log = parse(pod, pods.execute(namespace, pod, *PROGRAM, "write", "seed", str(count)).stdout)
    assert not log.failures("write"), log.failures("write")
    return [line["key"] for line in log.of("write")]


def check(namespace, pod, keys):
    """Has a waiting pod read each key once; what it could not."""
    done = pods.execute(namespace, pod, *PROGRAM, "check", input="\n".join(keys), seconds=300)
    log = parse(pod, done.stdout)
    assert len(log.operations) == len(keys), f"{len(log.operations)} of {len(keys)} were tried: {done.stderr}"
    return log.failures("check")


class Traffic:
    """Pods that read and write until asked what happened. Made by `running`."""

    def __init__(self, namespace, image):
        self._namespace = namespace
        self._image = image
        self._names = []

    def _start(self, name, node, *arguments):
        command = [*PROGRAM, *arguments]
        pods.create(pods.manifest(name, self._namespace, self._image, node, command, restarts=False, grace=60))
        self._names.append(name)
        kube.wait_until(f"{name} has done something", lambda: self.log(name).operations)

    def read(self, node, keys):
        self._start(f"reader-{node}", node, "read", *keys)

    def write(self, node, prefix="written"):
        """Keys below the prefix."""
        self._start(f"writer-{node}", node, "write", prefix)

    def log(self, name):
        """AssertionError with the end of it if the pod does not run any more: what it printed is then not all."""
        text = kube.kubectl("-n", self._namespace, "logs", name, "--tail=-1").stdout
        status = kube.get("pod", name, "-n", self._namespace)["status"]
        restarts = sum(container["restartCount"] for container in status["containerStatuses"])
        if status["phase"] != "Running" or restarts:
            raise AssertionError(f"{name} is {status['phase']}, restarted {restarts} times:\n{text[-2000:]}")
        return parse(name, text)

    def wait_for_more(self, name, op, count, seconds=60):
        """Until the pod has succeeded so many times more than now."""

        def succeeded():
            return len(self.log(name).succeeded(op))

        wanted = succeeded() + count
        kube.wait_until(f"{name}: {op} succeeds {count} times more", lambda: succeeded() >= wanted, seconds, pause=1)

    def stop(self):
        if self._names:
            pods.delete(self._namespace, *self._names)
            self._names = []


@contextlib.contextmanager
def running(namespace, image):
    traffic = Traffic(namespace, image)
    try:
        with kube.saved_on_trouble(f"{namespace}-traffic"):
            yield traffic
    finally:
        traffic.stop()
