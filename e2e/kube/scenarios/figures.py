"""What scenarios measure of what the design asks for: rows of e2e/bench/rows.yaml, of the suite `kube`."""

import json
import pathlib

_rows = []


def seconds(row, value, **beside):
    """A time; `beside` are others of the same run, by name."""
    _rows.append({"id": row, "seconds": value, "rivals": _named(beside)})


def amount(row, value, unit, **beside):
    _rows.append({"id": row, "amount": value, "unit": unit, "rivals": _named(beside)})


def _named(beside):
    return {name.replace("_", " "): {"seconds": value} for name, value in beside.items()}


def write(path):
    """Of all scenarios that ran, for scripts/lib/figures.py."""
    pathlib.Path(path).write_text(json.dumps(_rows, indent=1) + "\n")
