"""What the tests of `larder` share: a running agent, a way to run a verb, bytes to store."""

import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from agents import bin_dir, build_settings, larder_dev  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
PATIENCE = 60  # seconds; nothing here takes more than a few


def pattern(size, seed=0):
    """Bytes in which no two pages are alike."""
    return random.Random(seed).randbytes(size)


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def sanitized():
    """Whether the tested programs have a sanitizer in them."""
    return bool(build_settings().get("LARDER_SANITIZE"))


class CliCase(unittest.TestCase):
    """One agent for all tests of a class; keys and files of each test are its own."""

    dev_arguments = ()

    @classmethod
    def setUpClass(cls):
        cls.larder = str(bin_dir() / "larder")
        cls.dev = cls.enterClassContext(larder_dev(cls.larder, arguments=cls.dev_arguments))

    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.prefix = f"t{uuid.uuid4().hex[:8]}"
        # No setting of whoever runs the tests.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LARDER_")}
        self.env = {**kept, "HOME": str(self.dir), "LARDER_ENDPOINT": self.dev.endpoint()}

    def key(self, name="k"):
        return f"{self.prefix}/{name}"

    def file(self, name, data):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path)

    def start(self, *args, **kwargs):
        """A running `larder`; ended with the test at the latest."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen([self.larder, *args], env=self.env, cwd=self.dir, **{**pipes, **kwargs})

        def end():
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()

        self.addCleanup(end)
        return process

    def run_larder(self, *args, stdin=b"", **kwargs):
        return subprocess.run(
            [self.larder, *args],
            env=self.env,
            cwd=self.dir,
            input=stdin,
            capture_output=True,
            timeout=PATIENCE,
            **kwargs,
        )

    def ok(self, *args, stdin=b""):
        """stdout of what must succeed without a word on stderr."""
        done = self.run_larder(*args, stdin=stdin)
        self.assertEqual((done.returncode, done.stderr), (0, b""), args)
        return done.stdout

    def json(self, *args, stdin=b""):
        return json.loads(self.ok(*args, "-o", "json", stdin=stdin))

    def fails(self, code, *args, stdin=b"", says="", lines=1):
        """What must fail with `code` and one line (or so many) on stderr; returns stdout."""
        done = self.run_larder(*args, stdin=stdin)
        stderr = done.stderr.decode(errors="replace")
        self.assertEqual(done.returncode, code, stderr)
        self.assertEqual(stderr.count("\n"), lines, stderr)
        for line in stderr.splitlines():
            self.assertRegex(line, r"^larder: .+")
        self.assertIn(says, stderr)
        return done.stdout

    def until(self, condition, what):
        """Asks again and again; the pause is only to be polite."""
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, f"never: {what}")
            time.sleep(0.01)

    def creating(self, key):
        """Whether somebody is creating `key` now."""
        done = self.run_larder("stat", key, "-o", "json")
        return done.returncode == 0 and json.loads(done.stdout)["state"] == "CREATING"
