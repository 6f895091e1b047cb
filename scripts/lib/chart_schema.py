#!/usr/bin/python3
"""Makes the chart's values.schema.json, bounds.json and the table of values in its README from schema.yaml, values.yaml and
the declarations of the services. bounds.json has those bounds that JSON Schema cannot express, of durations and sizes, by
the path of the value: templates/validate.yaml holds values to them.

usage: chart_schema.py --root TREE --schemas FILE --out DIR"""
import argparse
import json
import pathlib
import sys

import yaml

CHART = "charts/larder"
BEGIN, END = "<!-- values: made by ./scripts/check generated --fix -->\n", "<!-- end of values -->\n"


def without(schema: dict, path: str) -> None:
    """Takes one setting, or all below it, out of a service's schema. A name that is not there is no error: it may be a
    setting to come, or one that is gone."""
    *parents, last = path.split(".")
    for step in parents:
        schema = schema["properties"].get(step, {"properties": {}})
    schema["properties"].pop(last, None)


def without_empty(schema: dict) -> dict:
    """The same without objects that nothing is left in."""
    properties = {name: without_empty(part) for name, part in schema.get("properties", {}).items()}
    if properties:
        schema["properties"] = {name: part for name, part in properties.items() if part.get("properties") != {}}
    return schema


def settings(schemas: dict, service: str, at: str = "", leave_out: "tuple[str, ...]" = ()) -> dict:
    """The schema of a service's configuration file, or of what lies at one place of it."""
    schema = json.loads(json.dumps(schemas[service]))
    for path in leave_out:
        without(schema, path)
    without_empty(schema)
    return schema["properties"][at] if at else schema


BOUNDS = {"x-min": "min", "x-max": "max"}


def take_bounds(node, path: "tuple[str, ...]" = ()) -> "dict[str, dict[str, str]]":
    """Takes the bounds of what has a unit out of a schema; by the dotted path of the value."""
    found = {}
    own = {name: node.pop(key) for key, name in BOUNDS.items() if key in node}
    if own:
        found[".".join(path)] = own
    for name, part in node.get("properties", {}).items():
        found |= take_bounds(part, (*path, name))
    for repeated in ("items", "additionalProperties"):
        if isinstance(node.get(repeated), dict) and take_bounds(node[repeated]):
            sys.exit(f"chart_schema: {'.'.join(path)} repeats, so bounds below it have no path: teach validate.yaml")
    return found


def complete(node: dict, schemas: dict) -> dict:
    """A node of schema.yaml as JSON Schema: settings are put in, and objects that name their properties have no other."""
    node = dict(node)
    like = node.pop("bounds", None)
    if like:
        setting = schemas[like["settings"]]["properties"][like["at"]]
        node |= {key: setting[key] for key in BOUNDS if key in setting}
    service = node.pop("settings", None)
    if service:
        node = {**settings(schemas, service, node.pop("at", ""), node.pop("except", ())), **node}
    elif "properties" in node:
        node = {"type": "object", "additionalProperties": False, **node}
        node["properties"] = {name: complete(part, schemas) for name, part in node["properties"].items()}
    elif isinstance(node.get("items"), dict):
        node["items"] = complete(node["items"], schemas)
    return node


def rows(node: dict, defaults, path: str = "") -> "list[str]":
    """A line of the table for each value; what a service's settings are is told elsewhere."""
    if "properties" not in node or "settings" in node:
        default = json.dumps(defaults) if defaults not in ("", None) else ""
        return [f"| `{path}` | {f'`{default}`' if default else ''} | {node['description']} |"]
    return [
        row
        for name, part in node["properties"].items()
        if name in (defaults or {})
        for row in rows(part, defaults[name], f"{path}.{name}" if path else name)
    ]


def write(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("root", "schemas", "out"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    given = parser.parse_args()
    chart = given.root / CHART
    source = yaml.safe_load((chart / "schema.yaml").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    schemas = json.loads(given.schemas.read_text(encoding="utf-8"))

    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **complete(source, schemas)}
    bounds = take_bounds(schema)
    write(given.out / CHART / "bounds.json", json.dumps(bounds, indent=2) + "\n")
    write(given.out / CHART / "values.schema.json", json.dumps(schema, indent=2) + "\n")

    before, _, rest = (chart / "README.md").read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join(["| value | default | what |", "|---|---|---|", *rows(source, defaults)])
    write(given.out / CHART / "README.md", f"{before}{BEGIN}\n{table}\n\n{END}{after}")


if __name__ == "__main__":
    main()
