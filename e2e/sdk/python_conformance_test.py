"""The Python SDK's conformance tests against a real agent, and README's Python lines as printed."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "e2e" / "common"))
from agents import bin_dir, larder_dev  # noqa: E402


def environment(**extra):
    return {**os.environ, "PYTHONPATH": str(ROOT / "libs/python/src"), "PYTHONDONTWRITEBYTECODE": "1", **extra}


class AgainstARealAgent(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dev = cls.enterClassContext(larder_dev(str(bin_dir() / "larder")))

    def assert_conformance(self, dev):
        run = subprocess.run(
            [sys.executable, "-m", "unittest", "discover", "-s", "tests", "-k", "Conformance"],
            cwd=ROOT / "libs/python",
            env=environment(LARDER_TEST_ENDPOINT=dev.endpoint()),
            capture_output=True,
            text=True,
            timeout=300,
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertNotIn("Ran 0 tests", run.stderr)

    def test_the_sdk_behaves_as_against_its_twin(self):
        self.assert_conformance(self.dev)

    def test_the_sdk_behaves_the_same_where_objects_lie_on_disk(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            config.write("cache_agent:\n  store: file\n")
            config.flush()
            with larder_dev(str(bin_dir() / "larder"), arguments=("--config", config.name)) as dev:
                self.assert_conformance(dev)

    def test_the_readmes_python_lines_run_as_printed(self):
        block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL).group(1)
        code = block.replace("uds:///run/larder", self.dev.endpoint())
        self.assertNotEqual(code, block)
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=60
        )
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "b'Hello'\n", ""))

    def test_the_readmes_next_commands_run_as_printed(self):
        text = (ROOT / "README.md").read_text()
        block = next(part for part in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "larder list" in part)
        env = environment(LARDER_ENDPOINT=self.dev.endpoint(), PATH=f"{bin_dir()}:{os.environ['PATH']}")
        for line in block.strip().splitlines():
            with self.subTest(line):
                run = subprocess.run(["sh", "-ec", line], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
                self.assertEqual((run.returncode, run.stderr), (0, ""), run.stdout)


if __name__ == "__main__":
    unittest.main()
