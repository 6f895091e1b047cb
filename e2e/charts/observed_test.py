"""The chart's dashboards and alerts on a live system: each query finds data, each alert that can be made to speak does.
charts/larder/tests/tests.yaml has the conditions."""

import json
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "e2e/common"))
from agents import Agent, bin_dir  # noqa: E402
from prometheus import prometheus  # noqa: E402
from services import Service  # noqa: E402
from trackers import GRPC as TRACKER_GRPC  # noqa: E402
from trackers import Cluster  # noqa: E402

CHART = REPOSITORY / "charts/larder"
SDK = REPOSITORY / "libs/python/src"
GRPC, ADMIN = 7420, 7429
MIB = 1 << 20
PATIENCE = 90  # seconds; rates take a few scrapes, a takeover a lease
SESSION = "2s"
DRIVER = "csi.larder.io"
# Mounts of the agent's own, which come back to it as to a node by Bidirectional.
AS_DRIVER = 'mount --bind "$1" "$1" && mount --make-shared "$1" && shift && exec "$@"'
# Who is not root, or may not have mounts of its own, has no CSI driver.
MAY_MOUNT = subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode == 0
# Maps an object, and ends; a child goes on mapping it, without a connection that the agent could ask to let go.
HOLDER = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import larder
view = larder.connect(sys.argv[2]).get(sys.argv[3]).buffer
if os.fork() == 0:
    os.closerange(0, 1024)
    signal.pause()
