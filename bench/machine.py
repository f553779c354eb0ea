"""The machine that a benchmark runs on, for its results."""

import os
import pathlib
import platform


def _ticks() -> list[int]:
    """What all cores did since the start, as /proc/stat has it: user, nice, system, idle, iowait, irq, softirq, steal."""
    return [int(word) for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


_BEGUN = _ticks()


def stolen() -> float:
    """Of the time since this program began in which something wanted to run: the share that a virtual machine's host gave to others.
    Times are that much too long; ratios suffer less."""
    user, nice, system, _, _, irq, softirq, steal = (now - then for now, then in zip(_ticks(), _BEGUN))
    return steal / max(1, user + nice + system + irq + softirq + steal)


def description() -> dict:
    return {"cores": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0], "stolen": round(stolen(), 3)}
