"""What every render of the chart keeps to: pods of the Pod Security Standard `restricted`, but for what is listed here
with its reason; memory that is promised; nothing secret where everybody reads."""
import re

# Containers that are not restricted, and why. Of the pod's volumes: hostPath.
EXCEPTIONS = {
    ("agent", "privileged"): "the API admits mounts that the host sees to privileged containers only",
    ("agent", "root"): "the kubelet makes directories of the host for root",
    ("agent", "hostPath"): "objects and sockets outlive the pod",
    ("get-0", "hostPath"): "without the CSI driver the test reaches the sockets as any pod does",
}
EXCEPTIONS |= {(name, "hostPath"): EXCEPTIONS["get-0", "hostPath"] for name in ("get-1", "put")}
# Workloads whose pods have a Kubernetes token, by component, and why; and all that the chart's roles may do.
TOKENS = {"uninstall": "asks the API server for pods that a removal would leave in Terminating"}
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
SECRET = re.compile(r"password|passwd|secret|token|private.?key|BEGIN [A-Z ]*KEY", re.IGNORECASE)
MEBIBYTES = {"Mi": 1, "Gi": 1024}


def pod_of(document: dict) -> "dict | None":
    """The pod's specification, of a workload."""
    return document.get("spec", {}).get("template", {}).get("spec") if document["kind"] != "Pod" else document["spec"]


def component_of(document: dict) -> "str | None":
    return document["metadata"].get("labels", {}).get("app.kubernetes.io/component")


def mebibytes(quantity: str) -> int:
    return int(quantity[:-2]) * MEBIBYTES[quantity[-2:]]


def unrestricted(pod: dict, container: dict) -> "list[str]":
    """Where a container differs from `restricted`."""
    own, pods = container.get("securityContext", {}), pod.get("securityContext", {})
    found = []
    if own.get("privileged"):
        found.append("privileged")
    elif own.get("allowPrivilegeEscalation", True) or own.get("capabilities", {}).get("drop") != ["ALL"]:
        found.append("capabilities")
    if not pods.get("runAsNonRoot") or pods.get("runAsUser") == 0:
        found.append("root")
    if pods.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        found.append("seccomp")
    if not own.get("readOnlyRootFilesystem"):
        found.append("writable root")
    if any("hostPath" in volume for volume in pod.get("volumes", [])):
        found.append("hostPath")
    return found


def pod_problems(document: dict) -> "list[str]":
    pod = pod_of(document)
    if not pod:
        return []
    found = [f"has {name}" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    if pod.get("automountServiceAccountToken", True) and component_of(document) not in TOKENS:
        found.append("mounts a token of Kubernetes")
    for container in pod["containers"] + pod.get("initContainers", []):
        name = container["name"]
        found += [f"{name}: {what}" for what in unrestricted(pod, container) if (name, what) not in EXCEPTIONS]
        resources = container.get("resources", {})
        requested, limit = (resources.get(part, {}).get("memory") for part in ("requests", "limits"))
        if not requested or requested != limit:
            found.append(f"{name}: requests {requested} of memory and is limited to {limit}")
        if "cpu" in resources.get("limits", {}):
            found.append(f"{name}: its CPU is limited")
        found += [
            f"{name}: takes port {port['hostPort']} of the host"
            for port in container.get("ports", [])
            if "hostPort" in port
        ]
        if document["kind"] != "Job" and not {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys():
            found.append(f"{name}: lacks a probe")
    return found


def arena_problems(documents: "list[dict]", configuration) -> "list[str]":
    """The agent's memory is its arena and 256 MiB. `configuration` reads YAML."""
    found = []
    for document in documents:
        if document["kind"] != "DaemonSet":
            continue
        config = next(
            d for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"] == document["metadata"]["name"]
        )
        arena = configuration(config["data"]["config.yaml"])["arena"].replace("iB", "i")
        memory = pod_of(document)["containers"][0]["resources"]["limits"]["memory"]
        if mebibytes(memory) != mebibytes(arena) + 256:
            found.append(f"an arena of {arena} has {memory}")
    return found


def problems(document: dict) -> "list[str]":
    """What is wrong with one object of a render."""
    found = pod_problems(document)
    if document["kind"] in ("Role", "ClusterRole") and document["rules"] != RULES:
        found.append(f"may do {document['rules']}")
    if document["kind"] == "ConfigMap":
        found += [
            f"{key} says '{match[0]}'" for key, text in document["data"].items() if (match := SECRET.search(text))
        ]
    return found
