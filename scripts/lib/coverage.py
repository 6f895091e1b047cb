"""Prints line coverage of libs/ and services/, per library and in all, from a build with the preset `coverage`."""
import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile


def collect(root: pathlib.Path, build: pathlib.Path) -> dict:
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = ["gcovr", "--root", str(root), "--object-directory", str(build), "--json-summary", out.name]
        command += ["--filter", f"{root}/libs/", "--filter", f"{root}/services/"]
        command += ["--exclude", r".*/(tests|testing|bench|fuzz)/.*", "--gcov-ignore-parse-errors", str(build)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.load(open(out.name))


def library_of(path: str) -> str:
    parts = path.split("/")
    nested = parts[1] in ("backends", "transport") and parts[2] not in ("include", "src")
    return "/".join(parts[: 3 if nested else 2])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    total = collections.Counter()
    covered = collections.Counter()
    for entry in collect(arguments.root, arguments.build)["files"]:
        library = library_of(entry["filename"])
        total[library] += entry["line_total"]
        covered[library] += entry["line_covered"]
    if not total:
        print("larder: coverage: no instrumented file of libs/ or services/ was run", file=sys.stderr)
        return 1
    for library in sorted(total):
        share = 100.0 * covered[library] / max(1, total[library])
        print(f"{library:28} {share:5.1f} %  {covered[library]:6} of {total[library]:6} lines")
    print(
        f"{'all':28} {100.0 * covered.total() / max(1, total.total()):5.1f} %  {covered.total():6} of {total.total():6} lines"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
