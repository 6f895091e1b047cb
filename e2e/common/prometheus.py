"""A real Prometheus for end-to-end tests, of Debian's package."""

import contextlib
import json
import pathlib
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml


class Prometheus:
    """Answers queries at HOST:9090."""

    def __init__(self, host):
        self.address = f"{host}:9090"

    def query(self, expression):
        """The series that it gives now: labels and value."""
        url = f"http://{self.address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(url, timeout=10) as page:
            data = json.load(page)["data"]
        assert data["resultType"] == "vector", f"{expression}: a {data['resultType']}"
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=10):
                return True
        except (urllib.error.URLError, OSError):
            return False


@contextlib.contextmanager
def prometheus(directory, host, job, targets, rules, start_seconds=60):
    """One that reads `targets`, pairs of an address and its labels, as `job`, once a second, and evaluates `rules`, the
    content of a rule file, as often."""
    directory = pathlib.Path(directory)
    directory.mkdir()
    (directory / "rules.yaml").write_text(yaml.safe_dump(rules))
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [where], "labels": labels} for where, labels in targets]}
        ],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    server = Prometheus(host)
    command = [
        "prometheus",
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address={server.address}",
    ]
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until = time.monotonic() + start_seconds
        while not server.ready():
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError("prometheus did not start:\n" + (directory / "log").read_text())
            time.sleep(0.05)
        yield server
    finally:
        process.kill()
        process.wait()
