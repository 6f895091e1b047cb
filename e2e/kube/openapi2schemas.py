#!/usr/bin/env python3
"""Makes JSON schemas for kubeconform from an API server's own description (/openapi/v2).

usage: openapi2schemas.py DESCRIPTION FOLDER
"""
import json
import pathlib
import sys

DEFINITIONS = "_definitions.json"
# What the description calls a string, and the API server takes as a number, too.
LOOSE = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
}


def is_closed(node: dict) -> bool:
    """Whether an object has its listed properties and no others."""
    properties = node.get("properties")
    return (
        isinstance(properties, dict)
        and all(isinstance(value, dict) for value in properties.values())
        and "additionalProperties" not in node
        and not node.get("x-kubernetes-preserve-unknown-fields")
    )


def mend(node: object) -> None:
    """Rewrites references, loose types and closed objects in place, all the way down."""
    if isinstance(node, list):
        for value in node:
            mend(value)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("$ref"), str):
        node["$ref"] = node["$ref"].replace("#/definitions/", f"{DEFINITIONS}#/definitions/")
    if node.get("format") == "int-or-string":
        node.pop("type", None)
        node.pop("format")
        node["oneOf"] = [{"type": "string"}, {"type": "integer"}]
    if is_closed(node):
        node["additionalProperties"] = False
    for value in node.values():
        mend(value)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    description, folder = map(pathlib.Path, sys.argv[1:])
    definitions = json.loads(description.read_text())["definitions"]
    mend(definitions)
    definitions.update(LOOSE)
    (folder / DEFINITIONS).write_text(json.dumps({"definitions": definitions}))
    for name, definition in definitions.items():
        kinds = definition.get("x-kubernetes-group-version-kind", [])
        if len(kinds) == 1:
            kind, group, version = (kinds[0][part] for part in ("kind", "group", "version"))
            words = [word for word in (kind.lower(), group.split(".")[0], version) if word]
            reference = {"$ref": f"{DEFINITIONS}#/definitions/{name}"}
            (folder / ("-".join(words) + ".json")).write_text(json.dumps(reference))


if __name__ == "__main__":
    main()
