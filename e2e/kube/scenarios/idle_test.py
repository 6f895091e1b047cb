"""What Larder costs a cluster that does nothing with it."""

import time
import unittest

import figures
import processes
import release

SECONDS = 60
AIM_PERCENT = 2  # of a processor, by the whole chart on three nodes; it is missed
CPU_PERCENT = 4  # what is held instead, so that it does not get worse
MEBIBYTES = 300  # beside the arenas


class Idle(unittest.TestCase):
    def test_takes_little_of_processor_and_memory(self):
        pids = {
            component: [pid for pod in release.pods_of(component) for pid in processes.of_pod(pod)]
            for component in release.COMPONENTS
        }

        def cpu():
            return {component: sum(map(processes.cpu_seconds, pids[component])) for component in pids}

        before = cpu()
        time.sleep(SECONDS)  # what is measured, not a wait
        after = cpu()
        percent = {component: 100 * (after[component] - before[component]) / SECONDS for component in pids}
        memory = {component: sum(map(processes.private_mebibytes, pids[component])) for component in pids}
        for component, of_it in pids.items():
            print(
                f"{component}: {len(of_it)} processes, {percent[component]:.2f} % of a processor, "
                f"{memory[component]:.0f} MiB beside the arena"
            )
        print(
            f"all: {sum(percent.values()):.2f} % of a processor (the aim is {AIM_PERCENT}), {sum(memory.values()):.0f} MiB"
        )
        figures.amount("kube.idle_cpu", sum(percent.values()), "% of a processor")
        figures.amount("kube.idle_memory", sum(memory.values()), "MiB")
        self.assertTrue(all(pids.values()))
        self.assertLess(sum(memory.values()), MEBIBYTES)
        self.assertLess(sum(percent.values()), CPU_PERCENT)