os._exit(0)
"""


def rules():
    """As the chart renders them, for the release `larder` of the namespace `larder`."""
    documents = yaml.safe_load_all((CHART / "tests/golden/monitored.yaml").read_text())
    return next(document["spec"] for document in documents if document and document["kind"] == "PrometheusRule")


def queries():
    """(dashboard, panel, expression) of each query, its variables put in."""
    for path in sorted(CHART.glob("dashboards/*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"].replace("$namespace", "larder").replace("$node", ".*")
                yield path.stem, panel["title"], expression.replace("$__rate_interval", "10s")


class Observed(unittest.TestCase):
    def setUp(self):
        # Short: the path of a Unix socket has at most 107 bytes.
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp")))
        self.kubelet = self.dir / "k"
        session = {"node-session-timeout": SESSION}
        self.cluster = self.enterContext(Cluster(bin_dir() / "larder-tracker", self.dir, **session))
        trackers = ",".join(f"{tracker.host}:{TRACKER_GRPC}" for tracker in self.cluster.trackers)
        self.managers = []
        for number, tracker in enumerate(self.cluster.trackers[:2]):
            flags = {**session, "tracker": trackers, "leader-ttl": "2s", "listen-grpc": f"{tracker.host}:{GRPC}"}
            home = self.dir / f"manager-{number}"
            self.managers.append(Service(bin_dir() / "larder-peer-manager", home, tracker.host, ADMIN, flags))
            self.addCleanup(self.managers[-1].kill)
            self.managers[-1].start()
        managers = ",".join(f"{manager.host}:{GRPC}" for manager in self.managers)
        flags = [f"--tracker={trackers}", f"--peer-manager={managers}", "--arena=64MiB"]
        self.agents = []
        for number in range(3):
            home = self.dir / f"n{number}"
            binary, own = bin_dir() / "larder-agent", [f"--node-name=n{number}"]
            if number == 2 and MAY_MOUNT:
                binary = self.driver_of(binary)
                own += ["--identity=csi", f"--csi-kubelet-dir={self.kubelet}", f"--csi-run-dir={self.dir}/r"]
            self.agents.append(Agent(binary, home, *own, *flags))
            self.addCleanup(self.agents[-1].kill)
        self.prometheus = self.enterContext(
            prometheus(self.dir / "prometheus", self.cluster.trackers[2].host, "larder/larder", self.targets(), rules())
        )

    def driver_of(self, binary):
        """A program that runs the agent as a node's CSI driver, which is not root for long."""
        self.dir.chmod(0o755)
        for name in ("pods", "plugins_registry"):
            (self.kubelet / name).mkdir(parents=True)
        program = self.dir / "driver"
        run = shlex.join(["unshare", "--mount", "sh", "-c", AS_DRIVER, "sh", str(self.kubelet / "pods"), str(binary)])
        program.write_text(f'#!/bin/sh\nexec {run} "$@"\n')
        program.chmod(0o755)
        return program

    def targets(self):
        """Labels as charts/larder/templates/pod-monitor.yaml makes them."""
        for component, services in (
            ("tracker", self.cluster.trackers),
            ("peer-manager", self.managers),
            ("agent", self.agents),
        ):
            for number, service in enumerate(services):
                labels = {"namespace": "larder", "component": component, "pod": f"larder-{component}-{number}"}
                yield service.admin, labels | ({"node": f"n{number}"} if component == "agent" else {})

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what}: not within {PATIENCE} s")
            time.sleep(0.2)

    def larder(self, agent, *arguments, code=0, stdin=b""):
        done = subprocess.run(**self.agents[agent].larder(*arguments), input=stdin, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stderr.decode())

    # ---- the conditions

    def traffic(self):
        self.larder(0, "import", "-", "--key", "here", stdin=b"x" * MIB)
        self.larder(0, "export", "here")
        self.larder(1, "export", "here")
        self.larder(1, "export", "nowhere", code=3)
        self.larder(2, "import", "-", "--key", "only-here", stdin=b"y" * MIB)

    def refusals(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.connect(self.agents[0].endpoint.removeprefix("uds://") + "/data.sock")
            client.send(b"this is no record")
            self.assertLess(len(client.recv(4096)), 4096)

    def room_short(self):
        for number in range(10):
            self.larder(number % 2, "import", "-", "--key", f"much-{number}", stdin=b"m" * (8 * MIB))
        for number in range(10):
            self.larder(2, "export", f"much-{number}", "-O", "-")
        for number in range(10):
            self.larder(2, "delete", f"much-{number}")

    def volumes(self):
        for act in ("publish", "unpublish"):
            pods = ("1", "2") if act == "publish" else ("1",)
            subprocess.run(
                [bin_dir() / "cache_agent_kubelet", self.kubelet, DRIVER, act, *pods], check=True, timeout=60
            )

    def memory_held(self):
        self.larder(0, "import", "-", "--key", "held", stdin=b"z" * (20 * MIB))
        endpoint = self.agents[0].endpoint
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(SDK), endpoint, "held"], start_new_session=True)
        self.addCleanup(os.killpg, holder.pid, signal.SIGKILL)
        self.assertEqual(holder.wait(60), 0)
        self.larder(0, "delete", "held")

    def agents_killed(self):
        for agent in self.agents[1:]:
            agent.signal(signal.SIGKILL)

    def reads_fail(self):
        self.larder(0, "export", "only-here", code=7)
        failed = 'larder_agent_requests_total{op="get", code="UNAVAILABLE"}'
        self.until(lambda: self.prometheus.query(failed), "the first is seen")
        self.larder(0, "export", "only-here", code=7)  # a rate needs two

    def peer_manager_killed(self):
        self.managers[0].kill()

    def trackers_killed(self):
        for tracker in self.cluster.trackers[1:]:
            tracker.kill()

    def test_each_query_finds_data_and_each_alert_speaks_when_it_should(self):
        conditions = yaml.safe_load((CHART / "tests/tests.yaml").read_text())
        quiet = self.alerts_of(conditions, "memory held", "agents killed", "peer manager killed", "trackers killed")
        for condition, make in (
            ("traffic", self.traffic),
            ("refusals", self.refusals),
            ("room short", self.room_short),
            ("volumes", self.volumes),
        ):
            if condition == "volumes" and not MAY_MOUNT:
                print("without root there are no volumes: their queries are not asked")
                continue
            make()
            for dashboard, panel, expression in queries():
                if conditions["queries"][dashboard][panel] == condition:
                    self.until(lambda e=expression: self.prometheus.query(e), f"{dashboard}, {panel}: {expression}")
        for alert in self.alerts_of(conditions, "measured"):
            for expression in self.left_sides(alert):
                self.until(lambda e=expression: self.prometheus.query(e), f"{alert}: {expression}")
        for alert in quiet:
            self.assertEqual(self.speaks(alert), [], "while all is well")
        for condition, make in (
            ("memory held", self.memory_held),
            ("agents killed", self.agents_killed),
            ("reads fail", self.reads_fail),
            ("peer manager killed", self.peer_manager_killed),
            ("trackers killed", self.trackers_killed),
        ):
            make()
            for alert in self.alerts_of(conditions, condition):
                self.until(lambda a=alert: self.speaks(a), f"{alert}, after: {condition}")

    def alerts_of(self, conditions, *wanted):
        return [alert for alert, condition in conditions["alerts"].items() if condition in wanted]

    def speaks(self, alert):
        """Pending, too: how long it must last is promtool's to test."""
        return self.prometheus.query(f'ALERTS{{alertname="{alert}"}}')

    def left_sides(self, alert):
        for group in rules()["groups"]:
            for rule in group["rules"]:
                if rule.get("alert") == alert:
                    yield rule["expr"].rsplit(" > ", 1)[0]


if __name__ == "__main__":
    unittest.main()
