"""What the chart renders as configuration is what the services take: every golden render, by the real programs."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from agents import bin_dir  # noqa: E402

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "charts/larder/tests/golden"
PROGRAMS = {"agent": "larder-agent", "tracker": "larder-tracker", "peer-manager": "larder-peer-manager"}


def workloads(render):
    """Program, configuration text and environment of each service that a render has."""
    documents = [document for document in yaml.safe_load_all(render.read_text()) if document]
    texts = {d["metadata"]["name"]: d["data"].get("config.yaml") for d in documents if d["kind"] == "ConfigMap"}
    for document in documents:
        if document["kind"] not in ("DaemonSet", "StatefulSet", "Deployment"):
            continue
        pod = document["spec"]["template"]["spec"]
        container = pod["containers"][0]
        config = next(v["configMap"]["name"] for v in pod["volumes"] if v["name"] == "config")
        variables = {v["name"]: v.get("value", "1") for v in container.get("env", [])}  # 1: what the pod's fields tell
        yield PROGRAMS[container["name"]], container["args"], texts[config], variables


class Configurations(unittest.TestCase):
    def test_each_service_takes_what_is_rendered_for_it(self):
        renders = sorted(GOLDEN.glob("*.yaml"))
        seen = set()
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / "config.yaml"
            for render in renders:
                for program, arguments, text, variables in workloads(render):
                    with self.subTest(render=render.name, program=program):
                        self.assertEqual(arguments, ["--config", "/etc/larder/config.yaml"])
                        file.write_text(text)
                        done = self.print_config(program, file, variables)
                        self.assertEqual(done.returncode, 0, done.stderr)
                        self.assertRegex(done.stdout, rf"admin: \S+  # {file}:\d+")  # and it is in force
                        seen.add(program)
        self.assertEqual(seen, set(PROGRAMS.values()))

    def test_a_setting_that_is_none_is_told(self):
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / "config.yaml"
            file.write_text("arenna: 1GiB\n")
            self.assertNotEqual(self.print_config("larder-agent", file, {}).returncode, 0)

    def print_config(self, program, file, variables):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LARDER_")}
        command = [bin_dir() / program, "--config", file, "--print-config"]
        return subprocess.run(command, env={**kept, **variables}, capture_output=True, text=True, timeout=60)


if __name__ == "__main__":
    unittest.main()
