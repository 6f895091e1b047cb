"""Runs one check on its fixtures: the bad tree must fail naming each file and line that `expected` lists, the good one
must pass. usage: check_selftest.py NAME [FIXTURES=NAME]"""
import pathlib
import subprocess
import sys

CHECKS = pathlib.Path(__file__).resolve().parents[1] / "checks"


def run(name: str, tree: pathlib.Path) -> "subprocess.CompletedProcess[str]":
    command = [CHECKS / name, "--root", tree]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def main(name: str, fixtures: str) -> int:
    trees = CHECKS / "fixtures" / fixtures
    good, bad = run(name, trees / "good"), run(name, trees / "bad")
    if 77 in (good.returncode, bad.returncode):
        print(good.stdout)
        return 77
    failures = []
    if good.returncode != 0:
        failures.append(f"the good fixture fails with {good.returncode}:\n{good.stdout}")
    expected = (trees / "expected").read_text().splitlines()
    missing = [line for line in expected if line not in bad.stdout]
    if bad.returncode != 1 or missing:
        failures.append(f"the bad fixture ends with {bad.returncode}, not naming {missing}:\n{bad.stdout}")
    # What is indented is what a program printed, shown above a finding.
    findings = [line for line in bad.stdout.splitlines() if line.count(":") >= 3 and not line.startswith(" ")]
    if len(findings) > len(expected):
        failures.append(f"the bad fixture has more findings than the {len(expected)} expected:\n{bad.stdout}")
    print("\n".join(failures) or f"{name}: {len(expected)} findings in the bad fixture, none in the good one")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[-1]))
