"""What the scripts say without installing or building anything: help, refusals and their exit codes."""
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    with tempfile.TemporaryDirectory() as elsewhere:  # they work from any folder
        return subprocess.run([ROOT / "scripts" / script, *arguments], cwd=elsewhere, capture_output=True, text=True)


class Scripts(unittest.TestCase):
    def test_each_explains_itself(self):
        for script in ("quickstart", "test", "check", "bench"):
            with self.subTest(script):
                done = run(script, "--help")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(f"usage: scripts/{script}", done.stdout)

    def test_each_refuses_what_it_does_not_know(self):
        for script in ("quickstart", "test", "check"):
            with self.subTest(script):
                done = run(script, "--nonsense")
                self.assertEqual(done.returncode, 2)
                self.assertRegex(done.stderr, f"^larder: {script}: unknown argument '--nonsense'")

    def test_refuses_two_builds_at_once(self):
        self.assertEqual(run("test", "--asan", "--tsan").returncode, 2)

    def test_refuses_kubernetes_tests_until_there_are_some(self):
        done = run("test", "--kube")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no chart yet", done.stderr)

    def test_check_names_the_checks_it_knows(self):
        done = run("check", "fromat")
        self.assertEqual(done.returncode, 2)
        self.assertIn("format", done.stderr)

    def test_check_prints_one_verdict_line(self):
        done = run("check", "docs")
        self.assertRegex(done.stdout.splitlines()[-2], r"^(ok  |FAIL)  docs +\d+ documents.*  \d+\.\d s$")
        self.assertRegex(done.stdout.splitlines()[-1], r"^\d checks passed, \d failed, 0 skipped$")

    def test_bench_names_the_suites_there_are(self):
        for arguments in ((), ("tracker-of-nothing",)):
            done = run("bench", *arguments)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, "[Tt]here are: ")


if __name__ == "__main__":
    unittest.main()
