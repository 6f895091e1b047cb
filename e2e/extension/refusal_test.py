"""What a user sees of an extension that is not there, is there twice, or cannot start."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "common"))
from agents import bin_dir  # noqa: E402

INVALID_ARGUMENT = 2  # as an exit code


class Refusal(unittest.TestCase):
    def setUp(self):
        # Short: the path of a Unix socket has at most 107 bytes.
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp")))

    def start(self, *command):
        """What a program that must not start says, and its exit code."""
        done = subprocess.run([bin_dir() / command[0], *command[1:]], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr, done.returncode

    def dev(self, binary, store):
        (self.dir / "dev.yaml").write_text(f"cache_agent: {{store: {store}}}\n")
        return self.start(
            binary, "dev", "--agents", "1", "--dir", str(self.dir / "d"), "--config", str(self.dir / "dev.yaml")
        )

    def agent(self, store):
        return self.start(
            "larder-agent",
            *("--socket-dir", str(self.dir / "s"), "--data-dir", str(self.dir / "d/node-0")),
            *("--store", store, "--identity", "open", "--arena", "64MiB", "--listen-admin", "127.0.0.1:0"),
        )

    def test_an_unknown_store_is_refused_with_the_nearest_known_one(self):
        for said, code in (self.dev("larder", "memori"), self.agent("memori")):
            self.assertIn("no store is named 'memori' (did you mean 'memory'?)", said)
            self.assertEqual(code, INVALID_ARGUMENT, said)

    def test_an_unknown_scheme_is_refused_with_the_nearest_known_one(self):
        said, code = self.start("larder", "list", "-e", "udss:///run/larder")
        self.assertIn("no transport is named 'udss' (did you mean 'uds'?)", said)
        self.assertEqual(code, INVALID_ARGUMENT)

    def test_a_name_taken_twice_stops_the_start_whatever_is_asked_for(self):
        for store in ("toy", "memory"):
            said, code = self.dev("larder-with-twice", store)
            self.assertIn("two stores are named 'toy'", said)
            self.assertEqual(code, INVALID_ARGUMENT)

    def test_a_factory_that_fails_stops_the_start_with_what_it_was_given(self):
        data = self.dir / "d/node-0"
        data.mkdir(parents=True)
        (data / "objects").write_text("in the way")
        for said, _ in (self.dev("larder", "file"), self.agent("file")):
            self.assertIn(f"store 'file' with data_dir '{data}'", said)


if __name__ == "__main__":
    unittest.main()
