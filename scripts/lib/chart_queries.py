"""What dashboards and alerts of the chart may ask: metrics that are exported, with labels that they have, counters only
as rates."""
import json
import pathlib
import re

METRIC = re.compile(r"\b(larder_\w+)(\{[^}]*\})?(\[[^\]]*\])?")
RECORDED = re.compile(r"\blarder:[\w:]+")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
# What a scrape adds (charts/larder/templates/pod-monitor.yaml); a metric's own label of such a name becomes exported_….
SCRAPED = {"job", "namespace", "pod", "component", "node", "le"}
HISTOGRAM = ("_bucket", "_sum", "_count")
VARIABLES = ("datasource", "namespace", "node")


def line_of(text: str, part: str) -> int:
    """The number of the first line that holds the first line of `part`."""
    first = part.strip().split("\n")[0]
    place = text.find(first)
    return text.count("\n", 0, place) + 1 if place >= 0 else 1


class Golden:
    """The exported metrics and their labels, of scripts/checks/metrics.golden."""

    def __init__(self, text: str):
        rows = [line.split("#")[0].split() for line in text.split("\n")]
        self.labels = {row[0]: set(row[2:]) for row in rows if row and row[0] != "promised"}
        self.types = {row[0]: row[1] for row in rows if row and row[0] != "promised"}

    def base(self, name: str) -> str:
        """The metric that a series belongs to: the histogram of a _bucket."""
        for suffix in HISTOGRAM:
            if name.endswith(suffix) and self.types.get(name.removesuffix(suffix)) == "histogram":
                return name.removesuffix(suffix)
        return name


def problems(query: str, golden: Golden, recorded: "set[str]") -> "list[tuple[str, str]]":
    """What is wrong with a query, and what to do about it."""
    found = []
    for name in sorted(set(RECORDED.findall(query)) - recorded):
        found.append((f"{name} is recorded by no rule", "record it in alerts/"))
    for match in METRIC.finditer(query):
        name, selector = match[1], match[2] or ""
        metric = golden.base(name)
        if metric not in golden.labels:
            found.append((f"{metric} is exported by no service", "see scripts/checks/metrics.golden"))
            continue
        own = golden.labels[metric]
        allowed = own | {f"exported_{label}" for label in own & SCRAPED} | SCRAPED
        for label in sorted(set(LABEL.findall(selector)) - allowed):
            found.append((f"{metric} has no label {label}", f"it has: {' '.join(sorted(allowed))}"))
        if name.endswith(("_total", "_bucket")) and not re.search(
            r"\b(rate|increase)\($", query[: match.start()].rstrip()
        ):
            found.append((f"{name} is not in rate() or increase()", "a counter says nothing by itself"))
    return found


def panels(check, path: pathlib.Path) -> "list[dict]":
    """The panels of a dashboard that ask something."""
    return [panel for panel in json.loads(check.text(path))["panels"] if panel["type"] != "row"]


def lint_dashboard(check, path: pathlib.Path, golden: Golden, recorded: "set[str]") -> int:
    """Reports what is wrong with one dashboard; the number of its queries."""
    text = check.text(path)
    dashboard = json.loads(text)
    names = {variable["name"] for variable in dashboard.get("templating", {}).get("list", [])}
    for name in VARIABLES:
        if name not in names:
            check.finding(path, 1, f"there is no variable {name}", f"each dashboard has: {', '.join(VARIABLES)}")
    queries = 0
    for panel in panels(check, path):
        line = line_of(text, f'"title": {json.dumps(panel["title"])}')
        if not panel.get("description"):
            check.finding(
                path, line, f"panel '{panel['title']}' has no description", "say what it shows, and what is bad"
            )
        if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
            check.finding(path, line, f"panel '{panel['title']}' has no unit", "name one of Grafana's")
        if panel.get("datasource", {}).get("uid") != "${datasource}":
            check.finding(path, line, f"panel '{panel['title']}' has a data source of its own", "take ${datasource}")
        for target in panel["targets"]:
            queries += 1
            lint_query(check, path, line_of(text, json.dumps(target["expr"])), target["expr"], golden, recorded)
    return queries


def lint_query(check, path: pathlib.Path, line: int, query: str, golden: Golden, recorded: "set[str]") -> None:
    for what, how in problems(query, golden, recorded):
        check.finding(path, line, what, how)
    if "$namespace" not in query:
        check.finding(path, line, "the query is not of one $namespace", "installations stand beside each other")
    for window in re.findall(r"\[([^\]]*)\]", query):
        if window != "$__rate_interval":
            check.finding(path, line, f"the query has a window of {window}", "take $__rate_interval")


def lint_alerts(check, path: pathlib.Path, rules: "list[dict]", golden: Golden) -> "list[str]":
    """Reports what is wrong with the rules of one file; the names of its alerts."""
    text = check.text(path)
    recorded = {rule["record"] for rule in rules if "record" in rule}
    alerts = []
    for rule in rules:
        line = line_of(text, rule["expr"])
        for what, how in problems(rule["expr"], golden, recorded):
            check.finding(path, line, what, how)
        if "alert" not in rule:
            continue
        alerts.append(rule["alert"])
        if rule.get("labels", {}).get("severity") not in ("warning", "critical"):
            check.finding(path, line, f"{rule['alert']} has no severity", "warning or critical")
        for annotation in ("summary", "description"):
            if not rule.get("annotations", {}).get(annotation):
                check.finding(path, line, f"{rule['alert']} has no {annotation}", "say what it means for users")
    return alerts
