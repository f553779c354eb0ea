"""The namespaces a cluster lives in: its own network, mounts and processes, so that nothing of it can be left behind.

One process (pause.c) is process 1 of them. When it ends, the kernel ends every other process inside, and with the last
one go the mounts, the bridges and the packet-filter rules. It ends with the process that made the enclave.
"""

import os
import pathlib
import select
import subprocess
import time

from harness import processes

# Where the cluster's programs write to paths of the machine that no option changes (/var/lib/kubelet, /run/containerd,
# /tmp/hostpath_pv, …): what they write goes into the cluster's folder.
_OWN_VIEW = ("/run", "/tmp", "/var/lib", "/var/log")


class Enclave:
    def __init__(self, folder: pathlib.Path, pause: pathlib.Path):
        """`folder` is seen at the same path inside and outside; it must not lie below one of _OWN_VIEW."""
        self._logs = folder / "logs"
        self._logs.mkdir()
        self._daemons: dict[str, subprocess.Popen] = {}
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
             pause], stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=processes.die_with_parent)
        self.pid = self._wait_for_process_one(pause)
        self._mount_own_view(folder / "own-view")

    def _wait_for_process_one(self, pause: pathlib.Path) -> int:
        """Its id outside. The namespaces are ready when it has become the program it shall be."""
        while self._holder.poll() is None:
            for pid in _children(self._holder.pid):
                try:
                    if os.readlink(f"/proc/{pid}/exe") == str(pause):
                        return pid
                except OSError:
                    pass
            time.sleep(0.005)
        raise AssertionError("unshare could not make the namespaces of a cluster")

    def _mount_own_view(self, folder: pathlib.Path) -> None:
        for path in _OWN_VIEW:
            upper, work = folder / path.strip("/") / "upper", folder / path.strip("/") / "work"
            upper.mkdir(parents=True)
            work.mkdir()
            if path == "/tmp":
                upper.chmod(0o1777)
            self.run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={path},upperdir={upper},workdir={work}", path)

    def command(self, *words) -> list[str]:
        """The words that run a program inside."""
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--", *map(str, words)]

    def run(self, *words, **kwargs) -> str:
        return processes.run(*self.command(*words), **kwargs).stdout

    def start(self, name: str, *words) -> None:
        """Starts a program that shall run as long as the cluster; its output goes to logs/NAME.log."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        with open(self._logs / f"{name}.log", "a") as log:
            self._daemons[name] = subprocess.Popen(
                self.command(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                start_new_session=True, preexec_fn=processes.die_with_parent)

    def check(self) -> None:
        """Fails with the end of its log if a program has ended that should run."""
        for name, daemon in self._daemons.items():
            if daemon.poll() is not None:
                raise AssertionError(f"{name} ended with {daemon.returncode}:\n{self._end_of_log(name, 15)}")

    def _end_of_log(self, name: str, lines: int) -> str:
        return "\n".join((self._logs / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])

    def wait_until(self, reached, what: str, seconds: float = 60):
        """Polls until reached() gives something true, and returns that."""
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            if value := reached():
                return value
            if time.monotonic() > deadline:
                logs = [f"--- {name}\n{self._end_of_log(name, 5)}" for name in self._daemons]
                raise AssertionError("\n".join([f"after {seconds:.0f} s still not: {what}", *logs]))
            time.sleep(0.05)

    def process_ids(self) -> dict[str, int]:
        """The programs started by start(): name → id outside, for tests that end or stop one."""
        return {name: next(iter(_children(daemon.pid)), 0) for name, daemon in self._daemons.items()}

    def close(self) -> None:
        """Ends everything inside; when it returns nothing of it runs."""
        try:
            handle = os.pidfd_open(self.pid)
            self._holder.kill()  # the kernel then kills process 1, and waits with that until all others are gone
            self._holder.wait()
            with os.fdopen(handle):
                select.select([handle], [], [], 30)
        except ProcessLookupError:
            pass
        for daemon in self._daemons.values():
            daemon.wait()


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
