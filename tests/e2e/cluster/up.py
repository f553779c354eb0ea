#!/usr/bin/python3
"""Brings up a real Kubernetes cluster on this machine, and takes it down again.

    up.py                  prints `export …` lines; the cluster runs until end of input, SIGTERM or SIGINT
    up.py --state FILE     returns once the cluster is ready and FILE (JSON) says where; it then runs until down.py FILE,
                           at the longest until the process that called up.py ends (a shell, ctest)

With KUBECONFIG set nothing is started: that cluster is used, with the registry that IMAGEBUILD_REGISTRY names.
"""

import argparse
import json
import os
import pathlib
import select
import shlex
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from cluster import bring_up, helm_and_kubectl  # noqa: E402 (found by the line above)
from cluster.down import take_down  # noqa: E402


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def existing_cluster() -> dict | None:
    """The state of the cluster that KUBECONFIG names."""
    if not os.environ.get("KUBECONFIG"):
        return None
    if not os.environ.get("IMAGEBUILD_REGISTRY"):
        sys.exit("KUBECONFIG is set: say in IMAGEBUILD_REGISTRY which registry (host:port, plain HTTP) its pods and this "
                 "machine reach, or unset KUBECONFIG to have a cluster started here")
    programs = helm_and_kubectl.programs()
    kubectl = [programs["kubectl"], "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"]
    nodes = subprocess.run(kubectl, capture_output=True, text=True, check=True).stdout.split()
    return programs | {"kubeconfig": os.environ["KUBECONFIG"], "registry": os.environ["IMAGEBUILD_REGISTRY"], "nodes": nodes}


def in_foreground(nodes: int) -> None:
    if state := existing_cluster():
        return show(state)
    with bring_up.cluster(nodes, say) as state:
        show(state)
        while os.read(0, 4096):
            pass


def show(state: dict) -> None:
    exports = {"KUBECONFIG": state["kubeconfig"], "IMAGEBUILD_REGISTRY": state["registry"], "KUBECTL": state["kubectl"],
               "HELM": state["helm"], "IMAGEBUILD_NODES": " ".join(state["nodes"])}
    for name, value in exports.items():
        print(f"export {name}={shlex.quote(value)}", flush=True)


def into_background(state_file: pathlib.Path, nodes: int) -> None:
    take_down(state_file)
    if state := existing_cluster():
        return write(state_file, state)
    log_path = state_file.with_suffix(".log")
    with open(log_path, "w") as log:
        supervisor = subprocess.Popen([sys.executable, __file__, "--state", state_file, "--nodes", str(nodes), "--while-runs",
                                       str(os.getppid())], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                      start_new_session=True)
    handle = os.pidfd_open(supervisor.pid)
    while not state_file.exists():
        if select.select([handle], [], [], 0.05)[0]:
            sys.exit(f"the cluster did not come up:\n{log_path.read_text()}")
    print(state_file.read_text())


def supervise(state_file: pathlib.Path, nodes: int, caller: int) -> None:
    """The background process: the cluster runs as long as it does."""
    handle = os.pidfd_open(caller)
    with bring_up.cluster(nodes, say) as state:
        write(state_file, state)
        try:
            select.select([handle], [], [])
        finally:
            state_file.unlink(missing_ok=True)


def write(path: pathlib.Path, state: dict) -> None:
    """All at once, as others wait for the file."""
    whole = path.with_suffix(".new")
    whole.write_text(json.dumps(state, indent=1) + "\n")
    whole.rename(path)


def end(number, _frame) -> None:
    """Turns a signal into an exception, so that the cluster is taken down; a second signal does not disturb that."""
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=2, help="how many nodes (2)")
    parser.add_argument("--state", type=pathlib.Path, help="go to the background, say in this file where the cluster is")
    parser.add_argument("--while-runs", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if os.geteuid() != 0 and not os.environ.get("KUBECONFIG"):
        sys.exit("a cluster on this machine needs root: containers, mounts, network interfaces")
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, end)
    if options.while_runs:
        supervise(options.state, options.nodes, options.while_runs)
    elif options.state:
        into_background(options.state, options.nodes)
    else:
        in_foreground(options.nodes)


if __name__ == "__main__":
    main()
