"""The processes of pods as the machine sees them, which all nodes share."""

import os
import pathlib
import re
import signal

TICK = os.sysconf("SC_CLK_TCK")


def of_pod(pod):
    """Ids of the processes in a pod's containers, but the one that holds its namespaces."""
    uid = pod["metadata"]["uid"]
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if uid in (path / "cgroup").read_text() and (path / "comm").read_text().strip() != "pause":
                found.append(int(path.name))
        except OSError:  # it has ended
            continue
    return found


def kill(pod):
    """As the machine's out-of-memory killer does it: no warning, no goodbye."""
    for pid in of_pod(pod):
        os.kill(pid, signal.SIGKILL)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def private_mebibytes(pid):
    """The process's share of memory (PSS) without what is shared, which for an agent is its arena."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    pss = {name: int(value) for name, value in re.findall(r"^(Pss\w*): +(\d+) kB", rollup, re.MULTILINE)}
    return (pss["Pss"] - pss["Pss_Shmem"]) / 1024
