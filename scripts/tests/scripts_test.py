"""What the scripts say without installing or building anything: help, refusals and their exit codes."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
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
        for other in ("--tsan", "--fuzz", "--coverage"):
            self.assertEqual(run("test", "--asan", other).returncode, 2)

    def test_kubernetes_tests_have_one_build(self):
        self.assertEqual(run("test", "--asan", "--kube").returncode, 2)

    def test_skips_kubernetes_tests_without_go_and_says_so(self):
        with tempfile.TemporaryDirectory() as folder:
            for program in ("bash", "dirname", "env"):
                pathlib.Path(folder, program).symlink_to(shutil.which(program))
            command = [ROOT / "scripts/test", "--kube"]
            done = subprocess.run(command, env={"PATH": folder}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertRegex(done.stdout, "^== kube: SKIPPED: no go on the PATH")

    def test_every_scenario_can_be_loaded(self):
        """Those of --long, too, which no other test without a cluster touches."""
        done = subprocess.run([ROOT / "e2e/kube/run", "--long", "--list"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        listed = {line.split(".")[1] for line in done.stdout.split()}
        self.assertEqual(
            listed, {path.stem.removesuffix("_test") for path in ROOT.glob("e2e/kube/scenarios/*_test.py")}
        )

    # They are run only now and then: code that changes under them would not be noticed.
    def test_every_mutant_can_be_made(self):
        done = run("mutants", "--check")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_cluster_knows_which_networks_overlap(self):
        cases = {
            ("10.244.0.0/16", "10.244.3.0/24"): True,
            ("10.244.0.0/16", "10.245.0.0/16"): False,
            ("10.0.0.0/8", "10.96.0.0/16"): True,
            ("10.96.0.10", "10.96.0.0/16"): True,
            ("10.97.0.10", "10.96.0.0/16"): False,
            ("128.0.0.0/1", "10.96.0.0/16"): False,
            ("0.0.0.0/0", "10.96.0.0/16"): True,
        }
        for pair, expected in cases.items():
            with self.subTest(pair):
                command = ["bash", "-c", 'source "$0" && overlap "$@"', ROOT / "e2e/kube/common.sh", *pair]
                self.assertEqual(subprocess.run(command).returncode == 0, expected)

    def test_check_names_the_checks_it_knows(self):
        done = run("check", "fromat")
        self.assertEqual(done.returncode, 2)
        self.assertIn("format", done.stderr)

    def test_check_leaves_out_what_it_is_told_to(self):
        done = run("check", "docs", "dead", "--without", "dead")
        self.assertRegex(done.stdout.splitlines()[-1], r"^\d checks passed, \d failed, 0 skipped$")
        self.assertNotIn("dead ", done.stdout)
        self.assertEqual(run("check", "--without", "daed").returncode, 2)

    def test_check_prints_one_verdict_line(self):
        done = run("check", "docs")
        self.assertRegex(done.stdout.splitlines()[-2], r"^(ok  |FAIL)  docs +\d+ documents.*  \d+\.\d s$")
        self.assertRegex(done.stdout.splitlines()[-1], r"^\d checks passed, \d failed, 0 skipped$")

    def test_bench_names_the_suites_there_are(self):
        for arguments in ((), ("tracker-of-nothing",)):
            done = run("bench", *arguments)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, "[Tt]here are: ")

    def test_every_check_is_known_to_help_and_hacking(self):
        checks = {p.name for p in (ROOT / "scripts/checks").iterdir() if p.is_file() and not p.suffix}
        help_text = re.search(r"only these of: ([a-z ]+)", run("check", "--help").stdout)[1].split()
        self.assertEqual(set(help_text), checks)
        hacking = (ROOT / "docs/HACKING.md").read_text()
        for name in checks:
            self.assertIn(f"| `scripts/checks/{name}` |", hacking)
            self.assertTrue((ROOT / "scripts/checks/fixtures" / name / "expected").exists(), name)


class Coverage(unittest.TestCase):
    """scripts/lib/coverage.py over a gcovr that only says what it is told to."""

    def judge(self, covered):
        with tempfile.TemporaryDirectory() as folder:
            files = [{"filename": "libs/base/src/a.cpp", "line_total": 100, "line_covered": covered}]
            gcovr = pathlib.Path(folder, "gcovr")
            out = "open(sys.argv[sys.argv.index('--json-summary') + 1], 'w')"
            gcovr.write_text(f"#!/usr/bin/env python3\nimport json, sys\njson.dump({{'files': {files}}}, {out})\n")
            gcovr.chmod(0o755)
            return subprocess.run(
                [sys.executable, ROOT / "scripts/lib/coverage.py", "--root", folder, "--build", folder],
                env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
                capture_output=True,
                text=True,
            )

    def test_shows_libraries_and_files_and_passes_at_the_bound(self):
        done = self.judge(85)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^libs/base +85.0 % +85 of +100 lines$")
        self.assertRegex(done.stdout, r"(?m)^libs/base/src/a.cpp +85.0 %")

    def test_fails_below_the_bound(self):
        done = self.judge(84)
        self.assertEqual(done.returncode, 1)
        self.assertIn("below 85 %", done.stderr)


class Tidy(unittest.TestCase):
    """scripts/checks/tidy over a clang-tidy that finds fault with the word `bad`, and tells which files it looked at."""

    def setUp(self):
        self.tree = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.write(
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.25)\nproject(t LANGUAGES CXX)\n" "add_library(t STATIC a.cpp b.cpp)\n",
        )
        preset = '{"name": "tidy", "generator": "Ninja", "binaryDir": "${sourceDir}/build/tidy"}'
        self.write("CMakePresets.json", f'{{"version": 6, "configurePresets": [{preset}]}}')
        self.write(".clang-tidy", "")
        self.write("a.h", "")
        self.write("a.cpp", '#include "a.h"\n')
        self.write("b.cpp", "")
        self.write(
            "bin/clang-tidy-16",
            '#!/bin/sh\n[ "$1" = --version ] && exit\nfor file; do :; done\n'
            f'basename "$file" >> {self.tree}/looked\n'
            'grep -Hn bad "$file" | sed "s/:bad.*/:1: error: bad [bad]/"\n',
        )
        (self.tree / "bin/clang-tidy-16").chmod(0o755)

    def write(self, name, text):
        path = self.tree / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def looks_at(self, findings=0):
        """The files that a run of the check looks at."""
        (self.tree / "looked").write_text("")
        done = subprocess.run(
            [ROOT / "scripts/checks/tidy", "--root", self.tree],
            env={**os.environ, "PATH": f"{self.tree}/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        if done.returncode == 77:
            self.skipTest(done.stdout)
        self.assertEqual(done.stdout.count("[bad]"), findings, done.stdout)
        return sorted((self.tree / "looked").read_text().split())

    def test_looks_again_only_at_what_may_have_changed(self):
        self.assertEqual(self.looks_at(), ["a.cpp", "b.cpp"])
        self.assertEqual(self.looks_at(), [])
        self.write("a.h", "int a();\n")
        self.assertEqual(self.looks_at(), ["a.cpp"])
        self.write(".clang-tidy", "# other rules\n")
        self.assertEqual(self.looks_at(), ["a.cpp", "b.cpp"])
        with (self.tree / "CMakeLists.txt").open("a") as file:
            file.write("set_source_files_properties(b.cpp PROPERTIES COMPILE_DEFINITIONS B)\n")
        self.assertEqual(self.looks_at(), ["b.cpp"])

    def test_says_again_what_is_not_mended(self):
        self.write("b.cpp", "int\nbad;\n")
        self.assertEqual(self.looks_at(findings=1), ["a.cpp", "b.cpp"])
        self.assertEqual(self.looks_at(findings=1), ["b.cpp"])


class ContinuousIntegration(unittest.TestCase):
    """.ci/run over scripts that only say what they are told to."""

    def setUp(self):
        self.tree = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in (".ci", "scripts"):
            (self.tree / name).mkdir()
        shutil.copy(ROOT / ".ci/run", self.tree / ".ci/run")
        self.script("test", "echo '100% tests passed, 0 tests failed out of 10'")
        self.script("check", "echo '3 checks passed, 0 failed, 0 skipped'")

    def script(self, name, body):
        path = self.tree / "scripts" / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def run_ci(self, *arguments, **env):
        return subprocess.run(
            [self.tree / ".ci/run", *arguments], env={**os.environ, **env}, capture_output=True, text=True
        )

    def test_counts_the_tests_and_checks_of_all_tiers(self):
        done = self.run_ci()
        self.assertEqual(done.stdout.splitlines()[-1], "56 passed, 0 failed")
        self.assertEqual(done.returncode, 0)
        for stage in (
            "test",
            "check --strict --without charts",
            "test --asan",
            "test --tsan",
            "test --fuzz",
            "test --kube",
            "check charts --strict",
        ):
            self.assertRegex(done.stdout, rf"(?m)^== ./scripts/{stage}: exit 0 after \d+ s$")

    def test_counts_what_fails(self):
        self.script("test", "echo '80% tests passed, 2 tests failed out of 10'; exit 8")
        self.script("check", "echo '2 checks passed, 1 failed, 0 skipped'; exit 1")
        done = self.run_ci()
        self.assertEqual(done.stdout.splitlines()[-1], "44 passed, 12 failed")
        self.assertEqual(done.returncode, 1)

    def test_tells_at_the_end_what_failed(self):
        log = (
            "building\n 1/3 Test #7: a.good .... Passed 0.1 sec\n      Start 8: b.bad\n"
            " 2/3 Test #8: b.bad ...***Failed 0.1 sec\nwhat b said\n\n      Start 9: c.good\n"
            " 3/3 Test #9: c.good .... Passed 0.1 sec\n\n67% tests passed, 1 tests failed out of 3\n"
        )
        self.script(
            "test", f"if [ $# = 0 ]; then printf '{log}'; exit 8; fi; echo '100% tests passed, 0 tests failed out of 1'"
        )
        self.script("check", "seq 100; echo 'FAIL  docs  a link'; echo '0 checks passed, 1 failed, 0 skipped'; exit 1")
        end = self.run_ci().stdout.split("== failed: ")
        self.assertEqual(end[1], "./scripts/test\n 2/3 Test #8: b.bad ...***Failed 0.1 sec\nwhat b said\n\n")
        self.assertTrue(end[2].startswith("./scripts/check --strict --without charts\n63\n"), end[2])
        self.assertTrue(end[2].endswith("FAIL  docs  a link\n0 checks passed, 1 failed, 0 skipped\n"), end[2])
        self.assertEqual(len(end), 4)

    def test_a_stage_that_breaks_or_runs_nothing_is_a_failure(self):
        for body in ("exit 1", "echo built; exit 0"):
            self.script("check", body)
            done = self.run_ci()
            self.assertEqual(done.stdout.splitlines()[-1], "50 passed, 2 failed")
            self.assertEqual(done.returncode, 1)

    def test_past_its_budget_a_later_tier_is_skipped_and_says_so(self):
        done = self.run_ci(LARDER_CI_BUDGET="0")
        for tier in ("tier 2", "tier 3"):
            self.assertRegex(done.stdout, rf"(?m)^== {tier}: SKIPPED\(budget\)")
        self.assertEqual(done.stdout.splitlines()[-1], "13 passed, 0 failed")

    def test_long_runs_everything_under_every_sanitizer(self):
        done = self.run_ci("--long", LARDER_CI_BUDGET="0")
        sanitized = ("test --asan --long", "test --tsan --long", "test --fuzz --long")
        for stage in (
            *sanitized,
            "check --all --strict --without charts",
            "test --kube --long",
            "check charts --strict",
        ):
            self.assertIn(f"== ./scripts/{stage}: exit 0", done.stdout)

    def test_refuses_what_it_does_not_know(self):
        self.assertEqual(self.run_ci("--short").returncode, 2)


if __name__ == "__main__":
    unittest.main()
