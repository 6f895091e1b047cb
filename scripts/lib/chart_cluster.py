"""A cluster that has what a file says and no more, for what the chart looks up (`lookup`): Kubernetes' API, read-only."""
import contextlib
import http.server
import json
import pathlib
import tempfile
import threading

# Of the API: group and version -> resource -> kind.
RESOURCES = {
    "v1": {"namespaces": "Namespace", "persistentvolumeclaims": "PersistentVolumeClaim", "pods": "Pod"},
    "apps/v1": {"statefulsets": "StatefulSet"},
    "storage.k8s.io/v1": {"csidrivers": "CSIDriver"},
}
CLUSTER_WIDE = {"namespaces", "csidrivers"}


def discovery(path: "list[str]") -> "dict | None":
    """What the API says of itself."""
    if path == ["version"]:
        return {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
    if path == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == ["apis"]:
        versions = [{"groupVersion": name, "version": "v1"} for name in RESOURCES if "/" in name]
        groups = [{"name": v["groupVersion"].split("/")[0], "versions": [v], "preferredVersion": v} for v in versions]
        return {"kind": "APIGroupList", "groups": groups}
    version = "/".join(path[1:])
    if version not in RESOURCES:
        return None
    resources = [
        {"name": name, "kind": kind, "namespaced": name not in CLUSTER_WIDE, "verbs": ["get", "list"]}
        for name, kind in RESOURCES[version].items()
    ]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}


def answer(objects: "list[dict]", path: "list[str]") -> "dict | None":
    """The answer to a GET; None if there is no such object."""
    if (found := discovery(path)) is not None:
        return found
    version, rest = ("v1", path[2:]) if path[0] == "api" else ("/".join(path[1:3]), path[3:])
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    kind = RESOURCES[version][rest[0]]
    items = [item for item in objects if (item["apiVersion"], item["kind"]) == (version, kind)]
    if len(rest) == 1:
        return {"apiVersion": version, "kind": f"{kind}List", "metadata": {}, "items": items}
    return next((item for item in items if item["metadata"]["name"] == rest[1]), None)


@contextlib.contextmanager
def serve(objects: "list[dict]"):
    """The path of a kubeconfig for a cluster that has these objects."""

    class Api(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            found = answer(objects, self.path.split("?")[0].strip("/").split("/"))
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(missing if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as server, tempfile.TemporaryDirectory() as folder:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "it", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "current-context": "it",
        }
        place = pathlib.Path(folder, "kubeconfig")
        place.write_text(json.dumps(config), encoding="utf-8")
        try:
            yield place
        finally:
            server.shutdown()
