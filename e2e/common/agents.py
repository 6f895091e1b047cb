"""Real agents for end-to-end tests: `larder dev` in a directory of its own, stopped with the block."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

from metrics import metric


class Dev:
    """A running `larder dev`: `agents` and `tracker` as its ready file tells them, `dir` its data."""

    def __init__(self, process, directory, ready):
        self.process = process
        self.dir = directory
        self.agents = ready["agents"]
        self.tracker = ready["tracker"]

    def endpoint(self, index=0):
        return "uds://" + self.agents[index]["socket_dir"]


@contextlib.contextmanager
def larder_dev(binary, agents=1, arguments=(), start_seconds=60):
    """Starts `binary dev`, waits for its ready file, yields a Dev; SIGTERM at the end must give exit code 0."""
    # Short: the path of a Unix socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp") as name:
        directory = pathlib.Path(name)
        ready_file = directory / "ready.json"
        command = [
            binary,
            "dev",
            "--agents",
            str(agents),
            "--dir",
            str(directory / "d"),
            "--ready-file",
            str(ready_file),
        ]
        with open(directory / "log", "wb") as log:
            process = subprocess.Popen(
                [*command, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            until = time.monotonic() + start_seconds
            while not ready_file.exists():
                try:
                    process.wait(0.05)
                except subprocess.TimeoutExpired:
                    pass
                if process.returncode is not None or time.monotonic() > until:
                    raise AssertionError("larder dev did not start:\n" + (directory / "log").read_text())
            yield Dev(process, directory, json.loads(ready_file.read_text()))
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
        assert code == 0, f"larder dev ended with {code}:\n" + (directory / "log").read_text()


class Agent:
    """A `larder-agent` that serves when the constructor returns; it can be ended and started again, on the same
    directories. Of flags of one name the last counts."""

    def __init__(self, binary, directory, *flags):
        self.endpoint = f"uds://{directory}/run"
        self._log = directory / "log"
        directory.mkdir(exist_ok=True)
        where = [f"--socket-dir={directory}/run", f"--data-dir={directory}/data"]
        listen = ["--listen-admin=127.0.0.1:0", "--listen-pieces=127.0.0.1:0"]
        by_name = {flag.split("=")[0]: flag for flag in (*where, *listen, "--log-format=json", *flags)}
        self._command = [str(binary), *by_name.values()]
        self.start()

    def start(self, seconds=30):
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + seconds
        while '"event":"started"' not in self._log.read_text():
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                pass
            if self._process.returncode is not None or time.monotonic() > until:
                self._process.kill()
                raise AssertionError("larder-agent did not start:\n" + self._log.read_text())

    def larder(self, *arguments):
        """How subprocess runs `larder` with this agent, untouched by the caller's own settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LARDER_")}
        environment = {**kept, "HOME": str(self._log.parent), "LARDER_ENDPOINT": self.endpoint}
        return {"args": [str(bin_dir() / "larder"), *arguments], "env": environment}

    @property
    def admin(self):
        """The address of its admin port."""
        port = re.search(r'"event":"admin port serving".*?"port":(\d+)', self._log.read_text()).group(1)
        return f"127.0.0.1:{port}"

    def metric(self, series):
        return metric(self.admin, series)

    @property
    def pid(self):
        return self._process.pid

    def signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        """Whether or not it runs."""
        self._process.kill()
        self._process.wait()

    def end(self, by):
        """Waits for its end; a SIGTERM must give exit code 0."""
        self._process.send_signal(by)
        code = self._process.wait(30)
        assert code == (0 if by == signal.SIGTERM else -by), f"it ended with {code}:\n" + self._log.read_text()


def bin_dir():
    """Where the built binaries lie: LARDER_BIN, set by CTest."""
    return pathlib.Path(os.environ["LARDER_BIN"])


def build_settings():
    """What CMake was told about the build that they are of, by name."""
    cache = (bin_dir().parent / "CMakeCache.txt").read_text()
    return dict(re.findall(r"^(\w+):\w+=(.*)$", cache, re.MULTILINE))
