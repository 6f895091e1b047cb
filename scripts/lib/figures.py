"""Keeps a suite's figures under e2e/bench/results/ and makes docs/figures.md of all of them and e2e/bench/rows.yaml."""

import argparse
import datetime
import json
import pathlib
import platform
import subprocess
import sys
import textwrap

import yaml


def duration(seconds):
    if seconds >= 2:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e6:.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def human(figure):
    """A time, a rate with the times of what is under way at once, or what is neither."""
    if "amount" in figure:
        return f"{figure['amount']:,.2f} {figure['unit']}"
    if "per_second" not in figure:
        return duration(figure["seconds"])
    return f"{figure['per_second']:,.0f}/s (p50 {duration(figure['p50'])}, p99 {duration(figure['p99'])})"


def machine():
    model = next(
        (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    cpus = len([line for line in open("/proc/cpuinfo") if line.startswith("processor")])
    return f"{cpus} x {model}, Linux {platform.release().split('-')[0]}"


def keep(root, suite, measured):
    commit = subprocess.run(
        ["git", "-C", root, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    results = root / "e2e/bench/results"
    results.mkdir(exist_ok=True)
    file = results / f"{suite}.json"
    before = json.loads(file.read_text()) if file.exists() else {"rows": []}
    # What a run of a part of the suite did not measure stays, and says of which commit it is.
    new = {row["id"] for row in measured}
    stay = [{"commit": before["commit"], **row} for row in before["rows"] if row["id"] not in new]
    kept = {"commit": commit, "date": str(datetime.date.today()), "machine": machine(), "rows": measured + stay}
    file.write_text(json.dumps(kept, indent=1) + "\n")


def page(root):
    lines = [
        "# Figures",
        "",
        "Made by `./scripts/bench SUITE --record`; not to be edited. *Spread* is how far the rounds were apart; in brackets how",
        "many times faster than the rival (below 1: slower).",
    ]
    asked = yaml.safe_load((root / "e2e/bench/rows.yaml").read_text())
    rows = asked["rows"]
    for suite in dict.fromkeys(row["suite"] for row in rows):
        file = root / f"e2e/bench/results/{suite}.json"
        kept = json.loads(file.read_text()) if file.exists() else {"rows": []}
        found = {row["id"]: row for row in kept["rows"]}
        lines += ["", f"## {suite}", ""]
        lines += textwrap.wrap(asked["suites"][suite], 120) + [""]
        if found:
            raw = f"[raw](../e2e/bench/results/{suite}.json)"
            lines += [f"{kept['date']}, commit {kept['commit']}, {kept['machine']} ({raw}).", ""]
        lines += ["| row | what | must reach | measured | spread | beside |", "|---|---|---|---|---|---|"]
        for row in (row for row in rows if row["suite"] == suite):
            head = f"| {row['id']} | {row['text']} | {row['target']} |"
            figure = found.get(row["id"])
            if figure is None:
                lines.append(f"{head} SKIPPED: {row.get('skipped', 'not measured')} | | |")
                continue
            beside = ", ".join(
                f"{name} {human(rival)}" + (f" ({rival['times_as_fast']:.2f}x)" if "times_as_fast" in rival else "")
                for name, rival in figure["rivals"].items()
            )
            note = f" — {row['cause']}" if "cause" in row else ""
            spread = (f"{figure['spread']:.0%}" if "spread" in figure else "-") + (
                ", noisy" if figure.get("noisy") else ""
            )
            if figure.get("commit", kept["commit"]) != kept["commit"]:
                spread += f", commit {figure['commit']}"
            lines.append(f"{head} {human(figure)}{note} | {spread} | {beside} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--suite")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, help="the page; docs/figures.md if not given")
    arguments = parser.parse_args()
    if arguments.suite:
        keep(arguments.root, arguments.suite, json.loads(arguments.json.read_text()))
    (arguments.out or arguments.root / "docs/figures.md").write_text(page(arguments.root))
    return 0


if __name__ == "__main__":
    sys.exit(main())
