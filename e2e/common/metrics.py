"""What a service tells on its admin port."""

import urllib.error
import urllib.request


def metric(address, series):
    """The value of a series of http://ADDRESS/metrics; None if it does not answer, or has none."""
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
    except (urllib.error.URLError, OSError):
        return None
    values = [float(line.rsplit(" ", 1)[1]) for line in lines if line.rsplit(" ", 1)[0] == series]
    return values[0] if values else None
