"""A service as a process, for end-to-end tests."""

import signal
import subprocess
import time

from metrics import metric


class Service:
    """A program of ours on an address of its own, which can be ended and started again. `flags` by their names, without
    those that every service has."""

    def __init__(self, binary, directory, host, admin, flags):
        self.host = host
        self.log = directory / "log"
        directory.mkdir()
        self._binary = str(binary)
        self.admin = f"{host}:{admin}"
        self._flags = {"log-format": "json", "listen-admin": self.admin, **flags}
        self._process = None

    def _command(self, **other):
        flags = {**self._flags, **{name.replace("_", "-"): value for name, value in other.items()}}
        return [self._binary, *(word for name, value in flags.items() for word in (f"--{name}", value))]

    def start(self, seconds=60):
        """Returns once it serves."""
        with open(self.log, "ab") as log:
            seen = log.tell()
            self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + seconds
        while b'"event":"started"' not in self.log.read_bytes()[seen:]:
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                pass
            if self._process.returncode is not None or time.monotonic() > until:
                self.kill()
                raise AssertionError(f"{self._binary} did not start:\n" + self.log.read_text())

    def run_to_its_end(self, seconds=60, **flags):
        """Of one that must not start, with other flags: its exit code and what it says."""
        ended = subprocess.run(self._command(**flags), capture_output=True, text=True, timeout=seconds)
        return ended.returncode, ended.stderr

    @property
    def running(self):
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self):
        return self._process.pid

    def signal(self, number):
        self._process.send_signal(number)

    def wait(self, seconds=60):
        return self._process.wait(seconds)

    def kill(self):
        if self.running:
            self._process.kill()
            self._process.wait()

    def stop(self):
        """SIGTERM, which must give exit code 0."""
        self.signal(signal.SIGTERM)
        code = self.wait()
        assert code == 0, f"it ended with {code}:\n" + self.log.read_text()

    def metric(self, series):
        return metric(self.admin, series)
