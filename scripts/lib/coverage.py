"""Prints line coverage of libs/ and services/, per library and in all, and the files with most lines never run, from a
build with the preset `coverage`. Fails below the bound."""
import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

BOUND = 85.0  # percent of all lines
SHOWN = 10  # files


def collect(root: pathlib.Path, build: pathlib.Path) -> "list[dict]":
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = ["gcovr", "--root", str(root), "--object-directory", str(build), "--json-summary", out.name]
        command += ["--filter", f"{root}/libs/", "--filter", f"{root}/services/"]
        command += ["--exclude", r".*/(tests|testing|bench|fuzz)/.*", "--gcov-ignore-parse-errors", str(build)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.load(open(out.name))["files"]


def library_of(path: str) -> str:
    parts = path.split("/")
    nested = parts[1] in ("backends", "transport") and parts[2] not in ("include", "src")
    return "/".join(parts[: 3 if nested else 2])


def row(what: str, covered: int, total: int) -> str:
    return f"{what:52} {100.0 * covered / max(1, total):5.1f} %  {covered:6} of {total:6} lines"


def report(files: "list[dict]") -> float:
    """Prints the tables; the percentage of all lines."""
    total, covered = collections.Counter(), collections.Counter()
    for entry in files:
        library = library_of(entry["filename"])
        total[library] += entry["line_total"]
        covered[library] += entry["line_covered"]
    for library in sorted(total):
        print(row(library, covered[library], total[library]))
    print(row("all", covered.total(), total.total()))
    print("most lines that no test runs:")
    for entry in sorted(files, key=lambda e: e["line_covered"] - e["line_total"])[:SHOWN]:
        print(row(entry["filename"], entry["line_covered"], entry["line_total"]))
    return 100.0 * covered.total() / max(1, total.total())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    files = collect(arguments.root, arguments.build)
    if not files:
        print("larder: coverage: no instrumented file of libs/ or services/ was run", file=sys.stderr)
        return 1
    share = report(files)
    if share < BOUND:
        print(
            f"larder: coverage: {share:.1f} % of the lines, below {BOUND:.0f} % (test what is listed)", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
