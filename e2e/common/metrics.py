"""What a service tells on its admin port."""

import re
import urllib.error
import urllib.request


def _series(address):
    """Name with labels, and value, of everything at http://ADDRESS/metrics; nothing if it does not answer."""
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
    except (urllib.error.URLError, OSError):
        return
    for line in lines:
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            yield name, float(value)


def metric(address, series):
    """The value of a series; None if the service does not answer, or has none."""
    return next((value for name, value in _series(address) if name == series), None)


def buckets(address, histogram, label):
    """Of a histogram's series with this one label (`op="publish"`): how many were at most so much, by the bound."""
    pattern = re.compile(rf'{histogram}_bucket\{{{re.escape(label)},le="([^"]+)"\}}')
    found = ((pattern.fullmatch(name), value) for name, value in _series(address))
    return {float(match[1]): int(value) for match, value in found if match}
