#!/usr/bin/python3
"""down.py FILE: takes down the cluster that `up.py --state FILE` brought up, if it still runs."""

import contextlib
import json
import os
import pathlib
import select
import signal
import sys


def take_down(state_file: pathlib.Path) -> None:
    """Returns once nothing of the cluster is left."""
    if not state_file.exists():
        return
    supervisor = json.loads(state_file.read_text()).get("supervisor", 0)
    with contextlib.suppress(ProcessLookupError):
        if supervisor and _is_a_supervisor(supervisor, state_file):
            handle = os.pidfd_open(supervisor)
            os.kill(supervisor, signal.SIGTERM)
            if not select.select([handle], [], [], 90)[0]:
                sys.exit(f"the cluster's supervisor (process {supervisor}) did not end")
    state_file.unlink(missing_ok=True)


def _is_a_supervisor(pid: int, state_file: pathlib.Path) -> bool:
    """Not a stranger that got the number of one that was killed."""
    with contextlib.suppress(OSError):
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b"--while-runs" in words and os.fsencode(state_file) in words
    return False


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    take_down(pathlib.Path(sys.argv[1]))
