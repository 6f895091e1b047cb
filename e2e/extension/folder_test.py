"""Two toy folders in a second root: the same program, with them in its lists, runs on them by config alone."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "common"))
from agents import bin_dir, larder_dev  # noqa: E402

WITH_TOYS = str(bin_dir() / "larder-with-toys")


def run(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, timeout=120)


class Folder(unittest.TestCase):
    def test_larder_dev_runs_on_a_toy_backend_by_config_alone(self):
        content = os.urandom(3_000_001)
        with tempfile.TemporaryDirectory(prefix="larder-") as name:
            directory = pathlib.Path(name)
            (directory / "in").write_bytes(content)
            (directory / "dev.yaml").write_text("cache_agent: {store: toy, disk: {max_bytes: 4MiB}}\n")
            with larder_dev(WITH_TOYS, arguments=["--config", str(directory / "dev.yaml")]) as dev:

                def larder(*arguments):
                    return run(WITH_TOYS, *arguments, "-e", dev.endpoint())

                done = larder("import", directory / "in", "--key", "models/weights")
                self.assertEqual(done.returncode, 0, done.stderr)
                done = larder("export", "models/weights", "-O", directory / "out")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual((directory / "out").read_bytes(), content)
                # It is the toy that holds them: a second one is more than it was given.
                done = larder("import", directory / "in", "--key", "models/more")
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(b"3000001 of 4194304 are in use", done.stderr)

    def test_a_toy_transport_is_an_endpoints_scheme(self):
        done = run(WITH_TOYS, "list", "-e", "toy://nobody")
        self.assertIn(b"nobody listens at 'nobody'", done.stderr)
        done = run(WITH_TOYS, "list", "-e", "toi://nobody")
        self.assertIn(b"did you mean 'toy'?", done.stderr)
        done = run(bin_dir() / "larder", "list", "-e", "toy://nobody")
        self.assertIn(b"no transport is named 'toy'", done.stderr)

    def test_the_contract_suites_run_over_the_toys_unasked(self):
        binary = bin_dir() / "contracts-with-toys"
        done = run(binary, "--gtest_filter=*toy*-*_file")
        said = done.stdout.decode()
        self.assertEqual(done.returncode, 0, said)
        for suite, case in (("BackendContract", "toy"), ("TransportContract", "toy_single_toy")):
            self.assertRegex(said, rf"\[       OK \] Registry/{suite}\.\w+/{case} ")


if __name__ == "__main__":
    unittest.main()
