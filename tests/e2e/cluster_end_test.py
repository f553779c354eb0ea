"""A cluster of the tests ends whole: however it ends, nothing of it is left on the machine."""

import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

from cluster import bring_up
from cluster.case import skip_without_root
from cluster.cluster import Cluster
from cluster.down import take_down
from cluster.pods import claim, pod
from harness import processes

_UP = pathlib.Path(__file__).resolve().parent / "cluster/up.py"


@unittest.skipIf(os.environ.get("KUBECONFIG"), "KUBECONFIG names a cluster that these tests did not start")
class ClusterEndTest(unittest.TestCase):
    def setUp(self):
        skip_without_root(self)
        self.state_file = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "state.json"
        self.addCleanup(take_down, self.state_file)
        self.mark = f"imagebuild-e2e-{uuid.uuid4().hex}"
        self.up = [sys.executable, _UP, "--nodes", 1, "--state", self.state_file]

    def remember(self) -> Cluster:
        """Has a pod with a claim run in the new cluster, and notes what it would leave."""
        cluster = Cluster(json.loads(self.state_file.read_text()))
        self.folder = pathlib.Path(cluster.state["folder"])
        self.name = self.folder.name.removeprefix("imagebuild-cluster-")
        self.block = cluster.registry.rpartition(".0.")[0] + "."
        sleeper = pod("sleeper", "sleep", "3600", claim="data")
        sleeper["spec"]["containers"][0]["env"] = [{"name": "MARK", "value": self.mark}]
        cluster.apply([claim("data"), sleeper])
        cluster.wait_for("pod", "sleeper", lambda found: found["status"].get("phase") == "Running", 60, "it runs")
        for trace in ("interfaces", "routes", "control groups", "folders"):
            self.assertTrue(self.traces()[trace], f"this test would not see the cluster's {trace}")
        self.assertTrue(processes.with_mark(self.mark), "this test would not see the pod's process")
        self.assertTrue(processes.with_mark(str(self.folder)), "this test would not see the cluster's processes")
        return cluster

    def traces(self) -> dict[str, list[str]]:
        """What there is of the cluster on this machine, but for processes."""
        def mentions(text: str) -> list[str]:
            return [line for line in text.splitlines() if self.name in line or self.block in line or "KUBE-" in line]

        return {
            "interfaces": mentions(processes.run("ip", "-oneline", "address").stdout),
            "routes": mentions(processes.run("ip", "route", "show", "table", "all").stdout),
            "packet filter": mentions(processes.run("iptables-save").stdout),
            "mounts": mentions(pathlib.Path("/proc/self/mountinfo").read_text()),
            "control groups": mentions("\n".join(map(str, pathlib.Path("/sys/fs/cgroup").glob("**/imagebuild-cluster-*")))),
            "folders": [str(folder) for folder in (self.folder, pathlib.Path("/tmp/hostpath_pv")) if folder.exists()],
        }

    def assert_nothing_is_left(self):
        self.assertEqual(processes.with_mark(str(self.folder)), {})
        self.assertEqual(processes.with_mark(self.mark), {})
        # The kernel takes its time with the interfaces of a network namespace that is gone.
        deadline = time.monotonic() + 10
        while (left := {trace: found for trace, found in self.traces().items() if found}) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(left, {})

    def wait_for_processes_to_end(self):
        """Those of the cluster, and its supervisor, which names the state file."""
        deadline = time.monotonic() + 60
        while (processes.with_mark(str(self.folder)) or processes.with_mark(str(self.state_file))) and time.monotonic() < deadline:
            time.sleep(0.1)

    def test_a_cluster_that_is_taken_down_leaves_nothing(self):
        processes.run(*self.up, timeout=200)
        self.remember()
        take_down(self.state_file)
        self.assert_nothing_is_left()

    def test_a_cluster_ends_with_the_process_that_asked_for_it(self):
        # The shell is what asks; it waits for our word before it ends.
        go_on = self.state_file.with_name("go-on")
        os.mkfifo(go_on)
        asking = f"{shlex.join(map(str, self.up))} && read word < {go_on}"
        shell = subprocess.Popen(["sh", "-c", asking], stdout=subprocess.DEVNULL)
        self.addCleanup(processes.stop, shell)
        deadline = time.monotonic() + 200
        while not self.state_file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.remember()
        go_on.write_text("word\n")
        self.wait_for_processes_to_end()
        self.assert_nothing_is_left()

    def test_what_a_killed_supervisor_leaves_is_removed_by_the_next(self):
        processes.run(*self.up, timeout=200)
        cluster = self.remember()
        os.kill(cluster.state["supervisor"], signal.SIGKILL)
        self.state_file.unlink()
        self.wait_for_processes_to_end()
        bring_up.remove_leftovers()
        self.assert_nothing_is_left()


if __name__ == "__main__":
    unittest.main()
